//! Where answers end: by rule, by length, with the connection, or not at all.

use super::support::upstream::Latch;
use super::support::{Gate, Setup, Upstream, until};

/// Bodies of responses that have none by rule (RFC 9110, 9.3.2, 15.3.5, 15.4.5).
#[test]
fn responses_without_a_body_have_none() {
    let upstream = Upstream::start(|peer| {
        while let Some(request) = peer.request() {
            let answer = match request.target() {
                "/head" => "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
                "/204" => "HTTP/1.1 204 No Content\r\n\r\n",
                "/304" => "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 77\r\n\r\n",
                _ => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            };
            peer.send(answer);
        }
    });
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    let head = client.send("HEAD /head HTTP/1.1\r\nHost: a\r\n\r\n").response_to_head();
    assert_eq!((head.status, head.header("content-length")), (200, Some("1234")));
    assert!(!head.head.has("transfer-encoding"));
    let none = client.get("/204");
    assert_eq!((none.status, none.head.has("content-length")), (204, false));
    assert!(!none.head.has("transfer-encoding"));
    let unchanged = client.get("/304");
    assert_eq!((unchanged.status, unchanged.header("etag")), (304, Some("\"x\"")));
    assert_eq!(client.get("/200").header("content-length"), Some("0"));
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn body_bytes_after_a_response_without_a_body_are_dropped_with_the_connection() {
    for (target, answer) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\nhello"),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\nhello"),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        ),
    ] {
        let upstream = Upstream::start(move |peer| {
            while let Some(request) = peer.request() {
                if request.target() == "/again" {
                    peer.answer("200 OK", "mine");
                } else {
                    peer.send(answer);
                }
            }
        });
        let gate = Setup::to(&upstream).start();
        let mut client = gate.connect();
        client
            .send(format!("{target} / HTTP/1.1\r\nHost: a\r\n\r\n"))
            .try_response(target)
            .expect("an answer");
        assert_eq!(client.get("/again").text(), "mine", "{answer:?}");
        assert_eq!(upstream.connections(), 2, "{answer:?}: the connection was used again");
    }
}

/// A body that ends with the connection cannot be followed by another response on it.
#[test]
fn a_response_that_ends_with_the_connection_is_passed_whole() {
    let upstream = Upstream::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
    });
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    assert_eq!(client.get("/").text(), "until the end");
    let answer = gate.answer_to("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(answer.text(), "until the end");
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn unreadable_responses_are_answered_502() {
    let answers: &[&str] = &[
        "HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 000 Zero\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 1000 Many\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2OO OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/2 200\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad name: x\r\nContent-Length: 0\r\n\r\n",
        "no http at all\r\n\r\n",
        "just a body",
    ];
    let number = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let next = number.clone();
    let texts: Vec<String> = answers.iter().map(|it| (*it).to_owned()).collect();
    let upstream = Upstream::start(move |peer| {
        if peer.request().is_some() {
            peer.send(&texts[next.load(std::sync::atomic::Ordering::SeqCst)]);
            peer.finish();
            peer.hold();
        }
    });
    let gate = Setup::to(&upstream).start();
    for (index, answer) in answers.iter().enumerate() {
        number.store(index, std::sync::atomic::Ordering::SeqCst);
        let response = gate.get("/");
        assert_eq!(response.status, 502, "{answer:?}: {response:?}");
    }
}

#[test]
fn a_folded_response_header_is_unfolded_or_refused() {
    let upstream = Upstream::raw("HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n");
    let gate = Setup::to(&upstream).start();
    let response = gate.get("/");
    match response.status {
        200 => {
            assert_eq!(response.header("x").map(|it| it.split_whitespace().collect()), Some(vec!["a", "b"]))
        }
        status => assert_eq!(status, 502),
    }
}

#[test]
fn a_response_without_a_reason_is_passed_on() {
    for line in ["HTTP/1.1 200 ", "HTTP/1.1 200"] {
        let upstream = Upstream::raw(format!("{line}\r\nContent-Length: 2\r\n\r\nok"));
        let gate = Setup::to(&upstream).start();
        let response = gate.get("/");
        assert!(response.status == 200 && response.text() == "ok" || response.status == 502, "{response:?}");
    }
}

/// Extra bytes behind a response, also when they arrive only once the connection is idle.
#[test]
fn bytes_on_an_idle_connection_end_it() {
    let latch = Latch::default();
    let (opened, sent) = (latch.clone(), Latch::default());
    let done = sent.clone();
    let upstream = Upstream::start(move |peer| {
        while peer.request().is_some() {
            peer.answer("200 OK", "mine");
            if peer.number == 0 {
                opened.pass();
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
                done.open();
            }
        }
    });
    let gate: Gate = Setup::to(&upstream).start();
    assert_eq!(gate.get("/").text(), "mine");
    latch.open();
    assert!(sent.pass());
    for _ in 0..3 {
        assert_eq!(gate.get("/").text(), "mine");
    }
    until("the connection with extra bytes is closed", || upstream.end_of(0));
}
