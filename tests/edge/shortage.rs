//! When there is too little of something: descriptors, connections, memory, processor time, names.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

use super::support::load::Load;
use super::support::wait::within;
use super::support::{Client, End, Gate, Setup, Upstream, outside, until};

/// Tests with a crowd come one after the other: together they would need more descriptors than there are.
pub static CROWDS: Mutex<()> = Mutex::new(());

/// How many connections a crowd has: both ends of each are descriptors, of two processes.
pub fn crowd_size() -> usize {
    let own = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20);
    usize::try_from(own / 4 * 3).unwrap_or(usize::MAX).min(15_000)
}

fn rejected(gate: &Gate, reason: &str) -> f64 {
    gate.metric("tidegate_rejected_total", &[("reason", reason)])
}

/// Runs the gate again so that it may have only so many files open. `None` without the program for it.
fn with_descriptors(setup: Setup, count: u64) -> Option<Gate> {
    let prlimit = outside::program("prlimit")?;
    let mut gate = setup.start();
    gate.kill();
    let words = [prlimit.to_str().expect("a plain path"), &format!("--nofile={count}:{count}"), "--"];
    assert!(gate.try_start_under(&words), "{}", gate.log());
    Some(gate)
}

/// Connections that stay open, and how many were closed again.
fn crowd(gate: &Gate, count: usize) -> (Vec<Client>, usize) {
    let mut all: Vec<Client> = (0..count).filter_map(|_| Client::try_connect(gate.address()).ok()).collect();
    // Whoever is refused is so at once; the last one to come in says that all have been looked at.
    until("the queue is empty", || {
        let open = gate.metric("tidegate_listener_accepts_total", &[]);
        (open >= count as f64).then_some(())
    });
    all.retain_mut(|it| it.end_within(Duration::from_millis(1)) == End::Open);
    let refused = count - all.len();
    (all, refused)
}

/// Clients take all the descriptors that there are. What is not about them goes on.
#[test]
fn clients_cannot_take_the_last_descriptors() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let setup = Setup::to(&one)
        .version("v2", &[two.address()])
        .service("rollout: {watch: 1s}")
        .listener("limits: {connections: 100000, connections_per_address: 100000}, timeouts: {head: 60s}")
        .workers(2);
    let Some(mut gate) = with_descriptors(setup, 256) else { return };
    let mut early = gate.connect();
    assert_eq!(early.get("/").status, 200);
    let (crowd, refused) = crowd(&gate, 400);
    assert!(crowd.len() > 120 && refused > 100, "{} stay, {refused} were refused", crowd.len());
    let counted = rejected(&gate, "descriptors") + rejected(&gate, "connections");
    assert!(counted >= refused as f64, "{counted} of {refused}");
    assert!(gate.descriptors() < 245, "{}", gate.descriptors());
    // Whoever is in is served, on new connections to endpoints, and the journal and the doors work.
    assert_eq!(early.get("/").status, 200);
    let before = gate.cpu();
    let began = Instant::now();
    gate.edit(|setup| setup.live("v2"));
    until("all traffic is on v2", || (gate.weight("v2") == 1.0).then_some(()));
    assert_eq!(early.get("/").text(), "two");
    assert_eq!(gate.command("status").code, 0);
    assert!(gate.command("events").out.contains("v2"));
    drop(crowd);
    until("there is room again", || Client::try_connect(gate.address()).ok()?.try_get().then_some(()));
    let (spent, took) = (gate.cpu() - before, began.elapsed());
    assert!(spent < took, "{spent:?} in {took:?}");
}

trait TryGet {
    fn try_get(&mut self) -> bool;
}

impl TryGet for Client {
    fn try_get(&mut self) -> bool {
        self.offer("GET / HTTP/1.1\r\nHost: a\r\n\r\n").is_ok()
            && self.try_response("GET").is_ok_and(|it| it.status == 200)
    }
}

