//! Clients that want to cost much and pay little: each is cut off, or kept within bounds, while others are
//! served.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::support::frames::{
    Came, END_HEADERS, END_STREAM, Frame, Frames, GET, POST, WHOLE, block, frame, integer, kind, setting,
    text, with,
};
use super::support::h2client::{ask, get};
use super::support::upstream::BlackHole;
use super::support::wait::PATIENCE;
use super::support::{Client, Gate, Peer, Setup, Upstream, size, until};

pub const CALM: u32 = 11;

fn gate(upstream: &Upstream) -> Gate {
    Setup::to(upstream).listener("h2c: true").start()
}

/// Sends `bytes` again and again until the other side has had enough of them. How often that was.
#[track_caller]
fn flood(frames: &mut Frames, bytes: &[u8], most: usize) -> (usize, Came) {
    frames.polite = false;
    let mut sent = 0;
    while sent < most && frames.offer(bytes) {
        sent += 1;
        // Whoever answers every frame must be listened to, or nobody writes any more.
        while let Ok(seen) = frames.next_within(Duration::from_micros(1)) {
            if seen.kind == kind::GOAWAY {
                let mut came = Came::default();
                came.note(u32::MAX, &seen);
                came.closed = frames.end().closed;
                return (sent, came);
            }
        }
    }
    (sent, frames.end())
}

/// Others are served meanwhile, and soon.
fn others_are_served(gate: &Gate) {
    let began = Instant::now();
    for _ in 0..5 {
        assert_eq!(ask(gate.address(), get("/"), &[]).unwrap().status, 200);
    }
    assert!(began.elapsed() < Duration::from_secs(20), "took {:?}", began.elapsed());
}

/// Row b02.
#[test]
fn a_rapid_reset_ends_early() {
    let upstream = Upstream::answering("hello");
    let gate = gate(&upstream);
    let mut frames = Frames::connect(gate.address());
    frames.ping();
    let mut bytes = Vec::new();
    for number in 0..size::of(20_000_u32, 100_000) {
        bytes.extend(frame(kind::HEADERS, WHOLE, number * 2 + 1, &block(&GET)));
        bytes.extend(frame(kind::RST_STREAM, 0, number * 2 + 1, &8_u32.to_be_bytes()));
    }
    frames.bytes(&bytes);
    let came = frames.end();
    assert_eq!(came.goaway, Some(CALM), "{came:?}");
    assert!(upstream.count() < 1_000, "{} requests were forwarded", upstream.count());
    let in_flight = || gate.metric("tidegate_requests_in_flight", &[("service", "shop")]);
    until("nothing is left under way", || (in_flight() == 0.0).then_some(()));
}

