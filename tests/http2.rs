//! HTTP/2 from clients: what reaches the versions, what comes back, and what is refused.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "real programs in real time, and a test may fail by panicking"
)]

mod support;

#[path = "http2/conformance.rs"]
mod conformance;
#[path = "http2/endpoints.rs"]
mod endpoints;
#[path = "http2/hostile.rs"]
mod hostile;
#[path = "http2/others.rs"]
mod others;
#[path = "http2/others_endpoints.rs"]
mod others_endpoints;
#[path = "http2/slow.rs"]
mod slow;
#[path = "http2/waits.rs"]
mod waits;

use std::time::Duration;

use support::frames::{Frames, GET, POST, WHOLE, block, kind, with};
use support::h2client::{ask, ask_all, get, post};
use support::{Setup, Upstream, until};

fn gate(upstream: &Upstream) -> support::Gate {
    Setup::to(upstream).listener("h2c: true").start()
}

#[test]
fn a_request_reaches_the_version_as_http_1_and_the_answer_comes_back() {
    let upstream = Upstream::raw(
        "HTTP/1.1 200 Fine\r\nContent-Length: 5\r\nX-Up: a\r\nX-Up: b\r\nConnection: x-gone\r\n\
         X-Gone: 1\r\nKeep-Alive: timeout=5\r\n\r\nhello",
    );
    let gate = gate(&upstream);
    let mut request = get("/path?query=1");
    let headers = request.headers_mut();
    headers.insert("x-one", "1".parse().unwrap());
    headers.insert("te", "trailers".parse().unwrap());
    let answer = ask(gate.address(), request, &[]).unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    assert_eq!(answer.only("content-length"), "5");
    assert_eq!(answer.headers.get_all("x-up").iter().count(), 2);
    assert_eq!(answer.headers.get("x-gone"), None);
    assert_eq!(answer.headers.get("keep-alive"), None);
    assert!(answer.headers.contains_key("date"));
    let seen = upstream.only_request();
    assert_eq!((seen.method(), seen.target()), ("GET", "/path?query=1"));
    assert_eq!(seen.head.all("host"), ["shop.test"]);
    assert_eq!(seen.head.all("x-one"), ["1"]);
    assert_eq!(seen.head.all("te"), ["trailers"]);
    assert!(seen.head.all("transfer-encoding").is_empty());
    assert_eq!(seen.head.all("x-forwarded-proto"), ["http"]);
}

#[test]
fn bodies_keep_their_bytes_whatever_frames_them() {
    let upstream = Upstream::start(|peer| {
        while let Some(request) = peer.request() {
            let body = String::from_utf8(request.body.clone()).unwrap();
            let chunks: String = body.as_bytes().chunks(1000).fold(String::new(), |all, it| {
                all + &format!("{:x}\r\n{}\r\n", it.len(), String::from_utf8_lossy(it))
            });
            peer.send(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"));
        }
    });
    let gate = gate(&upstream);
    let long = "0123456789abcdef".repeat(40_000);
    for (content, length) in [("x", true), ("x", false), (long.as_str(), true), (long.as_str(), false)] {
        let mut request = post("/");
        if length {
            request.headers_mut().insert("content-length", content.len().into());
        }
        let answer = ask(gate.address(), request, &[content.as_bytes()]).unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, content.len()));
        assert!(answer.text() == content, "the same bytes");
        let seen = upstream.last_request();
        assert!(seen.body == content.as_bytes(), "the same bytes");
        let framed = if length { "content-length" } else { "transfer-encoding" };
        assert_eq!(seen.head.all(framed).len(), 1, "{:?}", seen.head);
    }
    // A GET with content and no length is not cut (b18).
    let answer = ask(gate.address(), get("/"), &[b"one", b"two"]).unwrap();
    assert_eq!(answer.text(), "onetwo");
    assert_eq!(upstream.last_request().head.all("transfer-encoding"), ["chunked"]);
}

#[test]
fn trailers_and_interim_answers_pass() {
    let upstream = Upstream::raw(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\
         Trailer: x-sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\nContent-Length: 9\r\n\r\n",
    );
    let gate = gate(&upstream);
    let answer = ask(gate.address(), get("/"), &[]).unwrap();
    assert_eq!((answer.interim.as_slice(), answer.status), ([103].as_slice(), 200));
    assert_eq!(answer.text(), "abc");
    assert_eq!(answer.only("trailer"), "x-sum");
    let trailers = answer.trailers.unwrap();
    assert_eq!((trailers.len(), trailers["x-sum"].as_bytes()), (1, b"7".as_slice()));
}

