//! The rules of RFC 9113 and RFC 7541, frame by frame: one row for each title of h2spec that a server can
//! get wrong, in our own words.

use std::time::Duration;

use super::support::frames::{Came, END_HEADERS, END_STREAM, Frames, GET, POST, WHOLE, block, kind, with};
use super::support::{Gate, Setup, Upstream};
use Expected::{Connection, Fine, Refused, Stream};

/// Codes of errors, each with the one that the library uses where it has no finer word.
const PROTOCOL: &[u32] = &[1];
const FLOW: &[u32] = &[3, 1];
const CLOSED: &[u32] = &[5, 1];
const SIZE: &[u32] = &[6, 1];
const COMPRESSION: &[u32] = &[9, 1];

/// What has to come of a script, which uses stream 1.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// The connection ends with one of these codes.
    Connection(&'static [u32]),
    /// The stream is reset with one of these codes, or answered 400; or the connection ends with it.
    Stream(&'static [u32]),
    /// The request is answered with this status.
    Refused(u16),
    /// The request is answered 200.
    Fine,
}

type Script = fn(&mut Frames);
type Row = (&'static str, Script, Expected);

/// Plays every row on a connection of its own.
#[track_caller]
fn check(rows: &[Row]) {
    let upstream = Upstream::answering("hello");
    let gate = gate(&upstream);
    let wrong: Vec<String> = rows.iter().filter_map(|row| wrong(&gate, row)).collect();
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    gate.get("/");
}

fn gate(upstream: &Upstream) -> Gate {
    Setup::to(upstream).listener("h2c: true").start()
}

fn wrong(gate: &Gate, (title, script, expected): &Row) -> Option<String> {
    let mut frames = Frames::connect(gate.address());
    script(&mut frames);
    let ping = || frames_ping();
    let came = match expected {
        Connection(_) => frames.end_within(Duration::from_secs(5)).unwrap_or_else(|came| came),
        _ => outcome(frames.bytes(&ping())),
    };
    let fits = match expected {
        Connection(codes) => came.closed && came.goaway.is_some_and(|it| codes.contains(&it)),
        Stream(codes) => {
            came.reset.or(came.goaway).is_some_and(|it| codes.contains(&it)) || came.status == Some(400)
        }
        Refused(status) => came.status == Some(*status),
        Fine => came.status == Some(200) && came.whole && came.goaway.is_none(),
    };
    (!fits).then(|| format!("{title}: {expected:?}, but {came:?}"))
}

/// What has come of stream 1 when it has ended; a reset may follow an answer.
fn outcome(frames: &mut Frames) -> Came {
    let mut came = Came::default();
    while !(came.whole || came.reset.is_some() || came.closed) {
        match frames.next_within(Duration::from_secs(5)) {
            Ok(frame) => came.note(1, &frame),
            Err(true) => came.closed = true,
            Err(false) => break,
        }
    }
    came
}

fn frames_ping() -> Vec<u8> {
    super::support::frames::frame(kind::PING, 0, 0, b"and now?")
}

/// A request whose head is `fields`, and the head alone.
fn asks(frames: &mut Frames, fields: &[(&str, &str)]) {
    frames.send(kind::HEADERS, WHOLE, 1, &block(fields));
}

fn raw(frames: &mut Frames, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    frames.send(kind, flags, stream, payload);
}

/// Nothing more is to be said.
fn done(_: &mut Frames) {}

#[test]
fn frames_of_any_kind() {
    check(&[
        ("4.1 a frame of unknown type", |it| raw(it.get(1), 0x16, 0, 0, b"12345678"), Fine),
        ("4.1 flags that mean nothing", |it| raw(it.get(1), kind::PING, 0x16, 0, b"12345678"), Fine),
        ("4.1 the reserved bit", |it| raw(it.get(1), kind::PING, 0, 1 << 31, b"12345678"), Fine),
        ("4.2 a large DATA frame", |it| raw(it.head(1, &POST), kind::DATA, 1, 1, &[b'x'; 16_384]), Fine),
        (
            "4.2 a DATA frame that is too large",
            |it| raw(it.head(1, &POST), kind::DATA, 1, 1, &[b'x'; 16_385]),
            Connection(SIZE),
        ),
        (
            "4.2 a HEADERS frame that is too large",
            |it| raw(it, kind::HEADERS, WHOLE, 1, &[0; 16_385]),
            Connection(SIZE),
        ),
        (
            "5.4.1 an unknown error code",
            |it| raw(it.get(1), kind::GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 99]),
            Fine,
        ),
        ("5.5 an extension frame", |it| raw(it.get(1), 0x20, 0, 1, b""), Fine),
        (
            "5.5 an extension frame in a block of headers",
            |it| raw(it.send(kind::HEADERS, END_STREAM, 1, &block(&GET)), 0x20, 0, 1, b""),
            Connection(PROTOCOL),
        ),
        ("6.4 RST_STREAM of stream 0", |it| raw(it, kind::RST_STREAM, 0, 0, &[0; 4]), Connection(PROTOCOL)),
        (
            "6.4 RST_STREAM of an idle one",
            |it| raw(it, kind::RST_STREAM, 0, 1, &[0; 4]),
            Connection(PROTOCOL),
        ),
        (
            "6.4 RST_STREAM of a wrong length",
            |it| raw(it.head(1, &POST), kind::RST_STREAM, 0, 1, &[0; 3]),
            Connection(SIZE),
        ),
        (
            "6.3 PRIORITY of stream 0",
            |it| raw(it, kind::PRIORITY, 0, 0, &[0, 0, 0, 1, 9]),
            Connection(PROTOCOL),
        ),
        (
            "6.3 PRIORITY of a wrong length",
            |it| raw(it.head(1, &POST), kind::PRIORITY, 0, 1, &[0; 4]),
            Stream(SIZE),
        ),
        (
            "5.3.1 a stream that depends on itself",
            |it| raw(it.head(1, &POST), kind::PRIORITY, 0, 1, &[0, 0, 0, 1, 9]),
            Stream(PROTOCOL),
        ),
        ("6.7 PING with a stream", |it| raw(it, kind::PING, 0, 1, &[0; 8]), Connection(PROTOCOL)),
        ("6.7 PING of a wrong length", |it| raw(it, kind::PING, 0, 0, &[0; 6]), Connection(SIZE)),
        ("6.7 an answer to no PING", |it| raw(it.get(1), kind::PING, 1, 0, b"nobody's"), Fine),
        ("6.8 GOAWAY with a stream", |it| raw(it, kind::GOAWAY, 0, 1, &[0; 8]), Connection(PROTOCOL)),
        (
            "8.4 PUSH_PROMISE from a client",
            |it| raw(it.head(1, &POST), kind::PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]),
            Connection(PROTOCOL),
        ),
    ]);
}

