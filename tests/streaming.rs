//! Bodies pass through as they come, in both directions, in flat memory; tunnels carry bytes and ends.
#![allow(clippy::disallowed_methods, reason = "real programs in real time")]

mod support;
#[path = "streaming/tunnels.rs"]
mod tunnels;

use std::io::{BufRead, BufReader, BufWriter, Cursor, Read, Write};
use std::net::Shutdown;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use support::upstream::Latch;
use support::{Broken, Client, End, Gate, Peer, Setup, Upstream, outside, size, until};
use tunnels::{UPGRADE, accept_upgrade};

/// Bytes of the big bodies: many times what they may add to the memory.
fn big() -> u64 {
    size::of(1 << 28, 10 << 30)
}

/// More than the buffers of one connection, far less than any body that was collected.
const FLAT: u64 = 8 << 20;

fn ms(it: u64) -> Duration {
    Duration::from_millis(it)
}

fn pour(stream: &mut impl Write, total: u64) {
    let piece = vec![b'x'; 1 << 18];
    let mut left = total;
    while left > 0 {
        let now = left.min(piece.len() as u64) as usize;
        stream.write_all(&piece[..now]).expect("the other side takes it");
        left -= now as u64;
    }
}

/// Runs `work` and returns the most memory that was added meanwhile, as the kernel has kept it.
fn growth(gate: &Gate, work: impl FnOnce()) -> u64 {
    let before = gate.memory();
    gate.forget_peak();
    work();
    gate.memory_peak().saturating_sub(before)
}

#[test]
fn a_big_download_passes_in_flat_memory() {
    let upstream = Upstream::start(|peer| {
        while peer.request().is_some() {
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", big()));
            let mut stream = peer.wire().stream().try_clone().unwrap();
            pour(&mut stream, big());
        }
    });
    let gate = Setup::to(&upstream).start();
    let grown = growth(&gate, || {
        let mut client = gate.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = client.wire().head().expect("a head");
        assert_eq!(head.one("content-length"), Some(big().to_string().as_str()));
        client.wire().skip(big()).expect("the whole body");
    });
    assert!(grown < FLAT, "grew by {grown} bytes");
}

#[test]
fn a_big_upload_passes_in_flat_memory() {
    let upstream = Upstream::start(|peer| {
        while let Some(head) = peer.head() {
            let length: u64 = head.one("content-length").unwrap().parse().unwrap();
            if peer.wire().skip(length).is_err() {
                return;
            }
            peer.note(&head);
            peer.answer("200 OK", "got it");
        }
    });
    let gate = Setup::to(&upstream).start();
    let grown = growth(&gate, || {
        let mut client = gate.connect();
        client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", big()));
        let mut stream = client.wire().stream().try_clone().unwrap();
        pour(&mut stream, big());
        assert_eq!(client.response().text(), "got it");
    });
    assert!(grown < FLAT, "grew by {grown} bytes");
    assert!(upstream.received(0) >= big());
}

#[test]
fn big_chunked_bodies_pass_in_flat_memory_both_ways_at_once() {
    let chunks = (big() >> 18) / 4;
    let upstream = Upstream::start(move |peer| {
        let Some(head) = peer.head() else { return };
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut stream = peer.wire().stream().try_clone().unwrap();
        let writing = std::thread::spawn(move || pour_chunks(&mut stream, chunks));
        let total = read_chunks(peer.wire());
        peer.note(&head);
        assert_eq!(total, chunks << 18);
        writing.join().unwrap();
        // An answer that is over would end an upload that is not.
        peer.send(LAST_CHUNK);
        peer.hold();
    });
    let gate = Setup::to(&upstream).start();
    let grown = growth(&gate, || {
        let mut client = gate.connect();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut stream = client.wire().stream().try_clone().unwrap();
        let writing = std::thread::spawn(move || {
            pour_chunks(&mut stream, chunks);
            stream.write_all(LAST_CHUNK.as_bytes()).expect("the other side takes it");
        });
        client.wire().head().expect("a head");
        assert_eq!(read_chunks(client.wire()), chunks << 18);
        writing.join().unwrap();
    });
    assert!(grown < FLAT, "grew by {grown} bytes");
    until("the upload arrived whole", || (upstream.count() == 1).then_some(()));
}

fn pour_chunks(stream: &mut impl Write, count: u64) {
    let chunk = [b"40000\r\n".as_slice(), &vec![b'x'; 1 << 18], b"\r\n"].concat();
    for _ in 0..count {
        stream.write_all(&chunk).expect("the other side takes it");
    }
}

