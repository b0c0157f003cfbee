//! Releases end to end: real traffic, real faults, the file and the command line.
#![allow(clippy::disallowed_methods, reason = "real programs in real time")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use support::load::{Load, Tally};
use support::wait::within;
use support::{Gate, Setup, Upstream, until};

fn ms(it: u64) -> Duration {
    Duration::from_millis(it)
}

/// One of every `of` answers is a 500.
fn failing(of: u64, body: &'static str) -> (Upstream, Arc<AtomicU64>) {
    let failed = Arc::new(AtomicU64::new(0));
    let (count, failures) = (AtomicU64::new(0), failed.clone());
    let upstream = Upstream::start(move |peer| {
        while peer.request().is_some() {
            if count.fetch_add(1, Ordering::SeqCst) % of == of - 1 {
                failures.fetch_add(1, Ordering::SeqCst);
                peer.answer("500 Internal Server Error", body);
            } else {
                peer.answer("200 OK", body);
            }
        }
    });
    (upstream, failed)
}

/// v1 is live, v2 waits in the file.
fn two_versions(one: &Upstream, two: &Upstream) -> Setup {
    Setup::to(one).version("v2", &[two.address()])
}

/// Events of `shop` as `(what, version)`.
fn events(gate: &Gate) -> Vec<(String, String)> {
    let page = gate.json("/api/v1/events");
    let text = |it: &serde_json::Value| it.as_str().expect("a text").to_owned();
    page["events"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| (text(&it["what"]), text(&it["version"])))
        .collect()
}

#[test]
fn the_first_live_version_is_adopted_without_a_release() {
    let one = Upstream::answering("one");
    let gate = Setup::to(&one).start();
    let release = gate.release();
    assert_eq!((release["state"].as_str(), release["stable"].as_str()), (Some("LIVE"), Some("v1")));
    assert_eq!((gate.weight("v1"), gate.get("/").text().as_str()), (1.0, "one"));
}

/// Blue and green: change one word, save; back the same way.
#[test]
fn a_flip_by_the_file_loses_no_request() {
    let (blue, green) = (Upstream::answering("blue"), Upstream::answering("green"));
    let mut gate = two_versions(&blue, &green).service("rollout: {watch: 1s}").workers(2).start();
    let load = Load::start(gate.address(), 4, ms(2));
    until("traffic flows", || (load.sent() > 50).then_some(()));
    gate.edit(|setup| setup.live("v2"));
    until("all traffic is on green", || (gate.weight("v2") == 1.0).then_some(()));
    let before = blue.count();
    gate.reaches("LIVE");
    assert_eq!(gate.release()["stable"], "v2");
    assert!(blue.count() <= before + 4, "blue still gets requests");
    gate.edit(|setup| setup.live("v1"));
    until("all traffic is on blue", || (gate.weight("v1") == 1.0).then_some(()));
    gate.reaches("LIVE");
    let tally = load.stop();
    tally.assert_all("200");
    assert!(tally.count("200 blue") > 0 && tally.count("200 green") > 0, "{tally:?}");
}

#[test]
fn setting_live_back_while_it_is_watched_is_an_instant_rollback() {
    let (blue, green) = (Upstream::answering("blue"), Upstream::answering("green"));
    let mut gate = two_versions(&blue, &green).start();
    gate.edit(|setup| setup.live("v2"));
    gate.reaches("WATCHING");
    assert_eq!(gate.get("/").text(), "green");
    gate.edit(|setup| setup.live("v1"));
    until("blue has the traffic", || (gate.weight("v1") == 1.0).then_some(()));
    assert_eq!(gate.get("/").text(), "blue");
    assert_eq!(gate.release()["stable"], "v1");
}

#[test]
fn a_good_canary_climbs_its_steps_and_becomes_stable() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let steps = "rollout: {steps: [{weight: 10%, for: 400ms, requests: 20}, {weight: 50%, for: 400ms, requests: 20}], watch: 400ms}";
    let mut gate = two_versions(&one, &two).service(steps).start();
    let load = Load::start(gate.address(), 4, ms(2));
    gate.edit(|setup| setup.live("v2"));
    let mut weights = vec![0.0];
    until("the canary is stable", || {
        let weight = gate.weight("v2");
        if weights.last() != Some(&weight) {
            weights.push(weight);
        }
        (gate.release()["stable"] == "v2" && gate.state() == "LIVE").then_some(())
    });
    load.stop().assert_all("200");
    assert!([0.0, 0.1, 0.5, 1.0].starts_with(&weights) || weights == [0.0, 0.1, 0.5, 1.0], "{weights:?}");
    let what: Vec<String> = events(&gate).into_iter().map(|it| it.0).collect();
    assert!(what.len() >= 4, "{what:?}");
}

