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
use super::clusters::Clustering;
use super::comparison::{Aim, Comparison};
use super::history::History;
use super::policy::{ErrorGuard, GuardPolicy, Pass};
use super::proof::Proof;
use super::slowness::{Scale, Slowness};
use super::verdict::{Breach, Doubt, Verdict};
use crate::model::{LaneTally, Observation, Tally};

/// The evidence of one release.
#[derive(Clone, Debug, PartialEq)]
pub struct Judge {
    pub(super) policy: GuardPolicy,
    /// Stable's failure rate before the release.
    pub(super) rate_before: f64,
    /// How callers cluster, when they are pinned to a lane.
    pub(super) clustering: Option<Clustering>,
    /// Both lanes since the release began.
    pub(super) seen: Observation,
    pub(super) latest: Latest,
    pub(super) relative: Comparison,
    /// The configured ceiling while stable has traffic.
    pub(super) beside: Option<Ceiling>,
    /// The ceiling without a comparator, once there was none.
    pub(super) alone: Option<Alone>,
    pub(super) breaker: Breaker,
    /// One for each latency guard in use.
    pub(super) latency: Vec<Slowness>,
    /// What the present step has shown, when steps may end early.
    pub(super) proof: Option<Proof>,
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
        Self::with(policy, history, None, |aim| Comparison::new(aim, history))
    }

    /// The evidence was lost `elapsed` after the release began: starts again with what was left of the
    /// allowed chance of a mistake.
    pub fn after_loss(policy: &GuardPolicy, history: History, elapsed: Duration) -> Self {
        let after_loss = |aim| Comparison::after_loss(aim, history, elapsed);
        let mut it = Self::with(policy, history, Some(elapsed), after_loss);
        it.latest.at = elapsed;
        it
    }

    fn with(
        policy: &GuardPolicy,
        history: History,
        lost: Option<Duration>,
        compare: impl FnOnce(Aim) -> Comparison,
    ) -> Self {
        let guard = policy.errors.unwrap_or_default();
        let proof = |pass: &Pass| Proof::new(policy, pass, history, lost.unwrap_or_default());
        Self {
            policy: policy.clone(),
            rate_before: history.rate(),
            clustering: None,
            seen: Observation::default(),
            latest: Latest { comparator: true, ..Latest::default() },
            relative: compare(Aim::Rollback(guard.tolerance)),
            beside: guard.ceiling.map(|it| Ceiling::new(it, Side::Above)),
            alone: None,
            breaker: Breaker::default(),
            latency: policy.latencies().map(|(at, guard)| Slowness::new(at, guard, lost)).collect(),
            proof: policy.pass.as_ref().map(proof),
        }
    }

    /// A step begins: what lets it end early must be shown anew.
    pub fn begin_step(&mut self) {
        let (history, now) = (self.history(), self.latest.at);
        self.proof = self.policy.pass.as_ref().map(|it| Proof::new(&self.policy, it, history, now));
        if let (Some(proof), Some(it)) = (&mut self.proof, &self.clustering) {
            proof.cluster(it);
        }
    }

    /// Callers are pinned to a lane, and cluster like this: evidence counts less, and the margin is wider.
    /// Evidence so far stays as it is. `None`: each request is drawn alone, and nothing changes.
    pub fn clustered(mut self, clustering: Option<Clustering>) -> Self {
        let Some(it) = clustering else { return self };
        self.relative.cluster(it.dispersion, it.noise());
        let alone = self.alone.as_mut().map(|it| &mut it.ceiling);
        self.beside.iter_mut().chain(alone).for_each(|test| test.dispersion = it.dispersion);
        self.latency.iter_mut().for_each(Slowness::cluster);
        if let Some(proof) = &mut self.proof {
            proof.cluster(&it);
        }
        Self { clustering, ..self }
    }

    /// How callers were said to cluster, if they are pinned.
    pub fn clustering(&self) -> Option<Clustering> {
        self.clustering
    }

    /// Adds what one tick saw, `elapsed` after the release began. `comparator` says whether stable gets
    /// traffic by weight. Ticks may come at any distance, and empty ones are fine.
    pub fn observe(&mut self, elapsed: Duration, seen: &Observation, comparator: bool) {
        add(&mut self.seen.canary, &seen.canary);
        add(&mut self.seen.stable, &seen.stable);
        let elapsed = elapsed.max(self.latest.at);
        self.latest.observe(elapsed, seen, comparator);
        self.latency.iter_mut().for_each(|it| it.observe(elapsed, seen, comparator));
        if let Some(proof) = self.proof.as_mut().filter(|_| comparator) {
            proof.observe(elapsed, seen);
        }
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
        let slow = || self.latency.iter().find_map(|it| it.breach(&self.scale(1)));
        if let Some(breach) = breach.or_else(slow).or_else(|| self.spent()) {
            return Verdict::Worse(breach);
        }
        match self.doubt(step) {
            Some(doubt) => Verdict::Unsure(doubt),
            None if self.is_proven(step) => Verdict::Proven,
            None => Verdict::Fine,
        }
    }

    fn spent(&self) -> Option<Breach> {
        let failures = self.seen.canary.total().bad;
        let budget = self.policy.failures_max.filter(|it| failures >= *it)?;
        Some(Breach::Spent { failures, budget })
    }

    fn is_proven(&self, step: &StepEvidence) -> bool {
        let (Some(pass), Some(proof)) = (&self.policy.pass, &self.proof) else { return false };
        let time = self.latest.at.saturating_sub(proof.since);
        self.latest.comparator
            && time >= pass.after
            && step.canary.requests >= pass.requests
            && proof.holds(self.source())
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
            Alone::begin(elapsed, limit, self.relative.dispersion)
        });
        alone.observe(elapsed, canary);
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
        let alone = self.alone.as_ref().filter(|it| !comparator && self.ceiling_share(&it.ceiling) >= 1.0);
        if let Some(it) = alone {
            return Some(Breach::Absolute { canary: it.seen, stable: None, limit: it.ceiling.limit() });
        }
        self.breaker.tripped(self.source().is_some()).then(|| Breach::Breaker {
            failures: self.breaker.failures(),
            stable: comparator.then(|| self.breaker.stable()),
        })
    }

    fn doubt(&self, step: &StepEvidence) -> Option<Doubt> {
        let (needed, seen) = (step.requests.max(1), step.canary.requests);
        if seen < needed {
            return Some(Doubt::TooFew { needed, seen });
        }
        let leaning = self.latency.iter().map(|it| it.deciding_share(&self.scale(1))).fold(0.0, f64::max);
        let leaning = (leaning >= LEANING).then_some(Doubt::Leaning { evidence: leaning });
        if leaning.is_some() || self.policy.errors.is_none() {
            return leaning;
        }
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
    pub(super) fn source(&self) -> Option<usize> {
        if self.latest.comparator && self.seen.canary.total().requests == 0 {
            // A canary that answers nothing at all is judged by its age alone.
            return majority(&self.seen.stable);
        }
        let canary = majority(&self.seen.canary)?;
        (!self.latest.comparator || majority(&self.seen.stable) == Some(canary)).then_some(canary)
    }

    /// Share of the way to a rollback by comparison.
    pub(super) fn relative_share(&self) -> f64 {
        (self.relative.log_w_min(self.source()) / self.scale(0).relative).max(0.0)
    }

    pub(super) fn ceiling_share(&self, ceiling: &Ceiling) -> f64 {
        self.scale(0).ceiling(ceiling)
    }

    /// How the allowed chance of a mistake is shared out over what is in use: five parts to the errors'
    /// comparison, four to latency, one to ceilings. `metric` 0 is the errors, 1 is latency.
    pub(super) fn scale(&self, metric: usize) -> Scale {
        let errors = self.policy.errors.is_some();
        let quantiles = self.latency.len() as f64;
        let ceilings = self.latency.iter().filter(|it| it.guard.ceiling_us.is_some()).count();
        let ceilings = ceilings + usize::from(errors);
        let parts = |used: bool, it: f64| if used { it } else { 0.0 };
        let all = parts(errors, ERRORS_PART)
            + parts(quantiles > 0.0, LATENCY_PART)
            + parts(ceilings > 0, CEILING_PART);
        let alpha = self.policy.false_rollback / all;
        let relative = if metric == 0 { ERRORS_PART } else { LATENCY_PART / quantiles.max(1.0) };
        Scale {
            relative: threshold(alpha * relative),
            ceiling: threshold(alpha * CEILING_PART / ceilings.max(1) as f64),
            source: self.source(),
            comparator: self.latest.comparator,
        }
    }
}

