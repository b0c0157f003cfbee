//! What the other side gets to see.

use crate::h1::{Asked, HeadScanner, RequestLimits, ResponseLimits, parse_request, parse_response};

use super::*;

const TRUSTED: ForwardedInfo<'_> =
    ForwardedInfo { peer: "192.0.2.7", proto: "http", by: None, trusted_peer: true };
const UNTRUSTED: ForwardedInfo<'_> = ForwardedInfo { trusted_peer: false, ..TRUSTED };

/// Writes the request `text` after `change` had its say, without the lines that say who asked unless
/// these are what the test is about.
fn request<'a>(text: &'a str, change: impl FnOnce(&mut RequestWriting<'a>)) -> String {
    let limits = RequestLimits::default();
    let mut head = RequestHead::default();
    let len = HeadScanner::new().scan(text.as_bytes(), &limits).unwrap().unwrap();
    parse_request(&text.as_bytes()[..len], &limits, &mut head).unwrap();
    let mut how = RequestWriting {
        path: head.path.text(text.as_bytes()),
        framing: head.framing,
        edits: &[],
        forwarded: UNTRUSTED,
        own: &[],
        fallback_host: "10.0.0.1:80",
        upgrade: true,
        expect: false,
        te_trailers: false,
        close: false,
    };
    change(&mut how);
    let mut out = Vec::new();
    write_request(&head, text.as_bytes(), &how, &mut out);
    String::from_utf8(out).unwrap()
}

const OURS: &str = "x-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: http\r\nx-forwarded-host: a\r\n\
                    x-forwarded-port: 80\r\nx-real-ip: 192.0.2.7\r\n\
                    forwarded: for=192.0.2.7;host=a;proto=http\r\n";

/// The lines that a `GET` with these lines becomes, without ours.
#[track_caller]
fn check(lines: &str, expected: &str) {
    let out = request(&format!("GET /x?y HTTP/1.1\r\nHost: a\r\n{lines}\r\n"), |_| {});
    let rest = out.strip_prefix("GET /x?y HTTP/1.1\r\nHost: a\r\n").unwrap();
    let (before, after) = rest.split_once(OURS).unwrap_or_else(|| panic!("{out}"));
    assert_eq!((before, after), (expected, "\r\n"), "{lines:?}");
}

#[test]
fn lines_keep_order_and_case_and_hop_by_hop_ones_end_here() {
    check("X-A: 1\r\nx-B:2\r\nAccept:  */*  \r\n", "X-A: 1\r\nx-B: 2\r\nAccept: */*\r\n");
    check("Connection: x-a, keep-alive\r\nX-A: 1\r\nX-B: 2\r\nx-a: 3\r\n", "X-B: 2\r\n");
    check("Keep-Alive: 5\r\nProxy-Connection: close\r\nTE: trailers\r\nTrailer: x\r\nX: 1\r\n", "X: 1\r\n");
    check("Proxy-Authorization: a\r\nProxy-Authenticate: b\r\nAuthorization: c\r\n", "Authorization: c\r\n");
    check("Connection: Authorization, X-Forwarded-For\r\nAuthorization: c\r\n", "Authorization: c\r\n");
    check("Connection: close\r\nUpgrade: websocket\r\n", "");
    check("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n", "");
    check(
        "X-Tidegate-Error: fake\r\nx-tidegate-lane: canary\r\nCookie: a\r\ncookie: b\r\n",
        "Cookie: a\r\ncookie: b\r\n",
    );
    check("X-Empty:\r\nContent-Length: 0\r\n", "X-Empty: \r\nContent-Length: 0\r\n");
    check("my_name: 1\r\nX: 2\r\n", "X: 2\r\n");
}

#[test]
fn an_upgrade_goes_on_with_its_connection_line() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let out = request(text, |_| {});
    assert!(out.contains("\r\nupgrade: websocket\r\nconnection: upgrade\r\n"), "{out}");
    let out = request(text, |how| how.upgrade = false);
    assert!(!out.contains("pgrade"), "{out}");
}

#[test]
fn framing_is_written_from_what_was_decided() {
    let text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0010\r\nX: y\r\nExpect: 100-continue\r\n\r\n";
    let out = request(text, |_| {});
    assert!(out.starts_with("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nX: y\r\n"), "{out}");
    assert!(!out.contains("xpect"), "{out}");
    let out = request(text, |how| (how.framing, how.expect) = (Framing::Chunked, true));
    assert!(!out.contains("ength") && out.contains("\r\ntransfer-encoding: chunked\r\n"), "{out}");
    assert!(out.contains("\r\nExpect: 100-continue\r\n"), "{out}");
    let chunked = "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n";
    assert!(request(chunked, |_| {}).contains("\r\ntransfer-encoding: chunked\r\n"));
    let out = request(chunked, |how| how.framing = Framing::Length(7));
    assert!(out.contains("\r\ncontent-length: 7\r\n") && !out.contains("hunked"), "{out}");
}

