//! One simulated release: the real judge and the real machine, in virtual time.

use std::time::Duration;

use crate::analysis::{Judge, StepEvidence};
use crate::controller::finding;
use crate::model::{Fingerprint, Tally, Timestamp, VersionName, Weight};
use crate::release::{Actor, Event, Loaded, Permit, Phase, Plan, State, Trial, Version, adopt, step};

use super::traffic::Traffic;

/// How a release ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The canary was taken out.
    RolledBack,
    /// The canary is stable.
    Promoted,
    /// Neither, until the time or the recording was over.
    Undecided,
}

/// What came of one release.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// When, in seconds since it began.
    pub seconds: f64,
    /// What the canary had answered by then.
    pub canary: Tally,
}

/// Plays a release by `plan` until it ends, `seconds_max` at the most.
pub fn play(plan: &Plan, mut traffic: Traffic<'_>, seconds_max: f64) -> Outcome {
    let mut judge = Judge::new(&plan.guard, traffic.history());
    let mut state = begin(plan);
    let (mut looks, mut seconds, mut canary) = (0_u64, 0.0, Tally::default());
    let (mut this_step, mut step_of) = (Tally::default(), state.moves);
    while let Some(trial) = state.trial().cloned() {
        looks += 1;
        let until = looks as f64 * LOOK_SECONDS;
        let seen = traffic.between(seconds, until, trial.weight.ratio()).filter(|_| until <= seconds_max);
        let Some(seen) = seen else {
            return Outcome { end: End::Undecided, seconds, canary };
        };
        seconds = until;
        if step_of != state.moves {
            (step_of, this_step) = (state.moves, Tally::default());
            judge.begin_step();
        }
        let fresh = seen.canary.total();
        (canary, this_step) = (canary.plus(fresh), this_step.plus(fresh));
        judge.observe(Duration::from_secs_f64(seconds), &seen, trial.weight < Weight::ALL);
        state = look(plan, state, &trial, &judge, this_step, seconds);
    }
    let end = match state.phase {
        Phase::RolledBack { .. } => End::RolledBack,
        _ => End::Promoted,
    };
    Outcome { end, seconds, canary }
}

fn look(plan: &Plan, state: State, trial: &Trial, judge: &Judge, canary: Tally, seconds: f64) -> State {
    let verdict = judge.verdict(&StepEvidence { canary, requests: trial.requests });
    step(plan, state, Event::Judged(finding(verdict), Permit::Open), BEGAN + Duration::from_secs_f64(seconds))
        .0
}

/// The moment after somebody asked for the new version.
fn begin(plan: &Plan) -> State {
    let version = |name: &str| Version {
        name: name.parse::<VersionName>().expect("a plain word is a name"),
        fingerprint: Fingerprint::of(name.as_bytes()),
    };
    let (stable, canary) = (version("stable"), version("canary"));
    let by = Actor::file("simulation");
    let (state, _) = adopt(stable.clone(), by.clone(), BEGAN);
    let wanted = Loaded { live: canary.clone(), versions: vec![stable, canary], lost: Vec::new(), by };
    let (state, _) = step(plan, state, Event::Loaded(wanted), BEGAN);
    step(plan, state, Event::Tick(Permit::Open), BEGAN).0
}

/// Seconds between two looks. The proxy looks at least twice as often; verdicts hardly depend on it.
const LOOK_SECONDS: f64 = 0.1;
/// Any moment will do, as long as durations can be taken off.
const BEGAN: Timestamp = Timestamp(1_000_000_000_000_000);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Pass;
    use crate::cli::simulate::chance::Chance;
    use crate::cli::simulate::latency::Times;
    use crate::cli::simulate::traffic::{Regression, Source};
    use crate::release::tests::plan;

    fn played(plan_text: &str, rate: f64, share: f64, seed: u64) -> Outcome {
        released(&plan(plan_text), rate, Regression { share, ..Regression::default() }, seed)
    }

    fn released(plan: &Plan, rate: f64, regression: Regression, seed: u64) -> Outcome {
        let source = Source::Rates { rate, failing: 0.001, times: Times { median_us: 20_000.0 } };
        let limits = source.limits(&plan.guard);
        play(plan, Traffic::new(source, regression, limits, Chance::of(seed, 0)), 3_600.0)
    }

    #[test]
    fn a_slow_version_is_taken_out_and_a_proven_one_does_not_wait() {
        let mut plan = plan("10% 10m | 50% 10m, watch 30s");
        let slower = Regression { slower: 1.0, ..Regression::default() };
        let slow = released(&plan, 300.0, slower, 1);
        assert_eq!((slow.end, slow.canary.bad < 10), (End::RolledBack, true), "{slow:?}");
        plan.guard.pass = Some(Pass::default());
        let proven = released(&plan, 300.0, Regression::default(), 1);
        assert_eq!(proven.end, End::Promoted);
        assert!(proven.seconds < 300.0, "{proven:?}");
    }

    #[test]
    fn healthy_is_promoted_and_dead_is_taken_out() {
        let healthy = played("10% 30s | 50% 30s, watch 30s", 100.0, 0.0, 1);
        assert_eq!(healthy.end, End::Promoted);
        assert!((90.0..100.0).contains(&healthy.seconds), "{healthy:?}");
        let dead = played("10% 30s | 50% 30s, watch 30s", 100.0, 1.0, 1);
        assert_eq!(dead.end, End::RolledBack);
        assert!(dead.seconds < 5.0 && dead.canary.bad < 40, "{dead:?}");
        assert_eq!(dead, played("10% 30s | 50% 30s, watch 30s", 100.0, 1.0, 1), "the same seed");
    }

    #[test]
    fn without_traffic_nothing_is_decided() {
        assert_eq!(played("10% 30s, watch 30s", 0.001, 0.0, 1).end, End::Undecided);
    }
}