impl Alone {
    pub(super) fn begin(elapsed: Duration, limit: f64, dispersion: f64) -> Self {
        let mut ceiling = Ceiling::new(limit, Side::Above);
        ceiling.dispersion = dispersion;
        Self { since: elapsed, ceiling, seen: Tally::default() }
    }

    pub(super) fn observe(&mut self, elapsed: Duration, canary: &LaneTally) {
        self.ceiling.observe(elapsed - self.since, canary);
        self.seen = self.seen.plus(canary.total());
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

/// Parts of the allowed chance of a mistake, of ten, when all are in use.
const ERRORS_PART: f64 = 0.5;
const LATENCY_PART: f64 = 0.4;
const CEILING_PART: f64 = 0.1;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Guard, Saved, Tolerance};
    use crate::model::CLIENT_SHARDS;

    #[test]
    fn dead_canary_trips_after_few_failures() {
        check("", "5s canary 100/100 stable 900/1", "relative after 0.1s and 10 failures");
        check("", "60s canary 1/1 stable 9/0", "relative after 5s and 5 failures");
        check("", "60s canary 100/1 stable 900/9", "fine");
    }

    #[test]
    fn shared_outage_holds() {
        check("", "5s canary 100/50 stable 900/450", "shared cause");
        check("", "5s canary 100/100 stable 900/900", "shared cause");
        check("2%", "5s canary 100/4 stable 900/36", "shared cause");
        check("", "5s canary 100/4 stable 900/36", "fine");
        // Over again, and after some minutes the step may end.
        check("", "5s canary 100/50 stable 900/450, 240s canary 100/0 stable 900/0", "fine");
        // One goes down hard, the other hangs: nothing can be compared.
        check("", "7s canary 100/10 stable 0/0", "no comparator");
    }

