//! Endpoints that come, go, fall ill and recover.
#![allow(clippy::disallowed_methods, reason = "real programs in real time")]

mod support;

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use support::{Setup, Upstream, until};

/// A server on a Unix socket that answers every connection's requests with one body.
struct SocketServer {
    path: PathBuf,
    stopped: Arc<AtomicBool>,
}

impl SocketServer {
    fn start(path: &Path, body: &'static str) -> Self {
        let listener = UnixListener::bind(path).expect("bind");
        let stopped = Arc::new(AtomicBool::new(false));
        let told = stopped.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if told.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(mut stream), told) = (stream, told.clone()) else { continue };
                std::thread::spawn(move || {
                    let mut seen = Vec::new();
                    let mut bytes = [0; 4096];
                    while let Ok(count @ 1..) = stream.read(&mut bytes) {
                        seen.extend_from_slice(&bytes[..count]);
                        if told.load(Ordering::SeqCst) {
                            return;
                        }
                        if seen.ends_with(b"\r\n\r\n") {
                            let host = String::from_utf8_lossy(&seen).contains("ost: localhost\r\n");
                            let body = if host { "by name" } else { body };
                            let length = body.len();
                            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
                            if stream.write_all(answer.as_bytes()).is_err() {
                                return;
                            }
                            seen.clear();
                        }
                    }
                });
            }
        });
        Self { path: path.to_owned(), stopped }
    }
}

impl Drop for SocketServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = std::os::unix::net::UnixStream::connect(&self.path);
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Row f22.
#[test]
fn a_unix_socket_that_is_deleted_and_made_again_is_found() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("shop.sock");
    let gate = Setup::default().version_as("v1", format!("\"unix:{}\"", path.display())).start();
    assert_eq!(gate.get("/").status, 502, "nobody has made it yet");
    let first = SocketServer::start(&path, "first");
    assert_eq!(gate.get("/").text(), "first");
    let without_host = gate.answer_to("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(without_host.text(), "by name", "a path is no host");
    drop(first);
    until("it is gone", || (gate.get("/").status == 502).then_some(()));
    let second = SocketServer::start(&path, "second");
    assert_eq!(gate.get("/").text(), "second");
    drop(second);
}

/// What is asked of a version before its first user is asked at its socket.
#[test]
fn a_version_on_a_socket_is_verified_there() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("shop.sock");
    let one = Upstream::answering("one");
    let mut gate = Setup::to(&one)
        .version_as("v2", format!("\"unix:{}\"", path.display()))
        .service("rollout: {verify: {url: \"{endpoint}/selftest\"}, steps: [50% for 1h]}")
        .start();
    gate.edit(|setup| setup.live("v2"));
    gate.reaches("HELD");
    let held = gate.release()["held"].as_str().unwrap_or_default().to_owned();
    assert!(held.contains("no ready endpoint"), "{held}");
    let two = SocketServer::start(&path, "two");
    gate.reaches("CANARY");
    until("both answer", || (gate.get("/").text() == "two").then_some(()));
    drop(two);
}
