//! What systemd is told by the real program: only a process with `$NOTIFY_SOCKET` can show it.

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use super::support::gate::program;
use super::support::outside::python;
use super::support::{Client, Setup, Unit, Upstream};

/// Sent once, when a request is answered and not earlier; a refused reload says so and changes nothing.
#[test]
fn ready_reloading_alive_and_stopping() {
    let upstream = Upstream::answering("fine");
    let mut unit = Unit::new(Setup::to(&upstream).run_with("--no-watch --lame-duck 0s"));
    let mut command = unit.command(program().as_ref());
    command.env("WATCHDOG_USEC", "200000");
    unit.spawn(command);
    let ready = unit.hear("READY=1");
    assert!(ready.contains("STATUS=serving generation 1"), "a line for systemctl status: {ready}");
    assert_eq!(unit.connect().get("/").text(), "fine", "ready means that requests are answered");
    unit.hear("WATCHDOG=1");
    unit.hear("WATCHDOG=1");
    let count = |unit: &Unit| unit.told().iter().filter(|it| it.contains("READY=1")).count();
    assert_eq!(count(&unit), 1);

    unit.signal(Signal::HUP);
    let reloading = unit.hear("RELOADING=1");
    let stamp = |text: &str| -> u64 {
        let line = text.lines().find_map(|it| it.strip_prefix("MONOTONIC_USEC="));
        line.unwrap_or_else(|| panic!("as Type=notify-reload needs it: {text}")).parse().unwrap()
    };
    let first = stamp(&reloading);
    unit.hear("READY=1");

    let file = unit.file();
    let good = std::fs::read_to_string(&file).unwrap();
    super::support::gate::put(&file, &good.replace("live: v1", "live: v9"));
    unit.signal(Signal::HUP);
    assert!(stamp(&unit.hear("RELOADING=1")) > first, "stamps rise");
    let refused = unit.hear("READY=1");
    assert!(refused.contains("refused") && refused.contains("last good"), "{refused}");
    assert_eq!(unit.connect().get("/").text(), "fine", "the last good one keeps serving");
    assert_eq!(count(&unit), 3);

    unit.signal(Signal::TERM);
    unit.hear("STOPPING=1");
    assert_eq!(unit.exit_status().code(), Some(0));
}

/// A worker that stands still is everybody's traffic; a controller that stands still is nobody's.
#[test]
fn a_worker_that_stands_still_ends_the_signs_of_life() {
    let Some(python) = python(&["ctypes"]) else { return };
    let upstream = Upstream::answering("fine");
    for (thread, alive) in [("controller", true), ("worker-1", false)] {
        let mut unit = Unit::new(Setup::to(&upstream).workers(2));
        let mut command = unit.command(program().as_ref());
        command.env("WATCHDOG_USEC", "100000");
        unit.spawn(command);
        unit.hear("READY=1");
        unit.hear("WATCHDOG=1");
        let mut stop = Command::new(&python);
        stop.args(["-c", STOP_A_THREAD, &unit.pid().as_raw_nonzero().to_string(), thread]);
        let mut stopped =
            stop.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let said = stopped.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(said), &mut line).unwrap();
        if line != "stopped\n" {
            // Containers may forbid to trace even one's own children.
            eprintln!("skipped: threads cannot be stopped here: {line}");
            let _ = stopped.kill();
            let _ = stopped.wait();
            return;
        }
        // What was on its way.
        unit.hear_all();
        let pinged = super::support::wait::within(Duration::from_secs(1), || {
            let before = unit.told().len();
            unit.hear_all();
            unit.told()[before..].iter().any(|it| it.contains("WATCHDOG=1")).then_some(())
        });
        assert_eq!(pinged.is_some(), alive, "{thread}");
        if alive {
            assert_eq!(Client::connect(unit.address()).get("/").text(), "fine");
        }
        // Lets go of the thread.
        let _ = stopped.kill();
        let _ = stopped.wait();
    }
}

/// Stops one thread of a process, says so, and holds it until it is ended.
const STOP_A_THREAD: &str = r#"
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
tasks = f"/proc/{sys.argv[1]}/task"
tid = next(int(it) for it in os.listdir(tasks) if open(f"{tasks}/{it}/comm").read().strip() == sys.argv[2])
SEIZE, INTERRUPT = 0x4206, 0x4207
if libc.ptrace(SEIZE, tid, None, None) or libc.ptrace(INTERRUPT, tid, None, None):
    print(os.strerror(ctypes.get_errno()), flush=True)
    sys.exit(1)
os.waitpid(tid, 0x40000000)
print("stopped", flush=True)
sys.stdin.read()
"#;