    #[test]
    fn one_looping_client_does_not_decide() {
        check("", "10s canary 90/0 stable 900/1, 30s canary 90/0+50 stable 900/1", "fine");
        // The same failures from everywhere do.
        check(
            "",
            "10s canary 90/0 stable 900/1, 30s canary 140/50 stable 900/1",
            "relative after 10.3s and 15 failures",
        );
    }

    #[test]
    fn one_gateway_in_front_of_everybody_can_still_decide() {
        check("gateway", "5s canary 100/100 stable 900/1", "relative after 0.1s and 10 failures");
        check("gateway alone", "5s canary 100/100", "absolute after 0.1s and 10 failures");
    }

    #[test]
    fn silence_is_unsure() {
        check("", "600s canary 0/0 stable 0/0", "too few");
        check("", "600s canary 0/0 stable 900/0", "too few");
        check("off", "600s canary 0/0 stable 900/0", "too few");
        check("", "9s canary 10/0 stable 90/0", "too few");
        check("", "11s canary 10/0 stable 90/0", "fine");
        check("off", "11s canary 10/10 stable 90/0", "fine");
    }

    #[test]
    fn five_points_more_are_found() {
        check("", "60s canary 100/5 stable 900/1", "relative after 1.6s and 8 failures");
        check("+10pp", "60s canary 100/5 stable 900/1", "fine");
    }

    #[test]
    fn a_ceiling_beside_stable_needs_a_difference() {
        check("0.1%", "20s canary 100/10 stable 900/1", "absolute after 0.7s and 7 failures");
        check("20%", "20s canary 100/10 stable 900/1", "relative after 0.7s and 7 failures");
        check("2%", "600s canary 100/10 stable 900/90", "shared cause");
    }

    #[test]
    fn a_ceiling_alone_decides() {
        check("alone", "5s canary 1000/1000", "absolute after 0.1s and 100 failures");
        check("alone", "60s canary 1000/50", "absolute after 1s and 50 failures");
        check("alone", "60s canary 1000/15", "fine");
        check("alone 1%", "60s canary 1000/15", "absolute after 14.6s and 219 failures");
        check("alone 10%", "60s canary 1000/50", "fine");
        // What stable was like before the flip is what the canary is held to.
        check("", "60s canary 0/0 stable 1000/30, 60s canary 1000/50 alone", "fine");
        // An outage that both lanes shared does not count against a canary that is alone later.
        check("2%", "20s canary 100/50 stable 900/450, 300s canary 1000/1 alone", "fine");
    }

    #[test]
    fn breaker_trips_without_many_responses_to_compare() {
        let run = |comparator, stable_bad| {
            let mut breaker = Breaker::default();
            for shard in 0..20 {
                let mut seen = Observation::default();
                seen.canary.shards[shard % 4] = Tally { requests: 1, bad: 1 };
                seen.stable.shards[shard] = Tally { requests: 2, bad: stable_bad };
                breaker.observe(&seen, comparator);
            }
            breaker.tripped(false)
        };
        assert_eq!([run(true, 0), run(true, 1), run(false, 1)], [true, false, true]);
    }

