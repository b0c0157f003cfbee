//! Guards with real programs: slow, hanging and healthy canaries, early promotion, a budget of failures.
#![allow(clippy::disallowed_methods, reason = "real programs in real time")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use support::load::Load;
use support::wait::within;
use support::{Gate, Setup, Upstream, until};

fn ms(it: u64) -> Duration {
    Duration::from_millis(it)
}

/// Answers after this time.
fn after(pause: Duration, body: &'static str) -> Upstream {
    Upstream::start(move |peer| {
        while peer.request().is_some() {
            sleep(pause);
            peer.answer("200 OK", body);
        }
    })
}

/// Traffic on v1, until its usual latency is known; then v2 is released.
fn release(one: &Upstream, two: &Upstream, rollout: &str, clients: usize) -> (Gate, Load) {
    let mut gate =
        Setup::to(one).version("v2", &[two.address()]).service(format!("rollout: {rollout}")).start();
    let load = Load::start(gate.address(), clients, ms(2));
    until("stable is known", || (load.sent() > 300).then_some(()));
    gate.edit(|setup| setup.live("v2"));
    (gate, load)
}

#[test]
fn a_canary_that_is_only_slow_goes_back() {
    let (one, two) = (after(ms(4), "one"), after(ms(40), "two"));
    let (gate, load) = release(&one, &two, "{steps: [20% for 1h]}", 8);
    gate.reaches("ROLLED BACK");
    let release = gate.release();
    assert!(release["why"].as_str().is_some_and(|it| it.contains("is slower")), "{release}");
    load.stop().assert_all("200");
    assert_eq!(gate.weight("v1"), 1.0);
}

#[test]
fn a_canary_that_hangs_is_seen_before_any_timeout() {
    let over = Arc::new(AtomicBool::new(false));
    let (one, held) = (after(ms(4), "one"), over.clone());
    let two = Upstream::start(move |peer| {
        while peer.request().is_some() {
            while !held.load(Ordering::SeqCst) {
                sleep(ms(10));
            }
            peer.answer("200 OK", "two");
        }
    });
    let began = Instant::now();
    let (gate, load) = release(&one, &two, "{steps: [10% for 1h]}", 32);
    gate.reaches("ROLLED BACK");
    // The timeout of a response head is a minute.
    assert!(began.elapsed() < ms(30_000), "{:?}", began.elapsed());
    let release = gate.release();
    assert!(release["why"].as_str().is_some_and(|it| it.contains("is slower")), "{release}");
    over.store(true, Ordering::SeqCst);
    load.stop().assert_all("200");
}

/// The canary's first connections are all cold, and its answers take next to no time.
#[test]
fn a_healthy_canary_on_loopback_is_left_alone() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let steps =
        "{steps: [{weight: 10%, for: 2s, requests: 50}, {weight: 50%, for: 2s, requests: 50}], watch: 1s}";
    let (gate, load) = release(&one, &two, steps, 8);
    let ended = within(ms(30_000), || {
        let release = gate.release();
        (release["state"] == "ROLLED BACK" || release["stable"] == "v2").then_some(release)
    });
    let release = ended.expect("the release ends");
    assert_eq!(release["stable"], "v2", "{release}");
    load.stop().assert_all("200");
}

/// Latency guards that are switched off by name do not judge.
#[test]
fn a_slow_canary_stays_when_latency_is_off() {
    let (one, two) = (after(ms(2), "one"), after(ms(20), "two"));
    let rollout = "{steps: [{weight: 20%, for: 1s, requests: 50}], watch: 1s, guard: {p95: off, p99: off}}";
    let (gate, load) = release(&one, &two, rollout, 8);
    until("v2 is stable", || (gate.release()["stable"] == "v2").then_some(()));
    load.stop().assert_all("200");
}

/// A step of an hour ends when it is proven that the canary is hardly worse.
#[test]
fn a_proven_canary_does_not_wait_for_its_step_to_end() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let guard = "{p95: off, p99: off, pass: {within: 5pp, after: 1s, requests: 100}}";
    let rollout = format!("{{steps: [{{weight: 50%, for: 1h, requests: 50}}], watch: 1s, guard: {guard}}}");
    let (gate, load) = release(&one, &two, &rollout, 8);
    until("v2 has everything", || (gate.weight("v2") == 1.0).then_some(()));
    load.stop().assert_all("200");
}