#[test]
fn answers_without_content_end_with_their_head() {
    for (method, status, length) in [
        ("HEAD", "200 OK", "Content-Length: 7\r\n"),
        ("GET", "204 No Content", ""),
        ("GET", "304 Not Modified", "Content-Length: 7\r\n"),
        ("GET", "200 OK", "Content-Length: 0\r\n"),
    ] {
        let upstream = Upstream::raw(format!("HTTP/1.1 {status}\r\n{length}\r\n"));
        let gate = gate(&upstream);
        let mut frames = Frames::connect(gate.address());
        let mut fields = GET;
        fields[0].1 = method;
        frames.send(kind::HEADERS, WHOLE, 1, &block(&fields));
        loop {
            let frame = frames.next_within(Duration::from_secs(10)).expect("a frame");
            if frame.kind == kind::HEADERS {
                assert_eq!(frame.flags, WHOLE, "{method} {status}");
                break;
            }
        }
        frames.send(kind::HEADERS, WHOLE, 3, &block(&fields));
        assert!(frames.answer(3).whole);
    }
}

#[test]
fn many_streams_share_a_connection() {
    let upstream = Upstream::answering("hello");
    let gate = gate(&upstream);
    let requests = (0..80).map(|it| (get(&format!("/{it}")), Vec::new())).collect();
    for answer in ask_all(gate.address(), requests) {
        assert_eq!(answer.unwrap().text(), "hello");
    }
    assert_eq!(upstream.count(), 80);
    assert_eq!(gate.metric("tidegate_requests_total", &[("service", "shop")]), 80.0);
}

#[test]
fn http_1_and_http_2_share_a_port() {
    let upstream = Upstream::answering("hello");
    let gate = gate(&upstream);
    assert_eq!(gate.get("/").text(), "hello");
    // Begins like the preface.
    let answer = gate.answer_to("PRINT / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    assert_eq!(answer.status, 200);
    assert_eq!(ask(gate.address(), get("/"), &[]).unwrap().text(), "hello");
    let mut slow = Frames::raw(gate.address());
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0" {
        slow.bytes(&[*byte]);
        std::thread::yield_now();
    }
    slow.works(1);
}

