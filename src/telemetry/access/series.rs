//! How the access log itself fares.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use super::super::cell::Count;

/// Lines that were written, and lines that were not.
#[derive(Debug)]
pub struct LogSeries {
    /// Records that did not fit into each worker's queue.
    pub(super) overflown: Box<[CachePadded<Count>]>,
    written: AtomicU64,
    failed: AtomicU64,
}

impl LogSeries {
    /// Nothing yet, from so many workers.
    pub fn new(workers: usize) -> Self {
        Self {
            overflown: (0..workers).map(|_| CachePadded::default()).collect(),
            written: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// Lines that reached the sink.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Records that found their queue full, because the sink was slower than the requests.
    pub fn overflown(&self) -> u64 {
        self.overflown.iter().map(|it| it.get()).sum()
    }

    /// Lines that the sink refused.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, written: u64, failed: u64) {
        self.written.fetch_add(written, Ordering::Relaxed);
        self.failed.fetch_add(failed, Ordering::Relaxed);
    }
}
