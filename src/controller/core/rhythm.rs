//! When the core looks again.

use std::time::Duration;

use super::super::desk::Desk;
use super::Core;

impl Core {
    /// When to look again. While a release is under way at most 50 ms pass. Once something has failed the
    /// distance follows the number of responses (never the number of failures, which would bend the
    /// test), so that the harm until a decision does not depend on the traffic.
    pub fn pause(&self) -> Duration {
        if !self.is_active() {
            return PAUSE_IDLE;
        }
        if !self.alert {
            return PAUSE_ACTIVE;
        }
        let rate = self.desks.values().filter_map(|it| it.watch.as_ref()).map(|it| it.per_second);
        let rate = rate.fold(0.0, f64::max);
        if rate <= RESPONSES_PER_LOOK / PAUSE_ALERT_MAX.as_secs_f64() {
            return PAUSE_ALERT_MAX;
        }
        Duration::from_secs_f64(RESPONSES_PER_LOOK / rate).max(PAUSE_ALERT_MIN)
    }

    pub(super) fn is_active(&self) -> bool {
        self.desks.values().any(Desk::is_active)
    }
}

/// Without a release nothing is urgent.
const PAUSE_IDLE: Duration = Duration::from_millis(500);
const PAUSE_ACTIVE: Duration = Duration::from_millis(50);
const PAUSE_ALERT_MAX: Duration = Duration::from_millis(20);
/// 500 looks a second cost about one hundredth of a core.
const PAUSE_ALERT_MIN: Duration = Duration::from_millis(2);
/// Responses of both lanes between two looks, if they come fast.
const RESPONSES_PER_LOOK: f64 = 20.0;
