//! How old a request may get: limits from stable's recent past, and what the workers counted by them.
//!
//! Stable's limit is its own quantile over the last minutes, the canary's is that and the slack. Both are
//! frozen for ten seconds at a time and only ever made from the past, so that they favour nobody. What a
//! request is measured by is the time from handing it to the version, whole, to the head of its answer:
//! slow clients, large bodies and the opening of connections do not count.

use std::collections::VecDeque;
use std::time::Duration;

use crate::analysis::{GuardPolicy, LatencyGuard, Quantile};
use crate::model::{Histogram, LaneTally, SLOW_SLOTS, ServiceName, SlowTally, Timestamp, VersionName};

use super::counts::Counts;

/// The limits in force and the counters at the last look.
#[derive(Debug)]
pub(super) struct Pace {
    guards: Vec<(Quantile, LatencyGuard)>,
    /// Stable's answers so far, a minute apart, the oldest first.
    past: VecDeque<(Timestamp, Histogram)>,
    frozen: Option<Timestamp>,
    /// Counters since the series began, not since the last look.
    seen: Vec<SlowTally>,
}

impl Pace {
    pub fn new(policy: &GuardPolicy) -> Self {
        let guards = policy.latencies().collect();
        Self { guards, past: VecDeque::new(), frozen: None, seen: Vec::new() }
    }

    /// Other guards from now on.
    pub fn judge_by(&mut self, policy: &GuardPolicy) {
        (self.guards, self.frozen) = (policy.latencies().collect(), None);
    }

    /// What was counted since the last look; moves the limits when it is time to.
    pub fn look(
        &mut self,
        service: &ServiceName,
        (canary, stable): (&VersionName, &VersionName),
        counts: &dyn Counts,
        now: Timestamp,
    ) -> Vec<SlowTally> {
        let fresh = self.seen.iter_mut().map(|it| {
            let newest = (counts.slow(service, canary, it.slot), counts.slow(service, stable, it.slot));
            let fresh = SlowTally {
                canary: since(&newest.0, &it.canary),
                stable: since(&newest.1, &it.stable),
                ..*it
            };
            (it.canary, it.stable) = newest;
            fresh
        });
        let fresh = fresh.collect();
        if !self.guards.is_empty() && self.frozen.is_none_or(|it| now.since(it) >= FROZEN) {
            self.freeze(service, (canary, stable), counts, now);
        }
        fresh
    }

    /// Nobody counts for this release any more.
    pub fn leave(service: &ServiceName, versions: [&VersionName; 2], counts: &dyn Counts) {
        versions.into_iter().for_each(|it| counts.limit_ages(service, it, &[u64::MAX; SLOW_SLOTS]));
    }

    fn freeze(
        &mut self,
        service: &ServiceName,
        (canary, stable): (&VersionName, &VersionName),
        counts: &dyn Counts,
        now: Timestamp,
    ) {
        self.frozen = Some(now);
        let recent = self.recent(counts.answer_latency(service, stable), now);
        let (mut canary_us, mut stable_us) = ([u64::MAX; SLOW_SLOTS], [u64::MAX; SLOW_SLOTS]);
        for (quantile, guard) in &self.guards {
            if let Some(us) = recent.as_ref().and_then(|it| it.quantile_us(quantile.share())) {
                let slot = quantile.relative_slot();
                (stable_us[slot], canary_us[slot]) = (us, guard.slack.over(us));
            }
            if let Some(us) = guard.ceiling_us {
                let slot = quantile.ceiling_slot();
                (stable_us[slot], canary_us[slot]) = (us, us);
            }
        }
        counts.limit_ages(service, stable, &stable_us);
        counts.limit_ages(service, canary, &canary_us);
        self.seen.retain(|it| canary_us[it.slot] != u64::MAX);
        for slot in (0..SLOW_SLOTS).filter(|slot| canary_us[*slot] != u64::MAX) {
            let limits = (canary_us[slot], stable_us[slot]);
            match self.seen.iter_mut().find(|it| it.slot == slot) {
                Some(it) => (it.canary_us, it.stable_us) = limits,
                None => self.seen.push(SlowTally {
                    slot,
                    canary_us: limits.0,
                    stable_us: limits.1,
                    canary: counts.slow(service, canary, slot),
                    stable: counts.slow(service, stable, slot),
                }),
            }
        }
    }

