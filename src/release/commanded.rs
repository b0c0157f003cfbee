//! A person wants something. Whatever makes no sense is refused with the way out, and asking twice is
//! the same as asking once.

use crate::model::{Timestamp, VersionName, Weight};

use super::effect::{Effect, Refusal, RefusalCode, What};
use super::event::{Actor, Command};
use super::machine::{advance, entry, note, promote_fully, take_out, withdraw};
use super::plan::Plan;
use super::state::{Cause, Phase, Stance, State, Trial};

pub(super) fn commanded(
    plan: &Plan,
    state: State,
    command: Command,
    by: Actor,
    now: Timestamp,
) -> (State, Vec<Effect>) {
    match command {
        Command::Promote { full } => promote(plan, state, full, by, now),
        Command::Pause { reason } => pause(state, reason, by, now),
        Command::Resume => resume(state, by, now),
        Command::Rollback { to, reason } => rollback(state, to.as_ref(), reason, by, now),
        Command::Retry => retry(state, by, now),
    }
}

fn promote(plan: &Plan, state: State, full: bool, by: Actor, now: Timestamp) -> (State, Vec<Effect>) {
    let why = format!("promoted by {by}");
    match (&state.phase, full) {
        (Phase::Canary(trial), false) => {
            let trial = trial.clone();
            advance(plan, state, trial, by, &why, now)
        }
        (Phase::Canary(trial), true) => {
            let trial = trial.clone();
            promote_fully(plan, state, trial, by, &why, now)
        }
        (Phase::Watching(trial), true) => {
            let trial = trial.clone();
            advance(plan, state, trial, by, &why, now)
        }
        (Phase::Watching(trial), false) => {
            let text = format!(
                "{} has all traffic already and is watched; `promote --full` ends the watch",
                trial.canary
            );
            already(state, text)
        }
        (Phase::Live, _) => {
            let text = format!("{} is live and nothing is being released", state.stable);
            refuse(state, RefusalCode::WrongState, text)
        }
        (Phase::RolledBack { canary, cause, .. }, _) if state.is_withdrawn(canary.fingerprint) => {
            let text = format!("{canary} is out ({cause}); `retry` begins again from the first step");
            refuse(state, RefusalCode::Quarantined, text)
        }
        (Phase::RolledBack { canary, cause, .. }, _) => {
            let text = format!("{canary} is out: {cause}; name it as `live` there to release it again");
            refuse(state, RefusalCode::WrongState, text)
        }
    }
}

fn pause(mut state: State, reason: Option<String>, by: Actor, now: Timestamp) -> (State, Vec<Effect>) {
    match &mut state.phase {
        Phase::Canary(Trial { stance: Stance::Paused { by, .. }, .. })
        | Phase::Watching(Trial { stance: Stance::Paused { by, .. }, .. }) => {
            let text = format!("paused already, by {by}");
            already(state, text)
        }
        Phase::Canary(trial) | Phase::Watching(trial) => {
            let why = reason.as_ref().map_or(String::new(), |it| format!(": {it}"));
            let text = format!("{} stays at {}; guards stay armed{why}", trial.canary, trial.weight);
            trial.stance = Stance::Paused { by: by.clone(), reason };
            let canary = trial.canary.clone();
            note(state, What::Paused, by, &canary, text, now)
        }
        Phase::Live | Phase::RolledBack { .. } => refuse_without_release(state, "pause"),
    }
}

fn resume(mut state: State, by: Actor, now: Timestamp) -> (State, Vec<Effect>) {
    match &mut state.phase {
        Phase::Canary(trial) | Phase::Watching(trial) => {
            if !matches!(trial.stance, Stance::Paused { .. }) {
                return already(state, "not paused".into());
            }
            trial.stance = Stance::Advancing;
            let canary = trial.canary.clone();
            let text = format!("{canary} may move on from {}", trial.weight);
            note(state, What::Resumed, by, &canary, text, now)
        }
        Phase::Live | Phase::RolledBack { .. } => refuse_without_release(state, "resume"),
    }
}

fn rollback(
    state: State,
    to: Option<&VersionName>,
    reason: Option<String>,
    by: Actor,
    now: Timestamp,
) -> (State, Vec<Effect>) {
    let previous = state.previous.as_ref().map(|it| &it.name);
    match &state.phase {
        Phase::Canary(_) | Phase::Watching(_) if to.is_none_or(|it| *it == state.stable.name) => {
            take_out(state, Cause::Person { by: by.clone(), reason }, by, now)
        }
        Phase::Canary(_) | Phase::Watching(_) => {
            let text = format!("a rollback returns to {}, which is stable", state.stable);
            refuse(state, RefusalCode::NoTarget, text)
        }
        Phase::RolledBack { canary, cause, .. } if to.is_none_or(|it| *it == state.stable.name) => {
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
                None => format!("no version was stable before {} and is still in the file", state.stable),
            };
            refuse(state, RefusalCode::NoTarget, text)
        }
    }
}

/// Stable itself is rolled back, to the version that had completed its watch before.
fn return_to_previous(
    mut state: State,
    reason: Option<String>,
    by: Actor,
    now: Timestamp,
) -> (State, Vec<Effect>) {
    let Some(previous) = state.previous.take() else {
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
        Phase::Canary(trial) | Phase::Watching(trial) => {
            let text = format!("{} is being tried", trial.canary);
            already(state, text)
        }
        Phase::RolledBack { .. } if state.is_withdrawn(wanted.fingerprint) => {
            state.quarantine.retain(|it| it.version.fingerprint != wanted.fingerprint);
            state.moves += 1;
            state.phase = Phase::Live;
            state.asked_by = by.clone();
            let text = format!("{wanted} may be tried again");
            note(state, What::Retried, by, &wanted, text, now)
        }
        Phase::Live | Phase::RolledBack { .. } => {
            let text = format!("the file asks for {wanted}, which is not in quarantine");
            refuse(state, RefusalCode::WrongState, text)
        }
    }
}

fn refuse_without_release(state: State, verb: &str) -> (State, Vec<Effect>) {
    let text = format!("nothing is being released, so there is nothing to {verb}");
    refuse(state, RefusalCode::WrongState, text)
}

fn refuse(state: State, code: RefusalCode, reason: String) -> (State, Vec<Effect>) {
    (state, vec![Effect::Refuse(Refusal::new(code, reason))])
}

fn already(state: State, text: String) -> (State, Vec<Effect>) {
    (state, vec![Effect::Already(text)])
}
