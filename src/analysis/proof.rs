//! The proof that a canary is hardly worse: what lets a step end before its time.
//!
//! The comparisons of a rollback, the other way round: they gain by good answers. They begin anew with
//! every step, so that each step excludes "worse by the margin" with 95 % by itself. Every guard in use
//! must be proven.

use std::time::Duration;

use super::clusters::Clustering;
use super::comparison::{Aim, Comparison};
use super::history::History;
use super::policy::{GuardPolicy, Pass, Quantile};
use super::slowness::slot;
use crate::model::{Observation, SlowTally};

/// What one step has shown so far.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Proof {
    /// When the step began, since the release did.
    pub(super) since: Duration,
    pub(super) errors: Option<Comparison>,
    pub(super) latency: Vec<(Quantile, Comparison)>,
}

impl Proof {
    /// A step begins.
    pub(super) fn new(policy: &GuardPolicy, pass: &Pass, history: History, since: Duration) -> Self {
        let aim = Aim::Pass(pass.within);
        let compare = |history| Comparison::new(aim, history);
        let latency = policy
            .latencies()
            .map(|(at, _)| (at, compare(History { responses: HISTORY, bad: HISTORY * at.rest() })));
        Self { since, errors: policy.errors.map(|_| compare(history)), latency: latency.collect() }
    }

    /// Callers are pinned to a lane, and cluster like this.
    pub(super) fn cluster(&mut self, it: &Clustering) {
        if let Some(errors) = &mut self.errors {
            errors.cluster(it.dispersion, it.noise());
        }
        for (_, latency) in &mut self.latency {
            latency.cluster(Clustering::UNKNOWN.dispersion, 0.0);
        }
    }

    /// Adds what one tick saw.
    pub(super) fn observe(&mut self, elapsed: Duration, seen: &Observation) {
        let elapsed = elapsed.saturating_sub(self.since);
        if let Some(it) = &mut self.errors {
            it.observe(elapsed, seen);
        }
        for (quantile, it) in &mut self.latency {
            let none = SlowTally::default();
            let slow = slot(seen, quantile.relative_slot()).unwrap_or(&none);
            it.observe_lanes(elapsed, &slow.canary, &slow.stable);
        }
    }

    /// Share of the way to a proof, of the errors alone and of a quantile alone.
    pub(super) fn errors_share(&self, source: Option<usize>) -> f64 {
        self.errors.as_ref().map_or(0.0, |it| share(it, source))
    }

    pub(super) fn latency_share(&self, quantile: Quantile, source: Option<usize>) -> f64 {
        self.latency.iter().find(|it| it.0 == quantile).map_or(0.0, |it| share(&it.1, source))
    }

    /// Whether everything that is guarded is proven.
    pub(super) fn holds(&self, source: Option<usize>) -> bool {
        let all = self.errors.iter().chain(self.latency.iter().map(|it| &it.1));
        let mut shares = all.map(|it| share(it, source)).peekable();
        shares.peek().is_some() && shares.all(|it| it >= 1.0)
    }
}

fn share(it: &Comparison, source: Option<usize>) -> f64 {
    (it.log_w_min(source) / PROOF.ln()).max(0.0)
}

/// A canary that is worse by the margin gets this far in one of twenty steps at most.
const PROOF: f64 = 20.0;

/// Imaginary stable responses behind the first guess of its rate.
const HISTORY: f64 = 200.0;
