//! A hand-over that does not come about, or is cut short.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::thread::JoinHandle;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};

use super::super::support::gate::{program, put};
use super::super::support::load::Load;
use super::super::support::upstream::Latch;
use super::super::support::{Client, End, Setup, Unit, Upstream, command, until};
use super::releases::canary;
use super::{ended, ms};

/// A process in the middle of a release, and the file of its program, which is its own.
fn on_trial(stable: &Upstream, fresh: &Upstream) -> (Unit, PathBuf) {
    let mut unit = Unit::new(canary(stable, fresh));
    let own = unit.own_program();
    let command = unit.command(&own);
    unit.spawn(command);
    unit.hear("READY=1");
    unit.edit(|it| it.live("v2"));
    unit.reaches("CANARY");
    (unit, own)
}

/// Whatever lies under the program's name by now is started; what cannot take over does not, and the old
/// process goes on as if nothing had happened.
#[test]
fn a_new_process_that_fails_changes_nothing() {
    let (stable, fresh) = (Upstream::answering("old"), Upstream::answering("new"));
    let (mut unit, own) = on_trial(&stable, &fresh);
    let (mark, load) = (unit.release()["mark"].clone(), Load::start(unit.address(), 2, ms(1)));
    let replace = |text: &str| {
        let new = own.with_extension("new");
        std::fs::write(&new, text).unwrap();
        std::fs::set_permissions(&new, PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::rename(&new, &own).unwrap();
    };
    for (script, said) in [
        ("#!/bin/sh\nexit 7\n", "exit status: 7"),
        ("#!/bin/sh\nexec sleep 600\n", "did not say `prepared` within 3s"),
        ("#!/nowhere/to/be/found\n", "failed to start"),
        ("#!/bin/sh\nexec <&- sleep 600\n", "does not know how to take over"),
    ] {
        replace(script);
        let why = unit.fail_to_hand_over();
        assert!(why.contains(said), "{script}: {why}");
    }
    // The file is wrong.
    replace(&format!("#!/bin/sh\nexec {} \"$@\"\n", program()));
    let good = std::fs::read_to_string(unit.file()).unwrap();
    std::fs::write(unit.file(), good.replace("live: v2", "live: v9")).unwrap();
    let why = unit.fail_to_hand_over();
    assert!(why.contains("the new process says"), "{why}");
    // Something is missing that is needed only after the journal was let go of.
    let taken = std::net::TcpListener::bind((unit.ip(), 0)).unwrap();
    let other = good.replace(&unit.admin_address().to_string(), &taken.local_addr().unwrap().to_string());
    std::fs::write(unit.file(), other).unwrap();
    let why = unit.fail_to_hand_over();
    assert!(why.contains("for admin requests"), "{why}");
    std::fs::write(unit.file(), good).unwrap();

    assert_eq!(unit.release()["mark"], mark, "the release stands where it stood");
    assert_eq!(unit.verb("promote shop").code, 0, "and is decided about here");
    assert_eq!(unit.release()["weight_percent"], 20.0);
    assert!(unit.runs());
    // When what was wrong has been mended, another program takes over: the script's.
    let new = unit.hand_over();
    assert_eq!(unit.release()["weight_percent"], 20.0);
    let running = std::fs::read_link(format!("/proc/{}/exe", new.as_raw_nonzero())).unwrap();
    assert_eq!(running, std::fs::canonicalize(program()).unwrap());
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
    load.stop().assert_all("200 ");
}

/// From now on a new process hangs when it has everything but the journal that the file names: a key beside it
/// is never written.
fn lay_a_trap(unit: &Unit) {
    let state = unit.dir().join("other");
    let _ = std::fs::remove_dir_all(&state);
    std::fs::create_dir(&state).unwrap();
    std::fs::set_permissions(&state, PermissionsExt::from_mode(0o700)).unwrap();
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, state.join("cookie-key"), FileType::Fifo, mode, 0).unwrap();
    let text = std::fs::read_to_string(unit.file()).unwrap();
    let own = unit.dir().join("state").display().to_string();
    put(&unit.file(), &text.replace(&own, &state.display().to_string()));
}