/// Not one descriptor is left: accepting waits instead of spinning, and goes on when there is one.
#[test]
fn accepting_without_descriptors_does_not_spin() {
    let Some(prlimit) = outside::program("prlimit") else { return };
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).workers(2).start();
    let mut early = gate.connect();
    assert_eq!(early.get("/").status, 200);
    let limit = |words: &str| {
        let done = std::process::Command::new(&prlimit)
            .args(["--pid", &gate.pid().to_string(), words])
            .status()
            .expect("run prlimit");
        assert!(done.success());
    };
    // What two seconds of these requests cost.
    let two_seconds = |early: &mut Client| {
        let (before, began) = (gate.cpu(), Instant::now());
        while began.elapsed() < Duration::from_secs(2) {
            assert_eq!(early.get("/").status, 200, "what is open is served");
            thread::sleep(Duration::from_millis(100));
        }
        gate.cpu() - before
    };
    let alone = two_seconds(&mut early);
    let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(1 << 20);
    let began = Instant::now();
    limit(&format!("--nofile=8:{hard}"));
    let waiting: Vec<Client> = (0..20).map(|_| gate.connect()).collect();
    // The doors of operators are in the same position.
    let _operator = TcpStream::connect(gate.admin_address()).expect("the kernel takes it");
    let without = two_seconds(&mut early);
    limit(&format!("--nofile={hard}:{hard}"));
    for mut client in waiting {
        assert_eq!(client.get("/").status, 200);
    }
    // A twentieth of a core beside what the requests cost anyway; and each worker tries twenty times a second.
    assert!(
        without < alone + Duration::from_millis(100),
        "{alone:?} before, {without:?} without descriptors"
    );
    let (tries, took) = (rejected(&gate, "descriptors"), began.elapsed());
    let most = 2.0 * (took.as_secs_f64() / 0.05 + 2.0);
    assert!((1.0..=most).contains(&tries), "{tries} tries in {took:?}, {most} at most");
}

/// An endpoint that cannot be reached for want of a descriptor has done nothing wrong.
#[test]
fn a_version_is_not_charged_for_missing_descriptors() {
    let Some(prlimit) = outside::program("prlimit") else { return };
    // Each request needs a fresh connection.
    let upstream = Upstream::start(|peer| {
        if peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi");
        }
    });
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    assert_eq!(client.get("/").status, 200);
    let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(1 << 20);
    let pid = gate.pid().to_string();
    let limit = |soft: u64| {
        let mut command = std::process::Command::new(&prlimit);
        let done = command.args(["--pid", &pid, &format!("--nofile={soft}:{hard}")]).status();
        assert!(done.expect("run prlimit").success());
    };
    limit(8);
    let answer = client.get("/");
    assert_eq!((answer.status, answer.error()), (503, Some("overloaded")));
    limit(hard);
    until("there is one again", || (client.get("/").status == 200).then_some(()));
    assert!(rejected(&gate, "descriptors") >= 1.0);
    assert_eq!(gate.metric("tidegate_upstream_errors_total", &[]), 0.0);
}

/// Many connections that wait cost little memory and nobody's time: a request takes no more of the processor among
/// them than before they came and after they went.
#[test]
fn thousands_of_connections_that_wait_are_cheap() {
    let _alone = CROWDS.lock().unwrap_or_else(PoisonError::into_inner);
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream)
        .listener("limits: {connections_per_address: 100000}, timeouts: {head: 10m, idle: 10m}")
        .start();
    let count = crowd_size();
    // Of several rounds the cheapest: what else the machine does can only add to one. A look at every connection
    // would cost several times as much as a request.
    let cost = |client: &mut Client| {
        let round = |_| {
            let before = gate.cpu();
            (0..300).for_each(|_| assert_eq!(client.get("/").status, 200));
            gate.cpu() - before
        };
        (0..4).map(round).min().expect("four")
    };
    let mut active = gate.connect();
    let first = cost(&mut active);
    let before = gate.memory();
    let waiting: Vec<TcpStream> =
        (0..count).map(|_| TcpStream::connect(gate.address()).expect("a place")).collect();
    until("all are in", || (gate.metric("tidegate_listener_connections", &[]) > count as f64).then_some(()));
    let each = (gate.memory() - before) / count as u64;
    assert!(each < 6 * 1024, "{each} bytes for each of {count}");
    let crowded = cost(&mut active);
    drop(waiting);
    until("all are gone", || (gate.metric("tidegate_listener_connections", &[]) <= 1.0).then_some(()));
    let last = cost(&mut active);
    assert!(crowded < first.max(last) * 5 / 2, "{first:?} before, {crowded:?} among {count}, {last:?} after");
}

