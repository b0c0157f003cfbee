//! Where one message ends and the next begins: nothing that two readers could read differently may
//! pass. Raw requests and responses are in `data/http1.json`; here is what may come of each.
#![allow(clippy::disallowed_methods, reason = "real programs in real time")]

#[path = "framing/responses.rs"]
mod responses;
mod support;

use serde_json::Value;
use support::message::{bytes_of, latin1};
use support::{Broken, Client, End, Setup, Upstream, until};

const CASES: &str = include_str!("data/http1.json");

/// A request that must not be understood in two ways.
struct Case {
    id: String,
    bytes: Vec<u8>,
    /// Answers that are right.
    status: Vec<u64>,
    /// What an upstream may see of it, in words.
    upstream: String,
}

fn cases() -> Vec<Case> {
    let document: Value = serde_json::from_str(CASES).expect("the cases are JSON");
    let text = |it: &Value| it.as_str().expect("a text").to_owned();
    let numbers = |it: &Value| -> Vec<u64> {
        it.as_array().into_iter().flatten().map(|it| it.as_u64().expect("a number")).collect()
    };
    let requests = document["requests"].as_array().expect("a list").iter().map(|it| Case {
        id: text(&it["id"]),
        bytes: bytes_of(&text(&it["bytes"])),
        status: [numbers(&it["strict"]["status"]), numbers(&it["strict"]["tolerable"])].concat(),
        upstream: text(&it["upstream"]),
    });
    requests.collect()
}

/// Statuses of all answers on one connection, after everything was sent, and how it ended.
fn answers(client: &mut Client) -> (Vec<u64>, Result<(), Broken>) {
    let mut statuses = Vec::new();
    loop {
        match client.try_response("GET") {
            Ok(response) => {
                statuses.push(u64::from(response.status));
                if response.closes() {
                    assert_eq!(client.end(), End::Closed, "after {statuses:?}");
                    return (statuses, Ok(()));
                }
                client.finish();
            }
            Err(Broken::Ended(rest)) if rest.is_empty() => return (statuses, Ok(())),
            Err(broken) => return (statuses, Err(broken)),
        }
    }
}

/// How a case is put on the wire.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    AtOnce,
    Bytewise,
    AfterValidGet,
}

#[test]
fn ambiguous_requests_are_refused() {
    send_every_case(Manner::AtOnce);
}

#[test]
fn ambiguous_requests_are_refused_byte_by_byte() {
    send_every_case(Manner::Bytewise);
}

#[test]
fn ambiguous_requests_are_refused_behind_a_valid_one() {
    send_every_case(Manner::AfterValidGet);
}