    #[test]
    fn restored_evidence_goes_on_bit_for_bit() {
        for policy in ["", "2%", "alone"] {
            let policy = Setting::of(policy);
            let mut judge = policy.judge();
            let ticks = Script::of("3s canary 100/2 stable 900/1, 2s canary 1000/3 alone", &policy);
            for (tick, (at, seen, comparator)) in ticks.enumerate() {
                judge.observe(at, &seen, comparator);
                if tick % 7 == 0 {
                    let back = Judge::restore(&policy.policy, &judge.save()).unwrap();
                    assert_eq!(back, judge);
                    assert_eq!(back.save(), judge.save());
                    judge = back;
                }
            }
        }
    }

    #[test]
    fn damaged_or_foreign_numbers_are_refused() {
        let policy = GuardPolicy::default();
        let saved = Judge::new(&policy, History::default()).save();
        assert!(Judge::restore(&policy, &Saved::default()).is_err());
        let mut longer = saved.clone();
        longer.values.push(0.0);
        let mut broken = saved.clone();
        broken.values[3] = f64::NAN;
        let mut other = saved;
        other.counts[0] += 1;
        for it in [longer, broken, other] {
            assert!(Judge::restore(&policy, &it).is_err());
        }
    }

    #[test]
    fn lost_evidence_costs_the_mass_that_was_spent() {
        let policy = GuardPolicy::default();
        let log_w = |elapsed| {
            Judge::after_loss(&policy, History::default(), Duration::from_secs(elapsed)).relative.log_w()
        };
        assert!((log_w(0) - f64::ln(0.5 * 0.5)).abs() < 1e-12);
        assert!((log_w(3_600) - f64::ln(0.5 * 0.25)).abs() < 1e-12);
    }

    #[test]
    fn status_numbers() {
        let setting = Setting::of("2%");
        let mut judge = setting.judge();
        for (at, seen, comparator) in Script::of("10s canary 100/1 stable 900/9", &setting) {
            judge.observe(at, &seen, comparator);
        }
        let shown = judge.evidence();
        assert_eq!(shown.canary.seen, Tally { requests: 1_000, bad: 10 });
        assert_eq!(shown.stable.seen, Tally { requests: 9_000, bad: 90 });
        assert!(shown.canary.interval.lower < 0.01 && 0.01 < shown.canary.interval.upper);
        let guards: Vec<_> = shown.guards.iter().map(|it| (it.guard, it.limit, it.decides)).collect();
        let margin = judge.relative.margin();
        assert_eq!(guards, [(Guard::ErrorsAgainstStable, margin, true), (Guard::ErrorsCeiling, 0.02, false)]);
        assert!(shown.guards.iter().all(|it| (0.0..0.5).contains(&it.evidence)), "{shown:?}");
        assert_eq!(shown.guards[0].estimate, Some(0.0));
    }

    /// Plays `script` in ticks of 100 ms until the canary is worse, and compares what is said at the end.
    ///
    /// `setting`: a ceiling (`2%`), a tolerance (`+10pp`), `off`; `gateway` puts all clients into one
    /// shard, `alone` takes stable's traffic away. `script`: `10s canary RATE/BAD[+LOOP] stable RATE/BAD`,
    /// responses a second, where LOOP failures come from one client.
    #[track_caller]
    fn check(setting: &str, script: &str, expected: &str) {
        let setting = Setting::of(setting);
        let mut judge = setting.judge();
        let (mut step, mut said) = (StepEvidence { requests: 100, ..StepEvidence::default() }, String::new());
        for (at, seen, comparator) in Script::of(script, &setting) {
            judge.observe(at, &seen, comparator);
            step.canary = step.canary.plus(seen.canary.total());
            let bad = step.canary.bad;
            let breach = |kind| format!("{kind} after {}s and {bad} failures", at.as_secs_f64());
            said = match judge.verdict(&step) {
                Verdict::Worse(Breach::Relative { .. }) => breach("relative"),
                Verdict::Worse(Breach::Absolute { .. }) => breach("absolute"),
                Verdict::Worse(Breach::Breaker { .. }) => breach("breaker"),
                Verdict::Worse(Breach::Slower { .. }) => breach("slower"),
                Verdict::Worse(Breach::TooSlow { .. }) => breach("too slow"),
                Verdict::Worse(Breach::Spent { .. }) => breach("spent"),
                Verdict::Proven => "proven".to_owned(),
                Verdict::Fine => "fine".to_owned(),
                Verdict::Unsure(Doubt::TooFew { .. }) => "too few".to_owned(),
                Verdict::Unsure(Doubt::Leaning { .. }) => "leaning".to_owned(),
                Verdict::Unsure(Doubt::SharedCause { .. }) => "shared cause".to_owned(),
                Verdict::Unsure(Doubt::NoComparator) => "no comparator".to_owned(),
            };
            if matches!(judge.verdict(&step), Verdict::Worse(_)) {
                break;
            }
        }
        assert_eq!(said, expected, "{script}");
    }

