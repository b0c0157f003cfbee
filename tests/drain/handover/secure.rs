//! Hand-over under the eyes of callers over TLS.

use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::super::support::streams::Streams;
use super::super::support::tls::{Ca, Hello, put};
use super::super::support::wire::Wire;
use super::super::support::{Client, Setup, Unit, Upstream, outside, until};
use super::ended;

/// A unit with a certificate for `shop.test`, and who issued it.
fn secured(setup: Setup) -> (Unit, Ca, tempfile::TempDir) {
    let (ca, dir) = (Ca::new("ca"), tempfile::tempdir().unwrap());
    let certs = ca.issue(&["shop.test"]).put(dir.path(), "shop");
    (Unit::start(setup.listener(format!("tls: {{certs: [{certs}]}}"))), ca, dir)
}

/// The same over TLS, each connection for a few requests: handshakes under way and answers under way end well.
#[test]
fn callers_over_tls_notice_nothing() {
    let upstream = Upstream::answering("fine");
    let (mut unit, ca, _dir) =
        secured(Setup::to(&upstream).workers(2).run_with("--lame-duck 300ms --drain 10s"));
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let address = unit.address();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let hello = Hello::to("shop.test", &ca);
                while !stop.load(Ordering::SeqCst) {
                    let mut client = hello.connect(address);
                    for _ in 0..5 {
                        let answer = client.get("/");
                        assert_eq!(answer.text(), "fine");
                        done.fetch_add(1, Ordering::SeqCst);
                        if answer.closes() {
                            break;
                        }
                    }
                }
            });
        }
        for round in 1..=2 {
            unit.hand_over();
            let wanted = done.load(Ordering::SeqCst) + 200 * round;
            until("more requests", || (done.load(Ordering::SeqCst) > wanted).then_some(()));
        }
        stop.store(true, Ordering::SeqCst);
    });
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
}

/// Many requests at once on connections that stay, and on short ones, while the program is replaced and put back:
/// clients that follow what they are told lose nothing.
#[test]
fn http_2_over_tls_notices_nothing() {
    let upstream = Upstream::answering("fine");
    let (mut unit, ca, _dir) =
        secured(Setup::to(&upstream).workers(2).run_with("--lame-duck 500ms --drain 10s"));
    let hello = Hello::to("shop.test", &ca);
    let load = Streams::start(unit.address(), &hello, 4, 6);
    until("traffic flows", || (load.sent() > 200).then_some(()));
    let rounds = 4;
    for round in 1..=rounds {
        let before = unit.main();
        unit.hand_over();
        if round == 1 {
            assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
        }
        until("the old process ends", || ended(before));
        let wanted = load.sent() + 300;
        until("more requests", || (load.sent() > wanted).then_some(()));
    }
    let course = load.stop();
    course.tally.assert_all("200 fine");
    assert!(course.opened >= 4 * (rounds + 1), "each connection goes to each process: {course:?}");
    assert!(!unit.log().contains("were cut"), "{}", unit.log());
}

/// Tickets of the old process mean nothing to the new one: whoever shows one is given a whole handshake, in both
/// versions, and a ticket that is good again.
#[test]
fn a_ticket_of_the_old_process_costs_nobody_the_connection() {
    let upstream = Upstream::answering("fine");
    let (mut unit, ca, _dir) = secured(Setup::to(&upstream).workers(2).run_with("--lame-duck 100ms"));
    let versions = [&rustls::version::TLS12, &rustls::version::TLS13];
    let hellos: Vec<Hello> = versions.iter().map(|it| Hello::made("shop.test", &ca, None, &[*it])).collect();
    let ask = |unit: &Unit, hello: &Hello| {
        let secure = hello.try_connect(unit.address()).expect("a handshake");
        let resumed = secure.resumed();
        assert_eq!(secure.client().get("/").text(), "fine");
        resumed
    };
    for hello in &hellos {
        assert!(!ask(&unit, hello));
        assert!(ask(&unit, hello), "the same process");
    }
    unit.hand_over();
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
    for hello in &hellos {
        assert!(!ask(&unit, hello), "another process");
        assert!(ask(&unit, hello), "its own ticket");
    }
}

/// Handshakes that are half done when the new process takes over: those that go on are served, those that do not
/// keep nobody, and are not counted as cut.
#[test]
fn half_a_handshake_is_finished_or_let_go() {
    let upstream = Upstream::answering("fine");
    let (mut unit, ca, _dir) =
        secured(Setup::to(&upstream).workers(2).run_with("--lame-duck 500ms --drain 1s"));
    let hello = Hello::to("shop.test", &ca);
    let begin = || {
        let (tcp, mut tls) = (TcpStream::connect(unit.address()).unwrap(), hello.begin());
        let mut first = Vec::new();
        tls.write_tls(&mut first).unwrap();
        (tcp, tls, first)
    };
    let mut going_on: Vec<_> = (0..5).map(|_| begin()).collect();
    let stuck: Vec<_> = (0..400).map(|_| begin()).collect();
    for (number, (tcp, _, first)) in going_on.iter().chain(&stuck).enumerate() {
        // Half a hello, a single byte, nothing.
        let len = [first.len() / 2, 1, 0][number % 3];
        let mut tcp: &TcpStream = tcp;
        tcp.write_all(&first[..len]).unwrap();
    }
    until("all are accepted", || (unit.metric("tidegate_listener_connections", &[]) == 405.0).then_some(()));
    unit.hand_over();
    for (number, (mut tcp, mut tls, first)) in going_on.drain(..).enumerate() {
        let len = [first.len() / 2, 1, 0][number % 3];
        tcp.write_all(&first[len..]).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp).unwrap();
        }
        assert_eq!(Client::over(Wire::secure(tcp, tls.into())).get("/").text(), "fine");
    }
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
    drop(stuck);
    assert_eq!(hello.connect(unit.address()).get("/").text(), "fine");
}

