//! Whatever frames arrive, and however they are cut: the same is said to them, and what is let through is
//! sound text.
#![no_main]

use codecs::h1::{HeadScanner, RequestLimits, parse_request};
use codecs::message::RequestHead;
use codecs::proxy::h2::frame::{self, kind};
use codecs::proxy::h2::session::{PREFACE, Rules, Session};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&knob, bytes)) = input.split_first() else { return };
    let asks = knob & 1 != 0;
    let mut all = if asks { Vec::new() } else { PREFACE.to_vec() };
    frame::write(kind::SETTINGS, 0, 0, &[], &mut all);
    all.extend_from_slice(bytes);
    let whole = play(asks, &all, usize::MAX);
    assert_eq!(play(asks, &all, usize::from(knob >> 1) + 1), whole);
});

/// What is said to these bytes, handed over in parts of this length.
fn play(asks: bool, bytes: &[u8], step: usize) -> Vec<u8> {
    let rules =
        Rules {
            asks,
            secure: false,
            stream_window: 65_536,
            window_max: 1 << 18,
            connection_window: 1 << 20,
            streams: 5,
            list: 4096,
            lines: 50,
        };
    let mut session = Session::new(rules);
    for _ in 0..if asks { 3 } else { 0 } {
        let place = session.begin();
        session.ask(place, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", "http", true, None).expect("it is open");
    }
    let (mut at, mut end) = (0, 0);
    while end < bytes.len() {
        end = bytes.len().min(end.saturating_add(step));
        at += session.receive(&bytes[at..end], &mut || 0);
    }
    let said = session.to_write().to_vec();
    for opened in session.take_opened().iter().filter(|it| it.head.is_ok()) {
        let limits = RequestLimits { head: usize::MAX, headers: 100, ..RequestLimits::default() };
        // Whoever reads the text finds one head in it, and nothing behind it.
        if parse_request(&opened.text, &limits, &mut RequestHead::default()).is_ok() {
            let whole = HeadScanner::new().scan(&opened.text, &limits);
            assert_eq!(whole, Ok(Some(opened.text.len())), "{:?}", String::from_utf8_lossy(&opened.text));
        }
    }
    said
}