const LAST_CHUNK: &str = "0\r\n\r\n";

/// Bytes of a chunked body, without keeping it.
fn read_chunks(wire: &mut support::wire::Wire) -> u64 {
    let mut total = 0;
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(wire.exactly(1).expect("a chunk size"));
        }
        let digits = std::str::from_utf8(&line[..line.len() - 2]).expect("ASCII");
        let size = u64::from_str_radix(digits, 16).expect("a chunk size");
        wire.skip(size + 2).expect("a chunk");
        if size == 0 {
            return total;
        }
        total += size;
    }
}

/// What has arrived is passed on at once: nobody waits for a buffer to fill.
#[test]
fn pieces_pass_as_they_come() {
    let upstream = Upstream::start(|peer| {
        let Some(_) = peer.head() else { return };
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        // Echoes each piece: the client sends the next only when it has seen the last.
        for _ in 0..3 {
            let Ok(piece) = peer.wire().exactly("4\r\nping\r\n".len()) else { return };
            peer.send(piece);
        }
        let _ = peer.wire().exactly("0\r\n\r\n".len());
        peer.send("0\r\n\r\n");
        peer.hold();
    });
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.wire().head().expect("the head comes before the body has ended");
    for _ in 0..3 {
        client.send("4\r\nping\r\n");
        assert_eq!(client.wire().exactly(9).expect("an echo"), b"4\r\nping\r\n");
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.wire().exactly(5).expect("the end"), b"0\r\n\r\n");
}

/// Server-sent events: the head alone must pass, long before the first event.
#[test]
fn a_head_passes_before_its_body_begins() {
    let latch = Latch::default();
    let opened = latch.clone();
    let upstream = Upstream::start(move |peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        opened.pass();
        peer.send("8\r\ndata: 1\n\r\n0\r\n\r\n");
        peer.hold();
    });
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.wire().head().expect("the head");
    latch.open();
    assert_eq!(client.wire().chunked().expect("a body").0, b"data: 1\n");
}

/// A request's trailers are not merged into anything; by default they end here.
#[test]
fn request_trailers_are_not_forwarded() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         2\r\nok\r\n0\r\nX-Sum: 1\r\nAuthorization: x\r\nHost: evil\r\n\r\n",
    );
    assert_eq!(client.response().status, 200);
    assert_eq!(client.get("/next").status, 200);
    let request = &upstream.requests()[0];
    assert_eq!(request.body, b"ok");
    assert!(!format!("{:?}", request.trailers).contains("uthorization"), "{request:?}");
    assert!(!upstream.raw_bytes().concat().contains("evil"));
}

#[test]
fn expectations_are_the_upstreams_to_meet() {
    let upstream = Upstream::start(|peer| {
        while let Some(head) = peer.head() {
            assert_eq!(head.one("expect"), Some("100-continue"));
            peer.send("HTTP/1.1 100 Continue\r\n\r\n");
            if peer.rest_of(head).is_none() {
                return;
            }
            peer.answer("200 OK", "fine");
        }
    });
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    for _ in 0..2 {
        client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
        let interim = client.wire().head().expect("an interim response");
        assert_eq!(interim.status(), Some(100));
        let answer = client.send("body").response();
        assert_eq!((answer.status, answer.interim.len()), (200, 0));
    }
    let bodies: Vec<Vec<u8>> = upstream.requests().into_iter().map(|it| it.body).collect();
    assert_eq!(bodies, [b"body", b"body"]);
    assert_eq!(upstream.connections(), 1);
}

/// The upstream refuses before the body: the client never sends it, and the connection, on which a
/// body was announced, is not used again.
#[test]
fn a_refused_expectation_is_one_final_answer() {
    for status in ["200 OK", "417 Expectation Failed", "401 Unauthorized"] {
        let upstream = Upstream::start(move |peer| {
            while peer.head().is_some() {
                peer.answer(status, "no");
            }
        });
        let gate = Setup::to(&upstream).start();
        let mut client = gate.connect();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
        let answer = client.response();
        assert!(status.starts_with(&answer.status.to_string()), "{answer:?}");
        assert!(answer.interim.is_empty(), "{answer:?}");
        // Whether the body follows cannot be known, so this connection ends too, or reads it first.
        if !answer.closes() {
            client.send("body");
            assert!(status.starts_with(&client.get("/").status.to_string()));
        }
        gate.get("/");
        assert_eq!(upstream.connections(), 2, "{status}: the connection was used again");
    }
}

