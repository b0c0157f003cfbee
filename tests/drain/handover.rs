//! From a running process to a new one.

#[path = "handover/calls.rs"]
mod calls;
#[path = "handover/doors.rs"]
mod doors;
#[path = "handover/failing.rs"]
mod failing;
#[path = "handover/hostile.rs"]
mod hostile;
#[path = "handover/releases.rs"]
mod releases;
#[path = "handover/secure.rs"]
mod secure;
#[path = "handover/streams.rs"]
mod streams;
#[path = "handover/tunnels.rs"]
mod tunnels;

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::support::gate::{free_port, program};
use super::support::load::Load;
use super::support::streams::Streams;
use super::support::tls::{Ca, Hello};
use super::support::{Client, Setup, Unit, Upstream, command, until};

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

/// Fresh and kept connections, streams of HTTP/2 over TLS, and a process after the other: nobody notices.
#[test]
fn no_request_fails_under_load() {
    let upstream = Upstream::answering("fine");
    let setup = Setup::to(&upstream).workers(2).run_with("--lame-duck 500ms --drain 10s");
    let mut unit = Unit::new(setup);
    let (ca, port) = (Ca::new("ca"), free_port(unit.ip()));
    let certs = ca.issue(&["shop.test"]).put(unit.dir(), "shop");
    let line = format!("secure: {{port: {port}, bind: {}, tls: {{certs: [{certs}]}}}}", unit.ip());
    unit.edit(|it| it.add_listener(line));
    let command = unit.command(program().as_ref());
    unit.spawn(command);
    unit.hear("READY=1");
    let kept = Load::start(unit.address(), 3, Duration::ZERO);
    let fresh = Load::start_fresh(unit.address(), 3, Duration::ZERO);
    let streams = Streams::start((unit.ip(), port).into(), &Hello::to("shop.test", &ca), 3, 4);
    let sent = || kept.sent() + fresh.sent() + streams.sent();
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
    let (kept, fresh, streams) = (kept.stop(), fresh.stop(), streams.stop());
    kept.assert_all("200 fine");
    fresh.assert_all("200 fine");
    streams.tally.assert_all("200 fine");
    println!(
        "{} requests kept alive, {} on fresh connections, {} over HTTP/2 and TLS on {} connections, {rounds} \
         hand-overs",
        kept.total(),
        fresh.total(),
        streams.tally.total(),
        streams.opened
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
