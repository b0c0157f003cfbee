//! What the lanes answer: made up from rates, or from a recording in which chance says which requests
//! were the canary's.

use crate::analysis::History;
use crate::model::{CLIENT_SHARDS, LaneTally, Observation, Tally};

use super::chance::Chance;
use super::recorded::Recording;

/// What the canary does that stable does not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Regression {
    /// Share of the canary's requests that fail because of it.
    pub share: f64,
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
    },
    /// As recorded.
    Recorded(&'a Recording),
}

/// The traffic of one run.
#[derive(Clone, Debug)]
pub struct Traffic<'a> {
    source: Source<'a>,
    regression: Regression,
    chance: Chance,
    /// Requests of the recording that have been answered.
    answered: usize,
}

impl<'a> Traffic<'a> {
    /// Traffic that comes again for the same chance.
    pub fn new(source: Source<'a>, regression: Regression, chance: Chance) -> Self {
        let answered = match &source {
            Source::Rates { .. } => 0,
            Source::Recorded(it) => it.warm_up(),
        };
        Self { source, regression, chance, answered }
    }

    /// What is remembered of stable when the release begins.
    pub fn history(&self) -> History {
        match &self.source {
            Source::Rates { rate, failing } => {
                let responses = rate * History::HALF_LIFE.as_secs_f64() / std::f64::consts::LN_2;
                History { responses, bad: responses * failing }
            }
            Source::Recorded(it) => it.history(self.answered),
        }
    }

    /// What both lanes answered between two moments, in seconds since the release began. `None` when
    /// the recording is over.
    pub fn between(&mut self, from: f64, to: f64, weight: f64) -> Option<Observation> {
        let mut seen = Observation::default();
        let extra = if from >= self.regression.onset { self.regression.share } else { 0.0 };
        match self.source {
            Source::Rates { rate, failing } => {
                for _ in 0..self.chance.poisson(rate * (to - from)) {
                    let shard = (self.chance.next() % CLIENT_SHARDS as u64) as usize;
                    let canary = self.chance.unit() < weight;
                    // A request fails for either reason; they know nothing of each other.
                    let chance = if canary { failing + extra - failing * extra } else { failing };
                    let bad = self.chance.unit() < chance;
                    count(if canary { &mut seen.canary } else { &mut seen.stable }, shard, bad);
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
