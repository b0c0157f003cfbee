//! Upstreams that are not there, fall silent, break off, or say too much.
#![allow(clippy::disallowed_methods, reason = "real programs in real time")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use support::crowd::Crowd;
use support::load::Load;
use support::upstream::{BlackHole, Latch, refusing};
use support::wait::took;
use support::{Broken, End, Gate, Setup, Upstream, size, until};

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";

fn ms(it: u64) -> Duration {
    Duration::from_millis(it)
}

#[test]
fn a_refused_connection_is_answered_at_once() {
    let gate =
        Setup::default().version("v1", &[refusing()]).service("timeouts: {connect: 60s, head: 60s}").start();
    let mut client = gate.connect();
    let answer = took(Duration::ZERO, ms(15_000), || client.get("/"));
    assert_eq!((answer.status, answer.error()), (502, Some("upstream_connect")));
    assert!(!answer.closes(), "nothing is wrong with the client's connection: {answer:?}");
    assert_eq!(client.send(POST).response().status, 502);
    assert!(gate.metric("tidegate_upstream_errors_total", &[("version", "v1")]) >= 2.0, "{}", gate.metrics());
}

/// Nothing was sent, so nothing can happen twice: any method goes to another endpoint.
#[test]
fn a_refused_connection_is_tried_at_another_endpoint() {
    let upstream = Upstream::answering("fine");
    for balance in ["round_robin", "least_request"] {
        let gate = Setup::default()
            .version("v1", &[refusing(), upstream.address(), refusing()])
            .service(format!("balance: {balance}"))
            .start();
        let mut client = gate.connect();
        for _ in 0..10 {
            assert_eq!(client.get("/").text(), "fine", "{balance}");
            assert_eq!(client.send(POST).response().text(), "fine", "{balance}");
        }
    }
    assert_eq!(upstream.count(), 40);
}

#[test]
fn a_connection_that_is_not_taken_is_tried_at_another_endpoint() {
    let upstream = Upstream::answering("fine");
    let hole = BlackHole::open();
    let gate = Setup::default()
        .version("v1", &[hole.address(), upstream.address()])
        .service("timeouts: {connect: 300ms}")
        .start();
    for _ in 0..3 {
        assert_eq!(gate.get("/").text(), "fine");
    }
}

#[test]
fn endpoints_take_turns() {
    let upstreams = [Upstream::answering("a"), Upstream::answering("b"), Upstream::answering("c")];
    let addresses: Vec<_> = upstreams.iter().map(Upstream::address).collect();
    let gate = Setup::default().version("v1", &addresses).start();
    let mut client = gate.connect();
    for _ in 0..30 {
        client.get("/");
    }
    assert_eq!(upstreams.iter().map(Upstream::count).collect::<Vec<_>>(), [10, 10, 10]);
}

/// A slow endpoint must not get as much as a quick one.
#[test]
fn the_less_busy_endpoint_is_preferred() {
    let quick = Upstream::answering("quick");
    let latch = Latch::default();
    let opened = latch.clone();
    let slow = Upstream::start(move |peer| {
        while peer.request().is_some() {
            opened.pass();
            peer.answer("200 OK", "slow");
        }
    });
    let gate = Setup::default()
        .version("v1", &[slow.address(), quick.address()])
        .service("balance: least_request")
        .start();
    let mut waiting = Vec::new();
    // At first both are equal; once the slow one holds requests, all others go to the quick one.
    while slow.count() < 1 {
        let mut client = gate.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        if client.end_within(ms(100)) == End::Open {
            waiting.push(client);
        }
        assert!(quick.count() < 1000);
    }
    for _ in 0..50 {
        assert_eq!(gate.get("/").text(), "quick");
    }
    latch.open();
    for mut client in waiting {
        assert_eq!(client.response().text(), "slow");
    }
}