/// An upstream that does not know expectations waits for the body, and the client for the word.
#[test]
fn a_client_is_not_left_waiting_for_a_word_that_never_comes() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    let interim = client.wire().head().expect("the gate's own word after a second");
    assert_eq!(interim.status(), Some(100));
    assert_eq!(client.send("body").response().status, 200);
    assert_eq!(upstream.only_request().body, b"body");
}

#[test]
fn a_client_that_does_not_wait_for_the_word_is_served() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 4\r\n\r\n";
    let answer = gate.answer_to(format!("{head}body"));
    // The endpoint says nothing of the kind, and there is no need for our own word.
    assert_eq!((answer.status, answer.interim.len()), (200, 0));
    assert_eq!(upstream.only_request().body, b"body");
    let mut client = gate.connect();
    client.send(head);
    assert_eq!(client.end_within(ms(100)), End::Open);
    let answer = client.send("body").response();
    assert_eq!(answer.status, 200);
}

#[test]
fn an_unknown_expectation_is_refused() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let answer =
        gate.answer_to("POST / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\nContent-Length: 4\r\n\r\nbody");
    assert_eq!(answer.status, 417);
    assert_eq!(upstream.count(), 0);
}

#[test]
fn early_hints_are_passed_on_but_not_to_old_clients() {
    let upstream = Upstream::raw(
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n\
         HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let gate = Setup::to(&upstream).start();
    let answer = gate.get("/");
    assert_eq!(answer.text(), "ok");
    let hints: Vec<Option<u16>> = answer.interim.iter().map(support::Head::status).collect();
    assert!(hints.contains(&Some(103)), "{answer:?}");
    assert_eq!(answer.interim[0].one("link"), Some("</a.css>; rel=preload"));
    let answer = gate.answer_to("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!((answer.interim.len(), answer.text().as_str()), (0, "ok"));
}

/// An early answer to a long upload must reach a client that is still writing: closing at once would
/// reset the connection and throw the answer away.
#[test]
fn an_early_answer_reaches_a_client_that_still_uploads() {
    for answer in [
        "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig",
        "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 3\r\n\r\nwho",
    ] {
        let upstream = Upstream::start(move |peer| {
            peer.head();
            peer.send(answer);
            peer.finish();
            // Reads a little and then no more, as a server that has made up its mind.
            let _ = peer.wire().exactly(1000);
        });
        let gate = Setup::to(&upstream).start();
        for framing in ["Content-Length: 4000000", "Transfer-Encoding: chunked"] {
            let mut client = gate.connect();
            client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"));
            let piece = match framing.starts_with('C') {
                true => "u".repeat(10_000),
                false => format!("2710\r\n{}\r\n", "u".repeat(10_000)),
            };
            // A client that only writes until it is done or cut off.
            for _ in 0..20 {
                if client.offer(&piece).is_err() {
                    break;
                }
            }
            let got = client.response();
            assert!(answer.contains(&got.status.to_string()) && got.body.len() == 3, "{framing}: {got:?}");
            assert!(got.closes(), "{got:?}");
        }
    }
}

/// Refusals of the gate itself linger as well.
#[test]
fn a_refusal_reaches_a_client_that_still_uploads() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).service("limits: {body: 1KiB}").start();
    let mut client = gate.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n");
    for _ in 0..20 {
        if client.offer("u".repeat(10_000)).is_err() {
            break;
        }
    }
    assert_eq!((client.response().status, client.end()), (413, End::Closed));
}

/// A client that never stops is not lingered for without end.
#[test]
fn lingering_is_bounded() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).service("limits: {body: 1KiB}").start();
    let mut client = gate.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n");
    support::wait::took(Duration::ZERO, Duration::from_secs(15), || {
        while client.offer("u").is_ok() {
            std::thread::sleep(ms(20));
        }
    });
}

