//! HTTP/2 with endpoints: every pairing of protocols, many streams, and connections that end early.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;

use super::support::frames::{
    Came, END_HEADERS, END_STREAM, Frames, WHOLE, block, frame, kind, setting, with,
};
use super::support::h2client::{ask, ask_all, get, post};
use super::support::h2server::{H2Upstream, scripted};
use super::support::upstream::{BlackHole, refusing};
use super::support::wait::PATIENCE;
use super::support::{End, Gate, Setup, outside, until};

fn gate(to: SocketAddr) -> Gate {
    Setup::default().version_as("v1", format!("\"h2c://{to}\"")).listener("h2c: true").start()
}

#[test]
fn http_1_clients_reach_http_2_endpoints() {
    let upstream = H2Upstream::echo(&[("x-sum", "7"), ("age", "1")]);
    let gate = gate(upstream.address());
    let mut client = gate.connect();
    for _ in 0..2 {
        let answer = client.get("/path?a=b");
        assert_eq!((answer.status, answer.text().as_str()), (200, ""));
        assert_eq!(answer.head.all("x-echo"), ["1"]);
    }
    let seen = upstream.requests().remove(0);
    assert_eq!(seen.uri, "http://shop.test/path?a=b");
    for gone in ["connection", "host", "transfer-encoding", "te", "keep-alive"] {
        assert_eq!(seen.headers.get(gone), None, "{gone}");
    }
    assert_eq!(seen.headers["x-forwarded-proto"], "http");
    let long = "x".repeat(300_000);
    let head = "POST / HTTP/1.1\r\nHost: shop.test\r\nTE: trailers\r\nConnection: te\r\n";
    for framed in [
        format!("Content-Length: {}\r\n\r\n{long}", long.len()),
        format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n0\r\nX: y\r\n\r\n", long.len()),
    ] {
        // An answer that begins before its request has ended is the connection's last.
        let answer = gate.connect().send(format!("{head}{framed}")).response();
        assert!(answer.text() == long, "{} bytes", answer.body.len());
        assert_eq!(answer.trailers, [("x-sum".to_owned(), "7".to_owned())]);
    }
    assert_eq!(upstream.requests()[2].headers["content-length"], "300000");
    assert_eq!(upstream.requests()[3].headers["te"], "trailers");
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn http_2_clients_reach_http_2_endpoints() {
    let upstream = H2Upstream::echo(&[("grpc-status", "3")]);
    let gate = gate(upstream.address());
    let long = vec![b'x'; 1_000_000];
    for content in [&b""[..], b"short", &long] {
        let mut request = post("/");
        request.headers_mut().insert("te", "trailers".parse().unwrap());
        let parts: &[&[u8]] = if content.is_empty() { &[] } else { &[content] };
        let answer = ask(gate.address(), request, parts).unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, content.len()));
        assert_eq!(answer.trailers.unwrap()["grpc-status"], "3");
    }
}

#[test]
fn connections_are_as_many_as_the_streams_need() {
    let at_once = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let counted = Arc::clone(&at_once);
    let upstream = H2Upstream::start(10, move |_, mut respond| {
        let counted = Arc::clone(&counted);
        Box::pin(async move {
            let now = counted.0.fetch_add(1, Ordering::SeqCst) + 1;
            counted.1.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(100)).await;
            counted.0.fetch_sub(1, Ordering::SeqCst);
            respond.send_response(Response::new(()), true).map(drop)
        })
    });
    let gate = gate(upstream.address());
    ask(gate.address(), get("/"), &[]).unwrap();
    assert_eq!(upstream.connections(), 1);
    let requests = (0..60).map(|_| (get("/"), Vec::new())).collect();
    for answer in ask_all(gate.address(), requests) {
        assert_eq!(answer.unwrap().status, 200);
    }
    assert!(at_once.1.load(Ordering::SeqCst) > 20, "{at_once:?}");
    assert!((2..=8).contains(&upstream.connections()), "{} connections", upstream.connections());
}

