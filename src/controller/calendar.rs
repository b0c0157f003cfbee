//! Freezes, and what they and a release window make of a moment.

use crate::model::Timestamp;
use crate::release::{Permit, Plan};
use crate::store::Freeze;

/// Whether weights may rise at this moment.
pub(super) fn permit(plan: &Plan, freeze: Option<&Freeze>, now: Timestamp) -> Permit {
    if let Some(it) = freeze.filter(|it| it.until.is_none_or(|until| now < until)) {
        return Permit::Frozen { by: it.by.clone(), reason: it.reason.clone() };
    }
    plan.window.as_ref().map_or(Permit::Open, |it| it.permits(now))
}
