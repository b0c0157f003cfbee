//! One table per rule.

use crate::h1::HeadScanner;

use super::*;

fn read_with(text: &[u8], limits: &RequestLimits) -> Result<RequestHead, Refusal> {
    let mut head = RequestHead::default();
    let len = HeadScanner::new().scan(text, limits)?.expect("the example is a whole head");
    parse_request(&text[..len], limits, &mut head)?;
    Ok(head)
}

fn read(text: &str) -> Result<RequestHead, Refusal> {
    read_with(text.as_bytes(), &RequestLimits::default())
}

/// A `POST` of HTTP/1.1 with these lines beside its `Host`.
fn post(lines: &str) -> Result<RequestHead, Refusal> {
    read(&format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
}

#[test]
fn a_plain_request_is_read_as_spans() {
    let text = "GET /a/b?x=1 HTTP/1.1\r\nHost: Shop.test:8080\r\nX-Empty:\r\nAccept: \t*/* \r\n\r\n";
    let head = read(text).unwrap();
    let buf = text.as_bytes();
    assert_eq!((head.method.text(buf), head.kind), ("GET", MethodKind::Get));
    assert_eq!((head.path.text(buf), head.query.map(|it| it.text(buf))), ("/a/b", Some("x=1")));
    assert_eq!((head.host.name.text(buf), head.host.port), ("Shop.test", Some(8080)));
    let lines: Vec<_> = head.lines.iter().map(|it| (it.name.text(buf), it.value.text(buf))).collect();
    assert_eq!(lines, [("Host", "Shop.test:8080"), ("X-Empty", ""), ("Accept", "*/*")]);
    assert_eq!((head.framing, head.keep_alive, head.len), (Framing::None, true, text.len()));
    assert_eq!(head.values(buf, "accept").collect::<Vec<_>>(), [b"*/*"]);
}

#[test]
fn the_end_of_a_body_is_certain_or_the_request_is_refused() {
    for (lines, expected) in [
        ("", Ok(Framing::None)),
        ("Content-Length: 5\r\n", Ok(Framing::Length(5))),
        ("Content-Length: 0\r\n", Ok(Framing::Length(0))),
        ("content-LENGTH: 010\r\n", Ok(Framing::Length(10))),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", Err(Refusal::BadFraming)),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", Err(Refusal::BadFraming)),
        ("Content-Length: 5, 5\r\n", Err(Refusal::BadFraming)),
        ("Content-Length: 5,\r\n", Err(Refusal::BadFraming)),
        ("Content-Length:\r\n", Err(Refusal::BadFraming)),
        ("Content-Length: +5\r\n", Err(Refusal::BadFraming)),
        ("Content-Length: -0\r\n", Err(Refusal::BadFraming)),
        ("Content-Length: 0x5\r\n", Err(Refusal::BadFraming)),
        ("Content-Length: 5 5\r\n", Err(Refusal::BadFraming)),
        ("Content-Length: 99999999999999999999\r\n", Err(Refusal::BadFraming)),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Err(Refusal::BadFraming)),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", Err(Refusal::BadFraming)),
        ("Transfer-Encoding: chunked\r\n", Ok(Framing::Chunked)),
        ("Transfer-Encoding: Chunked\r\n", Ok(Framing::Chunked)),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err(Refusal::BadFraming)),
    ] {
        assert_eq!(post(lines).map(|it| it.framing), expected, "{lines:?}");
    }
}

#[test]
fn no_coding_but_chunked_and_no_other_spelling_of_it() {
    for value in [
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "chunked,",
        ",chunked",
        "identity",
        "xchunked",
        "chunked;q=1",
        "\"chunked\"",
        "chunk ed",
        "chunked chunked",
        "chunked\u{a0}",
        "\u{b}chunked",
        "",
    ] {
        let refused = post(&format!("Transfer-Encoding: {value}\r\n")).unwrap_err();
        assert!(matches!(refused.status(), 400 | 501), "{value:?}: {refused:?}");
    }
    let http10 = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(read(http10).unwrap_err(), Refusal::BadFraming);
}

