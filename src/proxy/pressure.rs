//! How short of memory the process is, and what is given up for it: first new connections are refused, then
//! requests are answered 503, then connections that only wait are closed. Each of these costs somebody less
//! than the end of the process, which would cost everybody everything.
//!
//! One worker looks ten times a second, and each looks when it has made many buffers; all others read what
//! was found.

use std::rc::Rc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crate::runtime::resident_bytes;

use super::buffer::Stock;
use super::worker::{Order, Worker};

/// Time between two looks, with a bound and without.
const EVERY: Duration = Duration::from_millis(100);
const EVERY_IDLE: Duration = Duration::from_secs(1);

/// Percent of the bound from which each thing is given up, in the order of [`Pressure`].
const FROM: [u64; 3] = [80, 88, 94];

/// After so many buffers of 64 KiB a worker looks for itself.
const LOOK_AFTER: u32 = 32;

/// A level is left so many percent below where it begins, so that it is not entered again at once.
const BACK: u64 = 4;

/// What is given up.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Pressure {
    /// Nothing.
    #[default]
    None,
    /// New connections.
    Arrivals,
    /// New requests too.
    Requests,
    /// Connections that wait for a request too.
    Waiting,
}

/// The memory of the process, and what it may be.
#[derive(Debug, Default)]
pub struct Memory {
    /// In bytes; 0 is no bound.
    max: AtomicU64,
    pressure: AtomicU8,
}

impl Memory {
    /// From now on this many bytes are all there is.
    pub fn set_max(&self, bytes: Option<u64>) {
        self.max.store(bytes.unwrap_or(0), Ordering::Relaxed);
    }

    /// Whether new connections are refused.
    pub fn refuses_arrivals(&self) -> bool {
        self.at_least(Pressure::Arrivals)
    }

    /// Whether requests are answered 503.
    pub fn refuses_requests(&self) -> bool {
        self.at_least(Pressure::Requests)
    }

    /// Whether connections that wait are closed.
    pub fn closes_waiting(&self) -> bool {
        self.at_least(Pressure::Waiting)
    }

    fn at_least(&self, level: Pressure) -> bool {
        self.pressure.load(Ordering::Relaxed) >= level as u8
    }

    fn look(&self, resident: impl FnOnce() -> u64) -> Pressure {
        let max = self.max.load(Ordering::Relaxed);
        let before = LEVELS[usize::from(self.pressure.load(Ordering::Relaxed))];
        let now = if max == 0 { Pressure::None } else { judge(before, resident(), max) };
        self.pressure.store(now as u8, Ordering::Relaxed);
        if (before == Pressure::None) != (now == Pressure::None) {
            if now == Pressure::None {
                tracing::info!("enough memory again: everything is taken on");
            } else {
                tracing::warn!(max, "short of memory: new connections are refused");
            }
        }
        now
    }

    /// Looks when so many buffers were made that it may matter, which is sooner than the next look where
    /// connections come in a flood.
    pub fn grown(&self, stock: &Stock) {
        if stock.has_made(LOOK_AFTER) && self.max.load(Ordering::Relaxed) > 0 {
            self.look(resident_bytes);
        }
    }

    /// Looks for as long as the worker lives. In need, tells all workers to let go of what they can.
    pub async fn watch(worker: Rc<Worker>) {
        let memory = &worker.common.memory;
        loop {
            let bounded = memory.max.load(Ordering::Relaxed) > 0;
            tokio::time::sleep(if bounded { EVERY } else { EVERY_IDLE }).await;
            if memory.look(resident_bytes) > Pressure::None {
                worker.tell_all(|| Order::Shrink);
            }
        }
    }
}

const LEVELS: [Pressure; 4] = [Pressure::None, Pressure::Arrivals, Pressure::Requests, Pressure::Waiting];

fn judge(before: Pressure, resident: u64, max: u64) -> Pressure {
    let percent = resident.saturating_mul(100) / max.max(1);
    let reached = |(index, from): &(usize, &u64)| {
        let from = if (before as usize) > *index { **from - BACK } else { **from };
        percent >= from
    };
    LEVELS[FROM.iter().enumerate().filter(reached).count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_given_up_in_order_and_taken_on_later() {
        let memory = Memory::default();
        memory.set_max(Some(1000));
        for (resident, expected) in [
            (100, Pressure::None),
            (799, Pressure::None),
            (800, Pressure::Arrivals),
            (879, Pressure::Arrivals),
            (880, Pressure::Requests),
            (940, Pressure::Waiting),
            (5000, Pressure::Waiting),
            (900, Pressure::Waiting),
            (899, Pressure::Requests),
            (840, Pressure::Requests),
            (839, Pressure::Arrivals),
            (760, Pressure::Arrivals),
            (759, Pressure::None),
            (799, Pressure::None),
            (950, Pressure::Waiting),
            (0, Pressure::None),
        ] {
            assert_eq!(memory.look(|| resident), expected, "{resident}");
            assert_eq!(memory.refuses_arrivals(), expected >= Pressure::Arrivals);
            assert_eq!(memory.refuses_requests(), expected >= Pressure::Requests);
            assert_eq!(memory.closes_waiting(), expected >= Pressure::Waiting);
        }
    }

    #[test]
    fn without_a_bound_nobody_looks() {
        let memory = Memory::default();
        assert_eq!(memory.look(|| panic!("looked")), Pressure::None);
        memory.set_max(Some(10));
        assert_eq!(memory.look(|| 10), Pressure::Waiting);
        memory.set_max(None);
        assert_eq!(memory.look(|| panic!("looked")), Pressure::None);
        assert!(!memory.refuses_arrivals());
    }
}
