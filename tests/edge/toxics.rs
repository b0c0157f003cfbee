//! Bad lines to endpoints: slow, cut in slices, ended late or early. Each does to an answer what it must and no
//! more, and leaves nothing behind.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::support::{Broken, Gate, Setup, Upstream, until};

/// What a line does to the bytes that come back on it.
#[derive(Clone, Copy, Debug)]
enum Toxic {
    /// Nothing.
    None,
    /// Every byte waits so long.
    Latency(Duration),
    /// So many bytes in a second.
    Bandwidth(usize),
    /// Pieces of so many bytes, both ways.
    Slicer(usize),
    /// The end comes so much later.
    SlowClose(Duration),
    /// An end after so many bytes.
    Limit(usize),
    /// A reset after so many bytes.
    Reset(usize),
}

/// A line to `endpoint`; where it begins.
fn line(endpoint: SocketAddr, toxic: Toxic) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(endpoint) else { return };
            near.set_nodelay(true).unwrap();
            far.set_nodelay(true).unwrap();
            let ends = Arc::new((near, far));
            let there = Arc::clone(&ends);
            let way = if let Toxic::Slicer(_) = toxic { toxic } else { Toxic::None };
            thread::spawn(move || carry(&there.0, &there.1, way));
            thread::spawn(move || carry(&ends.1, &ends.0, toxic));
        }
    });
    address
}

fn carry(mut from: &TcpStream, mut to: &TcpStream, toxic: Toxic) {
    let (mut carried, mut buffer) = (0, [0; 16_384]);
    loop {
        let most = match toxic {
            Toxic::Slicer(size) => size,
            Toxic::Bandwidth(rate) => (rate / 20).max(1),
            _ => buffer.len(),
        };
        let Ok(count @ 1..) = from.read(&mut buffer[..most]) else { break };
        match toxic {
            Toxic::Latency(time) => thread::sleep(time),
            Toxic::Bandwidth(_) => thread::sleep(Duration::from_millis(50)),
            _ => {}
        }
        let left = match toxic {
            Toxic::Limit(limit) | Toxic::Reset(limit) => limit - carried,
            _ => usize::MAX,
        };
        if to.write_all(&buffer[..count.min(left)]).is_err() {
            break;
        }
        carried += count.min(left);
        if count >= left {
            if let Toxic::Reset(_) = toxic {
                // What was sent must be taken first, or the reset overtakes it.
                thread::sleep(Duration::from_millis(50));
                let _ = socket2::SockRef::from(to).set_linger(Some(Duration::ZERO));
            }
            let _ = from.shutdown(Shutdown::Both);
            break;
        }
    }
    if let Toxic::SlowClose(time) = toxic {
        thread::sleep(time);
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// What comes of a `GET` and of a `POST`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    /// The whole answer.
    Whole,
    /// 502: nothing of an answer had come.
    Failed,
    /// An answer that visibly breaks off.
    Cut,
}

const BODY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n";

fn outcome(gate: &Gate, request: &str) -> Outcome {
    match gate.connect().send(request).try_response("GET") {
        Ok(answer) if answer.status == 200 => {
            assert_eq!(answer.text(), BODY);
            Outcome::Whole
        }
        Ok(answer) => {
            assert_eq!((answer.status, answer.error()), (502, Some("upstream_reset")));
            Outcome::Failed
        }
        Err(Broken::Ended(_) | Broken::Reset) => Outcome::Cut,
        Err(broken) => panic!("{broken:?}"),
    }
}

#[test]
fn every_bad_line_has_its_outcome_and_leaves_nothing() {
    let upstream = Upstream::start(|peer| {
        while let Some(request) = peer.request() {
            let close = if request.target() == "/last" { "Connection: close\r\n" } else { "" };
            peer.send(format!("HTTP/1.1 200 OK\r\n{close}Content-Length: 64\r\n\r\n{BODY}"));
            if !close.is_empty() {
                return;
            }
        }
    });
    let whole = HEAD.len() + BODY.len();
    let ms = Duration::from_millis;
    for (toxic, get, post) in [
        (Toxic::None, Outcome::Whole, Outcome::Whole),
        (Toxic::Latency(ms(150)), Outcome::Whole, Outcome::Whole),
        (Toxic::Bandwidth(1_000), Outcome::Whole, Outcome::Whole),
        (Toxic::Slicer(1), Outcome::Whole, Outcome::Whole),
        (Toxic::Slicer(7), Outcome::Whole, Outcome::Whole),
        (Toxic::SlowClose(ms(10_000)), Outcome::Whole, Outcome::Whole),
        // Before the end of the head nobody has seen anything.
        (Toxic::Limit(0), Outcome::Failed, Outcome::Failed),
        (Toxic::Limit(9), Outcome::Failed, Outcome::Failed),
        (Toxic::Limit(HEAD.len() - 1), Outcome::Failed, Outcome::Failed),
        (Toxic::Limit(HEAD.len()), Outcome::Cut, Outcome::Cut),
        (Toxic::Limit(whole - 1), Outcome::Cut, Outcome::Cut),
        (Toxic::Limit(whole), Outcome::Whole, Outcome::Whole),
        (Toxic::Reset(0), Outcome::Failed, Outcome::Failed),
        (Toxic::Reset(HEAD.len() - 1), Outcome::Failed, Outcome::Failed),
        (Toxic::Reset(whole - 1), Outcome::Cut, Outcome::Cut),
        (Toxic::Reset(whole), Outcome::Whole, Outcome::Whole),
    ] {
        let gate = Setup::default().version("v1", &[line(upstream.address(), toxic)]).start();
        let post_request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
        let asked = upstream.count();
        assert_eq!(outcome(&gate, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), get, "{toxic:?}");
        let between = upstream.count();
        // On a connection that was kept, on a fresh one in its place, and once more.
        assert!(between - asked <= 3, "{toxic:?}: asked {} times", between - asked);
        let got = outcome(&gate, post_request);
        // A line that ends behind an answer may end just now; then nobody knows what became of a POST.
        let races = matches!(toxic, Toxic::Limit(it) | Toxic::Reset(it) if it == whole);
        assert!(got == post || (races && got == Outcome::Failed), "{toxic:?}: {got:?}");
        assert!(upstream.count() - between <= 1, "{toxic:?}: a POST is sent once");
        if let Toxic::SlowClose(time) = toxic {
            // The end is not waited for when the length has been reached.
            let began = Instant::now();
            assert_eq!(outcome(&gate, "GET /last HTTP/1.1\r\nHost: a\r\n\r\n"), Outcome::Whole);
            assert!(began.elapsed() < time, "{:?}", began.elapsed());
        }
        until("nothing is under way", || {
            (gate.metric("tidegate_requests_in_flight", &[("service", "shop")]) == 0.0).then_some(())
        });
        let charged = gate.metric("tidegate_upstream_errors_total", &[("kind", "reset")]);
        let failed = get != Outcome::Whole;
        // A race is counted as well, and judged by nobody.
        assert!(races || (charged > 0.0) == failed, "{toxic:?}: {charged}");
        assert!(gate.descriptors() < 64, "{toxic:?}: {}", gate.descriptors());
    }
}
