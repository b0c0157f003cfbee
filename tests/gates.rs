//! What stands between a version and its users, end to end: previews, acceptance tests, approvals,
//! checks, freezes.
#![allow(clippy::disallowed_methods, reason = "real programs in real time")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::load::Load;
use support::{Gate, Setup, Upstream, until};

fn ms(it: u64) -> Duration {
    Duration::from_millis(it)
}

/// v1 is live, v2 waits in the file.
fn two_versions(one: &Upstream, two: &Upstream) -> Setup {
    Setup::to(one).version("v2", &[two.address()])
}

fn history(gate: &Gate) -> String {
    gate.command("history shop --limit 100").out
}

/// Whether a process with the number in this file is there.
fn lives(file: &Path) -> bool {
    let pid = std::fs::read_to_string(file).unwrap_or_default();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// What a request with this header line is answered.
fn with_header(gate: &Gate, line: &str) -> String {
    gate.answer_to(format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\nConnection: close\r\n\r\n")).text()
}

/// Testers reach the canary as long as there is one; what they see is never held against it.
#[test]
fn testers_reach_the_canary_by_header_and_by_host() {
    let (one, two) = (Upstream::answering("one"), Upstream::with_status("500 No", "two"));
    let mut gate = Setup::to(&one)
        .version("v2", &[two.address()])
        .service("rollout: {preview: {header: {x-preview: v2}, host: next.example}, steps: [0.01% for 1h]}")
        .start();
    assert_eq!(with_header(&gate, "X-Preview: v2"), "one", "nothing is being released");
    gate.edit(|setup| setup.live("v2"));
    gate.reaches("CANARY");
    for _ in 0..50 {
        assert_eq!(with_header(&gate, "X-Preview: v2"), "two");
        assert_eq!(with_header(&gate, "X-Preview: v3"), "one");
    }
    let by_host = gate.answer_to("GET / HTTP/1.1\r\nHost: next.example\r\nConnection: close\r\n\r\n");
    assert_eq!(by_host.text(), "two");
    let release = gate.release();
    assert_eq!(release["state"], "CANARY", "{release:#}");
    assert_eq!(gate.command("rollback shop").code, 0);
    until("it is out", || (with_header(&gate, "X-Preview: v2") == "one").then_some(()));
}

/// Blue and green, with tests before it goes live: users come when they have passed.
#[test]
fn verified_before_it_goes_live() {
    let (blue, green) = (Upstream::answering("blue"), Upstream::answering("green"));
    let dir = tempfile::tempdir().unwrap();
    let go = dir.path().join("go");
    let script = format!(
        "echo testing $1 $TIDEGATE_VERSION; until [ -e {} ]; do sleep 0.02; done; echo all well",
        go.display()
    );
    let verify =
        format!("[{{run: [sh, -c, '{script}', sh, '{{endpoint}}']}}, {{url: '{{endpoint}}/selftest'}}]");
    let mut gate = two_versions(&blue, &green)
        .service(format!(
            "rollout: {{preview: {{header: {{x-preview: v2}}}}, verify: {verify}, watch: 300ms}}"
        ))
        .start();
    let load = Load::start(gate.address(), 2, ms(2));
    gate.edit(|setup| setup.live("v2"));
    gate.reaches("VERIFYING");
    assert_eq!(with_header(&gate, "X-Preview: v2"), "green", "testers reach it");
    let seen = green.count();
    let release = gate.release();
    assert!(release["held"].as_str().unwrap_or_default().contains("check 1 of 2"), "{release:#}");
    assert_eq!((gate.weight("v2"), seen), (0.0, 1), "no user has");
    // A restart in the middle of it begins it anew.
    gate.kill();
    load.stop();
    gate.start_again();
    gate.reaches("VERIFYING");
    std::fs::write(&go, "").unwrap();
    let load = Load::start(gate.address(), 2, ms(2));
    gate.reaches("LIVE");
    assert_eq!(gate.release()["stable"], "v2", "{:#}", gate.release());
    load.stop().assert_all("200");
    let requests = green.requests();
    assert!(requests.iter().any(|it| it.target() == "/selftest"), "the URL was asked");
    let told = history(&gate);
    assert!(told.contains("all well"), "what a check said is in the history:\n{told}");
    // One command, and the version before has everything again.
    assert_eq!(gate.command("rollback shop --reason worse").code, 0);
    assert_eq!((gate.get("/").text().as_str(), gate.state().as_str()), ("blue", "ROLLED BACK"));
}

#[test]
fn a_version_that_fails_its_tests_never_gets_a_user() {
    let (blue, green) = (Upstream::answering("blue"), Upstream::answering("green"));
    let mut gate = two_versions(&blue, &green)
        .service("rollout: {verify: [{name: smoke, run: [sh, -c, 'echo cart is empty; exit 3']}], steps: [50% for 1h]}")
        .start();
    let load = Load::start(gate.address(), 2, ms(2));
    gate.edit(|setup| setup.live("v2"));
    gate.reaches("ROLLED BACK");
    assert_eq!(green.count(), 0);
    load.stop().assert_all("200 blue");
    let release = gate.release();
    assert!(release["why"].as_str().unwrap().contains("smoke: exit status 3"), "{release:#}");
    assert_eq!(release["quarantined"][0]["version"], "v2");
    assert!(history(&gate).contains("cart is empty"));
    gate.reload(|setup| setup.service("balance: least_request"));
    assert_eq!(gate.state(), "ROLLED BACK", "the quarantine holds");
    assert_eq!(gate.command("promote shop").code, 11);
}

/// A person is asked; meanwhile the guards are armed.
#[test]
fn an_approval_waits_and_a_rollback_does_not() {
    let (one, two) = (Upstream::answering("one"), Upstream::with_status("500 No", "two"));
    let good = Upstream::answering("good");
    let steps = "steps: [{weight: 50%, for: 50ms, requests: 5, until: approved}]";
    let mut gate = Setup::to(&one)
        .version("v2", &[good.address()])
        .version("v3", &[two.address()])
        .service(format!("rollout: {{{steps}, watch: 100ms}}"))
        .start();
    let load = Load::start(gate.address(), 2, ms(1));
    gate.edit(|setup| setup.live("v2"));
    gate.reaches("APPROVAL");
    assert_eq!(gate.command("status shop --wait").code, 12);
    gate.kill();
    gate.start_again();
    load.stop();
    let load = Load::start(gate.address(), 2, ms(1));
    gate.reaches("APPROVAL");
    assert_eq!(gate.command("promote shop --reason reviewed").code, 0);
    gate.reaches("LIVE");
    assert!(history(&gate).contains("reviewed"), "{}", history(&gate));
    load.stop();
    // Errors while nobody has answered yet: it goes back by itself.
    gate.edit(|setup| setup.service("rollout: {promote: manual, steps: [], watch: 1h}").live("v3"));
    gate.reaches("APPROVAL");
    assert_eq!((two.count(), gate.weight("v3")), (0, 0.0), "a yes is needed before the first user");
    assert_eq!(gate.command("promote shop").code, 0);
    let load = Load::start(gate.address(), 2, ms(1));
    gate.reaches("ROLLED BACK");
    load.stop();
}

/// It fails while somebody is being asked: it goes back, and a yes that comes too late counts for nothing.
#[test]
fn a_canary_that_fails_while_approval_is_awaited_goes_back() {
    let fails = Arc::new(AtomicBool::new(false));
    let told = fails.clone();
    let (one, two) = (
        Upstream::answering("one"),
        Upstream::start(move |peer| {
            while peer.request().is_some() {
                let bad = told.load(Ordering::SeqCst);
                peer.answer(if bad { "500 No" } else { "200 OK" }, "two");
            }
        }),
    );
    let mut gate = two_versions(&one, &two)
        .service("rollout: {steps: [{weight: 50%, for: 50ms, requests: 5, until: approved}], watch: 1h}")
        .start();
    let load = Load::start(gate.address(), 2, ms(1));
    gate.edit(|setup| setup.live("v2"));
    gate.reaches("APPROVAL");
    assert_eq!(gate.weight("v2"), 0.5);
    fails.store(true, Ordering::SeqCst);
    gate.reaches("ROLLED BACK");
    load.stop();
    let release = gate.release();
    assert!(release["why"].as_str().unwrap().contains("canary failed"), "{release:#}");
    assert_eq!(release["quarantined"][0]["version"], "v2", "{release:#}");
    let refused = gate.command("promote shop --reason reviewed");
    assert_eq!(refused.code, 11, "{refused:?}");
    assert!(refused.err.contains("v2 is out"), "{refused:?}");
    assert_eq!((gate.state().as_str(), gate.weight("v2")), ("ROLLED BACK", 0.0));
    // Another attempt asks again.
    fails.store(false, Ordering::SeqCst);
    assert_eq!(gate.command("retry shop").code, 0);
    let load = Load::start(gate.address(), 2, ms(1));
    gate.reaches("APPROVAL");
    assert_eq!(gate.weight("v2"), 0.5);
    load.stop().assert_all("200");
}

/// A check that hangs ends with its children: at its time, and when the release goes back before.
#[test]
fn a_check_that_hangs_ends_with_its_children() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let dir = tempfile::tempdir().unwrap();
    let pid = dir.path().join("pid");
    let script = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", pid.display());
    let step = |timeout: &str| {
        format!(
            "rollout: {{steps: [{{weight: 10%, for: 50ms, requests: 0, checks: \
             [{{run: [sh, -c, '{script}'], timeout: {timeout}}}]}}]}}"
        )
    };
    let mut gate = two_versions(&one, &two).service(step("1h")).start();
    let load = Load::start(gate.address(), 2, ms(1));
    gate.edit(|setup| setup.live("v2"));
    until("the check runs", || pid.exists().then_some(()));
    assert!(lives(&pid));
    assert_eq!(gate.command("rollback shop").code, 0);
    until("it has ended", || (!lives(&pid)).then_some(()));
    std::fs::remove_file(&pid).unwrap();
    gate.reload(|setup| setup.service(step("300ms")));
    assert_eq!(gate.command("retry shop").code, 0);
    until("the check runs again", || pid.exists().then_some(()));
    gate.reaches("ROLLED BACK");
    until("it has ended too", || (!lives(&pid)).then_some(()));
    assert!(gate.release()["why"].as_str().unwrap().contains("not done within"), "{:#}", gate.release());
    load.stop().assert_all("200");
}

/// Killed while a check between two steps runs: the new process runs it anew, and its yes counts.
#[test]
fn a_check_that_a_crash_ended_is_run_again() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let dir = tempfile::tempdir().unwrap();
    let (go, runs) = (dir.path().join("go"), dir.path().join("runs"));
    let script = format!(
        "echo run >> {}; until [ -e {} ]; do [ -d {} ] || exit; sleep 0.02; done; echo all well",
        runs.display(),
        go.display(),
        dir.path().display()
    );
    let check = format!("{{name: smoke, run: [sh, -c, '{script}'], timeout: 1h}}");
    let steps = format!("[{{weight: 10%, for: 50ms, requests: 5, checks: [{check}]}}, 50% for 1h]");
    let mut gate = two_versions(&one, &two).service(format!("rollout: {{steps: {steps}}}")).start();
    let begun = |gate: &Gate, number: usize| {
        until("the check runs", || {
            (std::fs::read_to_string(&runs).ok()?.lines().count() == number).then_some(())
        });
        until("it is said", || gate.release()["held"].as_str()?.contains("is running: smoke").then_some(()));
        assert_eq!(gate.weight("v2"), 0.1);
    };
    let load = Load::start(gate.address(), 2, ms(1));
    gate.edit(|setup| setup.live("v2"));
    begun(&gate, 1);
    gate.kill();
    load.stop();
    gate.start_again();
    let load = Load::start(gate.address(), 2, ms(1));
    begun(&gate, 2);
    std::fs::write(&go, "").unwrap();
    until("it goes on", || (gate.weight("v2") == 0.5).then_some(()));
    load.stop().assert_all("200");
    let told = history(&gate);
    assert_eq!(told.matches("smoke: passed").count(), 1, "{told}");
    assert!(told.contains("all well"), "{told}");
}

