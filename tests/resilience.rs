//! What users are spared when versions fail: tries elsewhere, and the stable version's answers instead of
//! those of one on trial, within a budget.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "real programs in real time, and a test may fail by panicking"
)]

#[path = "resilience/copies.rs"]
mod copies;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::load::Load;
use support::upstream::{BlackHole, refusing};
use support::wait::took;
use support::{Broken, End, Gate, Setup, Upstream, until};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn ms(it: u64) -> Duration {
    Duration::from_millis(it)
}

fn of_v1(gate: &Gate, name: &str) -> f64 {
    gate.metric(name, &[("version", "v1")])
}

fn retries(gate: &Gate, reason: &str) -> f64 {
    gate.metric("tidegate_retries_total", &[("version", "v1"), ("reason", reason)])
}

/// An upstream that breaks off in the first line of each answer. (Before it, the one connection that is
/// opened ahead of the first request would look like one that had been closed meanwhile.)
fn breaking() -> Upstream {
    Upstream::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 20");
    })
}

/// A request with this method and body.
fn request(method: &str, body: &str) -> String {
    format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn chunked(method: &str, body: &str) -> String {
    let head = format!("{method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunks: String = body.as_bytes().chunks(1000).map(|it| chunk(&String::from_utf8_lossy(it))).collect();
    format!("{head}{chunks}0\r\n\r\n")
}

fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

/// Whoever may be asked twice is asked elsewhere; whoever may not gets the failure.
#[test]
fn a_reset_is_tried_again_elsewhere_where_that_is_safe() {
    for (method, answered) in [
        ("GET", true),
        ("HEAD", true),
        ("OPTIONS", true),
        ("PUT", true),
        ("DELETE", true),
        ("POST", false),
        ("PATCH", false),
    ] {
        let (bad, good) = (breaking(), Upstream::answering("fine"));
        let gate = Setup::default().version("v1", &[good.address(), bad.address()]).start();
        let text = if matches!(method, "GET" | "HEAD" | "OPTIONS") {
            format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")
        } else {
            request(method, "four")
        };
        let mut client = gate.connect();
        let answer = match method {
            "HEAD" => client.send(&text).response_to_head(),
            _ => client.send(&text).response(),
        };
        let expected = if answered { 200 } else { 502 };
        assert_eq!(answer.status, expected, "{method}: {answer:?}");
        assert_eq!((bad.count(), good.count()), (1, usize::from(answered)), "{method}");
        assert_eq!(retries(&gate, "reset"), f64::from(u8::from(answered)), "{method}");
        assert!(of_v1(&gate, "tidegate_upstream_errors_total") >= 1.0, "{method}");
    }
}

/// The body goes out again as it came, whether its length was known or not, and the rest of it follows.
#[test]
fn a_body_that_fits_is_sent_again() {
    let body = "0123456789".repeat(3_000);
    for text in [request("PUT", &body), chunked("PUT", &body)] {
        let (bad, good) = (breaking(), Upstream::answering("fine"));
        let gate = Setup::default().version("v1", &[good.address(), bad.address()]).start();
        let mut client = gate.connect();
        for _ in 0..2 {
            assert_eq!(client.send(&text).response().text(), "fine");
        }
        assert_eq!(bad.count(), 1, "the second one went to the good one at once");
        let received: Vec<_> = good.requests().iter().map(|it| it.body == body.as_bytes()).collect();
        assert_eq!(received, [true, true]);
    }
}

/// The endpoint breaks off in the middle of a body: what it had goes to the next one, then what is still to come.
#[test]
fn a_body_that_is_still_coming_is_sent_again_from_its_start() {
    let bad = Upstream::start(|peer| {
        peer.head();
        let _ = peer.wire().exactly(5);
        peer.send("HTTP/1.1 20");
    });
    let good = Upstream::answering("fine");
    let gate = Setup::default().version("v1", &[good.address(), bad.address()]).start();
    let mut client = gate.connect();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
    until("it broke off", || (retries(&gate, "reset") >= 1.0).then_some(()));
    client.send("56789");
    assert_eq!(client.response().text(), "fine");
    assert_eq!(good.only_request().body, b"0123456789");
}

#[test]
fn a_body_that_does_not_fit_is_not_sent_again() {
    let body = "x".repeat(70_000);
    for (setting, text) in [
        ("body: 64KiB", request("PUT", &body)),
        ("body: 64KiB", chunked("PUT", &body)),
        ("body: 1KiB", request("PUT", &body[..1025])),
        ("body: off", request("PUT", "x")),
    ] {
        let (bad, good) = (breaking(), Upstream::answering("fine"));
        let gate = Setup::default()
            .version("v1", &[good.address(), bad.address()])
            .service(format!("retry: {{{setting}}}"))
            .start();
        assert_eq!(gate.connect().send(&text).response().status, 502, "{setting}");
        assert_eq!(good.count(), 0, "{setting}");
    }
}

/// Who waits for a 100 must not be told twice.
#[test]
fn a_request_that_waits_for_a_100_is_not_tried_again() {
    let (bad, good) = (breaking(), Upstream::answering("fine"));
    let gate = Setup::default().version("v1", &[good.address(), bad.address()]).start();
    let mut client = gate.connect();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    client.send("body");
    let answer = loop {
        let it = client.response();
        if it.status != 100 {
            break it;
        }
    };
    assert_eq!((answer.status, good.count()), (502, 0));
}

/// 502, 503 and 504 are asked for again, at another endpoint; other answers are answers.
#[test]
fn an_answer_that_says_elsewhere_is_asked_for_elsewhere() {
    for (status, again) in [
        ("500 Internal Server Error", false),
        ("502 Bad Gateway", true),
        ("503 Service Unavailable", true),
        ("504 Gateway Timeout", true),
        ("429 Too Many Requests", false),
    ] {
        let (bad, good) = (Upstream::with_status(status, "bad"), Upstream::answering("fine"));
        let gate = Setup::default().version("v1", &[good.address(), bad.address()]).start();
        let mut client = gate.connect();
        let answer = client.send(GET).response();
        assert_eq!(answer.text(), if again { "fine" } else { "bad" }, "{status}");
        assert_eq!(retries(&gate, "status"), f64::from(u8::from(again)), "{status}");
        // Nothing is left over between two requests of one connection.
        for _ in 0..4 {
            client.get("/");
        }
    }
}

/// One endpoint alone would say the same again.
#[test]
fn an_answer_is_not_asked_for_twice_at_one_endpoint() {
    let bad = Upstream::with_status("503 Service Unavailable", "busy");
    let gate = Setup::to(&bad).start();
    assert_eq!((gate.get("/").text().as_str(), bad.count()), ("busy", 1));
    // And a POST is asked for once anyway.
    let other = Upstream::with_status("503 Service Unavailable", "busy");
    let gate = Setup::default().version("v1", &[bad.address(), other.address()]).start();
    assert_eq!(gate.answer_to(request("POST", "four")).status, 503);
    assert_eq!(bad.count() + other.count(), 2);
}

/// When nothing better comes, the client gets what the version said, not what we make of it.
#[test]
fn the_last_real_answer_is_passed_on_when_all_tries_fail() {
    let bad = Upstream::with_status("503 Service Unavailable", "sorry, back at noon");
    for other in [refusing(), breaking_at()] {
        let gate = Setup::default().version("v1", &[other, bad.address()]).start();
        let mut client = gate.connect();
        for _ in 0..6 {
            let answer = client.get("/");
            assert_eq!((answer.status, answer.error()), (503, None), "{answer:?}");
            assert_eq!(answer.text(), "sorry, back at noon");
            assert!(!answer.closes(), "{answer:?}");
        }
    }
    // A body does not stand in the way of that.
    let gate = Setup::default().version("v1", &[refusing(), bad.address()]).start();
    assert_eq!(gate.answer_to(request("PUT", "four")).text(), "sorry, back at noon");
}

/// Where every answer breaks off, for as long as the tests run.
fn breaking_at() -> std::net::SocketAddr {
    let upstream = Box::leak(Box::new(breaking()));
    upstream.address()
}

/// `attempts` bounds what one request may cost.
#[test]
fn a_request_is_tried_as_often_as_the_file_says() {
    for (retry, tries) in
        [("off", 1), ("{attempts: 0}", 1), ("{}", 2), ("{attempts: 3}", 4), ("{on: connect}", 1)]
    {
        let bad = breaking();
        let gate = Setup::to(&bad).service(format!("retry: {retry}")).start();
        assert_eq!(gate.get("/").status, 502, "{retry}");
        assert_eq!(bad.count(), tries, "{retry}");
    }
}

#[test]
fn a_timeout_is_tried_again_only_if_asked_for() {
    for (retry, status) in [("{}", 504), ("{on: [timeout]}", 200)] {
        let silent = Upstream::start(|peer| {
            peer.request();
            peer.hold();
        });
        let good = Upstream::answering("fine");
        let gate = Setup::default()
            .version("v1", &[good.address(), silent.address()])
            .service(format!("retry: {retry}"))
            .service("timeouts: {head: 200ms}")
            .start();
        assert_eq!(gate.get("/").status, status, "{retry}");
    }
}

/// The client's patience is for the whole exchange, not for each try.
#[test]
fn the_time_of_a_request_is_not_given_twice() {
    let silent: Vec<_> =
        (0..3).map(|_| Upstream::start(|peer| drop((peer.request(), peer.hold())))).collect();
    let addresses: Vec<_> = silent.iter().map(Upstream::address).collect();
    let gate = Setup::default()
        .version("v1", &addresses)
        .service("retry: {on: [timeout], attempts: 5}")
        .service("timeouts: {head: 300ms, request: 500ms}")
        .start();
    let answer = took(ms(400), ms(15_000), || gate.get("/"));
    assert_eq!((answer.status, answer.error()), (504, Some("upstream_timeout")));
    // The first and, after 300 ms, one more: then the time is over.
    let tries: usize = silent.iter().map(Upstream::count).sum();
    assert!(tries <= 2, "{tries}");
}

/// Once the client has seen something of an answer, there is no other.
#[test]
fn an_answer_that_has_begun_is_not_begun_again() {
    let bad = Upstream::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        peer.finish();
    });
    let good = Upstream::answering("fine");
    let gate = Setup::default().version("v1", &[good.address(), bad.address()]).start();
    let mut client = gate.connect();
    let answer = client.send(GET).try_response("GET");
    assert!(answer.is_err() && good.count() == 0, "{answer:?}");
}

