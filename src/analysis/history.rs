//! Responses remembered with a half-life.

use std::time::Duration;

use crate::model::Tally;

/// Decayed counts: recent responses count in full, old ones fade.
///
/// Kept by the controller for each service's stable version, so that a release begins with a notion of
/// how often stable fails.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct History {
    /// Judged responses.
    pub responses: f64,
    /// Bad ones among them.
    pub bad: f64,
}

impl History {
    /// Half of what is remembered is forgotten in this time.
    pub const HALF_LIFE: Duration = Duration::from_secs(120);

    /// Adds what was seen, after `passed` has gone by since the last call.
    pub fn remember(&mut self, passed: Duration, seen: Tally) {
        self.fade(passed.as_secs_f64(), Self::HALF_LIFE);
        self.add(seen);
    }

    /// The failure rate, pulled towards half a percent while there is little to go by.
    pub fn rate(&self) -> f64 {
        (self.bad + PRIOR_RESPONSES * PRIOR_RATE) / (self.responses + PRIOR_RESPONSES)
    }

    pub(super) fn fade(&mut self, seconds: f64, half_life: Duration) {
        let factor = (-std::f64::consts::LN_2 * seconds / half_life.as_secs_f64()).exp();
        self.responses *= factor;
        self.bad *= factor;
    }

    pub(super) fn add(&mut self, seen: Tally) {
        self.responses += seen.requests as f64;
        self.bad += seen.bad as f64;
    }
}

/// Imaginary responses that steady the first guess.
const PRIOR_RESPONSES: f64 = 50.0;
const PRIOR_RATE: f64 = 0.005;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fades_by_half_in_a_half_life_however_it_is_split() {
        let seen = Tally { requests: 1_000, bad: 10 };
        let (mut whole, mut parts) = (History::default(), History::default());
        whole.remember(Duration::ZERO, seen);
        parts.remember(Duration::ZERO, seen);
        whole.remember(History::HALF_LIFE, Tally::default());
        for _ in 0..100 {
            parts.remember(History::HALF_LIFE / 100, Tally::default());
        }
        assert!((whole.responses - 500.0).abs() < 1e-9 && (whole.bad - 5.0).abs() < 1e-9);
        assert!((parts.responses - whole.responses).abs() < 1e-9);
    }

    #[test]
    fn knows_nothing_at_first() {
        assert_eq!(History::default().rate(), 0.005);
    }
}
