//! One table per rule.

use crate::h1::HeadScanner;

use super::*;

fn read_for(asked: Asked, text: &[u8]) -> Result<ResponseHead, Malformed> {
    let limits = ResponseLimits::default();
    let mut head = ResponseHead::default();
    let len = HeadScanner::new().scan_response(text, &limits)?.expect("the example is a whole head");
    parse_response(&text[..len], &limits, asked, &mut head)?;
    Ok(head)
}

fn read(text: &str) -> Result<ResponseHead, Malformed> {
    read_for(Asked { kind: MethodKind::Get, upgrade: false }, text.as_bytes())
}

#[test]
fn the_end_of_a_body_follows_from_status_method_and_lines() {
    let get = Asked { kind: MethodKind::Get, upgrade: false };
    let head = Asked { kind: MethodKind::Head, upgrade: false };
    for (asked, text, framing, keep_alive) in [
        (get, "1.1 200 OK\r\nContent-Length: 5\r\n", Framing::Length(5), true),
        (get, "1.1 200 OK\r\nContent-Length: 5, 5\r\nContent-Length: 5\r\n", Framing::Length(5), true),
        (get, "1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", Framing::Chunked, true),
        (get, "1.1 200 OK\r\n", Framing::UntilClose, false),
        (get, "1.1 204 No\r\n", Framing::None, true),
        (get, "1.1 204 No\r\nContent-Length: 5\r\n", Framing::None, false),
        (get, "1.1 204 No\r\nTransfer-Encoding: chunked\r\n", Framing::None, false),
        (get, "1.1 304 Not\r\nContent-Length: 5\r\n", Framing::None, true),
        (get, "1.1 103 Early\r\n", Framing::None, true),
        (head, "1.1 200 OK\r\nContent-Length: 5\r\n", Framing::None, true),
        (head, "1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", Framing::None, true),
        (head, "1.1 200 OK\r\n", Framing::None, true),
        (get, "1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n", Framing::Length(5), false),
        (get, "1.0 200 OK\r\nContent-Length: 5\r\n", Framing::Length(5), false),
        (get, "1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n", Framing::Length(5), true),
    ] {
        let read = read_for(asked, format!("HTTP/{text}\r\n").as_bytes()).unwrap();
        assert_eq!((read.framing, read.keep_alive), (framing, keep_alive), "{text:?}");
    }
}

#[test]
fn whatever_is_doubtful_is_not_forwarded() {
    for (text, expected) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", Malformed::BadFraming),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n", Malformed::BadFraming),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n", Malformed::BadFraming),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n", Malformed::BadFraming),
        ("HTTP/1.1 200 OK\r\nContent-Length:\r\n", Malformed::BadFraming),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n", Malformed::BadFraming),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n", Malformed::BadFraming),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            Malformed::BadFraming,
        ),
        ("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n", Malformed::UnaskedUpgrade),
        ("HTTP/1.1 99 x\r\n", Malformed::BadStatusLine),
        ("HTTP/1.1 000 x\r\n", Malformed::BadStatusLine),
        ("HTTP/1.1 099 x\r\n", Malformed::BadStatusLine),
        ("HTTP/1.1 1000 x\r\n", Malformed::BadStatusLine),
        ("HTTP/1.1 2x0 x\r\n", Malformed::BadStatusLine),
        ("HTTP/1.1  200 x\r\n", Malformed::BadStatusLine),
        ("HTTP/2.0 200 OK\r\n", Malformed::NotHttp),
        ("HTTP/1.2 200 OK\r\n", Malformed::NotHttp),
        ("<html>\r\n", Malformed::NotHttp),
        ("\r\nHTTP/1.1 200 OK\r\n", Malformed::NotHttp),
        ("HTTP/1.1 200 OK\nContent-Length: 0\n", Malformed::BadLineEnd),
        ("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n", Malformed::BadHeader),
        ("HTTP/1.1 200 OK\r\nX : a\r\n", Malformed::BadHeader),
        ("HTTP/1.1 200 OK\r\nX: a\0\r\n", Malformed::BadLineEnd),
    ] {
        assert_eq!(read(&format!("{text}\r\n")).map(|it| it.framing), Err(expected), "{text:?}");
    }
}

#[test]
fn limits_hold() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(64 * 1024));
    assert_eq!(read(&long).unwrap_err(), Malformed::HeadTooLarge);
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(101));
    assert_eq!(read(&many).unwrap_err(), Malformed::TooManyHeaders);
}

#[test]
fn a_change_of_protocol_is_taken_if_it_was_asked_for() {
    let asked = Asked { kind: MethodKind::Get, upgrade: true };
    let yes =
        read_for(asked, b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").unwrap();
    assert!(yes.upgraded && !yes.is_interim());
    let bare = read_for(asked, b"HTTP/1.1 101 S\r\n\r\n");
    assert_eq!(bare.unwrap_err(), Malformed::UnaskedUpgrade);
}

#[test]
fn reasons_are_kept_and_may_be_missing() {
    for (line, expected) in [
        (b"HTTP/1.1 200 All is well".as_slice(), b"All is well".as_slice()),
        (b"HTTP/1.1 200 \xfcber", b"\xfcber"),
        (b"HTTP/1.1 200 ", b""),
        (b"HTTP/1.1 200", b""),
    ] {
        let text = [line, b"\r\n\r\n"].concat();
        assert_eq!(read_for(Asked::default(), &text).unwrap().reason.of(&text), expected);
    }
}