/// One after another floods, and is cut off each time, while another client asks one thing after another: it gets
/// all of its answers, one for every few connections of the flood, and a byte of the flood costs no more of the
/// processor than a byte of what it asks.
#[test]
fn others_are_served_while_resets_flood() {
    const FLOODS: u32 = 60;
    let upstream = Upstream::answering("hello");
    let gate = Setup::to(&upstream).listener("h2c: true, limits: {requests: 1000000}").start();
    let mut bytes = Vec::new();
    for number in 0..2_000_u32 {
        bytes.extend(frame(kind::HEADERS, WHOLE, number * 2 + 1, &block(&GET)));
        bytes.extend(frame(kind::RST_STREAM, 0, number * 2 + 1, &8_u32.to_be_bytes()));
    }
    let ask_once = |victim: &mut Client| assert_eq!(victim.get("/").text(), "hello");
    let mut victim = gate.connect();
    ask_once(&mut victim);
    // What the same bytes cost when they are asked in peace.
    let (before, each) = (gate.cpu(), frame(kind::HEADERS, WHOLE, 1, &block(&GET)).len());
    let peaceful = 4_000_usize;
    for _ in 0..peaceful / 100 {
        let mut frames = Frames::connect(gate.address());
        (0..100).for_each(|it| frames.works(it * 2 + 1));
    }
    let in_peace = (gate.cpu() - before).as_secs_f64() / (peaceful * each) as f64;
    let (before, address) = (gate.cpu(), gate.address());
    let (sent, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (count, over) = (sent.clone(), done.clone());
    let flood = std::thread::spawn(move || {
        for _ in 0..FLOODS {
            let came = Frames::connect(address).bytes(&bytes).end();
            assert!(came.goaway.is_none_or(|it| it == CALM), "{came:?}");
            count.fetch_add(bytes.len(), Ordering::SeqCst);
        }
        over.store(true, Ordering::SeqCst);
    });
    let mut answers = 0;
    while !done.load(Ordering::SeqCst) && !flood.is_finished() {
        ask_once(&mut victim);
        answers += 1;
    }
    flood.join().unwrap();
    assert!(answers * 4 >= FLOODS, "{answers} answers while {FLOODS} connections flooded");
    let flooded = (gate.cpu() - before).as_secs_f64() / sent.load(Ordering::SeqCst) as f64;
    assert!(flooded < in_peace, "{flooded} s for a byte of the flood, {in_peace} s in peace");
    assert!(upstream.count() < peaceful + answers as usize + 60 * FLOODS as usize, "{}", upstream.count());
}

#[test]
fn a_reset_at_a_time_ends_too() {
    let upstream = Upstream::start(|peer| {
        let _ = peer.request();
        peer.hold();
    });
    let gate = gate(&upstream);
    let mut frames = Frames::connect(gate.address());
    let mut ended = None;
    for number in 0..2_000_u32 {
        frames.get(number * 2 + 1).send(kind::PING, 0, 0, b"accepted");
        let came = loop {
            match frames.next_within(Duration::from_secs(5)) {
                Ok(it) if it.kind == kind::PING => break None,
                Ok(it) if it.kind == kind::GOAWAY => {
                    let mut came = Came::default();
                    came.note(u32::MAX, &it);
                    break Some(came);
                }
                Ok(_) => {}
                Err(_) => break Some(Came::default()),
            }
        };
        if came.is_some() {
            ended = came.map(|it| (number, it.goaway));
            break;
        }
        frames.send(kind::RST_STREAM, 0, number * 2 + 1, &8_u32.to_be_bytes());
    }
    let (number, code) = ended.expect("it has an end");
    assert!(number < 400, "only after {number}");
    assert_eq!(code, Some(CALM));
    until("the version is free", || (upstream.busy() == 0).then_some(()));
}

/// Opens streams a few at a time, waits until all are accepted, and resets them. After how many the other side
/// has had enough, and what it said.
#[track_caller]
fn open_and_reset(frames: &mut Frames, most: u32) -> (u32, Option<u32>) {
    /// Fewer than may be reset before anybody has looked at them.
    const AT_ONCE: u32 = 15;
    for first in (0..most).step_by(AT_ONCE as usize) {
        let numbers = || (first..first + AT_ONCE).map(|it| it * 2 + 1);
        for number in numbers() {
            frames.get(number);
        }
        frames.send(kind::PING, 0, 0, b"accepted");
        loop {
            match frames.next_within(Duration::from_secs(10)) {
                Ok(it) if it.kind == kind::PING && it.flags == END_STREAM => break,
                Ok(it) if it.kind == kind::GOAWAY => {
                    let mut came = Came::default();
                    came.note(u32::MAX, &it);
                    return (first, came.goaway);
                }
                Ok(_) => {}
                Err(closed) => panic!("neither pong nor GOAWAY after {first}, closed: {closed}"),
            }
        }
        for number in numbers() {
            frames.send(kind::RST_STREAM, 0, number, &8_u32.to_be_bytes());
        }
    }
    (most, None)
}

/// Whatever a request waits for when it is reset, that counts, and what was begun for it is given up at once.
#[test]
fn a_rapid_reset_ends_early_whatever_the_requests_wait_for() {
    let hole = BlackHole::open();
    let (served, slow) = (
        Upstream::answering("hello"),
        Upstream::start(|peer| {
            let _ = peer.request();
            peer.hold();
        }),
    );
    let patient = "timeouts: {connect: 60s}";
    let delay = "routes: [{to: shop, fault: {delay: {time: 60s, share: 100%}}}]";
    let queue = "limits: {in_flight: 1, queue: 1000, queue_wait: 60s}";
    for (name, setup) in [
        ("a connection", Setup::default().version("v1", &[hole.address()]).service(patient)),
        (
            "a connection for many",
            // To a version without a share nothing is opened ahead.
            Setup::to(&served)
                .version_as("v2", format!("\"h2c://{}\"", hole.address()))
                .service("pin: [{when: {header: {host: shop.test}}, to: v2}]")
                .service(patient),
        ),
        ("a delay", Setup::to(&served).top(delay)),
        ("a place", Setup::to(&slow).service(queue)),
    ] {
        let gate = setup.listener("h2c: true").start();
        let (files, memory) = (gate.descriptors(), gate.memory());
        let (reset, code) = open_and_reset(&mut Frames::connect(gate.address()), 2_000);
        assert_eq!(code, Some(CALM), "{name}: after {reset}");
        assert!((100..200).contains(&reset), "{name}: after {reset}");
        let service = [("service", "shop")];
        until(&format!("nothing waits for {name} any more"), || {
            let in_flight = gate.metric("tidegate_requests_in_flight", &service);
            (in_flight == 0.0 && gate.descriptors() < files + 20).then_some(())
        });
        let held = gate.memory().saturating_sub(memory);
        assert!(held < 32_000_000, "{name}: {held} bytes more");
        assert_eq!(gate.metric("tidegate_upstream_errors_total", &service), 0.0, "{name}: nobody's fault");
    }
}

/// A request of this number, and a frame with which the proxy has to reset it.
type Trigger = fn(u32) -> Vec<u8>;

/// A request whose content is announced, and `more`.
fn begun(number: u32, more: &[u8]) -> Vec<u8> {
    let head = block(&with(&POST, &[("content-length", "9")]));
    [frame(kind::HEADERS, END_HEADERS, number, &head), more.to_vec()].concat()
}

/// MadeYouReset: ways to have the proxy reset a stream whose request is under way. A client may make some mistakes,
/// and not very many.
#[test]
fn resets_that_a_client_provokes_are_counted() {
    let triggers: [(&str, Trigger); 8] = [
        ("an empty window update", |it| begun(it, &frame(kind::WINDOW_UPDATE, 0, it, &[0; 4]))),
        ("a window that overflows", |it| {
            begun(it, &frame(kind::WINDOW_UPDATE, 0, it, &i32::MAX.to_be_bytes()))
        }),
        ("more than was announced", |it| begun(it, &frame(kind::DATA, 0, it, b"more than nine"))),
        ("less than was announced", |it| begun(it, &frame(kind::DATA, END_STREAM, it, b"x"))),
        ("a stream that depends on itself", |it| {
            begun(it, &frame(kind::PRIORITY, 0, it, &[it.to_be_bytes().as_slice(), &[9]].concat()))
        }),
        ("trailers without an end", |it| {
            begun(it, &frame(kind::HEADERS, END_HEADERS, it, &block(&[("x", "y")])))
        }),
        ("content after its end", |it| {
            [frame(kind::HEADERS, WHOLE, it, &block(&GET)), frame(kind::DATA, 0, it, b"more")].concat()
        }),
        ("a head that is malformed", |it| {
            frame(kind::HEADERS, WHOLE, it, &block(&with(&GET, &[("Upper", "case")])))
        }),
    ];
    let upstream = Upstream::start(|peer| {
        let _ = peer.request();
        peer.hold();
    });
    let gate = gate(&upstream);
    for (name, trigger) in triggers {
        let mut frames = Frames::connect(gate.address());
        let mut bytes = Vec::new();
        (0..2_000_u32).for_each(|it| bytes.extend(trigger(it * 2 + 1)));
        frames.bytes(&bytes);
        let (mut resets, mut goaway) = (0, None);
        while let Ok(it) = frames.next_within(PATIENCE) {
            match it.kind {
                kind::RST_STREAM => resets += 1,
                kind::GOAWAY => goaway = Some(it.payload[4..8].to_vec()),
                _ => {}
            }
        }
        assert_eq!(goaway.as_deref(), Some(&CALM.to_be_bytes()[..]), "{name}: after {resets} resets");
        assert!((100..=140).contains(&resets), "{name}: only after {resets} resets");
        // Half as many are forgiven.
        let mut frames = Frames::connect(gate.address());
        let mut bytes = Vec::new();
        (0..60_u32).for_each(|it| bytes.extend(trigger(it * 2 + 1)));
        frames.bytes(&bytes).ping();
        let in_flight = || gate.metric("tidegate_requests_in_flight", &[("service", "shop")]);
        until(&format!("nothing is under way after {name}"), || (in_flight() == 0.0).then_some(()));
        frames.ping();
    }
}

#[test]
fn blocks_without_an_end_are_cut() {
    let upstream = Upstream::answering("hello");
    let gate = gate(&upstream);
    let before = gate.memory();
    for part in [vec![0; 0], block(&[("x-filler", &"y".repeat(1_000))])] {
        let mut frames = Frames::connect(gate.address());
        frames.send(kind::HEADERS, END_STREAM, 1, &block(&GET));
        let (sent, came) = flood(&mut frames, &frame(kind::CONTINUATION, 0, 1, &part), 1_000_000);
        assert!(came.closed && sent < 100_000, "{sent} parts of {} bytes: {came:?}", part.len());
    }
    others_are_served(&gate);
    assert!(gate.memory() < before + 32_000_000, "{before} before, {} now", gate.memory());
}

/// One entry in the table, named again and again: a few bytes on the wire become kilobytes.
#[test]
fn compressed_bombs_stay_small() {
    let upstream = Upstream::answering("hello");
    let gate = gate(&upstream);
    let before = gate.memory();
    for _ in 0..4 {
        let mut frames = Frames::connect_with(gate.address(), &[(4, 0)]);
        let mut first = block(&GET);
        first.push(0x40);
        text(b"x-bomb", &mut first);
        text(&[b'b'; 3_900], &mut first);
        frames.send(kind::HEADERS, WHOLE, 1, &first);
        let mut bomb = block(&GET);
        (0..490).for_each(|_| integer(62, 7, 0x80, &mut bomb));
        for number in 1..100 {
            frames.send(kind::HEADERS, WHOLE, number * 2 + 1, &bomb);
        }
        let mut refused = 0;
        // The first may take long on a busy machine; the others come with it.
        while let Ok(seen) =
            frames.next_within(Duration::from_millis(if refused == 0 { 10_000 } else { 300 }))
        {
            refused += usize::from(matches!(seen.kind, kind::RST_STREAM | kind::GOAWAY | kind::HEADERS));
        }
        assert!(refused > 0, "nothing was refused");
        std::mem::forget(frames);
    }
    assert!(upstream.count() <= 4, "{} were forwarded", upstream.count());
    assert!(gate.memory() < before + 64_000_000, "{before} before, {} now", gate.memory());
    others_are_served(&gate);
}

#[test]
fn thousands_of_names_are_too_many() {
    let upstream = Upstream::answering("hello");
    let gate = gate(&upstream);
    let names: Vec<String> = (0..25_000).map(|it| format!("x{it}")).collect();
    let mut fields = GET.to_vec();
    fields.extend(names.iter().map(|it| (it.as_str(), "")));
    let whole = block(&fields);
    let mut frames = Frames::connect(gate.address());
    let mut parts = whole.chunks(16_000);
    frames.send(kind::HEADERS, END_STREAM, 1, parts.next().unwrap());
    for part in parts {
        frames.send(kind::CONTINUATION, 0, 1, part);
    }
    frames.send(kind::CONTINUATION, END_HEADERS, 1, b"");
    let came = frames.answer(1);
    assert!(came.status == Some(431) || came.closed || came.reset.is_some(), "{came:?}");
    // Fewer bytes than the limit, and still too many lines.
    let mut frames = Frames::connect(gate.address());
    let came = frames.send(kind::HEADERS, WHOLE, 1, &block(&fields[..150])).answer(1);
    assert_eq!(came.status, Some(431));
    assert_eq!(upstream.count(), 0);
}

#[test]
fn frames_that_bring_nothing_are_counted() {
    let upstream = Upstream::answering("hello");
    let gate = gate(&upstream);
    let setting = frame(kind::SETTINGS, 0, 0, &setting(4, 65_535));
    for (name, one) in [
        ("ping", frame(kind::PING, 0, 0, b"are you?")),
        ("settings", setting),
        ("priority", frame(kind::PRIORITY, 0, 1, &[0, 0, 0, 0, 9])),
        ("window update", frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("unknown", frame(0x77, 0, 0, b"nobody knows")),
    ] {
        let mut frames = Frames::connect(gate.address());
        frames.works(1);
        let many = one.repeat(500);
        let (sent, came) = flood(&mut frames, &many, 1_000);
        assert!(came.closed && sent < 1_000, "{name}: {sent} times 500: {came:?}");
    }
    others_are_served(&gate);
}

#[test]
fn drops_of_content_are_counted() {
    let upstream = Upstream::start(|peer| while peer.request().is_some() {});
    let gate = gate(&upstream);
    for (name, one) in [
        ("empty", frame(kind::DATA, 0, 1, b"")),
        ("one byte", frame(kind::DATA, 0, 1, b"x")),
        ("padding", frame(kind::DATA, 8, 1, &[[255].as_slice(), &[0; 255]].concat())),
    ] {
        let mut frames = Frames::connect(gate.address());
        frames.head(1, &POST);
        let (sent, came) = flood(&mut frames, &one.repeat(100), 3_000);
        assert!(came.closed && sent < 3_000, "{name}: {sent} times 100: {came:?}");
    }
}

/// More frames than all else would be allowed to cost, each an empty message of gRPC: these may go on for ever.
#[test]
fn small_messages_are_no_abuse() {
    let upstream = Upstream::answering("hello");
    let gate = gate(&upstream);
    let mut frames = Frames::connect(gate.address());
    frames.head(1, &POST);
    let many = frame(kind::DATA, 0, 1, &[0; 5]).repeat(100);
    for _ in 0..100 {
        (0..20).for_each(|_| assert!(frames.offer(&many)));
        // Nobody sends more than is taken.
        frames.ping();
    }
    let came = frames.send(kind::DATA, 1, 1, b"").answer(1);
    assert_eq!(came.status, Some(200), "{came:?}");
    assert_eq!(upstream.only_request().body.len(), 1_000_000);
}

#[test]
fn an_answer_that_is_not_taken_is_given_up() {
    let body: &'static str = Box::leak("x".repeat(10_000_000).into_boxed_str());
    let upstream = Upstream::answering(body);
    let gate = Setup::to(&upstream).listener("h2c: true, timeouts: {write: 2s}").start();
    let before = gate.memory();
    let mut frames = Frames::connect_with(gate.address(), &[(4, 0)]);
    for number in 0..50 {
        frames.get(number * 2 + 1);
    }
    // A byte at a time keeps nothing alive.
    let mut reset = 0;
    let began = Instant::now();
    while reset < 50 && began.elapsed() < Duration::from_secs(20) {
        if (0..50).any(|it| !frames.offer(&frame(kind::WINDOW_UPDATE, 0, it * 2 + 1, &[0, 0, 0, 1]))) {
            break;
        }
        while let Ok(seen) = frames.next_within(Duration::from_millis(100)) {
            reset += usize::from(seen.kind == kind::RST_STREAM);
        }
        let held = gate.memory().saturating_sub(before);
        assert!(held < 60_000_000, "{held} bytes are held");
    }
    assert_eq!(reset, 50);
    until("the version is free", || {
        (gate.metric("tidegate_requests_in_flight", &[("service", "shop")]) == 0.0).then_some(())
    });
    others_are_served_by(&gate);
}

fn others_are_served_by(gate: &Gate) {
    assert_eq!(ask(gate.address(), get("/"), &[]).unwrap().body.len(), 10_000_000);
}

/// The chunks of a body until it ends or is broken off; whether it is whole.
fn swallow(peer: &mut Peer) -> bool {
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            match peer.wire().exactly(1) {
                Ok(byte) => line.extend(byte),
                Err(_) => return false,
            }
        }
        let digits = std::str::from_utf8(&line[..line.len() - 2]).expect("ASCII");
        let size = u64::from_str_radix(digits, 16).expect("the size of a chunk");
        if peer.wire().skip(size + 2).is_err() {
            return false;
        }
        if size == 0 {
            return true;
        }
    }
}

