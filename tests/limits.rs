//! Every limit and every clock, from both sides of its line.
#![allow(clippy::disallowed_methods, reason = "real programs in real time")]

#[path = "limits/places.rs"]
mod places;
mod support;

use std::time::{Duration, Instant};

use support::upstream::BlackHole;
use support::wait::took;
use support::{Broken, Client, End, Gate, Setup, Upstream, until};

const LONG: Duration = Duration::from_secs(10);

fn ms(it: u64) -> Duration {
    Duration::from_millis(it)
}

/// The status of the answer to `request`, after which the connection must end.
#[track_caller]
fn refused(gate: &Gate, request: impl AsRef<[u8]>) -> u16 {
    let mut client = gate.connect();
    let _ = client.offer(request);
    let answer = client.response();
    assert!(answer.closes(), "{answer:?}");
    assert_eq!(client.end(), End::Closed);
    answer.status
}

fn head_of(bytes: usize) -> String {
    let start = "GET / HTTP/1.1\r\nHost: a\r\n";
    let mut head = start.to_owned();
    let line = format!("X-Pad: {}\r\n", "p".repeat(2000));
    while head.len() + line.len() + 64 < bytes {
        head += &line;
    }
    let left = bytes - head.len() - "X: \r\n\r\n".len();
    format!("{head}X: {}\r\n\r\n", "q".repeat(left))
}

#[test]
fn a_head_may_be_as_large_as_the_limit_and_no_larger() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    assert_eq!(gate.answer_to(head_of(16 * 1024)).status, 200);
    assert_eq!(refused(&gate, head_of(16 * 1024 + 1)), 431);
    assert_eq!(
        refused(&gate, format!("GET / HTTP/1.1\r\nHost: a\r\n{}: x\r\n\r\n", "n".repeat(100_000))),
        431
    );
    // Without an end in sight it is refused as soon as the limit is passed.
    assert_eq!(refused(&gate, format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "q".repeat(17_000))), 431);
    assert_eq!(upstream.count(), 1);
    let small = Setup::to(&upstream).listener("limits: {head: 1KiB}").start();
    assert_eq!(small.answer_to(head_of(1024)).status, 200);
    assert_eq!(refused(&small, head_of(1025)), 431);
}

#[test]
fn a_head_may_have_as_many_lines_as_the_limit_and_no_more() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let request = |lines: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(lines - 1));
    assert_eq!(gate.answer_to(request(100)).status, 200);
    assert_eq!(refused(&gate, request(101)), 431);
    let small = Setup::to(&upstream).listener("limits: {headers: 5}").start();
    assert_eq!(small.answer_to(request(5)).status, 200);
    assert_eq!(refused(&small, request(6)), 431);
}

#[test]
fn a_target_may_be_as_long_as_the_limit_and_no_longer() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let request = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "u".repeat(length - 1));
    assert_eq!(gate.answer_to(request(8 * 1024)).status, 200);
    assert_eq!(refused(&gate, request(8 * 1024 + 1)), 414);
    assert_eq!(refused(&gate, request(60_000)), 414);
    let small = Setup::to(&upstream).listener("limits: {uri: 100}").start();
    assert_eq!(small.answer_to(request(100)).status, 200);
    assert_eq!(refused(&small, request(101)), 414);
}

#[test]
fn methods_are_known_or_short() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let request = |method: &str| format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
        assert_eq!(gate.answer_to(request(method)).status, 200, "{method}");
    }
    assert_eq!(refused(&gate, request(&"M".repeat(33))), 501);
    assert_eq!(upstream.count(), 7);
}

