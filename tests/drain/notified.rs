//! Who is notified across a hand-over: nothing is lost, nothing comes out of its order, and what comes twice comes
//! under one id.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;
use serde_json::Value;

use super::support::upstream::Latch;
use super::support::{Request, Setup, Unit, Upstream, admin, until};

fn setup(one: &Upstream, two: &Upstream, targets: &[(&str, &Upstream)]) -> Setup {
    let target = |it: &(&str, &Upstream)| {
        format!("{{webhook: 'http://{}/', name: {}, local: allow, give_up: 1h}}", it.1.address(), it.0)
    };
    let targets: Vec<String> = targets.iter().map(target).collect();
    Setup::to(one)
        .version("v2", &[two.address()])
        .service("rollout: {steps: [10% for 1h, 20% for 1h]}")
        .run_with("--lame-duck 200ms --upgrade-timeout 10s")
        .top(format!("notify: [{}]", targets.join(", ")))
}

/// The number of the event of a notification, and its id.
fn told(request: &Request) -> (u64, String) {
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    let id = request.head.one("webhook-id").expect("an id").to_owned();
    (body["data"]["id"].as_u64().expect("a number"), id)
}

fn events(unit: &Unit) -> Vec<Value> {
    let page = admin::get(unit.admin_address(), "/api/v1/events?since=0&limit=2000");
    let page: Value = serde_json::from_slice(&page.body).expect("JSON");
    page["events"].as_array().expect("a list").clone()
}

/// What became of telling a target of each event, in order: `WHAT RESULT`.
fn results(unit: &Unit, target: &str) -> Vec<String> {
    let events = events(unit);
    let all = events.iter().filter_map(|it| it["notifications"].as_array()).flatten();
    let mut all: Vec<&Value> = all.filter(|it| it["target"] == target).collect();
    all.sort_by_key(|it| it["id"].as_u64());
    let word = |it: &&Value, key: &str| it[key].as_str().expect("a word").to_owned();
    all.iter().map(|it| format!("{} {}", word(it, "what"), word(it, "result"))).collect()
}

fn command(unit: &Unit, verb: &str) {
    let answer = admin::by_socket(&unit.admin_socket(), "POST", &format!("/api/v1/{verb}"), "{}");
    assert_eq!(answer.status, 200, "{verb}: {}", answer.text());
}

/// One target refuses for a while, one has a call in its hands when its caller goes.
#[test]
fn what_waits_and_what_is_on_its_way_is_told_by_the_new_process() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let (busy, latch) = (Arc::new(AtomicBool::new(false)), Latch::default());
    let refuses = Arc::clone(&busy);
    let ci = Upstream::start(move |peer| {
        while peer.request().is_some() {
            peer.answer(if refuses.load(Ordering::SeqCst) { "503 Busy" } else { "200 OK" }, "");
        }
    });
    let gone_by = latch.clone();
    let slow = Upstream::start(move |peer| {
        while peer.request().is_some() && gone_by.pass() {
            peer.answer("200 OK", "");
        }
    });
    let mut unit = Unit::start(setup(&one, &two, &[("ci", &ci), ("slow", &slow)]));
    until("it is told", || (results(&unit, "ci") == ["adopted delivered"]).then_some(()));
    until("a call is under way", || (slow.count() == 1).then_some(()));
    busy.store(true, Ordering::SeqCst);
    command(&unit, "freeze");
    until("it is not told", || (results(&unit, "ci").len() == 2).then_some(()));
    command(&unit, "unfreeze");

    let before = unit.main();
    unit.hand_over();
    assert_ne!(unit.main(), before);
    // What was said by the old process is known to the new one, which goes on from there.
    assert_eq!(results(&unit, "ci")[..2], ["adopted delivered", "frozen retried"]);
    command(&unit, "freeze");
    busy.store(false, Ordering::SeqCst);
    latch.open();
    command(&unit, "unfreeze");
    until("all of it is told", || {
        let ended =
            |target: &str| results(&unit, target).iter().filter(|it| it.ends_with("delivered")).count();
        let count = events(&unit).len();
        (ended("ci") == count && ended("slow") == count).then_some(())
    });
    let expected: Vec<u64> = events(&unit).iter().map(|it| it["id"].as_u64().expect("a number")).collect();
    let mut heard: Vec<(u64, String)> = slow.requests().iter().map(told).collect();
    // The call that was in its hands was made again, under the same id.
    assert_eq!((heard[0].0, &heard[0]), (expected[0], &heard[1]), "{heard:?}");
    heard.dedup();
    assert_eq!(heard.iter().map(|it| it.0).collect::<Vec<_>>(), expected);
    // Nobody was told by two of them.
    let mut heard: Vec<(u64, String)> = ci.requests().iter().map(told).collect();
    assert_eq!(heard.iter().filter(|it| it.0 == expected[0]).count(), 1, "{heard:?}");
    heard.dedup();
    assert_eq!(heard.iter().map(|it| it.0).collect::<Vec<_>>(), expected);
    unit.signal(Signal::TERM);
}