/// Names that clients invent make no series.
#[test]
fn what_clients_invent_makes_no_series() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    let send = |client: &mut Client, number: usize| {
        let request = format!(
            "M{number:x} /path/{number}?q={number} HTTP/1.1\r\nHost: h{number}.test\r\nUser-Agent: {number}\r\nX-{number}: y\r\n\r\n"
        );
        let status = client.send(request).response().status;
        assert_eq!(status, 200);
    };
    send(&mut client, 1);
    // Buckets are written once somebody was in them.
    let series = || -> BTreeSet<String> {
        let metrics = gate.metrics();
        let lines = metrics.lines().filter(|it| !it.starts_with('#') && !it.contains("_bucket{"));
        lines.filter_map(|it| it.rsplit_once(' ')).map(|it| it.0.to_owned()).collect()
    };
    until("the endpoint is told", || gate.metrics().contains("tidegate_endpoint_up{").then_some(()));
    let before = series();
    for number in 2..6_000 {
        send(&mut client, number);
    }
    let after = series();
    assert_eq!(after.difference(&before).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// Four times as much as one core can do: the doors of operators stay open.
#[test]
fn operators_are_answered_while_the_processor_is_taken() {
    let Some(taskset) = outside::program("taskset") else { return };
    let upstream = Upstream::answering("fine");
    let mut gate = Setup::to(&upstream).start();
    gate.kill();
    assert!(gate.try_start_under(&[taskset.to_str().expect("a plain path"), "-c", "0"]));
    let load = Load::start(gate.address(), 48, Duration::ZERO);
    until("traffic flows", || (load.sent() > 500).then_some(()));
    let slowest = (0..15)
        .map(|_| {
            let began = Instant::now();
            assert_eq!(gate.admin("/api/v1/status").status, 200);
            assert!(gate.metrics().contains("tidegate_requests_total"));
            began.elapsed() / 2
        })
        .max();
    assert!(slowest < Some(Duration::from_secs(1)), "{slowest:?}");
    load.stop().assert_all("200");
}

/// A regular expression that takes other engines for ever takes a moment.
#[test]
fn regular_expressions_are_linear_and_bounded() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream)
        .top("routes: [{match: {path: {regex: '^/(a+)+$'}}, to: shop}, {match: {path: {regex: '(x+x+)+y'}}, to: shop}]")
        .start();
    let mut client = gate.connect();
    let path = format!("/{}b{}", "a".repeat(4000), "x".repeat(4000));
    let began = Instant::now();
    for _ in 0..20 {
        // It fits neither, so the service's own route takes it.
        assert_eq!(client.get(&path).status, 200);
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let huge = "routes: [{match: {path: {regex: '((a{100}){100}){100}'}}, to: shop}]";
    gate.write(&gate.text_of(&gate.setup().top(huge)));
    assert_eq!(gate.command("check").code, 3);
}

/// Thousands of routes that ask for headers, all on one path, in a file of nearly a megabyte: loaded beside the
/// traffic, in bounded memory, and a request costs no more than a look at each.
#[test]
fn thousands_of_header_routes_cost_what_they_weigh() {
    let count = 5_000;
    let upstream = Upstream::answering("fine");
    let mut gate = Setup::to(&upstream).workers(1).start();
    let mut client = gate.connect();
    assert_eq!(client.get("/").status, 200);
    let (memory, before) = (gate.memory(), gate.cpu());
    let route = |number: usize| {
        format!(
            "- {{match: {{header: {{x-tenant: tenant-{number}, x-area: eu, x-level: {{present: true}}}}}}, redirect: {{path: /{number}}}}}"
        )
    };
    let routes: Vec<String> = (0..count).map(route).collect();
    let text = format!("routes:\n{}", routes.join("\n"));
    assert!(text.len() > 500_000, "{}", text.len());
    gate.reload(|setup| setup.top(&text));
    let loading = gate.cpu() - before;
    assert!(loading < Duration::from_secs(60), "{loading:?} of the processor to load {} bytes", text.len());
    let grown = gate.memory().saturating_sub(memory);
    assert!(grown < 100 << 20, "{grown} bytes for {} of text", text.len());
    let before = gate.cpu();
    for number in (0..count).step_by(250) {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX-Tenant: tenant-{number}\r\nX-Area: eu\r\nX-Level: 1\r\n\r\n"
        );
        let answer = client.send(request).response();
        assert_eq!(answer.header("location"), Some(format!("http://a/{number}").as_str()));
        assert_eq!(client.get("/").text(), "fine", "whoever names no tenant passes all of them");
    }
    let each = (gate.cpu() - before) / (2 * count as u32 / 250);
    assert!(each < Duration::from_millis(100), "{each:?} of the processor for a request");
}