/// A freeze survives a restart, holds what would advance, and never a rollback; a person may insist.
#[test]
fn a_freeze_holds_what_advances_and_nothing_else() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let mut gate = two_versions(&one, &two)
        .service("rollout: {steps: [{weight: 10%, for: 50ms, requests: 0}, {weight: 50%, for: 1h}]}")
        .start();
    assert_eq!(gate.command("freeze --for 1h --reason holidays").code, 0);
    gate.edit(|setup| setup.live("v2"));
    until("it is held", || gate.release()["why"].as_str()?.contains("holidays").then_some(()));
    let shown = gate.command("status").out;
    assert!(shown.contains("! frozen by ") && shown.contains(": holidays; nothing advances"), "{shown}");
    gate.kill();
    gate.start_again();
    assert_eq!(gate.weight("v2"), 0.0);
    assert_eq!(gate.command("promote shop").code, 1, "frozen");
    assert_eq!(gate.command("promote shop --override --reason urgent").code, 0);
    until("it begins", || (gate.weight("v2") == 0.1).then_some(()));
    assert!(history(&gate).contains("urgent"));
    assert_eq!(gate.command("rollback shop").code, 0, "never frozen");
    assert_eq!(gate.command("unfreeze").code, 0);
    assert_eq!(gate.command("unfreeze").code, 0, "asking twice is asking once");
    let told = gate.command("events shop --limit 100").out;
    let counts = ["  frozen  ", "  unfrozen  "].map(|it| told.matches(it).count());
    assert_eq!(counts, [1, 1], "{told}");
    assert!(told.contains("(holidays)"), "{told}");
    assert_eq!(gate.command("retry shop").code, 0);
    let load = Load::start(gate.address(), 2, ms(1));
    until("it goes on", || (gate.weight("v2") == 0.5).then_some(()));
    load.stop().assert_all("200");
}