/// Until an endpoint has said how much it takes at once, a burst would be refused there, more often than
/// anything is tried again.
#[test]
fn a_burst_waits_for_what_the_endpoint_says_of_itself() {
    let most = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&most);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let count = Arc::clone(&count);
            std::thread::spawn(move || {
                // All of the burst has arrived by the time that the limit is said.
                std::thread::sleep(Duration::from_millis(150));
                let mut frames = Frames::accepted_with(stream, &[(3, 4)]);
                let mut open = Vec::new();
                // Answers wait for a pause, so that everything that is sent at once is seen at once.
                loop {
                    match frames.next_within(Duration::from_millis(20)) {
                        Ok(it) if it.kind == kind::HEADERS => open.push(it.stream),
                        Ok(_) => {}
                        Err(true) => return,
                        Err(false) => {
                            for it in open.drain(..) {
                                frames.respond(it, "served");
                            }
                        }
                    }
                    count.fetch_max(open.len(), Ordering::SeqCst);
                }
            });
        }
    });
    let gate = gate(address);
    let requests = (0..40).map(|_| (get("/"), Vec::new())).collect();
    for answer in ask_all(gate.address(), requests) {
        assert_eq!(answer.unwrap().status, 200);
    }
    assert!((2..=4).contains(&most.load(Ordering::SeqCst)), "{most:?} at once on a connection");
}

/// Whoever waits for a connection that somebody else was to open, and gave up, has not failed with it.
#[test]
fn a_client_that_gives_up_opening_a_connection_takes_nobody_along() {
    let hole = BlackHole::open();
    // To a version without a share nothing is opened ahead, so that the first request does.
    let gate = Setup::default()
        .version("v1", &[refusing()])
        .version_as("v2", format!("\"h2c://{}\"", hole.address()))
        .service("pin: [{when: {header: {host: shop.test}}, to: v2}]")
        .service("timeouts: {connect: 60s}")
        .listener("h2c: true")
        .start();
    let in_flight = || gate.metric("tidegate_requests_in_flight", &[("service", "shop")]);
    let (mut first, mut second) = (Frames::connect(gate.address()), gate.connect());
    first.get(1);
    until("one opens a connection", || (in_flight() == 1.0).then_some(()));
    second.send("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    until("another one waits for it", || (in_flight() == 2.0).then_some(()));
    first.send(kind::RST_STREAM, 0, 1, &8_u32.to_be_bytes());
    until("the first is gone", || (in_flight() == 1.0).then_some(()));
    let listener = hole.into_listener();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut frames = Frames::accepted(stream);
                while let Some(stream) = frames.request() {
                    frames.respond(stream, "served");
                }
            });
        }
    });
    assert_eq!(second.response().text(), "served");
    assert_eq!(gate.metric("tidegate_upstream_errors_total", &[("service", "shop")]), 0.0);
}

/// An endpoint that takes connections and says nothing costs those who wait their time limit, not more.
#[test]
fn an_endpoint_that_never_says_a_word_holds_nobody_for_ever() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let gate = Setup::default()
        .version_as("v1", format!("\"h2c://{address}\""))
        .service("timeouts: {head: 500ms}")
        .listener("h2c: true")
        .start();
    let requests = (0..5).map(|_| (get("/"), Vec::new())).collect();
    for answer in ask_all(gate.address(), requests) {
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.only("x-tidegate-error")), (504, "upstream_timeout"));
    }
    drop(listener);
}

/// Reads a request's content to its end, and makes room for more; how much it was.
fn content(frames: &mut Frames, stream: u32) -> usize {
    let mut bytes = 0;
    loop {
        match frames.next_within(PATIENCE) {
            Ok(it) if it.kind == kind::DATA && it.stream == stream => {
                bytes += it.payload.len();
                if it.flags & END_STREAM != 0 {
                    return bytes;
                }
                let more = u32::try_from(it.payload.len()).expect("a frame");
                if more > 0 {
                    frames.window(0, more).window(stream, more);
                }
            }
            Ok(_) => {}
            Err(closed) => panic!("the content has no end, closed: {closed}"),
        }
    }
}