#[test]
fn there_is_one_host_and_it_is_one() {
    let host = |lines: &str| read(&format!("GET / HTTP/1.1\r\n{lines}\r\n")).map(|_| ());
    assert_eq!(host("Host: a.test\r\n"), Ok(()));
    for lines in [
        "",
        "Host:\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a, b\r\n",
        "Host: u@a\r\n",
        "Host: a/x\r\n",
        "Host: a:b\r\n",
        "Host: a:99999\r\n",
        "Host: a b\r\n",
        "Host: [::1\r\n",
        "Host: a?\r\n",
        "Host: \u{e9}\r\n",
    ] {
        assert_eq!(host(lines), Err(Refusal::BadHost), "{lines:?}");
    }
    let http10 = read("GET / HTTP/1.0\r\n\r\n").unwrap();
    assert!(http10.host.whole.is_empty());
}

#[test]
fn a_target_has_the_form_that_its_method_may_have() {
    for (start, expected) in [
        ("GET /", Ok(TargetForm::Origin)),
        ("GET //x", Ok(TargetForm::Origin)),
        ("OPTIONS *", Ok(TargetForm::Asterisk)),
        ("OPTIONS http://a", Ok(TargetForm::Asterisk)),
        ("GET http://a", Ok(TargetForm::Absolute)),
        ("GET HTTP://A:80/x?y", Ok(TargetForm::Absolute)),
        ("GET https://a/x", Ok(TargetForm::Absolute)),
        ("GET http://b/x", Err(Refusal::BadHost)),
        ("GET http://a:81/x", Err(Refusal::BadHost)),
        ("GET http://u@a/x", Err(Refusal::BadHost)),
        ("GET http:///x", Err(Refusal::BadHost)),
        ("GET ftp://a/x", Err(Refusal::BadTarget)),
        ("GET *", Err(Refusal::BadTarget)),
        ("GET admin", Err(Refusal::BadTarget)),
        ("GET a:80", Err(Refusal::BadTarget)),
        ("GET /a#b", Err(Refusal::BadTarget)),
        ("GET /a?b#c", Err(Refusal::BadTarget)),
        ("GET /\u{e9}", Err(Refusal::BadTarget)),
        ("GET /\u{7f}", Err(Refusal::BadTarget)),
        ("CONNECT x:80", Err(Refusal::MethodNotAllowed)),
        ("TRACE /", Err(Refusal::MethodNotAllowed)),
        ("GET  /", Err(Refusal::BadRequestLine)),
        ("GET /a b", Err(Refusal::BadVersion)),
        ("G@T /", Err(Refusal::BadRequestLine)),
    ] {
        let form = read(&format!("{start} HTTP/1.1\r\nHost: a\r\n\r\n")).map(|it| it.form);
        match (form, expected) {
            // Which of the two `httparse` finds first is of no interest.
            (Err(Refusal::BadRequestLine | Refusal::BadVersion | Refusal::BadTarget), Err(expected)) => {
                assert_eq!(expected.status(), 400, "{start:?}");
            }
            (form, expected) => assert_eq!(form, expected, "{start:?}"),
        }
    }
}

#[test]
fn versions_other_than_ours_are_told_so_at_once() {
    for (line, expected) in [
        ("GET / HTTP/1.2", Refusal::UnsupportedVersion),
        ("GET / HTTP/2.0", Refusal::UnsupportedVersion),
        ("GET / HTTP/0.9", Refusal::UnsupportedVersion),
        ("PRI * HTTP/2.0", Refusal::NotHttp),
        ("GET / HTTP/1.32", Refusal::BadVersion),
        ("GET / http/1.1", Refusal::BadVersion),
        ("GET /", Refusal::BadVersion),
        ("GET", Refusal::BadRequestLine),
        ("GET HTTP/1.1", Refusal::BadRequestLine),
    ] {
        let refused = HeadScanner::new().scan(format!("{line}\r\n").as_bytes(), &RequestLimits::default());
        assert_eq!(refused.unwrap_err(), expected, "{line}");
    }
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    assert_eq!(HeadScanner::new().scan(&hello[..1], &RequestLimits::default()), Err(Refusal::NotHttp));
    assert_eq!(HeadScanner::new().scan(hello, &RequestLimits::default()), Err(Refusal::NotHttp));
}

