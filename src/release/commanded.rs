//! A person wants something. Whatever makes no sense is refused with the way out, and asking twice is
//! the same as asking once.

use crate::model::{Timestamp, VersionName, Weight};

use super::deployed::deploy;
use super::effect::{Effect, Refusal, RefusalCode, What};
use super::event::{Actor, Command};
use super::machine::{entry, note, raise, take_out, withdraw};
use super::permit::Permit;
use super::plan::Plan;
use super::promoted::{Wish, promote};
use super::state::{Phase, State};
use super::ticked;
use super::trial::{Stance, Trial};
use super::version::{Cause, Deployed, Previous};

pub(super) fn commanded(
    plan: &Plan,
    state: State,
    command: Command,
    by: Actor,
    permit: &Permit,
    now: Timestamp,
) -> (State, Vec<Effect>) {
    match command {
        Command::Promote { full, to, reason, insist } => {
            promote(plan, state, &Wish { full, to, reason, insist }, by, permit, now)
        }
        Command::Pause { until, reason } => pause(state, until, reason, by, now),
        Command::Weight { weight, reason } => by_hand(plan, state, weight, reason, by, permit, now),
        Command::Resume => resume(state, by, now),
        Command::Rollback { to, reason } => rollback(state, to.as_ref(), reason, by, now),
        Command::Retry => retry(state, by, now),
        Command::Deploy { version, definition, reason } => {
            deploy(state, Deployed { version, definition, by, at: now }, reason.as_deref())
        }
    }
}

fn pause(
    mut state: State,
    until: Option<Timestamp>,
    reason: Option<String>,
    by: Actor,
    now: Timestamp,
) -> (State, Vec<Effect>) {
    let Some(trial) = state.candidate_mut() else { return refuse_without_release(state, "pause") };
    if let Stance::Paused { by: before, until: known, .. } = &trial.stance
        && (*known == until || until.is_none())
    {
        let text = format!("paused already, by {before}");
        return already(state, text);
    }
    if until.is_some_and(|it| it <= now) {
        return refuse(state, RefusalCode::WrongState, "a pause ends in the future".into());
    }
    let why = reason.as_ref().map_or(String::new(), |it| format!(": {it}"));
    let long = until.map_or(String::new(), |it| format!(" until {it}"));
    let text = format!("{} stays at {}{long}; guards stay armed{why}", trial.canary, trial.weight);
    trial.stance = Stance::Paused { by: by.clone(), reason, until };
    let canary = trial.canary.clone();
    note(state, What::Paused, by, &canary, text, now)
}

fn resume(state: State, by: Actor, now: Timestamp) -> (State, Vec<Effect>) {
    match state.candidate().map(|it| &it.stance) {
        None => refuse_without_release(state, "resume"),
        Some(Stance::Paused { .. }) => {
            let why = format!("resumed by {by}");
            ticked::resume(state, by, &why, now)
        }
        Some(_) => already(state, "not paused".into()),
    }
}

/// A share chosen by a person. Nothing moves on from there until `resume`; then the plan goes on with the
/// smallest step above it.
fn by_hand(
    plan: &Plan,
    mut state: State,
    weight: Weight,
    reason: Option<String>,
    by: Actor,
    permit: &Permit,
    now: Timestamp,
) -> (State, Vec<Effect>) {
    let Some(trial) = state.trial().cloned() else {
        return refuse_without_release(state, "give a weight");
    };
    let (canary, from) = (trial.canary, trial.weight);
    let hindrance = state.hindrance(permit).filter(|_| weight > from);
    let refused = match weight {
        Weight::NONE => Some("`rollback` takes all traffic away".to_owned()),
        Weight::ALL => Some("`promote --full` gives it all traffic".to_owned()),
        _ => None,
    };
    if let Some(text) = refused {
        return refuse(state, RefusalCode::WrongState, text);
    }
    if weight == from && matches!(trial.stance, Stance::Paused { .. }) {
        return already(state, format!("{canary} has {weight} and stays there"));
    }
    if let Some(why) = hindrance {
        let ready = state.ready.canary && state.ready.stable;
        let code = if ready { RefusalCode::NotPermitted } else { RefusalCode::NotReady };
        return refuse(state, code, why);
    }
    let (soak, requests) = plan.soak_near(weight);
    let why = reason.clone().unwrap_or_else(|| "weight by hand".into());
    let mut trial = Trial::begin(canary.clone(), weight, soak, requests, now);
    trial.by_hand = Some(by.clone());
    trial.stance = Stance::Paused { by: by.clone(), reason: Some(why), until: None };
    state.moves += 1;
    state.phase = Phase::Canary(trial);
    let why = reason.map_or(String::new(), |it| format!(": {it}"));
    let text = format!("{canary} gets {weight} from {by} and stays there until `resume`{why}");
    let (state, mut effects) = raise(state, What::Weighted, by, canary, from, text, now);
    if weight < from {
        // Down: the split first.
        effects.reverse();
    }
    (state, effects)
}

