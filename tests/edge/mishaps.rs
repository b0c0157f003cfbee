//! Mistakes of the program itself: a panic in any task costs what that task was doing, is counted, and nothing
//! else notices. The program under test panics where it is told to.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::support::frames::{Frames, GET, WHOLE, block, kind};
use super::support::load::Load;
use super::support::upstream::Latch;
use super::support::{Client, End, Gate, Setup, Upstream, outside, until};

/// A gate that panics at a place while there is a file of its name in a directory.
struct Clumsy {
    gate: Gate,
    mishaps: PathBuf,
}

impl Clumsy {
    fn start(setup: Setup) -> Option<Self> {
        let env = outside::program("env")?;
        let mut gate = setup.start();
        gate.kill();
        gate.may_panic();
        let mishaps = gate.dir().join("mishaps");
        fs::create_dir(&mishaps).unwrap();
        let told = format!("TIDEGATE_MISHAPS={}", mishaps.display());
        assert!(gate.try_start_under(&[env.to_str().expect("a plain path"), &told]), "{}", gate.log());
        Some(Self { gate, mishaps })
    }

    fn at(&self, place: &str) -> PathBuf {
        self.mishaps.join(place)
    }

    fn begin(&self, place: &str) {
        fs::write(self.at(place), "").unwrap();
    }

    fn end(&self, place: &str) {
        fs::remove_file(self.at(place)).unwrap();
    }

    fn panics(&self) -> f64 {
        self.gate.metric("tidegate_panics_total", &[])
    }

    fn in_flight(&self) -> f64 {
        self.gate.metric("tidegate_requests_in_flight", &[("service", "shop")])
    }
}

/// Whether a request on a fresh connection is answered as it should be.
fn is_answered(gate: &Gate) -> bool {
    let Ok(mut client) = Client::try_connect(gate.address()) else { return false };
    client.offer("GET / HTTP/1.1\r\nHost: a\r\n\r\n").is_ok()
        && client.try_response("GET").is_ok_and(|it| it.status == 200)
}

#[test]
fn a_request_that_falls_takes_nothing_along() {
    let latch = Latch::default();
    let upstream = Upstream::slow_behind(&latch);
    let setup = Setup::to(&upstream).listener("h2c: true").workers(2);
    let Some(clumsy) = Clumsy::start(setup) else { return };
    let gate = &clumsy.gate;
    // Two that are under way already, one of them on a connection whose other streams will fall.
    let mut frames = Frames::connect(gate.address());
    let mut slow = GET;
    slow[3].1 = "/slow";
    frames.send(kind::HEADERS, WHOLE, 1, &block(&slow));
    let mut waiting = gate.connect();
    waiting.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    until("both are under way", || (upstream.count() == 2).then_some(()));

    for place in ["request", "body"] {
        let before = clumsy.panics();
        clumsy.begin(place);
        for _ in 0..5 {
            assert!(!is_answered(gate), "{place}");
        }
        let fallen =
            frames.get(if place == "request" { 3 } else { 5 }).answer(if place == "request" { 3 } else { 5 });
        assert!(fallen.reset.is_some() && !fallen.closed, "{place}: {fallen:?}");
        assert_eq!(gate.admin("/readyz").status, 200);
        clumsy.end(place);
        assert_eq!(clumsy.panics() - before, 6.0, "{place}");
        assert!((0..20).all(|_| is_answered(gate)), "{place}");
    }
    latch.open();
    assert_eq!(frames.answer(1).status, Some(200));
    assert_eq!(waiting.response().text(), "fine");
    until("nothing is under way", || (clumsy.in_flight() == 0.0).then_some(()));
    drop((frames, waiting));
    until("no connection is kept", || {
        (gate.metric("tidegate_listener_connections", &[]) == 0.0).then_some(())
    });
    assert_eq!(gate.metric("tidegate_upstream_errors_total", &[]), 0.0, "it is nobody else's mistake");
    assert!(gate.log().contains("told to panic: body"));
}

