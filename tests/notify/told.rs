//! What became of notifications, where decisions are read: by people, by programs and as it happens.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::support::gate::program;
use super::support::upstream::Latch;
use super::support::{Gate, Setup, Upstream, until};
use super::validator::violations;
use super::{answering, count, gate, target, webhook};

/// What became of telling of all events, in the words of the interface: `TARGET WHAT RESULT ATTEMPTS`.
fn told(gate: &Gate) -> Vec<String> {
    lines(gate).iter().map(word).collect()
}

fn word(it: &Value) -> String {
    let text = |key: &str| it[key].as_str().unwrap_or_else(|| panic!("{key} in {it:#}")).to_owned();
    format!("{} {} {} {}", text("target"), text("what"), text("result"), it["attempts"])
}

fn lines(gate: &Gate) -> Vec<Value> {
    let page = gate.json("/api/v1/events?since=0&limit=2000");
    let events = page["events"].as_array().expect("a list").clone();
    let mut all: Vec<Value> =
        events.iter().filter_map(|it| it["notifications"].as_array()).flatten().cloned().collect();
    all.sort_by_key(|it| it["id"].as_u64());
    all
}

/// The lines of `tidegate events` that are about notifications, without their moments.
fn said(gate: &Gate, more: &str) -> Vec<String> {
    let all = gate.command(&format!("events -n 1000{more}"));
    assert_eq!(all.code, 0, "{all:?}");
    let about = all.out.lines().filter_map(|it| it.split_once("  notify  "));
    about.map(|it| it.1.to_owned()).collect()
}

fn frozen(gate: &Gate) {
    assert_eq!(gate.ask("POST", "/api/v1/freeze", "{}").status, 200);
    assert_eq!(gate.ask("POST", "/api/v1/unfreeze", "{}").status, 200);
}

