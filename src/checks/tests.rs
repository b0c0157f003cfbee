//! Real programs and real sockets: what a check is for cannot be shown without them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, test_kill_process};

use crate::runtime::Clock;

use super::{Checks, Finding, Question, Report, Running, Subject};

const SOON: Duration = Duration::from_secs(20);

fn subject() -> Subject {
    Subject {
        service: "shop".parse().unwrap(),
        version: "v2".parse().unwrap(),
        endpoint: "http://127.0.0.1:3000".into(),
        first: b"",
    }
}

fn sh(script: &str) -> Question {
    Question::Command(["sh", "-c", script, "sh", "{endpoint}/x"].map(str::to_owned).to_vec())
}

fn ask(question: Question, limit: Duration) -> (Running, mpsc::Receiver<Report>) {
    let (sender, reports) = mpsc::channel();
    let checks = Checks::start().unwrap();
    let running = checks.ask(subject(), question, limit, move |it| sender.send(it).unwrap());
    // The thread must live on as long as somebody waits.
    std::mem::forget(checks);
    (running, reports)
}

fn outcome(question: Question, limit: Duration) -> Report {
    let (_running, reports) = ask(question, limit);
    reports.recv_timeout(SOON).expect("a report")
}

/// Waits until there is no such process, or only its remains.
fn is_gone(pid: &str) -> bool {
    let number = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    let clock = Clock::system();
    let end = clock.now() + SOON;
    while clock.now() < end {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        if test_kill_process(number).is_err() || stat.contains(") Z ") {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

#[test]
fn a_command_passes_or_fails_by_its_status_and_is_heard() {
    for (script, finding, output) in [
        ("echo fine", Finding::Passed, "fine"),
        ("echo bad >&2; exit 3", Finding::Failed("exit status 3".into()), "bad"),
        ("kill -9 $$", Finding::Failed("ended by signal 9".into()), ""),
        ("echo $1 $TIDEGATE_SERVICE $TIDEGATE_VERSION", Finding::Passed, "http://127.0.0.1:3000/x shop v2"),
        // Nothing of what this process was given, and nothing to read.
        ("echo ${CARGO_MANIFEST_DIR-unset}; cat", Finding::Passed, "unset"),
    ] {
        let report = outcome(sh(script), SOON);
        assert_eq!((report.finding, report.output.as_str()), (finding, output), "{script}");
    }
    let report = outcome(Question::Command(vec!["/does/not/exist".into()]), SOON);
    assert!(matches!(report.finding, Finding::Failed(it) if it.contains("`/does/not/exist`")));
}

#[test]
fn a_command_that_hangs_ends_at_its_time_with_its_children() {
    let report = outcome(sh("echo before; sleep 600 & echo $!; wait"), Duration::from_millis(300));
    let Finding::Failed(why) = &report.finding else { panic!("{report:?}") };
    assert!(why.contains("not done within 300ms"), "{why}");
    let (before, child) = report.output.split_once('\n').unwrap();
    assert_eq!(before, "before");
    assert!(is_gone(child), "the child of a command lives on");
}

#[test]
fn children_left_behind_end_with_the_command() {
    let report = outcome(sh("sleep 600 & echo $!"), SOON);
    assert_eq!(report.finding, Finding::Passed);
    assert!(is_gone(&report.output));
}

#[test]
fn letting_go_ends_the_command_and_its_children_and_nobody_is_told() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("pid");
    let script = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
    let (running, reports) = ask(sh(&script), SOON);
    let clock = Clock::system();
    let end = clock.now() + SOON;
    while !file.exists() && clock.now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    let child = std::fs::read_to_string(&file).unwrap();
    drop(running);
    assert!(is_gone(&child));
    assert!(reports.recv_timeout(SOON).is_err(), "told after all");
}

#[test]
fn much_output_is_bounded() {
    let report = outcome(sh("yes | head -c 5000000; echo last"), SOON);
    assert_eq!(report.finding, Finding::Passed);
    assert!(report.output.len() < 10_000 && report.output.ends_with("last"), "{}", report.output.len());
}

/// A server that gives one answer, whatever it is asked, and then waits.
fn answering(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    crate::runtime::spawn_thread("answering", None, move || {
        let (mut peer, _) = listener.accept().unwrap();
        let _ = peer.read(&mut [0; 4096]);
        // A client that has heard enough may close.
        let _ = peer.write_all(&answer);
        let _ = peer.read(&mut [0; 1]);
    })
    .unwrap();
    format!("http://{address}/selftest")
}

#[test]
fn a_url_passes_by_its_status_alone() {
    let limit = Duration::from_millis(500);
    let huge =
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n".to_vec(), vec![b'x'; 9_000_000]].concat();
    for (answer, status, passed) in [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec(), 200, Some(true)),
        (b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), 204, Some(true)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{]".to_vec(), 204, Some(false)),
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".to_vec(), 200, Some(false)),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".to_vec(),
            200,
            Some(false),
        ),
        (huge, 200, Some(true)),
        (b"<html>not http</html>".to_vec(), 200, None),
        ([b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'x'; 100_000]].concat(), 200, None),
        // No answer at all.
        (Vec::new(), 200, None),
    ] {
        let url = answering(answer.clone());
        let report = outcome(Question::Url { url, status }, limit);
        let found = match &report.finding {
            Finding::Passed => Some(true),
            Finding::Failed(_) => Some(false),
            Finding::Unknown(_) => None,
        };
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(60)]).into_owned();
        assert_eq!(found, passed, "{shown}: {report:?}");
        assert!(report.output.len() < 10_000);
    }
    for url in ["https://127.0.0.1/", "http://127.0.0.1:1/", "nonsense", "http://"] {
        let report = outcome(Question::Url { url: url.into(), status: 200 }, limit);
        assert!(matches!(report.finding, Finding::Unknown(_)), "{url}: {report:?}");
    }
}

#[test]
fn an_endpoint_can_be_reached_or_not() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = listener.local_addr().unwrap().to_string();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let reach = |it: &[&String]| {
        let endpoints = it.iter().map(|it| (*it).clone()).collect();
        outcome(Question::Reachable(endpoints), Duration::from_secs(1)).finding
    };
    assert_eq!(reach(&[&gone, &there]), Finding::Passed);
    assert!(matches!(reach(&[&gone]), Finding::Failed(it) if it.contains(&gone)));
    assert!(matches!(reach(&[]), Finding::Failed(_)));
}