/// What a client may still send: on the connection, and on its one stream that is open.
struct Windows {
    connection: i64,
    stream: (u32, i64),
}

impl Windows {
    /// Waits until a frame of `bytes` may be sent on the stream.
    #[track_caller]
    fn room(&mut self, frames: &mut Frames, bytes: i64) {
        while self.connection < bytes || self.stream.1 < bytes {
            let frame = frames.next_within(PATIENCE).unwrap_or_else(|closed| {
                panic!("no window comes back: {} and {}, closed: {closed}", self.connection, self.stream.1)
            });
            self.note(&frame);
        }
        self.connection -= bytes;
        self.stream.1 -= bytes;
    }

    fn note(&mut self, frame: &Frame) {
        let by = || i64::from(u32::from_be_bytes(frame.payload[..4].try_into().expect("four bytes")));
        match (frame.kind, frame.stream) {
            (kind::WINDOW_UPDATE, 0) => self.connection += by(),
            (kind::WINDOW_UPDATE, it) if it == self.stream.0 => self.stream.1 += by(),
            (kind::GOAWAY | kind::RST_STREAM, _) => panic!("{frame:?}"),
            _ => {}
        }
    }

    /// Hears an answer to the stream; its status is fine.
    #[track_caller]
    fn answered(&mut self, frames: &mut Frames) {
        let mut came = Came::default();
        while !came.whole {
            let frame = frames.next_within(PATIENCE).expect("an answer");
            self.note(&frame);
            came.note(self.stream.0, &frame);
        }
        assert_eq!(came.status, Some(200), "{came:?}");
    }
}

