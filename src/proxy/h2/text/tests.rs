//! The text of heads, both ways.

use super::super::hpack::{Decoder, Encoder, Fields};
use super::*;

/// These fields as a connection would bring them.
fn fields(all: &[(&str, &str)]) -> Fields {
    let mut block = Vec::new();
    all.iter().for_each(|it| Encoder::default().field(it.0.as_bytes(), it.1.as_bytes(), &mut block));
    let mut fields = Fields::default();
    fields.begin(1 << 20);
    Decoder::default().read(&block, &mut fields).unwrap();
    fields
}

fn request<'a>(method: &'a str, path: &'a str, more: &[(&'a str, &'a str)]) -> Fields {
    let first = [(":method", method), (":scheme", "http"), (":authority", "shop.test"), (":path", path)];
    fields(&[&first[..], more].concat())
}

fn written(fields: &Fields, ends: bool) -> Result<Result<String, Refusal>, Malformed> {
    written_on(false, fields, ends)
}

fn written_on(secure: bool, fields: &Fields, ends: bool) -> Result<Result<String, Refusal>, Malformed> {
    let rules = Rules {
        asks: false,
        secure,
        stream_window: 0,
        window_max: 0,
        connection_window: 0,
        streams: 0,
        list: 0,
        lines: 10,
    };
    let mut out = Vec::new();
    let head = write_request(fields, ends, &rules, || 7, &mut out)?;
    Ok(head.map(|_| String::from_utf8_lossy(&out).into_owned()))
}

