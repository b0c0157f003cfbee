//! The text of heads, both ways.

use http::Request;

use super::*;
use crate::proxy::buffer::Stock;

fn written(request: Request<()>, ends: bool) -> Result<String, Refusal> {
    let mut buffer = Stock::default().buffer();
    let len = write_request(&request.into_parts().0, ends, 10, || 7, &mut buffer)?;
    assert_eq!(len, buffer.filled().len());
    Ok(String::from_utf8_lossy(buffer.filled()).into_owned())
}

fn request(method: &str, uri: &str, fields: &[(&str, &str)]) -> Request<()> {
    let builder = Request::builder().method(method).uri(uri);
    fields.iter().fold(builder, |it, (name, value)| it.header(*name, *value)).body(()).unwrap()
}

#[test]
fn a_request_becomes_the_text_of_its_twin() {
    let crumbs = [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("host", "SHOP.test")];
    assert_eq!(
        written(request("GET", "http://shop.test/a?b", &crumbs), true).unwrap(),
        "GET /a?b HTTP/1.1\r\nhost: shop.test\r\ncookie: a=1; b=2\r\nx: y\r\n\r\n"
    );
    assert_eq!(
        written(request("POST", "/", &[("host", "a")]), false).unwrap(),
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    assert_eq!(
        written(request("PUT", "https://a/", &[("content-length", "3")]), false).unwrap(),
        "PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n"
    );
}

#[test]
fn an_extended_connect_is_the_upgrade_that_it_stands_for() {
    let mut it = request("CONNECT", "http://a/chat", &[("sec-websocket-version", "13")]);
    it.extensions_mut().insert(Protocol::from_static("websocket"));
    let text = written(it, false).unwrap();
    let (start, key) = text.split_once("sec-websocket-key: ").unwrap();
    assert_eq!(
        start,
        "GET /chat HTTP/1.1\r\nhost: a\r\nsec-websocket-version: 13\r\nconnection: upgrade\r\n\
         upgrade: websocket\r\n"
    );
    assert_eq!((key.len(), &key[22..]), (28, "==\r\n\r\n"));
}

#[test]
fn what_the_text_would_hide_is_refused() {
    for (it, why) in [
        (request("GET", "http://a/", &[("host", "b")]), Refusal::BadHost),
        (request("GET", "http://a/", &[("host", "a"), ("host", "b")]), Refusal::BadHost),
        (request("GET", "ftp://a/", &[]), Refusal::BadTarget),
        (request("GET", "/", &[("x", "1"); 11]), Refusal::TooManyHeaders),
        (request("GET", "/", &[("x", &"y".repeat(70_000))]), Refusal::HeadTooLarge),
    ] {
        assert_eq!(written(it, true), Err(why));
    }
}

#[test]
fn an_answer_loses_what_belongs_to_http_1() {
    let head = b"HTTP/1.1 404 Not Here\r\nDate: now\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\
        X-A: 1\r\nx-a: \r\nkeep-alive: 1\r\ntrailer: x\r\nname:\xe9\r\n\r\n";
    assert_eq!(head_len(head), Some(head.len()));
    let answer = response(head).unwrap();
    assert_eq!(answer.status(), 404);
    let fields: Vec<_> = answer.headers().iter().map(|it| (it.0.as_str(), it.1.as_bytes())).collect();
    let expected: [(&str, &[u8]); 5] =
        [("date", b"now"), ("x-a", b"1"), ("x-a", b""), ("trailer", b"x"), ("name", b"")];
    assert_eq!(fields, expected);
    assert_eq!(trailers(b"Grpc-Status: 0\r\n\r\n").unwrap()["grpc-status"], "0");
}