/// Row b24: a gigabyte of padded content, every other upload of which is reset in its middle. All of it is given back
/// to the window of the connection, and none of it is kept.
#[test]
fn a_gigabyte_of_padded_uploads_with_resets_loses_no_window() {
    // An eighth of it is two thousand windows.
    let total: i64 = size::of(1 << 27, 1 << 30);
    // Within a frame: how much of it is padding, content, padding.
    let payload = [[200].as_slice(), &[b'x'; 16_384 - 201], &[0; 200]].concat();
    let (bytes, each) = (payload.len() as i64, 64);
    let whole = Arc::new(AtomicUsize::new(0));
    let counted = whole.clone();
    let upstream = Upstream::start(move |peer| {
        while let Some(head) = peer.head() {
            if head.one("transfer-encoding").is_some() && !swallow(peer) {
                return;
            }
            counted.fetch_add(1, Ordering::SeqCst);
            peer.answer("200 OK", "");
        }
    });
    let gate = gate(&upstream);
    let mut frames = Frames::connect(gate.address());
    let mut windows = Windows { connection: 65_535, stream: (1, 65_536) };
    let (mut sent, mut uploads) = (0, 0);
    let before = gate.memory();
    gate.forget_peak();
    while sent < total {
        frames.head(windows.stream.0, &POST);
        for _ in 0..each {
            windows.room(&mut frames, bytes);
            frames.send(kind::DATA, 8, windows.stream.0, &payload);
            sent += bytes;
        }
        if uploads % 2 == 0 {
            frames.send(kind::RST_STREAM, 0, windows.stream.0, &8_u32.to_be_bytes());
        } else {
            frames.send(kind::DATA, END_STREAM, windows.stream.0, &[]);
            windows.answered(&mut frames);
        }
        uploads += 1;
        windows.stream = (windows.stream.0 + 2, 65_536);
    }
    let grown = gate.memory_peak().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes more at the peak");
    assert!(whole.load(Ordering::SeqCst) >= uploads / 2, "{uploads} uploads, half of them whole");
    frames.works(windows.stream.0);
    until("the version is free", || {
        (gate.metric("tidegate_requests_in_flight", &[("service", "shop")]) == 0.0).then_some(())
    });
}
