//! A long day in a short time: everything that comes and goes does so again and again, and what is held at the
//! end is what was held at the beginning.

use std::time::Duration;

use super::support::frames::{Frames, kind};
use super::support::load::Load;
use super::support::{Client, Gate, Setup, Upstream, until};

struct Held {
    descriptors: usize,
    threads: usize,
    memory: u64,
}

impl Held {
    fn by(gate: &Gate) -> Self {
        Self { descriptors: gate.descriptors(), threads: gate.threads(), memory: gate.memory() }
    }
}

/// Endpoints that nobody asked for before, and that nobody will ask for again.
fn crowd(round: usize) -> String {
    let list: Vec<String> = (0..40)
        .map(|it| format!("\"http://127.{}.{}.{}:9\"", 100 + round % 50, it, 1 + round / 50))
        .collect();
    format!("[{}]", list.join(", "))
}

/// Row k06: endpoints by the hundred, and after each reload there are the series of those that are in the file.
#[test]
fn what_leaves_the_file_leaves_the_process() {
    let upstream = Upstream::answering("fine");
    let mut gate = Setup::to(&upstream).version_as("v2", crowd(0)).start();
    let endpoints =
        |gate: &Gate| gate.metrics().lines().filter(|it| it.starts_with("tidegate_endpoint_up{")).count();
    until("all are told", || (endpoints(&gate) == 41).then_some(()));
    for round in 1..4 {
        gate.reload(|it| it.version_as("v2", crowd(round)));
    }
    let before = Held::by(&gate);
    for round in 4..25 {
        gate.reload(|it| it.version_as("v2", crowd(round)));
        assert_eq!(gate.get("/").status, 200);
    }
    until("as many as before", || (endpoints(&gate) == 41).then_some(()));
    until("no descriptor is kept", || (gate.descriptors() <= before.descriptors + 4).then_some(()));
    let grown = gate.memory().saturating_sub(before.memory);
    assert!(grown < 12 << 20, "{grown} bytes after 840 endpoints");
    assert!(gate.threads() <= before.threads + 1, "{} threads, {} before", gate.threads(), before.threads);
    gate.reload(|it| it.without("v2"));
    until("one is left", || (endpoints(&gate) == 1).then_some(()));
}

/// Row k08: clients that abort in every way, endpoints that come and go, reloads and releases, all at once.
#[test]
fn a_long_day_leaves_nothing_behind() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let flaky = Upstream::start(|peer| {
        for _ in 0..3 {
            let Some(request) = peer.request() else { return };
            if request.target() == "/slow" {
                peer.hold();
                return;
            }
            peer.answer("200 OK", &"x".repeat(30_000));
        }
        peer.reset();
    });
    let health = "health: {path: /, every: 100ms, fail_after: 2}";
    let version = |it: &Upstream| {
        format!("{{endpoints: [\"http://{}\", \"http://{}\"], {health}}}", it.address(), flaky.address())
    };
    let mut gate = Setup::default()
        .version_as("v1", version(&one))
        .version_as("v2", version(&two))
        .service("rollout: {steps: [50% for 1h], guard: off}")
        .service("timeouts: {head: 1s, idle: 1s, drain: 1s}")
        .listener("h2c: true")
        .workers(2)
        .start();
    let day = |gate: &mut Gate, rounds: usize| {
        let load = Load::start(gate.address(), 3, Duration::from_millis(1));
        for round in 0..rounds {
            for (number, start) in [
                "",
                "GET / HT",
                "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf",
            ]
            .into_iter()
            .enumerate()
            {
                let mut client = gate.connect();
                let _ = client.offer(start);
                if (round + number) % 2 == 0 { client.reset() } else { drop(client) }
            }
            let mut frames = Frames::connect(gate.address());
            frames.get(1).get(3).send(kind::RST_STREAM, 0, 3, &8_u32.to_be_bytes());
            drop(frames);
            match round % 4 {
                0 => gate.reload(|it| it.service(format!("limits: {{interim: {}}}", 1 + round % 90))),
                1 => {
                    gate.edit(|it| it.live(if round % 8 == 1 { "v2" } else { "v1" }));
                    let _ = gate.command("rollback shop");
                    let _ = gate.command("retry shop");
                }
                2 => assert_eq!(gate.admin("/api/v1/status").status, 200),
                _ => drop(Client::connect(gate.address()).get("/")),
            }
        }
        let _ = load.stop();
        until("nothing is under way", || {
            let in_flight = gate.metric("tidegate_requests_in_flight", &[("service", "shop")]);
            (in_flight == 0.0 && gate.metric("tidegate_listener_connections", &[]) == 0.0).then_some(())
        });
    };
    day(&mut gate, 16);
    let morning = Held::by(&gate);
    day(&mut gate, 48);
    until("no descriptor is kept", || (gate.descriptors() <= morning.descriptors + 16).then_some(()));
    let evening = Held::by(&gate);
    assert!(
        evening.threads <= morning.threads + 1,
        "{} threads, {} before",
        evening.threads,
        morning.threads
    );
    let grown = evening.memory.saturating_sub(morning.memory);
    assert!(grown < 16 << 20, "{grown} bytes");
    assert_eq!(gate.metric("tidegate_panics_total", &[]), 0.0);
}
