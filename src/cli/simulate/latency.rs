//! How long answers take, and which of them the latency guards call slow.
//!
//! Made-up times are log-normal, the usual shape of a service's; recorded ones are as recorded. Limits are
//! made once, from what stable did before the release began: in the proxy they follow stable, but here
//! both lanes change together anyway.

use crate::analysis::{GuardPolicy, Quantile};
use crate::model::{CLIENT_SHARDS, Histogram, LaneTally, SlowTally, Tally};

use super::chance::Chance;

/// Made-up times of a version's answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Times {
    /// Half of the answers take longer.
    pub median_us: f64,
}

impl Times {
    /// The next one.
    pub fn draw(self, chance: &mut Chance) -> f64 {
        self.median_us * (SPREAD * chance.normal()).exp()
    }

    /// What is known of them before a release.
    fn histogram(self) -> Histogram {
        let mut known = Histogram::default();
        let mut chance = Chance::of(0, 0);
        (0..LEARNED).for_each(|_| known.record_us(self.draw(&mut chance) as u64));
        known
    }
}

/// The limits of the guards in use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits(Vec<SlowTally>);

impl Limits {
    /// From made-up times.
    pub fn of_times(policy: &GuardPolicy, times: Times) -> Self {
        Self::of(policy, &times.histogram())
    }

    /// From what stable did before; nothing is slow where that is unknown.
    pub fn of(policy: &GuardPolicy, stable: &Histogram) -> Self {
        let mut limits = Vec::new();
        for (quantile, guard) in policy.latencies() {
            let limit =
                |slot, stable_us, canary_us| SlowTally { slot, stable_us, canary_us, ..SlowTally::default() };
            if let Some(us) = stable.quantile_us(Quantile::share(quantile)) {
                limits.push(limit(quantile.relative_slot(), us, guard.slack.over(us)));
            }
            if let Some(us) = guard.ceiling_us.filter(|_| stable.count() > 0) {
                limits.push(limit(quantile.ceiling_slot(), us, us));
            }
        }
        Self(limits)
    }

    /// Nothing counted yet.
    pub fn fresh(&self) -> Vec<SlowTally> {
        self.0.clone()
    }
}

/// Counts an answer that took so long.
pub fn count(slow: &mut [SlowTally], canary: bool, shard: usize, took_us: f64) {
    for it in slow {
        let (lane, limit): (&mut LaneTally, u64) =
            if canary { (&mut it.canary, it.canary_us) } else { (&mut it.stable, it.stable_us) };
        let tally = &mut lane.shards[shard % CLIENT_SHARDS];
        *tally = tally.plus(Tally { requests: 1, bad: u64::from(took_us > limit as f64) });
    }
}

/// Standard deviation of the logarithm: the 99th percentile is four times the median.
const SPREAD: f64 = 0.6;
/// Answers that stable's quantiles are known from.
const LEARNED: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_twenty_is_slower_than_stables_mark() {
        let times = Times { median_us: 20_000.0 };
        let limits = Limits::of_times(&GuardPolicy::default(), times);
        let (mut slow, mut chance) = (limits.fresh(), Chance::of(7, 0));
        for canary in [false, true] {
            (0..20_000).for_each(|at| count(&mut slow, canary, at, times.draw(&mut chance)));
        }
        let p95 = slow.iter().find(|it| it.slot == Quantile::P95.relative_slot()).unwrap();
        let share = p95.stable.total().rate().unwrap();
        // A quantile is read from buckets an eighth wide.
        assert!((0.035..=0.052).contains(&share), "{share}");
        assert!(p95.canary.total().rate().unwrap() < share, "the canary has some slack");
    }
}