#[test]
fn settings() {
    check(&[
        (
            "6.5 an acknowledgement that says more",
            |it| raw(it, kind::SETTINGS, 1, 0, &[0; 6]),
            Connection(SIZE),
        ),
        ("6.5 with a stream", |it| raw(it, kind::SETTINGS, 0, 1, &[0; 6]), Connection(PROTOCOL)),
        ("6.5 of a wrong length", |it| raw(it, kind::SETTINGS, 0, 0, &[0; 3]), Connection(SIZE)),
        ("6.5.2 ENABLE_PUSH of 2", |it| done(it.settings(&[(2, 2)])), Connection(PROTOCOL)),
        ("6.5.2 a window above the maximum", |it| done(it.settings(&[(4, 1 << 31)])), Connection(FLOW)),
        ("6.5.2 frames below the least size", |it| done(it.settings(&[(5, 16_383)])), Connection(PROTOCOL)),
        (
            "6.5.2 frames above the largest size",
            |it| done(it.settings(&[(5, 1 << 24)])),
            Connection(PROTOCOL),
        ),
        ("6.5.2 a setting that nobody knows", |it| done(it.settings(&[(0xff, 1)]).get(1)), Fine),
        ("6.5.3 the last value counts", |it| done(it.settings(&[(4, 0), (4, 100)]).get(1)), Fine),
    ]);
}