/// How the first connection breaks, and how later ones behave.
fn breaks_first(how: &'static str) -> Upstream {
    Upstream::start(move |peer| {
        if peer.number > 0 {
            return peer.serve("200 OK", "fine");
        }
        match how {
            "reset when accepted" => peer.reset(),
            "close when accepted" => peer.close(),
            "reset after the request" => {
                peer.request();
                peer.reset();
            }
            "close after the request" => {
                peer.request();
            }
            "reset in the status line" => {
                peer.request();
                peer.send("HTTP/1.1 20");
                peer.reset();
            }
            "close in the head" => {
                peer.request();
                peer.send("HTTP/1.1 200 OK\r\nContent-Le");
            }
            other => unreachable!("{other}"),
        }
    })
}

/// A GET may be asked again as long as its client has seen nothing of an answer; anything else may have been done.
#[test]
fn a_broken_exchange_is_repeated_only_when_that_is_safe() {
    for (how, get, post) in [
        ("reset when accepted", &[200][..], &[502, 200][..]),
        ("close when accepted", &[200], &[502, 200]),
        ("reset after the request", &[200], &[502]),
        ("close after the request", &[200], &[502]),
        ("reset in the status line", &[200], &[502]),
        ("close in the head", &[200], &[502]),
    ] {
        for (request, allowed) in [("GET / HTTP/1.1\r\nHost: a\r\n\r\n", get), (POST, post)] {
            let upstream = breaks_first(how);
            let gate = Setup::to(&upstream).start();
            let answer = gate.answer_to(request);
            assert!(allowed.contains(&answer.status), "{how}, {request:?}: {answer:?}");
            let limit = if request == POST { 1 } else { 2 };
            assert!(upstream.count() <= limit, "{how}: {request:?} was sent {} times", upstream.count());
            if answer.status == 502 {
                assert_eq!(answer.error(), Some("upstream_reset"), "{how}: {answer:?}");
            }
            assert_eq!(gate.get("/").status, 200, "{how}");
        }
    }
}

/// An upstream that answers one request and closes exactly when the next arrives.
fn stale() -> (Upstream, Arc<AtomicUsize>) {
    let posts = Arc::new(AtomicUsize::new(0));
    let counted = posts.clone();
    let upstream = Upstream::start(move |peer| {
        for round in 0.. {
            let Some(request) = peer.request() else { return };
            if request.method() == "POST" {
                counted.fetch_add(1, Ordering::SeqCst);
            }
            if round > 0 && request.head.has("x-race") && peer.number == 0 {
                return;
            }
            peer.answer("200 OK", "fine");
        }
    });
    (upstream, posts)
}

/// The upstream closes a kept connection as we use it again: nobody's fault, and a GET can be asked anew.
#[test]
fn a_kept_connection_that_closes_under_a_get_is_replaced() {
    let (upstream, _) = stale();
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    client.get("/");
    let answer = client.send("GET /again HTTP/1.1\r\nHost: a\r\nX-Race: 1\r\n\r\n").response();
    assert_eq!((answer.status, answer.text().as_str()), (200, "fine"));
    assert_eq!(upstream.connections(), 2, "the second attempt had a fresh connection");
    let asked: Vec<String> = upstream.requests().iter().map(|it| it.target().to_owned()).collect();
    assert_eq!(asked, ["/", "/again", "/again"]);
}

#[test]
fn a_kept_connection_that_closes_under_a_post_is_not_tried_again() {
    let (upstream, posts) = stale();
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    client.get("/");
    let answer =
        client.send("POST / HTTP/1.1\r\nHost: a\r\nX-Race: 1\r\nContent-Length: 4\r\n\r\nbody").response();
    assert_eq!((answer.status, answer.error()), (502, Some("upstream_reset")));
    assert_eq!(posts.load(Ordering::SeqCst), 1, "a POST was sent twice");
}