#[test]
fn a_request_becomes_the_text_of_its_twin() {
    let crumbs = [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("host", "SHOP.test")];
    assert_eq!(
        written(&request("GET", "/a?b", &crumbs), true).unwrap().unwrap(),
        "GET /a?b HTTP/1.1\r\nhost: shop.test\r\ncookie: a=1; b=2\r\nx: y\r\n\r\n"
    );
    let alone = [(":method", "POST"), (":path", "/"), (":scheme", "HTTPS"), ("host", "a")];
    assert_eq!(
        written(&fields(&alone), false).unwrap().unwrap(),
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    assert_eq!(
        written(&request("PUT", "/", &[("content-length", "3")]), false).unwrap().unwrap(),
        "PUT / HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 3\r\n\r\n"
    );
    for method in ["POST", "PUT", "PATCH"] {
        assert_eq!(
            written(&request(method, "/", &[]), true).unwrap().unwrap(),
            format!("{method} / HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 0\r\n\r\n")
        );
    }
    assert_eq!(
        written(&request("DELETE", "/", &[]), true).unwrap().unwrap(),
        "DELETE / HTTP/1.1\r\nhost: shop.test\r\n\r\n"
    );
    assert_eq!(
        written(&request("POST", "/", &[("content-length", "0")]), true).unwrap().unwrap(),
        "POST / HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 0\r\n\r\n"
    );
    assert_eq!(
        written(&request("OPTIONS", "*", &[]), true).unwrap().unwrap(),
        "OPTIONS * HTTP/1.1\r\nhost: shop.test\r\n\r\n"
    );
}

#[test]
fn a_scheme_is_that_of_the_connection() {
    let with =
        |scheme| fields(&[(":method", "GET"), (":scheme", scheme), (":authority", "a"), (":path", "/")]);
    let refused =
        |secure, scheme| written_on(secure, &with(scheme), true).unwrap() == Err(Refusal::BadTarget);
    let table = [("http", false, true), ("HTTPS", false, false), ("ftp", true, true), ("", true, true)];
    for (scheme, in_clear_text, over_tls) in table {
        assert_eq!((refused(false, scheme), refused(true, scheme)), (in_clear_text, over_tls), "{scheme:?}");
    }
}

#[test]
fn a_value_has_no_blank_at_its_ends() {
    for value in [" a", "a ", "\ta", "a\t", " ", "\t"] {
        assert_eq!(written(&request("GET", "/", &[("x", value)]), true), Err(Malformed), "{value:?}");
        let host = [(":method", "GET"), (":scheme", "http"), (":authority", value), (":path", "/")];
        assert_eq!(written(&fields(&host), true), Err(Malformed), "{value:?}");
        assert!(has_blank_ends(&fields(&[("x", value)])));
    }
    assert!(written(&request("GET", "/", &[("x", "a b"), ("y", "")]), true).is_ok());
}

#[test]
fn an_extended_connect_is_the_upgrade_that_it_stands_for() {
    let it = request("CONNECT", "/chat", &[(":protocol", "websocket"), ("sec-websocket-version", "13")]);
    let text = written(&it, false).unwrap().unwrap();
    let (start, key) = text.split_once("sec-websocket-key: ").unwrap();
    assert_eq!(
        start,
        "GET /chat HTTP/1.1\r\nhost: shop.test\r\nsec-websocket-version: 13\r\nconnection: upgrade\r\n\
         upgrade: websocket\r\n"
    );
    assert_eq!((key.len(), &key[22..]), (28, "==\r\n\r\n"));
    assert_eq!(written(&request("GET", "/", &[(":protocol", "websocket")]), false), Err(Malformed));
    assert_eq!(written(&request("CONNECT", "/", &[]), false), Err(Malformed));
}

#[test]
fn what_the_text_would_hide_is_refused() {
    let ftp = [(":method", "GET"), (":scheme", "ftp"), (":authority", "a"), (":path", "/")];
    for (it, why) in [
        (request("GET", "/", &[("host", "b")]), Refusal::BadHost),
        (request("GET", "/", &[("host", "shop.test"), ("host", "b")]), Refusal::BadHost),
        (fields(&ftp), Refusal::BadTarget),
        (request("GET", "/", &[("x", "1"); 11]), Refusal::TooManyHeaders),
    ] {
        assert_eq!(written(&it, true), Ok(Err(why)));
    }
}

#[test]
fn what_would_be_another_text_is_malformed() {
    for it in [
        request("GET /x", "/", &[]),
        request("GET\r\n", "/", &[]),
        request("", "/", &[]),
        request("GET", "", &[]),
        request("GET", "*", &[]),
        request("GET", "a", &[]),
        request("GET", "/a b", &[]),
        request("GET", "/a\r\nx: y", &[]),
        request("GET", "/\u{e9}", &[]),
        request("GET", "/", &[(":authority", "b")]),
        request("GET", "/", &[("x", "y"), (":x", "y")]),
        request("GET", "/", &[(":status", "200")]),
        request("GET", "/", &[("x y", "z")]),
        request("GET", "/", &[("", "z")]),
        request("GET", "/", &[("x", "a\r\nb: c")]),
        request("GET", "/", &[("x", "a\0")]),
        request("GET", "/", &[("te", "gzip")]),
        request("GET", "/", &[("connection", "x")]),
    ] {
        assert_eq!(written(&it, true), Err(Malformed), "{:?}", it.iter().collect::<Vec<_>>());
    }
}

#[test]
fn an_answer_from_an_endpoint_becomes_text() {
    let of = |all: &[(&str, &str)], ends| {
        let mut out = Vec::new();
        write_response(&fields(all), ends, None, &mut out).map(|it| (String::from_utf8(out).unwrap(), it))
    };
    let (text, facts) = of(&[(":status", "200"), ("content-length", "5"), ("x-a", "b")], false).unwrap();
    assert_eq!(text, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-a: b\r\n\r\n");
    assert_eq!((facts.status, facts.length), (200, Some(5)));
    let (text, _) = of(&[(":status", "299")], false).unwrap();
    assert_eq!(text, "HTTP/1.1 299 \r\ntransfer-encoding: chunked\r\n\r\n");
    let (text, _) = of(&[(":status", "103"), ("link", "x")], false).unwrap();
    assert_eq!(text, "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n");
    for (wrong, ends) in [
        (&[("x", "y")][..], true),
        (&[(":status", "2000")], true),
        (&[(":status", "20")], true),
        (&[(":status", "+20")], true),
        (&[(":status", "200"), (":path", "/")], true),
        (&[(":status", "101")], false),
        (&[(":status", "103")], true),
        (&[(":status", "200"), ("transfer-encoding", "chunked")], false),
    ] {
        assert_eq!(of(wrong, ends), Err(Malformed), "{wrong:?}");
    }
}

fn read(block: &[u8]) -> Vec<String> {
    let mut fields = Fields::default();
    fields.begin(1 << 20);
    Decoder::default().read(block, &mut fields).unwrap();
    let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
    fields.iter().map(|(name, value)| format!("{}: {}", text(name), text(value))).collect()
}

#[test]
fn an_answer_loses_what_belongs_to_http_1() {
    let head = b"HTTP/1.1 404 Not Here\r\nDate: now\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\
        X-A: 1\r\nx-a: \r\nkeep-alive: 1\r\ntrailer: x\r\nname:\xe9\r\n\r\n";
    assert_eq!((head_len(head), status(head)), (Some(head.len()), Some(404)));
    let mut block = Vec::new();
    compress_response(head, false, &mut Encoder::default(), &mut block).unwrap();
    assert_eq!(read(&block), [":status: 404", "date: now", "x-a: 1", "x-a: ", "trailer: x", "name: "]);
    block.clear();
    let head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nSec-WebSocket-Accept: y\r\nz: 1\r\n\r\n";
    compress_response(head, true, &mut Encoder::default(), &mut block).unwrap();
    assert_eq!(read(&block), [":status: 200", "z: 1"]);
    block.clear();
    compress_trailers(b"Grpc-Status: 0\r\n\r\n", &mut Encoder::default(), &mut block);
    assert_eq!(read(&block), ["grpc-status: 0"]);
}

#[test]
fn a_request_to_an_endpoint_names_its_host_first() {
    let head = b"PUT /a?b HTTP/1.1\r\nX-A: 1\r\nHost: a.test\r\nte: trailers\r\nconnection: te\r\n\r\n";
    let mut block = Vec::new();
    compress_request(head, "https", false, &mut Encoder::default(), &mut block).unwrap();
    assert_eq!(
        read(&block),
        [":method: PUT", ":scheme: https", ":authority: a.test", ":path: /a?b", "x-a: 1", "te: trailers"]
    );
    let nobody = b"GET / HTTP/1.1\r\n\r\n";
    assert_eq!(compress_request(nobody, "http", false, &mut Encoder::default(), &mut Vec::new()), None);
}

#[test]
fn a_websocket_is_asked_for_and_accepted() {
    let head =
        b"GET /chat HTTP/1.1\r\nhost: a.test\r\nSec-WebSocket-Key: abc\r\nsec-websocket-version: 13\r\n\
        upgrade: websocket\r\nconnection: upgrade\r\n\r\n";
    let mut block = Vec::new();
    compress_request(head, "http", true, &mut Encoder::default(), &mut block).unwrap();
    let mut read = Fields::default();
    read.begin(10_000);
    Decoder::default().read(&block, &mut read).unwrap();
    let seen: Vec<_> = read.iter().map(|it| (it.0.to_vec(), it.1.to_vec())).collect();
    let expected = [
        (":method", "CONNECT"),
        (":scheme", "http"),
        (":authority", "a.test"),
        (":path", "/chat"),
        (":protocol", "websocket"),
        ("sec-websocket-version", "13"),
    ];
    assert_eq!(seen, expected.map(|it| (it.0.as_bytes().to_vec(), it.1.as_bytes().to_vec())));
    let lines = b"connection: upgrade\r\nupgrade: websocket\r\n";
    let answer = |all: &[(&str, &str)]| {
        let mut out = Vec::new();
        write_response(&fields(all), false, Some(lines), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let accepted = answer(&[(":status", "200"), ("content-length", "5"), ("sec-websocket-protocol", "chat")]);
    assert_eq!(
        accepted,
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-protocol: chat\r\n\r\n"
    );
    assert!(answer(&[(":status", "403")]).starts_with("HTTP/1.1 403 Forbidden\r\ntransfer-encoding"));
}