/// What the canary gets is what its weight says, drawn for every request.
#[test]
fn the_share_of_a_canary_is_its_weight() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let mut gate = two_versions(&one, &two).service("rollout: {steps: [20% for 1h]}").start();
    gate.edit(|setup| setup.live("v2"));
    gate.reaches("CANARY");
    until("the weight is published", || (gate.weight("v2") == 0.2).then_some(()));
    let mut client = gate.connect();
    let total = 4000;
    let canary = (0..total).filter(|_| client.get("/").text() == "two").count();
    // Six standard deviations around 800.
    assert!((648..=952).contains(&canary), "{canary} of {total}");
}

#[test]
fn a_static_split_needs_no_release() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let gate = two_versions(&one, &two).service("split: {v2: 30%}").start();
    assert_eq!(gate.state(), "LIVE");
    let mut client = gate.connect();
    let canary = (0..2000).filter(|_| client.get("/").text() == "two").count();
    assert!((478..=722).contains(&canary), "{canary} of 2000");
}

#[test]
fn a_unit_stays_at_its_version() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let gate = two_versions(&one, &two)
        .service("split: {v2: 50%}")
        .service("sticky: {by: header, name: x-user}")
        .start();
    let ask =
        |user: u32| gate.answer_to(format!("GET / HTTP/1.1\r\nHost: a\r\nX-User: u{user}\r\n\r\n")).text();
    let first: Vec<String> = (0..40).map(ask).collect();
    assert!(first.contains(&"one".to_owned()) && first.contains(&"two".to_owned()), "{first:?}");
    for _ in 0..3 {
        assert_eq!((0..40).map(ask).collect::<Vec<_>>(), first);
    }
}

#[test]
fn a_pin_wins_over_the_weight_and_is_not_judged() {
    let (one, two) = (Upstream::answering("one"), Upstream::with_status("500 No", "two"));
    let mut gate = two_versions(&one, &two)
        .service("rollout: {steps: [1% for 1h]}")
        .service("pin: [{when: {header: {x-group: beta}}, to: v2}]")
        .start();
    gate.edit(|setup| setup.live("v2"));
    gate.reaches("CANARY");
    for _ in 0..100 {
        let answer = gate.answer_to("GET / HTTP/1.1\r\nHost: a\r\nX-Group: beta\r\n\r\n");
        assert_eq!(answer.text(), "two");
    }
    assert_eq!(gate.state(), "CANARY", "pinned requests are no evidence");
}

/// Starts a canary on `bad` under load and measures what it costs until its weight is 0.
#[track_caller]
fn costs(bad: &Upstream, weight: &str) -> (Tally, Duration, Gate) {
    let one = Upstream::answering("one");
    let mut gate =
        two_versions(&one, bad).service(format!("rollout: {{steps: [{weight} for 1h]}}")).workers(2).start();
    let load = Load::start(gate.address(), 4, ms(2));
    until("traffic flows", || (load.sent() > 100).then_some(()));
    gate.edit(|setup| setup.live("v2"));
    until("the canary gets traffic", || (bad.connections() > 0).then_some(()));
    let start = Instant::now();
    until("the canary is out", || (gate.weight("v2") == 0.0 && gate.state() == "ROLLED BACK").then_some(()));
    let spent = start.elapsed();
    assert_eq!(gate.weight("v1"), 1.0);
    let before = bad.count();
    let sent = load.sent();
    until("more traffic", || (load.sent() > sent + 300).then_some(()));
    assert!(bad.count() <= before + 4, "{} requests after the rollback", bad.count() - before);
    std::mem::forget(one);
    (load.stop(), spent, gate)
}

