//! Clients that take their time: each is ended at a moment that it cannot move, and nobody else notices.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::shortage::{CROWDS, crowd_size};
use super::support::tls::Ca;
use super::support::wait::PATIENCE;
use super::support::{Client, End, Gate, Setup, Upstream, outside, until};

fn rejected(gate: &Gate, reason: &str) -> f64 {
    gate.metric("tidegate_rejected_total", &[("reason", reason)])
}

/// A byte now and then, on many connections, does not move the end of the time for a head.
#[test]
fn heads_that_drip_end_at_an_absolute_time() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener("timeouts: {head: 1s}").start();
    let mut user = gate.connect();
    assert_eq!(user.get("/").status, 200);
    let began = Instant::now();
    let mut slow: Vec<Client> = (0..120).map(|_| gate.connect()).collect();
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ";
    let mut ends = 0;
    let mut at = 0;
    while !slow.is_empty() && began.elapsed() < Duration::from_secs(30) {
        let byte = head.get(at).copied().unwrap_or(b's');
        slow.retain_mut(|it| {
            it.offer([byte]).is_ok() && it.end_within(Duration::from_micros(50)) == End::Open
        });
        at += 1;
        ends = 120 - slow.len();
        assert_eq!(user.get("/").status, 200);
        if ends > 0 {
            assert!(began.elapsed() >= Duration::from_secs(1));
        }
    }
    assert_eq!(ends, 120);
    // Those that had not sent a byte by then are closed without a word.
    let counted = rejected(&gate, "head_timeout");
    assert!(counted > 0.0, "{counted}");
    assert_eq!(gate.metric("tidegate_upstream_errors_total", &[]), 0.0);
}

/// By default a head and a handshake have ten seconds, and a byte now and then on each of very many connections
/// moves that for none of them.
#[test]
fn by_default_a_crowd_that_drips_has_ten_seconds() {
    const DEFAULT: Duration = Duration::from_secs(10);
    const TOLERANCE: Duration = Duration::from_millis(200);
    let _alone = CROWDS.lock().unwrap_or_else(PoisonError::into_inner);
    let (ca, dir) = (Ca::new("ca"), TempDir::new().expect("a directory"));
    let certs = ca.issue(&["shop.test"]).put(dir.path(), "c");
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream)
        .listener("limits: {connections_per_address: 100000}")
        .add_listener("secure: {port: 0, bind: 127.0.0.1, tls: {certs: CERTS}}".replace("CERTS", &certs))
        .workers(2)
        .start();
    let secure = until("its port is known", || {
        let log = gate.log();
        let (_, rest) = log.split_once("listener=secure address=")?;
        rest.split_whitespace().next()?.parse().ok()
    });
    let mut user = gate.connect();
    assert_eq!(user.get("/").status, 200);

    // A hello of TLS in records of one byte, which may be as long as it likes.
    let hello = [22, 3, 1, 0, 1];
    let secure: Vec<(Instant, TcpStream)> = (0..100)
        .map(|_| (Instant::now(), TcpStream::connect::<std::net::SocketAddr>(secure).expect("a place")))
        .collect();
    let plain: Vec<(Instant, TcpStream)> = (0..crowd_size() - 200)
        .map(|_| (Instant::now(), TcpStream::connect(gate.address()).expect("a place")))
        .collect();
    let last = Instant::now();
    for (at, byte) in b"GET / HTTP".iter().enumerate() {
        for (_, stream) in &plain {
            // Some may have ended.
            let _ = (&*stream).write(&[*byte]);
        }
        for (_, stream) in &secure {
            let _ = (&*stream).write(&[&hello[..], &[if at == 0 { 1 } else { 0 }]].concat());
        }
        assert_eq!(user.get("/").status, 200, "others are served meanwhile");
        if last.elapsed() > DEFAULT / 2 {
            break;
        }
        std::thread::sleep(Duration::from_secs(2));
    }
    // Neither before its time is over nor much later, each of them.
    let mut statuses = Vec::new();
    for (began, stream) in plain.iter().chain(&secure) {
        let left = DEFAULT.saturating_sub(began.elapsed() + TOLERANCE);
        if !left.is_zero() {
            stream.set_read_timeout(Some(left)).expect("a socket");
            let early = stream.peek(&mut [0; 1]);
            let nothing = early.is_err_and(|it| it.kind() == std::io::ErrorKind::WouldBlock);
            // Whoever is woken late finds what came when it was due.
            assert!(nothing || began.elapsed() >= DEFAULT - TOLERANCE, "after {:?}", began.elapsed());
        }
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let mut said = Vec::new();
        let _ = stream.take(1_000).read_to_end(&mut said);
        statuses.push(String::from_utf8_lossy(&said).chars().take(12).collect::<String>());
    }
    let took = last.elapsed();
    assert!(took < DEFAULT + Duration::from_secs(20), "{took:?}");
    let answered = statuses.iter().filter(|it| *it == "HTTP/1.1 408").count();
    assert_eq!(answered, plain.len());
    let ends = gate.metric("tidegate_tls_handshake_errors_total", &[("reason", "timeout")]);
    assert_eq!(ends, secure.len() as f64);
    assert!(rejected(&gate, "head_timeout") >= plain.len() as f64);
    assert_eq!(gate.metric("tidegate_upstream_errors_total", &[]), 0.0);
    assert_eq!(user.get("/").status, 200);
}