/// A weight by hand stays until somebody says otherwise.
#[test]
fn a_weight_by_hand_stays() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let mut gate = two_versions(&one, &two).service("rollout: {steps: [10% for 1h, 50% for 1h]}").start();
    assert_eq!(gate.command("weight shop v2=20%").code, 1, "nothing is being released");
    gate.edit(|setup| setup.live("v2"));
    gate.reaches("CANARY");
    for _ in 0..2 {
        assert_eq!(gate.command("weight shop v2=25% --reason load-test").code, 0);
        assert_eq!((gate.weight("v2"), gate.state().as_str()), (0.25, "PAUSED"));
    }
    assert!(history(&gate).contains("load-test"), "{}", history(&gate));
    assert_eq!(gate.command("weight shop v1=25%").code, 1, "only the version that is released");
    assert_eq!(gate.command("weight shop v2=250%").code, 2);
    assert_eq!(gate.command("resume shop").code, 0);
    assert_eq!(gate.command("promote shop --to 50%").code, 0);
    assert_eq!(gate.weight("v2"), 0.5);
}

/// Nobody is sent to a version that cannot be reached.
#[test]
fn a_version_that_cannot_be_reached_gets_nobody() {
    let one = Upstream::answering("one");
    let nobody = support::upstream::refusing();
    let mut gate = Setup::to(&one).version("v2", &[nobody]).service("rollout: {steps: [50% for 1h]}").start();
    let load = Load::start(gate.address(), 2, ms(2));
    gate.edit(|setup| setup.live("v2"));
    until("it is said", || gate.release()["why"].as_str()?.contains("no ready endpoint").then_some(()));
    assert_eq!(gate.weight("v2"), 0.0);
    load.stop().assert_all("200 one");
    let two = Upstream::start_on(nobody, |peer| peer.serve("200 OK", "two"));
    until("it begins when there is somebody", || (gate.weight("v2") == 0.5).then_some(()));
    drop(two);
}