/// Waits for the next request; its stream, and whether content follows.
fn next_request(frames: &mut Frames) -> Option<(u32, bool)> {
    loop {
        match frames.next_within(PATIENCE) {
            Ok(it) if it.kind == kind::HEADERS => return Some((it.stream, it.flags & END_STREAM == 0)),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

/// Whatever was asked for: the endpoint has said that it did nothing (RFC 9113 section 8.7). On a connection that
/// was used before, and on one that was not; with no content, with some, and with more than is kept.
#[test]
fn what_an_endpoint_never_began_is_sent_again() {
    for (refuses, at) in [("refused", 1), ("refused", 3), ("goaway", 1), ("goaway", 3)] {
        for size in [0, 5, 40_000, 200_000] {
            let served = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&served);
            let endpoint = scripted(move |number, frames| {
                while let Some((stream, more)) = next_request(frames) {
                    if (number, stream) == (0, at) {
                        match refuses {
                            "refused" => drop(frames.send(kind::RST_STREAM, 0, at, &7_u32.to_be_bytes())),
                            _ => drop(frames.goaway(at - 1, 0)),
                        }
                        return drop(frames.end_within(Duration::from_secs(20)));
                    }
                    let bytes = if more { content(frames, stream) } else { 0 };
                    count.fetch_add(1, Ordering::SeqCst);
                    frames.respond(stream, &format!("served {bytes}"));
                }
            });
            let what = format!("{refuses} at {at} with {size} bytes");
            let gate = gate(endpoint);
            if at == 3 {
                assert_eq!(gate.get("/").text(), "served 0", "{what}");
            }
            let body = "x".repeat(size);
            let by_http_2 = size == 40_000;
            let text = if by_http_2 {
                ask(gate.address(), post("/"), &[body.as_bytes()]).unwrap().text()
            } else {
                let head = "POST / HTTP/1.1\r\nHost: shop.test\r\n";
                gate.connect().send(format!("{head}Content-Length: {size}\r\n\r\n{body}")).response().text()
            };
            assert_eq!(text, format!("served {size}"), "{what}");
            assert_eq!(served.load(Ordering::SeqCst), if at == 3 { 2 } else { 1 }, "{what}");
            let errors = gate.metric("tidegate_upstream_errors_total", &[("service", "shop")]);
            assert_eq!(errors, 0.0, "{what} is nobody's fault");
        }
    }
}

/// Content that is gone cannot be sent again, and an endpoint that refuses everything is not asked for ever. Both
/// are said to the client, and held against nobody.
#[test]
fn what_is_refused_for_good_is_said() {
    for gone in [true, false] {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let endpoint = scripted(move |_, frames| {
            let mut bytes = 0;
            while let Ok(it) = frames.next_within(PATIENCE) {
                if it.kind == kind::HEADERS {
                    count.fetch_add(1, Ordering::SeqCst);
                }
                if it.kind == kind::DATA {
                    bytes += it.payload.len();
                    let more = u32::try_from(it.payload.len()).expect("a frame").max(1);
                    frames.window(0, more).window(it.stream, more);
                }
                // So much is more than what is kept and what waits behind it.
                if it.kind == kind::HEADERS && !gone || (150_000..300_000).contains(&bytes) {
                    bytes = 0;
                    frames.send(kind::RST_STREAM, 0, it.stream, &7_u32.to_be_bytes());
                }
            }
        });
        let gate = gate(endpoint);
        let answer = ask(gate.address(), post("/"), &[&[b'x'; 300_000]]).unwrap();
        assert_eq!((answer.status, answer.only("x-tidegate-error")), (502, "upstream_reset"));
        assert_eq!(asked.load(Ordering::SeqCst), if gone { 1 } else { 4 });
    }
}

/// What an endpoint was asked: blocks of headers, and whether content follows.
type Asked = Arc<Mutex<Vec<(Vec<u8>, bool)>>>;

/// An endpoint that takes WebSockets on streams, if `takes`.
fn tunnels(takes: bool) -> (SocketAddr, Asked) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Asked::default());
    let asked = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let asked = Arc::clone(&asked);
            std::thread::spawn(move || {
                let settings: &[(u16, u32)] = if takes { &[(8, 1)] } else { &[] };
                let mut frames = Frames::accepted_with(stream, settings);
                while let Ok(it) = frames.next_within(PATIENCE) {
                    let ends = it.flags & END_STREAM;
                    match it.kind {
                        kind::HEADERS => {
                            let refused = it.payload.windows(4).any(|it| it == b"/no/");
                            asked.lock().unwrap().push((it.payload, ends == 0));
                            if refused {
                                let head = block(&[(":status", "403")]);
                                frames.send(kind::HEADERS, WHOLE, it.stream, &head);
                            } else {
                                let head = block(&[(":status", "200"), ("sec-websocket-protocol", "chat")]);
                                frames.send(kind::HEADERS, END_HEADERS, it.stream, &head);
                                frames.send(kind::DATA, 0, it.stream, b"hello");
                            }
                        }
                        kind::DATA => drop(frames.send(kind::DATA, ends, it.stream, &it.payload)),
                        _ => {}
                    }
                }
            });
        }
    });
    (address, seen)
}

