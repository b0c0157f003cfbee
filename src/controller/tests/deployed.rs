//! Versions of run time: on disk before anybody relies on them, in the table as long as they are used.

use super::*;

fn lanes(rig: &Rig) -> Vec<String> {
    rig.status().lanes.iter().map(|it| it.version.to_string()).collect()
}

#[test]
fn it_is_answered_when_it_is_on_disk_and_the_status_says_so() {
    let mut rig = Rig::new(CANARY);
    rig.disk(DiskIs::Hanging);
    let mut answer = rig.deploy_now();
    assert!(answer.try_recv().is_err(), "nobody knows yet whether it is on disk");
    assert_eq!((rig.status().wanted.as_str(), rig.shares().as_str()), ("v1", "v1 100%"));
    rig.disk(DiskIs::Fine);
    let answer = answer.try_recv().unwrap().unwrap();
    assert!(answer.changed && answer.durable, "{answer:?}");
    // Its first share is on its way at once, not at the next tick.
    assert_eq!((rig.status().wanted.as_str(), rig.shares().as_str()), ("v4", "v1 95% v4 5%"));
    assert_eq!(lanes(&rig), ["v1", "v2", "v3", "v4"]);
    let service = &rig.house.publisher.current().services[0];
    assert_eq!(service.spec.versions[3].endpoints[0].url(), "http://v4.example:80");
}

#[test]
fn a_disk_that_does_not_take_it_leaves_everything_as_it_was() {
    let mut rig = Rig::new(CANARY);
    rig.disk(DiskIs::Full);
    let refused = rig.deploy_now().try_recv().unwrap().unwrap_err();
    assert_eq!(refused.code, RefusalCode::NotDurable);
    assert_eq!((rig.status().wanted.as_str(), lanes(&rig).len()), ("v1", 3));
    rig.disk(DiskIs::Fine);
    rig.run("2s");
    assert!(rig.deploy_now().try_recv().unwrap().unwrap().durable);
}

#[test]
fn a_load_while_it_is_written_down_comes_first() {
    let mut rig = Rig::new(CANARY);
    rig.disk(DiskIs::Hanging);
    let mut answer = rig.deploy_now();
    rig.load("v2", CANARY).unwrap();
    assert_eq!(answer.try_recv().unwrap().unwrap_err().code, RefusalCode::Stale);
    rig.disk(DiskIs::Fine);
    rig.run("1s");
    assert_eq!(rig.shares(), "v1 95% v2 5%");
}

/// What is under way goes down before the disk is asked.
#[test]
fn it_takes_the_place_of_what_is_under_way() {
    let mut rig = Rig::new(CANARY);
    rig.load("v2", CANARY).unwrap();
    rig.disk(DiskIs::Hanging);
    let mut answer = rig.deploy_now();
    assert_eq!((rig.shares().as_str(), rig.status().wanted.as_str()), ("v1 100%", "v4"));
    assert!(answer.try_recv().is_err());
    rig.disk(DiskIs::Fine);
    assert!(answer.try_recv().unwrap().unwrap().durable);
    rig.run("1s");
    assert_eq!(rig.shares(), "v1 95% v4 5%");
    // And the file's next word the place of that; then nothing is left of it.
    rig.load("v3", CANARY).unwrap();
    rig.run("1s");
    assert_eq!((rig.shares().as_str(), lanes(&rig).len()), ("v1 95% v3 5%", 3));
    assert!(rig.status().deployed.is_empty() && rig.status().drift.is_empty());
}

#[test]
fn it_stays_stable_over_loads_restarts_and_panics_and_can_be_left_again() {
    let mut rig = Rig::new(FLIP);
    rig.deploy_now().try_recv().unwrap().unwrap();
    rig.run("61s");
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v4 100%", "LIVE"));
    rig.load("v1", FLIP).unwrap();
    assert_eq!(rig.shares(), "v4 100%");
    rig.restart("1m");
    rig.load("v1", FLIP).unwrap();
    rig.run("1s");
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v4 100%", "LIVE"));
    assert!(!rig.told().ends_with("drifted"), "that is no news: {}", rig.told());
    // It is the version before, too.
    rig.load("v2", FLIP).unwrap();
    rig.run("61s");
    assert_eq!(rig.shares(), "v2 100%");
    rig.command(rollback()).unwrap();
    assert_eq!(rig.shares(), "v4 100%");
    let drift: Vec<String> = rig.status().drift.iter().map(|it| it.field.clone()).collect();
    assert_eq!(drift, ["live", "versions.v4"]);
}

/// At a start there is nothing of it but its definition, and what that rests on may be gone.
#[test]
fn what_cannot_be_read_any_more_makes_room_for_the_file() {
    for stable in [false, true] {
        let mut rig = Rig::new(FLIP);
        rig.deploy_now().try_recv().unwrap().unwrap();
        rig.run(if stable { "61s" } else { "1s" });
        rig.house.additions = Arc::default();
        rig.restart("1m");
        rig.load("v1", FLIP).unwrap();
        rig.run("1s");
        assert_eq!((rig.shares().as_str(), rig.status().wanted.as_str()), ("v1 100%", "v1"));
        assert_eq!((lanes(&rig).len(), rig.status().drift.len()), (3, 0));
        assert!(rig.told().contains(if stable { "adopted" } else { "rolled_back" }), "{}", rig.told());
    }
}
