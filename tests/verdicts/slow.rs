//! A service that fails and is slow by a script, in virtual time, judged by the guards on errors and on
//! latency together. Replays from its seed.

use std::time::Duration;

use tidegate::analysis::{GuardPolicy, History, Judge, Quantile, StepEvidence, Verdict};
use tidegate::model::{CLIENT_SHARDS, LaneTally, Observation, Seeded, SlowTally, Tally};

/// Chances of one lane's requests, as shares: to fail, to be above the marks of p95 and of p99.
#[derive(Clone, Copy, Debug)]
pub struct Lane {
    pub fails: f64,
    pub above_p95: f64,
    pub above_p99: f64,
}

/// As usual.
pub const FINE: Lane = Lane { fails: 0.001, above_p95: 0.05, above_p99: 0.01 };

/// What happens in one tick.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub canary: Lane,
    pub stable: Lane,
    /// Requests on top of one looping client of the canary, all slow and failed.
    pub looping: u64,
    /// Whether the loop is many clients'.
    pub many: bool,
}

pub const USUAL: Now = Now { canary: FINE, stable: FINE, looping: 0, many: false };

/// 1000 requests a second, a tenth of them to the canary, for so many ticks: when it is rolled back (in
/// seconds), and the verdict at the end.
pub fn play(seed: u64, tick: Duration, ticks: u32, script: impl Fn(f64) -> Now) -> (Option<f64>, Verdict) {
    let mut chance = Seeded::new(seed);
    let mut judge = Judge::new(&GuardPolicy::default(), History { responses: 150_000.0, bad: 150.0 });
    let mut step = StepEvidence { requests: 100, ..StepEvidence::default() };
    let requests = (1_000.0 * tick.as_secs_f64()).round() as u64;
    for at in 1..=ticks {
        let elapsed = tick * at;
        let seen = one_tick(&mut chance, requests, script(elapsed.as_secs_f64()));
        judge.observe(elapsed, &seen, true);
        step.canary = step.canary.plus(seen.canary.total());
        let verdict = judge.verdict(&step);
        if matches!(verdict, Verdict::Worse(_)) {
            return (Some(elapsed.as_secs_f64()), verdict);
        }
    }
    (None, judge.verdict(&step))
}

fn one_tick(chance: &mut Seeded, requests: u64, now: Now) -> Observation {
    let slow = |quantile: Quantile| SlowTally {
        slot: quantile.relative_slot(),
        canary_us: 27_000,
        stable_us: 20_000,
        ..SlowTally::default()
    };
    let mut seen =
        Observation { slow: vec![slow(Quantile::P95), slow(Quantile::P99)], ..Observation::default() };
    for _ in 0..requests {
        let (shard, canary) = (shard(chance), chance.unit() < 0.1);
        let lane = if canary { now.canary } else { now.stable };
        let (fails, age) = (chance.unit() < lane.fails, chance.unit());
        count(&mut seen, shard, canary, [fails, age < lane.above_p95, age < lane.above_p99]);
    }
    for _ in 0..now.looping {
        let shard = if now.many { shard(chance) } else { 5 };
        count(&mut seen, shard, true, [true; 3]);
    }
    seen
}

fn count(seen: &mut Observation, shard: usize, canary: bool, bad: [bool; 3]) {
    let Observation { canary: canaries, stable: stables, slow } = seen;
    let failures = if canary { canaries } else { stables };
    let ages = slow.iter_mut().map(|it| if canary { &mut it.canary } else { &mut it.stable });
    for (lane, bad) in std::iter::once(failures).chain(ages).zip(bad) {
        let lane: &mut LaneTally = lane;
        lane.shards[shard] = lane.shards[shard].plus(Tally { requests: 1, bad: u64::from(bad) });
    }
}

fn shard(chance: &mut Seeded) -> usize {
    (chance.next() % CLIENT_SHARDS as u64) as usize
}
