//! One promise on a quantile of latency.
//!
//! "p95 is at most x" says "at most 5 % are slower than x", which is a promise on a rate, so the tests of
//! the error rate do. Against stable the two lanes have different limits: stable is slow above its own
//! recent quantile, the canary above that and the slack. A canary that is no slower than the slack allows
//! cannot have a higher rate then, wherever the quantile was taken. A request counts the moment its age
//! passes the limit, so a canary that hangs is seen long before its timeout.
//!
//! Not here: where the limits come from and who counts (the controller and the proxy).

use std::time::Duration;

use super::ceiling::{Ceiling, Side};
use super::clusters::Clustering;
use super::comparison::{Aim, Comparison};
use super::history::History;
use super::judge::Alone;
use super::policy::{LatencyGuard, Quantile, Tolerance};
use super::verdict::Breach;
use crate::model::{Observation, SlowTally, Tally};

/// The evidence about one quantile.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slowness {
    pub(super) quantile: Quantile,
    pub(super) guard: LatencyGuard,
    pub(super) relative: Comparison,
    /// The configured ceiling while stable has traffic.
    pub(super) beside: Option<Ceiling>,
    /// The ceiling without a comparator, once there was none.
    pub(super) alone: Option<Alone>,
    /// Both lanes against the moving limits, since the release began.
    pub(super) canary: Tally,
    pub(super) stable: Tally,
    /// Those limits, when there were some last.
    pub(super) canary_us: u64,
    pub(super) stable_us: u64,
}

impl Slowness {
    /// Nothing seen yet; `lost` is how far into the release evidence was lost, if it was.
    pub(super) fn new(quantile: Quantile, guard: LatencyGuard, lost: Option<Duration>) -> Self {
        // By construction about this share of stable is slower than its own quantile.
        let history = History { responses: HISTORY, bad: HISTORY * quantile.rest() };
        let aim = Aim::Rollback(TOLERANCE);
        Self {
            quantile,
            guard,
            relative: match lost {
                None => Comparison::new(aim, history),
                Some(elapsed) => Comparison::after_loss(aim, history, elapsed),
            },
            beside: guard.ceiling_us.map(|_| Ceiling::new(quantile.rest(), Side::Above)),
            alone: None,
            canary: Tally::default(),
            stable: Tally::default(),
            canary_us: 0,
            stable_us: 0,
        }
    }

    /// Callers are pinned: nobody knows before a release how slow answers cluster, so caution is assumed.
    pub(super) fn cluster(&mut self) {
        let dispersion = Clustering::UNKNOWN.dispersion;
        self.relative.cluster(dispersion, 0.0);
        let alone = self.alone.as_mut().map(|it| &mut it.ceiling);
        self.beside.iter_mut().chain(alone).for_each(|test| test.dispersion = dispersion);
    }

    /// Adds what one tick saw.
    pub(super) fn observe(&mut self, elapsed: Duration, seen: &Observation, comparator: bool) {
        let relative = slot(seen, self.quantile.relative_slot());
        let ceiling = slot(seen, self.quantile.ceiling_slot()).filter(|_| self.guard.ceiling_us.is_some());
        if comparator {
            let none = SlowTally::default();
            let it = relative.unwrap_or(&none);
            self.relative.observe_lanes(elapsed, &it.canary, &it.stable);
            self.canary = self.canary.plus(it.canary.total());
            self.stable = self.stable.plus(it.stable.total());
            if relative.is_some() {
                (self.canary_us, self.stable_us) = (it.canary_us, it.stable_us);
            }
            if let (Some(test), Some(it)) = (&mut self.beside, ceiling) {
                test.observe(elapsed, &it.canary);
            }
        } else if let Some(it) = ceiling {
            let limit = self.quantile.rest();
            let alone =
                self.alone.get_or_insert_with(|| Alone::begin(elapsed, limit, self.relative.dispersion));
            alone.observe(elapsed, &it.canary);
        }
    }

    /// What is broken, if the evidence reaches these thresholds.
    pub(super) fn breach(&self, of: &Scale) -> Option<Breach> {
        let (quantile, canary) = (self.quantile, self.canary);
        let limit_us = self.guard.ceiling_us.unwrap_or_default();
        if self.relative_share(of) >= 1.0 {
            let above = self.beside.as_ref().filter(|it| of.ceiling(it) >= 1.0);
            let stable = self.stable;
            return Some(match above {
                Some(_) => Breach::TooSlow { quantile, canary, stable: Some(stable), limit_us },
                None => Breach::Slower {
                    quantile,
                    canary,
                    stable,
                    limit_us: self.canary_us,
                    stable_us: self.stable_us,
                },
            });
        }
        let alone = self.alone.as_ref().filter(|it| !of.comparator && of.ceiling(&it.ceiling) >= 1.0)?;
        Some(Breach::TooSlow { quantile, canary: alone.seen, stable: None, limit_us })
    }

