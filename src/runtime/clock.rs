//! The clock: wall time at start, counted on by the monotonic clock; and what the wall says now.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;

/// Where a [`Timestamp`] comes from. Clones tell the same time.
///
/// [`Clock::now`] never goes back and never jumps, because the wall clock was read once for it: a correction of
/// the system's time must not end a soak early or make a deadline pass. What is said to others, or was agreed
/// with them, goes by [`Clock::wall`].
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { base: Instant, wall: Timestamp },
    Manual(Arc<Hands>),
}

#[derive(Debug)]
struct Hands {
    now_us: AtomicU64,
    /// How far the wall is ahead of that.
    ahead_us: AtomicI64,
}

impl Clock {
    /// The real one, set to the wall time of now.
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn system() -> Self {
        Self(Source::System { base: Instant::now(), wall: system_time() })
    }

    /// The present moment, for everything that measures or waits.
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System { base, wall } => *wall + Instant::now().duration_since(*base),
            Source::Manual(it) => Timestamp(it.now_us.load(Ordering::Acquire)),
        }
    }

    /// What the system's clock shows, corrections and time asleep included: for dates that others read, and ends
    /// that were set by the calendar.
    pub fn wall(&self) -> Timestamp {
        match &self.0 {
            Source::System { .. } => system_time(),
            Source::Manual(it) => {
                let ahead_us = it.ahead_us.load(Ordering::Acquire);
                Timestamp(it.now_us.load(Ordering::Acquire).saturating_add_signed(ahead_us))
            }
        }
    }
}

/// A system time before 1970 counts as 1970: it is wrong anyway.
#[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
fn system_time() -> Timestamp {
    Timestamp(0) + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A clock that stands still until it is told to go on: for tests and simulations.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Hands>);

impl ManualClock {
    /// Starts at `at`.
    pub fn new(at: Timestamp) -> Self {
        Self(Arc::new(Hands { now_us: AtomicU64::new(at.0), ahead_us: AtomicI64::new(0) }))
    }

    /// The clock to hand out.
    pub fn clock(&self) -> Clock {
        Clock(Source::Manual(Arc::clone(&self.0)))
    }

    /// Lets time pass.
    pub fn advance(&self, span: Duration) {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        self.0.now_us.fetch_add(micros, Ordering::AcqRel);
    }

    /// Corrects the wall by so many seconds, as NTP does; no time passes.
    pub fn correct(&self, seconds: i64) {
        self.0.ahead_us.fetch_add(seconds.saturating_mul(1_000_000), Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_does_not_go_back() {
        let clock = Clock::system();
        let (first, second) = (clock.now(), clock.now());
        assert!(first <= second);
        assert!(first > Timestamp(1_600_000_000_000_000), "{first}");
    }

    #[test]
    fn a_manual_clock_stands_still() {
        let manual = ManualClock::new(Timestamp(5));
        let clock = manual.clock();
        assert_eq!(clock.now(), Timestamp(5));
        manual.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), Timestamp(1_000_005));
    }

    #[test]
    fn a_correction_is_seen_on_the_wall_alone() {
        let manual = ManualClock::new(Timestamp(5_000_000));
        let clock = manual.clock();
        assert_eq!(clock.wall(), clock.now());
        manual.correct(3600);
        assert_eq!((clock.now(), clock.wall()), (Timestamp(5_000_000), Timestamp(3_605_000_000)));
        manual.correct(-3602);
        manual.advance(Duration::from_secs(1));
        assert_eq!((clock.now(), clock.wall()), (Timestamp(6_000_000), Timestamp(4_000_000)));
        manual.correct(-3600);
        assert_eq!(clock.wall(), Timestamp(0));
        let system = Clock::system();
        assert!(system.wall() > Timestamp(1_600_000_000_000_000), "{}", system.wall());
    }
}