/// Behind a load balancer that says for whom it connects: the listener asks for that in the new process, too, and
/// a header that is half there at the hand-over is read to its end.
#[test]
fn introductions_go_on() {
    let upstream = Upstream::answering("fine");
    let (ca, dir) = (Ca::new("ca"), tempfile::tempdir().unwrap());
    let certs = ca.issue(&["shop.test"]).put(dir.path(), "shop");
    let setup = Setup::to(&upstream).workers(2).run_with("--lame-duck 300ms --drain 1s");
    let setup =
        setup.listener(format!("tls: {{certs: [{certs}]}}, proxy_protocol: true, trust: [127.0.0.0/8]"));
    let mut unit = Unit::start(setup);
    let hello = Hello::to("shop.test", &ca);
    const HEADER: &str = "PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n";
    let finish = |mut tcp: TcpStream, rest: &str| {
        tcp.write_all(rest.as_bytes()).unwrap();
        let mut tls = hello.begin();
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp).unwrap();
        }
        assert_eq!(Client::over(Wire::secure(tcp, tls.into())).get("/").text(), "fine");
    };
    let fresh = |unit: &Unit| TcpStream::connect(unit.address()).unwrap();
    finish(fresh(&unit), HEADER);
    let (mut half, stuck) = (fresh(&unit), fresh(&unit));
    half.write_all(&HEADER.as_bytes()[..20]).unwrap();
    (&stuck).write_all(b"PROXY").unwrap();
    until("both are accepted", || (unit.metric("tidegate_listener_connections", &[]) == 2.0).then_some(()));
    unit.hand_over();
    finish(half, &HEADER[20..]);
    finish(fresh(&unit), HEADER);
    let told = upstream.requests().iter().all(|it| it.head.one("x-forwarded-for") == Some("192.0.2.1"));
    assert!(told && upstream.requests().len() == 3, "{:?}", upstream.requests());
    assert_eq!(unit.exit_status().code(), Some(0), "who is stuck is not cut: {}", unit.log());
    drop(stuck);
}

/// A download by a client of others that takes its time, begun before the hand-over and over long after.
#[test]
fn a_slow_download_of_others_is_whole() {
    let Some(curl) = outside::program("curl") else { return };
    let content = "0123456789abcdef".repeat(512 * 1024);
    let len = content.len();
    let upstream = Upstream::start(move |peer| peer.serve("200 OK", &content));
    let (mut unit, ca, dir) = secured(Setup::to(&upstream).run_with("--lame-duck 200ms --drain 60s"));
    let file = put(&dir.path().join("ca.pem"), ca.pem(), 0o644);
    let (ip, port) = (unit.ip(), unit.address().port());
    let mut children: Vec<_> = ["--http1.1", "--http2"]
        .into_iter()
        .map(|version| {
            let mut command = Command::new(&curl);
            command.args([version, "-sS", "-o", "/dev/null", "--limit-rate", "3M", "--max-time", "60"]);
            command.arg("--cacert").arg(&file).args(["--resolve", &format!("shop.test:{port}:{ip}")]);
            command.args(["-w", "%{http_code} %{size_download}", &format!("https://shop.test:{port}/")]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start curl")
        })
        .collect();
    until("both are under way", || (upstream.count() == 2).then_some(()));
    unit.hand_over();
    for child in children.drain(..) {
        let output = child.wait_with_output().expect("curl ends");
        let (said, wrong) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!((said.as_ref(), wrong.as_ref()), (format!("200 {len}").as_str(), ""));
    }
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
}

/// A client of others that opens no second connection: what it has asked before it was told to go is answered, to the
/// last request that anybody has begun with.
#[test]
fn what_others_have_asked_is_answered() {
    let Some(h2load) = outside::program("h2load") else { return };
    let upstream = Upstream::answering("fine");
    let (mut unit, _ca, _dir) =
        secured(Setup::to(&upstream).workers(2).run_with("--lame-duck 500ms --drain 10s"));
    let mut command = Command::new(&h2load);
    // More than it gets to ask.
    command.args(["-n", "10000000", "-c", "4", "-m", "10", &format!("https://{}/", unit.address())]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("start h2load");
    until("traffic flows", || (upstream.count() > 500).then_some(()));
    unit.hand_over();
    let output = child.wait_with_output().expect("h2load ends");
    let said = String::from_utf8_lossy(&output.stdout);
    let codes = said.lines().find_map(|it| it.strip_prefix("status codes: ")).expect("codes");
    let good: usize = codes.split_once(" 2xx").and_then(|it| it.0.parse().ok()).expect("a number");
    assert!(codes.ends_with("0 3xx, 0 4xx, 0 5xx"), "{codes}");
    assert_eq!(good, upstream.count(), "{said}");
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
}
