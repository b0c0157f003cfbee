//! What an operator asked the guards to hold.

use std::time::Duration;

/// The guards of one service.
#[derive(Clone, Debug, PartialEq)]
pub struct GuardPolicy {
    /// Error-rate guard; `None` when it is switched off by name.
    pub errors: Option<ErrorGuard>,
    /// Latency guards in the order of [`Quantile::ALL`]; `None` where there is none.
    pub latency: [Option<LatencyGuard>; 4],
    /// Failed canary responses that one release may cost; the last one rolls it back.
    pub failures_max: Option<u64>,
    /// When a step may end before its time; `None`: never.
    pub pass: Option<Pass>,
    /// Chance that a healthy release is rolled back, over the whole release (α).
    pub false_rollback: f64,
}

impl GuardPolicy {
    /// Nothing is judged.
    pub fn off() -> Self {
        Self { errors: None, latency: [None; 4], failures_max: None, pass: None, false_rollback: 1e-4 }
    }

    /// Whether nothing at all is judged.
    pub fn is_off(&self) -> bool {
        self.errors.is_none() && self.failures_max.is_none() && self.latency.iter().all(Option::is_none)
    }

    /// The latency guards in use.
    pub fn latencies(&self) -> impl Iterator<Item = (Quantile, LatencyGuard)> {
        Quantile::ALL.into_iter().zip(self.latency).filter_map(|(at, guard)| guard.map(|it| (at, it)))
    }
}

/// A quantile of latency that can be promised.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Quantile {
    /// Half of the requests.
    P50,
    /// Nine in ten.
    P90,
    /// Nineteen in twenty.
    P95,
    /// Ninety-nine in a hundred.
    P99,
}

impl Quantile {
    /// Every one, rising.
    pub const ALL: [Self; 4] = [Self::P50, Self::P90, Self::P95, Self::P99];

    /// As configured: `p99`.
    pub fn as_str(self) -> &'static str {
        ["p50", "p90", "p95", "p99"][self as usize]
    }

    /// The share of requests that are not slower.
    pub fn share(self) -> f64 {
        [0.50, 0.90, 0.95, 0.99][self as usize]
    }

    /// The share that may be slower.
    pub fn rest(self) -> f64 {
        [0.50, 0.10, 0.05, 0.01][self as usize]
    }

    /// Where its comparison with stable is counted (see [`crate::model::SlowTally`]).
    pub fn relative_slot(self) -> usize {
        self as usize
    }

    /// Where its ceiling is counted.
    pub fn ceiling_slot(self) -> usize {
        Self::ALL.len() + self as usize
    }
}

/// The promise on one quantile of latency.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LatencyGuard {
    /// Ceiling in microseconds; acts while stable has traffic only if stable is faster.
    pub ceiling_us: Option<u64>,
    /// How much slower than stable still counts as fine.
    pub slack: Slack,
}

/// A latency and some more: a relative and an absolute part, added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slack {
    /// As a share of stable's latency.
    pub relative: f64,
    /// On top, in microseconds.
    pub absolute_us: u64,
}

impl Slack {
    /// The slowest that still counts as fine beside `stable_us`.
    pub fn over(self, stable_us: u64) -> u64 {
        stable_us.saturating_add((stable_us as f64 * self.relative) as u64).saturating_add(self.absolute_us)
    }
}

impl Default for Slack {
    fn default() -> Self {
        Self { relative: 0.10, absolute_us: 5_000 }
    }
}

/// When a step may end before its time: once it is proven that the canary is hardly worse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pass {
    /// A difference that is excluded with 95 %.
    pub within: Tolerance,
    /// Not before this time of the step.
    pub after: Duration,
    /// Not before so many canary responses in the step.
    pub requests: u64,
}

impl Default for Pass {
    fn default() -> Self {
        let within = Tolerance { absolute: 0.005, relative: 0.5 };
        Self { within, after: Duration::from_secs(30), requests: 500 }
    }
}

/// The promise on the error rate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ErrorGuard {
    /// Ceiling as a share from 0 to 1; acts while stable has traffic only if stable is better.
    pub ceiling: Option<f64>,
    /// How much worse than stable still counts as fine.
    pub tolerance: Tolerance,
}

/// The larger of an absolute and a relative difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// As a share: 0.001 is 0.1 percentage points.
    pub absolute: f64,
    /// As a share of stable's rate: 0.10 is a tenth of it.
    pub relative: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { absolute: 0.001, relative: 0.10 }
    }
}

impl Default for GuardPolicy {
    fn default() -> Self {
        let usual = Some(LatencyGuard::default());
        Self { errors: Some(ErrorGuard::default()), latency: [None, None, usual, usual], ..Self::off() }
    }
}