/// Sends an interim answer, and resets when the client may have it.
fn hinting() -> Upstream {
    Upstream::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
        std::thread::sleep(ms(50));
        peer.reset();
    })
}

/// An interim answer is none, and there may be more than one.
#[test]
fn an_interim_answer_does_not_keep_a_request_from_another_try() {
    let (bad, good) = (hinting(), Upstream::answering("fine"));
    let gate = Setup::default().version("v1", &[good.address(), bad.address()]).start();
    let answer = gate.connect().send(GET).response();
    assert_eq!((answer.status, answer.interim.len(), good.count()), (200, 1, 1));
    let bad = hinting();
    let trial = Trial::of(&bad, "30% for 1h", &[]);
    let mut client = trial.gate.connect();
    for _ in 0..200 {
        let answer = client.send(GET).response();
        assert_eq!((answer.status, answer.text().as_str()), (200, "one"));
        if !answer.interim.is_empty() {
            break;
        }
    }
    assert_eq!(bad.count(), 1, "the shield covers it");
}

/// A version that fails everything is not given twice the work (the budget is 20 %).
#[test]
fn a_version_in_trouble_is_not_given_more_to_do() {
    let bad = breaking();
    let gate = Setup::to(&bad).start();
    let mut client = gate.connect();
    let sent = 1_000;
    for _ in 0..sent {
        assert_eq!(client.get("/").status, 502);
    }
    let tries = bad.count();
    // A fifth, ten to begin with, and one a second.
    assert!((sent + 150..=sent + 240).contains(&tries), "{tries}");
    let denied = of_v1(&gate, "tidegate_retries_denied_total");
    assert_eq!(retries(&gate, "reset") + denied, sent as f64);
}

