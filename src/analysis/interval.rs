//! An interval for a failure rate that may be looked at at any time. For display only: it assumes a
//! steady rate and never decides anything.

use super::numerics::log_beta;
use crate::model::Tally;

/// Two ends of an estimate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Smallest plausible value.
    pub lower: f64,
    /// Largest plausible value.
    pub upper: f64,
}

impl Interval {
    /// Rates that `seen` does not contradict, wrong with chance at most `alpha` over all looks together.
    pub fn of_rate(seen: Tally, alpha: f64) -> Self {
        if seen.requests == 0 {
            return Self { lower: 0.0, upper: 1.0 };
        }
        let (bad, good) = (seen.bad as f64, seen.requests.saturating_sub(seen.bad) as f64);
        let base = log_beta(bad + 0.5, good + 0.5) - log_beta(0.5, 0.5);
        let limit = -alpha.ln();
        let outside = |rate: f64| {
            let mut against = base;
            if bad > 0.0 {
                against -= bad * rate.ln();
            }
            if good > 0.0 {
                against -= good * (-rate).ln_1p();
            }
            against >= limit
        };
        let rate = bad / seen.requests as f64;
        let lower = if bad > 0.0 { edge(rate, 0.0, outside) } else { 0.0 };
        let upper = if good > 0.0 { edge(rate, 1.0, outside) } else { 1.0 };
        Self { lower, upper }
    }

    /// How much `canary` may exceed `stable`; each was made with half of the wanted alpha.
    pub fn of_difference(canary: Self, stable: Self) -> Self {
        Self { lower: canary.lower - stable.upper, upper: canary.upper - stable.lower }
    }
}

/// Where `outside` begins on the way from `inside` to `end`.
fn edge(inside: f64, end: f64, outside: impl Fn(f64) -> bool) -> f64 {
    let (mut near, mut far) = (inside, end);
    for _ in 0..BISECTIONS {
        let middle = (near + far) / 2.0;
        if middle == end || outside(middle) {
            far = middle;
        } else {
            near = middle;
        }
    }
    (near + far) / 2.0
}

/// Enough to reach the last bit of a double, also for rates near zero.
const BISECTIONS: u32 = 80;
