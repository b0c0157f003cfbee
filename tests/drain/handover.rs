//! From a running process to a new one.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::support::gate::{free_port, program};
use super::support::load::Load;
use super::support::tls::{Ca, Hello};
use super::support::upstream::Latch;
use super::support::{Client, End, Setup, Unit, Upstream, admin, command, until};

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Requests in the test under load. More, for a measurement, by the environment.
fn requests() -> u64 {
    std::env::var("TIDEGATE_HANDOVER_REQUESTS").ok().and_then(|it| it.parse().ok()).unwrap_or(20_000)
}

impl Unit {
    /// Has the process in charge hand over; returns the new one.
    #[track_caller]
    pub(super) fn hand_over(&mut self) -> Pid {
        self.signal(Signal::USR2);
        self.hear("MAINPID=");
        let ready = self.hear("READY=1");
        assert!(ready.contains("serving generation"), "{ready}");
        self.main()
    }

    /// Has the process in charge try to hand over, in vain; returns what it says.
    #[track_caller]
    pub(super) fn fail_to_hand_over(&mut self) -> String {
        let before = self.main();
        self.signal(Signal::USR2);
        let said = self.hear("failed");
        assert_eq!(self.main(), before);
        assert!(self.log().contains("this process goes on"), "{}", self.log());
        said
    }

    fn verb(&self, line: &str) -> command::Outcome {
        let file = self.file();
        let mut arguments: Vec<&str> = line.split(' ').collect();
        arguments.extend(["-c", file.to_str().unwrap()]);
        command::run(&arguments)
    }

    /// A program of its own, which a test may replace.
    fn own_program(&self) -> PathBuf {
        let path = self.dir().join("tidegate");
        std::fs::copy(program(), &path).unwrap();
        path
    }
}

/// Whether a process is gone.
pub fn ended(process: Pid) -> Option<()> {
    let status = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).ok();
    // A child of nobody who waits is gone, too.
    status.is_none_or(|it| it.contains(") Z ")).then_some(())
}

/// Fresh and kept connections, and a process after the other: nobody notices.
#[test]
fn no_request_fails_under_load() {
    let upstream = Upstream::answering("fine");
    let setup = Setup::to(&upstream).workers(2).run_with("--lame-duck 500ms --drain 10s");
    let mut unit = Unit::start(setup);
    let kept = Load::start(unit.address(), 3, Duration::ZERO);
    let fresh = Load::start_fresh(unit.address(), 3, Duration::ZERO);
    let sent = || kept.sent() + fresh.sent();
    until("traffic flows", || (sent() > 500).then_some(()));
    let (total, mut processes) = (requests(), vec![unit.pid()]);
    let rounds = (total / 50_000).max(4);
    for round in 1..=rounds {
        let before = unit.main();
        processes.push(unit.hand_over());
        if round == 1 {
            assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
        }
        until("the old process ends", || ended(before));
        let wanted = total * round / rounds;
        while sent() < wanted {
            std::thread::sleep(ms(5));
        }
    }
    let (kept, fresh) = (kept.stop(), fresh.stop());
    kept.assert_all("200 fine");
    fresh.assert_all("200 fine");
    println!(
        "{} requests kept alive, {} on fresh connections, {rounds} hand-overs",
        kept.total(),
        fresh.total()
    );
    processes.dedup();
    assert_eq!(processes.len() as u64, rounds + 1);
    assert!(!unit.log().contains("were cut"), "{}", unit.log());
}

