//! Counters with one writer.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::{BUCKETS, Histogram, bucket_of_us};

/// A counter that one thread writes and any thread reads. Because there is one writer, adding is a
/// load and a store rather than a locked instruction.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Adds so that whoever sees the new value with [`Count::get_first`] sees every earlier store of
    /// this thread too.
    pub(super) fn add_last(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Release);
    }

    /// Reads what [`Count::add_last`] wrote; what is read afterwards is at least as new.
    pub(super) fn get_first(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Durations by bucket, with one writer.
#[derive(Debug)]
pub(super) struct Durations {
    counts: [Count; BUCKETS],
    sum_us: Count,
}

impl Default for Durations {
    fn default() -> Self {
        Self { counts: std::array::from_fn(|_| Count::default()), sum_us: Count::default() }
    }
}

impl Durations {
    pub(super) fn record_us(&self, us: u64) {
        self.counts[bucket_of_us(us)].add(1);
        self.sum_us.add(us);
    }

    pub(super) fn add_to(&self, sum: &mut Histogram) {
        for (into, from) in sum.counts.iter_mut().zip(&self.counts) {
            *into += from.get();
        }
        sum.sum_us += self.sum_us.get();
    }
}