#[test]
fn windows() {
    check(&[
        ("6.9 no bytes for the connection", |it| done(it.window(0, 0)), Connection(PROTOCOL)),
        ("6.9 no bytes for a stream", |it| done(it.head(1, &POST).window(1, 0)), Stream(PROTOCOL)),
        ("6.9 of a wrong length", |it| raw(it, kind::WINDOW_UPDATE, 0, 0, &[0; 3]), Connection(SIZE)),
        ("6.9 of an idle stream", |it| done(it.window(1, 100)), Connection(PROTOCOL)),
        ("6.9.1 too many for the connection", |it| done(it.window(0, i32::MAX as u32)), Connection(FLOW)),
        (
            "6.9.1 too many for a stream",
            |it| done(it.head(1, &POST).window(1, i32::MAX as u32)),
            Stream(FLOW),
        ),
        ("6.9.2 a window of one byte", |it| done(it.settings(&[(4, 1)]).get(1).window(1, 10)), Fine),
        (
            "6.9.2 a window that comes later",
            |it| done(it.settings(&[(4, 0)]).get(1).settings(&[(4, 9)])),
            Fine,
        ),
        (
            "6.9.2 a window below nothing",
            |it| done(it.settings(&[(4, 3)]).get(1).settings(&[(4, 2)]).window(1, 9)),
            Fine,
        ),
    ]);
}

#[test]
fn states_of_a_stream() {
    check(&[
        ("5.1 DATA of an idle one", |it| raw(it, kind::DATA, 1, 1, b"x"), Connection(PROTOCOL)),
        (
            "5.1 CONTINUATION of an idle one",
            |it| raw(it, kind::CONTINUATION, WHOLE, 1, &block(&GET)),
            Connection(PROTOCOL),
        ),
        ("5.1 DATA after the end", |it| raw(it.get(1), kind::DATA, 1, 1, b"x"), Stream(CLOSED)),
        ("5.1 HEADERS after the end", |it| done(it.get(1).get(1)), Stream(CLOSED)),
        (
            "5.1 CONTINUATION after the end",
            |it| raw(it.get(1), kind::CONTINUATION, END_HEADERS, 1, &block(&GET)),
            Connection(PROTOCOL),
        ),
        (
            "5.1 DATA after a reset",
            |it| raw(it.head(1, &POST).send(kind::RST_STREAM, 0, 1, &[0; 4]), kind::DATA, 1, 1, b"x"),
            Stream(CLOSED),
        ),
        (
            "5.1 HEADERS after a reset",
            |it| done(it.head(1, &POST).send(kind::RST_STREAM, 0, 1, &[0; 4]).get(1)),
            Stream(CLOSED),
        ),
        ("5.1.1 an even number", |it| done(it.get(2)), Connection(PROTOCOL)),
        ("5.1.1 a smaller number", |it| done(it.get(5).get(3)), Connection(PROTOCOL)),
        ("6.1 DATA of stream 0", |it| raw(it, kind::DATA, 1, 0, b"x"), Connection(PROTOCOL)),
        (
            "6.1 more padding than frame",
            |it| raw(it.head(1, &POST), kind::DATA, 9, 1, &[6, 1, 2, 3]),
            Connection(PROTOCOL),
        ),
        (
            "6.2 HEADERS of stream 0",
            |it| raw(it, kind::HEADERS, WHOLE, 0, &block(&GET)),
            Connection(PROTOCOL),
        ),
        (
            "6.2 more padding than frame",
            |it| raw(it, kind::HEADERS, WHOLE | 8, 1, &[200, 0x82]),
            Connection(PROTOCOL),
        ),
        (
            "6.2 another stream's HEADERS within a block",
            |it| done(it.send(kind::HEADERS, END_STREAM, 1, &block(&GET)).get(3)),
            Connection(PROTOCOL),
        ),
        (
            "6.2 PRIORITY within a block",
            |it| raw(it.send(kind::HEADERS, 1, 1, &block(&GET)), kind::PRIORITY, 0, 1, &[0, 0, 0, 0, 9]),
            Connection(PROTOCOL),
        ),
        (
            "6.10 a block in three parts",
            |it| {
                let whole = block(&GET);
                it.send(kind::HEADERS, END_STREAM, 1, &whole[..5]);
                it.send(kind::CONTINUATION, 0, 1, &whole[5..9]);
                it.send(kind::CONTINUATION, END_HEADERS, 1, &whole[9..]);
            },
            Fine,
        ),
        (
            "6.10 CONTINUATION of stream 0",
            |it| raw(it.send(kind::HEADERS, 1, 1, &block(&GET)), kind::CONTINUATION, 4, 0, &[]),
            Connection(PROTOCOL),
        ),
        (
            "6.10 CONTINUATION behind DATA",
            |it| raw(it.head(1, &POST).send(kind::DATA, 0, 1, b"x"), kind::CONTINUATION, 4, 1, &[]),
            Connection(PROTOCOL),
        ),
    ]);
}