/// Nobody who waits in a queue is lost: connections that are not accepted before the hand-over are accepted
/// after it, by whichever worker has their queue.
#[test]
fn connections_in_the_queues_are_served() {
    let upstream = Upstream::answering("fine");
    for workers in ["2 2", "3 1", "1 3"] {
        let (before, after) = workers.split_once(' ').unwrap();
        let setup = Setup::to(&upstream).workers(before.parse().unwrap()).run_with("--lame-duck 200ms");
        let mut unit = Unit::start(setup);
        unit.edit(|it| it.workers(after.parse().unwrap()));
        // Nobody accepts while the process stands still; the queues fill.
        kill_process(unit.pid(), Signal::STOP).unwrap();
        let mut clients: Vec<Client> = (0..40).map(|_| unit.connect()).collect();
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        unit.signal(Signal::USR2);
        kill_process(unit.pid(), Signal::CONT).unwrap();
        unit.hear("MAINPID=");
        let mut late: Vec<Client> = (0..40).map(|_| unit.connect()).collect();
        unit.hear("READY=1");
        for client in &mut late {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        for client in clients.iter_mut().chain(&mut late) {
            assert_eq!(client.try_response("GET").unwrap().text(), "fine", "{workers}");
        }
        for _ in 0..40 {
            assert_eq!(unit.connect().get("/").text(), "fine");
        }
        assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
    }
}

fn canary(stable: &Upstream, canary: &Upstream) -> Setup {
    Setup::to(stable)
        .version("v2", &[canary.address()])
        .service("rollout: {steps: [10% for 1h, 20% for 1h]}")
        .workers(2)
        .run_with("--lame-duck 200ms --upgrade-timeout 3s")
}

/// The new process knows what the old one knew, behind the same doors, and decides from then on; the old
/// one decides nothing more.
#[test]
fn a_release_goes_on_in_the_new_process() {
    let (stable, fresh) = (Upstream::answering("old"), Upstream::answering("new"));
    let mut unit = Unit::start(canary(&stable, &fresh));
    unit.edit(|it| it.live("v2"));
    unit.reaches("CANARY");
    let ids = |unit: &Unit| -> Vec<u64> {
        let page = admin::get(unit.admin_address(), "/api/v1/events?since=0");
        let page: serde_json::Value = serde_json::from_slice(&page.body).unwrap();
        page["events"].as_array().unwrap().iter().map(|it| it["id"].as_u64().unwrap()).collect()
    };
    let (before, token) = (unit.release(), std::fs::read(unit.dir().join("state/admin-token")).unwrap());
    let known = ids(&unit);
    let inode = std::fs::metadata(unit.admin_socket()).unwrap().ino();
    let load = Load::start(unit.address(), 2, ms(1));

    let old = unit.pid();
    let outcome = unit.verb("upgrade");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.out.contains("has taken over"), "{outcome:?}");
    unit.hear("MAINPID=");
    unit.hear("READY=1");
    assert_ne!(unit.main(), old);
    assert!(outcome.out.contains(&unit.main().as_raw_nonzero().to_string()), "{outcome:?}");

    let after = unit.release();
    for member in ["state", "stable", "mark", "step", "weight_percent"] {
        assert_eq!(after[member], before[member], "{member}: {after:#}");
    }
    assert_eq!(std::fs::metadata(unit.admin_socket()).unwrap().ino(), inode);
    assert_eq!(std::fs::read(unit.dir().join("state/admin-token")).unwrap(), token);
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
    assert!(unit.admin_socket().exists(), "the file stays with the new process");
    let ready = admin::by_socket(&unit.admin_socket(), "GET", "/readyz", "");
    assert_eq!(ready.status, 200);

    assert_eq!(unit.verb("promote shop").code, 0);
    until("the next step", || {
        let weight = unit.metric("tidegate_traffic_weight_ratio", &[("service", "shop"), ("version", "v2")]);
        (weight == 0.2).then_some(())
    });
    unit.hand_over();
    assert_eq!(unit.verb("rollback shop").code, 0);
    unit.reaches("ROLLED BACK");
    let all = ids(&unit);
    assert!(all.windows(2).all(|it| it[0] < it[1]), "each decision once: {all:?}");
    assert!(all.starts_with(&known), "{known:?} {all:?}");
    load.stop().assert_all("200 ");
    unit.signal(Signal::TERM);
    let last = unit.main();
    until("the last one ends", || ended(last));
    assert!(!unit.admin_socket().exists(), "the last one takes the file along");
}