/// An endpoint that is not there costs the guards' opinion of its version, and users nothing.
#[test]
fn an_endpoint_that_is_passed_over_is_held_against_its_version() {
    let good = Upstream::answering("fine");
    let gate = Setup::default().version("v1", &[refusing(), good.address()]).service("eject: off").start();
    let mut client = gate.connect();
    for _ in 0..20 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(retries(&gate, "connect"), 10.0);
    let errors = gate.metric("tidegate_upstream_errors_total", &[("version", "v1"), ("kind", "connect")]);
    assert_eq!(errors, 10.0);
}

#[test]
fn a_black_hole_is_passed_over_after_the_connect_timeout() {
    let (hole, good) = (BlackHole::open(), Upstream::answering("fine"));
    let gate = Setup::default()
        .version("v1", &[good.address(), hole.address()])
        .service("timeouts: {connect: 300ms}")
        .start();
    let answer = took(ms(250), ms(15_000), || gate.answer_to(request("POST", "four")));
    assert_eq!(answer.text(), "fine");
    let gate =
        Setup::default().version("v1", &[hole.address()]).service("timeouts: {connect: 300ms}").start();
    let answer = took(ms(250), ms(15_000), || gate.get("/"));
    assert_eq!((answer.status, answer.error()), (504, Some("upstream_connect")));
}

