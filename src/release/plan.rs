//! How a version gets from 0 % to live.

use std::time::Duration;

use crate::analysis::GuardPolicy;
use crate::model::Weight;

use super::check::Check;
use super::window::Window;

/// The plan of a release: canary when it has steps, blue/green when it has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Whether a person must agree before the version gets all traffic.
    pub promote: Promote,
    /// Acceptance tests of the version before it gets any traffic of users.
    pub verify: Vec<Check>,
    /// Rising weights; the way from the last one to 100 % is the promotion.
    pub steps: Vec<Step>,
    /// What happens after the promotion.
    pub watch: Watching,
    /// How long the version before stays a target of `rollback`; `None`: as long as the file has it.
    pub keep_previous: Option<Duration>,
    /// Longest time of a release. Pauses, gates and closed windows do not count.
    pub deadline: Option<Duration>,
    /// When it may advance; `None`: always.
    pub window: Option<Window>,
    /// What is judged all the time.
    pub guard: GuardPolicy,
    /// What a canary that is found worse leads to.
    pub on_breach: OnBreach,
    /// What too little traffic leads to when the time of a step is over.
    pub no_traffic: NoTraffic,
}

/// Who says that a version may have all traffic.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Promote {
    /// The evidence: continuous deployment.
    #[default]
    Auto,
    /// A person, at one gate before the version gets all traffic: continuous delivery.
    Manual,
}

/// The time after the promotion.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Watching {
    /// How long guards stay armed.
    pub time: Duration,
    /// The share that stays on stable meanwhile, so that there is something to compare with.
    pub holdback: Weight,
}

/// What a canary that is found worse leads to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnBreach {
    /// It is taken out.
    #[default]
    Rollback,
    /// It stays where it is until a person decides.
    Pause,
    /// It is said, and the canary does not advance as long as it is worse.
    Notify,
}

/// What too little traffic leads to when the time of a step is over.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum NoTraffic {
    /// It waits for more.
    #[default]
    Hold,
    /// It goes on without.
    Promote,
    /// It is taken out.
    Rollback,
}

/// One stage of a plan.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// The canary's share during this step.
    pub weight: Weight,
    /// Least time at this weight.
    pub soak: Duration,
    /// Fewest canary responses that must have been judged before the step may end.
    pub requests: u64,
    /// What must pass when the time is over.
    pub checks: Vec<Check>,
    /// Whether a person must agree after that.
    pub approval: bool,
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

    /// The canary's share during the watch: all but the holdback, and never less than it had.
    pub fn watch_weight(&self) -> Weight {
        let last = self.steps.iter().map(|it| it.weight).max().unwrap_or(Weight::NONE);
        self.watch.holdback.rest().max(last)
    }

    /// Whether a version must pass a gate before it gets its first share.
    pub fn tries_without_users(&self) -> bool {
        !self.verify.is_empty() || (self.promote == Promote::Manual && self.steps.is_empty())
    }

    /// Time and requests at a weight that a person chose: those of the step below it, or the nearest.
    pub(super) fn soak_near(&self, weight: Weight) -> (Duration, u64) {
        let below = self.steps.iter().filter(|it| it.weight <= weight).max_by_key(|it| it.weight);
        let nearest = below.or_else(|| self.steps.iter().min_by_key(|it| it.weight));
        nearest.map_or((self.watch.time, self.watch_requests()), |it| (it.soak, it.requests))
    }
}

impl Step {
    /// A step without gates.
    pub fn plain(weight: Weight, soak: Duration, requests: u64) -> Self {
        Self { weight, soak, requests, checks: Vec::new(), approval: false }
    }
}

impl Default for Watching {
    fn default() -> Self {
        Self { time: WATCH_DEFAULT, holdback: Weight::NONE }
    }
}

/// Requests that a step needs when the file names no number.
pub const STEP_REQUESTS_DEFAULT: u64 = 100;

/// Watch time of a plan that names none.
pub const WATCH_DEFAULT: Duration = Duration::from_secs(5 * 60);

/// Index into [`Plan::steps`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StepIndex(pub usize);
