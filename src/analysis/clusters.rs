//! How much responses share their fate, estimated on stable traffic: needed once callers are pinned to a
//! lane, where one unlucky caller fails many times.
//!
//! Two corrections follow. Short bursts: evidence is divided by the *design effect*, the number of
//! responses that fail together. Callers who fail all the time: no patience averages them out, so the
//! margin is widened by what two lanes of the same version would differ by.

use std::time::Duration;

use super::history::History;
use crate::model::{CLIENT_SHARDS, LaneTally, Tally};

/// How callers cluster, as known before a release.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clustering {
    /// Responses that share one fate, at least one.
    pub dispersion: f64,
    /// Standard deviation of the client shards' long-run failure rates.
    pub spread: f64,
    /// Whether both were estimated; otherwise too few failures were seen, and caution is assumed.
    pub known: bool,
}

impl Clustering {
    /// Nothing is known: caution.
    pub const UNKNOWN: Self = Self { dispersion: DISPERSION_UNKNOWN, spread: 0.0, known: false };

    /// What two lanes of the same version differ by at equal shares, times four, before the share of the
    /// canary is known: see [`noise_at`].
    pub(super) fn noise(&self) -> f64 {
        4.0 * self.spread / (CLIENT_SHARDS as f64).sqrt()
    }
}

/// The widening of the margin when the canary gets `share` of the traffic.
pub(super) fn noise_at(noise: f64, share: f64) -> f64 {
    noise / (share * (1.0 - share)).sqrt()
}

/// What is remembered of stable's failures to estimate [`Clustering`]: sums, so that memory is bounded
/// however long it is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clusters {
    /// The slot of time that is still growing, and its age in seconds.
    open: LaneTally,
    age: f64,
    effect: Effect,
    shards: [History; CLIENT_SHARDS],
}

impl Clusters {
    /// Adds what was seen, after `passed` has gone by since the last call.
    pub fn remember(&mut self, passed: Duration, seen: &LaneTally) {
        for (open, seen) in self.open.shards.iter_mut().zip(&seen.shards) {
            *open = open.plus(*seen);
        }
        self.age += passed.as_secs_f64();
        if self.age < SLOT_S {
            return;
        }
        let kept = (-std::f64::consts::LN_2 * self.age / HALF_LIFE.as_secs_f64()).exp();
        self.effect.seen *= kept;
        self.effect.expected *= kept;
        self.effect.add(&self.open.shards);
        for (shard, open) in self.shards.iter_mut().zip(&self.open.shards) {
            shard.fade(self.age, HALF_LIFE);
            shard.add(*open);
        }
        (self.open, self.age) = (LaneTally::default(), 0.0);
    }

    /// What that says of the callers.
    pub fn estimate(&self) -> Clustering {
        if self.shards.iter().map(|it| it.bad).sum::<f64>() < FAILURES_MIN {
            return Clustering::UNKNOWN;
        }
        let dispersion = self.effect.ratio();
        Clustering { dispersion, spread: client_spread(&self.shards, dispersion), known: true }
    }
}

/// Design effect: how many responses share one fate, at least one. `slots` are short stretches of time,
/// each split by client shard; a rate that moves for everybody cancels out.
pub fn design_effect(slots: &[Vec<Tally>]) -> f64 {
    let mut effect = Effect::default();
    slots.iter().for_each(|it| effect.add(it));
    effect.ratio()
}

/// Squared deviations of the shards from their slots' rates, as seen and as independence would have it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Effect {
    seen: f64,
    expected: f64,
}

impl Effect {
    fn add(&mut self, slot: &[Tally]) {
        let total = slot.iter().fold(Tally::default(), |sum, it| sum.plus(*it));
        let Some(rate) = total.rate() else { return };
        for part in slot {
            let n = part.requests as f64;
            let excess = part.bad as f64 - n * rate;
            self.seen += excess * excess;
            self.expected += n * rate * (1.0 - rate) * (1.0 - n / total.requests as f64);
        }
    }

    fn ratio(self) -> f64 {
        if self.expected > 0.0 { (self.seen / self.expected).max(1.0) } else { 1.0 }
    }
}

/// Standard deviation of the shards' true rates around the common one, given the design effect: what an
/// A/A comparison of pinned callers would show.
pub fn client_spread(shards: &[History], dispersion: f64) -> f64 {
    let (all, bad) = shards.iter().fold((0.0, 0.0), |sum, it| (sum.0 + it.responses, sum.1 + it.bad));
    if all <= 0.0 {
        return 0.0;
    }
    let (rate, mut variance, mut counted) = (bad / all, 0.0, 0.0);
    for part in shards.iter().filter(|it| it.responses > 0.0) {
        counted += 1.0;
        variance +=
            (part.bad / part.responses - rate).powi(2) - rate * (1.0 - rate) * dispersion / part.responses;
    }
    if counted > 1.0 { (variance / (counted - 1.0)).max(0.0).sqrt() } else { 0.0 }
}

/// Length of a slot: long enough for a session, short enough that a rate hardly moves.
const SLOT_S: f64 = 10.0;

/// Habits of callers outlast the rates of a minute.
const HALF_LIFE: Duration = Duration::from_secs(3_600);

/// Fewer remembered failures say nothing of how they cluster.
const FAILURES_MIN: f64 = 100.0;

/// Design effect when nothing is known.
const DISPERSION_UNKNOWN: f64 = 10.0;