#[test]
fn line_ends_and_control_characters_are_as_they_should_be() {
    for text in [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\rHost: a\r\r",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n",
        "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n X: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\u{1}b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \u{7f}\r\n\r\n",
        "GET / HTTP/1.1\r\n\tX: a\r\nHost: a\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX(y): b\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        assert_eq!(read(text).unwrap_err().status(), 400, "{text:?}");
    }
    let high = b"GET / HTTP/1.1\r\nHost: a\r\nX: a\xff\tb\r\n\r\n";
    assert!(
        read_with(high, &RequestLimits::default()).is_ok(),
        "bytes above ASCII and tabs may be in values"
    );
}

#[test]
fn limits_are_told_apart() {
    let limits = RequestLimits::default();
    let lines = |count: usize| "X: y\r\n".repeat(count - 1);
    let get = |target: &str, lines: &str| {
        let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        read_with(text.as_bytes(), &limits).map(|_| ()).map_err(Refusal::status)
    };
    let target = |len: usize| format!("/{}", "a".repeat(len - 1));
    assert_eq!(get(&target(limits.uri), ""), Ok(()));
    assert_eq!(get(&target(limits.uri + 1), ""), Err(414));
    assert_eq!(get("/", &lines(100)), Ok(()));
    assert_eq!(get("/", &lines(101)), Err(431));
    assert_eq!(get("/", &format!("{}: y\r\n", "n".repeat(100_000))), Err(431));
    let rest = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
    assert_eq!(get("/", &format!("X: {}\r\n", "v".repeat(limits.head - rest))), Ok(()));
    assert_eq!(get("/", &format!("X: {}\r\n", "v".repeat(limits.head - rest + 1))), Err(431));
    let method = |len: usize| {
        let text = format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(len));
        read(&text).map(|it| it.kind).map_err(Refusal::status)
    };
    assert_eq!((method(32), method(33)), (Ok(MethodKind::Other), Err(501)));
    let many = RequestLimits { headers: 500, ..limits };
    let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", lines(500));
    assert_eq!(read_with(text.as_bytes(), &many).unwrap().lines.len(), 500);
}

#[test]
fn limits_are_told_before_the_head_is_complete() {
    let limits = RequestLimits::default();
    for (start, expected) in [
        (format!("GET /{}", "a".repeat(limits.uri + 10)), 414),
        ("M".repeat(33), 501),
        (format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(limits.head)), 431),
    ] {
        let mut scanner = HeadScanner::new();
        let refused = (1..=start.len()).find_map(|len| scanner.scan(&start.as_bytes()[..len], &limits).err());
        assert_eq!(refused.map(Refusal::status), Some(expected));
    }
}

#[test]
fn names_with_an_underscore_follow_the_rule() {
    let text = b"GET / HTTP/1.1\r\nHost: a\r\nx_forwarded_for: 1.1.1.1\r\nmy_name: b\r\n\r\n";
    let with = |underscores| read_with(text, &RequestLimits { underscores, ..RequestLimits::default() });
    let count = |head: RequestHead| (head.lines.len(), head.dropped);
    assert_eq!(with(Underscores::Drop).map(count), Ok((1, 2)));
    assert_eq!(with(Underscores::Keep).map(count), Ok((2, 1)), "what passes for another name is never kept");
    assert_eq!(with(Underscores::Refuse).map(count), Err(Refusal::Underscore));
    let hidden = b"GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\nTransfer_Encoding: chunked\r\n\r\n";
    let keep = RequestLimits { underscores: Underscores::Keep, ..RequestLimits::default() };
    assert_eq!(read_with(hidden, &keep).map(count), Ok((1, 2)));
}

