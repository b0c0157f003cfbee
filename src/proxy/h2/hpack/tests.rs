//! The examples of RFC 7541 appendix C, and what must not pass.

use proptest::prelude::*;

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|it| !it.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|it| u8::from_str_radix(std::str::from_utf8(it).unwrap(), 16).unwrap()).collect()
}

fn read(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<String>, Garbled> {
    let mut fields = Fields::default();
    fields.begin(16_384);
    decoder.read(block, &mut fields)?;
    let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
    Ok(fields.iter().map(|(name, value)| format!("{}: {}", text(name), text(value))).collect())
}

#[test]
fn requests_in_a_row_rest_on_each_other() {
    let plain = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    let coded = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    for blocks in [plain, coded] {
        let mut decoder = Decoder::default();
        let mut next = |hex| read(&mut decoder, &bytes(hex)).unwrap();
        assert_eq!(
            next(blocks[0]),
            [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"]
        );
        assert_eq!(
            next(blocks[1]),
            [
                ":method: GET",
                ":scheme: http",
                ":path: /",
                ":authority: www.example.com",
                "cache-control: no-cache"
            ]
        );
        assert_eq!(
            next(blocks[2]),
            [
                ":method: GET",
                ":scheme: https",
                ":path: /index.html",
                ":authority: www.example.com",
                "custom-key: custom-value"
            ]
        );
    }
}

/// RFC 7541 appendix C.6, with a table of 256 bytes that has to forget.
#[test]
fn the_oldest_is_forgotten_first() {
    let mut decoder = Decoder::default();
    read(&mut decoder, &bytes("3fe101")).unwrap();
    let first = "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e
        919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3";
    let answer = read(&mut decoder, &bytes(first)).unwrap();
    assert_eq!(answer[..2], [":status: 302", "cache-control: private"]);
    let answer = read(&mut decoder, &bytes("4883 640e ff c1 c0 bf")).unwrap();
    assert_eq!(answer[0], ":status: 307");
    assert_eq!(answer[1], "cache-control: private");
    assert_eq!(answer[3], "location: https://www.example.com");
    // `:status: 302` had to go; what is behind the last entry is nothing.
    assert_eq!(read(&mut decoder, &[0xc2]), Err(Garbled));
}

#[test]
fn what_cannot_be_read_is_told() {
    for wrong in [
        "80",
        "ff20",
        "bf",
        "00",
        "0009 78",
        "0001 78",
        // An index without an end, one above all bounds, zeros without an end.
        "ff",
        "ffff ffff ffff",
        "ff80 8080 8080 8000",
        // A change of size too late, above the limit, or the third one.
        "8220",
        "3fe2 1f",
        "2020 20",
        // Eight ones are no padding, and no zero is.
        "0001 7886 f2b2 4a84 ffff",
        "0001 7885 f2b2 4a84 80",
        "0001 7888 f2b2 4a84 ffff ffff",
    ] {
        assert_eq!(read(&mut Decoder::default(), &bytes(wrong)), Err(Garbled), "{wrong}");
    }
}

#[test]
fn what_is_too_much_is_not_stored_and_yet_remembered() {
    let mut decoder = Decoder::default();
    let mut fields = Fields::default();
    fields.begin(40);
    decoder.read(&bytes("4001 61 02 6263 82"), &mut fields).unwrap();
    assert!(fields.is_over());
    assert_eq!((fields.count(), fields.get(0)), (1, (b"a".as_slice(), b"bc".as_slice())));
    assert_eq!(read(&mut decoder, &[0xbe]).unwrap(), ["a: bc"]);
}

#[test]
fn what_is_written_is_read() {
    let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
    let long = "n".repeat(300);
    for _ in 0..2 {
        let mut out = Vec::new();
        encoder.begin(&mut out);
        encoder.status(b"200", &mut out);
        encoder.status(b"207", &mut out);
        encoder.request(b"GET", b"http", b"a.test", b"/", &mut out);
        encoder.request(b"PUT", b"https", b"a.test", b"/x", &mut out);
        encoder.field(b"Content-Type", b"text/plain", &mut out);
        encoder.field(b"X-A", long.as_bytes(), &mut out);
        encoder.field(long.to_uppercase().as_bytes(), b"", &mut out);
        assert_eq!(
            read(&mut decoder, &out).unwrap(),
            [
                ":status: 200",
                ":status: 207",
                ":method: GET",
                ":scheme: http",
                ":authority: a.test",
                ":path: /",
                ":method: PUT",
                ":scheme: https",
                ":authority: a.test",
                ":path: /x",
                "content-type: text/plain",
                &format!("x-a: {long}"),
                &format!("{long}: "),
            ]
        );
    }
}

proptest! {
    #[test]
    fn any_text_survives_the_code(text in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut back = Vec::new();
        huffman::read(&huffman::write(&text), &mut back).unwrap();
        prop_assert_eq!(back, text);
    }

    #[test]
    fn any_bytes_are_read_or_refused(blocks in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 0..60), 0..8))
    {
        let (mut decoder, mut fields) = (Decoder::default(), Fields::default());
        for block in blocks {
            fields.begin(200);
            if decoder.read(&block, &mut fields).is_err() {
                break;
            }
            prop_assert!(fields.iter().map(|it| it.0.len() + it.1.len()).sum::<usize>() <= 200);
        }
    }
}