#[test]
fn a_canary_that_fails_outright_is_out_at_once() {
    let bad = Upstream::with_status("500 Internal Server Error", "bad");
    let (tally, spent, gate) = costs(&bad, "10%");
    assert_eq!(tally.count("200 one") + tally.count("500 bad"), tally.total(), "{tally:?}");
    assert!(tally.count("500") <= 40, "{tally:?}");
    assert!(spent < Duration::from_secs(5), "{spent:?}");
    let release = gate.release();
    assert_eq!(release["stable"], "v1");
    assert_eq!(release["quarantined"][0]["version"], "v2", "{release:#}");
    assert!(
        release["last"]["evidence"]["canary"].is_object(),
        "a decision carries its evidence: {release:#}"
    );
}

#[test]
fn a_canary_that_resets_connections_is_out_at_once() {
    let bad = Upstream::start(|peer| {
        peer.request();
        peer.reset();
    });
    let (tally, _, _) = costs(&bad, "10%");
    assert!(tally.count("200 one") + tally.count("502") == tally.total(), "{tally:?}");
    assert!(tally.count("502") <= 40, "{tally:?}");
}

#[test]
fn a_canary_that_goes_away_is_out_at_once() {
    let (one, two) = (Upstream::answering("one"), Upstream::with_status("200 OK", "two"));
    let mut gate = two_versions(&one, &two).service("rollout: {steps: [10% for 1h]}").start();
    let load = Load::start(gate.address(), 4, ms(2));
    until("traffic flows", || (load.sent() > 100).then_some(()));
    gate.edit(|setup| setup.live("v2"));
    until("v2 has traffic", || (two.count() > 0).then_some(()));
    two.stop_listening();
    drop(two);
    gate.reaches("ROLLED BACK");
    assert_eq!(gate.weight("v2"), 0.0);
    let tally = load.stop();
    assert!(tally.count("200") + tally.count("502") == tally.total(), "{tally:?}");
    assert!(tally.count("502") <= 40, "{tally:?}");
}

#[test]
fn a_canary_that_hangs_is_out() {
    let bad = Upstream::start(|peer| {
        peer.request();
        peer.hold();
    });
    let one = Upstream::answering("one");
    let mut gate = two_versions(&one, &bad)
        .service("rollout: {steps: [50% for 1h]}")
        .service("timeouts: {head: 300ms}")
        .start();
    let load = Load::start(gate.address(), 12, ms(2));
    gate.edit(|setup| setup.live("v2"));
    gate.reaches("ROLLED BACK");
    let tally = load.stop();
    assert!(tally.count("200 one") + tally.count("504") == tally.total(), "{tally:?}");
}

#[test]
fn a_canary_that_fails_a_third_of_the_time_is_out() {
    let (bad, _) = failing(3, "bad");
    let (tally, _, _) = costs(&bad, "20%");
    assert!(tally.count("500") <= 80, "{tally:?}");
}

/// Stable is just as bad: nothing that the canary brought.
#[test]
fn a_canary_no_worse_than_stable_is_not_rolled_back() {
    let ((one, _), (two, failed)) = (failing(5, "one"), failing(5, "two"));
    let mut gate = two_versions(&one, &two).service("rollout: {steps: [50% for 1h]}").start();
    gate.edit(|setup| setup.live("v2"));
    let load = Load::start(gate.address(), 4, Duration::ZERO);
    until("enough failures", || (failed.load(Ordering::SeqCst) > 200).then_some(()));
    load.stop();
    let state = gate.state();
    assert!(matches!(state.as_str(), "CANARY" | "HELD"), "{state}: {:#}", gate.release());
    assert_eq!(gate.weight("v2"), 0.5);
}

#[test]
fn a_flip_to_a_dead_version_is_undone() {
    let one = Upstream::answering("one");
    let dead = Upstream::with_status("503 No", "dead");
    let mut gate = two_versions(&one, &dead).start();
    let load = Load::start(gate.address(), 4, ms(2));
    until("traffic flows", || (load.sent() > 100).then_some(()));
    gate.edit(|setup| setup.live("v2"));
    until("it was tried", || (dead.count() > 0).then_some(()));
    gate.reaches("ROLLED BACK");
    until("v1 has the traffic", || (gate.get("/").text() == "one").then_some(()));
    let tally = load.stop();
    assert!(tally.count("503") <= 200, "{tally:?}");
}