#[test]
fn accepting_and_timing_go_on() {
    let upstream = Upstream::answering("fine");
    let Some(clumsy) = Clumsy::start(Setup::to(&upstream).listener("timeouts: {head: 300ms}").workers(2))
    else {
        return;
    };
    let gate = &clumsy.gate;
    let mut early = gate.connect();
    assert_eq!(early.get("/").status, 200);
    clumsy.begin("accept");
    assert!((0..10).all(|_| !is_answered(gate)));
    assert_eq!(early.get("/").status, 200, "whoever is in stays");
    clumsy.end("accept");
    assert!((0..20).all(|_| is_answered(gate)), "on every worker");
    assert_eq!(clumsy.panics(), 10.0);

    clumsy.begin("sweep");
    let mut silent: Vec<Client> = (0..8).map(|_| gate.connect()).collect();
    until("it fell", || (clumsy.panics() > 10.0).then_some(()));
    clumsy.end("sweep");
    for client in &mut silent {
        assert_eq!(client.end(), End::Closed, "time goes on");
    }
}

#[test]
fn a_controller_that_falls_leaves_the_traffic_alone() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let setup = Setup::to(&one).version("v2", &[two.address()]).service("rollout: {steps: [50% for 1h]}");
    let Some(mut clumsy) = Clumsy::start(setup) else { return };
    clumsy.gate.edit(|it| it.live("v2"));
    clumsy.gate.reaches("CANARY");
    let load = Load::start(clumsy.gate.address(), 3, Duration::from_millis(1));
    until("both have users", || (one.count() > 20 && two.count() > 20).then_some(()));
    clumsy.begin("controller");
    until("it fell", || (clumsy.panics() > 0.0).then_some(()));
    let seen = two.count();
    clumsy.end("controller");
    clumsy.gate.reaches("CANARY");
    until("the release goes on", || {
        (clumsy.gate.weight("v2") == 0.5 && two.count() > seen + 20).then_some(())
    });
    assert_eq!(clumsy.gate.command("rollback shop").code, 0);
    clumsy.gate.reaches("ROLLED BACK");
    load.stop().assert_all("200 ");
}

#[test]
fn the_log_and_the_checkups_come_back() {
    let upstream = Upstream::answering("fine");
    let other = Upstream::answering("fine");
    let endpoints = format!("[\"http://{}\", \"http://{}\"]", upstream.address(), other.address());
    let version = format!("{{endpoints: {endpoints}, health: {{path: /, every: 50ms, fail_after: 1}}}}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let setup =
        Setup::default().version_as("v1", version).top(format!("access_log: {{to: {}}}", path.display()));
    let Some(clumsy) = Clumsy::start(setup) else { return };
    let gate = &clumsy.gate;
    let lines = || fs::read_to_string(&path).unwrap_or_default();
    gate.get("/before");
    until("a line", || lines().contains("/before").then_some(()));

    clumsy.begin("access-log");
    for _ in 0..3 {
        assert_eq!(gate.get("/lost").status, 200);
    }
    let lost = || gate.metric("tidegate_log_lines_dropped_total", &[("reason", "write_failed")]);
    until("it fell", || (lost() >= 3.0 && clumsy.panics() >= 3.0).then_some(()));
    clumsy.end("access-log");
    until("lines again", || {
        assert_eq!(gate.get("/after").status, 200);
        lines().contains("/after").then_some(())
    });
    assert!(lines().lines().all(|it| it.starts_with('{') && it.ends_with('}')), "{}", lines());

    let before = clumsy.panics();
    clumsy.begin("doctor");
    until("it fell", || (clumsy.panics() > before).then_some(()));
    assert!((0..10).all(|_| gate.get("/").status == 200));
    clumsy.end("doctor");
    other.stop_listening();
    let down = || gate.release()["lanes"][0]["endpoints"].to_string().contains("\"down\"");
    until("it is noticed who is down", || down().then_some(()));
    assert!((0..10).all(|_| gate.get("/").status == 200));
}
