//! Verbs that wait or follow, as a pipeline or a second terminal runs them beside others.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use crate::support::gate::program;
use crate::support::{Gate, Setup, Upstream, until};

/// A verb that goes on, and what it has said so far.
struct Going {
    child: Child,
    said: tempfile::TempDir,
}

impl Going {
    fn start(gate: &Gate, line: &str) -> Self {
        let said = tempfile::tempdir().expect("a directory");
        let into = |name: &str| File::create(said.path().join(name)).expect("a file");
        let child = Command::new(program())
            .args(line.split(' '))
            .arg("-c")
            .arg(gate.file())
            .env_remove("TIDEGATE_URL")
            .stdin(Stdio::null())
            .stdout(into("out"))
            .stderr(into("err"))
            .spawn()
            .expect("the program starts");
        Self { child, said }
    }

    fn out(&self) -> String {
        std::fs::read_to_string(self.said.path().join("out")).expect("what it said")
    }

    fn err(&self) -> String {
        std::fs::read_to_string(self.said.path().join("err")).expect("what it said")
    }

    /// Waits until it has ended by itself.
    fn code(&mut self) -> i32 {
        let status = until("the verb ends", || self.child.try_wait().expect("a child"));
        status.code().expect("it ended by itself")
    }

    fn goes_on(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A gate whose v2 stays at its first step, and nobody watches the file.
fn stepping(more: usize) -> (Vec<Upstream>, Gate) {
    let upstreams: Vec<Upstream> = (0..more + 2).map(|_| Upstream::answering("fine")).collect();
    let mut setup = Setup::to(&upstreams[0]).run_with("--no-watch");
    for (number, upstream) in upstreams.iter().enumerate().skip(1) {
        setup = setup.version(&format!("v{}", number + 1), &[upstream.address()]);
    }
    let gate = setup.service("rollout: {steps: [10% for 1h, 20% for 1h]}").start();
    (upstreams, gate)
}

/// A release that has only begun is not taken for the one before it, which was rolled back.
#[test]
fn a_reload_and_a_wait_speak_of_the_same_release() {
    let (_upstreams, mut gate) = stepping(11);
    for number in 2..=13 {
        gate.edit(|setup| setup.live(&format!("v{number}")));
        if number % 2 == 0 {
            let reloaded = gate.command("reload");
            assert_eq!(reloaded.code, 0, "{reloaded:?}");
        } else {
            assert_eq!(gate.ask("POST", "/api/v1/config/reload", "{}").status, 200);
            let release = gate.release();
            assert_eq!(release["wanted"], format!("v{number}"), "{release:#}");
            // On a busy machine it may not have begun yet; then that is said.
            let said = release["state"] == "CANARY" || release["awaited"] == true;
            assert!(said, "{release:#}");
        }
        let waited = gate.command("status shop --wait --timeout 1ms");
        assert_eq!(waited.code, 10, "v{number}: {waited:?}");
        assert_eq!(gate.command("rollback shop").code, 0);
        assert_eq!(gate.command("status shop --wait").code, 11, "its own end counts");
    }
    // A version is known by what it is: the name of one in quarantine may be given to another build.
    let other = Upstream::answering("fine");
    gate.edit(|setup| setup.live("v1"));
    assert_eq!(gate.command("reload").code, 0);
    assert_eq!(gate.command("status shop --wait").code, 0, "what is wanted has all traffic");
    gate.edit(|setup| setup.live("v2").version("v2", &[other.address()]));
    assert_eq!(gate.command("reload").code, 0);
    let waited = gate.command("status shop --wait --timeout 1ms");
    assert_eq!(waited.code, 10, "{waited:?}");
}

#[test]
fn who_waits_for_one_version_is_not_told_of_another() {
    let (_upstreams, mut gate) = stepping(1);
    gate.edit(|setup| setup.live("v2"));
    assert_eq!(gate.command("reload").code, 0);
    let mut waiting = Going::start(&gate, "status shop --wait");
    until("it waits", || waiting.err().contains("CANARY").then_some(()));
    gate.edit(|setup| setup.live("v1"));
    assert_eq!(gate.command("reload").code, 0);
    assert_eq!(waiting.code(), 5, "{} {}", waiting.out(), waiting.err());
}

/// Two people see the same step and say yes to it: the release goes on by one step, and the second is told.
#[test]
fn of_two_who_promote_one_step_the_second_is_told() {
    let (_upstreams, mut gate) = stepping(0);
    gate.edit(|setup| setup.live("v2"));
    assert_eq!(gate.command("reload").code, 0);
    gate.reaches("CANARY");
    let shown = gate.command("status shop");
    let mark = gate.release()["mark"].as_u64().unwrap();
    let promote = format!("promote shop --step {mark}");
    assert!(shown.err.contains(&format!("tidegate {promote} ")), "{shown:?}");
    let mut codes = std::thread::scope(|scope| {
        let both = [0, 1].map(|_| scope.spawn(|| gate.command(&promote)));
        both.map(|it| it.join().unwrap()).map(|it| it.code)
    });
    codes.sort_unstable();
    assert_eq!(codes, [0, 5]);
    until("one step and no more", || (gate.weight("v2") == 0.2).then_some(()));
    let late = gate.command(&promote);
    assert_eq!(late.code, 5, "{late:?}");
    assert!(late.err.contains("moved on") && late.err.contains("tidegate status"), "{late:?}");
    for line in ["pause shop", "weight shop v2=50%", "rollback shop"] {
        let late = gate.command(&format!("{line} --step {mark}"));
        assert_eq!(late.code, 5, "{line}: {late:?}");
    }
    assert_eq!(gate.weight("v2"), 0.2, "nothing has happened since");
}

/// A restart in the middle of a release is no end of it.
#[test]
fn a_wait_outlives_a_restart() {
    let (_upstreams, mut gate) = stepping(0);
    gate.edit(|setup| setup.live("v2"));
    assert_eq!(gate.command("reload").code, 0);
    let (mut one, mut all) =
        (Going::start(&gate, "status shop --wait"), Going::start(&gate, "status --wait --json"));
    until("they wait", || [&one, &all].iter().all(|it| it.err().contains("CANARY")).then_some(()));
    gate.kill();
    gate.start_again();
    assert!(one.goes_on() && all.goes_on(), "{} {}", one.err(), all.err());
    assert_eq!(gate.command("rollback shop --reason enough").code, 0);
    assert_eq!((one.code(), all.code()), (11, 11), "{} {}", one.err(), all.err());
    assert!(one.out().contains("enough"), "{}", one.out());
}

#[test]
fn a_pause_for_a_time_ends_by_itself() {
    let (_upstreams, mut gate) = stepping(0);
    gate.edit(|setup| setup.live("v2"));
    assert_eq!(gate.command("reload").code, 0);
    let paused = gate.command("pause shop --for 1s --reason lunch");
    assert_eq!(paused.code, 0, "{paused:?}");
    assert!(paused.out.contains("until") && paused.out.contains("lunch"), "{paused:?}");
    gate.reaches("CANARY");
    let events = gate.command("events shop");
    let (paused, resumed) = (events.out.find("paused"), events.out.find("resumed"));
    assert!(paused.is_some() && paused < resumed, "{events:?}");
    assert!(events.out.contains("the pause is over"), "{events:?}");
}

#[test]
fn what_is_watched_and_followed_comes_as_it_happens() {
    let (_upstreams, mut gate) = stepping(0);
    let mut watching = Going::start(&gate, "status shop --watch");
    let mut following = Going::start(&gate, "events shop --follow");
    until("both have begun", || {
        (watching.out().contains("LIVE") && following.out().contains("adopted")).then_some(())
    });
    gate.edit(|setup| setup.live("v2"));
    assert_eq!(gate.command("reload").code, 0);
    until("the change is shown", || watching.out().contains("CANARY").then_some(()));
    until("the event is shown", || following.out().contains("began").then_some(()));
    assert_eq!(gate.command("rollback shop").code, 0);
    until("the end is shown", || watching.out().contains("ROLLED BACK").then_some(()));
    until("the rollback is shown", || following.out().contains("rolled back").then_some(()));
    assert!(watching.goes_on() && following.goes_on());
    for said in [watching.out(), following.out()] {
        assert!(!said.contains('\x1b'), "nothing is drawn over where nobody looks: {said:?}");
    }
    let lines: Vec<String> = following.out().lines().map(str::to_owned).collect();
    let mut once = lines.clone();
    once.dedup();
    assert_eq!(lines, once, "each event once");
}
