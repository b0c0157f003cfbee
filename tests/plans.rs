//! What a plan says besides its steps, end to end: windows, deadlines, pauses after a breach, traffic that
//! does not come, how long the version before is kept.
#![allow(clippy::disallowed_methods, reason = "real programs in real time")]

mod support;

use std::time::Duration;

use support::load::Load;
use support::{Gate, Setup, Upstream, until};

/// v1 is live, and v2 is wanted under this plan.
fn released(one: &Upstream, two: &Upstream, plan: &str) -> Gate {
    let mut gate =
        Setup::to(one).version("v2", &[two.address()]).service(format!("rollout: {{{plan}}}")).start();
    gate.edit(|setup| setup.live("v2"));
    gate
}

fn load(gate: &Gate) -> Load {
    Load::start(gate.address(), 2, Duration::from_millis(1))
}

#[test]
fn too_little_traffic_does_what_the_plan_says() {
    for (word, end) in [("promote", "LIVE"), ("rollback", "ROLLED BACK")] {
        let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
        let steps = "steps: [{weight: 50%, for: 300ms, requests: 100000}], watch: 300ms";
        let gate = released(&one, &two, &format!("{steps}, guard: {{no_traffic: {word}}}"));
        let stable = if word == "promote" { "v2" } else { "v1" };
        until(word, || (gate.release()["stable"] == stable && gate.state() == end).then_some(()));
    }
}

#[test]
fn a_breach_that_pauses_waits_for_a_person() {
    let (one, two) = (Upstream::answering("one"), Upstream::with_status("500 No", "two"));
    let gate = released(&one, &two, "steps: [20% for 1h], guard: {on_breach: pause}");
    let load = load(&gate);
    gate.reaches("PAUSED");
    assert_eq!(gate.weight("v2"), 0.2);
    assert_eq!(gate.command("rollback shop").code, 0);
    gate.reaches("ROLLED BACK");
    load.stop();
}

#[test]
fn a_deadline_takes_a_release_back() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let gate = released(&one, &two, "steps: [20% for 1h], deadline: 1s");
    gate.reaches("ROLLED BACK");
    assert!(gate.release()["why"].as_str().unwrap().contains("deadline"), "{:#}", gate.release());
}

#[test]
fn a_version_that_is_no_longer_kept_is_no_target() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let gate = released(&one, &two, "watch: 300ms, keep_previous: 100ms, guard: {no_traffic: promote}");
    until("it is over", || gate.command("events shop").out.contains("no longer kept").then_some(()));
    let refused = gate.command("rollback shop");
    assert_ne!(refused.code, 0);
    assert!(refused.err.contains("is still kept"), "{refused:?}");
    assert_eq!(gate.get("/").text(), "two");
}

/// A restart in the middle of a soak neither shortens it nor begins it anew without end.
#[test]
fn a_restart_does_not_shorten_a_soak() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let mut gate = released(&one, &two, "steps: [10% for 1h, 50% for 1h]");
    gate.reaches("CANARY");
    let left = |gate: &Gate| gate.release()["left_seconds"].as_f64();
    let before = left(&gate);
    gate.kill();
    gate.start_again();
    gate.reaches("CANARY");
    assert_eq!(gate.weight("v2"), 0.1);
    let after = left(&gate);
    assert!(before.zip(after).is_some_and(|(a, b)| b > a - 30.0 && b > 3_000.0), "{before:?} {after:?}");
}

#[test]
fn a_holdback_stays_on_stable_while_the_new_version_is_watched() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let gate = released(&one, &two, "watch: {for: 1h, holdback: 10%}");
    gate.reaches("WATCHING");
    assert_eq!((gate.weight("v1"), gate.weight("v2")), (0.1, 0.9));
}

#[test]
fn a_closed_window_holds() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    // The first day of all was a Thursday; half a week from now it is another day.
    let day = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][(now.as_secs() / 86_400) as usize % 7];
    let gate = released(&one, &two, &format!("steps: [10% for 1h], window: {day} 00:00-24:00 UTC"));
    until("it is held", || gate.release()["held"].as_str()?.contains("release window").then_some(()));
    assert_eq!((gate.state().as_str(), gate.weight("v2")), ("HELD", 0.0));
}