#[test]
fn trailers_and_close_are_asked_for_in_the_connection_line() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n";
    let out = request(text, |how| (how.te_trailers, how.close) = (true, true));
    assert!(out.contains("\r\nte: trailers\r\nconnection: te, close\r\n"), "{out}");
}

#[test]
fn every_request_has_a_host_and_the_targets_wins() {
    let absolute = request("GET http://A.test:80/x HTTP/1.1\r\nHost: a.test\r\n\r\n", |_| {});
    assert!(absolute.starts_with("GET /x HTTP/1.1\r\nHost: A.test:80\r\n"), "{absolute}");
    let old = request("GET http://b/x HTTP/1.0\r\n\r\n", |_| {});
    assert!(old.starts_with("GET /x HTTP/1.1\r\nhost: b\r\n"), "{old}");
    let without = request("GET /x HTTP/1.0\r\n\r\n", |_| {});
    assert!(without.starts_with("GET /x HTTP/1.1\r\nhost: 10.0.0.1:80\r\n"), "{without}");
    assert!(!without.contains("x-forwarded-host") && without.contains("for=192.0.2.7;proto"), "{without}");
}

/// The lines that say who asked, after these arrived.
fn told(info: ForwardedInfo<'_>, lines: &str) -> String {
    let out = request(&format!("GET / HTTP/1.1\r\nHost: a:81\r\n{lines}\r\n"), |how| how.forwarded = info);
    out.strip_prefix("GET / HTTP/1.1\r\nHost: a:81\r\n").unwrap().strip_suffix("\r\n").unwrap().to_owned()
}

const SPOOFED: &str = "X-Forwarded-For: 1.1.1.1, junk, 2001:db8::1\r\nX-Real-IP: 1.1.1.1\r\nForwarded: for=x, for=\"a,b\"\r\n\
                       X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nX-Forwarded-For: 9.9.9.9:1\r\n";

#[test]
fn an_untrusted_peer_is_believed_nothing() {
    let expected = "x-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: http\r\nx-forwarded-host: a:81\r\n\
                    x-forwarded-port: 81\r\nx-real-ip: 192.0.2.7\r\n\
                    forwarded: for=192.0.2.7;host=\"a:81\";proto=http\r\n";
    assert_eq!(told(UNTRUSTED, SPOOFED), expected);
    let v6 = ForwardedInfo { peer: "2001:db8::7", by: Some("10.0.0.9"), proto: "https", ..UNTRUSTED };
    assert_eq!(
        told(v6, ""),
        "x-forwarded-for: 2001:db8::7\r\nx-forwarded-proto: https\r\nx-forwarded-host: a:81\r\n\
         x-forwarded-port: 81\r\nx-real-ip: 2001:db8::7\r\n\
         forwarded: for=\"[2001:db8::7]\";by=10.0.0.9;host=\"a:81\";proto=https\r\n"
    );
}

#[test]
fn a_trusted_peers_chain_is_appended_to() {
    assert_eq!(
        told(TRUSTED, SPOOFED),
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\n\
         x-forwarded-for: 1.1.1.1, 2001:db8::1, 9.9.9.9:1, 192.0.2.7\r\nx-real-ip: 9.9.9.9\r\n\
         forwarded: for=x, for=\"a,b\", for=192.0.2.7;host=\"a:81\";proto=http\r\n"
    );
}