/// No traffic is no evidence: the release stays where it is.
#[test]
fn silence_holds() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let mut gate = two_versions(&one, &two)
        .service("rollout: {steps: [{weight: 10%, for: 200ms, requests: 50}, 50% for 1h]}")
        .start();
    gate.edit(|setup| setup.live("v2"));
    gate.reaches("HELD");
    let release = gate.release();
    assert_eq!(release["requests_missing"], 50, "{release:#}");
    let moved = within(ms(1500), || (gate.weight("v2") != 0.1).then_some(()));
    assert!(moved.is_none(), "moved without evidence: {:#}", gate.release());
    let load = Load::start(gate.address(), 4, ms(1));
    until("evidence moves it on", || (gate.weight("v2") == 0.5).then_some(()));
    load.stop().assert_all("200");
}

#[test]
fn people_can_pause_resume_promote_and_roll_back() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let mut gate = two_versions(&one, &two)
        .service("rollout: {steps: [{weight: 10%, for: 300ms, requests: 5}, 50% for 1h], watch: 1h}")
        .start();
    let ok = |gate: &Gate, line: &str| {
        let outcome = gate.command(line);
        assert_eq!(outcome.code, 0, "{line}: {outcome:?}");
        outcome
    };
    for refused in ["promote shop", "pause shop", "resume shop", "retry shop", "rollback shop"] {
        let outcome = gate.command(refused);
        assert!(matches!(outcome.code, 1 | 5), "{refused}: {outcome:?}");
        assert!(outcome.err.contains("error"), "{refused}: {outcome:?}");
    }
    gate.edit(|setup| setup.live("v2"));
    until("it begins", || (gate.weight("v2") == 0.1).then_some(()));
    ok(&gate, "pause shop --reason lunch");
    assert_eq!(gate.state(), "PAUSED");
    let load = Load::start(gate.address(), 2, ms(1));
    until("more than enough traffic", || (two.count() > 60).then_some(()));
    let moved = within(ms(800), || (gate.weight("v2") != 0.1).then_some(()));
    assert!(moved.is_none(), "moved while paused");
    ok(&gate, "resume shop");
    until("it moves on", || (gate.weight("v2") == 0.5).then_some(()));
    ok(&gate, "promote shop");
    until("it has all traffic", || (gate.weight("v2") == 1.0).then_some(()));
    assert_eq!(gate.state(), "WATCHING");
    ok(&gate, "rollback shop --reason second-thoughts");
    assert_eq!((gate.state().as_str(), gate.weight("v2")), ("ROLLED BACK", 0.0));
    assert_eq!(gate.get("/").text(), "one");
    load.stop().assert_all("200");
    let text = gate.json("/api/v1/events").to_string();
    assert!(text.contains("lunch") && text.contains("second-thoughts"), "{text}");
}

/// An unchanged file does not begin it again; `retry` does.
#[test]
fn a_version_that_was_rolled_back_waits_for_retry() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let mut gate = two_versions(&one, &two).service("rollout: {steps: [10% for 1h]}").start();
    gate.edit(|setup| setup.live("v2"));
    until("it begins", || (gate.weight("v2") == 0.1).then_some(()));
    assert_eq!(gate.command("rollback shop").code, 0);
    gate.reload(|setup| setup.service("timeouts: {head: 9s}"));
    assert_eq!(gate.command("reload").code, 0);
    let began = within(ms(800), || (gate.weight("v2") > 0.0).then_some(()));
    assert!(began.is_none(), "an unchanged file began a quarantined release");
    gate.kill();
    gate.start_again();
    let began = within(ms(800), || (gate.weight("v2") > 0.0).then_some(()));
    assert!(began.is_none(), "a restart began a quarantined release");
    assert_eq!(gate.state(), "ROLLED BACK");
    let outcome = gate.command("retry shop");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    until("it begins again", || (gate.weight("v2") == 0.1).then_some(()));
}

/// Another definition is another artifact, quarantine or not.
#[test]
fn a_changed_definition_is_a_new_chance() {
    let (one, bad, good) =
        (Upstream::answering("one"), Upstream::answering("two"), Upstream::answering("better"));
    let mut gate = two_versions(&one, &bad).service("rollout: {steps: [10% for 1h]}").start();
    gate.edit(|setup| setup.live("v2"));
    until("it begins", || (gate.weight("v2") == 0.1).then_some(()));
    assert_eq!(gate.command("rollback shop").code, 0);
    gate.reload(|setup| setup.version("v2", &[good.address()]));
    until("it begins again", || (gate.weight("v2") == 0.1).then_some(()));
}

