//! What can go wrong with a version, and what is expected of tidegate then.

use std::time::Duration;

use crate::backend::Fault;

/// One kind of bad release.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) says: &'static str,
    pub(crate) fault: Fault,
    /// Healthy time of the canary before the fault; zero is a version that is bad from its first request.
    pub(crate) onset: Duration,
    /// When to give up waiting for a rollback, counted from the onset.
    pub(crate) patience: Duration,
    /// Further time for failures that show late.
    pub(crate) aftermath: Duration,
    pub(crate) runs: usize,
    pub(crate) expected: Expected,
}

/// What a run should cost.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// No rollback at all.
    Nothing,
    /// Limits for the 95th percentile.
    Within { weight_zero: Duration, failed: u64 },
    /// Medians of a simulation of the reference guard (`guards.md`, 100 runs each, ticks of 50 ms, error
    /// rate 0.1 % on both versions before the fault, the same onset); measured medians may be 15 % above.
    Simulated { weight_zero: Duration, failed: u64 },
}

const LATE: Duration = Duration::from_secs(2);
const NO_TIME: Duration = Duration::ZERO;

/// The proxy's time limit for a response head in these runs: a hang shows no earlier.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_millis(500);

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

const fn simulated(milliseconds: u64, failed: u64) -> Expected {
    Expected::Simulated { weight_zero: Duration::from_millis(milliseconds), failed }
}

const DEAD: Expected = Expected::Within { weight_zero: Duration::from_millis(300), failed: 20 };

/// All scenarios, in the order of the report.
#[rustfmt::skip]
pub(crate) const ALL: &[Scenario] = &[
    Scenario { name: "dead", says: "100 % errors", fault: Fault::Errors(1.0), onset: LATE, patience: seconds(20), aftermath: NO_TIME, runs: 50, expected: DEAD },
    Scenario { name: "dead-at-once", says: "100 % errors from the first request", fault: Fault::Errors(1.0), onset: NO_TIME, patience: seconds(20), aftermath: NO_TIME, runs: 20, expected: DEAD },
    Scenario { name: "errors-30", says: "30 % errors", fault: Fault::Errors(0.30), onset: LATE, patience: seconds(30), aftermath: NO_TIME, runs: 20, expected: simulated(350, 12) },
    Scenario { name: "errors-10", says: "10 % errors", fault: Fault::Errors(0.10), onset: LATE, patience: seconds(60), aftermath: NO_TIME, runs: 20, expected: simulated(1_100, 12) },
    Scenario { name: "errors-3", says: "3 % errors", fault: Fault::Errors(0.03), onset: LATE, patience: seconds(90), aftermath: NO_TIME, runs: 20, expected: simulated(5_250, 16) },
    Scenario { name: "reset", says: "every connection reset", fault: Fault::Reset, onset: LATE, patience: seconds(20), aftermath: NO_TIME, runs: 20, expected: DEAD },
    // Nothing is known of a hang before its time limit, and what hangs by then will fail: 50 requests
    // on their way (10 % of 1000 a second for 500 ms) come on top of those that decide.
    Scenario { name: "hang", says: "no answers (time limit 500 ms)", fault: Fault::Hang, onset: LATE, patience: seconds(20), aftermath: HEAD_TIMEOUT, runs: 20, expected: Expected::Within { weight_zero: Duration::from_millis(800), failed: 80 } },
    Scenario { name: "healthy", says: "nothing wrong", fault: Fault::None, onset: LATE, patience: seconds(30), aftermath: NO_TIME, runs: 10, expected: Expected::Nothing },
];
