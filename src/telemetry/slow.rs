//! Requests that are older than a limit before their version answers.
//!
//! The controller sets the limits, a worker compares: one relaxed load and one compare for a request that
//! is faster than all of them, nothing more than that when there are none. For each limit both kinds are
//! counted at the moment they are known: a slow request when its age passes the limit, a quick one when
//! its answer begins. So a version that hangs is seen before anything times out.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::{CLIENT_SHARDS, ClientShard, LaneTally, SLOW_SLOTS, Tally};

use super::cell::Count;

/// Ages in microseconds; `u64::MAX` where there is no limit.
#[derive(Debug)]
pub(super) struct SlowLimits {
    least_us: AtomicU64,
    limits_us: [AtomicU64; SLOW_SLOTS],
}

/// One worker's counts of one version.
#[derive(Debug)]
pub(super) struct SlowCells {
    shards: [SlowShard; CLIENT_SHARDS],
}

#[derive(Debug, Default)]
struct SlowShard {
    /// Quick by every limit.
    prompt: Count,
    slow: [Count; SLOW_SLOTS],
    /// Quick by this limit, slow by another.
    quick: [Count; SLOW_SLOTS],
}

/// Which limits a request has passed, one bit each.
pub type Passed = u8;

impl Default for SlowLimits {
    fn default() -> Self {
        let limits_us = std::array::from_fn(|_| AtomicU64::new(u64::MAX));
        Self { least_us: AtomicU64::new(u64::MAX), limits_us }
    }
}

impl SlowLimits {
    pub(super) fn set(&self, limits_us: &[u64; SLOW_SLOTS]) {
        for (cell, us) in self.limits_us.iter().zip(limits_us) {
            cell.store(*us, Ordering::Relaxed);
        }
        let least_us = limits_us.iter().copied().min().unwrap_or(u64::MAX);
        self.least_us.store(least_us, Ordering::Relaxed);
    }

    /// The smallest limit that is not among `passed`; `u64::MAX` if there is none.
    pub(super) fn next_us(&self, passed: Passed) -> u64 {
        if passed == 0 {
            return self.least_us.load(Ordering::Relaxed);
        }
        let open = (0..SLOW_SLOTS).filter(|slot| passed & (1 << slot) == 0);
        open.map(|slot| self.limits_us[slot].load(Ordering::Relaxed)).min().unwrap_or(u64::MAX)
    }
}

impl Default for SlowCells {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| SlowShard::default()) }
    }
}

impl SlowCells {
    /// Counts the limits that a request of this age has passed, and not before; all that it has passed.
    pub(super) fn aged(
        &self,
        limits: &SlowLimits,
        shard: ClientShard,
        age_us: u64,
        mut passed: Passed,
    ) -> Passed {
        if age_us < limits.next_us(passed) {
            return passed;
        }
        let cells = &self.shards[shard.index()];
        for (slot, limit_us) in limits.limits_us.iter().enumerate() {
            let bit = 1 << slot;
            if passed & bit == 0 && age_us >= limit_us.load(Ordering::Relaxed) {
                cells.slow[slot].add(1);
                passed |= bit;
            }
        }
        passed
    }

    /// The version's answer has begun: the limits that were not passed have been kept.
    pub(super) fn answered(&self, limits: &SlowLimits, shard: ClientShard, age_us: u64, passed: Passed) {
        let least_us = limits.least_us.load(Ordering::Relaxed);
        let cells = &self.shards[shard.index()];
        if passed == 0 && age_us < least_us {
            if least_us != u64::MAX {
                cells.prompt.add(1);
            }
            return;
        }
        let passed = self.aged(limits, shard, age_us, passed);
        for (slot, quick) in cells.quick.iter().enumerate() {
            if passed & (1 << slot) == 0 {
                quick.add(1);
            }
        }
    }

    pub(super) fn add_to(&self, slot: usize, sum: &mut LaneTally) {
        for (into, from) in sum.shards.iter_mut().zip(&self.shards) {
            let bad = from.slow[slot].get();
            let requests = from.prompt.get() + from.quick[slot].get() + bad;
            *into = into.plus(Tally { requests, bad });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [u64; SLOW_SLOTS] = [u64::MAX; SLOW_SLOTS];

    fn counted(it: &SlowCells, slot: usize) -> (u64, u64) {
        let mut sum = LaneTally::default();
        it.add_to(slot, &mut sum);
        (sum.total().requests, sum.total().bad)
    }

    #[test]
    fn each_limit_counts_every_request_once() {
        let (limits, cells, shard) = (SlowLimits::default(), SlowCells::default(), ClientShard::of(b"x"));
        cells.answered(&limits, shard, 1_000_000, 0);
        assert_eq!(counted(&cells, 0), (0, 0), "nobody asked");
        let mut set = NONE;
        (set[0], set[3]) = (10, 100);
        limits.set(&set);
        cells.answered(&limits, shard, 9, 0);
        cells.answered(&limits, shard, 50, 0);
        // One that hangs is slow before it is answered, by one limit after the other.
        let passed = cells.aged(&limits, shard, 60, 0);
        assert_eq!((counted(&cells, 0), counted(&cells, 3)), ((3, 2), (2, 0)));
        assert_eq!(limits.next_us(passed), 100);
        let passed = cells.aged(&limits, shard, 100, passed);
        assert_eq!(cells.aged(&limits, shard, 200, passed), passed);
        cells.answered(&limits, shard, 300, passed);
        assert_eq!((counted(&cells, 0), counted(&cells, 3)), ((3, 2), (3, 1)));
        assert_eq!(limits.next_us(passed), u64::MAX);
    }
}
