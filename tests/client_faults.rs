//! Clients that are slow, go away, or lie about what they send.

mod support;

use std::time::Duration;

use support::upstream::{BlackHole, Latch};
use support::{Broken, Client, End, Gate, Setup, Upstream, until};

fn ms(it: u64) -> Duration {
    Duration::from_millis(it)
}

/// A request is over for the counters when nothing is in flight any more.
#[track_caller]
fn settle(gate: &Gate) {
    until("no request in flight", || {
        (gate.metric("tidegate_requests_in_flight", &[("service", "shop")]) == 0.0).then_some(())
    });
}

/// Failures charged to the version.
fn charged(gate: &Gate) -> f64 {
    let errors = gate.metric("tidegate_upstream_errors_total", &[("service", "shop")]);
    let text = gate.metrics();
    let codes =
        text.lines().filter(|it| it.starts_with("tidegate_requests_total{") && it.contains("code=\"5"));
    errors + codes.filter_map(|it| it.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
}

#[test]
fn a_client_that_leaves_cancels_its_request_and_the_version_is_not_charged() {
    let upstream = Upstream::start(|peer| {
        if let Some(head) = peer.head() {
            peer.note(&head);
            peer.hold();
        }
    });
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    until("the request is upstream", || (upstream.count() == 1).then_some(()));
    client.reset();
    until("the upstream is let go", || upstream.end_of(0));
    settle(&gate);
    assert_eq!(charged(&gate), 0.0, "{}", gate.metrics());
}

/// A client that closed looks like one that has only finished sending, until something is written to
/// it. The answer then stops at once, and the version is not charged.
/// Whatever is waited for on its behalf: a connection, or a delay that was asked for.
#[test]
fn a_client_that_leaves_before_its_request_was_sent_is_waited_for_no_longer() {
    let (hole, upstream) = (BlackHole::open(), Upstream::answering("fine"));
    let delay = "routes: [{to: shop, fault: {delay: {time: 60s, share: 100%}}}]";
    for setup in [
        Setup::default().version("v1", &[hole.address()]).service("timeouts: {connect: 60s}"),
        Setup::to(&upstream).top(delay),
    ] {
        let gate = setup.start();
        let mut client = gate.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        until("it is under way", || {
            (gate.metric("tidegate_requests_in_flight", &[("service", "shop")]) == 1.0).then_some(())
        });
        client.reset();
        settle(&gate);
        assert_eq!(charged(&gate), 0.0);
    }
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_client_that_closed_is_noticed_with_the_first_bytes_of_the_answer() {
    let latch = Latch::default();
    let opened = latch.clone();
    let upstream = Upstream::start(move |peer| {
        peer.request();
        opened.pass();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        while peer.send(&chunk) {}
    });
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    until("the request is upstream", || (upstream.count() == 1).then_some(()));
    drop(client);
    latch.open();
    until("the upstream is let go", || (upstream.busy() == 0).then_some(()));
    settle(&gate);
    assert_eq!(charged(&gate), 0.0, "{}", gate.metrics());
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_response_cancels_it() {
    let upstream = Upstream::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
        peer.hold();
    });
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.wire().head().expect("a head");
    client.reset();
    until("the upstream is let go", || upstream.end_of(0));
    settle(&gate);
    assert_eq!(charged(&gate), 0.0, "{}", gate.metrics());
}

#[test]
fn a_client_that_leaves_in_the_middle_of_an_upload_aborts_it() {
    for (start, finish) in [
        ("Content-Length: 10\r\n\r\nhalf", true),
        ("Content-Length: 10\r\n\r\nhalf", false),
        ("Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", true),
        ("Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", false),
    ] {
        let upstream = Upstream::answering("fine");
        let gate = Setup::to(&upstream).start();
        let mut client = gate.connect();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{start}"));
        until("the upload has begun", || upstream.raw_bytes().concat().contains("half").then_some(()));
        if finish {
            client.finish();
            // Half a body cannot be answered with success.
            match client.try_response("POST") {
                Ok(answer) => assert_eq!(answer.status, 400),
                Err(broken) => assert!(matches!(broken, Broken::Ended(_) | Broken::Reset), "{broken:?}"),
            }
        } else {
            client.reset();
        }
        until("the upload is aborted upstream", || upstream.end_of(0));
        assert_eq!(upstream.count(), 0, "half an upload looked whole");
        settle(&gate);
        assert_eq!(charged(&gate), 0.0, "{}", gate.metrics());
    }
}

/// Whoever has said everything may stop talking and still be answered.
#[test]
fn a_client_that_stops_sending_is_still_answered() {
    for request in
        ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"]
    {
        let latch = Latch::default();
        let opened = latch.clone();
        let upstream = Upstream::start(move |peer| {
            while peer.request().is_some() {
                opened.pass();
                peer.answer("200 OK", "late");
            }
        });
        let gate = Setup::to(&upstream).start();
        let mut client = gate.connect();
        client.send(request).finish();
        until("the request is upstream", || (upstream.count() == 1).then_some(()));
        assert_eq!(client.end_within(ms(200)), End::Open);
        latch.open();
        assert_eq!(client.response().text(), "late");
        assert_eq!(client.end(), End::Closed);
    }
}

#[test]
fn thousands_of_aborts_leave_nothing_behind() {
    let upstream = Upstream::start(|peer| {
        while let Some(head) = peer.head() {
            if head.start.contains("/slow") {
                peer.hold();
                return;
            }
            if peer.rest_of(head).is_none() || !peer.answer("200 OK", &"x".repeat(200_000)) {
                return;
            }
        }
    });
    let gate = Setup::to(&upstream).start();
    let starts = [
        "",
        "GET / HT",
        "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    let abort = |round: usize| {
        let mut client = gate.connect();
        client.send(starts[round % starts.len()]);
        if round.is_multiple_of(3) {
            let _ = client.end_within(ms(1));
        }
        if round.is_multiple_of(2) { client.reset() } else { drop(client) }
    };
    // Several at a time, until nobody is left.
    let abort_all = |rounds: std::ops::Range<usize>| {
        std::thread::scope(|scope| {
            for lane in 0..8 {
                let (rounds, abort) = (rounds.clone(), &abort);
                scope.spawn(move || rounds.skip(lane).step_by(8).for_each(abort));
            }
        });
        settle(&gate);
        assert_eq!(gate.get("/").status, 200);
    };
    // What so many at once take is there after the first thousand.
    abort_all(0..1_000);
    let (sockets, memory) = (gate.sockets(), gate.memory());
    abort_all(1_000..10_000);
    until("no connection is left behind", || (gate.sockets() <= sockets + 8).then_some(()));
    assert!(gate.log().lines().count() < 50, "aborts flood the log:\n{}", gate.log());
    let grown = gate.memory().saturating_sub(memory);
    assert!(grown < 16 << 20, "grew by {grown} bytes");
    until("every aborted request is let go upstream", || (upstream.busy() <= 8).then_some(()));
    assert_eq!(charged(&gate), 0.0, "{}", gate.metrics());
}

/// Connections that send nothing, or stay half-way, do not disturb those that work.
#[test]
fn parked_connections_do_not_disturb_others() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let parked: Vec<Client> = (0..300)
        .map(|it| {
            let mut client = gate.connect();
            if it % 2 == 0 {
                client.send("GET / HTTP/1.1\r\nHost: a\r\nX: ");
            }
            client
        })
        .collect();
    let mut client = gate.connect();
    for _ in 0..200 {
        assert_eq!(client.get("/").status, 200);
    }
    drop(parked);
}

#[test]
fn a_binary_greeting_is_answered_400_and_closed() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    for greeting in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\n\r\n\x00\r\nQUIT\n",
        b"\x00\x00\x00\x00",
    ] {
        let mut client = gate.connect();
        client.send(greeting);
        match client.try_response("GET") {
            Ok(answer) => assert!((400..=505).contains(&answer.status), "{answer:?}"),
            Err(broken) => assert!(matches!(broken, Broken::Ended(_) | Broken::Reset), "{broken:?}"),
        }
        assert_ne!(client.end(), End::Open);
    }
    assert_eq!(upstream.raw_bytes().concat(), "");
    assert_eq!(gate.get("/").status, 200);
}
