//! Random schedules of traffic, failures, commands, reloads, disk trouble and crashes.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

/// `TIDEGATE_SEED=7 cargo test random` replays one schedule.
#[test]
fn random_schedules_never_give_a_withdrawn_version_traffic() {
    let seeds = match std::env::var("TIDEGATE_SEED") {
        Ok(seed) => {
            let seed: u64 = seed.parse().unwrap();
            seed..seed + 1
        }
        Err(_) => 0..20,
    };
    for seed in seeds {
        println!("TIDEGATE_SEED={seed}");
        schedule(seed);
    }
}

const QUICK: &str = "5% 2s | 25% 2s, watch 2s";

fn schedule(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut rig = Rig::new(QUICK);
    rig.rps = 400.0;
    let mut live = "v1";
    for _ in 0..25 {
        match random.random_range(0..12) {
            0 | 1 => rig.run("2s"),
            2 => rig.run("7s"),
            3 => drop(rig.failing.insert(["v2", "v3"][random.random_range(0..2)], 1.0)),
            4 => rig.failing.clear(),
            5 | 6 => {
                live = ["v1", "v2", "v3"][random.random_range(0..3)];
                rig.load(live, QUICK).unwrap();
            }
            7 => drop(rig.command_now(promote(), None)),
            8 => drop(rig.command_now(rollback(), None)),
            9 => drop(rig.command_now(Command::Retry, None)),
            10 => rig.disk([DiskIs::Fine, DiskIs::Full, DiskIs::Hanging][random.random_range(0..3)]),
            _ => {
                let disk = rig.disk;
                rig.disk = DiskIs::Fine;
                rig.restart("5s");
                rig.load(live, QUICK).unwrap();
                rig.disk = disk;
            }
        }
        check(&rig);
    }
    // Whatever happened: with a disk and no failures, the file gets its way in the end.
    rig.failing.clear();
    rig.disk(DiskIs::Fine);
    rig.load(live, QUICK).unwrap();
    rig.run("2s");
    drop(rig.command_now(Command::Retry, None));
    drop(rig.command_now(Command::Resume, None));
    rig.run("25s");
    let status = rig.status();
    assert_eq!((status.stable.as_str(), rig.shares()), (live, format!("{live} 100%")), "seed {seed}");
}

fn check(rig: &Rig) {
    let (status, weights) = (rig.status(), rig.weights());
    let sum: u32 = weights.iter().map(|(_, it)| u32::from(it.basis_points())).sum();
    assert_eq!(sum, 10_000);
    for withdrawn in &status.quarantined {
        let weight = weights.iter().find(|(it, _)| it == withdrawn.version.as_str()).unwrap().1;
        assert_eq!(weight, Weight::NONE, "{status:?}");
    }
    // What is shown is what is published.
    for lane in &status.lanes {
        let published = weights.iter().find(|(it, _)| it == lane.version.as_str()).unwrap().1;
        assert_eq!(lane.weight, published, "{status:?}");
    }
}
