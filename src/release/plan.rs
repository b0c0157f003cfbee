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

impl Plan {
    /// The step with the smallest weight above `weight`, so that an edited plan never makes a release
    /// jump; `None` when only the promotion is left.
    pub fn after(&self, weight: Weight) -> Option<&Step> {
        self.steps.iter().filter(|it| it.weight > weight).min_by_key(|it| it.weight)
    }

    /// The step with exactly this weight.
    pub fn at(&self, weight: Weight) -> Option<&Step> {
        self.steps.iter().find(|it| it.weight == weight)
    }

    /// Which step this weight is, counted from 1: the number of steps that do not exceed it.
    pub fn number(&self, weight: Weight) -> usize {
        self.steps.iter().filter(|it| it.weight <= weight).count()
    }

    /// Fewest judged responses during the watch. A plan whose last step is content with fewer than
    /// the default belongs to a service with little traffic, and its watch is too.
    pub fn watch_requests(&self) -> u64 {
        let last = self.steps.iter().max_by_key(|it| it.weight);
        last.map_or(STEP_REQUESTS_DEFAULT, |it| it.requests.min(STEP_REQUESTS_DEFAULT))
    }
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
