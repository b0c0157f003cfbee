//! A body comes out the same however it was cut.
#![no_main]

use codecs::h1::{BodyError, BodyReader, Piece};
use codecs::message::Framing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&knob, bytes)) = input.split_first() else { return };
    let keep = knob & 1 != 0;
    let whole = run(Framing::Chunked, keep, bytes, usize::MAX);
    let cut = run(Framing::Chunked, keep, bytes, usize::from(knob >> 1) + 1);
    match (&whole, &cut) {
        (Ok(whole), Ok(cut)) => {
            assert_eq!(whole.0.to_ascii_lowercase(), cut.0.to_ascii_lowercase());
            assert_eq!(whole.1, cut.1);
        }
        (whole, cut) => assert_eq!(whole, cut),
    }
    let Ok((out, _)) = whole else { return };
    let (same, left) = run(Framing::Chunked, keep, &out, usize::MAX).expect("what goes on is sound");
    assert_eq!((same, left), (out.clone(), 0));
    let content = run(Framing::UntilClose, keep, bytes, 3).expect("sound").0;
    assert_eq!(run(Framing::UntilClose, keep, &out, 5).expect("sound").0, content);
});

/// What goes on, and how many bytes were left over.
fn run(to: Framing, keep: bool, bytes: &[u8], step: usize) -> Result<(Vec<u8>, usize), BodyError> {
    let mut reader = BodyReader::new(Framing::Chunked, to);
    if keep {
        reader.keep_trailers();
    }
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() && !reader.is_done() {
        let end = bytes.len().min(at.saturating_add(step));
        let piece = reader.next(&bytes[at..end])?;
        assert!(piece.consumed > 0);
        append(&piece, &reader, &bytes[at..end], &mut out);
        at += piece.consumed;
    }
    let last = reader.finish_on_eof()?;
    append(&last, &reader, &[], &mut out);
    Ok((out, bytes.len() - at))
}

fn append(piece: &Piece, reader: &BodyReader, input: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(piece.prefix.as_bytes());
    out.extend_from_slice(&input[piece.range.clone()]);
    out.extend_from_slice(piece.suffix.as_bytes());
    if piece.trailers {
        out.extend_from_slice(reader.trailers());
    }
}
