//! Callers who are pinned to a version, in virtual time: what fails together goes to one lane together.
//! Replays from its seed.

use std::time::Duration;

use tidegate::analysis::{
    Clustering, Clusters, Evidence, GuardPolicy, History, Judge, StepEvidence, Verdict,
};
use tidegate::model::{CLIENT_SHARDS, LaneTally, Observation, Seeded, Tally};

/// 1000 requests a second, a tenth of the callers on the canary, one request in a hundred fails.
#[derive(Clone, Copy, Debug)]
pub enum Failing {
    /// Nine of ten failures come from sessions of some 20 requests within seconds.
    Sessions,
    /// One in two hundred of 10 000 callers fails always; the other failures are on their own.
    Callers,
}

/// A service whose callers are pinned.
pub struct Pinned {
    failing: Failing,
    chance: Seeded,
    /// Failing sessions: shard, lane, requests that are still to come.
    sessions: Vec<(usize, bool, f64)>,
    /// Unlucky callers: shard and lane.
    callers: Vec<(usize, bool)>,
}

impl Pinned {
    pub fn new(failing: Failing, seed: u64) -> Self {
        let mut chance = Seeded::new(seed);
        let unlucky = if matches!(failing, Failing::Callers) { 50 } else { 0 };
        let callers = (0..unlucky).map(|_| (shard(&mut chance), chance.unit() < CANARY)).collect();
        Self { failing, chance, sessions: Vec::new(), callers }
    }

    /// What ten minutes before the release say; all callers are on stable then.
    pub fn before(&mut self) -> (History, Clustering) {
        let (mut history, mut clusters) = (History::default(), Clusters::default());
        for _ in 0..6_000 {
            let seen = self.tick(0.0);
            let mut all = LaneTally::default();
            for (at, it) in all.shards.iter_mut().enumerate() {
                *it = seen.canary.shards[at].plus(seen.stable.shards[at]);
            }
            history.remember(TICK, all.total());
            clusters.remember(TICK, &all);
        }
        (history, clusters.estimate())
    }

    /// A release of so many seconds, whose canary fails more often by `worse`: when it is rolled back.
    pub fn release(&mut self, mut judge: Judge, worse: f64, seconds: u64) -> (Option<f64>, Evidence) {
        let mut step = StepEvidence { requests: 100, ..StepEvidence::default() };
        for at in 1..=seconds * 10 {
            let seen = self.tick(worse);
            judge.observe(TICK * u32::try_from(at).expect("some hours of ticks"), &seen, true);
            step.canary = step.canary.plus(seen.canary.total());
            if matches!(judge.verdict(&step), Verdict::Worse(_)) {
                return (Some(at as f64 / 10.0), judge.evidence());
            }
        }
        (None, judge.evidence())
    }

    fn tick(&mut self, worse: f64) -> Observation {
        let mut seen = Observation::default();
        let alone = match self.failing {
            Failing::Sessions => 0.001,
            Failing::Callers => 0.005,
        };
        for _ in 0..100 {
            let (shard, canary) = (shard(&mut self.chance), self.chance.unit() < CANARY);
            let rate = if canary { alone + worse } else { alone };
            let bad = self.chance.unit() < rate;
            count(&mut seen, shard, canary, 1, bad);
        }
        if matches!(self.failing, Failing::Sessions) && self.chance.unit() < 0.045 {
            let length = 20.0 * self.chance.gap(1.0);
            self.sessions.push((shard(&mut self.chance), self.chance.unit() < CANARY, length));
        }
        // Some five requests a second each.
        for (shard, canary, left) in &mut self.sessions {
            if self.chance.unit() < 0.5 {
                count(&mut seen, *shard, *canary, 1, true);
                *left -= 1.0;
            }
        }
        self.sessions.retain(|it| it.2 > 0.0);
        // A request every ten seconds each.
        for (shard, canary) in &self.callers {
            if self.chance.unit() < 0.01 {
                count(&mut seen, *shard, *canary, 1, true);
            }
        }
        seen
    }
}

/// The usual guards on errors.
pub fn judge(history: History) -> Judge {
    Judge::new(&GuardPolicy { latency: [None; 4], ..GuardPolicy::default() }, history)
}

fn count(seen: &mut Observation, shard: usize, canary: bool, requests: u64, bad: bool) {
    let lane = if canary { &mut seen.canary } else { &mut seen.stable };
    lane.shards[shard] = lane.shards[shard].plus(Tally { requests, bad: u64::from(bad) });
}

fn shard(chance: &mut Seeded) -> usize {
    chance.below(CLIENT_SHARDS as u64) as usize
}

/// The canary's share of the callers.
const CANARY: f64 = 0.1;

const TICK: Duration = Duration::from_millis(100);