/// Connections that close as they are used again, under many requests: no GET fails, no POST is sent twice.
#[test]
fn kept_connections_that_close_under_requests() {
    let posts = Arc::new(AtomicUsize::new(0));
    let counted = posts.clone();
    let upstream = Upstream::start(move |peer| {
        // Answers a few, takes one more and closes: the worst moment.
        for round in 0.. {
            let Some(request) = peer.request() else { return };
            if request.method() == "POST" {
                counted.fetch_add(1, Ordering::SeqCst);
            }
            if round > 0 && round % (3 + peer.number % 5) == 0 {
                return;
            }
            peer.answer("200 OK", "fine");
        }
    });
    let gate = Setup::to(&upstream).listener("limits: {requests: 100000}").start();
    let mut client = gate.connect();
    for round in 0..10_000 {
        assert_eq!(client.get("/").status, 200, "GET {round}");
    }
    assert!(retries(&gate, "closed") > 100.0);
    let (mut answered, mut races) = (0, 0);
    for _ in 0..500 {
        let answer = client.send(request("POST", "four")).response();
        match answer.status {
            200 => answered += 1,
            502 => races += 1,
            other => panic!("{other}: {answer:?}"),
        }
        assert!(!answer.closes());
    }
    assert_eq!(posts.load(Ordering::SeqCst), answered + races, "each was sent once");
    assert!(races > 10);
    assert_eq!(client.end_within(ms(10)), End::Open);
}

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

/// Answers `one`, and shakes hands with whoever wants to; then it says the first five bytes again.
fn shaking_hands() -> Upstream {
    Upstream::start(|peer| {
        while let Some(request) = peer.request() {
            if !request.head.has("upgrade") {
                peer.answer("200 OK", "one");
                continue;
            }
            peer.send(SWITCHING);
            if let Ok(said) = peer.wire().exactly(5) {
                peer.send(said);
            }
            return;
        }
    })
}

/// Before a handshake is answered there is nothing to lose: it goes again as any GET.
#[test]
fn a_handshake_on_a_connection_that_was_closed_is_sent_again() {
    let upstream = Upstream::start(|peer| {
        for round in 0.. {
            let Some(request) = peer.request() else { return };
            if round > 0 {
                return;
            }
            if request.head.has("upgrade") {
                peer.send(SWITCHING);
                drop(peer.hold());
                return;
            }
            peer.answer("200 OK", "fine");
        }
    });
    let gate = Setup::to(&upstream).workers(1).start();
    assert_eq!(gate.get("/").status, 200);
    let mut client = gate.connect();
    client.send(UPGRADE);
    assert_eq!(client.wire().head().expect("an answer").status(), Some(101));
    assert_eq!((upstream.count(), retries(&gate, "closed")), (3, 1.0));
}

/// Nor is there when the first endpoint resets it: what was sent too early waits for the second one's answer.
#[test]
fn a_handshake_that_is_reset_is_tried_elsewhere() {
    let (bad, good) = (failing("reset"), shaking_hands());
    let gate = Setup::default().version("v1", &[bad.address(), good.address()]).workers(1).start();
    for _ in 0..4 {
        assert_eq!(early_words(&gate), Some(b"early".to_vec()));
    }
    assert!(bad.count() > 0 && good.count() == 4, "{} {}", bad.count(), good.count());
    assert!(retries(&gate, "reset") >= 1.0);
}

/// What comes back through a tunnel for words that were sent with its handshake; `None` if there is no tunnel.
fn early_words(gate: &Gate) -> Option<Vec<u8>> {
    let mut client = gate.connect();
    client.send(format!("{UPGRADE}early"));
    let head = client.wire().head().expect("an answer");
    (head.status() == Some(101)).then(|| client.wire().exactly(5).expect("the words"))
}

/// A release of `bad` at this weight, with what it costs users until it is out, or until `enough`.
struct Trial {
    gate: Gate,
    stable: Upstream,
}

