//! Both sides of a connection, joined without a socket, and whatever else may arrive.

use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::super::frame::Head;
use super::*;

fn rules(asks: bool) -> Rules {
    Rules {
        asks,
        secure: false,
        stream_window: 65_536,
        window_max: 65_536,
        connection_window: 1 << 20,
        streams: 3,
        list: 4096,
        lines: 20,
    }
}

/// A client and a server, and what is on its way between them.
struct Pair {
    client: Session,
    server: Session,
}

impl Pair {
    fn new() -> Self {
        Self::with(rules(true))
    }

    fn with(of_client: Rules) -> Self {
        let mut it = Self { client: Session::new(of_client), server: Session::new(rules(false)) };
        it.pass();
        assert!(it.client.is_settled() && it.server.is_settled());
        it
    }

    /// Carries bytes until nobody has any more.
    fn pass(&mut self) {
        while carry(&mut self.client, &mut self.server) | carry(&mut self.server, &mut self.client) {}
    }

    fn ask(&mut self, head: &str, ends: bool) -> (usize, Opened) {
        let place = self.client.begin();
        self.client.ask(place, head.as_bytes(), "http", ends, None).unwrap();
        self.pass();
        (place, self.server.take_opened().pop().unwrap())
    }
}

fn carry(from: &mut Session, to: &mut Session) -> bool {
    let bytes = from.to_write().to_vec();
    let taken = to.receive(&bytes, &mut || 0);
    assert_eq!(taken, bytes.len(), "whole frames");
    from.wrote(taken);
    from.let_write();
    taken > 0
}

fn idle() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn write(session: &mut Session, place: usize, content: &[u8], last: bool) -> Poll<Result<usize, Lost>> {
    session.poll_write(place, content, last, &idle())
}

/// All content that is there; whether there will be more.
fn read(session: &mut Session, place: usize) -> (Vec<u8>, bool) {
    let mut all = Vec::new();
    loop {
        match session.poll_content(place, &idle()) {
            Poll::Ready(Ok(true)) => {
                let part = session.content(place).to_vec();
                session.took(place, part.len());
                all.extend(part);
            }
            Poll::Ready(Ok(false)) => return (all, false),
            Poll::Ready(Err(Lost)) => panic!("lost after {} bytes", all.len()),
            Poll::Pending => return (all, true),
        }
    }
}

const GET: &str = "GET /a HTTP/1.1\r\nhost: a.test\r\nx-b: c\r\n\r\n";
const POST: &str = "POST /a HTTP/1.1\r\nhost: a.test\r\n\r\n";

#[test]
fn a_request_and_its_answer() {
    let mut pair = Pair::new();
    let (asked, opened) = pair.ask(GET, true);
    assert_eq!((String::from_utf8(opened.text).unwrap().as_str(), opened.ends), (GET, true));
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    pair.server.answer(opened.place, head, false, false).unwrap();
    assert_eq!(write(&mut pair.server, opened.place, b"hello", true), Poll::Ready(Ok(5)));
    pair.pass();
    assert_eq!(pair.client.poll_heads(asked, &idle()), Poll::Ready(Ok(head.to_vec())));
    assert_eq!(read(&mut pair.client, asked), (b"hello".to_vec(), false));
    pair.client.let_go(asked);
    pair.server.let_go(opened.place);
    pair.pass();
    assert_eq!((pair.client.streams.count(), pair.server.streams.count()), (0, 0));
    assert!(pair.client.failed().is_none() && pair.server.failed().is_none());
    // Places are used again.
    let (again, opened_again) = pair.ask(GET, true);
    assert_eq!((again, opened_again.place), (asked, opened.place));
}

#[test]
fn content_waits_for_the_window_and_comes_out_whole() {
    let mut pair = Pair::new();
    let (asked, opened) = pair.ask(POST, false);
    let content: Vec<u8> = (0..300_000_u32).map(|it| it as u8).collect();
    let (mut sent, mut received) = (0, Vec::new());
    loop {
        if let Poll::Ready(count) = write(&mut pair.client, asked, &content[sent..], true) {
            sent += count.unwrap();
        }
        pair.pass();
        let held = pair.server.content(opened.place).len();
        assert!(held <= 65_536, "{held} bytes are held");
        let (part, more) = read(&mut pair.server, opened.place);
        received.extend(part);
        if !more {
            break;
        }
    }
    assert!(received == content, "the same bytes");
    assert_eq!(write(&mut pair.client, asked, b"x", true), Poll::Ready(Err(Lost)));
}

