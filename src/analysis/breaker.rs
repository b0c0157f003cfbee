//! A run of failures without one success: explainable at a glance, and there when nothing can be
//! compared.
//!
//! Stable is counted over the very same span, so that the onset of a shared outage does not trip it.

use super::bet::Block;
use crate::model::{Observation, Tally};

/// Counts the canary's failures since its last success.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Breaker {
    pub(super) failures: u64,
    pub(super) stable: Tally,
    /// Client shards that failed, one bit each.
    pub(super) shards: u64,
    /// Whether stable got traffic in this span.
    pub(super) comparator: bool,
}

impl Breaker {
    /// Adds what one tick saw. The order inside a tick is unknown: any success of the canary ends the
    /// run, and so does gaining or losing the comparator, because the run would mean something else.
    pub fn observe(&mut self, seen: &Observation, comparator: bool) {
        let total = Block { canary: seen.canary.total(), stable: seen.stable.total() };
        if comparator != self.comparator || total.canary.bad < total.canary.requests {
            *self = Self { comparator, ..Self::default() };
        }
        if total.canary.bad < total.canary.requests {
            return;
        }
        if total.canary.requests > 0 || self.failures > 0 {
            self.failures += total.canary.bad;
            self.stable = self.stable.plus(total.stable);
            for (shard, it) in seen.canary.shards.iter().enumerate() {
                self.shards |= u64::from(it.bad > 0) << shard;
            }
        }
    }

    /// Whether the run is long enough, came from several clients (or from the one `source` that nearly
    /// all traffic comes from), and stable was fine meanwhile.
    pub fn tripped(&self, one_source: bool) -> bool {
        let clients = self.shards.count_ones();
        let several = clients >= SHARDS_MIN || (one_source && clients > 0);
        self.failures >= FAILURES_MIN && several && (!self.comparator || self.stable_was_fine())
    }

    /// Failures in the present run.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// What stable did during the run.
    pub fn stable(&self) -> Tally {
        self.stable
    }

    fn stable_was_fine(&self) -> bool {
        self.stable.requests >= STABLE_MIN && self.stable.bad * STABLE_BAD_ONE_IN <= self.stable.requests
    }
}

/// Failures in a row.
pub(super) const FAILURES_MIN: u64 = 20;

/// Client shards that they must come from.
const SHARDS_MIN: u32 = 3;

/// Responses of stable that a run is compared with.
const STABLE_MIN: u64 = 20;

/// At most one in ten of those may have failed.
const STABLE_BAD_ONE_IN: u64 = 10;