#[test]
fn a_body_may_be_as_large_as_the_limit_and_no_larger() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).service("limits: {body: 1KiB}").start();
    let sized = |length: usize| {
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{}", "b".repeat(length))
    };
    assert_eq!(gate.answer_to(sized(1024)).status, 200);
    assert_eq!(refused(&gate, sized(1025)), 413);
    assert_eq!(upstream.count(), 1, "a length that is too large never reaches the upstream");
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn a_body_without_a_length_is_cut_at_the_limit() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).service("limits: {body: 1KiB}").start();
    let chunk = format!("100\r\n{}\r\n", "b".repeat(256));
    let start = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(gate.answer_to(format!("{start}{}0\r\n\r\n", chunk.repeat(4))).status, 200);
    let mut client = gate.connect();
    client.send(format!("{start}{}1\r\nb\r\n0\r\n\r\n", chunk.repeat(4)));
    let answer = client.response();
    assert_eq!((answer.status, answer.error()), (413, Some("limit")));
    assert_eq!(client.end(), End::Closed);
    assert_eq!(upstream.count(), 1, "the cut upload must not look whole");
    until("the cut upload is closed upstream", || {
        let ended = (0..upstream.connections()).filter(|it| upstream.end_of(*it).is_some()).count();
        (ended >= 1).then_some(())
    });
}

#[test]
fn a_response_head_has_limits() {
    let size = |bytes: usize| {
        let start = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
        format!("{start}X: {}\r\n\r\n", "r".repeat(bytes - start.len() - "X: \r\n\r\n".len()))
    };
    let lines = |count: usize| {
        format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{}\r\n", "X: y\r\n".repeat(count - 1))
    };
    for (answer, settings, status) in [
        (size(32 * 1024), "", 200),
        (size(32 * 1024 + 1), "", 502),
        (lines(100), "", 200),
        (lines(101), "", 502),
        (size(1024), "limits: {response_head: 1KiB}", 200),
        (size(1025), "limits: {response_head: 1KiB}", 502),
        (lines(6), "limits: {response_headers: 5}", 502),
    ] {
        let upstream = Upstream::raw(answer.clone());
        let setup = Setup::to(&upstream);
        let setup = if settings.is_empty() { setup } else { setup.service(settings) };
        let got = setup.start().get("/").status;
        assert_eq!(got, status, "{} bytes, {} lines, {settings}", answer.len(), answer.lines().count());
    }
}

#[test]
fn interim_responses_have_a_limit() {
    let upstream = Upstream::start(|peer| {
        while let Some(request) = peer.request() {
            let count: usize = request.target()[1..].parse().unwrap();
            peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(count));
            peer.answer("200 OK", "fine");
        }
    });
    let gate = Setup::to(&upstream).start();
    let answer = gate.get("/8");
    assert_eq!((answer.status, answer.interim.len()), (200, 8));
    assert_eq!(gate.get("/9").status, 502);
    assert_eq!(gate.get("/50").status, 502);
    let strict = Setup::to(&upstream).service("limits: {interim: 1}").start();
    assert_eq!(strict.get("/1").status, 200);
    assert_eq!(strict.get("/2").status, 502);
}

/// Progress does not help: the limit is for the whole head.
#[test]
fn a_slow_head_is_ended_at_an_absolute_time() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener("timeouts: {head: 600ms}").start();
    let mut client = gate.connect();
    let start = Instant::now();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX: ");
    while start.elapsed() < LONG && client.end_within(ms(50)) == End::Open {
        if client.offer("s").is_err() {
            break;
        }
    }
    let answer = client.response();
    assert_eq!(answer.status, 408);
    assert!(answer.closes());
    assert_eq!(client.end(), End::Closed);
    assert!(start.elapsed() >= ms(500) && start.elapsed() < LONG, "{:?}", start.elapsed());
    assert_eq!(upstream.raw_bytes().concat(), "");
}

#[test]
fn a_slow_second_head_is_ended_too() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener("timeouts: {head: 500ms, idle: 20s}").start();
    let mut client = gate.connect();
    client.get("/");
    client.send("GET / HTTP/1.1\r\nHo");
    let answer = took(ms(400), LONG, || client.response());
    assert_eq!((answer.status, client.end()), (408, End::Closed));
}

/// Whoever says nothing at all is not answered either: nobody asked.
#[test]
fn a_silent_connection_is_closed_without_a_word() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener("timeouts: {head: 400ms}").start();
    let mut clients: Vec<Client> = (0..20).map(|_| gate.connect()).collect();
    took(ms(300), LONG, || {
        for client in &mut clients {
            assert_eq!(client.end(), End::Closed);
        }
    });
    let lines = gate.log().lines().filter(|it| it.contains("127.0.0.1:")).count();
    assert!(lines < 5, "port scans flood the log:\n{}", gate.log());
}