#[test]
fn connections_stay_as_their_version_says() {
    for (version, lines, expected) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: x\r\nConnection: y, Close\r\n", false),
        ("1.1", "Connection: keep-alive, close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Proxy-Connection: keep-alive\r\n", false),
    ] {
        let head = read(&format!("GET / HTTP/{version}\r\nHost: a\r\n{lines}\r\n")).unwrap();
        assert_eq!(head.keep_alive, expected, "{version} {lines:?}");
    }
}

#[test]
fn nominated_lines_end_here_except_those_that_nobody_may_take_away() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nConnection: x-a, host, Authorization\r\nx-b: 2\r\n\
                Connection: close,X-B,cookie,x-forwarded-for\r\nAuthorization: z\r\nCookie: c\r\nX-Forwarded-For: 1\r\n\r\n";
    let head = read(text).unwrap();
    let gone: Vec<_> =
        head.lines.iter().filter(|it| it.nominated).map(|it| it.name.text(text.as_bytes())).collect();
    assert_eq!(gone, ["X-A", "x-b"]);
    let many = format!("Connection: {}\r\n", "a,".repeat(33));
    assert_eq!(post(&many).unwrap_err(), Refusal::BadConnection);
}

#[test]
fn an_expectation_is_100_continue_or_refused() {
    let expect = |version: &str, value: &str, length: u32| {
        let text = format!(
            "POST / HTTP/{version}\r\nHost: a\r\nExpect: {value}\r\nContent-Length: {length}\r\n\r\n"
        );
        read(&text).map(|it| it.expect_continue).map_err(Refusal::status)
    };
    assert_eq!(expect("1.1", "100-Continue", 5), Ok(true));
    assert_eq!(expect("1.1", "100-continue", 0), Ok(false));
    assert_eq!(expect("1.0", "100-continue", 5), Ok(false));
    assert_eq!(expect("1.1", "y 100-continue", 5), Err(417));
    assert_eq!(expect("1.1", "100-continue, 100-continue", 5), Err(417));
}

#[test]
fn an_upgrade_is_meant_or_ignored() {
    for (lines, expected) in [
        ("Connection: Upgrade\r\nUpgrade: websocket\r\n", true),
        ("Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\n", true),
        ("Connection: upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n", true),
        ("Upgrade: websocket\r\n", false),
        ("Connection: upgrade\r\n", false),
        ("Connection: upgrade\r\nUpgrade:\r\n", false),
        ("Connection: upgrade\r\nUpgrade: h2c\r\n", false),
        ("Connection: upgrade\r\nUpgrade: websocket, H2C\r\n", false),
        ("Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n", false),
        ("Connection: upgrade\r\nUpgrade: h2c-14\r\n", false),
        ("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n", false),
    ] {
        assert_eq!(post(lines).unwrap().upgrade.is_some(), expected, "{lines:?}");
    }
}

#[test]
fn http10_names_the_length_of_a_body() {
    let with = |start: &str| read(&format!("{start} HTTP/1.0\r\nHost: a\r\n\r\n")).map(|it| it.framing);
    assert_eq!(with("POST /"), Err(Refusal::LengthRequired));
    assert_eq!(with("GET /"), Ok(Framing::None));
}

#[test]
fn trailers_are_taken_by_who_says_so_and_options_may_end_here() {
    assert!(post("TE: gzip, Trailers\r\n").unwrap().te_trailers);
    assert!(!post("TE: trailers;q=0\r\n").unwrap().te_trailers);
    let options =
        |value: &str| read(&format!("OPTIONS /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: {value}\r\n\r\n"));
    assert!(options("0").unwrap().is_for_proxy());
    assert!(!options("1").unwrap().is_for_proxy());
    assert_eq!(options("-1").unwrap_err(), Refusal::BadHeader);
}
