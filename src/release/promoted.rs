//! A person says that it goes on. A freeze, a closed window, a check or a quarantine is passed only by
//! insisting, with a reason; an endpoint that is not there cannot be insisted on.

use crate::model::{Timestamp, Weight};

use super::commanded::{already, refuse};
use super::effect::{Effect, RefusalCode, What};
use super::event::Actor;
use super::machine::{advance, begin, note, promote_fully, raise, raises, shut};
use super::permit::Permit;
use super::plan::Plan;
use super::state::{Phase, State};
use super::trial::{Stance, Trial};
use super::version::Version;

/// What `promote` was told.
pub(super) struct Wish {
    pub full: bool,
    pub to: Option<Weight>,
    pub reason: Option<String>,
    pub insist: Option<String>,
}

pub(super) fn promote(
    plan: &Plan,
    state: State,
    wish: &Wish,
    by: Actor,
    permit: &Permit,
    now: Timestamp,
) -> (State, Vec<Effect>) {
    match &state.phase {
        Phase::Live if state.awaits_release() => start(plan, state, wish, by, permit, now),
        Phase::Live => {
            let text = format!("{} is live and nothing is being released", state.stable);
            refuse(state, RefusalCode::WrongState, text)
        }
        Phase::Watching(trial) if !wish.full => {
            let text = format!(
                "{} has all traffic already and is watched; `promote --full` ends the watch",
                trial.canary
            );
            already(state, text)
        }
        Phase::Verifying(trial) | Phase::Canary(trial) | Phase::Watching(trial) => {
            let trial = trial.clone();
            go_on(plan, state, trial, wish, by, permit, now)
        }
        Phase::RolledBack { .. } if state.awaits_release() => start(plan, state, wish, by, permit, now),
        Phase::RolledBack { canary, .. } if state.is_withdrawn(canary.fingerprint) => {
            override_quarantine(plan, state, wish, by, permit, now)
        }
        Phase::RolledBack { canary, cause, .. } => {
            let text = format!("{canary} is out: {cause}; name it as `live` there to release it again");
            refuse(state, RefusalCode::WrongState, text)
        }
    }
}

/// A trial under way moves on.
fn go_on(
    plan: &Plan,
    state: State,
    trial: Trial,
    wish: &Wish,
    by: Actor,
    permit: &Permit,
    now: Timestamp,
) -> (State, Vec<Effect>) {
    if let Some((code, why)) = objection(plan, &state, &trial, wish) {
        return refuse(state, code, why);
    }
    let asked = trial.stance == Stance::Asking;
    let unverified = matches!(state.phase, Phase::Verifying(_)) && !trial.checked && !plan.verify.is_empty();
    let shut = shut(&state, permit);
    if shut.is_some() && wish.insist.is_none() {
        if asked && !wish.full && wish.to.is_none() {
            return approve(state, shut.unwrap_or_default(), wish, by, now);
        }
        return not_permitted(state, shut.unwrap_or_default());
    }
    let mut effects = Vec::new();
    if asked {
        let text = with_reason(format!("{by} says yes to {}", trial.canary), wish.reason.as_deref());
        (_, effects) = note(state.clone(), What::Approved, by.clone(), &trial.canary, text, now);
    }
    if let Some(insisted) = wish.insist.as_ref().filter(|_| shut.is_some() || unverified) {
        let against = shut.unwrap_or_else(|| "its checks have not passed".into());
        effects.extend(overridden(&state, &trial.canary, &against, insisted, by.clone(), now));
    }
    let reason = wish.reason.as_deref().or(wish.insist.as_deref());
    let why = with_reason(format!("promoted by {by}"), reason);
    let (state, more) = match (wish.full, wish.to, &state.phase) {
        (false, Some(weight), _) => jump(plan, state, trial, weight, by, &why, now),
        (true, _, Phase::Verifying(_) | Phase::Canary(_)) => promote_fully(plan, state, trial, by, &why, now),
        _ => advance(plan, state, trial, by, &why, now),
    };
    effects.extend(more);
    (state, effects)
}

/// What no permission can help, and what takes insisting.
fn objection(plan: &Plan, state: &State, trial: &Trial, wish: &Wish) -> Option<(RefusalCode, String)> {
    let canary = &trial.canary;
    if raises(state) && !(state.ready.canary && state.ready.stable) {
        return Some((RefusalCode::NotReady, state.hindrance(&Permit::Open)?));
    }
    if let Some(weight) = wish.to
        && (weight <= trial.weight || weight == Weight::ALL)
    {
        let text = if weight == Weight::ALL {
            "`promote --full` gives it all traffic".to_owned()
        } else {
            format!("{canary} has {} already; `weight` gives it less", trial.weight)
        };
        return Some((RefusalCode::WrongState, text));
    }
    let unverified = matches!(state.phase, Phase::Verifying(_)) && !trial.checked && !plan.verify.is_empty();
    (unverified && wish.insist.is_none()).then(|| {
        let text = format!(
            "{canary} has not passed its checks; `promote --override --reason ...` goes on without them"
        );
        (RefusalCode::WrongState, text)
    })
}

