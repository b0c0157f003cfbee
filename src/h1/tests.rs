//! The codec as a whole: a connection played from bytes, whole, cut anywhere, and behind another request.

use proptest::prelude::*;
use serde_json::Value;

use crate::message::{Field, Framing, MethodKind, RequestHead, ResponseHead, Target, TargetRules};

use super::*;

/// What became of the bytes of one connection.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Played {
    /// What was sent to the upstream, one entry for each request that was complete.
    forwarded: Vec<String>,
    /// The status that ended the connection; `None` if it just ran out of bytes.
    refused: Option<u16>,
}

impl Played {
    /// The status of the first answer, if the upstream answers 200 to everything.
    fn first_status(&self) -> Option<u16> {
        if self.forwarded.is_empty() { self.refused } else { Some(200) }
    }
}

/// Plays a client's bytes, `step` of them at a time.
fn play(bytes: &[u8], step: usize) -> Played {
    let mut played = Played::default();
    let (mut buf, mut arriving) = (Vec::new(), bytes.chunks(step.max(1)));
    let (mut scanner, mut head, mut target) = (HeadScanner::new(), RequestHead::default(), Target::default());
    let mut open: Option<(BodyReader, Vec<u8>)> = None;
    loop {
        if let Some((mut reader, mut out)) = open.take() {
            match reader.next(&buf) {
                Ok(piece) => {
                    append(&piece, &reader, &buf, &mut out);
                    buf.drain(..piece.consumed);
                }
                Err(_) => {
                    played.refused = Some(400);
                    return played;
                }
            }
            if reader.is_done() {
                played.forwarded.push(out.iter().map(|&byte| char::from(byte)).collect());
                continue;
            }
            open = Some((reader, out));
        } else {
            let limits = RequestLimits::default();
            let outcome = scanner.scan(&buf, &limits).and_then(|found| match found {
                Some(len) => {
                    parse_request(&buf[..len], &limits, &mut head)?;
                    target.resolve(&head, &buf, &TargetRules::default()).map(|()| Some(len))
                }
                None => Ok(None),
            });
            match outcome {
                Ok(Some(len)) => {
                    let mut out = Vec::new();
                    write_request(&head, &buf, &plain(&head, target.forwarded(&buf)), &mut out);
                    buf.drain(..len);
                    scanner.reset();
                    open = Some((BodyReader::new(head.framing, head.framing), out));
                    continue;
                }
                Ok(None) => {}
                Err(refusal) => {
                    played.refused = Some(refusal.status());
                    return played;
                }
            }
        }
        match arriving.next() {
            Some(more) => buf.extend_from_slice(more),
            None => return played,
        }
    }
}

/// What a piece says goes on.
pub(super) fn append(piece: &Piece, reader: &BodyReader, input: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(piece.prefix.as_bytes());
    out.extend_from_slice(&input[piece.range.clone()]);
    out.extend_from_slice(piece.suffix.as_bytes());
    if piece.trailers {
        out.extend_from_slice(reader.trailers());
    }
}

fn plain<'a>(head: &RequestHead, path: &'a str) -> RequestWriting<'a> {
    let forwarded = ForwardedInfo { peer: "192.0.2.7", proto: "http", by: None, trusted_peer: false };
    RequestWriting {
        path,
        framing: head.framing,
        edits: &[],
        forwarded,
        own: &[],
        fallback_host: "10.0.0.1:80",
        upgrade: true,
        expect: head.expect_continue,
        te_trailers: head.te_trailers,
        close: false,
    }
}

fn cases(kind: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("../../tests/data/http1.json")).unwrap();
    file[kind].as_array().unwrap().clone()
}

fn wire(case: &Value) -> Vec<u8> {
    case["bytes"].as_str().unwrap().chars().map(|it| u8::try_from(u32::from(it)).unwrap()).collect()
}

#[test]
fn every_smuggling_case_gets_its_verdict_whole_cut_and_pipelined() {
    for case in cases("requests") {
        let (id, bytes) = (case["id"].as_str().unwrap(), wire(&case));
        let whole = play(&bytes, usize::MAX);
        let status = whole.first_status();
        let allowed = |list: &Value| {
            list.as_array().is_some_and(|list| list.iter().any(|it| it.as_u64() == status.map(u64::from)))
        };
        let strict = &case["strict"];
        assert!(allowed(&strict["status"]) || allowed(&strict["tolerable"]), "{id}: {whole:?}");
        for request in &whole.forwarded {
            assert!(!request.starts_with("GET /evil"), "{id}: a hidden request came out: {whole:?}");
        }
        for step in [1, 2, 3, 7, 64] {
            assert_eq!(play(&bytes, step), whole, "{id} in steps of {step}");
        }
        let mut behind = b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
        behind.extend_from_slice(&bytes);
        for step in [usize::MAX, 1] {
            let played = play(&behind, step);
            assert!(played.forwarded[0].starts_with("GET /first HTTP/1.1\r\n"), "{id}: {played:?}");
            assert_eq!(
                (&played.forwarded[1..], played.refused),
                (&whole.forwarded[..], whole.refused),
                "{id}"
            );
        }
    }
}