#[test]
fn a_webhook_that_fails_twice_is_said_to_fail_and_then_to_have_taken_it() {
    let receiver = answering(&["503 Busy", "500 No", "200 OK"]);
    let (gate, _upstreams) = gate(&webhook(&receiver, ", name: ci, events: [adopted, frozen]"));
    let mut follower = Command::new(program())
        .args(["events", "--follow", "--since", "0", "-c"])
        .arg(gate.file())
        .env("NO_COLOR", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("follow");
    until("it is told", || (count(&gate, "ci", "delivered") == 1.0).then_some(()));
    until("and that is said", || (told(&gate).len() == 2).then_some(()));
    assert_eq!(told(&gate), ["ci adopted retried 1", "ci adopted delivered 3"]);
    let all = lines(&gate);
    assert_eq!((&all[0]["problem"], &all[0]["recovered_seconds"]), (&json!("answered 503"), &json!(null)));
    assert!(all[0]["next"].as_str() > all[0]["at"].as_str(), "{:#}", all[0]);
    assert_eq!((&all[1]["problem"], &all[1]["next"]), (&json!(null), &json!(null)));
    assert!(all[1]["recovered_seconds"].as_f64() > Some(0.9), "{:#}", all[1]);
    assert!(all[1]["after_seconds"].as_f64() >= all[1]["recovered_seconds"].as_f64(), "{:#}", all[1]);
    // People read the same.
    let shown = said(&gate, "");
    assert!(
        shown[0].starts_with("ci did not take shop v1 adopted (#1): answered 503; next attempt "),
        "{shown:?}"
    );
    assert!(shown[1].starts_with("ci was told of shop v1 adopted (#1) after 3 attempts, "), "{shown:?}");
    // What works from then on is silent, unless somebody asks.
    frozen(&gate);
    until("it is told", || (count(&gate, "ci", "delivered") == 2.0).then_some(()));
    until("and that is said", || (told(&gate).len() == 3).then_some(()));
    assert_eq!(said(&gate, ""), shown);
    let all = said(&gate, " --notifications all");
    assert!(all.len() == 3 && all[2].starts_with("ci was told of shop v1 frozen (#"), "{all:?}");
    assert_eq!(said(&gate, " --notifications none"), Vec::<String>::new());
    // A program has them with their events, and follows them if it wants to.
    let first = gate.command("events --json");
    let first: Value = serde_json::from_str(first.out.lines().next().expect("an event")).expect("JSON");
    assert_eq!(first["what"], "adopted");
    assert_eq!(word(&first["notifications"][1]), "ci adopted delivered 3");
    // Whoever follows has seen each of them once.
    let mut followed = Vec::new();
    for line in BufReader::new(follower.stdout.take().expect("piped")).lines() {
        followed.push(line.expect("text"));
        if followed.last().is_some_and(|it| it.contains(" unfrozen ")) {
            break;
        }
    }
    follower.kill().expect("own child");
    follower.wait().expect("own child");
    let of = |text: &str| followed.iter().filter(|it| it.contains(text)).count();
    assert_eq!((of("did not take"), of("was told of")), (1, 1), "{followed:#?}");
}

#[test]
fn programs_follow_notifications_as_lines_of_their_own() {
    let (latch, calls) = (Latch::default(), AtomicUsize::new(0));
    let gone_by = latch.clone();
    let receiver = Upstream::start(move |peer| {
        while peer.request().is_some() && gone_by.pass() {
            let first = calls.fetch_add(1, Ordering::SeqCst) == 0;
            peer.answer(if first { "503 Busy" } else { "200 OK" }, "");
        }
    });
    let (gate, _upstreams) = gate(&webhook(&receiver, ", name: ci, events: adopted"));
    let mut follower = Command::new(program())
        .args(["events", "--follow", "--json", "--notifications", "all", "--since", "0", "-c"])
        .arg(gate.file())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("follow");
    let mut lines = BufReader::new(follower.stdout.take().expect("piped")).lines();
    let schema = gate.command("schema events").out;
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let mut next = || -> Value {
        let line = lines.next().expect("a line").expect("text");
        let line = serde_json::from_str(&line).expect("JSON");
        assert_eq!(violations(&schema, &schema, &line, ""), Vec::<String>::new(), "{line:#}");
        line
    };
    let event = next();
    assert_eq!((&event["what"], event.get("notifications")), (&json!("adopted"), None));
    latch.open();
    for expected in ["ci adopted retried 1", "ci adopted delivered 2"] {
        let mut line = next();
        while line.get("notification").is_none() {
            line = next();
        }
        assert_eq!(word(&line["notification"]), expected);
        assert_eq!(line.as_object().expect("an object").len(), 1, "{line:#}");
    }
    follower.kill().expect("own child");
    follower.wait().expect("own child");
}

#[test]
fn what_is_always_refused_is_given_up_with_the_last_reason() {
    let receiver = answering(&["503 Busy", "500 No"]);
    let (gate, _upstreams) = gate(&webhook(&receiver, ", name: ci, events: adopted, give_up: 1s"));
    until("it is given up", || (count(&gate, "ci", "failed") == 1.0).then_some(()));
    until("and that is said", || lines(&gate).iter().find(|it| it["result"] == "failed").cloned());
    let all = lines(&gate);
    let attempts = all.last().expect("a line")["attempts"].as_u64().expect("a number");
    // One line for the first failure, whatever came after it, and one for the end.
    assert!(attempts >= 2, "{all:#?}");
    assert_eq!(told(&gate), ["ci adopted retried 1".to_owned(), format!("ci adopted failed {attempts}")]);
    assert_eq!((&all[0]["problem"], &all[1]["problem"]), (&json!("answered 503"), &json!("answered 500")));
    let end =
        format!("ci is not told of shop v1 adopted (#1), given up after {attempts} attempts: answered 500");
    assert_eq!(said(&gate, "").last(), Some(&end));
    assert_eq!(receiver.count() as u64, attempts);
}

#[test]
fn a_target_that_hangs_is_said_to_hang_while_everything_goes_on() {
    let hangs = Upstream::start(|peer| drop((peer.request(), peer.hold())));
    let (mut gate, _upstreams) = gate(&webhook(&hangs, ", name: ops"));
    until("it hangs", || (hangs.count() == 1).then_some(()));
    gate.edit(|it| it.live("v2"));
    gate.reaches("CANARY");
    assert_eq!(gate.command("rollback shop --reason enough").code, 0);
    assert_eq!(gate.weight("v2"), 0.0);
    until("that is said", || (!told(&gate).is_empty()).then_some(()));
    assert_eq!(told(&gate), ["ops adopted retried 1"]);
    assert!(said(&gate, "")[0].starts_with("ops did not take shop v1 adopted (#1): no answer within 5s;"));
}

/// Three hundred events and a receiver that takes none of them: one line for people, and each end for whoever looks.
#[test]
fn the_same_trouble_is_one_line_and_every_event_has_its_end() {
    let receiver = answering(&["404 Nobody"]);
    let (gate, _upstreams) = gate(&webhook(&receiver, ", name: ci"));
    (0..150).for_each(|_| frozen(&gate));
    until("all are refused", || (count(&gate, "ci", "failed") == 301.0).then_some(()));
    until("and that is said", || (lines(&gate).len() == 301).then_some(()));
    let events = gate.json("/api/v1/events?since=0&limit=2000");
    for it in events["events"].as_array().expect("a list") {
        let told = it["notifications"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert_eq!(told.iter().map(|it| &it["result"]).collect::<Vec<_>>(), ["failed"], "{it:#}");
    }
    assert_eq!(said(&gate, ""), ["ci is not told of 301 events (#1 to #301), given up: answered 404"]);
    assert_eq!(receiver.count(), 301, "nobody is told of what became of telling them");
}

#[test]
fn who_asks_for_silence_gets_it_and_who_is_slow_gets_everything_and_both_are_said() {
    let latch = Latch::default();
    let gone_by = latch.clone();
    let slow = Upstream::start(move |peer| {
        while peer.request().is_some() && gone_by.pass() {
            peer.answer("200 OK", "");
        }
    });
    let gone = answering(&["410 Gone"]);
    let targets = [webhook(&slow, ", name: slow"), webhook(&gone, ", name: gone")].join(", ");
    let (gate, _upstreams) = gate(&targets);
    (0..130).for_each(|_| frozen(&gate));
    until("all wait", || (target(&gate, "slow")["waiting"] == 261).then_some(()));
    until("all are refused", || (count(&gate, "gone", "failed") == 261.0).then_some(()));
    assert_eq!(gone.count(), 1);
    latch.open();
    until("all has an end", || (lines(&gate).len() >= 2 * 261).then_some(()));
    for it in gate.json("/api/v1/events?since=0&limit=2000")["events"].as_array().expect("a list") {
        let ends =
            it["notifications"].as_array().expect("some").iter().filter(|it| it["result"] != "retried");
        assert_eq!(ends.count(), 2, "{it:#}");
    }
    until("everything is told", || (count(&gate, "slow", "delivered") == 261.0).then_some(()));
    let shown = said(&gate, "");
    for part in [
        "gone is not told of shop v1 adopted (#1), given up after 1 attempt: answered 410",
        "given up: it has asked not to be called any more",
    ] {
        assert!(shown.iter().any(|it| it.contains(part)), "{part} in {shown:#?}");
    }
    assert_eq!(
        (target(&gate, "slow")["dropped"].clone(), target(&gate, "gone")["failed"].clone()),
        (json!(0), json!(261))
    );
}

/// Killed between two attempts: what was said before is still said, and what was not told is told.
#[test]
fn a_crash_forgets_nothing_that_was_said() {
    let receiver = answering(&["200 OK", "503 Busy"]);
    let address = receiver.address();
    let (mut gate, _upstreams) = gate(&webhook(&receiver, ", name: ci, events: [adopted, began]"));
    until("one is told", || (told(&gate).len() == 1).then_some(()));
    gate.edit(|it| it.live("v2"));
    gate.reaches("CANARY");
    until("the other one is not", || (told(&gate).len() == 2).then_some(()));
    let before = lines(&gate);
    gate.kill();
    drop(receiver);
    let _receiver = Upstream::start_on(address, |peer| peer.serve("200 OK", ""));
    gate.start_again();
    until("it is told after all", || (told(&gate).len() == 3).then_some(()));
    assert_eq!(lines(&gate)[..2], before[..]);
    assert_eq!(told(&gate), ["ci adopted delivered 1", "ci began retried 1", "ci began delivered 1"]);
    assert!(
        said(&gate, "")[1].contains("was told of shop v2 began (#2); it had taken nothing for "),
        "{:?}",
        said(&gate, "")
    );
    gate.signal(Signal::TERM);
    assert!(gate.exit_status().success());
    gate.start_again();
    assert_eq!(told(&gate).len(), 3);
}

/// What the other side says is shown to nobody raw, however it says it; and it is let go of after five seconds,
/// however slowly.
#[test]
fn a_hostile_receiver_reaches_no_terminal() {
    let shouts =
        Upstream::raw("HTTP/1.1 503 \x1b]0;owned\x07\u{202e}\r\nx: \x1b[31m\r\nContent-Length: 0\r\n\r\n");
    let babbles = Upstream::raw("\x1b[2J\x1b[31mnot HTTP\r\n\r\n\x07");
    let swells = Upstream::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 500 No\r\n");
        while peer.send(format!("x: {}\x1b[31m\r\n", "a".repeat(4000))) {}
    });
    let drips = Upstream::start(|peer| {
        peer.request();
        // As slow as one byte a minute is to whoever waits for five seconds.
        peer.send("H");
        peer.hold();
    });
    let targets = [&shouts, &babbles, &swells, &drips].into_iter().enumerate();
    let targets: Vec<String> =
        targets.map(|(at, it)| webhook(it, &format!(", name: t{at}, events: adopted"))).collect();
    let (gate, _upstreams) = gate(&targets.join(", "));
    until("all have failed", || (lines(&gate).len() == 4).then_some(()));
    for it in lines(&gate) {
        assert_eq!((&it["result"], &it["attempts"]), (&json!("retried"), &json!(1)));
    }
    for verb in [
        "events",
        "events --json",
        "events --notifications all",
        "history shop --json",
        "status",
        "status --json",
    ] {
        let out = gate.command(verb).out;
        assert!(out.contains("t3"), "{verb}: {out}");
        let raw = out.chars().find(|it| it.is_control() && *it != '\n' || *it == '\u{202e}');
        assert_eq!(raw, None, "{verb}: {out:?}");
        assert!(!out.contains("owned") && !out.contains("not HTTP"), "{verb}: {out}");
    }
    let log = gate.log();
    assert!(log.contains("is tried again") && !log.contains('\x07') && !log.contains("owned"), "{log:?}");
}

