//! The demonstration: it plays in one process what the other tests show in parts, so here only its
//! outcome counts, and that it leaves nothing behind.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "real programs; a test may fail by panicking"
)]

mod support;
#[path = "config/validator.rs"]
mod validator;

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{Client, admin, command, gate};

/// `tidegate demo`, whose temporary files go where the test can see them.
fn demo(arguments: &[&str], temporary: &Path) -> Command {
    let mut it = Command::new(gate::program());
    it.arg("demo").args(arguments).env("TMPDIR", temporary).env("NO_COLOR", "1").env_remove("TIDEGATE_URL");
    it.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    it
}

#[track_caller]
fn is_empty(directory: &Path) {
    let left: Vec<_> = fs::read_dir(directory).unwrap().map(|it| it.unwrap().path()).collect();
    assert_eq!(left, Vec::<PathBuf>::new(), "left behind");
}

#[test]
fn three_releases_have_their_outcomes() {
    let temporary = tempfile::tempdir().unwrap();
    let output = demo(&["--ci", "--seconds", "8"], temporary.path()).output().unwrap();
    let (out, told) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert_eq!(out.lines().count(), 1, "one line of data: {out}\n{told}");
    let report: Value = serde_json::from_str(&out).unwrap();
    let number = |path: &str| report.pointer(path).and_then(Value::as_f64);
    assert_eq!(report["problems"], serde_json::json!([]), "{report}\n{told}");
    assert_eq!((&report["ok"], output.status.code()), (&Value::Bool(true), Some(0)), "{report}");
    let schema = command::run(&["schema", "demo"]).json();
    assert_eq!(validator::violations(&schema, &schema, &report, ""), Vec::<String>::new());
    assert_eq!(report["seed"], 1, "seeded, unless somebody says otherwise");
    assert_eq!(number("/requests/sent"), number("/requests/answered"), "{report}");
    assert_eq!(number("/requests/failed_elsewhere"), Some(0.0), "{report}");
    assert_eq!(report["canary"]["steps_percent"], serde_json::json!([10.0, 50.0, 100.0]));
    assert_eq!(number("/canary/failed"), Some(0.0), "{report}");
    assert_eq!(number("/rollback/weight_after_percent"), Some(0.0), "{report}");
    assert_eq!(number("/rollback/requests_after"), Some(0.0), "{report}");
    assert_eq!(number("/rollback/failed"), number("/requests/failed"), "{report}");
    assert!(number("/rollback/answers_failed") > Some(0.0), "{report}");
    assert_eq!((number("/flip/failed"), number("/flip/strays")), (Some(0.0), Some(0.0)), "{report}");
    is_empty(temporary.path());
}

#[test]
fn it_stays_up_when_asked_to_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let mut kept = Kept::start(temporary.path());
    let answer = Client::connect(kept.address("curl -i http://", "/")).get("/");
    assert_eq!((answer.status, answer.text()), (200, "hello from v2\n".into()));
    let at = kept.address("curl http://", "/metrics");
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {at}\r\n\r\n");
    let metrics = Client::connect(at).send(request).response().text();
    let labels = [("service", "blog"), ("version", "green")];
    assert_eq!(admin::sum(&metrics, "tidegate_traffic_weight_ratio", &labels), 1.0, "{metrics}");
    let file = kept.between("edit `live` in ", "");
    let status = command::run(&["status", "shop", "--json", "-c", &file]);
    assert_eq!(status.code, 0, "{status:?}");
    assert_eq!(status.json()["state"], "ROLLED BACK", "{status:?}");
    assert_eq!(kept.interrupt(), Some(0));
    is_empty(temporary.path());
}

/// A demonstration that stays up.
struct Kept {
    child: Child,
    /// Kept open: it ends when nobody can read it any more.
    _out: Lines<BufReader<ChildStdout>>,
    said: Vec<String>,
}

impl Kept {
    /// Plays as fast as it can, and returns when everything has been said.
    fn start(temporary: &Path) -> Self {
        let mut child = demo(&["--keep", "--seconds", "1"], temporary).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        // The last line names the file; the end of the output comes first if it fails.
        for line in out.by_ref().map(Result::unwrap) {
            said.push(line);
            if said.last().is_some_and(|it| it.contains("edit `live` in ")) {
                break;
            }
        }
        Self { child, _out: out, said }
    }

    /// What stands between these words in anything that was said.
    #[track_caller]
    fn between(&self, before: &str, after: &str) -> String {
        let found = self.said.iter().filter_map(|it| it.split_once(before)?.1.strip_suffix(after)).next();
        found.unwrap_or_else(|| panic!("`{before}` in {:#?}", self.said)).to_owned()
    }

    #[track_caller]
    fn address(&self, before: &str, after: &str) -> SocketAddr {
        self.between(before, after).parse().unwrap()
    }

    /// What Ctrl-C does. Returns the exit code.
    fn interrupt(&mut self) -> Option<i32> {
        let id = Pid::from_child(&self.child);
        kill_process(id, Signal::INT).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // After an interruption it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