#[test]
fn an_idle_connection_is_closed() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener("timeouts: {idle: 500ms, head: 20s}").start();
    let mut client = gate.connect();
    client.get("/");
    took(ms(400), LONG, || assert_eq!(client.end(), End::Closed));
}

#[test]
fn silence_in_the_middle_of_a_body_ends_the_request() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener("timeouts: {body: 500ms}").start();
    for start in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let mut client = gate.connect();
        client.send(start);
        let answer = took(ms(400), LONG, || client.response());
        assert_eq!((answer.status, client.end()), (408, End::Closed), "{start:?}");
    }
    assert_eq!(upstream.count(), 0);
    until("the upstream's slots are free again", || (upstream.busy() == 0).then_some(()));
}

/// Steady drops keep every idle clock quiet, so the rate has one of its own: it is judged once the
/// body is ten seconds old.
#[test]
fn a_body_that_drips_is_ended() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener("timeouts: {body: 5s}").start();
    let mut client = gate.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(25) && client.end_within(ms(100)) == End::Open {
        if client.offer("d").is_err() {
            break;
        }
    }
    let answer = client.response();
    assert_eq!((answer.status, client.end()), (408, End::Closed));
    assert!(start.elapsed() >= Duration::from_secs(9), "{:?}", start.elapsed());
    until("the upstream's slot is free again", || (upstream.busy() == 0).then_some(()));
}

#[test]
fn a_body_that_drips_may_be_allowed() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener("timeouts: {body: 5s}, limits: {body_rate: 0}").start();
    let mut client = gate.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 120\r\n\r\n");
    for _ in 0..120 {
        assert_eq!(client.end_within(ms(100)), End::Open);
        client.send("d");
    }
    assert_eq!(client.response().status, 200);
}

/// A client that asks for much and takes nothing holds neither memory nor the upstream.
#[test]
fn a_response_that_nobody_takes_is_ended() {
    let upstream = Upstream::start(|peer| {
        peer.request();
        let total = 64 << 20;
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n"));
        let piece = vec![b'r'; 1 << 16];
        for _ in 0..total / piece.len() {
            if !peer.send(&piece) {
                break;
            }
        }
        peer.hold();
    });
    let gate = Setup::to(&upstream).listener("timeouts: {write: 700ms}").start();
    gate.admin("/readyz");
    let memory = gate.memory();
    let mut client = Client::connect_narrow(gate.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let start = Instant::now();
    until("the upstream is let go", || upstream.end_of(0));
    assert!(start.elapsed() >= ms(600), "{:?}", start.elapsed());
    let grown = gate.memory().saturating_sub(memory);
    assert!(grown < 8 << 20, "grew by {grown} bytes");
    assert!(client.try_response("GET").is_err(), "a cut response looked whole");
}

#[test]
fn a_connection_ends_after_its_requests() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener("limits: {requests: 3}").start();
    let mut client = gate.connect();
    assert!(!client.get("/").closes());
    assert!(!client.get("/").closes());
    let last = client.get("/");
    assert!(last.closes(), "the last one says so: {last:?}");
    assert_eq!((last.status, client.end()), (200, End::Closed));
}

#[test]
fn a_connection_ends_at_its_age() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener("limits: {age: 600ms}").start();
    let mut client = gate.connect();
    let start = Instant::now();
    let mut answers = 0;
    loop {
        match client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").try_response("GET") {
            Ok(answer) => {
                answers += 1;
                assert_eq!(answer.status, 200);
                if answer.closes() {
                    break;
                }
            }
            Err(broken) => panic!("closed without an announcement: {broken:?}"),
        }
        std::thread::sleep(ms(10));
    }
    assert!(answers > 2);
    assert!(start.elapsed() >= ms(500) && start.elapsed() < LONG, "{:?}", start.elapsed());
    assert_eq!(client.end(), End::Closed);
}

#[test]
fn a_connection_that_is_not_taken_is_given_up() {
    let hole = BlackHole::open();
    let gate =
        Setup::default().version("v1", &[hole.address()]).service("timeouts: {connect: 400ms}").start();
    let answer = took(ms(350), LONG, || gate.get("/"));
    assert_eq!((answer.status, answer.error()), (504, Some("upstream_connect")));
}

