//! The numbers behind a verdict, for people. Nothing here decides.

use super::evidence::{Evidence, Guard, GuardEvidence, LaneEvidence};
use super::interval::Interval;
use super::judge::Judge;
use super::slowness::Slowness;
use crate::model::Tally;

impl Judge {
    /// The numbers behind the verdict, for people.
    pub fn evidence(&self) -> Evidence {
        let (canary, stable) = (self.seen.canary.total(), self.seen.stable.total());
        let lane = |seen| LaneEvidence { seen, interval: Interval::of_rate(seen, DISPLAY_ALPHA) };
        let mut guards = Vec::new();
        if self.policy.errors.is_some() {
            guards.push(self.comparison_evidence(canary, stable));
            guards.extend(self.ceiling_evidence(canary));
        }
        guards.extend(self.latency.iter().flat_map(|it| self.latency_evidence(it)));
        guards.extend(self.policy.failures_max.map(|it| self.budget_evidence(it, canary)));
        Evidence {
            canary: lane(canary),
            stable: lane(stable),
            guards,
            one_source: self.source().is_some(),
            clustering: self.clustering,
        }
    }

    fn comparison_evidence(&self, canary: Tally, stable: Tally) -> GuardEvidence {
        let half = |seen| Interval::of_rate(seen, DISPLAY_ALPHA / 2.0);
        GuardEvidence {
            guard: Guard::ErrorsAgainstStable,
            estimate: canary.rate().zip(stable.rate()).map(|(canary, stable)| canary - stable),
            interval: Interval::of_difference(half(canary), half(stable)),
            limit: self.relative.margin(),
            canary,
            stable,
            ages_us: None,
            slack: None,
            proof: self.proof.as_ref().map_or(0.0, |it| it.errors_share(self.source())),
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
            canary: seen,
            stable: Tally::default(),
            ages_us: None,
            slack: None,
            proof: 0.0,
            evidence: self.ceiling_share(ceiling),
            decides: alone.is_some(),
        })
    }

    fn latency_evidence(&self, it: &Slowness) -> Vec<GuardEvidence> {
        let (scale, half) = (self.scale(1), |seen| Interval::of_rate(seen, DISPLAY_ALPHA / 2.0));
        let compared = GuardEvidence {
            guard: Guard::LatencyAgainstStable(it.quantile),
            estimate: it.canary.rate().zip(it.stable.rate()).map(|(canary, stable)| canary - stable),
            interval: Interval::of_difference(half(it.canary), half(it.stable)),
            limit: it.relative.margin(),
            canary: it.canary,
            stable: it.stable,
            ages_us: Some((it.canary_us, it.stable_us)),
            slack: Some(it.guard.slack),
            proof: self.proof.as_ref().map_or(0.0, |proof| proof.latency_share(it.quantile, scale.source)),
            evidence: it.relative_share(&scale),
            decides: scale.comparator,
        };
        let alone = it.alone.as_ref().filter(|_| !scale.comparator);
        let test = alone.map(|it| &it.ceiling).or(it.beside.as_ref());
        let ceiling = it.guard.ceiling_us.zip(test).map(|(limit_us, test)| {
            let seen = alone.map_or(Tally::default(), |it| it.seen);
            GuardEvidence {
                guard: Guard::LatencyCeiling(it.quantile),
                estimate: seen.rate(),
                interval: Interval::of_rate(seen, DISPLAY_ALPHA),
                limit: it.quantile.rest(),
                canary: seen,
                stable: Tally::default(),
                ages_us: Some((limit_us, limit_us)),
                slack: None,
                proof: 0.0,
                evidence: scale.ceiling(test),
                decides: alone.is_some(),
            }
        });
        [Some(compared), ceiling].into_iter().flatten().collect()
    }

    fn budget_evidence(&self, budget: u64, canary: Tally) -> GuardEvidence {
        GuardEvidence {
            guard: Guard::Failures,
            estimate: Some(canary.bad as f64),
            interval: Interval { lower: canary.bad as f64, upper: canary.bad as f64 },
            limit: budget as f64,
            canary,
            stable: Tally::default(),
            ages_us: None,
            slack: None,
            proof: 0.0,
            evidence: canary.bad as f64 / budget.max(1) as f64,
            decides: true,
        }
    }
}

/// Intervals that are shown hold with 95 %.
const DISPLAY_ALPHA: f64 = 0.05;