fn send_every_case(manner: Manner) {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let mut problems = Vec::new();
    for case in cases() {
        let before = upstream.count();
        let mut client = gate.connect();
        let mut expected_first = Vec::new();
        match manner {
            Manner::AtOnce => drop(client.send(&case.bytes)),
            Manner::Bytewise => drop(client.send_bytewise(&case.bytes)),
            Manner::AfterValidGet => {
                let valid = b"GET /valid HTTP/1.1\r\nHost: a\r\n\r\n".as_slice();
                client.send([valid, &case.bytes].concat());
                expected_first.push(200);
            }
        }
        let (mut statuses, ending) = answers(&mut client);
        if !statuses.starts_with(&expected_first) {
            problems.push(format!("{}: the valid GET got {statuses:?}", case.id));
            continue;
        }
        statuses.drain(..expected_first.len());
        if case.id == "pipeline-then-garbage" && statuses.first() == Some(&200) {
            statuses.remove(0);
        }
        let right = statuses.len() == 1 && case.status.contains(&statuses[0]) && ending.is_ok();
        if !right {
            problems.push(format!("{}: {statuses:?} {ending:?}, not {:?}", case.id, case.status));
        }
        let seen: Vec<_> = upstream.requests().split_off(before);
        let seen = &seen[expected_first.len().min(seen.len())..];
        if let Err(problem) = judge(&case, statuses.first() == Some(&200), seen) {
            problems.push(format!("{}: {problem}: {seen:#?}", case.id));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Whether the upstream saw only what it may.
fn judge(case: &Case, accepted: bool, seen: &[support::Request]) -> Result<(), String> {
    let ok = match (case.id.as_str(), seen) {
        ("pipeline-then-garbage", [one]) => one.target() == "/one",
        ("get-chunked-body", [one]) => one.body.len() == 31 && one.method() == "GET",
        ("trailer-framing-fields", [one]) => {
            let leaked = ["evil", "100"].iter().any(|it| format!("{:?}", one.trailers).contains(it));
            one.body.is_empty() && !leaked && !one.head.has("authorization")
        }
        ("h2c-upgrade", [one]) => !one.head.has("upgrade") && !one.head.has("http2-settings"),
        ("cl-leading-zero", [one]) => one.head.all("content-length") == ["10"],
        ("cl-and-te", [one]) => !one.head.has("content-length") && one.body.is_empty(),
        ("expect-obfuscated", [one]) => !one.head.has("expect"),
        ("chunk-ext-nul", [one]) => one.body == b"hello",
        (_, []) => !accepted,
        _ => false,
    };
    if ok { Ok(()) } else { Err(format!("upstream may see {:?}", case.upstream)) }
}

/// An attacker and a victim share the pool of one worker. Whatever the attacker sends, the victim gets
/// the answers to its own requests.
#[test]
fn no_request_changes_the_answer_to_another_client() {
    let upstream = Upstream::start(|peer| {
        while let Some(request) = peer.request() {
            let token = request.head.one("x-token").unwrap_or("none").to_owned();
            peer.answer("200 OK", &token);
        }
    });
    let gate = Setup::to(&upstream).start();
    let mut victim = gate.connect();
    let mut number = 0;
    for case in cases() {
        let mut attacker = gate.connect();
        let _ = attacker.offer(&case.bytes);
        for round in 0..50 {
            if round == 10 {
                let _ = answers(&mut attacker);
            }
            number += 1;
            let request = format!("GET /{number} HTTP/1.1\r\nHost: a\r\nX-Token: token-{number}\r\n\r\n");
            let answer = victim.send(request).response();
            assert_eq!(answer.text(), format!("token-{number}"), "after {}", case.id);
        }
    }
    let evil = upstream.requests().into_iter().filter(|it| it.target().contains("evil"));
    assert_eq!(evil.count(), 0);
}

/// Bytes that parsers disagree about.
const ODD: &[u8] = b"\r\n\0 \t:;,=\"0aZ/\x0b\x7f\x80\xff";

/// Cases with a few bytes changed, removed, doubled or put in, by a seed that replays: whatever comes
/// of them, what goes upstream is well-formed, nobody else's answer changes, and nothing falls over.
#[test]
fn damaged_requests_do_no_harm() {
    let seed = std::env::var("TIDEGATE_TEST_SEED").ok().and_then(|it| it.parse().ok());
    let mut state: u64 = seed.unwrap_or(0x005e_ed0f_71de_9a7e);
    eprintln!("TIDEGATE_TEST_SEED={state}");
    let mut below = move |most: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % most.max(1) as u64) as usize
    };
    let upstream = Upstream::start(|peer| {
        while let Some(request) = peer.request() {
            let token = request.head.one("x-token").unwrap_or("none").to_owned();
            peer.answer("200 OK", &token);
        }
    });
    let gate = Setup::to(&upstream).start();
    let (cases, mut victim) = (cases(), gate.connect());
    for round in 0..1500 {
        let mut bytes = cases[below(cases.len())].bytes.clone();
        for _ in 0..=below(3) {
            let (at, odd) = (below(bytes.len()), ODD[below(ODD.len())]);
            match below(4) {
                0 => bytes[at] = odd,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, odd),
                _ => bytes.insert(at, bytes[at]),
            }
        }
        let mut attacker = gate.connect();
        let _ = attacker.offer(&bytes);
        attacker.finish();
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Token: t{round}\r\n\r\n");
        assert_eq!(victim.send(request).response().text(), format!("t{round}"), "{:?}", latin1(&bytes));
        while let Ok(answer) = attacker.try_response("GET") {
            assert!(
                answer.status < 500 || matches!(answer.status, 501 | 505),
                "{answer:?}: {:?}",
                latin1(&bytes)
            );
        }
        assert_ne!(attacker.end(), End::Open, "{:?}", latin1(&bytes));
    }
}