#[test]
fn by_default_a_connection_is_given_up_after_two_seconds() {
    let hole = BlackHole::open();
    let gate = Setup::default().version("v1", &[hole.address()]).start();
    let answer = took(ms(1900), LONG, || gate.get("/"));
    assert_eq!(answer.status, 504);
}

#[test]
fn a_response_that_does_not_begin_is_given_up() {
    let upstream = Upstream::start(|peer| {
        peer.request();
        peer.hold();
    });
    let gate = Setup::to(&upstream).service("timeouts: {head: 400ms}").start();
    let mut client = gate.connect();
    let answer = took(ms(350), LONG, || client.get("/"));
    assert_eq!((answer.status, answer.error()), (504, Some("upstream_timeout")));
    assert_eq!(upstream.count(), 1, "a timeout is no reason to ask again");
    until("the upstream is let go", || upstream.end_of(0));
}

/// Half a head is not a response, and dripping it does not help.
#[test]
fn a_response_head_that_drips_is_given_up() {
    let upstream = Upstream::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nX: ");
        while peer.send("d") {
            std::thread::sleep(ms(50));
        }
    });
    let gate = Setup::to(&upstream).service("timeouts: {head: 500ms}").start();
    let answer = took(ms(400), LONG, || gate.get("/"));
    assert_eq!((answer.status, answer.error()), (504, Some("upstream_timeout")));
}

#[test]
fn a_response_that_stalls_in_the_middle_is_cut() {
    for start in ["Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let upstream = Upstream::start(move |peer| {
            peer.request();
            peer.send(format!("HTTP/1.1 200 OK\r\n{start}"));
            peer.hold();
        });
        let gate = Setup::to(&upstream).service("timeouts: {idle: 500ms}").start();
        let mut client = gate.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let got = took(ms(400), LONG, || client.try_response("GET"));
        assert!(matches!(got, Err(Broken::Ended(_) | Broken::Reset)), "{got:?}");
        until("the upstream is let go", || upstream.end_of(0));
    }
}

/// A version that takes nothing of an upload holds neither the client nor the memory.
#[test]
fn an_upload_that_nobody_takes_is_given_up() {
    let latch = support::upstream::Latch::default();
    let opened = latch.clone();
    let upstream = Upstream::start(move |_| {
        opened.pass();
    });
    let gate = Setup::to(&upstream).service("timeouts: {idle: 600ms}").start();
    let memory = gate.memory();
    let mut client = gate.connect();
    client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 1 << 30));
    let mut stream = client.wire().stream().try_clone().expect("a second handle");
    let writing = std::thread::spawn(move || {
        let piece = vec![b'u'; 1 << 16];
        while std::io::Write::write_all(&mut stream, &piece).is_ok() {}
    });
    let answer = took(ms(500), LONG, || client.response());
    assert_eq!((answer.status, answer.error()), (504, Some("upstream_timeout")));
    let grown = gate.memory().saturating_sub(memory);
    assert!(grown < 8 << 20, "grew by {grown} bytes");
    writing.join().expect("no panic");
    latch.open();
}

#[test]
fn a_whole_exchange_may_have_a_limit() {
    let upstream = Upstream::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while peer.send("1\r\nd\r\n") {
            std::thread::sleep(ms(50));
        }
    });
    let gate = Setup::to(&upstream).service("timeouts: {request: 600ms}").start();
    let mut client = gate.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let got = took(ms(500), LONG, || client.try_response("GET"));
    assert!(got.is_err(), "{got:?}");
}