#[test]
fn what_an_upstream_may_see_of_the_cases_that_pass() {
    let cases = cases("requests");
    let seen = |id: &str| {
        let case = cases.iter().find(|it| it["id"] == id).unwrap_or_else(|| panic!("no case {id}"));
        play(&wire(case), usize::MAX).forwarded.join("|")
    };
    let zero = seen("cl-leading-zero");
    assert!(zero.contains("\r\nContent-Length: 10\r\n") && !zero.contains("010"), "{zero}");
    let upgrade = seen("h2c-upgrade").to_ascii_lowercase();
    assert!(!upgrade.contains("upgrade") && !upgrade.contains("http2-settings"), "{upgrade}");
    let trailers = seen("trailer-framing-fields").to_ascii_lowercase();
    assert!(trailers.ends_with("\r\n\r\n0\r\n\r\n") && !trailers.contains("evil"), "{trailers}");
    assert!(!trailers.contains("authorization") && !trailers.contains("trailer"), "{trailers}");
    let body = seen("get-chunked-body");
    let content = "1f\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\n\r\n";
    assert!(body.contains("transfer-encoding: chunked\r\n") && body.ends_with(content), "{body}");
    assert_eq!(
        play(&wire(cases.iter().find(|it| it["id"] == "pipeline-then-garbage").unwrap()), 1).refused,
        Some(400)
    );
}

#[test]
fn every_response_case_is_refused_or_cut() {
    for case in cases("responses") {
        let (id, bytes) = (case["id"].as_str().unwrap(), wire(&case));
        let mut head = ResponseHead::default();
        let limits = ResponseLimits::default();
        let found = HeadScanner::new().scan_response(&bytes, &limits);
        let parsed = found
            .and_then(|len| parse_response(&bytes[..len.unwrap()], &limits, Asked::default(), &mut head));
        if id == "resp-truncated-cl" {
            let mut reader = BodyReader::new(head.framing, head.framing);
            assert_eq!(reader.next(&bytes[head.len..]).unwrap().content, 5);
            assert_eq!(reader.finish_on_eof().unwrap_err(), BodyError::Truncated);
        } else {
            assert!(parsed.is_err(), "{id}: {head:?}");
        }
    }
}

#[test]
fn an_endless_run_of_empty_lines_ends_the_connection() {
    assert_eq!(play(b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 1).first_status(), Some(200));
    assert_eq!(play(&b"\r\n".repeat(10_000), 1), Played { forwarded: vec![], refused: Some(400) });
}