    /// Stable's answers of the last one to five minutes; of all its time while that is little, and
    /// nothing before there are enough to speak of a quantile.
    fn recent(&mut self, newest: Histogram, now: Timestamp) -> Option<Histogram> {
        let is_over = |it: &(Timestamp, Histogram)| now.since(it.0) > PAST_MAX;
        while self.past.len() > 1 && self.past.get(1).is_some_and(is_over) {
            self.past.pop_front();
        }
        let since_then = self.past.front().filter(|(at, _)| now.since(*at) >= PAST_MIN);
        let recent = since_then.map(|(_, old)| newest.since(old)).filter(|it| it.count() >= ENOUGH);
        if self.past.back().is_none_or(|(at, _)| now.since(*at) >= PAST_MIN) {
            self.past.push_back((now, newest.clone()));
        }
        recent.or_else(|| (newest.count() >= FEWEST).then_some(newest))
    }
}

/// What came since the last look. A series that began anew has smaller counters, all of them fresh.
pub(super) fn since(newest: &LaneTally, seen: &LaneTally) -> LaneTally {
    if newest.total().requests < seen.total().requests { newest.clone() } else { newest.since(seen) }
}

/// How long limits stand.
const FROZEN: Duration = Duration::from_secs(10);
/// How far back stable is asked for its quantiles.
const PAST_MIN: Duration = Duration::from_secs(60);
const PAST_MAX: Duration = Duration::from_secs(300);
/// Answers that make a recent quantile better than one of all time.
const ENOUGH: u64 = 200;
/// Fewer answers have no 95th percentile.
const FEWEST: u64 = 20;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::pin::Pin;
    use std::sync::Mutex;

    use super::*;
    use crate::telemetry::ReleaseFacts;

    #[derive(Default)]
    struct Fake {
        answers: Mutex<Histogram>,
        limits: Mutex<BTreeMap<String, [u64; SLOW_SLOTS]>>,
    }

    impl Counts for Fake {
        fn tally(&self, _: &ServiceName, _: &VersionName) -> LaneTally {
            LaneTally::default()
        }
        fn latency(&self, _: &ServiceName, _: &VersionName) -> Histogram {
            self.answers.lock().unwrap().clone()
        }
        fn limit_ages(&self, _: &ServiceName, version: &VersionName, limits_us: &[u64; SLOW_SLOTS]) {
            self.limits.lock().unwrap().insert(version.to_string(), *limits_us);
        }
        fn arm(&self) {}
        fn raised(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(std::future::pending())
        }
        fn serving(&self, _: &[(ServiceName, VersionName)], _: Timestamp) {}
        fn show(&self, _: &ServiceName, _: Option<ReleaseFacts>) {}
        fn decided(&self, _: &ServiceName, _: &'static str, _: &'static str) {}
        fn written_down(&self, _durable: bool) {}
        fn ended(&self, _: &'static str, _: Duration) {}
    }

    #[test]
    fn limits_follow_stable_and_stand_for_ten_seconds() {
        let (fake, service) = (Fake::default(), "shop".parse().unwrap());
        let (canary, stable): (VersionName, VersionName) = ("v2".parse().unwrap(), "v1".parse().unwrap());
        let mut pace = Pace::new(&GuardPolicy::default());
        let mut look = |seconds: u64| {
            pace.look(&service, (&canary, &stable), &fake, Timestamp(seconds * 1_000_000));
            let limits = fake.limits.lock().unwrap();
            let slot = Quantile::P95.relative_slot();
            limits.get("v1").map(|it| (it[slot], limits["v2"][slot]))
        };
        assert_eq!(look(0), Some((u64::MAX, u64::MAX)), "nothing is known of stable");
        (0..100).for_each(|_| fake.answers.lock().unwrap().record_us(9_999));
        assert_eq!(look(9), Some((u64::MAX, u64::MAX)), "frozen");
        let (stable_us, canary_us) = look(10).unwrap();
        assert!((10_000..12_000).contains(&stable_us), "{stable_us}");
        assert_eq!(canary_us, stable_us + stable_us / 10 + 5_000);
        // After a minute only what is recent counts.
        (0..1_000).for_each(|_| fake.answers.lock().unwrap().record_us(99_999));
        let (stable_us, _) = look(70).unwrap();
        assert!((100_000..120_000).contains(&stable_us), "{stable_us}");
    }
}
