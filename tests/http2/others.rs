//! HTTP/2 as the libraries of others write and read it (Python's hyperframe, hpack and h2): whoever has
//! misunderstood a rule on both sides of our own tests would be seen here.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use super::support::message::bytes_of;
use super::support::tls::Ca;
use super::support::upstream::Latch;
use super::support::{Gate, Peer, Setup, Upstream, outside, until};

/// Python with what the scripts need.
pub fn python() -> Option<PathBuf> {
    outside::python(&["h2", "hyperframe", "hpack"])
}

/// A script that runs, and is ended with the test.
pub struct Script {
    child: Child,
    lines: BufReader<ChildStdout>,
    stdin: Option<ChildStdin>,
}

impl Script {
    /// Starts `tests/http2/others/NAME`.
    pub fn start(python: &Path, name: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(python)
            .arg(format!("{}/tests/http2/others/{name}", env!("CARGO_MANIFEST_DIR")))
            .args(arguments)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start python");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        let stdin = child.stdin.take();
        Self { child, lines, stdin }
    }

    /// The next line; empty at the end.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    /// Lets it go on.
    fn go_on(&mut self) {
        self.stdin.as_mut().expect("piped").write_all(b"\n").expect("it listens");
    }

    /// What is left to say, and whether it came to its end.
    fn rest(mut self) -> (Vec<String>, bool) {
        let lines = self.lines.by_ref().lines().map_while(Result::ok).collect();
        (lines, self.child.wait().is_ok_and(|it| it.success()))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A version that says what it was sent, or takes its time.
fn upstream(latch: &Latch) -> Upstream {
    let latch = latch.clone();
    Upstream::start(move |peer| {
        while let Some(head) = peer.head() {
            let target = head.start.split(' ').nth(1).unwrap_or_default().to_owned();
            match target.as_str() {
                "/held" => drop(peer.hold()),
                "/unread" => drop(latch.pass()),
                _ if answer(peer, head).is_some() => continue,
                _ => {}
            }
            return;
        }
    })
}

fn answer(peer: &mut Peer, head: super::support::message::Head) -> Option<()> {
    let request = peer.rest_of(head)?;
    let said =
        request.head.all("x-echo").last().or(request.head.all("cookie").first()).map(|it| bytes_of(it));
    let body = match (said, request.method()) {
        (Some(said), _) => said,
        (None, _) if request.target() == "/large" => vec![b'x'; 100_000],
        (None, "POST") => format!("got {}", request.body.len()).into_bytes(),
        (None, _) => b"hello".to_vec(),
    };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let body = if request.method() == "HEAD" { Vec::new() } else { body };
    peer.send([head.into_bytes(), body].concat()).then_some(())
}

/// A gate before it, in clear text or with TLS; where its authority is.
struct Door {
    gate: Gate,
    upstream: Upstream,
    latch: Latch,
    ca: Option<PathBuf>,
    _dir: TempDir,
}

impl Door {
    fn open(tls: bool, more: &str) -> Self {
        let (latch, dir) = (Latch::default(), TempDir::new().unwrap());
        let upstream = upstream(&latch);
        let (listener, ca) = if tls {
            let ca = Ca::new("ca");
            let path = dir.path().join("ca.pem");
            std::fs::write(&path, ca.pem()).unwrap();
            (format!("tls: {{certs: [{}]}}", ca.issue(&["shop.test"]).put(dir.path(), "own")), Some(path))
        } else {
            ("h2c: true".to_owned(), None)
        };
        let setup = Setup::to(&upstream).listener(listener);
        let setup = if more.is_empty() { setup } else { setup.listener(more) };
        Self { gate: setup.start(), upstream, latch, ca, _dir: dir }
    }

    fn script(&self, python: &Path, name: &str, what: &[&str]) -> Script {
        let address = self.gate.address().to_string();
        let ca = self.ca.as_ref().map(|it| it.to_str().expect("text"));
        Script::start(python, name, &[&[address.as_str(), ca.unwrap_or("-")], what].concat())
    }

    /// What comes of an attack; it ends well, and nothing is left of it.
    #[track_caller]
    fn attack(&self, python: &Path, name: &str) -> Vec<String> {
        let (lines, ended) = self.script(python, "attacks.py", &[name]).rest();
        assert!(ended, "{name}: {lines:#?}");
        self.is_quiet();
        lines
    }

    /// Nothing is under way, and what reached the version was sound.
    #[track_caller]
    fn is_quiet(&self) {
        until("nothing is under way", || {
            (self.gate.metric("tidegate_requests_in_flight", &[("service", "shop")]) == 0.0).then_some(())
        });
        assert_eq!(self.gate.metric("tidegate_upstream_errors_total", &[("service", "shop")]), 0.0);
    }
}

/// The number behind `word=` in a line.
#[track_caller]
fn number(line: &str, word: &str) -> u64 {
    let found = line.split(' ').find_map(|it| it.strip_prefix(word)?.strip_prefix('='));
    found.and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("no {word} in {line}"))
}

#[test]
fn every_rule_is_kept_by_the_libraries_of_others() {
    let Some(python) = python() else { return };
    for tls in [false, true] {
        let door = Door::open(tls, "");
        let (lines, ended) = door.script(&python, "rules.py", &[]).rest();
        door.latch.open();
        let last = lines.last().expect("a line");
        assert!(ended && last.ends_with(" 0 wrong"), "TLS: {tls}\n{}", lines.join("\n"));
        // Fewer would mean that somebody has left some out.
        assert!(number(&format!("rows={last}"), "rows") >= 190, "{last}");
        door.is_quiet();
    }
}

#[test]
fn floods_of_others_are_cut_off() {
    let Some(python) = python() else { return };
    for tls in [false, true] {
        let door = Door::open(tls, "");
        let before = door.gate.memory();
        door.gate.forget_peak();
        assert_eq!(door.attack(&python, "floods").len(), 11);
        assert_eq!(door.attack(&python, "content").len(), 4);
        assert_eq!(door.attack(&python, "continuation").len(), 4);
        let grown = door.gate.memory_peak().saturating_sub(before);
        assert!(grown < 32 << 20, "TLS: {tls}: {grown} bytes more at the peak");
        assert!(door.gate.metric("tidegate_rejected_total", &[("reason", "http2")]) >= 19.0);
    }
}

#[test]
fn resets_of_others_are_counted() {
    let Some(python) = python() else { return };
    for tls in [false, true] {
        let door = Door::open(tls, "");
        door.attack(&python, "rapid_reset");
        assert!(door.upstream.count() < 200, "{} requests were passed on", door.upstream.count());
        let patient = door.attack(&python, "patient_reset");
        assert!((100..200).contains(&number(&patient[0], "sent")), "{patient:?}");
        let provoked = door.attack(&python, "made_you_reset");
        assert_eq!(provoked.len(), 8);
        assert!(provoked.iter().all(|it| (100..=140).contains(&number(it, "resets"))), "{provoked:#?}");
        until("the version is free", || (door.upstream.busy() <= 1).then_some(()));
    }
}

#[test]
fn numbers_and_windows_of_others_are_judged() {
    let Some(python) = python() else { return };
    for tls in [false, true] {
        let door = Door::open(tls, "");
        assert_eq!(door.attack(&python, "identities").len(), 5);
        assert_eq!(door.attack(&python, "windows"), ["windows=50 code=3"]);
        let served = door.upstream.count();
        assert_eq!(door.attack(&python, "crowd"), ["refused=400 status=200"]);
        assert!(door.upstream.count() < served + 10, "what is refused is not passed on");
    }
}

/// Row b05: ten connections, each with as many streams as it may have, whose heads are one entry of the table again
/// and again, and whose windows are shut: beyond the limits, and just within them. What is held is bounded by what is
/// documented, and not for longer than the client may take: a byte now and then is no sign of life.
#[test]
fn bombs_of_others_are_held_for_little_and_not_for_long() {
    let Some(python) = python() else { return };
    for (tls, name, statuses) in [
        (false, "bomb", "200,431"),
        (true, "bomb", "200,431"),
        (false, "small_bomb", "200"),
        (true, "small_bomb", "200"),
    ] {
        let door = Door::open(tls, "timeouts: {write: 4s, idle: 2s}");
        let before = door.gate.memory();
        door.gate.forget_peak();
        let mut script = door.script(&python, "attacks.py", &[name]);
        assert_eq!(script.line(), format!("statuses={statuses} streams=1000"));
        assert_eq!(script.line(), "held");
        script.go_on();
        let (lines, ended) = script.rest();
        assert!(ended, "{name}: {lines:#?}");
        assert_eq!(lines, ["reset=1000 whole=0 closed=10 codes=0"], "{name}, TLS: {tls}");
        // Of a connection its frames, and of each stream what was read of its answer and two heads within the limit.
        let held = door.gate.memory_peak().saturating_sub(before);
        assert!(held < 10 * (256 + 100 * (64 + 2 * 16)) * 1024, "{name}, TLS: {tls}: {held} bytes are held");
        println!("{name}, TLS: {tls}: {held} bytes at the peak for 1000 streams on 10 connections");
        until("nothing is under way", || {
            (door.gate.metric("tidegate_requests_in_flight", &[("service", "shop")]) == 0.0).then_some(())
        });
    }
}