/// Row e12: frames of RFC 6455 through the gate, very many and one that is large, while it reloads, up to the close
/// handshake.
#[test]
fn websocket_frames_arrive_whole_and_in_order() {
    let upstream = Upstream::start(|peer| {
        if !accept_upgrade(peer) {
            return;
        }
        let mut to = BufWriter::with_capacity(1 << 16, peer.wire().stream().try_clone().unwrap());
        let left = Cursor::new(peer.wire().left().to_vec());
        let stream = peer.wire().stream().try_clone().unwrap();
        let mut from = BufReader::with_capacity(1 << 16, left.chain(stream));
        while let Some((opcode, payload)) = read_frame(&mut from) {
            let whole = to.write_all(&frame(opcode, &payload, None)).is_ok();
            // What has come is answered before more is waited for.
            if !whole || opcode == 8 || (from.buffer().is_empty() && to.flush().is_err()) {
                return;
            }
        }
    });
    let mut gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    client.send(UPGRADE);
    client.wire().head().expect("the switch");
    assert!(client.wire().left().is_empty());
    let mut from = BufReader::with_capacity(1 << 16, client.wire().stream().try_clone().unwrap());
    let payload = |number: u32| number.to_be_bytes().repeat(1 + number as usize % 7);
    // One at a time, then as fast as they are taken.
    let (alone, all) = (1_000_u32, size::of(20_000, 1_000_000));
    for number in 0..alone {
        client.send(frame(2, &payload(number), Some([1, 2, 3, 4])));
        assert_eq!(read_frame(&mut from), Some((2, payload(number))));
    }
    let mut stream = client.wire().stream().try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        let mut to = BufWriter::with_capacity(1 << 16, &mut stream);
        (alone..all).try_for_each(|number| to.write_all(&frame(2, &payload(number), Some([1, 2, 3, 4]))))?;
        to.flush()
    });
    for number in alone..all {
        assert_eq!(read_frame(&mut from), Some((2, payload(number))));
        if number % (all / 4) == 0 {
            gate.reload(|setup| setup.service(format!("timeouts: {{head: {}s}}", 30 + number / (all / 4))));
        }
    }
    writing.join().unwrap().unwrap();
    let large = vec![7; size::of(4, 64) << 20];
    let mut stream = client.wire().stream().try_clone().unwrap();
    let bytes = frame(2, &large, Some([9, 8, 7, 6]));
    let writing = std::thread::spawn(move || stream.write_all(&bytes));
    assert!(read_frame(&mut from) == Some((2, large)));
    writing.join().unwrap().unwrap();
    client.send(frame(8, &[3, 232], Some([0; 4])));
    assert_eq!(read_frame(&mut from), Some((8, vec![3, 232])));
    assert_eq!(client.end(), End::Closed);
}

/// One unfragmented frame (RFC 6455, 5.2).
fn frame(opcode: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![0x80 | opcode];
    match payload.len() {
        short @ 0..=125 => bytes.push(masked | short as u8),
        medium @ 126..=0xffff => {
            bytes.push(masked | 126);
            bytes.extend((medium as u16).to_be_bytes());
        }
        long => {
            bytes.push(masked | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(mask.iter().flatten());
    let key = mask.unwrap_or_default();
    bytes.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]));
    bytes
}

/// Reads one frame and unmasks it.
fn read_frame(from: &mut impl Read) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    from.read_exact(&mut head).ok()?;
    let mut length = [0; 8];
    let length = match head[1] & 0x7f {
        126 => from.read_exact(&mut length[6..]).map(|()| u64::from_be_bytes(length)).ok()? as usize,
        127 => from.read_exact(&mut length).map(|()| u64::from_be_bytes(length)).ok()? as usize,
        short => short as usize,
    };
    let mut key = [0; 4];
    if head[1] & 0x80 != 0 {
        from.read_exact(&mut key).ok()?;
    }
    let mut payload = vec![0; length];
    from.read_exact(&mut payload).ok()?;
    payload.iter_mut().enumerate().for_each(|(at, byte)| *byte ^= key[at % 4]);
    Some((head[0] & 0x0f, payload))
}

/// A stream outlives the configuration under which it began.
#[test]
fn tunnels_and_streams_survive_a_reload() {
    let upstream = Upstream::start(|peer| {
        if accept_upgrade(peer) {
            while let Ok(byte) = peer.wire().exactly(1) {
                peer.send(byte);
            }
        }
    });
    let mut gate = Setup::to(&upstream).start();
    let mut client: Client = gate.connect();
    client.send(UPGRADE);
    client.wire().head().expect("the switch");
    for number in 0..5_u8 {
        client.send([number]);
        assert_eq!(client.wire().exactly(1), Ok(vec![number]));
        gate.reload(|setup| setup.service(format!("timeouts: {{head: {}s}}", 30 + number)));
    }
    client.finish();
    assert!(matches!(client.wire().read_to_end(), Ok(rest) if rest.is_empty()));
    assert_eq!(client.try_response("GET"), Err(Broken::Ended(String::new())));
}