const UPGRADE: &str = "Host: shop.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A CONNECT that asks for a WebSocket (RFC 8441).
fn connect(path: &str) -> Vec<(&str, &str)> {
    with(
        &[(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", path)],
        &[(":authority", "shop.test"), ("sec-websocket-version", "13")],
    )
}

/// Reads content of stream 1 until it ends so, or the stream does.
fn hear(frames: &mut Frames, came: &mut Came, text: &[u8]) {
    while !came.body.ends_with(text) && !came.whole {
        came.note(1, &frames.next_within(PATIENCE).expect("a frame"));
    }
}

/// A WebSocket goes to an endpoint that speaks HTTP/2 as the CONNECT that it is there, whatever its client speaks.
#[test]
fn a_websocket_passes_to_an_http_2_endpoint() {
    let (endpoint, seen) = tunnels(true);
    let gate = gate(endpoint);
    let mut client = gate.connect();
    let accepted = client.send(format!("GET /chat?x=y HTTP/1.1\r\n{UPGRADE}")).response();
    assert_eq!(accepted.status, 101, "{accepted:?}");
    assert_eq!(accepted.head.all("sec-websocket-accept"), ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]);
    assert_eq!(accepted.head.all("upgrade"), ["websocket"]);
    assert_eq!(accepted.head.all("sec-websocket-protocol"), ["chat"]);
    assert!(accepted.head.all("transfer-encoding").is_empty());
    assert_eq!(client.wire().exactly(5).unwrap(), b"hello");
    for word in [&b"ping"[..], b"pong"] {
        client.send(word);
        assert_eq!(client.wire().exactly(4).unwrap(), word);
    }
    // Each side ends by itself.
    client.finish();
    assert_eq!(client.end(), End::Closed);
    let mut frames = Frames::connect(gate.address());
    frames.head(1, &connect("/chat?x=y"));
    let mut came = Came::default();
    hear(&mut frames, &mut came, b"hello");
    frames.send(kind::DATA, 0, 1, b"ping");
    hear(&mut frames, &mut came, b"ping");
    frames.send(kind::DATA, END_STREAM, 1, b"");
    hear(&mut frames, &mut came, b"never");
    assert_eq!((came.status, came.body.as_slice(), came.whole), (Some(200), b"helloping".as_slice(), true));
    // One that says no is heard, and the connection to it stays.
    let refused = gate.connect().send(format!("GET /no/ HTTP/1.1\r\n{UPGRADE}")).response();
    assert_eq!(refused.status, 403);
    assert_eq!(Frames::connect(gate.address()).head(1, &connect("/no/")).answer(1).status, Some(403));
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 4);
    for (block, more) in &*seen {
        let has = |text: &[u8]| block.windows(text.len()).any(|it| it == text);
        assert!(
            *more
                && has(b"CONNECT")
                && has(b":protocol")
                && has(b"websocket")
                && has(b"sec-websocket-version")
        );
        assert!(!has(b"sec-websocket-key") && !has(b"upgrade"));
    }
    assert_eq!(gate.metric("tidegate_upstream_errors_total", &[("service", "shop")]), 0.0);
}

/// One in which nothing is said ends in order on both streams.
#[test]
fn a_silent_websocket_is_ended_and_nobody_has_failed() {
    let (endpoint, _) = tunnels(true);
    let gate = Setup::default()
        .version_as("v1", format!("\"h2c://{endpoint}\""))
        .listener("h2c: true")
        .service("timeouts: {idle: 500ms}")
        .start();
    let mut frames = Frames::connect(gate.address());
    frames.head(1, &connect("/"));
    let mut came = Came::default();
    hear(&mut frames, &mut came, b"never");
    assert_eq!((came.body.as_slice(), came.whole), (b"hello".as_slice(), true));
    assert_eq!(gate.metric("tidegate_upstream_errors_total", &[]), 0.0);
}