#[test]
fn ambiguous_responses_do_not_reach_the_client() {
    for bytewise in [false, true] {
        for (id, status, answer) in response_cases() {
            let cut = id == "resp-truncated-cl";
            let upstream = Upstream::start(move |peer| {
                while let Some(request) = peer.request() {
                    if request.target() == "/again" {
                        peer.answer("200 OK", "mine");
                        continue;
                    }
                    let pieces = if bytewise { 1 } else { answer.len() };
                    for piece in answer.chunks(pieces) {
                        peer.send(piece);
                    }
                    if cut {
                        return;
                    }
                }
            });
            let gate = Setup::to(&upstream).start();
            let mut client = gate.connect();
            let got = client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").try_response("GET");
            match status {
                Some(status) => {
                    let response = got.unwrap_or_else(|broken| panic!("{id}: {broken:?}"));
                    let chunked_only =
                        id == "resp-te-and-cl" && response.status == 200 && response.body.is_empty();
                    assert!(response.status == status || chunked_only, "{id}: {response:?}");
                }
                None => assert!(got.is_err(), "{id}: looks complete: {got:?}"),
            }
            let again = gate.get("/again");
            assert_eq!((again.status, again.text().as_str()), (200, "mine"), "{id}");
            assert_eq!(upstream.connections(), 2, "{id}: the connection was used again");
        }
    }
}

/// Id, status (none: the connection must break), bytes.
fn response_cases() -> Vec<(String, Option<u16>, Vec<u8>)> {
    let document: Value = serde_json::from_str(CASES).expect("the cases are JSON");
    let text = |it: &Value| it.as_str().expect("a text").to_owned();
    let responses = document["responses"].as_array().expect("a list").iter().map(|it| {
        let strict = text(&it["strict"]);
        let status = strict.starts_with("502").then_some(502);
        (text(&it["id"]), status, bytes_of(&text(&it["bytes"])))
    });
    responses.collect()
}

