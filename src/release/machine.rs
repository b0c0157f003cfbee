//! `step`, and the moves that several events share.

use crate::model::{Timestamp, Weight};

use super::commanded::commanded;
use super::effect::{Effect, Entry, What};
use super::event::{Actor, Event};
use super::judged::judged;
use super::loaded::{loaded, removed};
use super::plan::Plan;
use super::state::{Cause, Phase, Stance, State, Trial, Version, Withdrawn};

/// First sight of a service: its live version becomes stable at once, because adopting a running
/// backend must be a no-op for its users.
pub fn adopt(live: Version, by: Actor, now: Timestamp) -> (State, Vec<Effect>) {
    let state = State {
        stable: live.clone(),
        previous: None,
        wanted: live.clone(),
        asked_by: by.clone(),
        release: 0,
        moves: 0,
        quarantine: Vec::new(),
        phase: Phase::Live,
    };
    let text = format!("{live} is live: first sight of this service");
    let effects = vec![
        Effect::Split(state.shares()),
        entry(now, What::Adopted, by, &live, (Weight::NONE, Weight::NONE), text),
    ];
    (state, effects)
}

/// Decides what happens next.
///
/// Total: every state answers every event, so nothing here can fail; a command that makes no sense is
/// answered by [`Effect::Refuse`]. Silence never promotes: a soak ends only on a fine finding.
pub fn step(plan: &Plan, state: State, event: Event, now: Timestamp) -> (State, Vec<Effect>) {
    match event {
        Event::Loaded(it) => loaded(plan, state, it, now),
        Event::Removed => removed(state, now),
        Event::Judged(finding) => judged(plan, state, finding, now),
        Event::Commanded(command, by) => commanded(plan, state, command, by, now),
        Event::Restarted => restarted(state, now),
        Event::Tick if state.awaits_release() => begin(plan, state, now),
        Event::Tick => (state, Vec::new()),
    }
}

/// The wanted version gets the first share of the plan.
fn begin(plan: &Plan, mut state: State, now: Timestamp) -> (State, Vec<Effect>) {
    state.release += 1;
    state.moves += 1;
    let (canary, by) = (state.wanted.clone(), state.asked_by.clone());
    state.phase = next_phase(plan, canary.clone(), Weight::NONE, now);
    let text = match &state.phase {
        Phase::Canary(trial) => format!(
            "{canary} gets {}, step 1 of {}; stable is {}",
            trial.weight,
            plan.steps.len(),
            state.stable
        ),
        _ => format!("{canary} gets all traffic and is watched; stable is {}", state.stable),
    };
    raise(state, What::Began, by, canary, Weight::NONE, text, now)
}

/// One step up; after the last step all traffic, after the watch the canary is stable.
pub(super) fn advance(
    plan: &Plan,
    mut state: State,
    trial: Trial,
    by: Actor,
    why: &str,
    now: Timestamp,
) -> (State, Vec<Effect>) {
    state.moves += 1;
    let (canary, from) = (trial.canary, trial.weight);
    if matches!(state.phase, Phase::Watching(_)) {
        let old = std::mem::replace(&mut state.stable, canary.clone());
        let text = format!("{canary} is stable now, after {old}: {why}");
        state.previous = Some(old);
        state.phase = Phase::Live;
        return raise(state, What::Completed, by, canary, from, text, now);
    }
    state.phase = next_phase(plan, canary.clone(), from, now);
    let (what, text) = match &state.phase {
        Phase::Canary(trial) => {
            let (number, count) = (plan.number(trial.weight), plan.steps.len());
            (What::Advanced, format!("{canary} gets {}, step {number} of {count}: {why}", trial.weight))
        }
        _ => (What::Promoted, format!("{canary} gets all traffic and is watched: {why}")),
    };
    raise(state, what, by, canary, from, text, now)
}

/// The canary gets no traffic from now on. With a person or a guard behind it, its definition goes
/// into quarantine, so that the unchanged file does not start it again.
pub(super) fn take_out(mut state: State, cause: Cause, by: Actor, now: Timestamp) -> (State, Vec<Effect>) {
    let Some(trial) = state.trial().cloned() else {
        return (state, Vec::new());
    };
    state.moves += 1;
    let (canary, from) = (trial.canary, trial.weight);
    let text = match &cause {
        Cause::Breach(why) => format!("{canary} is out, {} has all traffic: {why}", state.stable),
        other => format!("{canary} is out, {} has all traffic: {other}", state.stable),
    };
    let what = if cause == Cause::Superseded { What::Superseded } else { What::RolledBack };
    if matches!(cause, Cause::Breach(_) | Cause::Person { .. }) {
        withdraw(&mut state, canary.clone(), &cause, now);
    }
    state.phase = Phase::RolledBack { canary: canary.clone(), cause, at: now };
    let effects =
        vec![Effect::Split(state.shares()), entry(now, what, by, &canary, (from, Weight::NONE), text)];
    (state, effects)
}