/// Anybody can be slow: that ejects no endpoint, fails no canary, and is not what the version is charged with.
#[test]
fn the_time_for_a_whole_exchange_is_not_held_against_the_version_when_the_client_takes_it() {
    let version = || {
        Upstream::start(|peer| {
            while let Some(head) = peer.head() {
                if head.start.starts_with("GET /much") {
                    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n");
                    let piece = vec![b'm'; 1 << 16];
                    while peer.send(&piece) {}
                    return;
                }
                if peer.rest_of(head).is_none() {
                    return;
                }
                peer.answer("200 OK", "fine");
            }
        })
    };
    let (one, two) = (version(), version());
    let gate = Setup::default()
        .version("v1", &[one.address(), two.address()])
        .service("timeouts: {request: 700ms}")
        .service("eject: {failures: 3}")
        .start();
    let uploads: Vec<_> = (0..8)
        .map(|_| {
            let mut client = gate.connect();
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
            client
        })
        .collect();
    let downloads: Vec<_> = (0..8)
        .map(|_| {
            let mut client = Client::connect_narrow(gate.address());
            client.send("GET /much HTTP/1.1\r\nHost: a\r\n\r\n");
            client
        })
        .collect();
    for mut client in uploads {
        let answer = client.response();
        assert_eq!((answer.status, answer.error(), client.end()), (408, Some("limit"), End::Closed));
    }
    let rejected = |why| gate.metric("tidegate_rejected_total", &[("reason", why)]);
    until("the downloads are cut", || (rejected("write_timeout") >= 8.0).then_some(()));
    drop(downloads);
    assert_eq!(rejected("body_timeout"), 8.0);
    assert_eq!(gate.metric("tidegate_upstream_errors_total", &[]), 0.0);
    assert_eq!(gate.metric("tidegate_ejections_total", &[]), 0.0);
    assert_eq!(gate.get("/").status, 200);
}

/// A client that takes most of the time leaves the version too little to be charged with the rest.
#[test]
fn a_version_that_has_had_no_time_is_not_late() {
    let upstream = Upstream::start(|peer| drop((peer.request(), peer.hold())));
    let gate = Setup::to(&upstream).service("timeouts: {request: 1500ms}").start();
    let mut client = gate.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf");
    assert_eq!(client.end_within(ms(1100)), End::Open);
    client.send("half");
    assert_eq!(client.response().status, 408);
    let errors = || gate.metric("tidegate_upstream_errors_total", &[]);
    assert_eq!(errors(), 0.0);
    // With all of the time it is.
    assert_eq!(gate.get("/").status, 504);
    assert_eq!(errors(), 1.0);
}

/// An unused connection is closed by us before the upstream closes it on us.
#[test]
fn an_unused_upstream_connection_is_closed() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).service("timeouts: {keep_alive: 400ms}").start();
    gate.get("/");
    took(ms(300), LONG, || until("the unused connection is closed", || upstream.end_of(0)));
    assert_eq!(gate.get("/").status, 200);
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn connections_of_one_address_are_limited() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener("limits: {connections_per_address: 3}").start();
    check_connection_limit(&gate);
}

#[test]
fn connections_of_a_listener_are_limited() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener("limits: {connections: 3}").start();
    check_connection_limit(&gate);
}

fn check_connection_limit(gate: &Gate) {
    let mut inside: Vec<Client> = (0..3)
        .map(|_| {
            let mut client = gate.connect();
            assert_eq!(client.get("/").status, 200);
            client
        })
        .collect();
    let mut outside = gate.connect();
    let _ = outside.offer("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    match outside.try_response("GET") {
        Ok(answer) => assert_eq!(answer.status, 503),
        Err(broken) => assert!(matches!(broken, Broken::Ended(_) | Broken::Reset), "{broken:?}"),
    }
    assert!(gate.metric("tidegate_rejected_total", &[]) >= 1.0, "{}", gate.metrics());
    assert_eq!(inside[0].get("/").status, 200, "those inside are not disturbed");
    drop(inside.pop());
    until("a place is free again", || {
        let mut client = gate.connect();
        client.offer("GET / HTTP/1.1\r\nHost: a\r\n\r\n").ok()?;
        client.try_response("GET").ok().filter(|it| it.status == 200)
    });
}

#[test]
fn refusals_are_counted_by_reason() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    refused(&gate, head_of(17_000));
    refused(&gate, "GET / HTTP/1.1\r\n\r\n");
    let text = gate.metrics();
    assert!(gate.metric("tidegate_rejected_total", &[("listener", "http")]) >= 2.0, "{text}");
    let reasons = text.lines().filter(|it| it.starts_with("tidegate_rejected_total") && !it.ends_with(" 0"));
    assert!(reasons.count() >= 2, "{text}");
}