fn rollback(
    state: State,
    to: Option<&VersionName>,
    reason: Option<String>,
    by: Actor,
    now: Timestamp,
) -> (State, Vec<Effect>) {
    let previous = state.previous.as_ref().map(|it| &it.version.name);
    let to_stable = to.is_none_or(|it| *it == state.stable.name);
    match &state.phase {
        Phase::Verifying(_) | Phase::Canary(_) | Phase::Watching(_) if to_stable => {
            take_out(state, Cause::Person { by: by.clone(), reason }, by, now)
        }
        Phase::Verifying(_) | Phase::Canary(_) | Phase::Watching(_) => {
            let text = format!("a rollback returns to {}, which is stable", state.stable);
            refuse(state, RefusalCode::NoTarget, text)
        }
        Phase::Live | Phase::RolledBack { .. } if to_stable && state.awaits_release() => {
            call_off(state, reason, by, now)
        }
        Phase::RolledBack { canary, cause, .. } if to_stable => {
            let text = format!("{canary} is out already, {} has all traffic: {cause}", state.stable);
            already(state, text)
        }
        Phase::Live if to == Some(&state.stable.name) => {
            let text = format!("{} has all traffic already", state.stable);
            already(state, text)
        }
        Phase::Live | Phase::RolledBack { .. }
            if previous.is_some() && to.is_none_or(|it| Some(it) == previous) =>
        {
            return_to_previous(state, reason, by, now)
        }
        Phase::Live | Phase::RolledBack { .. } => {
            let text = match previous {
                Some(it) => format!("a rollback of {} returns to {it} and to no other", state.stable),
                None => format!("no version was stable before {} and is still kept", state.stable),
            };
            refuse(state, RefusalCode::NoTarget, text)
        }
    }
}

/// A release that waits to begin never begins.
fn call_off(mut state: State, reason: Option<String>, by: Actor, now: Timestamp) -> (State, Vec<Effect>) {
    let (canary, cause) = (state.wanted.clone(), Cause::Person { by: by.clone(), reason });
    withdraw(&mut state, canary.clone(), &cause, now);
    state.moves += 1;
    let text = format!("{canary} is out before it began, {} keeps all traffic: {cause}", state.stable);
    state.phase = Phase::RolledBack { canary: canary.clone(), cause, at: now };
    note(state, What::RolledBack, by, &canary, text, now)
}

/// Stable itself is rolled back, to the version that had completed its watch before.
fn return_to_previous(
    mut state: State,
    reason: Option<String>,
    by: Actor,
    now: Timestamp,
) -> (State, Vec<Effect>) {
    let Some(Previous { version: previous, .. }) = state.previous.take() else {
        return (state, Vec::new());
    };
    let cause = Cause::Person { by: by.clone(), reason };
    let old = std::mem::replace(&mut state.stable, previous);
    withdraw(&mut state, old.clone(), &cause, now);
    state.moves += 1;
    let text = format!("{old} is out, {} has all traffic again: {cause}", state.stable);
    state.phase = Phase::RolledBack { canary: old.clone(), cause, at: now };
    let effects = vec![
        Effect::Split(state.shares()),
        entry(now, What::RolledBack, by, &old, (Weight::ALL, Weight::NONE), text),
    ];
    (state, effects)
}

fn retry(mut state: State, by: Actor, now: Timestamp) -> (State, Vec<Effect>) {
    let wanted = state.wanted.clone();
    match &state.phase {
        Phase::Verifying(trial) | Phase::Canary(trial) | Phase::Watching(trial) => {
            let text = format!("{} is being tried", trial.canary);
            already(state, text)
        }
        Phase::RolledBack { .. } if state.is_withdrawn(wanted.fingerprint) => {
            state.quarantine.retain(|it| it.version.fingerprint != wanted.fingerprint);
            state.moves += 1;
            state.phase = Phase::Live;
            state.asked_by = by.clone();
            state.asked_at = now;
            let text = format!("{wanted} may be tried again");
            note(state, What::Retried, by, &wanted, text, now)
        }
        Phase::Live | Phase::RolledBack { .. } => {
            let text = format!("{wanted} is wanted, which is not in quarantine");
            refuse(state, RefusalCode::WrongState, text)
        }
    }
}

fn refuse_without_release(state: State, verb: &str) -> (State, Vec<Effect>) {
    let text = format!("nothing is being released, so there is nothing to {verb}");
    refuse(state, RefusalCode::WrongState, text)
}

pub(super) fn refuse(state: State, code: RefusalCode, reason: String) -> (State, Vec<Effect>) {
    (state, vec![Effect::Refuse(Refusal::new(code, reason))])
}

pub(super) fn already(state: State, text: String) -> (State, Vec<Effect>) {
    (state, vec![Effect::Already(text)])
}