#[test]
fn a_newer_version_supersedes_a_release() {
    let (one, two, three) =
        (Upstream::answering("one"), Upstream::answering("two"), Upstream::answering("three"));
    let mut gate = two_versions(&one, &two)
        .version("v3", &[three.address()])
        .service("rollout: {steps: [10% for 1h]}")
        .start();
    gate.edit(|setup| setup.live("v2"));
    until("it begins", || (gate.weight("v2") == 0.1).then_some(()));
    gate.edit(|setup| setup.live("v3"));
    until("the newer one begins", || (gate.weight("v3") == 0.1).then_some(()));
    assert_eq!((gate.weight("v2"), gate.release()["stable"].as_str()), (0.0, Some("v1")));
}

#[test]
fn two_services_do_not_disturb_each_other() {
    let (one, two, other) =
        (Upstream::answering("one"), Upstream::with_status("500 No", "two"), Upstream::answering("other"));
    let line = format!(
        "other: {{hosts: [other.test], live: a, versions: {{a: \"http://{0}\", b: \"http://{0}\"}}, rollout: {{steps: [10% for 1h]}}}}",
        other.address()
    );
    let mut gate =
        two_versions(&one, &two).service("rollout: {steps: [50% for 1h]}").add_service(&line).start();
    gate.write(&gate.text().replace("live: a", "live: b"));
    until("the other begins", || (gate.json("/api/v1/services/other")["state"] == "CANARY").then_some(()));
    gate.edit(|setup| setup.live("v2"));
    gate.write(&gate.text().replace("live: a", "live: b"));
    let load = Load::start(gate.address(), 4, ms(1));
    gate.reaches("ROLLED BACK");
    load.stop();
    assert_eq!(gate.json("/api/v1/services/other")["state"], "CANARY");
}

/// Clients that lose patience say nothing about the version they were given.
#[test]
fn clients_that_leave_are_no_evidence_against_a_canary() {
    let one = Upstream::answering("one");
    let two = Upstream::start(|peer| {
        while let Some(head) = peer.head() {
            if head.has("x-leave") {
                peer.note(&head);
                peer.hold();
                return;
            }
            peer.rest_of(head);
            peer.answer("200 OK", "two");
        }
    });
    let mut gate = two_versions(&one, &two).service("rollout: {steps: [50% for 1h]}").start();
    gate.edit(|setup| setup.live("v2"));
    until("it begins", || (gate.weight("v2") == 0.5).then_some(()));
    let load = Load::start(gate.address(), 2, ms(1));
    while two.requests().iter().filter(|it| it.head.has("x-leave")).count() < 150 {
        let mut client = gate.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Leave: 1\r\n\r\n");
        let _ = client.end_within(ms(5));
        client.reset();
    }
    load.stop().assert_all("200");
    until("nothing is under way", || (gate.metric("tidegate_requests_in_flight", &[]) == 0.0).then_some(()));
    assert_eq!((gate.weight("v2"), gate.state().as_str()), (0.5, "CANARY"), "{:#}", gate.release());
}

/// What began on a version stays there, through promotion and rollback.
#[test]
fn a_stream_stays_on_the_version_where_it_began() {
    let latch = support::upstream::Latch::default();
    let opened = latch.clone();
    let one = Upstream::start(move |peer| {
        while let Some(request) = peer.request() {
            if request.target() == "/stream" {
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none \r\n");
                opened.pass();
                peer.send("4\r\nstay\r\n0\r\n\r\n");
            } else {
                peer.answer("200 OK", "one");
            }
        }
    });
    let two = Upstream::answering("two");
    let mut gate = two_versions(&one, &two).start();
    let mut client = gate.connect();
    client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    until("the stream has begun", || (one.count() == 1).then_some(()));
    gate.edit(|setup| setup.live("v2"));
    until("v2 has the traffic", || (gate.get("/").text() == "two").then_some(()));
    assert_eq!(gate.command("rollback shop").code, 0);
    until("v1 has the traffic", || (gate.get("/").text() == "one").then_some(()));
    latch.open();
    assert_eq!(client.response().text(), "one stay");
}