/// The new process that has run into it.
fn trapped(unit: &Unit) -> Pid {
    until("a new process that is prepared", || {
        let new = children(unit.main()).pop()?;
        unit.dir().join("other/journal").exists().then_some(new)
    })
}

fn children(of: Pid) -> Vec<Pid> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", of.as_raw_nonzero())).unwrap();
    let lists = tasks.filter_map(|it| std::fs::read_to_string(it.ok()?.path().join("children")).ok());
    let all: Vec<String> = lists.collect();
    all.iter().flat_map(|it| it.split_whitespace()).filter_map(|it| Pid::from_raw(it.parse().ok()?)).collect()
}

/// `tidegate upgrade`, on its way.
#[expect(clippy::disallowed_methods, reason = "somebody else's command")]
fn upgrade(unit: &Unit) -> JoinHandle<command::Outcome> {
    let file = unit.file().display().to_string();
    std::thread::spawn(move || command::run(&["upgrade", "-c", &file]))
}

/// A new process with more workers than the old one, killed when it has everything it needs and is not ready yet:
/// no connection was dealt to a queue that is gone with it.
#[test]
fn a_new_process_that_is_killed_takes_nobody_along() {
    let upstream = Upstream::answering("fine");
    let setup = Setup::to(&upstream).workers(1).run_with("--no-watch --lame-duck 200ms");
    let mut unit = Unit::start(setup);
    let kept = Load::start(unit.address(), 2, ms(1));
    let fresh = Load::start_fresh(unit.address(), 3, ms(1));
    unit.edit(|it| it.workers(4));
    let good = std::fs::read_to_string(unit.file()).unwrap();
    for _ in 0..3 {
        lay_a_trap(&unit);
        let asked = upgrade(&unit);
        let new = trapped(&unit);
        let sent = fresh.sent();
        until("traffic goes on", || (fresh.sent() > sent + 100).then_some(()));
        kill_process(new, Signal::KILL).unwrap();
        let outcome = asked.join().unwrap();
        assert_eq!(outcome.code, 1, "{outcome:?}");
        assert!(outcome.err.contains("signal: 9"), "{outcome:?}");
        put(&unit.file(), &good);
    }
    unit.hand_over();
    let sent = fresh.sent();
    until("traffic goes on", || (fresh.sent() > sent + 100).then_some(()));
    kept.stop().assert_all("200 fine");
    fresh.stop().assert_all("200 fine");
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
}

/// Two operators who upgrade at once: one after the other, or one of them learns that it is done.
#[test]
fn two_at_once_are_one_after_the_other() {
    let upstream = Upstream::answering("fine");
    let setup = Setup::to(&upstream).run_with("--no-watch --lame-duck 200ms");
    let mut unit = Unit::start(setup);
    let fresh = Load::start_fresh(unit.address(), 2, ms(1));
    let good = std::fs::read_to_string(unit.file()).unwrap();
    lay_a_trap(&unit);
    let first = upgrade(&unit);
    let new = trapped(&unit);
    put(&unit.file(), &good);
    let second = upgrade(&unit);
    // A signal in the middle is not another one.
    unit.signal(Signal::USR2);
    until("it is told", || unit.log().contains("a hand-over is under way").then_some(()));
    kill_process(new, Signal::KILL).unwrap();
    let (first, second) = (first.join().unwrap(), second.join().unwrap());
    assert_eq!((first.code, second.code), (1, 0), "{first:?} {second:?}");
    unit.hear("MAINPID=");
    unit.hear("READY=1");
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
    // With nothing in the way, who comes second is told so, or asks the new process.
    let both = [upgrade(&unit), upgrade(&unit)].map(|it| it.join().unwrap());
    let done = both.iter().filter(|it| it.code == 0).count();
    for other in both.iter().filter(|it| it.code != 0) {
        assert!(other.err.contains("another hand-over has just come first"), "{other:?}");
    }
    assert!(done > 0, "{both:?}");
    (0..done).for_each(|_| _ = unit.hear("MAINPID="));
    unit.hear("READY=1");
    let sent = fresh.sent();
    until("traffic goes on", || (fresh.sent() > sent + 100).then_some(()));
    fresh.stop().assert_all("200 fine");
}

