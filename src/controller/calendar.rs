//! What a date has to say about rising: freezes, release windows, and what date a moment is.

use crate::model::Timestamp;
use crate::release::{Permit, Plan};
use crate::store::Freeze;

/// Freezes and windows end by the calendar, whatever became of the system's clock meanwhile; everything else in this
/// room is measured by a clock that never jumps.
#[derive(Debug, Default)]
pub(super) struct Calendar {
    /// A person said that nothing advances.
    pub freeze: Option<Freeze>,
    /// Microseconds by which dates are ahead of the clock that measures.
    ahead_us: i64,
}

impl Calendar {
    /// With what is known from before, until somebody says that the clocks differ.
    pub fn with(freeze: Option<Freeze>) -> Self {
        Self { freeze, ahead_us: 0 }
    }

    /// The moment `now` has this `date`.
    pub fn correct(&mut self, now: Timestamp, date: Timestamp) {
        self.ahead_us = i64::try_from(i128::from(date.0) - i128::from(now.0)).unwrap_or(0);
    }

    fn date(&self, now: Timestamp) -> Timestamp {
        Timestamp(now.0.saturating_add_signed(self.ahead_us))
    }

    /// The freeze that is in force.
    pub fn frozen(&self, now: Timestamp) -> Option<&Freeze> {
        let date = self.date(now);
        self.freeze.as_ref().filter(|it| it.until.is_none_or(|until| date < until))
    }

    /// Whether weights may rise at this moment.
    pub fn permit(&self, plan: &Plan, now: Timestamp) -> Permit {
        if let Some(it) = self.frozen(now) {
            return Permit::Frozen { by: it.by.clone(), reason: it.reason.clone() };
        }
        plan.window.as_ref().map_or(Permit::Open, |it| it.permits(self.date(now)))
    }
}
