//! Releases from end to end.

use super::*;

#[test]
fn a_healthy_canary_becomes_stable() {
    let mut rig = Rig::new(CANARY);
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 100%", "LIVE"));
    rig.load("v2", CANARY).unwrap();
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 95% v2 5%", "CANARY"));
    assert_eq!(rig.status().step, Some((1, 2)));
    rig.run("30s");
    let status = rig.status();
    assert_eq!(status.left.map(|it| it.as_secs()), Some(30));
    assert!(status.guards[0].text.starts_with("ok"), "{:?}", status.guards);
    assert!(status.lanes[1].per_second >= 4.0 && status.lanes[1].per_second <= 6.0, "{:?}", status.lanes);
    rig.run("31s");
    assert_eq!(rig.shares(), "v1 75% v2 25%");
    rig.run("61s");
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v2 100%", "WATCHING"));
    rig.run("61s");
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v2 100%", "LIVE"));
    assert_eq!(rig.status().stable.as_str(), "v2");
    assert!(rig.status().in_sync);
    assert_eq!(rig.told(), "adopted began advanced promoted completed");
    let evidence = rig.house.news.since(0)[2].evidence.unwrap();
    assert!(evidence.canary.requests >= 299 && evidence.limit.is_some(), "{evidence:?}");
    let told = rig.script.told.lock().unwrap().join(", ");
    assert!(told.ends_with("completed by policy, ended promoted"), "{told}");
    let facts = rig.script.facts.lock().unwrap()["shop"].clone();
    assert_eq!(facts.state.as_str(), "live");
}

#[test]
fn a_dead_canary_is_out_after_a_few_failures_at_any_rate() {
    for rps in [200.0, 1_000.0, 20_000.0] {
        let mut rig = Rig::new(CANARY);
        rig.rps = rps;
        rig.load("v2", CANARY).unwrap();
        rig.run("10s");
        rig.failing.insert("v2", 1.0);
        rig.core.alarmed();
        rig.run("5s");
        assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 100%", "ROLLED BACK"), "{rps}");
        let bad = rig.bad("v2");
        assert!(bad <= 20, "{bad} failures at {rps}");
        assert!(rig.status().why.contains("canary failed"), "{}", rig.status().why);
        assert_eq!(rig.status().quarantined[0].version.as_str(), "v2");
        assert_eq!(rig.told(), "adopted began rolled_back drifted");
    }
}

#[test]
fn a_flip_that_fails_goes_back() {
    let mut rig = Rig::new(FLIP);
    rig.load("v2", FLIP).unwrap();
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v2 100%", "WATCHING"));
    rig.run("10s");
    rig.failing.insert("v2", 0.5);
    rig.run("10s");
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 100%", "ROLLED BACK"));
}

#[test]
fn without_traffic_it_is_held_and_says_what_is_missing() {
    let mut rig = Rig::new(CANARY);
    rig.rps = 0.0;
    rig.load("v2", CANARY).unwrap();
    rig.run("10m");
    let status = rig.status();
    assert_eq!((rig.shares().as_str(), status.word), ("v1 95% v2 5%", "HELD"));
    assert_eq!(status.requests_missing, Some(100));
    assert!(status.held.unwrap().contains("100 more canary responses needed"));
    rig.rps = 100.0;
    rig.run("30s");
    assert_eq!(rig.shares(), "v1 75% v2 25%");
    assert_eq!(rig.told(), "adopted began held advanced");
}

#[test]
fn both_lanes_failing_alike_is_no_rollback() {
    let mut rig = Rig::new(CANARY);
    rig.load("v2", CANARY).unwrap();
    rig.run("30s");
    rig.failing = BTreeMap::from([("v1", 0.5), ("v2", 0.5)]);
    rig.run("2m");
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 95% v2 5%", "HELD"));
    assert!(rig.status().held.unwrap().contains("shared cause"));
}