/// One address for the version and for all that goes by an address here.
#[test]
fn the_real_address_is_the_one_that_the_trusted_peer_vouches_for() {
    for (lines, client) in [
        ("", "192.0.2.7"),
        ("X-Forwarded-For: 6.6.6.6, 9.9.9.9\r\nX-Real-IP: 1.1.1.1\r\n", "9.9.9.9"),
        ("X-Real-IP: 1.1.1.1\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 9.9.9.9:80\r\n", "9.9.9.9"),
        ("X-Real-IP: 1.1.1.1\r\n", "1.1.1.1"),
        ("X-Real-IP: 1.1.1.1\r\nX-Real-IP: me\r\n", "192.0.2.7"),
        ("Forwarded: for=6.6.6.6\r\n", "192.0.2.7"),
        ("X-Forwarded-For: [2001:db8::1]:443\r\n", "2001:db8::1"),
        ("X-Forwarded-For: [2001:db8::1]\r\n", "2001:db8::1"),
        ("X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1"),
        // Nobody vouches for what stands before.
        ("X-Forwarded-For: 6.6.6.6, unknown\r\nX-Real-IP: 1.1.1.1\r\n", "192.0.2.7"),
        ("X-Forwarded-For: 6.6.6.6, \r\n", "192.0.2.7"),
        ("X-Forwarded-For: 6.6.6.6:70000\r\n", "192.0.2.7"),
        ("X-Forwarded-For: fe80::1%eth0\r\n", "192.0.2.7"),
        ("X-Forwarded-For: 1.1.1.1 - admin [01/Jan/2000:00:00:00 +0000] x\r\n", "192.0.2.7"),
        ("X-Forwarded-For:\r\n", "192.0.2.7"),
    ] {
        let out = told(TRUSTED, lines);
        assert_eq!(out.matches("eal-").count(), 1, "{lines}: {out}");
        assert!(out.contains(&format!("\r\nx-real-ip: {client}\r\n")), "{lines}: {out}");
    }
}

#[test]
fn junk_in_a_trusted_chain_is_ignored_and_long_chains_are_cut() {
    let out = told(
        TRUSTED,
        "X-Forwarded-For: unknown, fe80::1%eth0, , \"x\r\nForwarded: for=\"open\r\nX-Forwarded-Proto: gopher\r\n",
    );
    assert!(out.starts_with("x-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: http\r\n"), "{out}");
    assert!(out.contains("\r\nforwarded: for=192.0.2.7;"), "{out}");
    let chain: Vec<_> = (0..60).map(|at| format!("10.0.0.{at}")).collect();
    let out = told(TRUSTED, &format!("X-Forwarded-For: {}\r\n", chain.join(", ")));
    assert_eq!(out.lines().next().unwrap().split(", ").count(), 50);
    assert!(
        out.starts_with("x-forwarded-for: 10.0.0.11, ") && out.contains(", 10.0.0.59, 192.0.2.7\r\n"),
        "{out}"
    );
}

#[test]
fn edits_are_applied_in_their_order() {
    let set = |name: &str, value: &str| HeaderEdit::Set(name.into(), value.into());
    let add = |name: &str, value: &str| HeaderEdit::Add(name.into(), value.into());
    let remove = |name: &str| HeaderEdit::Remove(name.into());
    let text = "POST / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-b: 2\r\nContent-Length: 3\r\n\r\n";
    for (edits, expected) in [
        (vec![set("x-a", "9")], "Host: a\r\nx-b: 2\r\nContent-Length: 3\r\n|x-a: 9\r\n"),
        (vec![add("x-a", "9")], "Host: a\r\nX-A: 1\r\nx-b: 2\r\nContent-Length: 3\r\n|x-a: 9\r\n"),
        (vec![add("x-c", "9"), remove("X-C")], "Host: a\r\nX-A: 1\r\nx-b: 2\r\nContent-Length: 3\r\n|"),
        (vec![remove("x-b"), add("x-b", "9")], "Host: a\r\nX-A: 1\r\nContent-Length: 3\r\n|x-b: 9\r\n"),
        (vec![set("host", "z")], "X-A: 1\r\nx-b: 2\r\nContent-Length: 3\r\n|host: z\r\n"),
        (
            vec![
                set("content-length", "9"),
                set("transfer-encoding", "x"),
                remove("Content-Length"),
                add("connection", "x"),
            ],
            "Host: a\r\nX-A: 1\r\nx-b: 2\r\nContent-Length: 3\r\n|",
        ),
    ] {
        let out = request(text, |how| how.edits = &edits);
        let (before, after) = expected.split_once('|').unwrap();
        assert_eq!(out, format!("POST / HTTP/1.1\r\n{before}{OURS}{after}\r\n"), "{edits:?}");
    }
    let edits = [set("x-forwarded-for", "hidden"), remove("x-real-ip"), remove("forwarded")];
    let out = request(text, |how| how.edits = &edits);
    assert!(!out.contains("192.0.2.7") && out.contains("\r\nx-forwarded-for: hidden\r\n"), "{out}");
}

#[test]
fn options_may_go_one_server_less_far() {
    let out = request("OPTIONS /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n", |_| {});
    assert!(out.contains("\r\nMax-Forwards: 2\r\n"), "{out}");
    check("Max-Forwards: 3\r\n", "Max-Forwards: 3\r\n");
}