    /// Share of the way to a rollback by comparison.
    pub(super) fn relative_share(&self, of: &Scale) -> f64 {
        (self.relative.log_w_min(of.source) / of.relative).max(0.0)
    }

    /// Share of the way to a rollback by what decides now.
    pub(super) fn deciding_share(&self, of: &Scale) -> f64 {
        match &self.alone {
            Some(it) if !of.comparator => of.ceiling(&it.ceiling),
            _ if of.comparator => self.relative_share(of),
            _ => 0.0,
        }
    }
}

/// How much evidence decides, and which client shard cannot be left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// Thresholds on the logarithm of the evidence.
    pub(super) relative: f64,
    pub(super) ceiling: f64,
    pub(super) source: Option<usize>,
    pub(super) comparator: bool,
}

impl Scale {
    /// Share of the way to a rollback by a ceiling.
    pub(super) fn ceiling(&self, it: &Ceiling) -> f64 {
        (it.log_w_min(self.source) / self.ceiling).max(0.0)
    }
}

/// The counts of one limit.
pub(super) fn slot(seen: &Observation, slot: usize) -> Option<&SlowTally> {
    seen.slow.iter().find(|it| it.slot == slot)
}

/// The slack is in the limits; this covers that a quantile is only known to a bucket.
pub(super) const TOLERANCE: Tolerance = Tolerance { absolute: 0.001, relative: 0.0 };

/// Imaginary stable responses behind the first guess of its rate; real ones soon outweigh them.
const HISTORY: f64 = 200.0;

#[cfg(test)]
mod tests {
    use crate::analysis::{
        Breach, Clustering, ErrorGuard, GuardPolicy, History, Judge, LatencyGuard, Pass, Quantile, Saved,
        StepEvidence, Verdict,
    };
    use crate::model::{CLIENT_SHARDS, LaneTally, Observation, SlowTally, Tally};
    use std::time::Duration;

    const P95: usize = 2;

    fn lane(tick: u64, requests: u64, bad: u64) -> LaneTally {
        let mut lane = LaneTally::default();
        for i in 0..requests {
            let shard = ((tick * 7 + i * 13) % CLIENT_SHARDS as u64) as usize;
            lane.shards[shard] = lane.shards[shard].plus(Tally { requests: 1, bad: u64::from(i < bad) });
        }
        lane
    }

    /// A tick of 100 ms at 1000 requests a second, a tenth of them to the canary; the parts that are slow,
    /// in percent.
    fn tick(at: u64, canary: u64, stable: u64) -> Observation {
        let whole = |n: u64, percent: u64| (at + 1) * n * percent / 100 - at * n * percent / 100;
        let slow = |slot| SlowTally {
            slot,
            canary_us: 18_200,
            stable_us: 12_000,
            canary: lane(at, 10, whole(10, canary).min(10)),
            stable: lane(at, 90, whole(90, stable)),
        };
        Observation {
            canary: lane(at, 10, 0),
            stable: lane(at, 90, 0),
            slow: [P95, P95 + 1, P95 + 4].map(slow).to_vec(),
        }
    }

    fn policy() -> GuardPolicy {
        GuardPolicy::default()
    }

    /// When and why it is rolled back, in seconds.
    fn play(
        policy: &GuardPolicy,
        canary: u64,
        stable: u64,
        comparator: bool,
        seconds: u64,
    ) -> Option<(f64, Breach)> {
        let mut judge = Judge::new(policy, History::default());
        for at in 0..seconds * 10 {
            judge.observe(Duration::from_millis(100 * (at + 1)), &tick(at, canary, stable), comparator);
            if let Verdict::Worse(breach) = judge.verdict(&StepEvidence::default()) {
                return Some(((at + 1) as f64 / 10.0, breach));
            }
        }
        None
    }

    #[test]
    fn a_slow_canary_is_found_and_an_even_one_is_left_alone() {
        let (seconds, breach) = play(&policy(), 50, 5, true, 60).unwrap();
        assert!(matches!(breach, Breach::Slower { quantile: Quantile::P95, .. }), "{breach}");
        assert!(seconds <= 2.0, "{seconds}");
        let (seconds, _) = play(&policy(), 10, 5, true, 120).unwrap();
        assert!(seconds <= 60.0, "{seconds}");
        assert_eq!(play(&policy(), 5, 5, true, 600), None);
        assert_eq!(play(&policy(), 50, 50, true, 600), None, "both slow: a shared cause");
    }

    #[test]
    fn a_ceiling_needs_a_difference_while_there_is_one() {
        let mut policy = GuardPolicy { latency: [None; 4], ..policy() };
        policy.latency[P95] = Some(LatencyGuard { ceiling_us: Some(20_000), ..LatencyGuard::default() });
        let (_, breach) = play(&policy, 50, 5, true, 60).unwrap();
        assert!(matches!(breach, Breach::TooSlow { stable: Some(_), .. }), "{breach}");
        assert_eq!(play(&policy, 50, 50, true, 600), None);
        let (_, breach) = play(&policy, 50, 0, false, 60).unwrap();
        assert!(matches!(breach, Breach::TooSlow { stable: None, .. }), "{breach}");
        assert_eq!(play(&policy, 4, 0, false, 600), None);
    }

