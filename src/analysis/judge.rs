//! All evidence of one release of one service, and the verdict that it amounts to.
//!
//! While stable has traffic, the comparison decides; a configured ceiling only sharpens what is said,
//! because a canary above the ceiling beside a stable version above it is a shared trouble. Without a
//! comparator (all traffic on the canary) the ceiling decides alone, on what was seen since. The breaker
//! is armed in both cases. The chance of a mistake is shared out among the tests, so that verdicts stay
//! attributable to one of them.
//!
//! Not here: clocks, when a step may end, and what follows from a verdict (`release`).

use std::time::Duration;

use super::breaker::Breaker;
use super::ceiling::{Ceiling, Side};
use super::comparison::{Aim, Comparison};
use super::evidence::{Evidence, Guard, GuardEvidence, LaneEvidence};
use super::history::History;
use super::interval::Interval;
use super::policy::{ErrorGuard, GuardPolicy};
use super::verdict::{Breach, Doubt, Verdict};
use crate::model::{LaneTally, Observation, Tally};

/// The evidence of one release.
#[derive(Clone, Debug, PartialEq)]
pub struct Judge {
    pub(super) policy: GuardPolicy,
    /// Stable's failure rate before the release.
    pub(super) rate_before: f64,
    /// Both lanes since the release began.
    pub(super) seen: Observation,
    pub(super) latest: Latest,
    pub(super) relative: Comparison,
    /// The configured ceiling while stable has traffic.
    pub(super) beside: Option<Ceiling>,
    /// The ceiling without a comparator, once there was none.
    pub(super) alone: Option<Alone>,
    pub(super) breaker: Breaker,
}

/// The last tick, and the last half minute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Latest {
    pub(super) at: Duration,
    pub(super) comparator: bool,
    pub(super) canary: History,
    pub(super) stable: History,
}

/// The test of a canary that has all traffic.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Alone {
    /// When it began, since the beginning of the release.
    pub(super) since: Duration,
    pub(super) ceiling: Ceiling,
    pub(super) seen: Tally,
}

/// What the present step has seen and must see.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StepEvidence {
    /// Judged canary responses since the step began.
    pub canary: Tally,
    /// Fewest of them that the plan wants.
    pub requests: u64,
}

impl Judge {
    /// Nothing seen yet. `history` is what is remembered of stable from before the release.
    pub fn new(policy: &GuardPolicy, history: History) -> Self {
        Self::with(policy, history, |aim| Comparison::new(aim, history))
    }

    /// The evidence was lost `elapsed` after the release began: starts again with what was left of the
    /// allowed chance of a mistake.
    pub fn after_loss(policy: &GuardPolicy, history: History, elapsed: Duration) -> Self {
        let mut it = Self::with(policy, history, |aim| Comparison::after_loss(aim, history, elapsed));
        it.latest.at = elapsed;
        it
    }

    fn with(policy: &GuardPolicy, history: History, compare: impl FnOnce(Aim) -> Comparison) -> Self {
        let guard = policy.errors.unwrap_or_default();
        Self {
            policy: policy.clone(),
            rate_before: history.rate(),
            seen: Observation::default(),
            latest: Latest { comparator: true, ..Latest::default() },
            relative: compare(Aim::Rollback(guard.tolerance)),
            beside: guard.ceiling.map(|it| Ceiling::new(it, Side::Above)),
            alone: None,
            breaker: Breaker::default(),
        }
    }

    /// Adds what one tick saw, `elapsed` after the release began. `comparator` says whether stable gets
    /// traffic by weight. Ticks may come at any distance, and empty ones are fine.
    pub fn observe(&mut self, elapsed: Duration, seen: &Observation, comparator: bool) {
        add(&mut self.seen.canary, &seen.canary);
        add(&mut self.seen.stable, &seen.stable);
        let elapsed = elapsed.max(self.latest.at);
        self.latest.observe(elapsed, seen, comparator);
        let Some(guard) = self.policy.errors else { return };
        self.breaker.observe(seen, comparator);
        if comparator {
            self.relative.observe(elapsed, seen);
            if let Some(ceiling) = &mut self.beside {
                ceiling.observe(elapsed, &seen.canary);
            }
        } else {
            self.observe_alone(guard, elapsed, &seen.canary);
        }
    }

