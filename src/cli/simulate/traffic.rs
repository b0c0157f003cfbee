//! What the lanes answer: made up from rates, or from a recording in which chance says which requests
//! were the canary's.

use crate::analysis::{GuardPolicy, History};
use crate::model::{CLIENT_SHARDS, LaneTally, Observation, Tally};

use super::chance::Chance;
use super::latency::{self, Limits, Times};
use super::recorded::Recording;

/// What the canary does that stable does not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Regression {
    /// Share of the canary's requests that fail because of it.
    pub share: f64,
    /// How much longer its answers take: 0.25 is a quarter longer.
    pub slower: f64,
    /// Seconds after the release begins.
    pub onset: f64,
}

/// Where responses come from.
#[derive(Clone, Debug)]
pub enum Source<'a> {
    /// Made up: requests a second, and the share of them that fail on either version.
    Rates {
        /// Requests a second.
        rate: f64,
        /// Failures as a share.
        failing: f64,
        /// How long answers take.
        times: Times,
    },
    /// As recorded.
    Recorded(&'a Recording),
}

impl Source<'_> {
    /// Where the latency guards draw their lines.
    pub fn limits(&self, policy: &GuardPolicy) -> Limits {
        match self {
            Self::Rates { times, .. } => Limits::of_times(policy, *times),
            Self::Recorded(it) => Limits::of(policy, &it.times(it.warm_up())),
        }
    }
}

/// The traffic of one run.
#[derive(Clone, Debug)]
pub struct Traffic<'a> {
    source: Source<'a>,
    regression: Regression,
    chance: Chance,
    limits: Limits,
    /// Requests of the recording that have been answered.
    answered: usize,
}

impl<'a> Traffic<'a> {
    /// Traffic that comes again for the same chance.
    pub fn new(source: Source<'a>, regression: Regression, limits: Limits, chance: Chance) -> Self {
        let answered = match &source {
            Source::Rates { .. } => 0,
            Source::Recorded(it) => it.warm_up(),
        };
        Self { source, regression, chance, limits, answered }
    }

    /// What is remembered of stable when the release begins.
    pub fn history(&self) -> History {
        match &self.source {
            Source::Rates { rate, failing, .. } => {
                let responses = rate * History::HALF_LIFE.as_secs_f64() / std::f64::consts::LN_2;
                History { responses, bad: responses * failing }
            }
            Source::Recorded(it) => it.history(self.answered),
        }
    }

    /// What both lanes answered between two moments, in seconds since the release began. `None` when
    /// the recording is over.
    pub fn between(&mut self, from: f64, to: f64, weight: f64) -> Option<Observation> {
        let mut seen = Observation { slow: self.limits.fresh(), ..Observation::default() };
        let begun = from >= self.regression.onset;
        let (extra, longer) =
            if begun { (self.regression.share, 1.0 + self.regression.slower) } else { (0.0, 1.0) };
        match self.source {
            Source::Rates { rate, failing, times } => {
                for _ in 0..self.chance.poisson(rate * (to - from)) {
                    let shard = (self.chance.next() % CLIENT_SHARDS as u64) as usize;
                    let canary = self.chance.unit() < weight;
                    // A request fails for either reason; they know nothing of each other.
                    let chance = if canary { failing + extra - failing * extra } else { failing };
                    let bad = self.chance.unit() < chance;
                    count(if canary { &mut seen.canary } else { &mut seen.stable }, shard, bad);
                    if !seen.slow.is_empty() {
                        let took = times.draw(&mut self.chance) * if canary { longer } else { 1.0 };
                        latency::count(&mut seen.slow, canary, shard, took);
                    }
                }
            }
            Source::Recorded(recording) => {
                let requests = recording.until(self.answered, to)?;
                self.answered += requests.len();
                for it in requests {
                    let canary = self.chance.unit() < weight;
                    let bad = it.bad || (canary && self.chance.unit() < extra);
                    let shard = it
                        .shard
                        .map_or_else(|| (self.chance.next() % CLIENT_SHARDS as u64) as usize, usize::from);
                    count(if canary { &mut seen.canary } else { &mut seen.stable }, shard, bad);
                    if let Some(us) = it.took_us {
                        let took = f64::from(us) * if canary { longer } else { 1.0 };
                        latency::count(&mut seen.slow, canary, shard, took);
                    }
                }
            }
        }
        Some(seen)
    }
}

fn count(lane: &mut LaneTally, shard: usize, bad: bool) {
    let tally = &mut lane.shards[shard % CLIENT_SHARDS];
    *tally = tally.plus(Tally { requests: 1, bad: u64::from(bad) });
}
