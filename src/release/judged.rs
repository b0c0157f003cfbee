//! The evidence was looked at, checks have ended, endpoints came or went.

use crate::model::Timestamp;

use super::check::{Mark, Outcome};
use super::effect::{Effect, What};
use super::event::{Actor, Finding, Shortfall};
use super::machine::{note, onward, take_out};
use super::permit::Permit;
use super::plan::{NoTraffic, OnBreach, Plan};
use super::state::{Phase, Ready, State};
use super::trial::Stance;
use super::version::Cause;

/// Guards are armed in every phase with a canary, paused and gated included; moving on needs time, a
/// fine finding, and nobody who said no.
pub(super) fn judged(
    plan: &Plan,
    state: State,
    finding: Finding,
    permit: &Permit,
    now: Timestamp,
) -> (State, Vec<Effect>) {
    let Some(trial) = state.trial() else {
        // News for a release that is over, or that has no users yet.
        return (state, Vec::new());
    };
    let early = finding == Finding::Proven && matches!(state.phase, Phase::Canary(_));
    let waits = now < trial.until && !early;
    let paused = matches!(trial.stance, Stance::Paused { .. });
    match finding {
        Finding::Worse(why) => breached(plan, state, why, now),
        Finding::Fine | Finding::Proven | Finding::Unsure(_) if waits || paused => (state, Vec::new()),
        Finding::Fine | Finding::Proven => {
            let why = if early { "proven good enough" } else { "time is over and nothing speaks against it" };
            onward(plan, state, Actor::policy(), why, permit, now)
        }
        Finding::Unsure(shortfall) if shortfall.requests > 0 && plan.no_traffic == NoTraffic::Promote => {
            let why = format!("time is over, and the plan goes on without evidence: {}", shortfall.why);
            onward(plan, state, Actor::policy(), &why, permit, now)
        }
        Finding::Unsure(shortfall) if shortfall.requests > 0 && plan.no_traffic == NoTraffic::Rollback => {
            let cause = Cause::NoTraffic(format!("too little traffic for a verdict: {}", shortfall.why));
            take_out(state, cause, Actor::policy(), now)
        }
        Finding::Unsure(shortfall) => hold(state, What::Held, shortfall, now),
    }
}

/// The canary is worse than allowed.
fn breached(plan: &Plan, mut state: State, why: String, now: Timestamp) -> (State, Vec<Effect>) {
    let Some(trial) = state.candidate_mut() else { return (state, Vec::new()) };
    match (plan.on_breach, &mut trial.stance) {
        (OnBreach::Rollback, _) => take_out(state, Cause::Breach(why), Actor::policy(), now),
        (OnBreach::Pause | OnBreach::Notify, Stance::Paused { .. }) => (state, Vec::new()),
        (OnBreach::Pause, stance) => {
            *stance = Stance::Paused { by: Actor::policy(), reason: Some(why.clone()), until: None };
            let canary = trial.canary.clone();
            let text = format!("{canary} stays at {} until a person decides: {why}", trial.weight);
            note(state, What::Breached, Actor::policy(), &canary, text, now)
        }
        (OnBreach::Notify, _) => hold(state, What::Breached, Shortfall { why, requests: 0 }, now),
    }
}

/// It does not move on for want of evidence. Said once; what is missing may change without a word.
fn hold(mut state: State, what: What, shortfall: Shortfall, now: Timestamp) -> (State, Vec<Effect>) {
    let Some(trial) = state.candidate_mut() else { return (state, Vec::new()) };
    let breach = what == What::Breached;
    match &mut trial.stance {
        Stance::Held(known) => {
            *known = shortfall;
            (state, Vec::new())
        }
        // A gate that was reached stays reached, unless it is worse.
        Stance::Checking | Stance::Asking | Stance::Shut(_) if !breach => (state, Vec::new()),
        stance => {
            let text = format!("{} waits at {}: {}", trial.canary, trial.weight, shortfall.why);
            *stance = Stance::Held(shortfall);
            let canary = trial.canary.clone();
            note(state, what, Actor::policy(), &canary, text, now)
        }
    }
}

/// The checks of an errand have ended. With traffic on the canary a pass only opens the way for the next
/// fine finding: what was fine before the checks may not be any more.
pub(super) fn checked(
    plan: &Plan,
    mut state: State,
    mark: Mark,
    outcome: Outcome,
    permit: &Permit,
    now: Timestamp,
) -> (State, Vec<Effect>) {
    let current = state.mark() == mark;
    let Some(trial) = state.candidate_mut().filter(|it| current && it.stance == Stance::Checking) else {
        // News from a gate that nobody stands at any more.
        return (state, Vec::new());
    };
    let canary = trial.canary.clone();
    match outcome {
        Outcome::Failed(why) => take_out(state, Cause::Check(why), Actor::policy(), now),
        Outcome::Passed(output) => {
            trial.checked = true;
            trial.stance = Stance::Advancing;
            let text = if output.is_empty() {
                format!("{canary} has passed its checks")
            } else {
                format!("{canary} has passed its checks: {output}")
            };
            let (state, passed) = note(state, What::Checked, Actor::policy(), &canary, text, now);
            if !matches!(state.phase, Phase::Verifying(_)) {
                return (state, passed);
            }
            let by = state.asked_by.clone();
            let (state, more) = onward(plan, state, by, "it has passed its checks", permit, now);
            (state, passed.into_iter().chain(more).collect())
        }
    }
}

/// Endpoints came or went. A canary with users and without endpoints is taken out at once; only when
/// stable has none either there is nowhere to go.
pub(super) fn readied(mut state: State, ready: Ready, now: Timestamp) -> (State, Vec<Effect>) {
    if state.ready == ready {
        return (state, Vec::new());
    }
    state.ready = ready;
    let canary = state.canary().unwrap_or(&state.wanted).clone();
    if !ready.canary && ready.stable && state.trial().is_some() {
        let cause = Cause::Breach(format!("no endpoint of {canary} is ready"));
        return take_out(state, cause, Actor::policy(), now);
    }
    let stable = state.stable.clone();
    let (what, about, text) = match ready {
        Ready { canary: true, stable: true } => {
            (What::Ready, canary, "every lane has a ready endpoint".into())
        }
        Ready { canary: false, stable: true } => {
            let text = format!("no endpoint of {canary} is ready, so it gets no more traffic");
            (What::Unready, canary, text)
        }
        Ready { canary: true, stable: false } => {
            let text = format!("no endpoint of {stable} is ready; its users are not moved to {canary}");
            (What::Unready, stable, text)
        }
        Ready { canary: false, stable: false } => {
            let text = format!("no endpoint is ready, neither of {stable} nor of {canary}");
            (What::Unready, stable, text)
        }
    };
    note(state, what, Actor::policy(), &about, text, now)
}
