//! The state directory under everything that happens to disks and processes: the real program, killed,
//! starved and slowed down by the kernel at the calls it makes.
#![allow(clippy::disallowed_methods, reason = "real programs in real time")]

mod support;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::load::Load;
use support::{Gate, Setup, Upstream, until};

/// v1 is live, v2 is at 10 % and stays there until a person says so.
fn at_ten_percent(one: &Upstream, two: &Upstream) -> Gate {
    let setup = Setup::to(one).version("v2", &[two.address()]);
    let mut gate = setup.service("rollout: {steps: [10% for 1h, 30% for 1h]}").start();
    gate.edit(|setup| setup.live("v2"));
    until("it begins", || (gate.weight("v2") == 0.1).then_some(()));
    gate
}

/// Whether this machine lets us interfere with system calls; where it does not, nothing is shown.
fn can_trace() -> bool {
    let tried =
        Command::new("strace").args(["-D", "-qq", "-o", "/dev/null", "true"]).stdin(Stdio::null()).status();
    let can = tried.is_ok_and(|it| it.success());
    if !can {
        eprintln!("skipped: strace cannot be used here");
    }
    can
}

/// Arguments that run the program with something injected into its calls on the state directory. It stays
/// our own child (`-D`), so that a kill reaches it.
fn strace<'a>(paths: &'a [String], inject: &'a str) -> Vec<&'a str> {
    let mut words = vec!["strace", "-D", "-f", "-qq", "-o", "/dev/null"];
    for path in paths {
        words.extend(["-P", path.as_str()]);
    }
    words.extend(["-e", inject]);
    words
}

fn state_paths(gate: &Gate) -> Vec<String> {
    let state = gate.state_dir();
    let files = ["journal", "journal.new", "lock"].iter().map(|it| state.join(it));
    files.chain([state.clone()]).map(|it| it.display().to_string()).collect()
}

/// Sectors at the end that were never written.
fn tear(journal: &Path) {
    let mut file = std::fs::OpenOptions::new().append(true).open(journal).expect("the journal");
    file.write_all(&[0; 600]).expect("write to the journal");
}

/// Killed before each call on the state directory in turn, from the start until a promotion is
/// acknowledged: afterwards the state is the one before or the one after, and the one after if it was
/// acknowledged.
#[test]
fn killed_at_any_call_it_comes_back_with_the_state_before_or_after() {
    if !can_trace() {
        return;
    }
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let mut gate = at_ten_percent(&one, &two);
    let paths = state_paths(&gate);
    for calls in ["write", "fdatasync,fsync", "openat", "rename,renameat,renameat2"] {
        let mut survived = false;
        for number in 1..40 {
            let before = gate.weight("v2");
            assert_eq!(before, 0.1, "{calls} {number}");
            gate.kill();
            // As a crash leaves it, so that the start writes the file anew.
            tear(&gate.state_dir().join("journal"));
            let inject = format!("inject={calls}:signal=SIGKILL:when={number}");
            let started = gate.try_start_under(&strace(&paths, &inject));
            let acknowledged = started && gate.command("promote shop").code == 0;
            // An acknowledged command survives the end that comes at once.
            gate.kill();
            gate.start_again();
            let after = gate.weight("v2");
            assert!(after == 0.1 || after == 0.3, "{calls} {number}: {after}");
            assert!(!acknowledged || after == 0.3, "{calls} {number}: acknowledged and lost");
            assert_eq!(gate.release()["stable"], "v1");
            assert_eq!(gate.get("/").status, 200);
            if after != 0.1 {
                // Back to where the next round begins.
                assert_eq!(gate.command("rollback shop").code, 0);
                assert_eq!(gate.command("retry shop").code, 0);
                until("it begins again", || (gate.weight("v2") == 0.1).then_some(()));
            }
            survived = acknowledged;
            if survived {
                assert!(number > 1, "{calls}: was never killed");
                break;
            }
        }
        assert!(survived, "{calls}: never got through");
    }
}