/// Nothing about notifications can be written down. Everything goes on, and it is still said.
#[test]
fn a_disk_that_takes_nothing_costs_memory_only_what_was_said() {
    let receiver = answering(&["503 Busy", "200 OK"]);
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let setup = Setup::to(&one)
        .version("v2", &[two.address()])
        .service("rollout: {steps: [50% for 1h]}")
        .top(format!("notify: [{}]", webhook(&receiver, ", name: ci")));
    let mut gate = Gate::start_laid_out(setup, |file, text| {
        std::fs::write(file, text).expect("the file");
        let state = file.ancestors().nth(2).expect("a directory").join("state");
        // Directories where files should be.
        for name in ["notifications.log", "notifications.log.new"] {
            std::fs::create_dir_all(state.join(name).join("x")).expect("a directory");
        }
    });
    gate.edit(|it| it.live("v2"));
    gate.reaches("CANARY");
    assert_eq!(gate.command("rollback shop").code, 0);
    assert_eq!(gate.weight("v2"), 0.0);
    until("it is told", || (count(&gate, "ci", "delivered") >= 3.0).then_some(()));
    until("and that is said", || told(&gate).iter().any(|it| it.contains("rolled_back")).then_some(()));
    assert!(gate.log().contains("is kept in memory only"), "{}", gate.log());
    assert_eq!(gate.log().matches("is kept in memory only").count(), 1, "{}", gate.log());
}

