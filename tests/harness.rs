//! The test harness against itself: what the other tests rely on to see the truth.

mod support;

use std::time::Duration;

use support::upstream::{BlackHole, refusing};
use support::{Broken, Client, End, Upstream};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn an_upstream_answers_and_records() {
    let upstream = Upstream::answering("hello");
    let mut client = Client::connect(upstream.address());
    assert_eq!(client.send(GET).response().text(), "hello");
    let post =
        "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n";
    assert_eq!(client.send_bytewise(post).response().status, 200);
    let last = upstream.last_request();
    assert_eq!((last.method(), last.target(), last.body.as_slice()), ("POST", "/x", b"abc".as_slice()));
    assert_eq!(last.trailers, [("X".to_owned(), "y".to_owned())]);
    assert_eq!(upstream.raw_bytes(), [format!("{GET}{post}")]);
}

#[test]
fn a_reset_and_a_close_look_different() {
    let resets = Upstream::start(|peer| {
        peer.request();
        peer.reset();
    });
    assert_eq!(Client::connect(resets.address()).send(GET).end(), End::Reset);
    let closes = Upstream::start(|peer| {
        peer.request();
    });
    assert_eq!(Client::connect(closes.address()).send(GET).end(), End::Closed);
}

#[test]
fn a_cut_body_is_not_a_response() {
    let upstream = Upstream::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort");
    let mut client = Client::connect(upstream.address());
    client.send(GET).finish();
    assert_eq!(client.try_response("GET"), Err(Broken::Ended("short".to_owned())));
}

#[test]
fn nobody_answers_in_a_black_hole() {
    let hole = BlackHole::open();
    let result = std::net::TcpStream::connect_timeout(&hole.address(), Duration::from_millis(200));
    assert_eq!(result.expect_err("queue is full").kind(), std::io::ErrorKind::TimedOut);
    let result = std::net::TcpStream::connect(refusing());
    assert_eq!(result.expect_err("nobody there").kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn metrics_are_summed_by_labels() {
    let text = "# HELP a b\na{x=\"1\",y=\"2\"} 3\na{x=\"1\",y=\"3\"} 4\na{x=\"2\",y=\"3\"} 5\nab 9\n";
    assert_eq!(support::admin::sum(text, "a", &[("x", "1")]), 7.0);
    assert_eq!(support::admin::sum(text, "a", &[]), 12.0);
    assert_eq!(support::admin::sum(text, "ab", &[]), 9.0);
}

#[test]
fn what_a_crowd_says_is_read() {
    support::crowd::check_reading();
}