/// The old process is killed when the new one has its sockets and waits for a word: the new one does not wait for
/// ever, and does not give up. Nothing that waited in a queue is lost.
#[test]
fn a_new_process_goes_on_without_the_old_one() {
    let (stable, fresh) = (Upstream::answering("old"), Upstream::answering("new"));
    let (mut unit, own) = on_trial(&stable, &fresh);
    let mark = unit.release()["mark"].clone();
    let (began, go) = (unit.dir().join("began"), unit.dir().join("go"));
    std::fs::remove_file(&own).unwrap();
    let script = format!(
        "#!/bin/sh\necho $$ >{}\nuntil [ -e {} ]; do sleep 0.02; done\nexec {} \"$@\"\n",
        began.display(),
        go.display(),
        program()
    );
    std::fs::write(&own, script).unwrap();
    std::fs::set_permissions(&own, PermissionsExt::from_mode(0o755)).unwrap();
    unit.signal(Signal::USR2);
    until("a new process", || std::fs::read_to_string(&began).ok().filter(|it| it.ends_with('\n')));
    // The thread that has given the sockets away waits for an answer.
    let tasks = format!("/proc/{}/task", unit.pid().as_raw_nonzero());
    until("the sockets are given", || {
        let of =
            |it: &std::path::Path, name: &str| std::fs::read_to_string(it.join(name)).unwrap_or_default();
        let mut all = std::fs::read_dir(&tasks).ok()?.filter_map(|it| Some(it.ok()?.path()));
        all.any(|it| of(&it, "comm").trim() == "handover" && of(&it, "stat").contains(") S ")).then_some(())
    });
    unit.signal(Signal::KILL);
    assert_eq!(unit.exit_status().code(), None);
    let mut waiting: Vec<Client> = (0..20).map(|_| unit.connect()).collect();
    for client in &mut waiting {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    std::fs::write(&go, "").unwrap();
    unit.hear("MAINPID=");
    unit.hear("READY=1");
    for client in &mut waiting {
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(unit.release()["mark"], mark, "the release stands where it stood");
    assert!(unit.log().contains("the old process ended in the middle of the hand-over"), "{}", unit.log());
    assert_eq!(unit.verb("promote shop").code, 0);
    assert_eq!(unit.release()["weight_percent"], 20.0);
    // And so on.
    unit.hand_over();
    assert_eq!(unit.release()["weight_percent"], 20.0);
}

/// The old process is killed while it finishes: what it had under way ends with it, and nobody else notices.
#[test]
fn an_old_process_that_is_killed_is_missed_by_nobody_else() {
    let latch = Latch::default();
    let opened = latch.clone();
    let upstream = Upstream::start(move |peer| {
        while let Some(request) = peer.request() {
            if request.target() == "/slow" {
                opened.pass();
            }
            peer.answer("200 OK", "fine");
        }
    });
    let setup = Setup::to(&upstream).workers(2).run_with("--lame-duck 200ms --drain 60s");
    let mut unit = Unit::start(setup);
    let (kept, fresh) = (Load::start(unit.address(), 2, ms(1)), Load::start_fresh(unit.address(), 2, ms(1)));
    let mut slow = unit.connect();
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    until("it is under way", || upstream.requests().iter().any(|it| it.target() == "/slow").then_some(()));
    let old = unit.pid();
    unit.hand_over();
    until("only the slow one is left", || {
        let log = unit.log();
        let sent = kept.sent();
        until("traffic goes on", || (kept.sent() > sent + 50).then_some(()));
        log.contains("handed over").then_some(())
    });
    kill_process(old, Signal::KILL).unwrap();
    assert_eq!(unit.exit_status().code(), None);
    assert!(slow.try_response("GET").is_err());
    let sent = fresh.sent();
    until("traffic goes on", || (fresh.sent() > sent + 100).then_some(()));
    assert!(unit.admin_socket().exists());
    assert_eq!(unit.verb("status").code, 0);
    unit.hand_over();
    let sent = fresh.sent();
    until("traffic goes on", || (fresh.sent() > sent + 100).then_some(()));
    kept.stop().assert_all("200 fine");
    fresh.stop().assert_all("200 fine");
    latch.open();
}

/// A journal that somebody has destroyed shows when another process reads it. Nothing is decided by what nobody
/// can read, and nothing is served worse.
#[test]
fn a_journal_that_is_damaged_stops_no_traffic() {
    let (stable, fresh) = (Upstream::answering("old"), Upstream::answering("new"));
    let mut unit = Unit::start(canary(&stable, &fresh));
    unit.edit(|it| it.live("v2"));
    unit.reaches("CANARY");
    let (kept, short) = (Load::start(unit.address(), 2, ms(1)), Load::start_fresh(unit.address(), 2, ms(1)));
    let journal = unit.dir().join("state/journal");
    let whole = std::fs::read(&journal).unwrap();
    std::fs::write(&journal, "not a journal at all, and long enough to be one").unwrap();
    let why = unit.fail_to_hand_over();
    assert!(why.contains("journal"), "{why}");
    let sent = short.sent();
    until("traffic goes on", || (short.sent() > sent + 100).then_some(()));
    for _ in 0..200 {
        assert_eq!(unit.connect().get("/").text(), "old", "stable has all traffic");
    }
    let again = unit.fail_to_hand_over();
    assert!(again.contains("journal"), "{again}");
    // From a backup. The next process takes up where it ends.
    std::fs::write(&journal, whole).unwrap();
    unit.hand_over();
    unit.reaches("CANARY");
    assert_eq!(unit.release()["weight_percent"], 10.0);
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
    let sent = short.sent();
    until("traffic goes on", || (short.sent() > sent + 100).then_some(()));
    kept.stop().assert_all("200 ");
    short.stop().assert_all("200 ");
}

/// Told to stop while the new process makes it wait: it stops, and nothing is left behind.
#[test]
fn an_end_in_the_middle_is_an_end() {
    let latch = Latch::default();
    let opened = latch.clone();
    let upstream = Upstream::start(move |peer| {
        while peer.request().is_some() {
            opened.pass();
            peer.answer("200 OK", "fine");
        }
    });
    let mut unit = Unit::new(Setup::to(&upstream).run_with("--lame-duck 100ms --upgrade-timeout 60s"));
    let own = unit.own_program();
    let command = unit.command(&own);
    unit.spawn(command);
    unit.hear("READY=1");
    let mut slow = unit.connect();
    slow.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let note = unit.dir().join("successor");
    std::fs::remove_file(&own).unwrap();
    std::fs::write(&own, format!("#!/bin/sh\necho $$ >{}\nexec sleep 600\n", note.display())).unwrap();
    std::fs::set_permissions(&own, PermissionsExt::from_mode(0o755)).unwrap();
    unit.signal(Signal::USR2);
    let successor =
        until("a new process", || Pid::from_raw(std::fs::read_to_string(&note).ok()?.trim().parse().ok()?));
    unit.signal(Signal::TERM);
    unit.hear("STOPPING=1");
    until("the new process is gone", || ended(successor));
    latch.open();
    assert_eq!(slow.response().text(), "fine");
    assert_eq!(slow.end(), End::Closed);
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
}