#[test]
fn headers_that_are_not() {
    check(&[
        (
            "8.1 trailers without an end",
            |it| done(it.head(1, &POST).head(1, &[("x", "y")])),
            Stream(PROTOCOL),
        ),
        ("8.2.1 a name in upper case", |it| asks(it, &with(&GET, &[("X-A", "b")])), Stream(PROTOCOL)),
        ("8.2.1 a name with a blank", |it| asks(it, &with(&GET, &[("x a", "b")])), Stream(PROTOCOL)),
        ("8.2.1 no name", |it| asks(it, &with(&GET, &[("", "b")])), Stream(PROTOCOL)),
        ("8.2.1 a value with CR", |it| asks(it, &with(&GET, &[("x", "a\rb")])), Stream(PROTOCOL)),
        ("8.2.1 a value with LF", |it| asks(it, &with(&GET, &[("x", "a\nb: c")])), Stream(PROTOCOL)),
        ("8.2.1 a value with NUL", |it| asks(it, &with(&GET, &[("x", "a\0b")])), Stream(PROTOCOL)),
        ("8.2.2 connection", |it| asks(it, &with(&GET, &[("connection", "x")])), Stream(PROTOCOL)),
        ("8.2.2 keep-alive", |it| asks(it, &with(&GET, &[("keep-alive", "1")])), Stream(PROTOCOL)),
        (
            "8.2.2 proxy-connection",
            |it| asks(it, &with(&GET, &[("proxy-connection", "x")])),
            Stream(PROTOCOL),
        ),
        (
            "8.2.2 transfer-encoding",
            |it| asks(it, &with(&GET, &[("transfer-encoding", "chunked")])),
            Stream(PROTOCOL),
        ),
        ("8.2.2 upgrade", |it| asks(it, &with(&GET, &[("upgrade", "h2c")])), Stream(PROTOCOL)),
        ("8.2.2 te: gzip", |it| asks(it, &with(&GET, &[("te", "gzip")])), Stream(PROTOCOL)),
        (
            "8.3.1 :path with a fragment",
            |it| asks(it, &[GET[0], GET[1], GET[2], (":path", "/a#b")]),
            Stream(PROTOCOL),
        ),
        (
            "8.3.1 :path with a fragment behind a query",
            |it| asks(it, &[GET[0], GET[1], GET[2], (":path", "/a?b#c")]),
            Stream(PROTOCOL),
        ),
        (
            "8.1 a pseudo-header in the trailers",
            |it| raw(it.head(1, &POST), kind::HEADERS, WHOLE, 1, &block(&[(":path", "/other")])),
            Stream(PROTOCOL),
        ),
        (
            "8.1 a status in the trailers",
            |it| raw(it.head(1, &POST), kind::HEADERS, WHOLE, 1, &block(&[("x", "y"), (":status", "200")])),
            Stream(PROTOCOL),
        ),
        ("8.2.2 te: trailers", |it| asks(it, &with(&GET, &[("te", "trailers")])), Fine),
        ("8.3 an unknown pseudo-header", |it| asks(it, &with(&GET, &[(":x", "y")])), Stream(PROTOCOL)),
        (
            "8.3 an answer's pseudo-header",
            |it| asks(it, &with(&GET, &[(":status", "200")])),
            Stream(PROTOCOL),
        ),
        ("8.3 a pseudo-header too late", |it| asks(it, &with(&[("x", "y")], &GET)), Stream(PROTOCOL)),
        ("8.3.1 no method", |it| asks(it, &GET[1..]), Stream(PROTOCOL)),
        ("8.3.1 no scheme", |it| asks(it, &[GET[0], GET[2], GET[3]]), Stream(PROTOCOL)),
        ("8.3.1 no path", |it| asks(it, &GET[..3]), Stream(PROTOCOL)),
        ("8.3.1 two methods", |it| asks(it, &with(&GET[..1], &GET)), Stream(PROTOCOL)),
        ("8.3.1 two schemes", |it| asks(it, &with(&GET[1..2], &GET)), Stream(PROTOCOL)),
        ("8.3.1 two paths", |it| asks(it, &with(&GET[3..], &GET)), Stream(PROTOCOL)),
        ("8.3.1 an empty path", |it| asks(it, &[GET[0], GET[1], GET[2], (":path", "")]), Stream(PROTOCOL)),
        (
            "8.3.1 a path without a slash",
            |it| asks(it, &[GET[0], GET[1], GET[2], (":path", "a")]),
            Stream(PROTOCOL),
        ),
        (
            "8.3.1 a path with a blank",
            |it| asks(it, &[GET[0], GET[1], GET[2], (":path", "/a b")]),
            Stream(PROTOCOL),
        ),
        (
            "8.3.1 a path with line ends",
            |it| asks(it, &[GET[0], GET[1], GET[2], (":path", "/a\r\nx: y")]),
            Stream(PROTOCOL),
        ),
        ("8.3.1 * for a GET", |it| asks(it, &[GET[0], GET[1], GET[2], (":path", "*")]), Stream(PROTOCOL)),
        (
            "8.3.1 a method with a blank",
            |it| asks(it, &with(&[(":method", "GET /x")], &GET[1..])),
            Stream(PROTOCOL),
        ),
        (
            "8.3.1 a method with line ends",
            |it| asks(it, &with(&[(":method", "GET\r\n")], &GET[1..])),
            Stream(PROTOCOL),
        ),
        (
            "8.3.1 a scheme that is none",
            |it| asks(it, &[GET[0], (":scheme", "x y"), GET[2], GET[3]]),
            Stream(PROTOCOL),
        ),
        (
            "8.3.1 a scheme that is not ours",
            |it| asks(it, &[GET[0], (":scheme", "ftp"), GET[2], GET[3]]),
            Refused(400),
        ),
        (
            "8.3.1 a user in the authority",
            |it| asks(it, &[GET[0], GET[1], (":authority", "me@a"), GET[3]]),
            Refused(400),
        ),
        ("8.3.1 another host", |it| asks(it, &with(&GET, &[("host", "other.test")])), Refused(400)),
        ("8.3.1 the same host", |it| asks(it, &with(&GET, &[("host", "shop.test")])), Fine),
        (
            "8.3.1 a host alone",
            |it| asks(it, &with(&[GET[0], GET[1], GET[3]], &[("host", "shop.test")])),
            Fine,
        ),
        ("8.3.1 no host at all", |it| asks(it, &[GET[0], GET[1], GET[3]]), Refused(400)),
        ("8.5 CONNECT", |it| asks(it, &[(":method", "CONNECT"), (":authority", "a.test:443")]), Refused(405)),
        ("8.5 TRACE", |it| asks(it, &with(&[(":method", "TRACE")], &GET[1..])), Refused(405)),
        (
            "8.1.1 less than was announced",
            |it| raw(it.head(1, &with(&POST, &[("content-length", "9")])), kind::DATA, 1, 1, b"x"),
            Stream(PROTOCOL),
        ),
        (
            "8.1.1 more than was announced, in two frames",
            |it| {
                it.head(1, &with(&POST, &[("content-length", "1")]));
                it.send(kind::DATA, 0, 1, b"x").send(kind::DATA, 1, 1, b"y");
            },
            Stream(PROTOCOL),
        ),
        (
            "8.1.1 announced, and none",
            |it| asks(it, &with(&POST, &[("content-length", "9")])),
            Stream(PROTOCOL),
        ),
        (
            "8.1.1 two lengths",
            |it| asks(it, &with(&POST, &[("content-length", "0"), ("content-length", "1")])),
            Stream(PROTOCOL),
        ),
    ]);
}

