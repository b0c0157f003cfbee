//! Whatever happens, a trace of it comes out the same when it is played again.

use proptest::prelude::*;

use super::*;
use crate::controller::Replay;
use crate::store::Noted;

/// Plays notes again; how many looks and decisions there were.
fn replayed(notes: Vec<Noted>) -> (u64, u64) {
    let mut replay = Replay::default();
    for noted in notes {
        if let Err(difference) = replay.play(noted) {
            panic!("{difference}");
        }
    }
    replay.end()
}

#[test]
fn a_rollback_a_retry_and_a_promotion_replay_bit_for_bit() {
    let mut rig = Rig::new(CANARY);
    rig.failing = BTreeMap::from([("v2", 0.5)]);
    rig.load("v2", CANARY).unwrap();
    rig.run("20s");
    assert_eq!(rig.status().word, "ROLLED BACK");
    rig.failing.clear();
    rig.command(Command::Retry).unwrap();
    rig.run("30s");
    let first = rig.kept.take();
    rig.restart("5s");
    rig.load("v2", CANARY).unwrap();
    rig.run("2m");
    rig.command(rollback()).unwrap();
    let second = rig.kept.take();
    let (looks, decisions) = replayed(first.clone());
    assert!(looks > 400 && decisions >= 4, "{looks} {decisions}");
    assert!(replayed(second).1 >= 3);
    // Another outcome, other evidence or a note that is missing is noticed.
    let mut noticed = 0;
    for at in 0..first.len() {
        let mut notes = first.clone();
        match &mut notes[at] {
            Noted::Decided(it) => it.digest ^= 1,
            Noted::Event { .. } => drop(notes.remove(at)),
            _ => continue,
        }
        let mut replay = Replay::default();
        assert!(notes.into_iter().any(|it| replay.play(it).is_err()), "{at}");
        noticed += 1;
    }
    assert!(noticed >= 6);
}

/// The usual services, whose callers are pinned.
fn pinned(live: &str) -> Config {
    let mut config = config(live, &["v1", "v2", "v3"], CANARY);
    for service in &mut config.services {
        let spec = ServiceSpec { sticky: Some(StickyBy::Address), ..(*service.spec).clone() };
        service.spec = Arc::new(spec);
    }
    config
}

#[test]
fn what_is_remembered_of_pinned_callers_is_judged_by_said_and_replayed() {
    let mut rig = Rig::new(CANARY);
    rig.load_config(pinned("v1")).unwrap();
    rig.load_config(pinned("v2")).unwrap();
    rig.run("10s");
    let said = |rig: &Rig| rig.status().guards[0].text.clone();
    assert!(said(&rig).contains("unknown (too few failures"), "{}", said(&rig));
    assert!(said(&rig).ends_with("evidence is divided by 10"), "{}", said(&rig));
    rig.command(rollback()).unwrap();

    rig.failing = BTreeMap::from([("v1", 0.02), ("v2", 0.02)]);
    rig.run("3m");
    rig.command(Command::Retry).unwrap();
    rig.run("20s");
    let known = said(&rig);
    assert!(known.contains("callers are pinned: up to +"), "{known}");
    let first = rig.kept.take();
    rig.restart("5s");
    rig.load_config(pinned("v2")).unwrap();
    rig.run("5s");
    let divided = |it: &str| it.rsplit_once("divided").unwrap().1.to_owned();
    assert_eq!(divided(&said(&rig)), divided(&known), "the evidence knows it after a restart");
    rig.failing = BTreeMap::from([("v2", 1.0)]);
    rig.run("30s");
    assert_eq!(rig.status().word, "ROLLED BACK");
    assert!(replayed(first).1 >= 3);
    assert!(replayed(rig.kept.take()).1 >= 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn random_runs_replay_bit_for_bit(moves in prop::collection::vec((0..9_u8, 1..40_u32), 1..14)) {
        let mut rig = Rig::new(CANARY);
        rig.rps = 60.0;
        let mut all = Vec::new();
        for (what, seconds) in moves {
            match what {
                0 => drop(rig.load("v2", CANARY)),
                1 => drop(rig.load("v3", FLIP)),
                2 => drop(rig.command_now(promote(), None)),
                3 => drop(rig.command_now(rollback(), None)),
                4 => drop(rig.command_now(Command::Retry, None)),
                5 => {
                    rig.restart("3s");
                    drop(rig.load("v2", CANARY));
                }
                6 => rig.failing = BTreeMap::from([("v2", 0.3), ("v3", 0.05)]),
                7 => rig.failing.clear(),
                _ => rig.disk = if rig.disk == DiskIs::Fine { DiskIs::Full } else { DiskIs::Fine },
            }
            rig.run(&format!("{seconds}s"));
            all.extend(rig.kept.take());
        }
        replayed(all);
    }
}

#[test]
fn a_version_of_run_time_replays_bit_for_bit() {
    let mut rig = Rig::new(CANARY);
    rig.load("v2", CANARY).unwrap();
    rig.run("10s");
    rig.deploy_now().try_recv().unwrap().unwrap();
    rig.run("10s");
    rig.load("v2", CANARY).unwrap();
    rig.run("70s");
    rig.command(rollback()).unwrap();
    rig.load("v3", CANARY).unwrap();
    rig.run("10s");
    let (looks, decisions) = replayed(rig.kept.take());
    assert!(looks > 100 && decisions >= 6, "{looks} {decisions}");
}