/// Idle connections that the upstream has closed meanwhile are noticed before they are used, also by a
/// POST: it goes out once, on a connection that works.
#[test]
fn a_connection_that_was_closed_while_idle_is_not_used() {
    let upstream = Upstream::start(|peer| {
        peer.request();
        peer.answer("200 OK", "fine");
    });
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    for round in 1..=20 {
        // Whether the end has arrived is not known; then a GET is repeated and never fails.
        assert_eq!(client.get("/").status, 200);
        assert!(upstream.count() >= round);
    }
    until("the last connection has been closed", || (upstream.busy() == 0).then_some(()));
    std::thread::sleep(ms(50));
    for _ in 0..5 {
        let before = upstream.count();
        assert_eq!(client.send(POST).response().status, 200);
        assert_eq!(upstream.count(), before + 1);
        until("the last connection has been closed", || (upstream.busy() == 0).then_some(()));
        std::thread::sleep(ms(50));
    }
}

/// Row f06: connections that close just as they are used again, under very many requests. No GET ever fails.
#[test]
fn closing_connections_never_fail_a_get() {
    let upstream = Upstream::start(|peer| {
        for _ in 0..=peer.number % 7 {
            if peer.head().is_none() {
                return;
            }
            peer.answer("200 OK", "fine");
        }
        match peer.number % 3 {
            // The end and the next request pass each other.
            0 => {}
            // The first byte of the next request meets the end.
            1 => {
                let _ = peer.wire().exactly(1);
                peer.reset();
            }
            // The whole of it is taken, and nothing comes of it.
            _ => drop(peer.head()),
        }
    });
    let gate = Setup::to(&upstream).workers(2).start();
    let count = size::of(4_000, 100_000);
    if size::is_whole() {
        let Some(crowd) = Crowd::of(count, gate.address(), 8) else { return };
        let told = crowd.told();
        assert_eq!((told.answered, told.failed), (count, 0));
    } else {
        let load = Load::start(gate.address(), 8, Duration::ZERO);
        until("enough requests", || (load.sent() >= count).then_some(()));
        load.stop().assert_all("200 fine");
    }
    eprintln!("{count} requests on {} connections", upstream.connections());
    let errors = gate.metric("tidegate_upstream_errors_total", &[("version", "v1")]);
    assert_eq!(errors, 0.0, "it is nobody's fault");
}

/// Cut in the middle: the client must see an error, never a clean end (RFC 9112, 8).
#[test]
fn a_response_that_breaks_off_breaks_off_for_the_client() {
    for framing in ["Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        for reset in [false, true] {
            let upstream = Upstream::start(move |peer| {
                peer.request();
                peer.send(format!("HTTP/1.1 200 OK\r\n{framing}"));
                if reset {
                    // What was sent must be taken first, or the reset overtakes it.
                    std::thread::sleep(ms(50));
                    peer.reset();
                }
            });
            let gate = Setup::to(&upstream).start();
            let mut client = gate.connect();
            let got = client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").try_response("GET");
            assert!(matches!(got, Err(Broken::Ended(_) | Broken::Reset)), "{framing:?} {reset}: {got:?}");
            let errors = || gate.metric("tidegate_upstream_errors_total", &[("version", "v1")]);
            until("it is charged to the version", || (errors() >= 1.0).then_some(()));
        }
    }
}

/// An old client knows a body's end only by the connection's: a cut one must end with a reset.
#[test]
fn a_response_that_breaks_off_is_reset_for_an_old_client() {
    let upstream = Upstream::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
        std::thread::sleep(ms(50));
    });
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(client.try_response("GET"), Err(Broken::Reset));
}

/// A fault that shows before anything was passed on is a 502; later, the answer breaks off.
#[track_caller]
fn assert_broken(got: Result<support::Response, Broken>) {
    match got {
        Ok(answer) => assert_eq!(answer.status, 502, "{answer:?}"),
        Err(broken) => assert!(matches!(broken, Broken::Ended(_) | Broken::Reset), "{broken:?}"),
    }
}

