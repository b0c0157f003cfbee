//! From the first signal to the exit code.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::ends_are_spread;
use super::support::crowd::Crowd;
use super::support::frames::{Frames, GET, WHOLE, block, kind};
use super::support::gate::{free_port, own_ip};
use super::support::load::Load;
use super::support::upstream::Latch;
use super::support::{Client, End, Setup, Upstream, admin, command, size, until};

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Twenty long requests and steady traffic: readiness goes first, newcomers are let in for a while, then
/// nobody is, and everything that had begun is answered.
#[test]
fn nothing_is_cut_under_load() {
    let latch = Latch::default();
    let upstream = Upstream::slow_behind(&latch);
    let mut gate = Setup::to(&upstream).workers(2).run_with("--lame-duck 1s --drain 20s").start();
    let load = Load::start(gate.address(), 4, Duration::ZERO);
    let mut slow: Vec<_> = (0..20).map(|_| gate.connect()).collect();
    for client in &mut slow {
        client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    until("long requests are under way", || (upstream.busy() >= 20).then_some(()));
    until("traffic flows", || (load.sent() > 500).then_some(()));
    gate.signal(Signal::TERM);
    until("it is not ready", || {
        (admin::try_get(gate.admin_address(), "/readyz")?.status == 503).then_some(())
    });
    let sent = load.sent();
    until("newcomers are served", || (load.sent() > sent + 100).then_some(()));
    load.stop().assert_all("200 fine");
    until("newcomers are refused", || std::net::TcpStream::connect(gate.address()).err());
    assert!(gate.runs(), "long requests are still under way");
    latch.open();
    for mut client in slow {
        let answer = client.response();
        assert!(answer.status == 200 && answer.closes(), "{answer:?}");
        assert_eq!(client.end(), End::Closed);
    }
    assert_eq!(gate.exit_status().code(), Some(0), "{}", gate.log());
}

/// Row l01: the same with requests of five seconds, begun from before the signal until nobody is let in any more,
/// and as many short ones as there may be, on connections that end with each answer.
#[test]
#[expect(clippy::disallowed_methods, reason = "how long it took is what is tested")]
fn nothing_is_cut_under_heavy_load() {
    let (lame_duck, long, connections, more) =
        size::of((ms(4_000), ms(500), 2, 100), (ms(5_000), ms(5_000), 16, 10_000));
    let quick = Upstream::quick("fine");
    let slow = Upstream::start(move |peer| {
        while peer.head().is_some() {
            std::thread::sleep(long);
            peer.answer("200 OK", "late");
        }
    });
    let mut gate = Setup::to(&quick)
        .version("v2", &[slow.address()])
        .service("pin: [{when: {header: {x-slow: y}}, to: v2}]")
        .workers(2)
        .run_with(&format!("--lame-duck {}ms --drain 30s", lame_duck.as_millis()))
        .start();
    let Some(crowd) = Crowd::until_stopped(gate.address(), connections) else { return };
    let served = || gate.metric("tidegate_requests_total", &[("version", "v1")]);
    let mut long_ones: Vec<Client> = Vec::new();
    let mut ask = || {
        let mut client = Client::try_connect(gate.address()).ok()?;
        client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: y\r\n\r\n");
        long_ones.push(client);
        Some(())
    };
    (0..50).for_each(|_| ask().expect("let in"));
    until("traffic flows", || (served() > f64::from(more)).then_some(()));
    let began = Instant::now();
    gate.signal(Signal::TERM);
    until("it is not ready", || {
        (admin::try_get(gate.admin_address(), "/readyz")?.status == 503).then_some(())
    });
    ask().expect("newcomers are let in while it is not ready");
    let before = served();
    until("newcomers are served", || {
        ask().expect("let in");
        (served() > before + f64::from(more)).then_some(())
    });
    let told = crowd.stop();
    assert!(told.answered > 0 && told.failed == 0, "{told:?}");
    assert!(began.elapsed() < lame_duck, "the load lasted too long to say anything: {:?}", began.elapsed());
    until("newcomers are refused", || {
        std::thread::sleep(ms(10));
        ask().is_none().then_some(())
    });
    assert!(began.elapsed() >= lame_duck, "after {:?}", began.elapsed());
    eprintln!("{} long requests", long_ones.len());
    for mut client in long_ones {
        assert_eq!(client.response().text(), "late");
    }
    assert_eq!(gate.exit_status().code(), Some(0), "{}", gate.log());
}

#[expect(clippy::disallowed_methods, reason = "how long it took is what is tested")]
/// Whoever asks learns it from the answer; whoever keeps silent is let go in the second half of the time,
/// not all at once; whoever never asked is let go in the end and is not counted as cut.
#[test]
fn idle_connections_are_closed_spread_over_the_window() {
    let upstream = Upstream::answering("fine");
    let mut gate = Setup::to(&upstream).workers(2).run_with("--lame-duck 2s --drain 10s").start();
    let mut idle: Vec<_> = (0..30).map(|_| gate.connect()).collect();
    for client in &mut idle {
        assert!(!client.get("/").closes());
    }
    let mut asking = gate.connect();
    asking.get("/");
    let mut silent = gate.connect();
    let began = Instant::now();
    gate.signal(Signal::TERM);
    until("it is stopping", || gate.log().contains("stopping").then_some(()));
    assert!(asking.get("/").closes(), "told by the next answer");
    assert_eq!(asking.end(), End::Closed);
    ends_are_spread(&mut idle, began, |client| assert_eq!(client.end(), End::Closed));
    assert_eq!(silent.end(), End::Closed);
    assert_eq!(gate.exit_status().code(), Some(0), "{}", gate.log());
}

/// At the deadline, what waits is closed and what is under way is cut; only the latter counts.
#[test]
fn only_requests_count_as_cut() {
    let latch = Latch::default();
    let upstream = Upstream::slow_behind(&latch);
    let mut gate = Setup::to(&upstream).run_with("--lame-duck 0s --drain 300ms").start();
    let mut slow = gate.connect();
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    let _silent: Vec<_> = (0..3).map(|_| gate.connect()).collect();
    until("the request is under way", || (upstream.count() == 1).then_some(()));
    until("all are accepted", || (gate.metric("tidegate_listener_connections", &[]) == 4.0).then_some(()));
    gate.signal(Signal::TERM);
    assert_eq!(gate.exit_status().code(), Some(22), "{}", gate.log());
    assert!(gate.log().contains("1 connections were cut"), "{}", gate.log());
    latch.open();
}

/// An answer that ends with its connection (HTTP/1.0) would look whole if that was merely closed.
#[test]
fn what_is_cut_does_not_look_whole() {
    let latch = Latch::default();
    let held = latch.clone();
    let upstream = Upstream::start(move |peer| {
        while peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n");
            held.pass();
        }
    });
    let mut gate = Setup::to(&upstream).run_with("--lame-duck 0s --drain 300ms").start();
    let mut old = gate.connect();
    old.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    old.wire().head().unwrap();
    assert_eq!(old.wire().exactly(5).unwrap(), b"begin");
    gate.signal(Signal::TERM);
    assert_eq!(gate.exit_status().code(), Some(22), "{}", gate.log());
    assert_eq!(old.end(), End::Reset);
    latch.open();
}

