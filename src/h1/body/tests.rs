//! Bodies whole and cut, sound and not.

use proptest::prelude::*;

use super::super::tests::append;
use super::*;

/// Sends `input` through, cut after each of `cuts` bytes, and closes. What goes on, how many bytes of the
/// input were left over, and the bytes of content.
fn run(
    from: Framing,
    to: Framing,
    keep: bool,
    input: &[u8],
    cuts: &[usize],
) -> Result<(Vec<u8>, usize, u64), BodyError> {
    let mut reader = BodyReader::new(from, to);
    if keep {
        reader.keep_trailers();
    }
    let (mut out, mut at, mut end, mut cuts) = (Vec::new(), 0, 0, cuts.iter());
    while end < input.len() && !reader.is_done() {
        end = cuts.next().map_or(input.len(), |cut| (end + cut.max(&1)).min(input.len()));
        while at < end && !reader.is_done() {
            let piece = reader.next(&input[at..end])?;
            assert!(piece.consumed > 0, "a reader that is not done takes something");
            assert_eq!(piece.done, reader.is_done());
            append(&piece, &reader, &input[at..end], &mut out);
            at += piece.consumed;
        }
    }
    let last = reader.finish_on_eof()?;
    append(&last, &reader, &[], &mut out);
    Ok((out, input.len() - at, reader.content()))
}

fn chunked(input: &str) -> Result<String, BodyError> {
    run(Framing::Chunked, Framing::Chunked, false, input.as_bytes(), &[])
        .map(|it| String::from_utf8_lossy(&it.0).into_owned())
}

#[test]
fn sound_chunks_go_on_as_one_stretch() {
    let input = b"5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\nGET";
    let mut reader = BodyReader::new(Framing::Chunked, Framing::Chunked);
    let piece = reader.next(input).unwrap();
    assert_eq!((piece.range, piece.consumed, piece.content, piece.done), (0..30, 30, 15, true));
    assert!(piece.prefix.is_empty() && piece.suffix.is_empty());
}