    /// What the evidence says now. A step that saw nothing is never fine.
    pub fn verdict(&self, step: &StepEvidence) -> Verdict {
        let breach = self.policy.errors.and_then(|_| self.breach());
        let doubt = || self.doubt(step);
        breach.map_or_else(|| doubt().map_or(Verdict::Fine, Verdict::Unsure), Verdict::Worse)
    }

    /// The numbers behind the verdict, for people.
    pub fn evidence(&self) -> Evidence {
        let (canary, stable) = (self.seen.canary.total(), self.seen.stable.total());
        let lane = |seen| LaneEvidence { seen, interval: Interval::of_rate(seen, DISPLAY_ALPHA) };
        let guards = match self.policy.errors {
            Some(_) => [Some(self.comparison_evidence(canary, stable)), self.ceiling_evidence(canary)],
            None => [None, None],
        };
        Evidence {
            canary: lane(canary),
            stable: lane(stable),
            guards: guards.into_iter().flatten().collect(),
            one_source: self.source().is_some(),
        }
    }

    /// What is remembered of stable by now, including from before the release.
    pub fn history(&self) -> History {
        self.relative.history()
    }

    fn observe_alone(&mut self, guard: ErrorGuard, elapsed: Duration, canary: &LaneTally) {
        let history = self.relative.history();
        let alone = self.alone.get_or_insert_with(|| {
            // Without a ceiling of its own a service is held to what it was like before.
            let limit = guard.ceiling.unwrap_or(f64::max(LIMIT_ALONE, 3.0 * history.rate()));
            Alone { since: elapsed, ceiling: Ceiling::new(limit, Side::Above), seen: Tally::default() }
        });
        alone.ceiling.observe(elapsed - alone.since, canary);
        alone.seen = alone.seen.plus(canary.total());
    }

    fn breach(&self) -> Option<Breach> {
        let (canary, stable) = (self.seen.canary.total(), self.seen.stable.total());
        let comparator = self.latest.comparator;
        if self.relative_share() >= 1.0 {
            let above = self.beside.as_ref().filter(|it| self.ceiling_share(it) >= 1.0);
            return Some(match above {
                Some(it) => Breach::Absolute { canary, stable: Some(stable), limit: it.limit() },
                None => Breach::Relative { canary, stable, tolerance: self.relative.margin() },
            });
        }
        if self.breaker.tripped(self.source().is_some()) {
            let stable = comparator.then(|| self.breaker.stable());
            return Some(Breach::Breaker { failures: self.breaker.failures(), stable });
        }
        let alone = self.alone.as_ref().filter(|it| !comparator && self.ceiling_share(&it.ceiling) >= 1.0);
        alone.map(|it| Breach::Absolute { canary: it.seen, stable: None, limit: it.ceiling.limit() })
    }

    fn doubt(&self, step: &StepEvidence) -> Option<Doubt> {
        let (needed, seen) = (step.requests.max(1), step.canary.requests);
        if seen < needed {
            return Some(Doubt::TooFew { needed, seen });
        }
        self.policy.errors?;
        let comparator = self.latest.comparator;
        if comparator && !self.relative.is_matched(self.latest.at.as_secs_f64()) {
            return Some(Doubt::NoComparator);
        }
        if let Some(doubt) = self.shared_cause().filter(|_| comparator) {
            return Some(doubt);
        }
        let evidence = match &self.alone {
            Some(it) if !comparator => self.ceiling_share(&it.ceiling),
            _ => self.relative_share(),
        };
        (evidence >= LEANING).then_some(Doubt::Leaning { evidence })
    }

    /// Whether both lanes have failed alike in the last half minute.
    fn shared_cause(&self) -> Option<Doubt> {
        let ceiling = self.policy.errors.and_then(|it| it.ceiling);
        let much = ceiling.unwrap_or(f64::max(OUTAGE_RATE, 5.0 * self.rate_before));
        let rate = |it: History| {
            let rate = it.bad / it.responses;
            (it.bad >= OUTAGE_FAILURES && rate > much).then_some(rate)
        };
        let (canary, stable) = (rate(self.latest.canary)?, rate(self.latest.stable)?);
        Some(Doubt::SharedCause { canary, stable })
    }

