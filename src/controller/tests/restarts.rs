//! Killed and started again.

use super::*;

#[test]
fn it_goes_on_where_it_was_with_deadlines_evidence_and_history() {
    let mut rig = Rig::new(CANARY);
    rig.load("v2", CANARY).unwrap();
    rig.failing = BTreeMap::from([("v1", 0.01), ("v2", 0.01)]);
    rig.run("30s");
    let before = rig.status();
    rig.restart("10s");
    rig.load("v2", CANARY).unwrap();
    let after = rig.status();
    assert_eq!(
        (rig.shares().as_str(), after.word, after.release),
        ("v1 95% v2 5%", "CANARY", before.release)
    );
    assert_eq!(after.left.map(|it| it.as_secs()), Some(20));
    // At most a few seconds of evidence are lost.
    let (seen, kept) = (before.guards[0].canary.requests, after.guards[0].canary.requests);
    assert!(kept <= seen && kept + 20 > seen, "{seen} {kept}");
    assert_eq!(rig.told(), "adopted began restarted");
    rig.run("21s");
    assert_eq!(rig.shares(), "v1 75% v2 25%");
}

#[test]
fn nothing_advances_without_fresh_evidence() {
    let mut rig = Rig::new(CANARY);
    rig.load("v2", CANARY).unwrap();
    rig.run("59s");
    rig.restart("2m");
    rig.rps = 0.0;
    rig.load("v2", CANARY).unwrap();
    rig.run("5m");
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 95% v2 5%", "HELD"));
    assert_eq!(rig.status().requests_missing, Some(100));
}

#[test]
fn quarantine_pause_and_stable_survive() {
    let mut rig = Rig::new(FLIP);
    rig.load("v2", FLIP).unwrap();
    rig.run("61s");
    rig.load("v3", CANARY).unwrap();
    rig.command(Command::Pause { until: None, reason: None }).unwrap();
    rig.restart("1m");
    rig.load("v3", CANARY).unwrap();
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v2 95% v3 5%", "PAUSED"));
    rig.command(rollback()).unwrap();
    rig.restart("1m");
    rig.load("v3", CANARY).unwrap();
    rig.run("2m");
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v2 100%", "ROLLED BACK"));
}

#[test]
fn a_file_that_changed_meanwhile_is_met_like_a_reload() {
    let mut rig = Rig::new(CANARY);
    rig.load("v2", CANARY).unwrap();
    rig.restart("1m");
    rig.load("v1", CANARY).unwrap();
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 100%", "ROLLED BACK"));
    // Stable is gone from the file: at a start there is nothing else to serve.
    rig.restart("1m");
    rig.load_config(config("v3", &["v3"], CANARY)).unwrap();
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v3 100%", "LIVE"));
}

/// The wall clock of the next process is somewhere else: what is left of a soak is never shortened by a
/// clock that went back, and never longer than the plan says.
#[test]
fn a_clock_that_jumps_between_two_runs_neither_hurries_nor_hangs() {
    const HOUR: u64 = 3_600_000_000;
    const YEARS: u64 = 10 * 365 * 24 * HOUR;
    for jump in [-(YEARS as i64), -(HOUR as i64), HOUR as i64] {
        let mut rig = Rig::new(CANARY);
        rig.now = Timestamp(2 * YEARS);
        rig.load("v2", CANARY).unwrap();
        rig.run("30s");
        rig.restart("1s");
        rig.now = Timestamp(rig.now.0.checked_add_signed(jump).unwrap());
        rig.load("v2", CANARY).unwrap();
        let left = rig.status().left.unwrap_or_default().as_secs();
        assert!(left <= 60, "{jump}: {left}");
        assert_eq!(rig.shares(), "v1 95% v2 5%", "{jump}");
        if jump < 0 {
            rig.run("20s");
            assert_eq!(rig.shares(), "v1 95% v2 5%", "{jump}: hurried");
        }
        rig.run("2m");
        assert_ne!(rig.shares(), "v1 95% v2 5%", "{jump}: hangs");
    }
}

/// Three days down: whoever comes back says whether it goes on.
#[test]
fn a_release_that_was_away_for_days_waits_for_a_person() {
    let mut rig = Rig::new(CANARY);
    rig.load("v2", CANARY).unwrap();
    rig.run("30s");
    rig.restart("4320m");
    rig.load("v2", CANARY).unwrap();
    rig.run("5m");
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 95% v2 5%", "PAUSED"));
    assert!(rig.house.news.since(0).iter().any(|it| it.text.contains("stale")));
    rig.command(Command::Resume).unwrap();
    rig.run("5m");
    assert_ne!(rig.shares(), "v1 95% v2 5%");
}
