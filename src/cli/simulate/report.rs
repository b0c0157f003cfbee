//! What many simulated releases amount to.

use schemars::JsonSchema;
use serde::Serialize;

use crate::analysis::{Interval, responses_until_found, smallest_found};
use crate::model::{Tally, Weight};
use crate::release::Plan;

use super::trial::{End, Outcome};

/// Everything that is printed.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Report {
    /// Every run follows from it.
    pub seed: u64,
    /// Requests a second.
    pub rate: f64,
    /// Stable's failures, in percent.
    pub failing_percent: f64,
    /// Each step of the plan, before anything is simulated.
    pub steps: Vec<StepForecast>,
    /// Releases of a version that is as good as stable.
    pub healthy: Healthy,
    /// Releases of a version that is worse, if one was asked for.
    pub worse: Option<Worse>,
}

/// What a step can find out at this traffic.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct StepForecast {
    /// The canary's share.
    pub weight_percent: f64,
    /// Least time, in seconds.
    pub soak_seconds: f64,
    /// Canary responses that must have been judged.
    pub requests: u64,
    /// When they will have been, in seconds.
    pub requests_seconds: f64,
    /// Whether that is within the soak, so that the step need not wait for traffic.
    pub enough_traffic: bool,
    /// The smallest regression that it finds before it ends, in percentage points.
    pub finds_points: Option<f64>,
    /// When the regression that was asked about is found, in seconds.
    pub found_seconds: Option<f64>,
}

/// Releases that should all be promoted.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub struct Healthy {
    /// How many.
    pub runs: usize,
    /// Rolled back all the same.
    pub false_rollbacks: usize,
    /// With 95 %, not more than this share of all such releases would be.
    pub false_rollbacks_share_max: f64,
    /// Promoted.
    pub promoted: usize,
    /// Neither.
    pub undecided: usize,
    /// Time to the end of the watch, of those that were promoted.
    pub seconds: Quantiles,
}

/// Releases that should all be rolled back.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub struct Worse {
    /// How many.
    pub runs: usize,
    /// How much worse, in percentage points.
    pub points: f64,
    /// How much longer its answers take.
    pub slower_percent: f64,
    /// Rolled back after it began to fail.
    pub found: usize,
    /// Rolled back before.
    pub early: usize,
    /// Promoted.
    pub missed: usize,
    /// Neither.
    pub undecided: usize,
    /// Time from when it began to fail to the rollback.
    pub seconds: Quantiles,
    /// Failed canary responses by then.
    pub failed: Quantiles,
}

/// The middle and the bad end.
#[derive(Clone, Copy, Debug, Default, PartialEq, JsonSchema, Serialize)]
pub struct Quantiles {
    /// Half are below.
    pub median: Option<f64>,
    /// 95 % are below.
    pub p95: Option<f64>,
}

impl Healthy {
    /// Sums up.
    pub fn of(outcomes: &[Outcome]) -> Self {
        let count = |end| outcomes.iter().filter(|it| it.end == end).count();
        let promoted = outcomes.iter().filter(|it| it.end == End::Promoted);
        let (runs, false_rollbacks) = (outcomes.len(), count(End::RolledBack));
        let tally = Tally { requests: runs as u64, bad: false_rollbacks as u64 };
        Self {
            runs,
            false_rollbacks,
            false_rollbacks_share_max: Interval::of_rate(tally, 0.05).upper,
            promoted: count(End::Promoted),
            undecided: count(End::Undecided),
            seconds: Quantiles::of(promoted.map(|it| it.seconds)),
        }
    }
}

impl Worse {
    /// Sums up; `onset` is when the canary began to fail.
    pub fn of(outcomes: &[Outcome], share: f64, slower: f64, onset: f64) -> Self {
        let found = || outcomes.iter().filter(|it| it.end == End::RolledBack && it.seconds > onset);
        let count = |end| outcomes.iter().filter(|it| it.end == end).count();
        Self {
            runs: outcomes.len(),
            points: share * 100.0,
            slower_percent: slower * 100.0,
            found: found().count(),
            early: count(End::RolledBack) - found().count(),
            missed: count(End::Promoted),
            undecided: count(End::Undecided),
            seconds: Quantiles::of(found().map(|it| it.seconds - onset)),
            failed: Quantiles::of(found().map(|it| it.canary.bad as f64)),
        }
    }
}

impl Quantiles {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let last = values.len().checked_sub(1)?;
            values.get((share * last as f64).round() as usize).copied()
        };
        Self { median: at(0.5), p95: at(0.95) }
    }
}

/// What each step, and the watch after them, can find out.
pub fn forecast(plan: &Plan, rate: f64, failing: f64, worse: Option<f64>) -> Vec<StepForecast> {
    let Some(guard) = plan.guard.errors else { return Vec::new() };
    let steps = plan.steps.iter().filter(|it| it.weight < Weight::ALL);
    let forecast = steps.map(|it| {
        let (weight, soak) = (it.weight.ratio(), it.soak.as_secs_f64());
        let per_second = rate * weight;
        let requests_seconds = it.requests as f64 / per_second;
        // It lasts until both are there.
        let responses = f64::max(soak, requests_seconds) * per_second;
        let (tolerance, alpha) = (guard.tolerance, plan.guard.false_rollback);
        let found = worse.and_then(|it| {
            responses_until_found(failing, f64::min(failing + it, 1.0), weight, tolerance, alpha)
        });
        StepForecast {
            weight_percent: f64::from(it.weight.basis_points()) / 100.0,
            soak_seconds: soak,
            requests: it.requests,
            requests_seconds,
            enough_traffic: requests_seconds <= soak,
            finds_points: smallest_found(failing, weight, responses, tolerance, alpha).map(|it| it * 100.0),
            found_seconds: found.map(|it| it / per_second),
        }
    });
    forecast.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::tests::plan;

    #[test]
    fn quantiles_of_few() {
        assert_eq!(Quantiles::of([].into_iter()), Quantiles::default());
        let it = Quantiles::of((0..=100).map(f64::from));
        assert_eq!((it.median, it.p95), (Some(50.0), Some(95.0)));
    }

    #[test]
    fn a_step_without_traffic_says_so() {
        let plan = plan("1% 1m | 50% 60m, watch 5m");
        let steps = forecast(&plan, 10.0, 0.001, Some(0.05));
        assert!(!steps[0].enough_traffic && steps[1].enough_traffic);
        assert!(steps[0].finds_points > steps[1].finds_points, "{steps:?}");
        assert!(steps[1].found_seconds.is_some_and(|it| it < 3_600.0));
    }
}
