//! What is forwarded parses to the same response.
#![no_main]

use codecs::h1::{
    Asked, HeadScanner, ResponseLimits, ResponseWriting, http_date, parse_response, write_interim,
    write_response,
};
use codecs::message::{Framing, MethodKind, ResponseHead};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&knob, bytes)) = input.split_first() else { return };
    let kind = if knob & 1 != 0 { MethodKind::Head } else { MethodKind::Get };
    let asked = Asked { kind, upgrade: knob & 2 != 0 };
    let limits = ResponseLimits::default();
    let whole = HeadScanner::new().scan_response(bytes, &limits);
    let mut scanner = HeadScanner::new();
    let cut = usize::from(knob) * bytes.len() / 256;
    match scanner.scan_response(&bytes[..cut], &limits) {
        Ok(None) => assert_eq!(scanner.scan_response(bytes, &limits), whole),
        decided => assert_eq!(decided, whole),
    }
    let Ok(Some(len)) = whole else { return };
    let bytes = &bytes[..len];
    let mut head = ResponseHead::default();
    if parse_response(bytes, &limits, asked, &mut head).is_err() {
        return;
    }
    let mut out = Vec::new();
    if head.is_interim() {
        write_interim(&head, bytes, &mut out);
    } else {
        let how = ResponseWriting {
            framing: head.framing,
            close: false,
            client_http10: knob & 4 != 0,
            edits: &[],
            own: &[],
            date: &http_date(0),
            trailers: knob & 8 != 0,
        };
        write_response(&head, bytes, &how, &mut out);
    }
    let wide = ResponseLimits { head: limits.head * 2, headers: limits.headers + 10 };
    let mut again = ResponseHead::default();
    assert_eq!(HeadScanner::new().scan_response(&out, &wide), Ok(Some(out.len())));
    parse_response(&out, &wide, asked, &mut again).expect("what we write we also read");
    assert_eq!((again.status, again.framing), (head.status, head.framing));
    assert_eq!(again.reason.of(&out), head.reason.of(bytes));
    if head.framing == Framing::UntilClose {
        assert!(!again.keep_alive);
    }
});