#[test]
fn compression() {
    check(&[
        (
            "an index beyond all tables",
            |it| raw(it, kind::HEADERS, WHOLE, 1, &[0xff, 0x20]),
            Connection(COMPRESSION),
        ),
        ("index 0", |it| raw(it, kind::HEADERS, WHOLE, 1, &[0x80]), Connection(COMPRESSION)),
        (
            "a change of size at the end",
            |it| raw(it, kind::HEADERS, WHOLE, 1, &[block(&GET), vec![0x20]].concat()),
            Connection(COMPRESSION),
        ),
        (
            "a size above the limit",
            |it| raw(it, kind::HEADERS, WHOLE, 1, &[vec![0x3f, 0xe2, 0x1f], block(&GET)].concat()),
            Connection(COMPRESSION),
        ),
        (
            "Huffman padding of more than seven bits",
            |it| {
                raw(
                    it,
                    kind::HEADERS,
                    WHOLE,
                    1,
                    &[block(&GET), b"\0\x01x\x86\xf2\xb2\x4a\x84\xff\xff".to_vec()].concat(),
                )
            },
            Connection(COMPRESSION),
        ),
        (
            "Huffman padding of zeros",
            |it| {
                raw(
                    it,
                    kind::HEADERS,
                    WHOLE,
                    1,
                    &[block(&GET), b"\0\x01x\x85\xf2\xb2\x4a\x84\x80".to_vec()].concat(),
                )
            },
            Connection(COMPRESSION),
        ),
        (
            "the end of a Huffman string within",
            |it| {
                raw(
                    it,
                    kind::HEADERS,
                    WHOLE,
                    1,
                    &[block(&GET), b"\0\x01x\x88\xf2\xb2\x4a\x84\xff\xff\xff\xff".to_vec()].concat(),
                )
            },
            Connection(COMPRESSION),
        ),
        (
            "a block that is cut off",
            |it| raw(it, kind::HEADERS, WHOLE, 1, &[0, 9, b'x']),
            Connection(COMPRESSION),
        ),
    ]);
}

#[test]
fn the_first_words() {
    let upstream = Upstream::answering("hello");
    let gate = gate(&upstream);
    for wrong in ["PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"] {
        let answer = gate.answer_to(wrong);
        assert_eq!(answer.status, 400);
    }
}

#[test]
fn streams_beyond_the_limit_are_refused_and_never_forwarded() {
    let upstream = Upstream::start(|peer| {
        let _ = peer.request();
        peer.hold();
    });
    let gate = Setup::to(&upstream).listener("h2c: true, limits: {streams: 10}").start();
    let mut frames = Frames::connect(gate.address());
    frames.ping();
    for number in 0..11 {
        frames.get(number * 2 + 1);
    }
    assert_eq!(frames.answer(21).reset, Some(7));
    super::support::until("ten are there", || (upstream.count() == 10).then_some(()));
    frames.ping();
    assert_eq!(upstream.count(), 10);
}