/// A gate is passed, and the calendar is still in the way.
fn approve(mut state: State, shut: String, wish: &Wish, by: Actor, now: Timestamp) -> (State, Vec<Effect>) {
    let Some(trial) = state.candidate_mut() else { return (state, Vec::new()) };
    trial.approved = true;
    let canary = trial.canary.clone();
    let text = with_reason(format!("{by} says yes to {canary}"), wish.reason.as_deref());
    let text = format!("{text}; it waits: {shut}");
    trial.stance = Stance::Shut(shut);
    note(state, What::Approved, by, &canary, text, now)
}

/// To a share past the steps below it, because a person says so.
fn jump(
    plan: &Plan,
    mut state: State,
    trial: Trial,
    weight: Weight,
    by: Actor,
    why: &str,
    now: Timestamp,
) -> (State, Vec<Effect>) {
    let (soak, requests) = plan.soak_near(weight);
    let canary = trial.canary.clone();
    state.moves += 1;
    let mut next = Trial::begin(trial.canary, weight, soak, requests, now);
    next.by_hand = Some(by.clone());
    state.phase = Phase::Canary(next);
    let what = if trial.weight == Weight::NONE { What::Began } else { What::Advanced };
    raise(state, what, by, canary.clone(), trial.weight, format!("{canary} gets {weight}: {why}"), now)
}

/// A release that is asked for and waits begins now.
fn start(
    plan: &Plan,
    state: State,
    wish: &Wish,
    by: Actor,
    permit: &Permit,
    now: Timestamp,
) -> (State, Vec<Effect>) {
    let wanted = state.wanted.clone();
    if wish.full || wish.to.is_some() {
        let text = format!("{wanted} has not begun: `promote` begins it");
        return refuse(state, RefusalCode::WrongState, text);
    }
    if let Some(why) = state.hindrance(&Permit::Open) {
        return refuse(state, RefusalCode::NotReady, why);
    }
    let mut effects = Vec::new();
    if let Some(shut) = state.hindrance(permit) {
        let Some(insisted) = &wish.insist else { return not_permitted(state, shut) };
        effects = overridden(&state, &wanted, &shut, insisted, by.clone(), now);
    }
    let (state, more) = begin(plan, state, by, now);
    effects.extend(more);
    (state, effects)
}

/// The quarantine of what was taken out is lifted by insisting, and the release begins anew.
fn override_quarantine(
    plan: &Plan,
    mut state: State,
    wish: &Wish,
    by: Actor,
    permit: &Permit,
    now: Timestamp,
) -> (State, Vec<Effect>) {
    let Phase::RolledBack { canary, cause, .. } = &state.phase else { return (state, Vec::new()) };
    let (canary, cause) = (canary.clone(), cause.to_string());
    let Some(insisted) = &wish.insist else {
        let text = format!(
            "{canary} is out ({cause}); `retry` begins again from the first step, \
             `promote --override --reason ...` too"
        );
        return refuse(state, RefusalCode::Quarantined, text);
    };
    if canary != state.wanted {
        let text = format!("{canary} is out and {} is wanted", state.wanted);
        return refuse(state, RefusalCode::WrongState, text);
    }
    if let Some(why) = state.hindrance(&Permit::Open) {
        return refuse(state, RefusalCode::NotReady, why);
    }
    let against = state.hindrance(permit).map_or(cause.clone(), |it| format!("{cause}; {it}"));
    let mut effects = overridden(&state, &canary, &against, insisted, by.clone(), now);
    state.quarantine.retain(|it| it.version.fingerprint != canary.fingerprint);
    state.phase = Phase::Live;
    let (state, more) = begin(plan, state, by, now);
    effects.extend(more);
    (state, effects)
}

fn overridden(
    state: &State,
    about: &Version,
    against: &str,
    insisted: &str,
    by: Actor,
    now: Timestamp,
) -> Vec<Effect> {
    let text = format!("{by} insists on {about} ({against}): {insisted}");
    note(state.clone(), What::Overridden, by, about, text, now).1
}

fn not_permitted(state: State, shut: String) -> (State, Vec<Effect>) {
    let text = format!("{shut}; `promote --override --reason ...` goes on all the same");
    refuse(state, RefusalCode::NotPermitted, text)
}

fn with_reason(text: String, reason: Option<&str>) -> String {
    reason.map_or(text.clone(), |it| format!("{text}: {it}"))
}