/// The same over TLS, each connection for a few requests: handshakes under way and answers under way end well.
#[test]
fn callers_over_tls_notice_nothing() {
    let (ca, dir) = (Ca::new("ca"), tempfile::tempdir().unwrap());
    let upstream = Upstream::answering("fine");
    let certs = ca.issue(&["shop.test"]).put(dir.path(), "shop");
    let setup = Setup::to(&upstream).listener(format!("tls: {{certs: [{certs}]}}")).workers(2);
    let mut unit = Unit::start(setup.run_with("--lame-duck 300ms --drain 10s"));
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

/// Callers keep their lane, by the cookie that the old process gave them.
#[test]
fn sticky_callers_stay_where_they_are() {
    let (stable, fresh) = (Upstream::answering("old"), Upstream::answering("new"));
    let setup = canary(&stable, &fresh)
        .service("rollout: {steps: [50% for 1h]}")
        .service("sticky: {by: cookie, name: tg_unit, ttl: 7d}");
    let mut unit = Unit::start(setup);
    unit.edit(|it| it.live("v2"));
    unit.reaches("CANARY");
    let callers: Vec<(String, String)> = (0..40)
        .map(|_| {
            let answer = unit.connect().get("/");
            let cookie = answer.head.one("set-cookie").expect("a cookie");
            (cookie.split(';').next().expect("a pair").to_owned(), answer.text())
        })
        .collect();
    let lanes = |lane: &str| callers.iter().filter(|it| it.1 == lane).count();
    assert!(lanes("old") > 5 && lanes("new") > 5, "{callers:?}");
    unit.hand_over();
    for (cookie, lane) in &callers {
        let mut client = unit.connect();
        client.send(format!("GET / HTTP/1.1\r\nHost: shop.test\r\nCookie: {cookie}\r\n\r\n"));
        let answer = client.response();
        assert_eq!(answer.text(), *lane, "{cookie}");
        assert!(answer.head.one("set-cookie").is_none(), "the cookie is good: {answer:?}");
    }
}

/// Whatever lies under the program's name by now is started; what cannot take over does not, and the old
/// process goes on as if nothing had happened.
#[test]
fn a_new_process_that_fails_changes_nothing() {
    let (stable, fresh) = (Upstream::answering("old"), Upstream::answering("new"));
    let mut unit = Unit::new(canary(&stable, &fresh));
    let own = unit.own_program();
    let command = unit.command(&own);
    unit.spawn(command);
    unit.hear("READY=1");
    unit.edit(|it| it.live("v2"));
    unit.reaches("CANARY");
    let (mark, load) = (unit.release()["mark"].clone(), Load::start(unit.address(), 2, ms(1)));
    let replace = |text: &str| {
        let new = own.with_extension("new");
        std::fs::write(&new, text).unwrap();
        std::fs::set_permissions(&new, PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::rename(&new, &own).unwrap();
    };
    for (script, said) in [
        ("#!/bin/sh\nexit 7\n", "exit status: 7"),
        ("#!/bin/sh\nexec sleep 600\n", "did not say `prepared` within 3s"),
        ("#!/nowhere/to/be/found\n", "failed to start"),
        ("#!/bin/sh\nexec <&- sleep 600\n", "does not know how to take over"),
    ] {
        replace(script);
        let why = unit.fail_to_hand_over();
        assert!(why.contains(said), "{script}: {why}");
    }
    // The file is wrong.
    replace(&format!("#!/bin/sh\nexec {} \"$@\"\n", program()));
    let good = std::fs::read_to_string(unit.file()).unwrap();
    std::fs::write(unit.file(), good.replace("live: v2", "live: v9")).unwrap();
    let why = unit.fail_to_hand_over();
    assert!(why.contains("the new process says"), "{why}");
    // Something is missing that is needed only after the journal was let go of.
    let taken = std::net::TcpListener::bind((unit.ip(), 0)).unwrap();
    let other = good.replace(&unit.admin_address().to_string(), &taken.local_addr().unwrap().to_string());
    std::fs::write(unit.file(), other).unwrap();
    let why = unit.fail_to_hand_over();
    assert!(why.contains("for admin requests"), "{why}");
    std::fs::write(unit.file(), good).unwrap();

    assert_eq!(unit.release()["mark"], mark, "the release stands where it stood");
    assert_eq!(unit.verb("promote shop").code, 0, "and is decided about here");
    assert_eq!(unit.release()["weight_percent"], 20.0);
    assert!(unit.runs());
    // When what was wrong has been mended, another program takes over: the script's.
    let new = unit.hand_over();
    assert_eq!(unit.release()["weight_percent"], 20.0);
    let running = std::fs::read_link(format!("/proc/{}/exe", new.as_raw_nonzero())).unwrap();
    assert_eq!(running, std::fs::canonicalize(program()).unwrap());
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
    load.stop().assert_all("200 ");
}

/// A tunnel outlives the hand-over, and is cut when the old process has waited long enough.
#[test]
fn a_tunnel_lives_until_the_deadline() {
    let upstream = Upstream::start(|peer| {
        let Some(request) = peer.request() else { return };
        if request.target() != "/chat" {
            peer.answer("200 OK", "fine");
            return peer.serve("200 OK", "fine");
        }
        peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        while let Ok(bytes) = peer.wire().exactly(4) {
            peer.send(bytes);
        }
    });
    let mut unit = Unit::start(Setup::to(&upstream).run_with("--lame-duck 500ms --drain 2s"));
    let mut chat = unit.connect();
    chat.send(
        "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert_eq!(chat.wire().head().unwrap().status(), Some(101));
    let mut say = |text: &str| {
        chat.offer(text).ok()?;
        chat.wire().exactly(text.len()).ok()
    };
    assert_eq!(say("ping").unwrap(), b"ping");
    unit.hand_over();
    assert_eq!(say("pong").unwrap(), b"pong", "through the old process");
    assert_eq!(unit.connect().get("/").text(), "fine", "through the new one");
    assert_eq!(unit.exit_status().code(), Some(22), "{}", unit.log());
    assert!(unit.log().contains("1 connections were cut"), "{}", unit.log());
    assert!(say("more").is_none());
    assert_eq!(unit.connect().get("/").text(), "fine");
}

/// Told to stop while the new process makes it wait: it stops, and nothing is left behind.
#[test]
fn an_end_in_the_middle_is_an_end() {
    let latch = Latch::default();
    let opened = latch.clone();
    let upstream = Upstream::start(move |peer| {
        while peer.request().is_some() {
            opened.pass();
            peer.answer("200 OK", "fine");
        }
    });
    let mut unit = Unit::new(Setup::to(&upstream).run_with("--lame-duck 100ms --upgrade-timeout 60s"));
    let own = unit.own_program();
    let command = unit.command(&own);
    unit.spawn(command);
    unit.hear("READY=1");
    let mut slow = unit.connect();
    slow.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let note = unit.dir().join("successor");
    std::fs::remove_file(&own).unwrap();
    std::fs::write(&own, format!("#!/bin/sh\necho $$ >{}\nexec sleep 600\n", note.display())).unwrap();
    std::fs::set_permissions(&own, PermissionsExt::from_mode(0o755)).unwrap();
    unit.signal(Signal::USR2);
    let successor =
        until("a new process", || Pid::from_raw(std::fs::read_to_string(&note).ok()?.trim().parse().ok()?));
    unit.signal(Signal::TERM);
    unit.hear("STOPPING=1");
    until("the new process is gone", || ended(successor));
    latch.open();
    assert_eq!(slow.response().text(), "fine");
    assert_eq!(slow.end(), End::Closed);
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
}

/// Listeners that the file has lost are closed, those it has won are opened.
#[test]
fn the_file_of_the_new_process_counts() {
    let upstream = Upstream::answering("fine");
    let mut unit = Unit::new(Setup::to(&upstream).run_with("--no-watch --lame-duck 100ms"));
    let (one, other) = (free_port(unit.ip()), free_port(unit.ip()));
    let line = |unit: &Unit, port: u16| format!("second: {{port: {port}, bind: {}}}", unit.ip());
    let first = line(&unit, one);
    unit.edit(|it| it.add_listener(first));
    let command = unit.command(program().as_ref());
    unit.spawn(command);
    unit.hear("READY=1");
    let at = |port: u16| (unit.ip(), port).into();
    let (old, new) = (at(one), at(other));
    assert_eq!(Client::connect(old).get("/").text(), "fine");
    let second = line(&unit, other);
    unit.edit(|it| it.only_http().add_listener(second));
    unit.hand_over();
    assert_eq!(Client::connect(new).get("/").text(), "fine");
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
    assert!(Client::try_connect(old).is_err());
}
