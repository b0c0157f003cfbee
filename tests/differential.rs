//! Our HTTP/1 reader beside hyper's: whatever both accept they must read alike, whatever we accept hyper
//! must accept, and what we alone refuse is on a list.
//!
//! Two independent readers that agree on where requests begin and end, on random bytes near the edges
//! of the grammar, are the best evidence there is against smuggling.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::rc::Rc;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tidegate::h1::{BodyReader, HeadScanner, RequestLimits, Underscores, parse_request};
use tidegate::message::{Framing, Refusal, RequestHead, Target, TargetRules};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A request as a reader understood it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Understood {
    method: String,
    path: String,
    query: Option<String>,
    /// Names in lower case, sorted; the values of one name in their order.
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// What we refuse and hyper accepts, each with the reason why that is wanted.
const ON_PURPOSE: [(Refusal, &str); 12] = [
    (Refusal::BadLineEnd, "bare LF in a head: hyper takes it for a line end, others do not"),
    (Refusal::BadFraming, "both lengths, repeated lengths, chunked under HTTP/1.0"),
    (Refusal::UnsupportedCoding, "hyper passes `gzip, chunked` on; we would have to forward the coding"),
    (Refusal::LengthRequired, "hyper takes an HTTP/1.0 POST without a length for one without a body"),
    (Refusal::BadHost, "hyper does not look at Host"),
    (Refusal::BadTarget, "fragments, other schemes, authority form, `*` for other methods than OPTIONS"),
    (Refusal::BadPath, "above the root, %00, bad escapes, backslashes"),
    (Refusal::MethodNotAllowed, "CONNECT and TRACE"),
    (Refusal::MethodTooLong, "hyper has no limit"),
    (Refusal::UnknownExpectation, "hyper leaves it to the service"),
    (Refusal::BadConnection, "hyper does not look at what is nominated"),
    (Refusal::BadRequestLine, "more than one empty line before a request"),
];

/// What we make of the bytes of a connection, and why we stopped if we did not like them.
fn ours(bytes: &[u8]) -> (Vec<Understood>, Option<Refusal>, bool) {
    let limits = RequestLimits { underscores: Underscores::Keep, ..RequestLimits::default() };
    let (mut all, mut rest) = (Vec::new(), bytes);
    loop {
        let (mut head, mut target) = (RequestHead::default(), Target::default());
        let found = HeadScanner::new().scan(rest, &limits).and_then(|found| match found {
            Some(len) => {
                parse_request(&rest[..len], &limits, &mut head)?;
                target.resolve(&head, rest, &TargetRules::default()).map(|()| true)
            }
            None => Ok(false),
        });
        match found {
            Ok(true) => {}
            Ok(false) => return (all, None, true),
            Err(refusal) => return (all, Some(refusal), false),
        }
        let (buf, mut body) = (rest, Vec::new());
        rest = &rest[head.len..];
        let mut reader = BodyReader::new(head.framing, Framing::UntilClose);
        while !reader.is_done() && !rest.is_empty() {
            let Ok(piece) = reader.next(rest) else { return (all, None, false) };
            body.extend_from_slice(&rest[piece.range]);
            rest = &rest[piece.consumed..];
        }
        if !reader.is_done() {
            return (all, None, true);
        }
        let lines = head.lines.iter();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut headers: Vec<_> = lines
            .map(|it| (text(it.name.of(buf)).to_ascii_lowercase(), it.value.of(buf).to_vec()))
            .filter(|it| !it.0.contains('_'))
            .collect();
        headers.sort_by(|a, b| a.0.cmp(&b.0));
        all.push(Understood {
            method: text(head.method.of(buf)),
            path: if head.path.is_empty() { "/".to_owned() } else { text(head.path.of(buf)) },
            query: head.query.map(|it| text(it.of(buf))),
            headers,
            body,
        });
        if !head.keep_alive {
            return (all, None, true);
        }
    }
}

/// What hyper makes of them.
fn hypers(runtime: &tokio::runtime::Runtime, bytes: &[u8]) -> Vec<Understood> {
    let all = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&all);
    let service = service_fn(move |request: Request<Incoming>| {
        let seen = Rc::clone(&seen);
        async move {
            let (head, body) = request.into_parts();
            if let Ok(body) = body.collect().await {
                let headers =
                    head.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
                let mut headers: Vec<_> = headers.filter(|it| !it.0.contains('_')).collect();
                headers.sort_by(|a, b| a.0.cmp(&b.0));
                seen.borrow_mut().push(Understood {
                    method: head.method.to_string(),
                    path: head.uri.path().to_owned(),
                    query: head.uri.query().map(str::to_owned),
                    headers,
                    body: body.to_bytes().to_vec(),
                });
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let connection =
            http1::Builder::new().half_close(true).serve_connection(TokioIo::new(server), service);
        let talk = async {
            client.write_all(bytes).await.expect("the pipe is long enough");
            client.shutdown().await.expect("a pipe can be shut down");
            let mut answers = Vec::new();
            let _ = client.read_to_end(&mut answers).await;
        };
        // Its errors are its verdict: a request that it did not like was not seen by the service.
        let (_verdict, ()) = tokio::join!(connection, talk);
    });
    all.take()
}

/// How many requests both understood, or the first difference.
fn compare(runtime: &tokio::runtime::Runtime, bytes: &[u8]) -> Result<usize, TestCaseError> {
    let shown = String::from_utf8_lossy(bytes);
    let (ours, refusal, sound) = ours(bytes);
    let hypers = hypers(runtime, bytes);
    let both = ours.len().min(hypers.len());
    for (our, their) in ours.iter().zip(&hypers) {
        prop_assert_eq!(our, their, "{:?}", shown);
    }
    if ours.len() > both && is_uri_to_hyper(&ours[both]) {
        return Err(TestCaseError::fail(format!(
            "hyper refuses what we accept: {:?} in {shown:?}",
            ours[both]
        )));
    }
    if let (Some(refusal), true) = (refusal, hypers.len() > both) {
        let listed = ON_PURPOSE.iter().any(|it| it.0 == refusal);
        prop_assert!(listed, "refused, and on no list: {:?} {:?}", refusal, shown);
    } else if sound {
        prop_assert_eq!(hypers.len(), both, "hyper sees more requests: {:?}", shown);
    }
    Ok(both)
}

/// hyper's URI type is narrower than what browsers send.
fn is_uri_to_hyper(request: &Understood) -> bool {
    let query = request.query.as_deref().unwrap_or_default();
    !request.path.bytes().chain(query.bytes()).any(|byte| b"\"<>\\^`{|}".contains(&byte))
}

prop_compose! {
    fn line()(
        name in prop_oneof![
            12 => "[a-zA-Z][a-zA-Z0-9-]{0,8}",
            1 => prop::sample::select(vec!["Connection", "TE", "Trailer", "Upgrade", "Cookie", "Content-length ", "Host"])
                .prop_map(str::to_owned),
        ],
        value in prop_oneof![12 => "[ \t]{0,2}[!-~]{0,9}( [!-~]{1,5})?[ \t]{0,2}", 1 => Just(" close".to_owned())],
    ) -> String {
        format!("{name}:{value}\r\n")
    }
}

prop_compose! {
    fn framing()(
        kind in 0..20, body in "[a-z\r\n]{0,12}", zeros in "0{0,2}", extension in "(;[a-z]{0,4})?", trailer in "(A: b\r\n)?",
    ) -> (String, String) {
        let length = body.len();
        let chunks = if length == 0 {
            format!("{zeros}0\r\n{trailer}\r\n")
        } else {
            format!("{zeros}{length:x}{extension}\r\n{body}\r\n0\r\n{trailer}\r\n")
        };
        match kind {
            0..=5 => (String::new(), String::new()),
            6..=11 => (format!("Content-Length: {zeros}{length}\r\n"), body),
            12..=17 => ("Transfer-Encoding: chunked\r\n".to_owned(), chunks),
            18 => ("Transfer-Encoding: gzip, chunked\r\n".to_owned(), chunks),
            _ => (format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"), chunks),
        }
    }
}

prop_compose! {
    fn message()(
        method in prop_oneof![4 => Just("GET".to_owned()), 4 => Just("POST".to_owned()), 1 => "[A-Z]{1,7}"],
        target in prop_oneof![
            16 => "/([a-z./;]|%[2-7][0-9A-F]){0,8}(\\?[!-\"$-;=?-Z_a-z~]{0,8})?",
            1 => "http://a(:80)?(/[a-z]{0,4})?(\\?[a-z]{1,3})?",
            1 => "\\*|a:80|/a#b",
        ],
        version in prop_oneof![16 => Just("1.1"), 1 => Just("1.0")],
        host in prop_oneof![20 => Just("Host: a\r\n"), 1 => Just("")],
        before in prop::collection::vec(line(), 0..3),
        (header, body) in framing(),
        after in prop::collection::vec(line(), 0..2),
    ) -> String {
        format!("{method} {target} HTTP/{version}\r\n{}{host}{header}{}\r\n{body}", before.concat(), after.concat())
    }
}

prop_compose! {
    /// A few pipelined requests with a few bytes changed, most of them to ones that matter to a parser.
    fn connection()(
        messages in prop::collection::vec(message(), 1..4),
        spoils in prop::collection::vec((any::<prop::sample::Index>(), 0..3, prop_oneof![
            4 => prop::sample::select(b"\r\n \t:;,\0\x0b\x7f\x80#?/%0159afx-_chunked".to_vec()), 1 => any::<u8>(),
        ]), 0..2),
    ) -> Vec<u8> {
        let mut bytes = messages.concat().into_bytes();
        for (at, how, byte) in spoils {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
            if bytes.is_empty() {
                break;
            }
        }
        bytes
    }
}

#[test]
fn both_readers_agree_on_what_both_accept() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // A failure prints the bytes; `PROPTEST_CASES` and `PROPTEST_RNG_SEED` widen and repeat a run.
    let config = Config { failure_persistence: None, ..Config::default() };
    let cases = config.cases.max(2_000);
    let mut runner = TestRunner::new(Config { cases, ..config });
    let (agreed, bodies) = (Cell::new(0), Cell::new(0));
    let outcome = runner.run(&connection(), |bytes| {
        agreed.set(agreed.get() + compare(&runtime, &bytes)?);
        bodies.set(bodies.get() + ours(&bytes).0.iter().filter(|it| !it.body.is_empty()).count());
        Ok(())
    });
    outcome.unwrap();
    let cases = cases as usize;
    println!(
        "{cases} connections, {} requests understood alike, {} of them with a body",
        agreed.get(),
        bodies.get()
    );
    assert!(
        agreed.get() > cases / 2 && bodies.get() > cases / 20,
        "the examples are too wild to show anything"
    );
}

/// Every entry of the list is real: hyper accepts the example and we refuse it for that reason.
#[test]
fn what_we_alone_refuse_is_on_the_list() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let long = format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(40));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {}\r\n\r\n", "a,".repeat(40));
    for (bytes, expected) in [
        ("GET / HTTP/1.1\nHost: a\n\n", Refusal::BadLineEnd),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            Refusal::BadFraming,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            Refusal::BadFraming,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            Refusal::UnsupportedCoding,
        ),
        ("POST / HTTP/1.0\r\nHost: a\r\n\r\n", Refusal::LengthRequired),
        ("GET / HTTP/1.1\r\n\r\n", Refusal::BadHost),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Refusal::BadHost),
        ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::BadTarget),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::BadTarget),
        ("GET /../a HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::BadPath),
        ("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::BadPath),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::MethodNotAllowed),
        (&long, Refusal::MethodTooLong),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: cake\r\n\r\n", Refusal::UnknownExpectation),
        (&many, Refusal::BadConnection),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::BadRequestLine),
    ] {
        assert_eq!(ours(bytes.as_bytes()).1, Some(expected), "{bytes:?}");
        assert_eq!(hypers(&runtime, bytes.as_bytes()).len(), 1, "hyper accepts {bytes:?}");
    }
}
