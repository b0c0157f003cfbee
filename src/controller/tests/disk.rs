//! Disks that hang or are full: what goes down goes down at once, what goes up waits.

use super::*;

#[test]
fn a_weight_rises_only_after_the_journal_and_falls_before_it() {
    let mut rig = Rig::new(CANARY);
    rig.disk(DiskIs::Hanging);
    rig.load("v2", CANARY).unwrap();
    assert_eq!(rig.shares(), "v1 100%");
    rig.disk(DiskIs::Fine);
    assert_eq!(rig.shares(), "v1 95% v2 5%");

    rig.disk(DiskIs::Hanging);
    rig.run("2m");
    assert_eq!(rig.shares(), "v1 95% v2 5%");
    let mut answer = rig.command_now(rollback(), None);
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 100%", "ROLLED BACK"));
    assert!(answer.try_recv().is_err(), "not acknowledged before it is on disk");
    rig.disk(DiskIs::Fine);
    let answer = answer.try_recv().unwrap().unwrap();
    assert!(answer.changed && answer.durable);
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 100%", "ROLLED BACK"));
    rig.run("2m");
    assert_eq!(rig.told(), "adopted began rolled_back drifted");
    rig.restart("1s");
    rig.load("v2", CANARY).unwrap();
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 100%", "ROLLED BACK"));
}

#[test]
fn a_hanging_disk_does_not_keep_a_command_waiting_for_ever() {
    let mut rig = Rig::new(CANARY);
    rig.load("v2", CANARY).unwrap();
    rig.disk(DiskIs::Hanging);
    let mut promoted = rig.command_now(promote(), None);
    let mut rolled_back = rig.command_now(rollback(), None);
    assert_eq!(promoted.try_recv().unwrap().unwrap_err().code, RefusalCode::Stale);
    rig.run("6s");
    let answer = rolled_back.try_recv().unwrap().unwrap();
    assert!(answer.changed && !answer.durable, "{answer:?}");
    let again = rig.command(rollback()).unwrap();
    assert!(!again.changed && !again.durable, "{again:?}");
    rig.disk(DiskIs::Fine);
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 100%", "ROLLED BACK"));
    assert!(rig.command(rollback()).unwrap().durable);
}

#[test]
fn a_full_disk_stops_what_rises_and_nothing_else() {
    let mut rig = Rig::new(CANARY);
    rig.load("v2", CANARY).unwrap();
    rig.disk(DiskIs::Full);
    rig.run("2m");
    let status = rig.status();
    assert_eq!((rig.shares().as_str(), status.word), ("v1 95% v2 5%", "HELD"));
    assert_eq!(status.held.as_deref(), Some("nothing rises that is not written down: no space"));
    assert_eq!(rig.journal(), JournalHealth::NotDurable("no space".into()));
    assert_eq!(rig.command(promote()).unwrap_err().code, RefusalCode::NotDurable);
    let answer = rig.command(rollback()).unwrap();
    assert!(answer.changed && !answer.durable);
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 100%", "ROLLED BACK"));

    // There is room again: what happened in memory is written down, lines and all.
    rig.disk(DiskIs::Fine);
    rig.run("3s");
    assert_eq!(rig.journal(), JournalHealth::Durable);
    rig.restart("1s");
    rig.load("v2", CANARY).unwrap();
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 100%", "ROLLED BACK"));
    assert_eq!(rig.told(), "adopted began rolled_back drifted");
}

#[test]
fn a_release_that_could_not_begin_begins_when_there_is_room() {
    let mut rig = Rig::new(CANARY);
    rig.disk(DiskIs::Full);
    rig.load("v2", CANARY).unwrap();
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 100%", "HELD"));
    rig.run("3s");
    assert_eq!(rig.shares(), "v1 100%");
    rig.disk(DiskIs::Fine);
    rig.run("3s");
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 95% v2 5%", "CANARY"));
}

#[test]
fn a_breach_while_a_raise_is_on_its_way_wins() {
    let mut rig = Rig::new(CANARY);
    rig.load("v2", CANARY).unwrap();
    rig.run("30s");
    rig.disk(DiskIs::Hanging);
    rig.run("31s");
    rig.failing.insert("v2", 1.0);
    rig.run("5s");
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 100%", "ROLLED BACK"));
    rig.disk(DiskIs::Fine);
    assert_eq!(rig.shares(), "v1 100%");
    rig.restart("1s");
    rig.load("v2", CANARY).unwrap();
    assert_eq!(rig.shares(), "v1 100%");
}