/// A client that everybody has: a big upload that waits for the word, one without a length, a download.
#[test]
fn curl_is_served() {
    let upstream = Upstream::start(|peer| {
        while let Some(head) = peer.head() {
            if head.has("expect") {
                peer.send("HTTP/1.1 100 Continue\r\n\r\n");
            }
            let Some(request) = peer.rest_of(head) else { return };
            let length = request.body.len().to_string();
            peer.answer("200 OK", &length);
        }
    });
    let gate = Setup::to(&upstream).start();
    let file = gate.dir().join("body");
    std::fs::write(&file, vec![b'c'; 3_000_000]).expect("a file");
    let (url, data) = (format!("http://{}/", gate.address()), format!("@{}", file.display()));
    for (arguments, expected) in [
        (vec!["--data-binary", &data, "--expect100-timeout", "30"], "3000000"),
        (vec!["--data-binary", &data, "-H", "Transfer-Encoding: chunked"], "3000000"),
        (vec!["--http1.0"], "0"),
        (vec!["--data", "abc", "-H", "Expect: 100-continue"], "3"),
    ] {
        let output =
            std::process::Command::new("curl").args(["-sSf", "-m", "60"]).args(&arguments).arg(&url).output();
        // Where there is no curl, the raw clients above have said it all.
        let Ok(output) = output else { return };
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{arguments:?}");
    }
}

/// A WebSocket server that others have written.
struct Sockets {
    child: std::process::Child,
    port: u16,
    lines: BufReader<std::process::ChildStdout>,
}

impl Sockets {
    fn start(python: &Path) -> Self {
        let mut child = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/websocket/server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start python");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut port = String::new();
        lines.read_line(&mut port).expect("a line");
        Self { child, port: port.trim().parse().expect("a port"), lines }
    }

    fn says(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn talk(python: &Path, gate: &Gate, how: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/websocket/client.py"));
    command.arg(gate.address().to_string()).arg(how).stderr(Stdio::inherit());
    command
}

/// Row e12, with programs that others have written on both sides: many messages, a large one, an end without a
/// word on either side, reloads meanwhile, and a rollback that ends it in time.
#[test]
fn websockets_of_others_pass() {
    let Some(python) = outside::python(&["websockets"]) else { return };
    let mut server = Sockets::start(&python);
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], server.port));
    let other = Upstream::answering("other");
    let mut gate = Setup::default()
        .version("v1", &[other.address()])
        .version("v2", &[address])
        .service("pin: [{when: {header: {upgrade: websocket}}, to: v2}]")
        .service("timeouts: {drain: 1s}")
        .start();
    for (how, said, seen) in [
        ("many", "many 1000", "ended 1000"),
        ("large", "large 67108864", "ended 1000"),
        ("leave", "leave gone", "cut"),
        ("left", "left closed, said goodbye: False", ""),
    ] {
        let output = talk(&python, &gate, how).output().expect("start python");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), said);
        if !seen.is_empty() {
            let said = server.says();
            // An end without a word is told by the library as either.
            assert_eq!(if said == "ended 1006" { "cut" } else { &said }, seen, "{how}");
        }
    }
    let mut child =
        talk(&python, &gate, "stay").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python");
    let (mut to, mut from) =
        (child.stdin.take().expect("piped"), BufReader::new(child.stdout.take().expect("piped")));
    let mut say = |word: &str| {
        writeln!(to, "{word}").expect("it listens");
        let mut line = String::new();
        from.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    };
    for (number, word) in ["one", "two", "three"].into_iter().enumerate() {
        assert_eq!(say(word), format!("heard {word}"));
        gate.reload(|setup| setup.service(format!("timeouts: {{head: {}s, drain: 1s}}", 30 + number)));
    }
    // It has no share, and never had one: whoever is pinned to it stays for as long as the pin.
    let began = std::time::Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        assert_eq!(say("again"), "heard again");
    }
    // A version that leaves the file has the time that the file gave it.
    gate.reload(|setup| setup.without("v2").service("pin: [{when: {header: {x: y}}, to: v1}]"));
    until("it is cut", || (say("four") == "stay cut").then_some(()));
    let _ = child.kill();
    let _ = child.wait();
}
