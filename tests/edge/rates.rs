//! Rate limits of routes.

use std::time::{Duration, Instant};

use super::support::{Client, Gate, Response, Setup, Upstream, until};

fn limited(upstream: &Upstream, rate: &str) -> Setup {
    Setup::to(upstream)
        .top(format!("routes: [{{match: {{path: /api}}, to: shop, rate: {{{rate}}}}}, {{to: shop}}]"))
}

fn ask(client: &mut Client, target: &str, lines: &str) -> Response {
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).response()
}

fn limited_so_far(gate: &Gate) -> f64 {
    gate.metric("tidegate_rejected_total", &[("reason", "rate_limited")])
}

#[test]
fn too_many_requests_are_answered_429_and_told_when_to_come_again() {
    let upstream = Upstream::answering("fine");
    let gate = limited(&upstream, "requests: 6/m, burst: 3").workers(2).start();
    let mut client = gate.connect();
    for _ in 0..3 {
        assert_eq!(ask(&mut client, "/api/x", "").status, 200);
    }
    let refused = ask(&mut client, "/api/x", "");
    assert_eq!((refused.status, refused.error()), (429, Some("limit")));
    let seconds: u64 = refused.header("retry-after").expect("a time").parse().expect("seconds");
    assert!((8..=10).contains(&seconds), "{seconds}");
    // The connection goes on, on other routes without a limit.
    assert!(!refused.closes());
    assert_eq!(ask(&mut client, "/", "").status, 200);
    // Another connection is the same caller, whichever worker has it.
    for _ in 0..8 {
        assert_eq!(ask(&mut gate.connect(), "/api", "").status, 429);
    }
    assert_eq!(upstream.count(), 4);
    assert_eq!(limited_so_far(&gate), 9.0);
    // No version has anything to do with it.
    assert_eq!(gate.metric("tidegate_requests_total", &[("version", "v1")]), 4.0);
    // A reload forgets nobody.
    let mut gate = gate;
    gate.reload(|setup| setup.service("timeouts: {connect: 3s}"));
    assert_eq!(ask(&mut gate.connect(), "/api", "").status, 429);
}

#[test]
fn callers_are_told_apart_by_a_header() {
    let upstream = Upstream::answering("fine");
    let gate = limited(&upstream, "by: header, name: X-Api-Key, requests: 1/h, burst: 2").start();
    let mut client = gate.connect();
    for key in ["a", "b", "c"] {
        let lines = format!("X-Api-Key: {key}\r\n");
        let statuses: Vec<u16> = (0..3).map(|_| ask(&mut client, "/api", &lines).status).collect();
        assert_eq!(statuses, [200, 200, 429], "{key}");
    }
    // Who has none is known by the address.
    let statuses: Vec<u16> = (0..3).map(|_| ask(&mut client, "/api", "").status).collect();
    assert_eq!(statuses, [200, 200, 429]);
}

#[test]
fn behind_a_trusted_peer_callers_are_whom_it_names() {
    let upstream = Upstream::answering("fine");
    let setup = limited(&upstream, "requests: 1/h");
    let gate = setup.clone().listener("trust: [127.0.0.0/8]").start();
    let mut client = gate.connect();
    for address in ["192.0.2.1", "192.0.2.2", "10.0.0.1, 192.0.2.3", "[2001:db8::1]:99", "unknown"] {
        let lines = format!("X-Forwarded-For: {address}\r\n");
        assert_eq!(ask(&mut client, "/api", &lines).status, 200, "{address}");
        assert_eq!(ask(&mut client, "/api", &lines).status, 429, "{address}");
    }
    // An IPv6 caller has a whole network.
    assert_eq!(ask(&mut client, "/api", "X-Forwarded-For: 2001:db8:1:2::1\r\n").status, 200);
    assert_eq!(ask(&mut client, "/api", "X-Forwarded-For: 2001:db8:1:2:3:4:5:6\r\n").status, 429);
    // Anybody else can write what they like.
    let gate = setup.start();
    let mut client = gate.connect();
    assert_eq!(ask(&mut client, "/api", "X-Forwarded-For: 192.0.2.1\r\n").status, 200);
    assert_eq!(ask(&mut client, "/api", "X-Forwarded-For: 192.0.2.2\r\n").status, 429);
}

#[test]
fn a_rate_is_earned_as_time_passes() {
    let upstream = Upstream::answering("fine");
    let gate = limited(&upstream, "requests: 20/s, burst: 1").start();
    let mut client = gate.connect();
    let began = Instant::now();
    let mut passed = 0;
    until("twenty passed", || {
        passed += u32::from(ask(&mut client, "/api", "").status == 200);
        (passed == 20).then_some(())
    });
    // The first one is free, each other is earned in 50 ms.
    assert!(began.elapsed() >= Duration::from_millis(19 * 50), "{:?}", began.elapsed());
}

/// A redirect is an answer like any other, and a refused upload is not read as the next request.
#[test]
fn redirects_and_uploads_count_too() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream)
        .top("routes: [{match: {path: /old}, redirect: {path: /new}, rate: {requests: 1/h}}, {to: shop}]")
        .start();
    let mut client = gate.connect();
    assert_eq!(ask(&mut client, "/old", "").status, 302);
    assert_eq!(ask(&mut client, "/old", "").status, 429);
    let refused = client.send("POST /old HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").response();
    assert_eq!((refused.status, refused.closes()), (429, true));
    let long = "x".repeat(9000);
    let refused = ask(&mut gate.connect(), "/old", &format!("X-Pad: {long}\r\n"));
    assert_eq!(refused.status, 429);
}