/// Both versions fail alike, so nothing can be said against the canary; but its budget is spent.
#[test]
fn a_release_costs_no_more_failures_than_its_budget() {
    let (one, two) = (
        Upstream::with_status("500 Internal Server Error", "one"),
        Upstream::with_status("500 Internal Server Error", "two"),
    );
    let rollout = "{steps: [20% for 1h], guard: {p95: off, p99: off, failures_max: 40}}";
    let (gate, load) = release(&one, &two, rollout, 4);
    gate.reaches("ROLLED BACK");
    let why = gate.release()["why"].as_str().unwrap_or_default().to_owned();
    assert!(why.contains("one release may cost 40"), "{why}");
    load.stop();
    assert!(two.count() < 100, "{}", two.count());
}

/// One user whom the canary always fails, among many who are fine. By address all of them are one client,
/// and the canary is worse; by who they are, one client does not decide.
#[test]
fn who_is_a_client_is_a_header_where_the_configuration_says_so() {
    let two = || {
        Upstream::start(|peer| {
            while let Some(request) = peer.request() {
                let fails = request.head.one("x-user") == Some("unlucky");
                peer.answer(if fails { "500 Internal Server Error" } else { "200 OK" }, "two");
            }
        })
    };
    for (key, expected) in [("{header: X-User}", "CANARY"), ("address", "ROLLED BACK")] {
        let (one, two) = (Upstream::answering("one"), two());
        let rollout =
            format!("rollout: {{steps: [50% for 1h], guard: {{p95: off, p99: off, client_key: {key}}}}}");
        let mut gate = Setup::to(&one).version("v2", &[two.address()]).service(rollout).live("v1").start();
        let mut client = gate.connect();
        let mut ask = |count: u32| {
            for number in 0..count {
                let user = if number % 3 == 0 { "unlucky".into() } else { format!("user{number}") };
                client.send(format!("GET / HTTP/1.1\r\nHost: shop.test\r\nX-User: {user}\r\n\r\n"));
                client.response();
            }
        };
        ask(100);
        gate.edit(|setup| setup.live("v2"));
        until("the canary has traffic", || (gate.weight("v2") > 0.0).then_some(()));
        ask(600);
        if expected == "ROLLED BACK" {
            gate.reaches(expected);
        } else {
            sleep(ms(300));
            assert_eq!(gate.state(), expected, "{}", gate.release());
            assert!(two.count() > 100, "{}", two.count());
        }
    }
}

/// A gRPC call that fails is answered with 200; what counts is how it says it ended.
#[test]
fn a_grpc_canary_is_judged_by_its_status() {
    let grpc = |head: &str, rest: &str| {
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/grpc+proto\r\n{head}\r\n{rest}")
    };
    let unavailable = grpc("grpc-status: 14\r\nContent-Length: 0\r\n", "");
    let not_found = grpc("grpc-status: 5\r\nContent-Length: 0\r\n", "");
    let internal = grpc("Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n0\r\ngrpc-status: 13\r\n\r\n");
    for (answer, expected) in [(unavailable, "ROLLED BACK"), (internal, "ROLLED BACK"), (not_found, "CANARY")]
    {
        let two = Upstream::start(move |peer| {
            while peer.request().is_some() {
                peer.send(&answer);
            }
        });
        let one = Upstream::answering("one");
        let rollout = "rollout: {steps: [50% for 1h], guard: {p95: off, p99: off}}";
        let mut gate = Setup::to(&one).version("v2", &[two.address()]).service(rollout).start();
        let mut client = gate.connect();
        let mut ask = |count: u32| {
            for _ in 0..count {
                client.send(
                    "POST /call HTTP/1.1\r\nHost: shop.test\r\nTE: trailers\r\nContent-Length: 0\r\n\r\n",
                );
                assert_eq!(client.try_response("POST").expect("an answer").status, 200);
            }
        };
        ask(100);
        gate.edit(|setup| setup.live("v2"));
        until("the canary has traffic", || (gate.weight("v2") > 0.0).then_some(()));
        ask(200);
        if expected == "ROLLED BACK" {
            gate.reaches(expected);
        } else {
            sleep(ms(300));
            assert_eq!(gate.state(), expected, "{}", gate.release());
            assert!(two.count() > 50, "{}", two.count());
        }
    }
}