/// Puts a definition into quarantine.
pub(super) fn withdraw(state: &mut State, version: Version, cause: &Cause, now: Timestamp) {
    state.quarantine.retain(|it| it.version.fingerprint != version.fingerprint);
    if state.quarantine.len() >= QUARANTINE_MAX {
        state.quarantine.remove(0);
    }
    // A rollback never returns to a version that was rolled back.
    state.previous = state.previous.take().filter(|it| it.fingerprint != version.fingerprint);
    state.quarantine.push(Withdrawn { version, at: now, why: cause.to_string() });
}

/// The file asks for a version in quarantine: said once, and nothing else happens.
pub(super) fn bar(mut state: State, by: Actor, now: Timestamp) -> (State, Vec<Effect>) {
    let canary = state.wanted.clone();
    state.moves += 1;
    state.phase = Phase::RolledBack { canary: canary.clone(), cause: Cause::Quarantined, at: now };
    let text = format!("{canary} was rolled back before and gets no traffic; `retry` lifts the quarantine");
    let effects = vec![entry(now, What::Barred, by, &canary, (Weight::NONE, Weight::NONE), text)];
    (state, effects)
}

/// A line of the history that goes with a change of nothing but words.
pub(super) fn note(
    state: State,
    what: What,
    by: Actor,
    about: &Version,
    text: String,
    now: Timestamp,
) -> (State, Vec<Effect>) {
    let weight = state.weight();
    let effects = vec![entry(now, what, by, about, (weight, weight), text)];
    (state, effects)
}

pub(super) fn entry(
    at: Timestamp,
    what: What,
    by: Actor,
    version: &Version,
    (from, to): (Weight, Weight),
    text: String,
) -> Effect {
    Effect::Record(Entry { at, what, by, version: version.clone(), from, to, text })
}

/// Where a canary with `weight` goes next: the smallest configured weight above it, or the watch.
fn next_phase(plan: &Plan, canary: Version, weight: Weight, now: Timestamp) -> Phase {
    let trial = |weight, soak, requests| Trial {
        canary,
        weight,
        since: now,
        until: now + soak,
        requests,
        stance: Stance::Advancing,
    };
    match plan.after(weight) {
        Some(step) => Phase::Canary(trial(step.weight, step.soak, step.requests)),
        None => watching(plan, trial(Weight::ALL, plan.watch, plan.watch_requests())),
    }
}

/// Straight to all traffic, past every step that is left.
pub(super) fn promote_fully(
    plan: &Plan,
    mut state: State,
    trial: Trial,
    by: Actor,
    why: &str,
    now: Timestamp,
) -> (State, Vec<Effect>) {
    state.moves += 1;
    let (canary, from) = (trial.canary.clone(), trial.weight);
    state.phase = watching(plan, Trial { since: now, stance: Stance::Advancing, ..trial });
    let text = format!("{canary} gets all traffic and is watched: {why}");
    raise(state, What::Promoted, by, canary, from, text, now)
}

fn watching(plan: &Plan, trial: Trial) -> Phase {
    Phase::Watching(Trial {
        weight: Weight::ALL,
        until: trial.since + plan.watch,
        requests: plan.watch_requests(),
        ..trial
    })
}

/// The record first: nothing rises that is not written down.
fn raise(
    state: State,
    what: What,
    by: Actor,
    canary: Version,
    from: Weight,
    text: String,
    now: Timestamp,
) -> (State, Vec<Effect>) {
    let to = if what == What::Completed { from } else { state.weight() };
    let effects = vec![entry(now, what, by, &canary, (from, to), text), Effect::Split(state.shares())];
    (state, effects)
}

/// Takes up where the journal ends. The wall clock may have been set meanwhile, so a deadline is never
/// further away than a whole soak from now, and never counts from the future.
fn restarted(mut state: State, now: Timestamp) -> (State, Vec<Effect>) {
    let shares = state.shares();
    let text = match &mut state.phase {
        Phase::Live | Phase::RolledBack { .. } => return (state, vec![Effect::Split(shares)]),
        Phase::Canary(trial) | Phase::Watching(trial) => {
            let soak = trial.until.since(trial.since);
            trial.since = trial.since.min(now);
            trial.until = trial.until.min(now + soak);
            format!("tidegate started again; {} goes on at {}", trial.canary, trial.weight)
        }
    };
    let weight = state.weight();
    let about = state.canary().unwrap_or(&state.stable).clone();
    let record = entry(now, What::Restarted, Actor::policy(), &about, (weight, weight), text);
    (state, vec![Effect::Split(shares), record])
}

/// Definitions kept in quarantine for one service. Each costs some hundred bytes in every snapshot; a
/// service that was rolled back more often forgets the oldest, which by then is long out of use.
const QUARANTINE_MAX: usize = 256;
