//! Rate limits: how often each caller of a route may ask.
//!
//! The generic cell rate algorithm (ITU-T I.371, annex A), which is a token bucket told by one number: the
//! time at which the bucket would be full again. A request moves it on by the interval between two requests
//! and is refused when that would be further ahead than a burst.
//!
//! Memory is bounded whatever callers do: a table of fixed size holds, for each caller, 16 bits of a hash
//! with a secret seed and 48 bits of time. A caller is looked for in the eight slots of its row. When all of
//! them are in use the one that is nearest to full is forgotten, which lets that caller begin anew. So the
//! limit holds exactly for some ten thousand callers at a time, and errs towards letting through beyond.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::model::Timestamp;

/// What tells callers apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RateBy {
    /// The client's address, or its /64 network.
    Address,
    /// The value of this header; the address where it is missing.
    Header(String),
}

/// How often a caller may ask.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RateLimit {
    /// What tells callers apart.
    pub by: RateBy,
    /// Time in which one more request is earned.
    pub interval: Duration,
    /// Requests that may come at once when none came for a while; at least 1.
    pub burst: u32,
}

/// The limit of a route.
pub struct Rate {
    /// What it says.
    pub limit: RateLimit,
    /// Equal for the same limit on the same requests, so that a reload forgets nobody.
    pub identity: u64,
    cells: OnceLock<Arc<RateCells>>,
}

/// What it says, not how it stands.
impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rate").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// The callers of a route, for all workers.
#[derive(Debug)]
pub struct RateCells {
    seed: u64,
    interval: u64,
    /// How far ahead the time may be.
    ahead_max: u64,
    cells: Box<[AtomicU64]>,
}

/// Slots in a row: as many as a cache line holds.
const ROW: usize = 8;
/// Rows, a power of two.
const ROWS: usize = 4096;
/// Bits of a cell that are time; the others are the tag.
const TIME_BITS: u32 = 48;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
/// Units of time in a microsecond. Time is counted in circles of half a year.
const UNITS: u64 = 16;
/// Longest span that is told from the past.
const SPAN_MAX: u64 = 1 << (TIME_BITS - 1);

impl Rate {
    /// A limit whose callers are unknown so far. `text` tells the requests that it is for.
    pub fn new(limit: RateLimit, text: &str) -> Self {
        let identity = xxh3_64_with_seed(format!("{limit:?} {text}").as_bytes(), 0);
        Self { limit, identity, cells: OnceLock::new() }
    }

    /// Its callers; the first to ask says where they are kept.
    pub fn cells(&self, find: impl FnOnce() -> Arc<RateCells>) -> &RateCells {
        self.cells.get_or_init(find)
    }

    /// The longest time that is told: the interval times the burst.
    pub fn is_countable(limit: &RateLimit) -> bool {
        let interval = units(limit.interval);
        interval > 0 && interval.checked_mul(u64::from(limit.burst) + 1).is_some_and(|it| it < SPAN_MAX)
    }
}