#[test]
fn whoever_takes_content_as_fast_as_it_comes_is_sent_more() {
    let widest = |reads: bool| {
        let mut pair = Pair::new();
        pair.server.rules.window_max = 250_000;
        let (asked, opened) = pair.ask(POST, false);
        let mut widest = 0;
        for _ in 0..40 {
            for _ in 0..10 {
                while write(&mut pair.client, asked, &[0; 50_000], false).is_ready() {
                    carry(&mut pair.client, &mut pair.server);
                }
                pair.pass();
            }
            widest = widest.max(pair.server.content(opened.place).len());
            if reads {
                read(&mut pair.server, opened.place);
            } else {
                // A little, so that something is always left.
                let some = pair.server.content(opened.place).len().min(40_000);
                pair.server.took(opened.place, some);
            }
        }
        widest
    };
    assert_eq!((widest(true), widest(false)), (250_000, 65_536));
}

#[test]
fn nobody_waits_for_another_who_takes_nothing() {
    // The same endpoint, answers to two different people; one alone could fill the window of the connection.
    let mut pair = Pair::with(Rules { connection_window: 70_000, ..rules(true) });
    let (slow, of_slow) = pair.ask(GET, true);
    let head = b"HTTP/1.1 200 OK\r\n\r\n";
    pair.server.answer(of_slow.place, head, false, false).unwrap();
    for _ in 0..20 {
        let (quick, of_quick) = pair.ask(GET, true);
        pair.server.answer(of_quick.place, head, false, false).unwrap();
        for _ in 0..4 {
            while write(&mut pair.server, of_slow.place, &[0; 16_384], false).is_ready() {
                pair.pass();
            }
            assert_eq!(write(&mut pair.server, of_quick.place, &[0; 10_000], false), Poll::Ready(Ok(10_000)));
            pair.pass();
            assert_eq!(read(&mut pair.client, quick).0.len(), 10_000);
            pair.pass();
        }
        pair.client.reset(quick, Code::CANCEL);
        pair.client.let_go(quick);
        pair.pass();
        pair.server.let_go(of_quick.place);
        pair.pass();
    }
    assert_eq!(pair.client.content(slow).len(), 65_536, "what the window of its stream allows");
    assert!(pair.client.failed().is_none() && pair.server.failed().is_none());
}