impl Trial {
    fn of(bad: &Upstream, steps: &str, service: &[&str]) -> Self {
        Self::between(Upstream::answering("one"), bad, steps, service)
    }

    fn between(stable: Upstream, bad: &Upstream, steps: &str, service: &[&str]) -> Self {
        let mut setup = Setup::default()
            .version("v1", &[stable.address()])
            .version("v2", &[bad.address()])
            .service(format!("rollout: {{steps: [{steps}]}}"));
        for line in service {
            setup = setup.service(line);
        }
        let mut gate = setup.start();
        gate.edit(|setup| setup.live("v2"));
        gate.reaches("CANARY");
        Self { gate, stable }
    }

    fn of_v2(&self, name: &str) -> f64 {
        self.gate.metric(name, &[("version", "v2")])
    }
}

/// How a version can fail a request without having answered it.
fn failing(how: &'static str) -> Upstream {
    Upstream::start(move |peer| {
        while peer.request().is_some() {
            match how {
                "500" => drop(peer.answer("500 Internal Server Error", "two")),
                "503 and closing" => {
                    peer.send("HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 3\r\n\r\ntwo");
                    return;
                }
                "chunked 500" => {
                    peer.send("HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n");
                }
                "reset" => return peer.reset(),
                "close in the head" => {
                    peer.send("HTTP/1.1 200 OK\r\nContent-");
                    return;
                }
                "garbage" => {
                    peer.send("SSH-2.0-OpenSSH_9.2\r\n\r\n");
                    return;
                }
                "silence" => drop(peer.hold()),
                other => unreachable!("{other}"),
            }
        }
    })
}

/// What is spared is the users, not the version: it gets as many requests until it is out as without a shield.
#[test]
fn a_shield_does_not_keep_a_bad_canary_alive() {
    let until_out = |shield: &str| {
        let bad = failing("500");
        let trial = Trial::of(&bad, "20% for 1h", &[&format!("shield: {shield}")]);
        let (mut client, mut failed) = (trial.gate.connect(), 0);
        while trial.gate.state() != "ROLLED BACK" {
            for _ in 0..5 {
                failed += usize::from(client.get("/").status == 500);
            }
            assert!(bad.count() < 1_000, "{shield}: it is never out");
        }
        (bad.count(), failed)
    };
    let (on, seen_on) = until_out("safe");
    let (off, seen_off) = until_out("off");
    assert_eq!(seen_on, 0);
    assert_eq!(seen_off, off, "each failure was seen");
    // A few more requests may pass before the controller has looked.
    assert!(on <= off * 2 + 10, "{on} requests with a shield, {off} without");
}

/// The canary fails every GET: nobody sees it, and it is out as fast as ever.
#[test]
fn a_canary_that_fails_every_request_costs_nobody_anything() {
    for how in ["500", "503 and closing", "chunked 500", "reset", "close in the head", "garbage", "silence"] {
        let bad = failing(how);
        let trial = Trial::of(&bad, "10% for 1h", &["timeouts: {head: 300ms}"]);
        let load = Load::start(trial.gate.address(), 4, ms(1));
        trial.gate.reaches("ROLLED BACK");
        load.stop().assert_all("200 one");
        let shielded: f64 = ["connect", "reset", "timeout", "protocol", "status"]
            .map(|it| trial.gate.metric("tidegate_shielded_total", &[("version", "v2"), ("reason", it)]))
            .iter()
            .sum();
        assert!((4.0..=60.0).contains(&shielded), "{how}: {shielded}");
        let release = trial.gate.release();
        assert_eq!(release["quarantined"][0]["version"], "v2", "{how}: {release:#}");
        assert!(trial.of_v2("tidegate_requests_total") >= shielded, "{how}: charged all the same");
    }
}

/// A handshake is a GET, and nothing that follows it goes out before it is answered.
#[test]
fn a_canary_that_fails_every_handshake_costs_nobody_anything() {
    for how in ["500", "503 and closing", "chunked 500", "reset", "close in the head", "garbage", "silence"] {
        let bad = failing(how);
        let trial = Trial::between(shaking_hands(), &bad, "20% for 1h", &["timeouts: {head: 300ms}"]);
        for count in 0.. {
            assert_eq!(early_words(&trial.gate), Some(b"early".to_vec()), "{how}");
            if trial.gate.state() == "ROLLED BACK" {
                break;
            }
            assert!(count < 1_000, "{how}: it is never out");
        }
        assert!(bad.count() >= 4, "{how}: {}", bad.count());
        assert!(trial.of_v2("tidegate_requests_total") >= 4.0, "{how}: charged all the same");
    }
}