impl RateCells {
    /// Nobody has asked yet. `seed` is secret, so that nobody can choose a row.
    pub fn new(limit: &RateLimit, seed: u64) -> Self {
        let interval = units(limit.interval).max(1);
        Self {
            seed,
            interval,
            ahead_max: interval.saturating_mul(u64::from(limit.burst.saturating_sub(1))).min(SPAN_MAX - 1),
            cells: (0..ROW * ROWS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Counts a request of `caller`. If it is one too many, says when the next one will not be.
    pub fn take(&self, caller: &[u8], now: Timestamp) -> Result<(), Duration> {
        let hash = xxh3_64_with_seed(caller, self.seed);
        // The lowest bit keeps a tag from being that of an empty slot.
        let tag = hash >> TIME_BITS | 1;
        let now = now.0.wrapping_mul(UNITS) & TIME_MASK;
        let first = (hash as usize % ROWS) * ROW;
        let row = &self.cells[first..first + ROW];
        // Somebody else may use the slot first; whoever loses so often is let through.
        for _ in 0..4 {
            let (slot, before, ahead) = self.find(row, tag, now);
            if ahead > self.ahead_max {
                return Err(Duration::from_micros((ahead - self.ahead_max).div_ceil(UNITS)));
            }
            let after = tag << TIME_BITS | (now + ahead + self.interval) & TIME_MASK;
            if slot.compare_exchange_weak(before, after, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                break;
            }
        }
        Ok(())
    }

    /// The slot of a caller, what it holds, and how far ahead its time is; for a caller without one the slot
    /// that is missed least.
    fn find<'a>(&self, row: &'a [AtomicU64], tag: u64, now: u64) -> (&'a AtomicU64, u64, u64) {
        let mut least = (&row[0], row[0].load(Ordering::Relaxed), u64::MAX);
        for slot in row {
            let value = slot.load(Ordering::Relaxed);
            let ahead = self.ahead(value, now);
            if value >> TIME_BITS == tag {
                return (slot, value, ahead);
            }
            if ahead < least.2 {
                least = (slot, value, ahead);
            }
        }
        (least.0, least.1, 0)
    }

    /// What is further ahead than anything that is ever written is long past.
    fn ahead(&self, value: u64, now: u64) -> u64 {
        let ahead = (value & TIME_MASK).wrapping_sub(now) & TIME_MASK;
        if value == 0 || ahead > self.ahead_max + self.interval { 0 } else { ahead }
    }
}

fn units(span: Duration) -> u64 {
    u64::try_from(span.as_nanos() * u128::from(UNITS) / 1000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(per_second: u32, burst: u32) -> RateLimit {
        RateLimit { by: RateBy::Address, interval: Duration::from_secs(1) / per_second, burst }
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp(1_700_000_000_000_000 + ms * 1000)
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let cells = RateCells::new(&limit(10, 5), 1);
        for _ in 0..5 {
            assert_eq!(cells.take(b"a", at(0)), Ok(()));
        }
        assert_eq!(cells.take(b"a", at(0)), Err(Duration::from_millis(100)));
        // Another caller has a burst of its own, and refusals cost nothing.
        assert_eq!(cells.take(b"b", at(0)), Ok(()));
        assert_eq!(cells.take(b"a", at(40)), Err(Duration::from_millis(60)));
        assert_eq!(cells.take(b"a", at(100)), Ok(()));
        assert!(cells.take(b"a", at(100)).is_err());
        // After a while the burst is there again, and no more.
        for _ in 0..5 {
            assert_eq!(cells.take(b"a", at(60_000)), Ok(()));
        }
        assert!(cells.take(b"a", at(60_000)).is_err());
    }

    #[test]
    fn rates_hold_over_time() {
        for (per_second, burst) in [(1, 1), (7, 3), (1000, 10), (100_000, 1)] {
            let cells = RateCells::new(&limit(per_second, burst), 3);
            let let_through = (0..1_000_000)
                .filter(|us| cells.take(b"a", Timestamp(1_700_000_000_000_000 + us * 2)).is_ok())
                .count();
            let expected = f64::from(2 * per_second + burst - 1);
            let off = (let_through as f64 - expected).abs();
            assert!(off <= 1.0 + expected * 0.005, "{per_second}/s: {let_through} for {expected}");
        }
    }

    #[test]
    fn an_old_caller_is_a_new_one_wherever_the_circle_stands() {
        let cells = RateCells::new(&limit(1, 2), 5);
        let circle_us = (1_u64 << TIME_BITS) / UNITS;
        for turn in 0..40 {
            let now = Timestamp(circle_us / 7 * turn);
            assert_eq!([(); 3].map(|()| cells.take(b"a", now).is_ok()), [true, true, false], "{turn}");
        }
    }

    #[test]
    fn a_flood_of_callers_forgets_and_never_refuses() {
        let cells = RateCells::new(&limit(1, 1), 9);
        assert_eq!(cells.cells.len(), ROW * ROWS);
        let refused = (0..200_000_u32).filter(|it| cells.take(&it.to_be_bytes(), at(0)).is_err()).count();
        // Two callers of one row and one tag are taken for each other.
        assert!(refused < 200, "{refused}");
        // Ten thousand at a time are told apart.
        let cells = RateCells::new(&limit(1, 1), 11);
        let asked: Vec<[u8; 4]> = (0..10_000_u32).map(u32::to_be_bytes).collect();
        let first = asked.iter().filter(|it| cells.take(*it, at(0)).is_ok()).count();
        assert!(first > 9_990, "{first}");
        let again = asked.iter().filter(|it| cells.take(*it, at(1)).is_err()).count();
        assert!(again > 9_900, "{again}");
    }

    #[test]
    fn what_can_be_counted() {
        let day = RateLimit { interval: Duration::from_secs(86_400), ..limit(1, 10) };
        assert!(Rate::is_countable(&day));
        assert!(!Rate::is_countable(&RateLimit { burst: 1_000_000, ..day }));
        assert!(!Rate::is_countable(&RateLimit { interval: Duration::ZERO, ..limit(1, 1) }));
        assert!(Rate::is_countable(&limit(100_000, 100_000)));
    }

    #[test]
    fn equal_limits_on_equal_requests_are_one() {
        let of = |text: &str, burst| Rate::new(limit(1, burst), text).identity;
        assert_eq!(of("/a", 1), of("/a", 1));
        assert_ne!(of("/a", 1), of("/b", 1));
        assert_ne!(of("/a", 1), of("/a", 2));
    }

    proptest! {
        /// Never more than the burst and what was earned since, whatever the moments are.
        #[test]
        fn never_too_many(mut moments in prop::collection::vec(0_u64..10_000_000, 1..300), burst in 1_u32..20) {
            moments.sort_unstable();
            let cells = RateCells::new(&limit(20, burst), 17);
            let passed: Vec<u64> =
                moments.into_iter().filter(|it| cells.take(b"a", Timestamp(1 + it)).is_ok()).collect();
            for (index, from) in passed.iter().enumerate() {
                for (count, to) in passed[index..].iter().enumerate() {
                    let earned = (to - from) / 50_000;
                    prop_assert!(count as u64 <= u64::from(burst) + earned);
                }
            }
        }
    }
}