    #[test]
    fn the_chance_of_a_mistake_is_shared_out_over_what_is_in_use() {
        let log_threshold =
            |policy: &GuardPolicy, metric| Judge::new(policy, History::default()).scale(metric);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        near(log_threshold(&policy(), 0).relative, f64::ln(20_000.0));
        near(log_threshold(&policy(), 1).relative, -f64::ln(1e-4 * 0.2));
        near(log_threshold(&policy(), 0).ceiling, -f64::ln(1e-4 * 0.1));
        let errors = GuardPolicy { latency: [None; 4], ..policy() };
        near(log_threshold(&errors, 0).relative, -f64::ln(1e-4 * 5.0 / 6.0));
        let slow = GuardPolicy { errors: None, ..policy() };
        near(log_threshold(&slow, 1).relative, -f64::ln(1e-4 / 2.0));
    }

    #[test]
    fn a_budget_of_failures_is_spent() {
        let policy = GuardPolicy { failures_max: Some(30), errors: None, latency: [None; 4], ..policy() };
        let mut judge = Judge::new(&policy, History::default());
        let seen = Observation { canary: lane(0, 10, 3), stable: lane(0, 90, 27), slow: Vec::new() };
        let step = StepEvidence { canary: Tally { requests: 90, bad: 0 }, requests: 1 };
        for at in 1..10 {
            judge.observe(Duration::from_millis(100 * at), &seen, true);
            assert_eq!(judge.verdict(&step), Verdict::Fine);
        }
        judge.observe(Duration::from_secs(1), &seen, true);
        assert_eq!(judge.verdict(&step), Verdict::Worse(Breach::Spent { failures: 30, budget: 30 }));
    }

    #[test]
    fn a_step_passes_when_every_guard_is_proven_and_begins_anew_with_the_next() {
        let policy = GuardPolicy { pass: Some(Pass::default()), ..policy() };
        let mut judge = Judge::new(&policy, History { responses: 10_000.0, bad: 10.0 });
        let (mut step, mut proven) = (StepEvidence { requests: 100, ..StepEvidence::default() }, None);
        for at in 0..6_000 {
            judge.observe(Duration::from_millis(100 * (at + 1)), &tick(at, 5, 5), true);
            step.canary = step.canary.plus(Tally { requests: 10, bad: 0 });
            if judge.verdict(&step) == Verdict::Proven {
                proven = Some((at + 1) / 10);
                break;
            }
        }
        let seconds = proven.expect("a healthy canary is proven to be fine");
        assert!((30..=300).contains(&seconds), "{seconds} s");
        let back = Judge::restore(&policy, &judge.save()).unwrap();
        assert_eq!(back, judge);
        judge.begin_step();
        assert_eq!(judge.verdict(&step), Verdict::Fine);
        // What a worse canary shows is no proof.
        for at in 0..600 {
            judge.observe(Duration::from_secs(600 + at), &tick(at, 8, 5), true);
            assert_ne!(judge.verdict(&step), Verdict::Proven);
        }
    }

    #[test]
    fn evidence_comes_back_bit_for_bit_and_that_of_the_first_format_is_read() {
        let policy = policy();
        let mut judge = Judge::new(&policy, History::default());
        for at in 0..100 {
            judge.observe(Duration::from_millis(100 * (at + 1)), &tick(at, 6, 5), true);
        }
        assert_eq!(Judge::restore(&policy, &judge.save()).unwrap(), judge);
        let clustering = Clustering { dispersion: 28.0, spread: 0.004, known: true };
        let clustered = judge.clone().clustered(Some(clustering));
        assert_eq!(Judge::restore(&policy, &clustered.save()).unwrap(), clustered);
        // The second format knew nothing of pinned callers.
        let Saved { mut counts, values } = judge.save();
        assert_eq!(counts.remove(1), 0);
        counts[0] = 2;
        assert_eq!(Judge::restore(&policy, &Saved { counts, values }).unwrap(), judge);
        let errors =
            GuardPolicy { latency: [None; 4], errors: Some(ErrorGuard::default()), ..policy.clone() };
        let before = Judge::restore(&errors, &judge.save()).unwrap();
        let Saved { mut counts, values } = before.save();
        // The first format had neither latency nor a proof at its end.
        assert_eq!(counts.split_off(counts.len() - 2), [0, 0]);
        counts[0] = 1;
        // Nor did anybody know of callers who are pinned.
        assert_eq!(counts.remove(1), 0);
        let read = Judge::restore(&policy, &Saved { counts, values }).unwrap();
        assert_eq!(read.evidence().canary, before.evidence().canary);
        assert_eq!(read.latency.len(), 2);
        assert!(read.latency[0].relative.log_w() < f64::ln(0.5), "what was not seen has cost its mass");
    }
}