/// The whole of the traffic, without a step before: even that costs no user an answer.
#[test]
fn a_flip_to_a_dead_version_costs_nobody_anything() {
    let (one, dead) = (Upstream::answering("one"), failing("500"));
    let mut gate =
        Setup::default().version("v1", &[one.address()]).version("v2", &[dead.address()]).workers(2).start();
    let load = Load::start(gate.address(), 4, ms(2));
    until("traffic flows", || (load.sent() > 100).then_some(()));
    gate.edit(|setup| setup.live("v2"));
    gate.reaches("ROLLED BACK");
    load.stop().assert_all("200 one");
    assert!(dead.count() > 0);
}

/// Whoever may not be asked twice gets what the canary said, unless nobody was there to be asked.
#[test]
fn the_shield_covers_what_the_file_says() {
    for (shield, method, covered) in [
        ("safe", "GET", true),
        ("safe", "PUT", false),
        ("safe", "POST", false),
        ("idempotent", "PUT", true),
        ("idempotent", "DELETE", true),
        ("idempotent", "POST", false),
        ("off", "GET", false),
        ("{covers: idempotent, budget: 50%}", "PUT", true),
    ] {
        let bad = failing("500");
        let shield = format!("shield: {shield}");
        let trial = Trial::of(&bad, "50% for 1h", &[&shield, "retry: off"]);
        let text = if method == "GET" { GET.to_owned() } else { request(method, "four") };
        let mut client = trial.gate.connect();
        let mut before = 0;
        let answer = loop {
            let answer = client.send(&text).response();
            // Until a request was the canary's.
            if std::mem::replace(&mut before, bad.count()) < bad.count() {
                break answer;
            }
        };
        assert_eq!(answer.text(), if covered { "one" } else { "two" }, "{shield} {method}");
        if covered && method != "GET" {
            assert_eq!(trial.stable.last_request().body, b"four", "{shield} {method}");
        }
    }
}

/// Its endpoint vanishes: the canary's share goes to stable, whatever is asked, and counts against it.
#[test]
fn a_canary_that_is_not_there_is_charged_and_nobody_notices() {
    for shield in ["safe", "{covers: safe, budget: 0.01%}"] {
        let two = Upstream::answering("two");
        let trial = Trial::of(&two, "20% for 1h", &[&format!("shield: {shield}")]);
        two.stop_listening();
        drop(two);
        let mut client = trial.gate.connect();
        let mut out = false;
        for _ in 0..2_000 {
            let answers = [
                client.get("/"),
                client.send(request("POST", "four")).response(),
                client.send(UPGRADE).response(),
            ];
            for answer in answers {
                // A POST on a connection that was kept may be lost with it.
                assert!(answer.text() == "one" || answer.error() == Some("upstream_reset"), "{answer:?}");
            }
            out = trial.gate.weight("v2") == 0.0;
            if out {
                break;
            }
        }
        assert!(out, "{shield}: {:#}", trial.gate.release());
        assert_eq!(trial.gate.state(), "ROLLED BACK");
        let connect = [("version", "v2"), ("reason", "connect")];
        assert!(trial.gate.metric("tidegate_shielded_total", &connect) >= 4.0);
    }
}

/// The other way round nothing goes: what stable fails is never the canary's.
#[test]
fn the_share_of_stable_never_goes_to_the_canary() {
    let two = Upstream::answering("two");
    let trial = Trial::of(&two, "1% for 1h", &[]);
    trial.stable.stop_listening();
    drop(trial.stable);
    let before = two.count();
    let load = Load::start(trial.gate.address(), 2, Duration::ZERO);
    until("traffic", || (load.sent() > 1_000).then_some(()));
    let tally = load.stop();
    assert_eq!(tally.count("502") + tally.count("200 two"), tally.total(), "{tally:?}");
    assert_eq!(tally.count("200 two"), (two.count() - before) as u64);
    assert!(tally.count("200 two") < tally.total() / 20, "{tally:?}");
}

/// Testers and whoever is pinned want to see what the version answers.
#[test]
fn what_is_pinned_is_not_shielded() {
    let bad = failing("500");
    let pin = "pin: [{when: {header: {x-group: beta}}, to: v2}]";
    let trial = Trial::of(&bad, "1% for 1h", &[pin]);
    for _ in 0..30 {
        let answer = trial.gate.answer_to("GET / HTTP/1.1\r\nHost: a\r\nX-Group: beta\r\n\r\n");
        assert_eq!((answer.status, answer.text().as_str()), (500, "two"));
    }
    assert_eq!(trial.gate.state(), "CANARY");
}