#[test]
fn doubtful_chunk_headers_are_written_anew() {
    for (input, expected) in [
        ("0\r\n\r\n", "0\r\n\r\n"),
        ("000\r\n\r\n", "0\r\n\r\n"),
        ("05\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("5;a=b\r\nhello\r\n1\r\nx\r\n0;c\r\n\r\n", "5\r\nhello\r\n1\r\nx\r\n0\r\n\r\n"),
        ("1\r\nx\r\n01\r\ny\r\n1\r\nz\r\n0\r\n\r\n", "1\r\nx\r\n1\r\ny\r\n1\r\nz\r\n0\r\n\r\n"),
        ("5\r\nhello\r\n0\r\nA: b\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("0000000000000001\r\nx\r\n0\r\n\r\n", "1\r\nx\r\n0\r\n\r\n"),
    ] {
        assert_eq!(chunked(input).as_deref(), Ok(expected), "{input:?}");
    }
}

#[test]
fn chunks_are_strict() {
    for (input, expected) in [
        ("5\nhello\r\n0\r\n\r\n", BodyError::BadChunk),
        ("5\r\nhello\n0\r\n\r\n", BodyError::BadChunk),
        ("5\r\nhello0\r\n\r\n", BodyError::BadChunk),
        ("5\r\nhelloX\r\n0\r\n\r\n", BodyError::BadChunk),
        ("\r\n0\r\n\r\n", BodyError::BadChunk),
        ("+1\r\nx\r\n0\r\n\r\n", BodyError::BadChunk),
        ("-0x0\r\n\r\n", BodyError::BadChunk),
        ("0x1\r\nx\r\n0\r\n\r\n", BodyError::BadChunk),
        (" 0\r\n\r\n", BodyError::BadChunk),
        ("1 \r\nx\r\n0\r\n\r\n", BodyError::BadChunk),
        ("1 ;a\r\nx\r\n0\r\n\r\n", BodyError::BadChunk),
        ("1_0\r\nx\r\n0\r\n\r\n", BodyError::BadChunk),
        ("g\r\nx\r\n0\r\n\r\n", BodyError::BadChunk),
        (";a\r\nx\r\n0\r\n\r\n", BodyError::BadChunk),
        ("2\r\r;a\r\n02\r\n41\r\n0\r\n\r\n", BodyError::BadChunk),
        ("5;\0ext\r\nhello\r\n0\r\n\r\n", BodyError::BadChunk),
        ("5;a\nb\r\nhello\r\n0\r\n\r\n", BodyError::BadChunk),
        ("00000000000000001\r\nx\r\n0\r\n\r\n", BodyError::BadChunk),
        ("ffffffffffffffff\r\n", BodyError::BadChunk),
        ("10000000000000000\r\n", BodyError::BadChunk),
        ("0\r\n\n", BodyError::BadTrailer),
        ("0\r\n\rX", BodyError::BadTrailer),
        ("0\r\nno colon\r\n\r\n", BodyError::BadTrailer),
        ("0\r\nX : y\r\n\r\n", BodyError::BadTrailer),
        ("0\r\nX: a\r\n b\r\n\r\n", BodyError::BadTrailer),
        ("0\r\nX: a\0\r\n\r\n", BodyError::BadTrailer),
        ("5\r\nhell", BodyError::Truncated),
        ("5\r\nhello\r\n", BodyError::Truncated),
        ("5\r\nhello\r\n0\r\n", BodyError::Truncated),
        ("", BodyError::Truncated),
    ] {
        assert_eq!(chunked(input), Err(expected), "{input:?}");
        let cut = run(Framing::Chunked, Framing::Chunked, false, input.as_bytes(), &[1; 100]);
        assert_eq!(cut, Err(expected), "{input:?} byte by byte");
    }
}

#[test]
fn extensions_and_trailers_are_bounded() {
    let extension = |len: usize| format!("1;{}\r\nx\r\n", "e".repeat(len - 1));
    assert!(chunked(&format!("{}0\r\n\r\n", extension(4096))).is_ok());
    assert_eq!(chunked(&extension(4097)), Err(BodyError::ExtensionTooLarge));
    assert!(chunked(&format!("{}0\r\n\r\n", extension(1024).repeat(16))).is_ok());
    assert_eq!(chunked(&extension(1024).repeat(17)), Err(BodyError::ExtensionTooLarge));
    assert!(chunked(&format!("0\r\n{}\r\n", "A: b\r\n".repeat(100))).is_ok());
    assert_eq!(chunked(&format!("0\r\n{}\r\n", "A: b\r\n".repeat(101))), Err(BodyError::TrailersTooLarge));
    assert_eq!(chunked(&format!("0\r\nA: {}", "b".repeat(16 * 1024))), Err(BodyError::TrailersTooLarge));
}

#[test]
fn trailers_are_kept_when_told_so_and_harmless() {
    let input = "1\r\nx\r\n0\r\nX-Sum:  7 \r\nHost: evil\r\nContent-Length: 9\r\nAuthorization: x\r\nSet-Cookie: a\r\n\
                 x_y: 1\r\nConnection: x\r\nX-Forwarded-For: 1\r\nContent-Type: a\r\nGrpc-Status: 0\r\n\r\nGET";
    for cuts in [vec![], vec![1; 300], vec![7; 300]] {
        let (out, left, _) = run(Framing::Chunked, Framing::Chunked, true, input.as_bytes(), &cuts).unwrap();
        assert_eq!(String::from_utf8_lossy(&out), "1\r\nx\r\n0\r\nX-Sum: 7\r\nGrpc-Status: 0\r\n\r\n");
        assert_eq!(left, 3);
    }
}

#[test]
fn framings_are_translated() {
    let run = |from, to, input: &str| {
        let (out, left, content) = run(from, to, false, input.as_bytes(), &[]).unwrap();
        (String::from_utf8(out).unwrap(), left, content)
    };
    let chunks = "5\r\nhello\r\n1;x\r\n!\r\n0\r\nA: b\r\n\r\n";
    assert_eq!(run(Framing::Chunked, Framing::UntilClose, chunks), ("hello!".into(), 0, 6));
    assert_eq!(run(Framing::Chunked, Framing::None, chunks), (String::new(), 0, 6));
    assert_eq!(run(Framing::UntilClose, Framing::Chunked, "hello"), ("5\r\nhello\r\n0\r\n\r\n".into(), 0, 5));
    assert_eq!(run(Framing::UntilClose, Framing::Chunked, ""), ("0\r\n\r\n".into(), 0, 0));
    assert_eq!(run(Framing::UntilClose, Framing::UntilClose, "hello"), ("hello".into(), 0, 5));
    assert_eq!(run(Framing::Length(5), Framing::Length(5), "hello!"), ("hello".into(), 1, 5));
    assert_eq!(run(Framing::Length(5), Framing::Chunked, "hello!"), ("5\r\nhello\r\n0\r\n\r\n".into(), 1, 5));
    assert_eq!(run(Framing::Length(0), Framing::Length(0), "GET"), (String::new(), 3, 0));
    assert_eq!(run(Framing::None, Framing::None, "GET"), (String::new(), 3, 0));
}

#[test]
fn a_length_that_is_not_reached_is_no_end() {
    let short = run(Framing::Length(50), Framing::Length(50), false, b"short", &[]);
    assert_eq!(short, Err(BodyError::Truncated));
}

#[test]
fn chunk_headers_are_written_in_hexadecimal() {
    for size in [1, 9, 10, 15, 16, 255, 4096, 65_535, 1 << 40, i64::MAX as u64] {
        let mut snippet = Snippet::default();
        snippet.push_chunk_header(size);
        assert_eq!(snippet.as_bytes(), format!("{size:x}\r\n").as_bytes());
    }
}

prop_compose! {
    /// A sound body: chunks with zeros in front and extensions here and there, perhaps trailers, and more.
    fn body()(
        chunks in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 1..40), "0{0,2}", "(;[a-z=\" ]{0,8})?", any::<bool>()), 0..6),
        zeros in "0{1,3}", trailers in "([A-Z][a-z]{0,5}: [a-z]{0,5}\r\n){0,2}", more in "[A-Z]{0,4}",
    ) -> (Vec<u8>, Vec<u8>, usize) {
        let (mut wire, mut content) = (Vec::new(), Vec::new());
        for (data, zeros, extension, upper) in &chunks {
            let size = if *upper { format!("{:X}", data.len()) } else { format!("{:x}", data.len()) };
            wire.extend_from_slice(format!("{zeros}{size}{extension}\r\n").as_bytes());
            wire.extend_from_slice(data);
            wire.extend_from_slice(b"\r\n");
            content.extend_from_slice(data);
        }
        wire.extend_from_slice(format!("{zeros}\r\n{trailers}\r\n{more}").as_bytes());
        (wire, content, more.len())
    }
}