    struct Setting {
        policy: GuardPolicy,
        gateway: bool,
        alone: bool,
    }

    impl Setting {
        fn of(text: &str) -> Self {
            let policy = GuardPolicy { latency: [None; 4], ..GuardPolicy::default() };
            let mut it = Self { policy, gateway: false, alone: false };
            let mut guard = ErrorGuard::default();
            let share = |text: &str| text.parse::<f64>().unwrap() / 100.0;
            for word in text.split_whitespace() {
                match word {
                    "gateway" => it.gateway = true,
                    "alone" => it.alone = true,
                    "off" => it.policy.errors = None,
                    word => match word.strip_prefix('+').and_then(|it| it.strip_suffix("pp")) {
                        Some(points) => {
                            guard.tolerance = Tolerance { absolute: share(points), relative: 0.0 }
                        }
                        None => guard.ceiling = Some(share(word.strip_suffix('%').unwrap())),
                    },
                }
            }
            it.policy.errors = it.policy.errors.map(|_| guard);
            it
        }

        fn judge(&self) -> Judge {
            Judge::new(&self.policy, History { responses: 10_000.0, bad: 10.0 })
        }
    }

    /// The ticks of a script: time, counts, whether stable has traffic.
    struct Script {
        phases: std::vec::IntoIter<Phase>,
        phase: Option<Phase>,
        ticks: u64,
        gateway: bool,
    }

    struct Phase {
        ticks: u64,
        played: u64,
        canary: Flow,
        stable: Flow,
        comparator: bool,
    }

    /// Responses a second: all, bad, bad ones of one looping client on top.
    #[derive(Clone, Copy, Default)]
    struct Flow([u64; 3]);

    impl Flow {
        fn of(text: &str) -> Self {
            let (pair, looping) = text.split_once('+').unwrap_or((text, "0"));
            let (all, bad) = pair.split_once('/').unwrap();
            Self([all, bad, looping].map(|it| it.parse().unwrap()))
        }

        /// What comes in tick `tick`, evenly: request number i is bad if it completes a bad share.
        fn lane(self, tick: u64, gateway: bool) -> LaneTally {
            let Self([all, bad, looping]) = self;
            let mut lane = LaneTally::default();
            for i in all * tick / 10..all * (tick + 1) / 10 {
                let shard = if gateway {
                    0
                } else {
                    (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 59) as usize % CLIENT_SHARDS
                };
                let failed = (i + 1) * bad / all > i * bad / all;
                lane.shards[shard] = lane.shards[shard].plus(Tally { requests: 1, bad: u64::from(failed) });
            }
            let again = looping * (tick + 1) / 10 - looping * tick / 10;
            lane.shards[5] = lane.shards[5].plus(Tally { requests: again, bad: again });
            lane
        }
    }

    impl Script {
        fn of(text: &str, setting: &Setting) -> Self {
            let phases: Vec<Phase> = text.split(", ").map(|it| Phase::of(it, setting)).collect();
            Self { phases: phases.into_iter(), phase: None, ticks: 0, gateway: setting.gateway }
        }
    }

    impl Phase {
        fn of(text: &str, setting: &Setting) -> Self {
            let mut words = text.split_whitespace();
            let seconds: u64 = words.next().unwrap().strip_suffix('s').unwrap().parse().unwrap();
            let (canary, stable) = (Flow::default(), Flow::default());
            let mut it = Self { ticks: seconds * 10, played: 0, canary, stable, comparator: !setting.alone };
            while let Some(word) = words.next() {
                match word {
                    "canary" => it.canary = Flow::of(words.next().unwrap()),
                    "stable" => it.stable = Flow::of(words.next().unwrap()),
                    _ => it.comparator = false,
                }
            }
            it
        }
    }

    impl Iterator for Script {
        type Item = (Duration, Observation, bool);

        fn next(&mut self) -> Option<Self::Item> {
            while self.phase.as_ref().is_none_or(|it| it.played == it.ticks) {
                self.phase = Some(self.phases.next()?);
            }
            let phase = self.phase.as_mut()?;
            let seen = Observation {
                canary: phase.canary.lane(phase.played, self.gateway),
                stable: phase.stable.lane(phase.played, self.gateway),
                slow: Vec::new(),
            };
            phase.played += 1;
            self.ticks += 1;
            Some((Duration::from_millis(100 * self.ticks), seen, phase.comparator))
        }
    }
}