/// A program that is ended with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The same with programs that others have written, on both sides.
#[test]
fn websockets_of_others_pass_to_an_http_2_endpoint() {
    let Some(python) = outside::python(&["hypercorn", "websockets"]) else { return };
    let script = |name: &str| {
        let mut command = Command::new(&python);
        command.arg(format!("{}/tests/websocket/{name}", env!("CARGO_MANIFEST_DIR")));
        command
    };
    let mut server = Ended(script("streams.py").stdout(Stdio::piped()).spawn().expect("start python"));
    let mut said = BufReader::new(server.0.stdout.take().expect("piped"));
    let mut line = || {
        let mut line = String::new();
        said.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    };
    let port: u16 = line().parse().expect("a port");
    let gate = gate(SocketAddr::from(([127, 0, 0, 1], port)));
    for (how, expected) in [("some", "some 1000"), ("leave", "leave gone")] {
        let mut client = script("client.py");
        client.arg(gate.address().to_string()).arg(how).stderr(Stdio::inherit());
        let output = client.output().expect("start python");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), expected);
        assert_eq!(line(), "websocket 2 /chat");
    }
    until("nothing is left under way", || {
        (gate.metric("tidegate_requests_in_flight", &[("service", "shop")]) == 0.0).then_some(())
    });
}

/// An endpoint that has not said that it takes them is not asked, and the client learns it.
#[test]
fn a_websocket_is_refused_where_the_endpoint_takes_none() {
    let (endpoint, seen) = tunnels(false);
    let gate = gate(endpoint);
    let answer = gate.connect().send(format!("GET / HTTP/1.1\r\n{UPGRADE}")).response();
    assert_eq!((answer.status, answer.error()), (502, Some("no_upgrade")));
    assert_eq!(Frames::connect(gate.address()).head(1, &connect("/")).answer(1).status, Some(502));
    assert!(seen.lock().unwrap().is_empty());
    assert_eq!(gate.metric("tidegate_rejected_total", &[("reason", "upgrade")]), 2.0);
    assert_eq!(gate.metric("tidegate_upstream_errors_total", &[("service", "shop")]), 0.0);
    // Other protocols have no counterpart, and may be ignored.
    let other = UPGRADE.replace("Upgrade: websocket", "Upgrade: chat");
    let answer = gate.connect().send(format!("GET / HTTP/1.1\r\n{other}")).response_to_head();
    assert_eq!(answer.status, 200);
    assert!(!seen.lock().unwrap()[0].1, "a request without content");
}

#[test]
fn what_an_endpoint_may_have_begun_is_not_sent_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let endpoint = scripted(move |_, frames| {
        while let Some(stream) = frames.request() {
            count.fetch_add(1, Ordering::SeqCst);
            // CANCEL, or the end of the connection: both may come after the work was done.
            if stream == 1 {
                frames.send(kind::RST_STREAM, 0, stream, &8_u32.to_be_bytes());
            } else {
                return;
            }
        }
    });
    let gate = gate(endpoint);
    for _ in 0..2 {
        let answer = ask(gate.address(), post("/"), &[]).unwrap();
        assert_eq!((answer.status, answer.only("x-tidegate-error")), (502, "upstream_reset"));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[test]
fn an_answer_that_breaks_off_does_not_look_complete() {
    let endpoint = scripted(|_, frames| {
        while let Some(stream) = frames.request() {
            frames.send(kind::HEADERS, END_HEADERS, stream, &[0x88]);
            frames.send(kind::DATA, 0, stream, b"the first half");
            frames.send(kind::RST_STREAM, 0, stream, &2_u32.to_be_bytes());
        }
    });
    let gate = gate(endpoint);
    let error = ask(gate.address(), get("/"), &[]).unwrap_err();
    assert!(error.contains("INTERNAL_ERROR") || error.contains("unexpected internal error"), "{error}");
    let mut client = gate.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.try_response("GET").is_err());
}