/// The disk takes five seconds for every sync: traffic is where it should be at once all the same.
#[test]
fn a_rollback_does_not_wait_for_a_disk_that_hangs() {
    if !can_trace() {
        return;
    }
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let mut gate = at_ten_percent(&one, &two);
    gate.kill();
    let paths = state_paths(&gate);
    // The first syncs are those of the start, which must be on the disk.
    let inject = "inject=fdatasync:delay_enter=5000000:when=3+";
    assert!(gate.try_start_under(&strace(&paths, inject)), "{}", gate.log());
    let asked = Instant::now();
    std::thread::scope(|scope| {
        let command = scope.spawn(|| gate.ask("POST", "/api/v1/services/shop/rollback", "{}"));
        until("v2 has nothing", || (gate.weight("v2") == 0.0).then_some(()));
        let flipped = asked.elapsed();
        let before = two.count();
        (0..20).for_each(|_| assert_eq!(gate.get("/").text(), "one"));
        assert_eq!(two.count(), before);
        // Some milliseconds on an idle machine; a second would still be no wait for the disk.
        assert!(flipped < Duration::from_secs(1), "{flipped:?}");
        assert_eq!(command.join().expect("the command").status, 200);
    });
}

/// A disk of 64 KiB that is full: traffic and rollbacks go on, nothing rises, and it says so.
#[test]
fn a_full_disk_stops_what_rises_and_nothing_else() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let mut gate = at_ten_percent(&one, &two);
    gate.kill();
    let Some(root) = gate.try_start_on_a_small_disk() else {
        eprintln!("skipped: no file systems can be mounted here");
        return gate.start_again();
    };
    let root = format!("{root}/filler");
    // Until nothing fits any more.
    let _ = std::fs::write(&root, vec![0; 1 << 20]);
    // The last page of the journal may have room for some records yet.
    until("it says so", || {
        gate.command("pause shop");
        gate.command("resume shop");
        (gate.metric("tidegate_journal_durable", &[]) == 0.0).then_some(())
    });
    let refused = gate.command("promote shop");
    assert_ne!(refused.code, 0, "{refused:?}");
    assert_eq!(gate.weight("v2"), 0.1);
    assert_eq!(gate.metric("tidegate_journal_durable", &[]), 0.0);
    let status = gate.command("status");
    assert!(status.out.contains("not written down"), "{}", status.out);
    let outcome = gate.command("rollback shop");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!((gate.weight("v2"), gate.get("/").text().as_str()), (0.0, "one"));
    std::fs::remove_file(&root).expect("the filler");
    until("it is written down", || (gate.metric("tidegate_journal_durable", &[]) == 1.0).then_some(()));
}

/// Nothing can be written: it serves what the journal says, loudly, and only in memory.
#[test]
fn a_read_only_state_directory_is_served_from_with_an_alarm() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let mut gate = at_ten_percent(&one, &two);
    gate.kill();
    let state = gate.state_dir().display().to_string();
    let script = format!("mount --bind {state} {state} && mount -o remount,ro,bind {state} && exec \"$@\"");
    if !gate.try_start_under(&["unshare", "-m", "sh", "-c", &script, "sh"]) {
        eprintln!("skipped: no file systems can be mounted here:\n{}", gate.log());
        return gate.start_again();
    }
    assert!(gate.log().contains("EPHEMERAL"), "{}", gate.log());
    assert_eq!(gate.weight("v2"), 0.1);
    until("the alarm", || (gate.metric("tidegate_journal_durable", &[]) == 0.0).then_some(()));
    assert_ne!(gate.command("promote shop").code, 0);
    assert_eq!(gate.command("rollback shop").code, 0);
    assert_eq!(gate.weight("v2"), 0.0);
}

/// Somebody clears the state directory under a running process.
#[test]
fn a_state_directory_deleted_while_running_is_made_again() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let mut gate = at_ten_percent(&one, &two);
    let load = Load::start(gate.address(), 1, Duration::from_millis(2));
    // It writes there all the time: a file that appears meanwhile is in the way of the deletion.
    until("the state directory is gone", || std::fs::remove_dir_all(gate.state_dir()).ok());
    assert_eq!(gate.command("promote shop").code, 0);
    assert_eq!(gate.weight("v2"), 0.3);
    load.stop().assert_all("200");
    gate.kill();
    gate.start_again();
    assert_eq!(gate.weight("v2"), 0.3);
}
