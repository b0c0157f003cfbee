//! Time has passed: what ends by the clock ends, and what is asked for begins.

use crate::model::Timestamp;

use super::effect::{Effect, What};
use super::event::Actor;
use super::machine::{begin, note, onward, take_out};
use super::permit::Permit;
use super::plan::Plan;
use super::state::{Phase, State};
use super::trial::Stance;
use super::version::Cause;

/// One thing at a time: whatever else is due comes with the next tick.
pub(super) fn ticked(plan: &Plan, mut state: State, permit: &Permit, now: Timestamp) -> (State, Vec<Effect>) {
    if let Some(cause) = overdue(plan, &state, now) {
        return take_out(state, cause, Actor::policy(), now);
    }
    if let Some(Stance::Paused { until: Some(until), .. }) = state.candidate().map(|it| &it.stance)
        && *until <= now
    {
        return resume(state, Actor::policy(), "the pause is over", now);
    }
    if let (Some(kept), Some(previous)) = (plan.keep_previous, &state.previous)
        && previous.since + kept <= now
    {
        let old = previous.version.clone();
        state.previous = None;
        let text = format!("{old} is no longer kept for a rollback");
        return note(state, What::Expired, Actor::policy(), &old, text, now);
    }
    match &state.phase {
        Phase::Verifying(trial) if !matches!(trial.stance, Stance::Paused { .. }) => {
            let by = state.asked_by.clone();
            onward(plan, state, by, "nothing speaks against it", permit, now)
        }
        _ if state.awaits_release() && may_begin(plan, &state, permit) => {
            let by = state.asked_by.clone();
            begin(plan, state, by, now)
        }
        _ => (state, Vec::new()),
    }
}

/// A pause ends, by a person or by itself.
pub(super) fn resume(mut state: State, by: Actor, why: &str, now: Timestamp) -> (State, Vec<Effect>) {
    let Some(trial) = state.candidate_mut() else { return (state, Vec::new()) };
    trial.stance = Stance::Advancing;
    let canary = trial.canary.clone();
    let text = format!("{canary} may move on from {}: {why}", trial.weight);
    note(state, What::Resumed, by, &canary, text, now)
}

/// A trial without users needs an endpoint but no permit: nobody notices it.
fn may_begin(plan: &Plan, state: &State, permit: &Permit) -> bool {
    let permit = if plan.tries_without_users() { &Permit::Open } else { permit };
    state.hindrance(permit).is_none()
}

fn overdue(plan: &Plan, state: &State, now: Timestamp) -> Option<Cause> {
    let deadline = plan.deadline?;
    let counts = state.candidate()?.stance.counts();
    (counts && state.clock.elapsed(now) >= deadline).then(|| {
        let minutes = deadline.as_secs().div_ceil(60);
        Cause::Deadline(format!("not done within its deadline of {minutes} minutes"))
    })
}