proptest! {
    #[test]
    fn cuts_change_nothing((wire, content, more) in body(), cuts in prop::collection::vec(1_usize..20, 0..80), keep: bool) {
        let raw = run(Framing::Chunked, Framing::UntilClose, keep, &wire, &cuts).unwrap();
        prop_assert_eq!(&raw, &(content.clone(), more, content.len() as u64));
        let whole = run(Framing::Chunked, Framing::Chunked, keep, &wire, &[]).unwrap();
        let cut = run(Framing::Chunked, Framing::Chunked, keep, &wire, &cuts).unwrap();
        prop_assert_eq!((whole.1, whole.2), (more, content.len() as u64));
        // The digits of a size may change their case when a header is written anew.
        prop_assert_eq!(whole.0.to_ascii_lowercase(), cut.0.to_ascii_lowercase());
        // What goes on is sound, says the same, and needs no further change.
        let again = run(Framing::Chunked, Framing::Chunked, keep, &cut.0, &[]).unwrap();
        prop_assert_eq!((&again.0, again.1), (&cut.0, 0));
        let decoded = run(Framing::Chunked, Framing::UntilClose, keep, &cut.0, &[]).unwrap();
        prop_assert_eq!(decoded.0, content);
    }

    #[test]
    fn any_bytes_end_the_same_way_whole_and_cut(
        wire in prop::collection::vec(prop::sample::select(b"015af;\r\n\r\n\0X: ".to_vec()), 0..60),
        cuts in prop::collection::vec(1_usize..5, 0..60),
    ) {
        let lower = |it: Result<(Vec<u8>, usize, u64), BodyError>| {
            it.map(|(out, left, content)| (out.to_ascii_lowercase(), left, content))
        };
        let whole = run(Framing::Chunked, Framing::Chunked, true, &wire, &[]);
        let cut = run(Framing::Chunked, Framing::Chunked, true, &wire, &cuts);
        prop_assert_eq!(lower(whole), lower(cut));
    }
}