/// Sends each request in two manners and compares status and what the upstream saw.
#[track_caller]
fn check(table: &[(&str, &[u64], usize)]) {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let mut problems = Vec::new();
    for (request, allowed, forwarded) in table {
        for bytewise in [false, true] {
            let before = upstream.count();
            let mut client = gate.connect();
            match bytewise {
                false => drop(client.send(bytes_of(request))),
                true => drop(client.send_bytewise(bytes_of(request))),
            }
            let (statuses, ending) = answers(&mut client);
            let seen = upstream.count() - before;
            let right = statuses.last().is_some_and(|it| allowed.contains(it)) && ending.is_ok();
            if !right || seen != *forwarded {
                problems.push(format!(
                    "{request:?} (byte by byte: {bytewise}): {statuses:?} {ending:?}, {seen} forwarded; \
                     expected {allowed:?}, {forwarded} forwarded"
                ));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// A single bare `chunked` is the only coding we can pass on without guessing (RFC 9112, 6.1).
#[test]
fn only_a_bare_chunked_is_a_transfer_coding() {
    let spellings = [
        "chunked, chunked",
        "chunked,",
        ",chunked",
        "chunked;q=1",
        "\"chunked\"",
        "identity",
        "chunked, identity",
        "gzip",
        "gzip, chunked",
        "x-chunked",
        "chunkedx",
        "chun\tked",
        "\x0bchunked",
        "chunked\x0c",
        "",
        "[chunked]",
    ];
    let requests: Vec<String> = spellings
        .iter()
        .map(|it| format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {it}\r\n\r\n0\r\n\r\n"))
        .collect();
    let table: Vec<(&str, &[u64], usize)> =
        requests.iter().map(|it| (it.as_str(), [400, 501].as_slice(), 0)).collect();
    check(&table);
    check(&[
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", &[200], 1),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \t chunked \t\r\n\r\n0\r\n\r\n", &[200], 1),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n0\r\n\r\n", &[400], 0),
    ]);
}

#[test]
fn a_length_is_decimal_digits_once() {
    check(&[
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", &[400], 0),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 6\r\n\r\nhello!", &[400], 0),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\nhello", &[400], 0),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5.0\r\n\r\nhello", &[400], 0),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\nhello", &[400], 0),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\nhello",
            &[400, 413],
            0,
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello", &[400], 0),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \u{b2}\r\n\r\nhello", &[400], 0),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", &[200], 1),
    ]);
}

/// The number is written anew from what was understood, never copied.
#[test]
fn a_length_with_leading_zeros_is_forwarded_as_plain_number_or_refused() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let answer = gate.answer_to("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 010\r\n\r\n0123456789");
    match answer.status {
        200 => {
            let request = upstream.only_request();
            assert_eq!(request.head.one("content-length"), Some("10"));
            assert_eq!(request.body, b"0123456789");
        }
        status => assert_eq!(status, 400),
    }
}

/// Equal lengths may be collapsed into one or refused, never passed on twice (RFC 9110, 8.6).
#[test]
fn equal_lengths_are_one_length_or_refused() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello";
    match gate.answer_to(request).status {
        200 => assert_eq!(upstream.only_request().head.all("content-length"), ["5"]),
        status => assert_eq!((status, upstream.count()), (400, 0)),
    }
}

#[test]
fn a_host_is_one_valid_authority() {
    let hosts: [&str; 16] = [
        "",
        "Host:\r\n",
        "Host: a, b\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nhost: b\r\n",
        "Host: u@a\r\n",
        "Host: u:p@a\r\n",
        "Host: a/x\r\n",
        "Host: a?x\r\n",
        "Host: a#x\r\n",
        "Host: a:99999\r\n",
        "Host: a:http\r\n",
        "Host: a b\r\n",
        "Host: [::1\r\n",
        "Host: a\\b\r\n",
        "Host: http://a\r\n",
    ];
    let requests: Vec<String> = hosts.iter().map(|it| format!("GET / HTTP/1.1\r\n{it}\r\n")).collect();
    let table: Vec<(&str, &[u64], usize)> =
        requests.iter().map(|it| (it.as_str(), [400].as_slice(), 0)).collect();
    check(&table);
    check(&[
        ("GET / HTTP/1.1\r\nHost: a:80\r\n\r\n", &[200], 1),
        ("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", &[200], 1),
        ("GET / HTTP/1.1\r\nHost: A-b.example\r\n\r\n", &[200], 1),
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", &[200], 1),
    ]);
}