    /// The shard that most responses of each lane come from, if there is one: all clients behind one
    /// gateway. It depends on the number of responses only, never on failures.
    fn source(&self) -> Option<usize> {
        let canary = majority(&self.seen.canary)?;
        (!self.latest.comparator || majority(&self.seen.stable) == Some(canary)).then_some(canary)
    }

    /// Share of the way to a rollback by comparison.
    fn relative_share(&self) -> f64 {
        let log_w = self.relative.log_w_min(self.source());
        (log_w / threshold(self.policy.false_rollback * RELATIVE_SHARE)).max(0.0)
    }

    fn ceiling_share(&self, ceiling: &Ceiling) -> f64 {
        let log_w = ceiling.log_w_min(self.source());
        (log_w / threshold(self.policy.false_rollback * (1.0 - RELATIVE_SHARE))).max(0.0)
    }

    fn comparison_evidence(&self, canary: Tally, stable: Tally) -> GuardEvidence {
        let half = |seen| Interval::of_rate(seen, DISPLAY_ALPHA / 2.0);
        GuardEvidence {
            guard: Guard::ErrorsAgainstStable,
            estimate: canary.rate().zip(stable.rate()).map(|(canary, stable)| canary - stable),
            interval: Interval::of_difference(half(canary), half(stable)),
            limit: self.relative.margin(),
            evidence: self.relative_share(),
            decides: self.latest.comparator,
        }
    }

    fn ceiling_evidence(&self, canary: Tally) -> Option<GuardEvidence> {
        let alone = self.alone.as_ref().filter(|_| !self.latest.comparator);
        let (ceiling, seen) = match (alone, &self.beside) {
            (Some(it), _) => (&it.ceiling, it.seen),
            (None, Some(it)) => (it, canary),
            (None, None) => return None,
        };
        Some(GuardEvidence {
            guard: Guard::ErrorsCeiling,
            estimate: seen.rate(),
            interval: Interval::of_rate(seen, DISPLAY_ALPHA),
            limit: ceiling.limit(),
            evidence: self.ceiling_share(ceiling),
            decides: alone.is_some(),
        })
    }
}

impl Latest {
    fn observe(&mut self, elapsed: Duration, seen: &Observation, comparator: bool) {
        let passed = (elapsed - self.at).as_secs_f64();
        for (lane, seen) in [(&mut self.canary, &seen.canary), (&mut self.stable, &seen.stable)] {
            lane.fade(passed, OUTAGE_HALF_LIFE);
            lane.add(seen.total());
        }
        (self.at, self.comparator) = (elapsed, comparator);
    }
}

fn add(sum: &mut LaneTally, seen: &LaneTally) {
    for (sum, seen) in sum.shards.iter_mut().zip(&seen.shards) {
        *sum = sum.plus(*seen);
    }
}

fn majority(lane: &LaneTally) -> Option<usize> {
    let total = lane.total().requests;
    lane.shards.iter().position(|it| it.requests * 2 > total)
}

/// Evidence that a healthy release ever reaches with chance `alpha` at most.
fn threshold(alpha: f64) -> f64 {
    -alpha.ln()
}

/// Of the chance of a mistake, five parts are the comparison's and one is the ceiling's.
const RELATIVE_SHARE: f64 = 0.5 / (0.5 + 0.1);

/// Above this share of the way to a rollback a step does not end.
const LEANING: f64 = 0.5;

/// Ceiling of a canary that has all traffic, when none is configured and stable was better than that.
const LIMIT_ALONE: f64 = 0.02;

/// Without a ceiling, both lanes above this (and above five times the usual) are an outage.
const OUTAGE_RATE: f64 = 0.05;

/// Recent failures of each lane that an outage needs at least: one unlucky response is none.
const OUTAGE_FAILURES: f64 = 2.0;

/// What "recently" means for an outage.
const OUTAGE_HALF_LIFE: Duration = Duration::from_secs(30);

/// Intervals that are shown hold with 95 %.
const DISPLAY_ALPHA: f64 = 0.05;