#[test]
fn a_client_that_does_not_read_holds_the_endpoint_back() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let upstream = H2Upstream::start(100, move |_, mut respond| {
        let count = Arc::clone(&count);
        Box::pin(async move {
            let mut answer = respond.send_response(Response::new(()), false)?;
            let piece = Bytes::from(vec![b'x'; 16_384]);
            for _ in 0..4_000 {
                answer.reserve_capacity(piece.len());
                while answer.capacity() < piece.len() {
                    if std::future::poll_fn(|cx| answer.poll_capacity(cx)).await.is_none() {
                        return Ok(());
                    }
                }
                count.fetch_add(piece.len(), Ordering::SeqCst);
                answer.send_data(piece.clone(), false)?;
            }
            answer.send_data(Bytes::new(), true)
        })
    });
    let gate = gate(upstream.address());
    let mut client = super::support::Client::connect_narrow(gate.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut last = usize::MAX;
    let held = until("the endpoint stops", || {
        std::thread::sleep(Duration::from_millis(300));
        let now = sent.load(Ordering::SeqCst);
        (now > 0 && std::mem::replace(&mut last, now) == now).then_some(now)
    });
    assert!(held < 16_000_000, "{held} bytes were taken for nobody");
}

/// Row b25: an endpoint that floods its connection costs its own requests, a bounded amount of memory, and nobody
/// else's time.
#[test]
fn an_endpoint_that_floods_is_nobody_elses_trouble() {
    let well = H2Upstream::echo(&[]);
    let floods: [(&str, Vec<u8>); 8] = [
        ("ping", frame(kind::PING, 0, 0, b"are you?")),
        ("settings", frame(kind::SETTINGS, 0, 0, &setting(4, 65_535))),
        ("window update", frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("empty content", frame(kind::DATA, 0, 1, b"")),
        ("continuation", frame(kind::CONTINUATION, 0, 1, &[0; 100])),
        ("interim answers", frame(kind::HEADERS, END_HEADERS, 1, &block(&[(":status", "103")]))),
        ("unknown", frame(0x77, 0, 0, b"nobody knows")),
        ("a promise", frame(kind::PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2])),
    ];
    for (name, one) in floods {
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&sent);
        let endpoint = scripted(move |_, frames| {
            frames.polite = false;
            let Some(stream) = frames.request() else { return };
            match one[3] {
                kind::DATA => drop(frames.send(kind::HEADERS, END_HEADERS, stream, &[0x88])),
                kind::CONTINUATION => drop(frames.send(kind::HEADERS, 0, stream, &[0x88])),
                _ => {}
            }
            let many = one.repeat(500);
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(3) && frames.offer(&many) {
                counted.fetch_add(500, Ordering::SeqCst);
                // Whoever is answered must listen, or nobody writes any more.
                while frames.next_within(Duration::from_micros(1)).is_ok() {}
            }
        });
        let gate = Setup::default()
            .version_as("v1", format!("\"h2c://{}\"", well.address()))
            .version_as("v2", format!("\"h2c://{endpoint}\""))
            .service("pin: [{when: {header: {x-flood: y}}, to: v2}]")
            .service("timeouts: {head: 2s, idle: 2s}")
            .listener("h2c: true")
            .start();
        assert_eq!(gate.get("/").status, 200);
        let before = gate.memory();
        let mut victim = gate.connect();
        victim.send("GET / HTTP/1.1\r\nHost: a\r\nX-Flood: y\r\n\r\n");
        let began = Instant::now();
        let mut others = gate.connect();
        while began.elapsed() < Duration::from_secs(1) {
            assert_eq!(others.get("/").status, 200, "{name}");
        }
        let came = victim.try_response("GET");
        assert!(came.as_ref().map_or(true, |it| it.status >= 500), "{name}: {came:?}");
        let held = gate.memory().saturating_sub(before);
        assert!(held < 32_000_000, "{name}: {held} bytes after {} frames", sent.load(Ordering::SeqCst));
        until("nothing is under way", || {
            (gate.metric("tidegate_requests_in_flight", &[("service", "shop")]) == 0.0).then_some(())
        });
        assert_eq!(others.get("/").status, 200, "{name}");
    }
}