/// Killed at any moment, it comes back with the weight it had or a lower one, and stable is the same.
#[test]
fn a_killed_process_comes_back_with_no_more_weight() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let mut gate = two_versions(&one, &two)
        .service("rollout: {steps: [{weight: 10%, for: 250ms, requests: 5}, {weight: 30%, for: 250ms, requests: 5}, 60% for 1h]}")
        .start();
    gate.edit(|setup| setup.live("v2"));
    for round in 0..6 {
        let load = Load::start(gate.address(), 1, ms(1));
        std::thread::sleep(ms(40 * round));
        let (before, stable) = (gate.weight("v2"), gate.release()["stable"].clone());
        gate.kill();
        drop(load.stop());
        // With no traffic there is no evidence, so nothing may rise before we look.
        gate.start_again();
        let after = gate.weight("v2");
        // Between looking and killing one step may have been taken and written down.
        let next = [0.1, 0.3, 0.6].into_iter().find(|it| *it > before).unwrap_or(before);
        assert!(after <= next, "round {round}: {after} after {before}");
        assert_eq!(gate.release()["stable"], stable);
    }
    let load = Load::start(gate.address(), 2, ms(1));
    until("it still arrives", || (gate.weight("v2") == 0.6).then_some(()));
    load.stop().assert_all("200");
    assert_eq!(gate.command("rollback shop").code, 0);
    gate.kill();
    gate.start_again();
    assert_eq!(
        (gate.state().as_str(), gate.weight("v2")),
        ("ROLLED BACK", 0.0),
        "what was acknowledged is kept"
    );
    assert_eq!(gate.get("/").text(), "one");
}

/// The file changed while nobody was looking.
#[test]
fn a_release_whose_version_is_gone_at_a_start_ends_at_stable() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let mut gate = two_versions(&one, &two).service("rollout: {steps: [10% for 1h]}").start();
    gate.edit(|setup| setup.live("v2"));
    until("it begins", || (gate.weight("v2") == 0.1).then_some(()));
    gate.kill();
    gate.edit(|setup| setup.without("v2").live("v1"));
    gate.start_again();
    assert_eq!(gate.get("/").text(), "one");
    assert_eq!(gate.release()["stable"], "v1");
}

#[test]
fn a_second_process_on_the_same_state_is_refused() {
    let one = Upstream::answering("one");
    let gate = Setup::to(&one).start();
    // The same state, all other places its own.
    let ip = support::gate::own_ip();
    let other = gate.dir().join("other.yaml");
    let text = gate.text().replace(&gate.ip().to_string(), &ip.to_string());
    std::fs::write(&other, text.replace("admin.sock", "other.sock")).unwrap();
    let outcome = support::command::run(&["run", "-c", other.to_str().unwrap()]);
    assert!(!matches!(outcome.code, 0 | 3), "{outcome:?}");
    assert!(outcome.err.contains("state"), "{outcome:?}");
    assert_eq!(gate.get("/").text(), "one");
}

/// The last record was cut by a crash: it is dropped, said, and everything before it holds.
#[test]
fn a_torn_journal_is_cut_and_serves() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let mut gate = two_versions(&one, &two).service("rollout: {steps: [10% for 1h]}").start();
    gate.edit(|setup| setup.live("v2"));
    until("it begins", || (gate.weight("v2") == 0.1).then_some(()));
    gate.kill();
    let newest = std::fs::read_dir(gate.state_dir())
        .unwrap()
        .filter_map(Result::ok)
        .filter(|it| it.path().is_file() && it.metadata().unwrap().len() > 20)
        .filter(|it| !it.file_name().to_string_lossy().contains("token"))
        .max_by_key(|it| it.metadata().unwrap().modified().unwrap())
        .expect("a journal");
    let length = newest.metadata().unwrap().len();
    std::fs::OpenOptions::new().write(true).open(newest.path()).unwrap().set_len(length - 3).unwrap();
    gate.start_again();
    assert!(gate.weight("v2") <= 0.1);
    assert_eq!(gate.release()["stable"], "v1");
    assert_eq!(gate.get("/").status, 200);
}