/// Writes the response `text`, which answers a request of this kind.
fn response<'a>(kind: MethodKind, text: &[u8], change: impl FnOnce(&mut ResponseWriting<'a>)) -> Vec<u8> {
    let (limits, asked) = (ResponseLimits::default(), Asked { kind, upgrade: true });
    let mut head = ResponseHead::default();
    parse_response(text, &limits, asked, &mut head).unwrap();
    let mut how = ResponseWriting {
        framing: head.framing,
        close: false,
        client_http10: false,
        edits: &[],
        own: &[],
        date: b"Thu, 01 Jan 1970 00:00:00 GMT",
        trailers: false,
    };
    change(&mut how);
    let mut out = Vec::new();
    write_response(&head, text, &how, &mut out);
    out
}

/// The response to a GET without our date.
fn answer<'a>(text: &str, change: impl FnOnce(&mut ResponseWriting<'a>)) -> String {
    let out = String::from_utf8(response(MethodKind::Get, text.as_bytes(), change)).unwrap();
    out.replace("date: Thu, 01 Jan 1970 00:00:00 GMT\r\n", "")
}

#[test]
fn responses_lose_what_is_hop_by_hop_and_nothing_else() {
    let text = "HTTP/1.0 200 Very well\r\nServer: x\r\nConnection: close, x-a\r\nX-A: 1\r\nKeep-Alive: 5\r\n\
                Upgrade: h2\r\nProxy-Authenticate: y\r\nProxy-Connection: z\r\nTrailer: t\r\nx-tidegate-error: fake\r\n\
                content-length: 007\r\n\r\n";
    assert_eq!(answer(text, |_| {}), "HTTP/1.1 200 Very well\r\nServer: x\r\ncontent-length: 7\r\n\r\n");
}

#[test]
fn sixty_cookies_and_odd_bytes_pass_byte_for_byte() {
    let mut text = b"HTTP/1.1 200 \xfcber\r\nDate: today\r\nContent-Length: 1\r\n".to_vec();
    for at in 0..60 {
        text.extend_from_slice(format!("Set-Cookie: c{}=\u{e9}{at}; Path=/\r\n", at % 7).as_bytes());
    }
    text.extend_from_slice(b"X: \xff\t\x80\r\n\r\n");
    assert_eq!(response(MethodKind::Get, &text, |_| {}), text);
}

