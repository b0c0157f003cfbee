//! gRPC through the gate, with a client and a server that others have written.

mod support;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use support::upstream::refusing;
use support::{Gate, Setup, outside, until};

/// The Python server.
struct Server {
    child: Child,
    port: u16,
    lines: BufReader<ChildStdout>,
    _stdin: ChildStdin,
}

impl Server {
    fn start(python: &PathBuf) -> Self {
        let mut child = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/grpc/server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start python");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let stdin = child.stdin.take().expect("piped");
        let mut port = String::new();
        lines.read_line(&mut port).expect("a line");
        let port = port.trim().parse().expect("a port");
        Self { child, port, lines, _stdin: stdin }
    }

    fn gate(&self) -> Gate {
        let endpoint = format!("\"h2c://127.0.0.1:{}\"", self.port);
        Setup::default().version_as("v1", endpoint).listener("h2c: true").start()
    }

    /// Waits until it says so.
    fn says(&mut self, word: &str) {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        assert_eq!(line.trim(), word);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What came of these calls.
fn calls(python: &PathBuf, gate: &Gate, names: &[&str]) -> Vec<String> {
    let output = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/grpc/client.py"))
        .arg(gate.address().to_string())
        .args(names)
        .stderr(Stdio::inherit())
        .output()
        .expect("start python");
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

fn sum(gate: &Gate, name: &str, labels: &[(&str, &str)]) -> f64 {
    gate.metric(name, &[&[("service", "shop")], labels].concat())
}

#[test]
fn calls_of_every_kind_pass_with_their_status() {
    let Some(python) = outside::python(&["grpc"]) else { return };
    let server = Server::start(&python);
    let gate = server.gate();
    let names = ["unary", "large", "count", "collect", "chat", "many", "fail", "unknown", "metadata"];
    let expected = [
        "unary hello OK 5",
        "large 3000000",
        "count 500",
        "collect 200000",
        "chat heard 0,heard 1,heard 2,heard 3,heard 4",
        "many 19900",
        "fail FAILED_PRECONDITION not now",
        "unknown UNIMPLEMENTED Method not found!",
        "metadata 4 True True",
    ];
    assert_eq!(calls(&python, &gate, &names), expected);
    assert_eq!(sum(&gate, "tidegate_requests_total", &[]), 208.0);
}

#[test]
fn a_deadline_or_a_change_of_mind_frees_the_server() {
    let Some(python) = outside::python(&["grpc"]) else { return };
    let mut server = Server::start(&python);
    let gate = server.gate();
    for (name, expected) in
        [("deadline", "deadline DEADLINE_EXCEEDED in time"), ("cancel", "cancel CANCELLED")]
    {
        assert_eq!(calls(&python, &gate, &[name]), [expected]);
        server.says("cancelled");
    }
    until("nothing is under way", || (sum(&gate, "tidegate_requests_in_flight", &[]) == 0.0).then_some(()));
}

#[test]
fn what_we_have_to_say_is_said_in_their_words() {
    let Some(python) = outside::python(&["grpc"]) else { return };
    let endpoint = format!("\"h2c://{}\"", refusing());
    let gate = Setup::default().version_as("v1", endpoint).listener("h2c: true").start();
    assert_eq!(calls(&python, &gate, &["down"]), ["down UNAVAILABLE no endpoint could be reached"]);
}