/// Connections that say nothing, and those that are torn at once, leave nothing behind but a count.
#[test]
fn a_port_scan_leaves_no_trace_but_counts() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener("timeouts: {head: 500ms}").start();
    assert_eq!(gate.get("/").status, 200);
    let (log, descriptors) = (gate.log().len(), gate.descriptors());
    for _ in 0..1_000 {
        gate.connect().reset();
    }
    let silent: Vec<Client> = (0..100).map(|_| gate.connect()).collect();
    for mut client in silent {
        assert_eq!(client.end_within(Duration::from_secs(5)), End::Closed);
    }
    until("all are gone", || (gate.metric("tidegate_listener_connections", &[]) == 0.0).then_some(()));
    until("no descriptor is kept", || (gate.descriptors() <= descriptors + 2).then_some(()));
    assert_eq!(gate.log().len(), log, "{}", gate.log());
    assert_eq!(gate.metric("tidegate_listener_accepts_total", &[]), 1_101.0);
}

/// Runs slowhttptest with `arguments` against the gate while a user asks; what it printed. `None` without it.
fn attack(gate: &Gate, arguments: &[&str]) -> Option<String> {
    let program = outside::program("slowhttptest")?;
    let child = Command::new(program)
        .args(arguments)
        .args(["-u", &format!("http://{}/", gate.address())])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start slowhttptest");
    let mut running = Some(child);
    let mut user = gate.connect();
    let began = Instant::now();
    let done = until("the attack is over", || {
        let asked = Instant::now();
        assert_eq!(user.get("/fine").status, 200, "after {:?}", began.elapsed());
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
        let child = running.as_mut()?;
        child.try_wait().expect("own child")?;
        running.take()?.wait_with_output().ok()
    });
    Some(String::from_utf8_lossy(&done.stdout).into_owned())
}

#[test]
fn slowhttptest_with_headers_that_drip() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener("timeouts: {head: 1s}").start();
    if attack(&gate, &["-H", "-c", "300", "-r", "300", "-i", "1", "-l", "4", "-x", "8"]).is_none() {
        return;
    }
    assert!(rejected(&gate, "head_timeout") >= 300.0, "{}", rejected(&gate, "head_timeout"));
    until("all are gone", || (gate.metric("tidegate_listener_connections", &[]) <= 1.0).then_some(()));
}

#[test]
fn slowhttptest_with_bodies_that_drip() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener("timeouts: {body: 1s}").start();
    let arguments = ["-B", "-c", "100", "-r", "200", "-i", "3", "-s", "4096", "-l", "5", "-x", "8"];
    if attack(&gate, &arguments).is_none() {
        return;
    }
    assert!(rejected(&gate, "body_timeout") >= 100.0, "{}", rejected(&gate, "body_timeout"));
    until("slots are free", || (upstream.busy() <= 2).then_some(()));
    assert_eq!(gate.metric("tidegate_upstream_errors_total", &[]), 0.0);
}

#[test]
fn slowhttptest_with_readers_that_drip() {
    let body: &'static str = String::leak("x".repeat(4 << 20));
    let upstream = Upstream::start(move |peer| {
        while let Some(request) = peer.request() {
            let body = if request.target() == "/fine" { "fine" } else { body };
            if !peer.answer("200 OK", body) {
                return;
            }
        }
    });
    let gate = Setup::to(&upstream).listener("timeouts: {write: 1s}").start();
    let before = gate.memory();
    let arguments = [
        "-X", "-c", "60", "-r", "100", "-w", "512", "-y", "1024", "-n", "3", "-z", "32", "-k", "1", "-l", "6",
    ];
    if attack(&gate, &arguments).is_none() {
        return;
    }
    assert!(rejected(&gate, "write_timeout") >= 50.0, "{}", rejected(&gate, "write_timeout"));
    assert!(gate.memory() < before + (40 << 20), "{before} {}", gate.memory());
    until("upstreams are let go", || (upstream.busy() <= 2).then_some(()));
}