#[test]
fn a_chunked_response_with_a_fault_breaks_off() {
    for body in [
        "5\r\nhelloX\r\n0\r\n\r\n",
        "zz\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "-1\r\nhello\r\n0\r\n\r\n",
    ] {
        let upstream =
            Upstream::raw(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n{body}"));
        let gate = Setup::to(&upstream).start();
        let mut client = gate.connect();
        let got = client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").try_response("GET");
        assert_broken(got);
        let _ = gate.connect().send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").try_response("GET");
        assert_eq!(upstream.connections(), 2, "{body:?}: the connection was used again");
    }
}

/// Chunk extensions have no meaning for us and a bound.
#[test]
fn chunk_extensions_of_a_response_are_dropped() {
    let upstream = Upstream::raw(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;name=value;x=\"y\"\r\nhello\r\n0;last\r\n\r\n",
    );
    assert_eq!(Setup::to(&upstream).start().get("/").text(), "hello");
    let many = Upstream::raw(format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;{}\r\nx\r\n0\r\n\r\n",
        "e".repeat(100_000)
    ));
    let gate = Setup::to(&many).start();
    let mut client = gate.connect();
    assert_broken(client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").try_response("GET"));
}

#[test]
fn a_flood_of_trailers_breaks_off() {
    let upstream = Upstream::raw(format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n{}\r\n",
        "X-Trailer: 0123456789\r\n".repeat(5000)
    ));
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    assert_broken(client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").try_response("GET"));
    assert_eq!(gate.admin("/readyz").status, 200);
}

#[test]
fn an_unasked_switch_of_protocols_is_refused() {
    let upstream =
        Upstream::raw("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n\0\x01");
    let gate = Setup::to(&upstream).start();
    assert_eq!(gate.get("/").status, 502);
    let after = Upstream::raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 100 Continue\r\n\r\n");
    let gate = Setup::to(&after).start();
    let mut client = gate.connect();
    assert_eq!(client.get("/").text(), "ok");
    assert_eq!(client.get("/").text(), "ok");
    assert_eq!(after.connections(), 2, "an interim response after the final one was kept for the next");
}

/// An upstream that answers before it was asked has desynchronised itself.
#[test]
fn a_response_before_the_request_is_not_used() {
    let sent = Arc::new(AtomicBool::new(false));
    let said = sent.clone();
    let upstream = Upstream::start(move |peer| {
        if peer.number == 0 {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
            said.store(true, Ordering::SeqCst);
        }
        peer.serve("200 OK", "mine");
    });
    let gate = Setup::to(&upstream).start();
    // The connection that is opened ahead of all requests is the one that is spoilt.
    until("it was sent", || sent.load(Ordering::SeqCst).then_some(()));
    for _ in 0..4 {
        assert_eq!(gate.get("/").text(), "mine");
    }
    assert_eq!((upstream.count(), upstream.connections()), (4, 2), "on another connection");
}

#[test]
fn an_upstream_that_comes_back_is_used_again() {
    let upstream = Upstream::answering("before");
    let address = upstream.address();
    let gate = Setup::to(&upstream).start();
    assert_eq!(gate.get("/").text(), "before");
    drop(upstream);
    until("nobody is there", || (gate.get("/").status == 502).then_some(()));
    let _upstream = Upstream::start_on(address, |peer| peer.serve("200 OK", "after"));
    until("somebody is there again", || (gate.get("/").text() == "after").then_some(()));
}

/// Names are looked up when a connection is opened; every address of a name is tried.
#[test]
fn an_endpoint_may_be_a_name() {
    let upstream = Upstream::answering("fine");
    let line = format!(
        "named: {{hosts: [n.test], live: a, versions: {{a: \"http://localhost:{}\"}}}}",
        upstream.address().port()
    );
    let gate: Gate = Setup::to(&upstream).add_service(line).start();
    assert_eq!(gate.answer_to("GET / HTTP/1.1\r\nHost: n.test\r\n\r\n").text(), "fine");
}

#[test]
fn a_name_that_does_not_exist_is_answered_502() {
    let upstream = Upstream::answering("fine");
    let line = "named: {hosts: [n.test], live: a, versions: {a: \"http://no-such-host.invalid:80\"}}";
    let gate = Setup::to(&upstream).add_service(line).start();
    let answer = gate.answer_to("GET / HTTP/1.1\r\nHost: n.test\r\n\r\n");
    assert!(matches!(answer.status, 502 | 504), "{answer:?}");
    assert_eq!(gate.get("/").text(), "fine");
}

/// Where there is no route there is no version to blame.
#[test]
fn a_request_without_a_route_is_answered_404() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).service("hosts: [shop.test]").start();
    let mut client = gate.connect();
    let answer = client.send("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n").response();
    assert_eq!((answer.status, answer.error()), (404, Some("no_route")));
    assert_eq!(client.get("/").text(), "fine");
    assert_eq!(gate.metric("tidegate_unrouted_requests_total", &[]), 1.0);
}