#[test]
fn an_endpoint_that_errs_often_is_left_and_nobody_else_is_cut() {
    let mut pair = Pair::new();
    let (asked, opened) = pair.ask(GET, true);
    pair.server.answer(opened.place, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", false, false).unwrap();
    for _ in 0..=ERRORS_MAX {
        assert!(!pair.client.is_closed());
        let (bad, of_bad) = pair.ask(GET, true);
        // A head that is none.
        pair.server.answer(of_bad.place, b"HTTP/1.1 999 \r\nx y: z\r\n\r\n", false, true).unwrap();
        pair.pass();
        assert_eq!(pair.client.poll_heads(bad, &idle()), Poll::Ready(Err(Cut::Ours)));
        pair.client.let_go(bad);
        pair.server.let_go(of_bad.place);
        pair.pass();
    }
    assert!(pair.client.is_closed() && pair.client.failed().is_none());
    assert_eq!(write(&mut pair.server, opened.place, b"ok", true), Poll::Ready(Ok(2)));
    pair.pass();
    assert!(pair.client.poll_heads(asked, &idle()).is_ready());
    assert_eq!(read(&mut pair.client, asked), (b"ok".to_vec(), false));
}

#[test]
fn who_waits_for_room_is_let_go_on_in_turn() {
    let mut pair = Pair::new();
    let streams: Vec<_> = (0..3).map(|_| pair.ask(POST, false)).collect();
    let mut sent = [0; 3];
    for _ in 0..3 {
        for (at, (place, _)) in streams.iter().enumerate() {
            while let Poll::Ready(count) = write(&mut pair.client, *place, &[0; 40_000], false) {
                sent[at] += count.unwrap();
            }
        }
        pair.pass();
        streams.iter().for_each(|it| drop(read(&mut pair.server, it.1.place)));
        pair.pass();
    }
    assert!(sent.iter().all(|it| *it >= 40_000), "{sent:?}");
}

#[test]
fn a_stream_that_is_reset_is_lost_on_both_sides() {
    let mut pair = Pair::new();
    let (asked, opened) = pair.ask(POST, false);
    pair.client.reset(asked, Code::CANCEL);
    pair.pass();
    assert_eq!(pair.server.poll_cut(opened.place, &idle()), Poll::Ready(()));
    assert_eq!(pair.server.answer(opened.place, b"HTTP/1.1 200 OK\r\n\r\n", false, true), Err(Lost));
    pair.server.let_go(opened.place);
    pair.pass();
    let (asked, opened) = pair.ask(POST, false);
    pair.server.reset(opened.place, Code::REFUSED_STREAM);
    pair.pass();
    let refused = Cut::Theirs(Code::REFUSED_STREAM);
    assert_eq!(pair.client.poll_heads(asked, &idle()), Poll::Ready(Err(refused)));
    // What was on its way is forgiven.
    assert!(pair.client.failed().is_none() && pair.server.failed().is_none());
}

#[test]
fn an_answer_before_the_end_of_its_request_is_whole() {
    let mut pair = Pair::new();
    let (asked, opened) = pair.ask(POST, false);
    pair.server
        .answer(opened.place, b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n", false, true)
        .unwrap();
    pair.server.let_go(opened.place);
    pair.pass();
    assert!(matches!(pair.client.poll_heads(asked, &idle()), Poll::Ready(Ok(_))));
    assert_eq!(read(&mut pair.client, asked), (Vec::new(), false));
    assert_eq!(write(&mut pair.client, asked, b"more", false), Poll::Ready(Err(Lost)));
}

#[test]
fn leaving_lets_what_is_on_its_way_arrive() {
    let mut pair = Pair::new();
    let (asked, opened) = pair.ask(GET, true);
    pair.server.leave();
    pair.pass();
    assert!(!pair.server.is_over(), "one stream is open");
    assert!(pair.client.is_closed());
    pair.server.answer(opened.place, b"HTTP/1.1 204 No Content\r\n\r\n", false, true).unwrap();
    pair.pass();
    assert!(pair.server.is_over() && pair.client.is_over());
    assert!(matches!(pair.client.poll_heads(asked, &idle()), Poll::Ready(Ok(_))));
    let late = pair.client.begin();
    assert_eq!(pair.client.ask(late, GET.as_bytes(), "http", true, None), Err(Lost));
}

#[test]
fn a_head_of_many_kilobytes_goes_in_parts() {
    let mut it = Session::new(rules(true));
    it.wrote(it.to_write().len());
    let place = it.begin();
    let head = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(40_000));
    it.ask(place, head.as_bytes(), "http", true, None).unwrap();
    let (mut rest, mut seen) = (it.to_write(), Vec::new());
    while let Some(head) = Head::read(rest) {
        seen.push((head.kind, head.flags));
        rest = &rest[frame::HEAD_BYTES + head.len..];
    }
    assert_eq!(seen, [(kind::HEADERS, 1), (kind::CONTINUATION, 0), (kind::CONTINUATION, 4)]);
}

#[test]
fn what_fails_takes_its_streams_along() {
    let mut pair = Pair::new();
    let (asked, opened) = pair.ask(POST, false);
    pair.server.fail(Code::INTERNAL_ERROR);
    assert_eq!(pair.server.poll_cut(opened.place, &idle()), Poll::Ready(()));
    pair.client.end();
    assert_eq!(pair.client.poll_heads(asked, &idle()), Poll::Ready(Err(Cut::Connection)));
    pair.client.let_go(asked);
    pair.server.let_go(opened.place);
    assert_eq!((pair.client.streams.count(), pair.server.streams.count()), (0, 0));
}

/// A frame that may well make sense.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let block = prop_oneof![
        Just(vec![0x82, 0x86, 0x84, 0x41, 1, b'a']),
        Just(vec![0x83, 0x86, 0x84, 0x41, 1, b'a']),
        proptest::collection::vec(any::<u8>(), 0..20),
    ];
    (0_u8..11, any::<u8>(), 0_u32..8, block).prop_map(|(kind, flags, stream, payload)| {
        let mut out = Vec::new();
        frame::write(kind, flags, stream, &payload, &mut out);
        out
    })
}

proptest! {
    /// Whatever arrives, and however it is cut: the same comes of it, and what is held stays bounded.
    #[test]
    fn any_bytes_are_borne(
        asks in any::<bool>(),
        all in proptest::collection::vec(any_frame(), 0..40),
        cuts in proptest::collection::vec(1_usize..40, 1..10),
    ) {
        let mut bytes = if asks { Vec::new() } else { PREFACE.to_vec() };
        frame::write(kind::SETTINGS, 0, 0, &[], &mut bytes);
        all.iter().for_each(|it| bytes.extend_from_slice(it));
        let whole = played(asks, &bytes, &[usize::MAX]);
        let parts = played(asks, &bytes, &cuts);
        prop_assert_eq!(whole, parts);
    }
}

/// What is said to these bytes, handed over in parts of these lengths.
fn played(asks: bool, bytes: &[u8], cuts: &[usize]) -> (Vec<u8>, Option<Code>, usize) {
    let mut it = Session::new(rules(asks));
    let places: Vec<usize> = (0..if asks { 3 } else { 0 }).map(|_| it.begin()).collect();
    places.iter().for_each(|place| it.ask(*place, GET.as_bytes(), "http", true, None).unwrap());
    let (mut at, mut end, mut cuts) = (0, 0, cuts.iter().cycle());
    while end < bytes.len() {
        end = bytes.len().min(end.saturating_add(*cuts.next().unwrap()));
        at += it.receive(&bytes[at..end], &mut || 0);
    }
    let opened = it.opened.len();
    assert!(it.streams.count() <= 3);
    (it.to_write().to_vec(), it.failed(), opened)
}