#[test]
fn what_follows_a_response_is_said_in_it() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n";
    assert_eq!(answer(chunked, |_| {}), "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    let kept = answer(chunked, |how| how.trailers = true);
    assert_eq!(kept, "HTTP/1.1 200 OK\r\nTrailer: x\r\ntransfer-encoding: chunked\r\n\r\n");
    let open = answer(chunked, |how| (how.framing, how.client_http10) = (Framing::UntilClose, true));
    assert_eq!(open, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
    let counted = "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nContent-Length: 5\r\n\r\n";
    let expected = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n";
    assert_eq!(answer(counted, |_| {}), format!("{expected}\r\n"));
    assert_eq!(answer(counted, |how| how.close = true), format!("{expected}connection: close\r\n\r\n"));
    let old = answer(counted, |how| how.client_http10 = true);
    assert_eq!(old, format!("{expected}connection: keep-alive\r\n\r\n"));
}

#[test]
fn lengths_of_bodies_that_do_not_follow() {
    for (kind, status, kept) in
        [(MethodKind::Head, "200", true), (MethodKind::Get, "304", true), (MethodKind::Get, "204", false)]
    {
        let text = format!("HTTP/1.1 {status} x\r\nContent-Length: 5\r\n\r\n");
        let out = String::from_utf8(response(kind, text.as_bytes(), |_| {})).unwrap();
        assert_eq!(out.contains("Content-Length: 5\r\n"), kept, "{out}");
    }
}

#[test]
fn upgrades_are_named_where_they_belong() {
    let switching =
        "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n";
    let expected =
        "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\nconnection: upgrade\r\n\r\n";
    assert_eq!(answer(switching, |how| how.close = true), expected);
    let required =
        "HTTP/1.1 426 R\r\nConnection: upgrade, close\r\nUpgrade: TLS/1.3\r\nContent-Length: 0\r\n\r\n";
    let expected = "HTTP/1.1 426 R\r\nUpgrade: TLS/1.3\r\nContent-Length: 0\r\nconnection: upgrade\r\n\r\n";
    assert_eq!(answer(required, |_| {}), expected);
}

#[test]
fn interim_responses_pass_without_framing() {
    let text = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (limits, mut head) = (ResponseLimits::default(), ResponseHead::default());
    parse_response(text, &limits, Asked::default(), &mut head).unwrap();
    assert!(head.is_interim());
    let mut out = Vec::new();
    write_interim(&head, text, &mut out);
    assert_eq!(String::from_utf8_lossy(&out), "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
}

#[test]
fn edits_change_responses_too() {
    let edits = [HeaderEdit::Set("date".into(), "d".into()), HeaderEdit::Remove("server".into())];
    let out = answer("HTTP/1.1 204 x\r\nServer: y\r\nX: 1\r\n\r\n", |how| how.edits = &edits);
    assert_eq!(out, "HTTP/1.1 204 x\r\nX: 1\r\ndate: d\r\n\r\n");
}

#[test]
fn our_own_lines_stand_for_what_was_received() {
    let own = |value: &'static [u8]| [OwnLine { field: Field::XRequestId, name: "x-request-id", value }];
    let text = "GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: theirs\r\nTraceparent: t\r\n\r\n";
    for (lines, edits, expected) in [
        (&[][..], vec![], "X-Request-ID: theirs\r\nTraceparent: t\r\n|"),
        (&own(b"ours"), vec![], "Traceparent: t\r\n|x-request-id: ours\r\n"),
        (&own(b""), vec![], "Traceparent: t\r\n|"),
        (&own(b"ours"), vec![HeaderEdit::Remove("x-request-id".into())], "Traceparent: t\r\n|"),
    ] {
        let out = request(text, |how| (how.own, how.edits) = (lines, &edits));
        let (before, after) = expected.split_once('|').unwrap();
        assert_eq!(out, format!("GET / HTTP/1.1\r\nHost: a\r\n{before}{OURS}{after}\r\n"));
    }
    let text = "HTTP/1.1 200 OK\r\nX-Request-Id: theirs\r\nContent-Length: 0\r\n\r\n";
    let out = answer(text, |how| how.own = &[]);
    assert_eq!(out, text);
    let mine = [OwnLine { field: Field::XRequestId, name: "x-request-id", value: b"ours" }];
    let out = response(MethodKind::Get, text.as_bytes(), |how| {
        // The lines of a test live as long as it.
        how.own = Box::leak(Box::new(mine));
    });
    let out = String::from_utf8(out).unwrap();
    assert!(!out.contains("theirs") && out.contains("\r\nx-request-id: ours\r\n"), "{out}");
}

/// What everybody may get from a cache says that this line is for one.
#[test]
fn a_cookie_for_one_client_is_not_for_shared_caches() {
    let cookie = || HeaderEdit::Cookie("u=1".into());
    let apart = |status: u16, lines: &str, edits: &[HeaderEdit]| {
        let text = format!("HTTP/1.1 {status} X\r\n{lines}Content-Length: 0\r\n\r\n");
        let out = answer(&text, |how| how.edits = edits);
        let told = out.ends_with("\r\nset-cookie: u=1\r\ncache-control: private=\"set-cookie\"\r\n\r\n");
        assert!(told || out.ends_with("\r\nset-cookie: u=1\r\n\r\n"), "{out}");
        assert!(out.contains(lines), "what came is not touched: {out}");
        told
    };
    for (status, lines, expected) in [
        (200, "Cache-Control: public, max-age=600\r\n", true),
        (200, "cache-control: no-cache\r\n", true),
        (200, "Cache-Control: private=\"x-a\"\r\n", true),
        (200, "Cache-Control: must-revalidate\r\nCache-Control: S-MaxAge=1\r\n", true),
        (200, "", true),
        (404, "", true),
        (302, "Expires: Thu, 01 Jan 2099 00:00:00 GMT\r\n", true),
        (302, "Cache-Control: max-age=60\r\n", true),
        (302, "", false),
        (500, "", false),
        (200, "Cache-Control: no-store\r\n", false),
        (200, "Cache-Control: public\r\nCache-Control: max-age=1,Private\r\n", false),
    ] {
        assert_eq!(apart(status, lines, &[cookie()]), expected, "{status} {lines}");
    }
    let set = |value: &str| [HeaderEdit::Set("Cache-Control".into(), value.into()), cookie()];
    let text = "HTTP/1.1 302 X\r\nCache-Control: public\r\nContent-Length: 0\r\n\r\n";
    let told = |edits: &[HeaderEdit]| answer(text, |how| how.edits = edits).contains("private=");
    assert!(!told(&set("no-store")) && !told(&set("no-cache")) && told(&set("max-age=1")));
    assert!(!told(&[]), "nobody is given anything");
    assert!(
        !told(&[HeaderEdit::Add("set-cookie".into(), "u=1".into())]),
        "the route's own is its own affair"
    );
}