/// Events all the time, and one process after the other.
#[test]
fn a_flood_of_events_goes_through_several_hand_overs() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let ci = Upstream::answering("taken");
    let mut unit = Unit::start(setup(&one, &two, &[("ci", &ci)]));
    for _ in 0..3 {
        for _ in 0..10 {
            command(&unit, "freeze");
            command(&unit, "unfreeze");
        }
        // What was decided a moment ago is on its way.
        unit.hand_over();
    }
    command(&unit, "freeze");
    let all = events(&unit);
    assert_eq!(all.len(), 1 + 3 * 20 + 1);
    until("all of it is told", || {
        let results = results(&unit, "ci");
        (results.iter().filter(|it| it.ends_with("delivered")).count() >= all.len()).then_some(())
    });
    let heard: Vec<(u64, String)> = ci.requests().iter().map(told).collect();
    let mut ids: BTreeMap<u64, Vec<&String>> = BTreeMap::new();
    for (event, id) in &heard {
        ids.entry(*event).or_default().push(id);
    }
    let expected: Vec<u64> = all.iter().map(|it| it["id"].as_u64().expect("a number")).collect();
    assert_eq!(ids.keys().copied().collect::<Vec<_>>(), expected, "each of them");
    assert!(ids.values().all(|it| it.iter().all(|id| *id == it[0])), "one id for each: {ids:?}");
    // Whatever was on its way at one of three hand-overs, and nothing else.
    assert!(heard.len() <= expected.len() + 3, "{heard:?}");
    let mut order: Vec<u64> = heard.iter().map(|it| it.0).collect();
    order.dedup();
    assert_eq!(order, expected, "in their order");
    unit.signal(Signal::TERM);
}

/// The old process lets go of everything, takes it back, and goes on telling.
#[test]
fn a_hand_over_that_fails_costs_no_notification() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let ci = Upstream::answering("taken");
    let mut unit = Unit::start(setup(&one, &two, &[("ci", &ci)]));
    until("it is told", || (results(&unit, "ci") == ["adopted delivered"]).then_some(()));
    // Something is missing that is needed only after the journal was let go of.
    let taken = std::net::TcpListener::bind((unit.ip(), 0)).expect("an address");
    let good = std::fs::read_to_string(unit.file()).expect("the file");
    let other = taken.local_addr().expect("an address").to_string();
    std::fs::write(unit.file(), good.replace(&unit.admin_address().to_string(), &other)).expect("the file");
    unit.fail_to_hand_over();
    command(&unit, "freeze");
    command(&unit, "unfreeze");
    until("they are told", || (results(&unit, "ci").len() == 3).then_some(()));
    assert_eq!(results(&unit, "ci"), ["adopted delivered", "frozen delivered", "unfrozen delivered"]);
    assert_eq!(ci.count(), 3);
}
