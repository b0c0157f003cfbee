//! Calls of gRPC, by the client and the server of others, that last longer than a process.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::super::support::{Setup, Unit, outside, until};
use super::ended;

/// One of the programs in `tests/grpc`, which is spoken to in lines.
struct Program {
    child: Child,
    lines: BufReader<ChildStdout>,
    stdin: ChildStdin,
}

impl Program {
    fn start(python: &Path, script: &str, arguments: &[&str]) -> Self {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/grpc").join(script);
        let mut command = Command::new(python);
        let command = command.arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("start python");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        let stdin = child.stdin.take().expect("piped");
        Self { child, lines, stdin }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    fn tell(&mut self) {
        writeln!(self.stdin).expect("it listens");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn unit(server: &mut Program, times: &str) -> Unit {
    let endpoint = format!("\"h2c://127.0.0.1:{}\"", server.line());
    Unit::start(Setup::default().version_as("v1", endpoint).listener("h2c: true").workers(2).run_with(times))
}

/// Calls one after the other, and a stream that goes on over two hand-overs: the old processes take what they have
/// begun to its end, the new ones take the rest.
#[test]
fn calls_and_streams_are_taken_to_their_end() {
    let Some(python) = outside::python(&["grpc"]) else { return };
    let mut server = Program::start(&python, "server.py", &[]);
    let mut unit = unit(&mut server, "--lame-duck 300ms --drain 60s");
    let mut client = Program::start(&python, "client.py", &[&unit.address().to_string(), "steady"]);
    assert_eq!(client.line(), "steady begun");
    let first = unit.main();
    for _ in 0..2 {
        unit.hand_over();
        client.tell();
        assert_eq!(client.line(), "steady on", "fifty calls more");
    }
    assert!(ended(first).is_none(), "the stream keeps it");
    client.tell();
    // Calls, and messages of the stream, that did not come as they should.
    assert_eq!(client.line(), "steady failed 0 missed 0");
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
}

/// A stream without an end has until the deadline; its client is told in its own words.
#[test]
fn a_stream_without_an_end_has_until_the_deadline() {
    let Some(python) = outside::python(&["grpc"]) else { return };
    let mut server = Program::start(&python, "server.py", &[]);
    let mut unit = unit(&mut server, "--lame-duck 200ms --drain 1s");
    let mut client = Program::start(&python, "client.py", &[&unit.address().to_string(), "endless"]);
    assert_eq!(client.line(), "endless begun");
    unit.hand_over();
    assert_eq!(client.line(), "endless UNAVAILABLE");
    assert_eq!(unit.exit_status().code(), Some(22), "{}", unit.log());
    assert!(unit.log().contains("1 connections were cut"), "{}", unit.log());
    // The next one is the new process's.
    assert_eq!(client.line(), "endless again");
    until("the client ends", || client.child.try_wait().expect("own child"));
}