#[test]
fn a_reload_while_a_release_runs_restarts_nothing() {
    let mut rig = Rig::new(CANARY);
    rig.load("v2", CANARY).unwrap();
    rig.run("50s");
    let before = rig.status();
    for _ in 0..100 {
        rig.load("v2", CANARY).unwrap();
    }
    let after = rig.status();
    assert_eq!((before.release, before.mark, before.step), (after.release, after.mark, after.step));
    assert!(after.guards[0].canary.requests >= before.guards[0].canary.requests);
    assert_eq!(rig.house.publisher.current().generation, Generation(102));
    rig.run("11s");
    assert_eq!(rig.shares(), "v1 75% v2 25%");
}

#[test]
fn a_newer_live_begins_from_zero_and_stable_stays() {
    let mut rig = Rig::new(CANARY);
    rig.load("v2", CANARY).unwrap();
    rig.run("61s");
    assert_eq!(rig.shares(), "v1 75% v2 25%");
    // The disk hangs: the canary goes to 0 all the same, and the next does not begin.
    rig.disk(DiskIs::Hanging);
    rig.load("v3", CANARY).unwrap();
    assert_eq!(rig.shares(), "v1 100%");
    rig.disk(DiskIs::Fine);
    assert_eq!(rig.shares(), "v1 95% v3 5%");
    assert_eq!(rig.status().release, 2);
    assert_eq!(rig.told(), "adopted began advanced superseded began");
    rig.load("v1", CANARY).unwrap();
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 100%", "ROLLED BACK"));
}

#[test]
fn a_reload_that_takes_stable_away_is_refused_whole() {
    let mut rig = Rig::new(CANARY);
    let error = rig.load_config(config("v2", &["v2", "v3"], CANARY)).unwrap_err().to_string();
    assert!(error.starts_with("service `shop`: v1 is stable and must stay in the file"), "{error}");
    assert_eq!(rig.house.publisher.current().generation, Generation(1));
    assert_eq!(rig.shares(), "v1 100%");
}

#[test]
fn a_service_that_leaves_and_comes_back_is_known() {
    let mut rig = Rig::new(CANARY);
    rig.load("v2", CANARY).unwrap();
    rig.failing.insert("v2", 1.0);
    rig.run("10s");
    assert_eq!(rig.status().word, "ROLLED BACK");
    let mut empty = config("v1", &["v1"], CANARY);
    empty.services.clear();
    rig.load_config(empty).unwrap();
    assert!(rig.house.status.borrow().services.is_empty());
    assert!(rig.script.facts.lock().unwrap().is_empty());
    rig.load("v2", CANARY).unwrap();
    rig.run("10s");
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 100%", "ROLLED BACK"));
}

#[test]
fn guards_that_change_keep_what_was_seen() {
    let mut rig = Rig::new(CANARY);
    rig.load("v2", CANARY).unwrap();
    rig.run("30s");
    let before = rig.status().guards[0].canary;
    let mut changed = config("v2", &["v1", "v2", "v3"], CANARY);
    changed.services[0].plan.guard.errors.as_mut().unwrap().ceiling = Some(0.02);
    rig.load_config(changed).unwrap();
    let status = rig.status();
    assert_eq!(status.guards[0].canary, before);
    let names: Vec<_> = status.guards.iter().map(|it| it.name).collect();
    assert_eq!(names, ["errors", "errors_ceiling", "p95", "p99"]);
}

#[test]
fn shares_that_stay_are_not_touched_by_a_release() {
    let mut rig = Rig::new(FLIP);
    let mut with_split = |live: &str, text: &str| {
        let mut it = config(live, &["v1", "v2", "v3"], text);
        it.services[0].split = vec![(VersionIndex(2), crate::release::tests::percent("20%"))];
        rig.load_config(it).unwrap();
        let sum: u32 = rig.weights().iter().map(|(_, it)| u32::from(it.basis_points())).sum();
        assert_eq!(sum, 10_000);
        rig.shares()
    };
    assert_eq!(with_split("v1", FLIP), "v1 80% v3 20%");
    assert_eq!(with_split("v2", "90% 1m, watch 1m"), "v2 80% v3 20%");
    assert_eq!(with_split("v1", FLIP), "v1 80% v3 20%");
    assert_eq!(with_split("v2", FLIP), "v2 80% v3 20%");
}