/// Beyond the budget users see what there is, so that stable is not asked to carry two.
#[test]
fn the_shield_has_a_budget() {
    let bad = failing("500");
    let guard = "rollout: {steps: [50% for 1h], guard: off}";
    let trial = Trial::of(&bad, "50% for 1h", &[guard, "shield: {budget: 10%}"]);
    let mut client = trial.gate.connect();
    let mut failed = 0;
    for _ in 0..1_000 {
        failed += usize::from(client.get("/").status == 500);
    }
    let tried = bad.count();
    // A hundred to begin with, and a tenth of what follows.
    let covered = tried - failed;
    assert!((100..=110 + tried / 10).contains(&covered), "{covered} of {tried}");
    assert_eq!(trial.of_v2("tidegate_shields_denied_total"), failed as f64);
    assert_eq!(trial.gate.state(), "CANARY");
}

/// Stable has nothing to say either: then the canary's own words are worth more than ours.
#[test]
fn a_real_answer_of_the_canary_is_better_than_none() {
    let bad = failing("500");
    let trial = Trial::of(&bad, "50% for 1h", &["rollout: {steps: [50% for 1h], guard: off}"]);
    trial.stable.stop_listening();
    drop(trial.stable);
    let mut client = trial.gate.connect();
    let answers: Vec<_> = (0..40).map(|_| client.get("/")).collect();
    assert!(
        answers.iter().all(|it| it.text() == "two" || it.error() == Some("upstream_connect")),
        "{answers:?}"
    );
    assert!(answers.iter().any(|it| it.text() == "two"));
}

/// An answer that has begun is the canary's for good.
#[test]
fn an_answer_that_breaks_off_is_not_shielded() {
    let bad = Upstream::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    });
    let trial = Trial::of(&bad, "50% for 1h", &["rollout: {steps: [50% for 1h], guard: off}"]);
    let mut broken = 0;
    for _ in 0..40 {
        let got = trial.gate.connect().send(GET).try_response("GET");
        match got {
            Ok(answer) => assert_eq!(answer.text(), "one"),
            Err(how) => {
                assert!(matches!(how, Broken::Ended(_) | Broken::Reset), "{how:?}");
                broken += 1;
            }
        }
    }
    assert!(broken > 0);
}

/// A rehearsal: a version that is fine is made to fail on purpose, and goes back as if it had failed by itself.
#[test]
fn a_fault_that_was_asked_for_rolls_a_release_back() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let route = "routes: [{to: shop, fault: {abort: {status: 503, share: 100%}, to: v2}}]";
    let rollout = "rollout: {steps: [50% for 1h]}";
    let setup = Setup::to(&one).version("v2", &[two.address()]).service(rollout).top(route);
    let mut gate = setup.start();
    gate.reload(|setup| setup.live("v2"));
    let mut client = gate.connect();
    until("it is rolled back", || {
        let answer = client.get("/");
        assert_eq!((answer.status, answer.text().as_str()), (200, "one"), "the shield answers");
        (gate.state() == "ROLLED BACK").then_some(())
    });
    assert_eq!(two.count(), 0, "what is aborted is not sent");
}

#[test]
fn a_share_of_a_route_fails_or_takes_longer_on_purpose() {
    let upstream = Upstream::answering("fine");
    let abort = "fault: {abort: {status: 418, share: 50%}}";
    let delay = "fault: {delay: {time: 300ms, share: 100%}}";
    let routes = format!("routes: [{{to: shop, {abort}}}, {{match: {{path: /slow}}, to: shop, {delay}}}]");
    let gate = Setup::to(&upstream).top(routes).start();
    let mut client = gate.connect();
    let mut aborted = 0;
    for _ in 0..200 {
        let answer = client.get("/");
        match answer.status {
            200 => assert_eq!((answer.text().as_str(), answer.error()), ("fine", None)),
            418 => {
                assert_eq!(answer.error(), Some("fault"));
                aborted += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert!((60..140).contains(&aborted), "{aborted} of 200, where half were asked for");
    let began = std::time::Instant::now();
    assert_eq!(client.get("/slow").text(), "fine");
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
}