/// The target's authority wins over `Host`; a contradiction is refused (RFC 9112, 3.2.2).
#[test]
fn an_absolute_target_is_forwarded_in_origin_form() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let answer = gate.answer_to("GET http://shop.test/a?b=c HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    assert_eq!(answer.status, 200);
    let request = upstream.only_request();
    assert_eq!(request.head.start, "GET /a?b=c HTTP/1.1");
    assert_eq!(request.head.one("host"), Some("shop.test"));
    let answer = gate.answer_to("GET http://shop.test HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    assert_eq!(answer.status, 200);
    assert_eq!(upstream.last_request().target(), "/");
    let answer = gate.answer_to("GET http://other.test/ HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    assert_eq!(answer.status, 400);
    assert_eq!(upstream.count(), 2);
}

#[test]
fn targets_have_the_form_that_their_method_asks_for() {
    check(&[
        ("GET admin HTTP/1.1\r\nHost: a\r\n\r\n", &[400], 0),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", &[400], 0),
        ("GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", &[400], 0),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", &[400], 0),
        ("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", &[400], 0),
        ("GET http://u@a/x HTTP/1.1\r\nHost: a\r\n\r\n", &[400], 0),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &[200, 204], 0),
        ("CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", &[405], 0),
        ("CONNECT / HTTP/1.1\r\nHost: x:80\r\n\r\n", &[400, 405], 0),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", &[405], 0),
        ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", &[400], 0),
        ("GET /a?b#c HTTP/1.1\r\nHost: a\r\n\r\n", &[400], 0),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", &[400], 0),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], 0),
        ("GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", &[400], 0),
        ("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", &[400], 0),
        ("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", &[400], 0),
        ("GET /../x HTTP/1.1\r\nHost: a\r\n\r\n", &[400], 0),
        ("GET /a/%2e%2e/%2e%2e/x HTTP/1.1\r\nHost: a\r\n\r\n", &[400], 0),
    ]);
}

#[test]
fn lines_end_in_carriage_return_and_line_feed() {
    check(&[
        ("GET / HTTP/1.1\nHost: a\n\n", &[400], 0),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", &[400], 0),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", &[400], 0),
        ("GET / HTTP/1.1\rHost: a\r\r", &[400], 0),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", &[400], 0),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", &[400], 0),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n", &[400], 0),
        ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", &[400], 0),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\x1bb\r\n\r\n", &[400], 0),
        ("GET / HTTP/1.1\r\nHost: a\r\n: no name\r\n\r\n", &[400], 0),
        ("GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", &[400], 0),
        ("GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", &[400], 0),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n", &[400], 0),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: caf\u{e9}\r\n\r\n", &[200], 1),
        ("GET / HTTP/1.1\r\nHost: a\r\nX:\ta\tb \r\n\r\n", &[200], 1),
    ]);
}

#[test]
fn request_lines_are_exact() {
    check(&[
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", &[400], 0),
        ("GET /\r\nHost: a\r\n\r\n", &[400], 0),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", &[400, 505], 0),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", &[400], 0),
        ("GET / HTTP/1.1.1\r\nHost: a\r\n\r\n", &[400], 0),
        ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", &[400, 501], 0),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], 0),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[400, 405, 501, 505], 0),
        ("\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03", &[400], 0),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[200], 1),
    ]);
}

/// A fault in the middle of an upload: the upstream must not take the part for the whole.
#[test]
fn a_fault_in_a_chunk_aborts_the_upload() {
    let faults = [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\r\nhello\r\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5;\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5_0\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nbad trailer\r\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
    ];
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    for fault in faults {
        for start in ["", "3\r\nabc\r\n"] {
            let mut client = gate.connect();
            client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
            client.send(format!("{start}{fault}"));
            let (statuses, ending) = answers(&mut client);
            assert_eq!((statuses, ending), (vec![400], Ok(())), "{fault:?} after {start:?}");
        }
    }
    assert_eq!(upstream.count(), 0, "a broken upload looked whole: {:?}", upstream.requests());
    until("aborted uploads are closed upstream", || (upstream.busy() == 0).then_some(()));
}

