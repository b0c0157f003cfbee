//! What systemd is told by the real program: only a process with `$NOTIFY_SOCKET` can show it.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use support::gate::{free_port, own_ip, program};

/// A `tidegate run` that reports to us as it would to systemd.
struct Unit {
    child: Child,
    socket: UnixDatagram,
    _directory: tempfile::TempDir,
}

impl Unit {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let file = directory.path().join("tidegate.yaml");
        let ip = own_ip();
        let (listen, admin) = (free_port(ip), free_port(ip));
        let text = format!(
            "listen: {{http: {{bind: {ip}, port: {listen}}}}}\nadmin: {{listen: \"{ip}:{admin}\"}}\nstate: state\nworkers: 1\n\
             services: {{a: {{live: b, versions: {{b: \"http://{ip}:1\"}}}}}}\n"
        );
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(program());
        command.args(["run", "-q", "--lame-duck", "0s", "-c"]).arg(&file);
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        Self { child, socket, _directory: directory }
    }

    /// The next message that holds `wanted`; those before it are passed over.
    fn told(&self, wanted: &str) -> String {
        let mut bytes = [0; 4096];
        loop {
            let length = self.socket.recv(&mut bytes).unwrap_or_else(|it| panic!("{wanted}: {it}"));
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if text.contains(wanted) {
                return text;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn ready_reloading_alive_and_stopping() {
    let mut unit = Unit::start();
    assert!(unit.told("READY=1").contains("STATUS="), "ready with a line for systemctl status");
    unit.told("WATCHDOG=1");
    unit.signal(Signal::HUP);
    assert!(unit.told("RELOADING=1").contains("MONOTONIC_USEC="), "as Type=notify-reload needs it");
    unit.told("READY=1");
    unit.signal(Signal::TERM);
    unit.told("STOPPING=1");
    assert_eq!(unit.child.wait().unwrap().code(), Some(0));
}
