//! How a version gets from 0 % to live.

use std::time::Duration;

use crate::analysis::GuardPolicy;
use crate::model::Weight;

/// The plan of a release: canary when it has steps, an instant flip when it has none.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Rising weights; the way from the last one to 100 % is the promotion.
    pub steps: Vec<Step>,
    /// How long guards stay armed after 100 %.
    pub watch: Duration,
    /// What is judged all the time.
    pub guard: GuardPolicy,
}

/// One stage of a plan.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step {
    /// The canary's share during this step.
    pub weight: Weight,
    /// Least time at this weight.
    pub soak: Duration,
    /// Fewest canary responses that must have been judged before the step may end.
    pub requests: u64,
}

/// Requests that a step needs when the file names no number.
pub const STEP_REQUESTS_DEFAULT: u64 = 100;

/// Watch time of a plan that names none.
pub const WATCH_DEFAULT: Duration = Duration::from_secs(5 * 60);

/// Index into [`Plan::steps`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StepIndex(pub usize);