/// A body's framing survives whatever the method: a GET may have one (RFC 9110, 9.3.1).
#[test]
fn every_method_may_have_a_body() {
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "POST", "PUT", "PATCH"] {
        let upstream = Upstream::answering("fine");
        let gate = Setup::to(&upstream).start();
        let mut client = gate.connect();
        for framing in
            ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
        {
            client.send(format!("{method} /body HTTP/1.1\r\nHost: a\r\n{framing}"));
            client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
            let first = client.try_response(method).expect("an answer to the request with a body");
            assert_eq!((first.status, client.response().status), (200, 200), "{method}");
        }
        let seen: Vec<_> = upstream.requests();
        let bodies: Vec<&[u8]> = seen.iter().map(|it| it.body.as_slice()).collect();
        assert_eq!(bodies, [b"hello".as_slice(), b"", b"hello", b""], "{method}");
        let targets: Vec<&str> = seen.iter().map(support::Request::target).collect();
        assert_eq!(targets, ["/body", "/next", "/body", "/next"], "{method}");
    }
}

/// No body means no framing: a length of a request without one is not invented for a GET.
#[test]
fn a_request_without_a_body_is_forwarded_without_framing() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    gate.get("/");
    let request = upstream.only_request();
    assert!(!request.head.has("content-length") && !request.head.has("transfer-encoding"), "{request:?}");
    gate.answer_to("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(upstream.last_request().head.one("content-length"), Some("0"));
}

#[test]
fn many_pipelined_requests_are_answered_in_order_one_at_a_time() {
    let upstream = Upstream::echoing();
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    let total = 2000;
    let memory = {
        client.send("GET /warm HTTP/1.1\r\nHost: a\r\n\r\n").response();
        gate.memory()
    };
    let all: String = (0..total).map(|it| format!("GET /{it} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    let mut writer = client.wire().stream().try_clone().expect("a second handle");
    let writing = std::thread::spawn(move || std::io::Write::write_all(&mut writer, all.as_bytes()));
    for number in 0..total {
        assert_eq!(client.response().text(), format!("/{number}"));
    }
    writing.join().expect("no panic").expect("everything was taken");
    assert_eq!(upstream.connections(), 1, "one in flight at a time needs one connection");
    let grown = gate.memory().saturating_sub(memory);
    assert!(grown < 4 << 20, "grew by {grown} bytes");
}

/// One empty line before a request is an old client's habit; a flood of them is not (RFC 9112, 2.2).
#[test]
fn a_flood_of_empty_lines_ends() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener("timeouts: {head: 500ms}").start();
    let mut client = gate.connect();
    for _ in 0..10_000 {
        if client.offer("\r\n").is_err() {
            break;
        }
    }
    let (statuses, _) = answers(&mut client);
    assert!(statuses.is_empty() || matches!(statuses[..], [400 | 408 | 431]), "{statuses:?}");
    assert_eq!(upstream.raw_bytes().concat(), "");
}

#[test]
fn old_clients_are_answered_in_their_version_of_the_protocol() {
    let upstream =
        Upstream::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    let answer = client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n").response();
    assert!(!answer.head.has("transfer-encoding"), "{answer:?}");
    assert_eq!(answer.text(), "hello");
    assert_eq!(client.end(), End::Closed);
    assert!(upstream.only_request().head.start.ends_with(" HTTP/1.1"));
}

#[test]
fn old_clients_keep_the_connection_only_when_they_ask() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    let answer = client.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n").response();
    assert_eq!(answer.text(), "fine");
    assert!(
        answer.head.all("connection").iter().any(|it| it.eq_ignore_ascii_case("keep-alive")),
        "{answer:?}"
    );
    let answer = client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n").response();
    assert_eq!((answer.text().as_str(), client.end()), ("fine", End::Closed));
}

/// A request of the old version has a body only by its length; without one there is nothing to read,
/// and what follows must not be taken for a body or a second request.
#[test]
fn an_old_request_with_a_body_needs_a_length() {
    check(&[
        ("POST / HTTP/1.0\r\nHost: a\r\n\r\nhello", &[400, 411], 0),
        ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400], 0),
        ("POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", &[200], 1),
    ]);
}

#[test]
fn extra_bytes_after_a_body_are_the_next_request() {
    check(&[("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello, world\r\n\r\n", &[400], 1)]);
}
