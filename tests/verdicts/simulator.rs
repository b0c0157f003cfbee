//! A service with a canary, in virtual time: Poisson arrivals, a coin for each request, ticks at irregular
//! distances and sooner when the canary fails. Replays from its seed.

use std::time::Duration;

use tidegate::analysis::{GuardPolicy, History, Judge, StepEvidence, Verdict};
use tidegate::model::{CLIENT_SHARDS, Observation, Seeded, Tally};

/// A service and what its canary does.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Requests a second.
    pub rate: f64,
    /// The canary's share of them.
    pub weight: f64,
    /// Failures of stable, as a share.
    pub stable: f64,
    /// Failures of the canary, as a share.
    pub canary: f64,
    /// Mean distance of ticks in seconds; each is off by up to 40 %.
    pub tick: f64,
    /// How soon after a failure of the canary the judge is asked (seconds), if at all.
    pub wake: Option<f64>,
    /// Simulated seconds.
    pub seconds: f64,
}

/// 1000 requests a second, a tenth of them to the canary, one in a thousand fails on stable.
pub const USUAL: Scenario = Scenario {
    rate: 1_000.0,
    weight: 0.1,
    stable: 0.001,
    canary: 0.001,
    tick: 0.05,
    wake: Some(0.002),
    seconds: 3_600.0,
};

/// When the release was rolled back, and what it had cost by then.
#[derive(Clone, Copy, Debug)]
pub struct Rollback {
    /// Seconds since the release began.
    pub seconds: f64,
    /// Failed canary requests.
    pub failures: u64,
}

impl Scenario {
    /// Plays until the canary is judged worse, or the time is over.
    pub fn run(&self, seed: u64) -> Option<Rollback> {
        let mut chance = Seeded::new(seed);
        let responses = self.rate * (1.0 - self.weight) * 120.0 / std::f64::consts::LN_2;
        let history = History { responses, bad: responses * self.stable };
        let mut judge = Judge::new(&GuardPolicy::default(), history);
        let mut step = StepEvidence { requests: 100, ..StepEvidence::default() };
        let (mut arrival, mut regular) = (chance.gap(self.rate), self.next_tick(0.0, &mut chance));
        let mut wake = f64::INFINITY;
        let mut seen = Observation::default();
        loop {
            let tick = regular.min(wake);
            while arrival < tick {
                if self.respond(&mut seen, &mut chance) {
                    let soon = self.wake.map_or(f64::INFINITY, |it| arrival + it);
                    wake = wake.min(soon);
                }
                arrival += chance.gap(self.rate);
            }
            let tick = regular.min(wake);
            if tick > self.seconds {
                return None;
            }
            judge.observe(Duration::from_secs_f64(tick), &seen, true);
            step.canary = step.canary.plus(seen.canary.total());
            if matches!(judge.verdict(&step), Verdict::Worse(_)) {
                return Some(Rollback { seconds: tick, failures: step.canary.bad });
            }
            seen = Observation::default();
            (wake, regular) = (f64::INFINITY, self.next_tick(tick, &mut chance));
        }
    }

    /// One request; whether it was a failure of the canary.
    fn respond(&self, seen: &mut Observation, chance: &mut Seeded) -> bool {
        let canary = chance.unit() < self.weight;
        let bad = chance.unit() < if canary { self.canary } else { self.stable };
        let shard = (chance.next() % CLIENT_SHARDS as u64) as usize;
        let lane = if canary { &mut seen.canary } else { &mut seen.stable };
        lane.shards[shard] = lane.shards[shard].plus(Tally { requests: 1, bad: u64::from(bad) });
        canary && bad
    }

    fn next_tick(&self, now: f64, chance: &mut Seeded) -> f64 {
        now + self.tick * (0.6 + 0.8 * chance.unit())
    }
}

/// Medians over the runs that were rolled back: seconds and failed requests; and how many were not.
pub fn medians(scenario: Scenario, runs: u64) -> (f64, u64, usize) {
    let (mut seconds, mut failures): (Vec<f64>, Vec<u64>) =
        (0..runs).filter_map(|seed| scenario.run(seed)).map(|it| (it.seconds, it.failures)).unzip();
    seconds.sort_by(f64::total_cmp);
    failures.sort_unstable();
    let middle = seconds.len() / 2;
    let missed = runs as usize - seconds.len();
    (seconds.get(middle).copied().unwrap_or(f64::NAN), failures.get(middle).copied().unwrap_or(0), missed)
}