#[test]
fn ten_thousand_pipelined_requests_come_out_in_order() {
    let bytes: Vec<u8> =
        (0..1000).flat_map(|at| format!("GET /{at} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()).collect();
    let played = play(&bytes, 4096);
    assert_eq!(played.forwarded.len(), 1000);
    assert!(
        played
            .forwarded
            .iter()
            .enumerate()
            .all(|(at, it)| it.starts_with(&format!("GET /{at} HTTP/1.1\r\n")))
    );
}

/// What must be the same after a request has gone through us.
fn essence(head: &RequestHead, buf: &[u8]) -> (String, String, Framing, bool, Vec<(String, String)>) {
    let text = |bytes: &[u8]| bytes.iter().map(|&byte| char::from(byte)).collect::<String>();
    let lines = head.lines.iter().filter(|it| {
        !it.nominated && !it.field.is_hop_by_hop() && (it.field.is_exact() || it.field == Field::Other)
    });
    let ours = |name: &str| name.starts_with("x-forwarded") || name == "forwarded" || name == "x-real-ip";
    let lines = lines
        .map(|it| (text(it.name.of(buf)).to_ascii_lowercase(), text(it.value.of(buf))))
        .filter(|it| !ours(&it.0) && it.0 != "content-length" && it.0 != "expect")
        .collect();
    let target = head.query.map(|it| format!("?{}", text(it.of(buf)))).unwrap_or_default();
    (text(head.method.of(buf)), target, head.framing, head.expect_continue, lines)
}

prop_compose! {
    fn header()(
        name in prop_oneof![
            "[a-zA-Z][a-zA-Z0-9-]{0,12}",
            prop::sample::select(vec![
                "Cookie", "cookie", "X-Forwarded-For", "Forwarded", "Connection", "TE", "Accept", "Keep-Alive",
                "X-Tidegate-Error", "Proxy-Connection", "X-Real-IP", "Max-Forwards", "X-Forwarded-Proto", "a_b",
            ]).prop_map(str::to_owned),
        ],
        blank in "[ \t]{0,2}",
        value in prop_oneof!["[!-~]?", "[!-~][ -~\t]{0,20}[!-~]", "close|keep-alive|upgrade|accept, x-a"],
        after in "[ \t]{0,2}",
    ) -> String {
        format!("{name}:{blank}{value}{after}\r\n")
    }
}

prop_compose! {
    fn request()(
        method in prop_oneof![Just("GET".to_owned()), Just("POST".to_owned()), "[A-Z]{1,8}"],
        path in "/[a-z0-9./%;A-F]{0,12}",
        query in prop::option::of("[!-\"$-~]{0,12}"),
        version in prop_oneof![9 => Just("1.1"), 1 => Just("1.0")],
        before in prop::collection::vec(header(), 0..4),
        framing in prop_oneof![
            Just("".to_owned()), Just("Transfer-Encoding: chunked\r\n".to_owned()),
            "0{0,3}[0-9]{1,5}".prop_map(|it| format!("Content-Length: {it}\r\n")),
        ],
        expect in prop_oneof![3 => Just(""), 1 => Just("Expect: 100-continue\r\n")],
        after in prop::collection::vec(header(), 0..4),
    ) -> Vec<u8> {
        let query = query.map(|it| format!("?{it}")).unwrap_or_default();
        let (before, after) = (before.concat(), after.concat());
        format!("{method} {path}{query} HTTP/{version}\r\n{before}Host: a.test\r\n{framing}{expect}{after}\r\n")
            .into_bytes()
    }
}

proptest! {
    /// The oracle against smuggling: what is forwarded is read again as the same request, by the strictest
    /// reader we have, and forwarding it once more changes nothing of substance.
    #[test]
    fn what_is_written_parses_to_the_same_request(bytes in request()) {
        let limits = RequestLimits::default();
        let (mut head, mut again) = (RequestHead::default(), RequestHead::default());
        let mut target = Target::default();
        let sound = HeadScanner::new().scan(&bytes, &limits).and_then(|len| {
            assert_eq!(len, Some(bytes.len()));
            parse_request(&bytes, &limits, &mut head)?;
            target.resolve(&head, &bytes, &TargetRules::default())
        });
        if sound.is_ok() {
            let mut out = Vec::new();
            let path = target.forwarded(&bytes).to_owned();
            write_request(&head, &bytes, &plain(&head, &path), &mut out);
            prop_assert_eq!(HeadScanner::new().scan(&out, &limits), Ok(Some(out.len())));
            prop_assert_eq!(parse_request(&out, &limits, &mut again), Ok(()), "{}", String::from_utf8_lossy(&out));
            let mut resolved = Target::default();
            prop_assert_eq!(resolved.resolve(&again, &out, &TargetRules::default()), Ok(()));
            prop_assert_eq!(resolved.path(), target.path());
            prop_assert_eq!(resolved.host(), target.host());
            prop_assert_eq!(essence(&again, &out), essence(&head, &bytes));
            prop_assert_eq!(again.dropped, 0);
        }
    }

    #[test]
    fn cutting_a_request_anywhere_changes_nothing(bytes in request(), cut in 0_usize..400) {
        let limits = RequestLimits::default();
        let whole = HeadScanner::new().scan(&bytes, &limits);
        let mut scanner = HeadScanner::new();
        let first = scanner.scan(&bytes[..cut.min(bytes.len())], &limits);
        match first {
            Ok(None) => prop_assert_eq!(scanner.scan(&bytes, &limits), whole),
            decided => prop_assert_eq!(decided, whole),
        }
    }

    #[test]
    fn no_bytes_upset_the_codec(bytes in prop::collection::vec(any::<u8>(), 0..200), step in 1_usize..40) {
        prop_assert_eq!(play(&bytes, step), play(&bytes, usize::MAX));
        let limits = ResponseLimits::default();
        let mut head = ResponseHead::default();
        let response = [b"HTTP/1.1 200 OK\r\n".as_slice(), &bytes, b"\r\n\r\n"].concat();
        for bytes in [&bytes, &response] {
            if let Ok(Some(len)) = HeadScanner::new().scan_response(bytes, &limits) {
                let _ = parse_response(&bytes[..len], &limits, Asked { kind: MethodKind::Get, upgrade: true }, &mut head);
            }
        }
    }
}