/// Answers that look odd and are legal pass.
#[test]
fn odd_but_legal_answers_pass() {
    for (answer, status, body) in [
        ("HTTP/1.0 200 OK\r\n\r\nold", 200, "old"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nend", 200, "end"),
        ("HTTP/1.1 999 Whatever\r\nContent-Length: 3\r\n\r\nodd", 999, "odd"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 003\r\n\r\nlen", 200, "len"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n00000003\r\nhex\r\n000\r\n\r\n", 200, "hex"),
        ("HTTP/1.1 200 OK\r\ncontent-length:3\r\n\r\nlow", 200, "low"),
    ] {
        let upstream = Upstream::start(move |peer| {
            peer.request();
            peer.send(answer);
        });
        let got = Setup::to(&upstream).start().get("/");
        assert_eq!((got.status, got.text().as_str()), (status, body), "{answer:?}");
    }
}

/// A Unix socket whose queue is full says so at once, where TCP waits by itself. Here both are waited for.
#[test]
fn a_unix_socket_that_is_behind_is_waited_for() {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    let dir = tempfile::TempDir::with_prefix("tidegate-test-").expect("temporary directory");
    let path = dir.path().join("endpoint.sock");
    let address = socket2::SockAddr::unix(&path).expect("a path");
    let new = || socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).expect("a socket");
    let listener = new();
    listener.bind(&address).expect("bind");
    listener.listen(0).expect("listen");
    let mut queued = Vec::new();
    loop {
        let socket = new();
        socket.set_nonblocking(true).expect("a mode");
        match socket.connect(&address) {
            Ok(()) => queued.push(socket),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            Err(error) => panic!("filling the queue: {error}"),
        }
    }
    let version = format!("\"unix:{}\"", path.display());
    let gate = |connect: &str| {
        let setup = Setup::default().version_as("v1", &version);
        setup.service(format!("timeouts: {{connect: {connect}}}")).start()
    };
    let errors = |gate: &Gate| gate.metric("tidegate_upstream_errors_total", &[("service", "shop")]);
    let hasty = gate("300ms");
    let answer = hasty.get("/");
    assert_eq!((answer.status, answer.error()), (504, Some("upstream_connect")));
    assert_eq!(errors(&hasty), 1.0);
    let gate = gate("60s");
    let mut clients: Vec<_> = (0..10).map(|_| gate.connect()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    until("all of them wait", || {
        (gate.metric("tidegate_requests_in_flight", &[("service", "shop")]) == 10.0).then_some(())
    });
    drop(queued);
    let listener: UnixListener = listener.into();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while stream.read(&mut bytes).is_ok_and(|it| it > 0) {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nserved");
                }
            });
        }
    });
    for client in &mut clients {
        assert_eq!(client.response().text(), "served");
    }
    assert_eq!(errors(&gate), 0.0);
}