#[test]
fn without_the_key_the_preface_is_refused() {
    let upstream = Upstream::answering("hello");
    let gate = Setup::to(&upstream).start();
    let answer = gate.answer_to("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    assert_eq!(answer.status, 400);
    assert_eq!(upstream.count(), 0);
}

#[test]
fn crumbs_are_joined_and_counted() {
    let upstream = Upstream::answering("hello");
    let gate = gate(&upstream);
    for (count, status) in [(40, 200), (500, 431)] {
        let crumbs: Vec<String> = (0..count).map(|it| format!("c{it}=v")).collect();
        let mut fields = GET.to_vec();
        fields.extend(crumbs.iter().map(|it| ("cookie", it.as_str())));
        let mut frames = Frames::connect(gate.address());
        let came = frames.send(kind::HEADERS, WHOLE, 1, &block(&fields)).answer(1);
        assert_eq!(came.status, Some(status), "{count} crumbs");
        if status == 200 {
            assert_eq!(upstream.last_request().head.all("cookie"), [crumbs.join("; ")]);
        }
    }
    assert_eq!(upstream.count(), 1);
}

#[test]
fn a_client_that_gives_up_frees_the_version_and_blames_nobody() {
    let upstream = Upstream::start(|peer| {
        let _ = peer.request();
        peer.hold();
    });
    let gate = gate(&upstream);
    let mut frames = Frames::connect(gate.address());
    frames.get(1);
    until("the request is there", || (upstream.count() == 1).then_some(()));
    frames.send(kind::RST_STREAM, 0, 1, &8_u32.to_be_bytes());
    until("the version is free", || (upstream.busy() == 0).then_some(()));
    until("it is counted as the client's", || {
        let gone = [("service", "shop"), ("code", "499")];
        (gate.metric("tidegate_requests_total", &gone) == 1.0).then_some(())
    });
    assert_eq!(gate.metric("tidegate_requests_total", &[("service", "shop")]), 1.0, "and as nothing else");
    assert_eq!(gate.metric("tidegate_upstream_errors_total", &[("service", "shop")]), 0.0);
    frames.ping();
}

#[test]
fn content_that_is_too_much_is_refused_and_the_connection_lives() {
    let upstream = Upstream::answering("hello");
    let gate = Setup::to(&upstream).listener("h2c: true").service("limits: {body: 1KiB}").start();
    let mut frames = Frames::connect(gate.address());
    let came = frames.head(1, &with(&POST, &[("content-length", "2000")])).answer(1);
    assert_eq!(came.status, Some(413));
    frames.head(3, &POST).send(kind::DATA, 0, 3, &[b'x'; 2000]);
    assert_eq!(frames.answer(3).status, Some(413));
    frames.works(5);
}

#[test]
fn a_drain_names_the_last_stream_when_all_have_arrived() {
    let latch = support::upstream::Latch::default();
    let wait = latch.clone();
    let upstream = Upstream::start(move |peer| {
        while let Some(request) = peer.request() {
            if request.target() == "/slow" {
                wait.pass();
            }
            peer.answer("200 OK", "hello");
        }
    });
    let mut gate = gate(&upstream);
    let mut frames = Frames::connect(gate.address());
    frames.works(1);
    let mut slow = GET;
    slow[3].1 = "/slow";
    frames.send(kind::HEADERS, WHOLE, 3, &block(&slow));
    until("it is under way", || (upstream.count() == 2).then_some(()));
    gate.signal(rustix::process::Signal::TERM);
    // The first word names no stream: what is on its way still counts.
    let first = loop {
        match frames.next_within(Duration::from_secs(10)) {
            Ok(frame) if frame.kind == kind::GOAWAY => break frame,
            Ok(_) => {}
            Err(closed) => panic!("no GOAWAY, closed: {closed}"),
        }
    };
    assert_eq!(first.payload, [i32::MAX.to_be_bytes(), [0; 4]].concat());
    latch.open();
    let slow = frames.answer(3);
    assert_eq!((slow.status, slow.whole), (Some(200), true));
    let end = frames.end();
    assert!(end.closed && end.goaway.is_none_or(|it| it == 0), "{end:?}");
    assert!(gate.exit_status().success());
}

#[test]
fn a_client_may_take_its_leave() {
    let upstream = Upstream::answering("hello");
    let gate = gate(&upstream);
    let mut frames = Frames::connect(gate.address());
    frames.get(1).goaway(0, 0);
    assert_eq!(frames.answer(1).status, Some(200));
    assert!(frames.end().closed);
    // The highest number there is can be used, and no other after it.
    let mut frames = Frames::connect(gate.address());
    frames.works(i32::MAX as u32);
}

#[test]
fn an_idle_connection_is_told_to_go() {
    let upstream = Upstream::answering("hello");
    let gate = Setup::to(&upstream).listener("h2c: true, timeouts: {idle: 300ms}").start();
    let mut frames = Frames::connect(gate.address());
    frames.works(1);
    let end = frames.end();
    assert_eq!((end.goaway, end.closed), (Some(0), true));
    assert_eq!(end.last.last(), Some(&1));
}

#[test]
fn clients_from_outside_are_served() {
    let body: &'static str = Box::leak("x".repeat(100_000).into_boxed_str());
    let upstream = Upstream::answering(body);
    let gate = Setup::to(&upstream).listener("h2c: true").workers(2).start();
    let url = format!("http://{}/", gate.address());
    let run = |program: &str, arguments: &[&str]| {
        let program = support::outside::program(program)?;
        let output = std::process::Command::new(program).args(arguments).arg(&url).output().expect("runs");
        assert!(output.status.success(), "{output:?}");
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    if let Some(said) =
        run("curl", &["-s", "--http2-prior-knowledge", "-w", "%{http_version} %{size_download}"])
    {
        assert!(said.ends_with("2 100000"), "{} bytes", said.len());
    }
    if let Some(said) = run("nghttp", &["-nv", "--no-dep"]) {
        assert!(said.contains(":status: 200") && !said.contains("error_code=PROTOCOL"), "{said}");
    }
    if let Some(said) = run("h2load", &["-n", "600", "-c", "3", "-m", "20"]) {
        assert!(said.contains("600 succeeded, 0 failed, 0 errored, 0 timeout"), "{said}");
    }
}

/// RFC 8441: a WebSocket on a stream, to a version that knows it as an upgrade.
#[test]
fn a_websocket_passes_on_a_stream() {
    let upstream = Upstream::start(|peer| {
        let Some(head) = peer.head() else { return };
        peer.note(&head);
        let accept = "Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: chat";
        peer.send(format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n{accept}\r\n\r\nhello"
        ));
        while let Ok(bytes) = peer.wire().exactly(4) {
            peer.send(bytes);
        }
    });
    let gate = gate(&upstream);
    let fields = with(
        &[(":method", "CONNECT"), (":protocol", "websocket")],
        &with(&GET[1..], &[("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat")]),
    );
    let mut frames = Frames::connect(gate.address());
    frames.head(1, &fields);
    let mut came = support::frames::Came::default();
    let mut hear = |frames: &mut Frames, text: &[u8]| {
        while !came.body.ends_with(text) && !came.whole {
            came.note(1, &frames.next_within(Duration::from_secs(10)).expect("a frame"));
        }
        came.clone()
    };
    assert_eq!(hear(&mut frames, b"hello").status, Some(200));
    frames.send(kind::DATA, 0, 1, b"ping");
    hear(&mut frames, b"ping");
    frames.send(kind::DATA, 0, 1, b"pong");
    hear(&mut frames, b"pong");
    // Each side ends by itself.
    frames.send(kind::DATA, 1, 1, b"");
    let end = hear(&mut frames, b"never");
    assert_eq!((end.body.as_slice(), end.whole), (b"hellopingpong".as_slice(), true));
    let seen = upstream.only_request();
    assert_eq!((seen.method(), seen.head.all("upgrade")), ("GET", vec!["websocket"]));
    assert_eq!(seen.head.all("sec-websocket-key").len(), 1);
    // Without a protocol it stays refused, and one that says no is heard.
    let refused = Upstream::with_status("403 Forbidden", "no");
    let gate = self::gate(&refused);
    let came = Frames::connect(gate.address()).head(1, &fields).answer(1);
    assert_eq!((came.status, came.body.as_slice()), (Some(403), b"no".as_slice()));
}

/// An answer that is fine and no change of protocol would be taken for one on a stream.
#[test]
fn an_upgrade_that_is_ignored_does_not_look_accepted() {
    let mut fields = with(&[(":method", "CONNECT"), (":protocol", "websocket")], &GET[1..]);
    fields.push(("sec-websocket-version", "13"));
    for (status, expected) in [
        ("200 OK", 502),
        ("204 No Content", 502),
        ("302 Found", 302),
        ("426 Upgrade Required", 426),
        ("500 Internal Server Error", 500),
    ] {
        let upstream = Upstream::start(move |peer| {
            while peer.request().is_some() {
                let length = if status.starts_with("204") { "" } else { "Content-Length: 0\r\n" };
                peer.send(format!("HTTP/1.1 {status}\r\n{length}\r\n"));
            }
        });
        let gate = gate(&upstream);
        let came = Frames::connect(gate.address()).head(1, &fields).answer(1);
        assert_eq!(came.status, Some(expected), "{status}");
        let refused = gate.metric("tidegate_rejected_total", &[("reason", "upgrade")]);
        assert_eq!(refused, if expected == 502 { 1.0 } else { 0.0 }, "{status}");
        // Whoever asks may ask anywhere: that says nothing about the version.
        let errors = gate.metric("tidegate_upstream_errors_total", &[("service", "shop")]);
        assert_eq!(errors, 0.0, "{status}");
        assert_eq!(upstream.count(), 1);
    }
}

#[test]
fn content_that_is_kept_is_sent_again_as_it_was() {
    let bad = Upstream::start(|peer| drop(peer.request()));
    let good = Upstream::answering("hello");
    let gate = Setup::default()
        .version("v1", &[bad.address(), good.address()])
        .listener("h2c: true")
        .service("balance: round_robin")
        .start();
    let content = "0123456789".repeat(3_000);
    for round in 1..=4 {
        let put = http::Request::put("http://shop.test/").body(()).unwrap();
        let answer = ask(gate.address(), put, &[content.as_bytes()]).unwrap();
        assert_eq!(answer.text(), "hello", "round {round}");
        assert!(good.last_request().body == content.as_bytes(), "the same bytes");
        assert_eq!(good.count(), round);
    }
    assert!(bad.count() > 0, "it was asked at all");
}