/// Without events for files (their number is limited, and some file systems have none) a change is noticed by
/// looking.
#[test]
fn without_file_events_a_change_is_found_by_looking() {
    let Some(strace) = outside::program("strace") else { return };
    let upstream = Upstream::answering("fine");
    for (injected, said) in [
        ("inotify_init1:error=EMFILE", true),
        ("inotify_init1:error=ENOSYS", true),
        ("inotify_add_watch:error=ENOSPC", false),
    ] {
        let mut gate = Setup::to(&upstream).start();
        gate.kill();
        let inject = format!("inject={injected}");
        let words =
            [strace.to_str().expect("a plain path"), "-D", "-f", "-qq", "-o", "/dev/null", "-e", &inject];
        if !gate.try_start_under(&words) {
            // Without the right to look into other processes there is nothing to be shown.
            assert!(!gate.log().contains("tidegate::"), "{}", gate.log());
            eprintln!("skipped: strace cannot be used here");
            return;
        }
        assert_eq!(
            gate.log().contains("no file events here: looking every 2s instead"),
            said,
            "{}",
            gate.log()
        );
        let generation = gate.generation();
        gate.edit(|it| it.top("defaults: {timeouts: {connect: 3s}}"));
        let noticed = within(Duration::from_secs(30), || (gate.generation() > generation).then_some(()));
        assert!(noticed.is_some(), "{injected}: {}", gate.log());
    }
}

/// Several loopback addresses stand for several clients.
fn connect_from(address: IpAddr, to: SocketAddr) -> Option<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).ok()?;
    socket.bind(&SocketAddr::new(address, 0).into()).ok()?;
    socket.connect(&to.into()).ok()?;
    Some(socket.into())
}

/// A mixed attack on the memory of a process that may not have more than so much.
#[test]
fn memory_is_given_up_in_order_and_the_process_stays() {
    use std::io::Write;
    let upstream = Upstream::answering("fine");
    let mut gate = Setup::to(&upstream)
        .listener("limits: {connections_per_address: 100000}, timeouts: {head: 60s, idle: 60s}")
        .top("memory: off")
        .workers(2)
        .start();
    assert_eq!(gate.get("/").status, 200);
    let max = gate.memory() + (48 << 20);
    gate.reload(|setup| setup.top(format!("memory: {max}")));
    let waiting: Vec<Client> = (0..200)
        .map(|_| {
            let mut client = gate.connect();
            assert_eq!(client.get("/").status, 200);
            client
        })
        .collect();
    // Heads that never end, each of nearly 16 KiB, from many addresses.
    let half = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Pad: {}", "p".repeat(15_000));
    let mut attackers = Vec::new();
    let mut highest = 0;
    for number in 0..6_000_u32 {
        let [_, _, high, low] = (number % 50).to_be_bytes();
        if let Some(mut stream) = connect_from(IpAddr::from([127, 200, high + 1, low + 1]), gate.address()) {
            // Whoever is refused cannot send.
            let _ = stream.write_all(half.as_bytes());
            attackers.push(stream);
        }
        if number % 100 == 0 {
            highest = highest.max(gate.memory());
        }
    }
    until("new connections are refused", || (rejected(&gate, "memory") > 0.0).then_some(()));
    highest = highest.max(gate.memory());
    assert!(highest < max, "{highest} of {max}");
    assert_eq!(gate.command("status").code, 0);
    drop(attackers);
    drop(waiting);
    until("there is enough again", || Client::try_connect(gate.address()).ok()?.try_get().then_some(()));
    // A bound that is too small for anything: requests are refused, what waits is closed, and it ends when
    // the bound is raised.
    let mut old = gate.connect();
    assert_eq!(old.get("/").status, 200);
    gate.reload(|setup| setup.top("memory: 16MiB"));
    if gate.memory() > (16 << 20) {
        assert_eq!(old.end(), End::Closed);
        assert!(
            within(Duration::from_secs(2), || Client::try_connect(gate.address())
                .ok()?
                .try_get()
                .then_some(()))
            .is_none()
        );
    }
    gate.reload(|setup| setup.top("memory: off"));
    until("everybody is welcome", || Client::try_connect(gate.address()).ok()?.try_get().then_some(()));
}
