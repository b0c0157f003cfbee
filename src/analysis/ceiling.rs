//! One lane against a fixed rate: "never above 1 %".
//!
//! Needs no stable; every tick with responses is a block. Like the comparison it runs once over
//! everything and once without each client shard.

use std::time::Duration;

use super::mixture::{Mixture, Purse, SIZES};
use crate::model::{CLIENT_SHARDS, LaneTally, Tally};

/// What a ceiling test tries to show.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// That the canary is above the limit.
    Above,
    /// That it is below.
    Below,
}

/// The evidence against (or for) one rate.
#[derive(Clone, Debug, PartialEq)]
pub struct Ceiling {
    pub(super) side: Side,
    pub(super) limit: f64,
    /// Design effect: how many responses share one fate.
    pub(super) dispersion: f64,
    pub(super) purse: Purse,
    pub(super) mixtures: Vec<Mixture>,
    /// Logarithm of each mixture; follows from `mixtures`.
    pub(super) log_w: Vec<f64>,
    /// What one bad and one good response are worth to each bet; follows from the limit.
    worth: Vec<(f64, f64)>,
}

impl Ceiling {
    /// A test of `limit`, a share between 0 and 1 (both excluded).
    pub fn new(limit: f64, side: Side) -> Self {
        Self::with_purse(limit, side, Purse::new(1.0))
    }

    pub(super) fn with_purse(limit: f64, side: Side, purse: Purse) -> Self {
        let limit = limit.clamp(LIMIT_MIN, LIMIT_MAX);
        let rates: Vec<f64> = match side {
            Side::Above => SIZES.iter().map(|it| limit + it * (1.0 - limit)).collect(),
            Side::Below => BELOW_FRACTIONS.iter().map(|it| it * limit).collect(),
        };
        let worth: Vec<_> =
            rates.iter().map(|it| ((it / limit).ln(), (-it).ln_1p() - (-limit).ln_1p())).collect();
        let start = match side {
            Side::Above => purse.start(),
            Side::Below => 1.0,
        };
        let mixtures = vec![Mixture::new(worth.len(), start); 1 + CLIENT_SHARDS];
        let mut it = Self { side, limit, dispersion: 1.0, purse, mixtures, log_w: Vec::new(), worth };
        it.weigh();
        it
    }

    /// Adds what one tick saw; `elapsed` is the time since this test began.
    pub fn observe(&mut self, elapsed: Duration, seen: &LaneTally) {
        let total = seen.total();
        if total.requests == 0 {
            return;
        }
        let due = match self.side {
            Side::Above => self.purse.due(elapsed.as_secs_f64(), self.worth.len()),
            Side::Below => None,
        };
        for (process, mixture) in self.mixtures.iter_mut().enumerate() {
            if let Some(mass) = due {
                mixture.inject(mass);
            }
            let part = process.checked_sub(1).map_or_else(Tally::default, |shard| seen.shards[shard]);
            let kept = total.since(part);
            let (bad, good) = (kept.bad as f64, kept.requests.saturating_sub(kept.bad) as f64);
            mixture.add(self.worth.iter().map(|it| (bad * it.0 + good * it.1) / self.dispersion));
        }
        self.weigh();
    }

    /// The rate in question.
    pub fn limit(&self) -> f64 {
        self.limit
    }

    /// Logarithm of the evidence of all responses together.
    pub fn log_w(&self) -> f64 {
        self.log_w[0]
    }

    /// Logarithm of the evidence that remains whichever client shard is left out, except `source`.
    pub fn log_w_min(&self, source: Option<usize>) -> f64 {
        let kept = |(process, _): &(usize, &f64)| source.is_none_or(|it| *process != it + 1);
        self.log_w.iter().enumerate().filter(kept).map(|(_, it)| *it).fold(f64::INFINITY, f64::min)
    }

    pub(super) fn weigh(&mut self) {
        self.log_w.clear();
        self.log_w.extend(self.mixtures.iter().map(Mixture::log_w));
    }
}

/// Rates bet on by a test for "below", as a share of the limit.
const BELOW_FRACTIONS: [f64; 3] = [0.1, 0.3, 0.6];

/// A limit of exactly nothing would make the first failure infinitely telling.
const LIMIT_MIN: f64 = 1e-6;

/// Nothing can be above everything; the test then never decides.
const LIMIT_MAX: f64 = 1.0 - 1e-6;