/// A disk of 64 KiB that is full. A rollback is made and told, what is told is said, and when there is room again it
/// is written down.
#[test]
fn a_full_disk_holds_up_neither_a_rollback_nor_its_notification() {
    let receiver = answering(&["200 OK"]);
    let (mut gate, _upstreams) =
        gate(&webhook(&receiver, ", name: ci, events: [rolled_back, frozen, unfrozen]"));
    gate.edit(|it| it.live("v2"));
    gate.reaches("CANARY");
    gate.kill();
    let Some(root) = gate.try_start_on_a_small_disk() else {
        eprintln!("skipped: no file systems can be mounted here");
        return;
    };
    let filler = format!("{root}/filler");
    let _ = std::fs::write(&filler, vec![0; 1 << 20]);
    until("nothing can be written down", || {
        frozen(&gate);
        (gate.metric("tidegate_journal_durable", &[]) == 0.0).then_some(())
    });
    assert_eq!(gate.command("rollback shop --reason enough").code, 0);
    assert_eq!(gate.weight("v2"), 0.0);
    until("it is told all the same", || {
        told(&gate).contains(&"ci rolled_back delivered 1".into()).then_some(())
    });
    until("it is said that it is in memory only", || {
        gate.log().contains("is kept in memory only").then_some(())
    });
    std::fs::remove_file(&filler).expect("the filler");
    let book = format!("{root}/notifications.log");
    until("it is written down", || {
        frozen(&gate);
        std::fs::read_to_string(&book).is_ok_and(|it| it.contains("\"rolled_back\"")).then_some(())
    });
}