/// `SIGQUIT`, or a second `SIGTERM` or `SIGINT`: now.
#[test]
fn signals_escalate() {
    for signals in [&[Signal::QUIT][..], &[Signal::TERM, Signal::INT], &[Signal::INT, Signal::QUIT]] {
        let latch = Latch::default();
        let upstream = Upstream::slow_behind(&latch);
        let mut gate = Setup::to(&upstream).run_with("--lame-duck 1m --drain 1m").start();
        let mut slow = gate.connect();
        slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
        until("the request is under way", || (upstream.count() == 1).then_some(()));
        for signal in signals {
            gate.signal(*signal);
            until("it is stopping", || gate.log().contains("stopping").then_some(()));
        }
        assert_eq!(gate.exit_status().code(), Some(22), "{signals:?}: {}", gate.log());
        latch.open();
    }
}

/// Scripts tell apart what has to be mended.
#[test]
fn exit_codes_say_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let ip = own_ip();
    let (port, taken) = (free_port(ip), std::net::TcpListener::bind((ip, 0)).unwrap());
    let file = dir.path().join("tidegate.yaml");
    let run = |port: u16, state: &str, live: &str| {
        let text = format!(
            "listen: {{http: {{bind: {ip}, port: {port}}}}}\nadmin: {{socket: admin.sock}}\nstate: {state}\n\
             services: {{a: {{live: {live}, versions: {{b: \"http://{ip}:1\"}}}}}}\n"
        );
        std::fs::write(&file, text).unwrap();
        command::run(&["run", "-q", "-c", file.to_str().unwrap()])
    };
    let invalid = run(port, "state", "nobody");
    assert_eq!(invalid.code, 3, "{invalid:?}");
    let occupied = run(taken.local_addr().unwrap().port(), "state", "b");
    assert_eq!(occupied.code, 20, "{occupied:?}");
    assert!(occupied.err.contains("for listener `http`"), "{occupied:?}");
    std::fs::create_dir(dir.path().join("bad")).unwrap();
    std::fs::write(dir.path().join("bad/journal"), "not a journal at all, and long enough to be one")
        .unwrap();
    let damaged = run(port, "bad", "b");
    assert_eq!(damaged.code, 21, "{damaged:?}");
    assert!(damaged.err.contains("journal"), "{damaged:?}");
}

/// Over HTTP/2 in two steps: first that this connection will end, then, when all that was on its way has
/// arrived, after which stream. What is under way is answered; whoever waits is let go.
#[test]
fn http_2_says_goodbye_twice() {
    let latch = Latch::default();
    let upstream = Upstream::slow_behind(&latch);
    let setup = Setup::to(&upstream).listener("h2c: true").run_with("--lame-duck 1s --drain 20s");
    let mut gate = setup.start();
    let (mut busy, mut idle) = (Frames::connect(gate.address()), Frames::connect(gate.address()));
    idle.works(1);
    let mut slow = GET.to_vec();
    slow.iter_mut().filter(|it| it.0 == ":path").for_each(|it| it.1 = "/slow");
    busy.send(kind::HEADERS, WHOLE, 1, &block(&slow));
    until("the request is under way", || (upstream.count() == 2).then_some(()));
    gate.signal(Signal::TERM);
    let came = idle.end();
    assert_eq!((came.goaway, came.last.as_slice()), (Some(0), &[0x7fff_ffff, 1][..]), "{came:?}");
    until("newcomers are refused", || std::net::TcpStream::connect(gate.address()).err());
    latch.open();
    let came = busy.answer(1);
    assert_eq!((came.status, came.whole), (Some(200), true), "{came:?}");
    assert!(busy.end().closed);
    assert_eq!(gate.exit_status().code(), Some(0), "{}", gate.log());
}
