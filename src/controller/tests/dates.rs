//! Windows and freezes, when the system's clock is corrected while we run.

use super::*;
use crate::store::Freeze;

/// The rig begins at 00:16:40 UTC.
fn in_window(hours: &str) -> Rig {
    let mut rig = Rig::new(CANARY);
    let mut config = config("v2", &["v1", "v2", "v3"], CANARY);
    config.services[0].plan.window = Some(format!("{hours} UTC").parse().unwrap());
    rig.load_config(config).unwrap();
    rig
}

fn correct(rig: &mut Rig, ahead: &str) {
    rig.core.calendar.correct(rig.now, rig.now + span(ahead));
}

#[test]
fn a_window_opens_and_closes_by_the_date() {
    let mut rig = in_window("02:00-03:00");
    rig.run("30s");
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 100%", "HELD"));
    // The network has told the time.
    correct(&mut rig, "2h");
    rig.run("10s");
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 95% v2 5%", "CANARY"));
    // It was not true. What has risen stays, and its time is no other for that.
    rig.core.calendar.correct(rig.now, rig.now);
    rig.run("10m");
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 95% v2 5%", "HELD"));
    correct(&mut rig, "2h");
    rig.run("1s");
    assert_eq!(rig.shares(), "v1 75% v2 25%");
}

#[test]
fn a_soak_ends_by_no_date() {
    let mut rig = in_window("00:00-24:00");
    rig.run("30s");
    assert_eq!(rig.shares(), "v1 95% v2 5%");
    correct(&mut rig, "5h");
    rig.run("25s");
    assert_eq!(rig.shares(), "v1 95% v2 5%");
    rig.run("10s");
    assert_eq!(rig.shares(), "v1 75% v2 25%");
}

#[test]
fn a_freeze_ends_by_the_date() {
    let mut rig = Rig::new(CANARY);
    let by = Actor { name: "ann".into(), via: Via::Cli };
    let until = Some(rig.now + span("1h"));
    let jobs = rig.core.freeze(Ok(Freeze { by, reason: None, until }), oneshot::channel().0, rig.now);
    rig.write(jobs);
    rig.load("v2", CANARY).unwrap();
    rig.run("30s");
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 100%", "HELD"));
    assert!(rig.house.status.borrow().freeze.is_some());
    correct(&mut rig, "61m");
    rig.run("10s");
    assert_eq!(rig.shares(), "v1 95% v2 5%");
    assert!(rig.house.status.borrow().freeze.is_none());
}
