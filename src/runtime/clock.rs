//! The clock: wall time at start, counted on by the monotonic clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;

/// Where a [`Timestamp`] comes from. Clones tell the same time.
///
/// It never goes back and never jumps, because the wall clock is read once: a correction of the
/// system's time must not end a soak early or make a deadline pass.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { base: Instant, wall: Timestamp },
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The real one, set to the wall time of now.
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn system() -> Self {
        // A system time before 1970 counts as 1970: it is wrong anyway, and only differences matter.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(Source::System { base: Instant::now(), wall: Timestamp(0) + since_epoch })
    }

    /// The present moment.
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System { base, wall } => *wall + Instant::now().duration_since(*base),
            Source::Manual(at) => Timestamp(at.load(Ordering::Acquire)),
        }
    }
}

/// A clock that stands still until it is told to go on: for tests and simulations.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Starts at `at`.
    pub fn new(at: Timestamp) -> Self {
        Self(Arc::new(AtomicU64::new(at.0)))
    }

    /// The clock to hand out.
    pub fn clock(&self) -> Clock {
        Clock(Source::Manual(Arc::clone(&self.0)))
    }

    /// Lets time pass.
    pub fn advance(&self, span: Duration) {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        self.0.fetch_add(micros, Ordering::AcqRel);
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
}
