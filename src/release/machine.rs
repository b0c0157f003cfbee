//! `step`, and the moves that several events share.

use std::time::Duration;

use crate::model::{Timestamp, Weight};

use super::commanded::commanded;
use super::effect::{Effect, Entry, What};
use super::event::{Actor, Event};
use super::judged::{checked, judged, readied};
use super::loaded::{loaded, removed};
use super::permit::Permit;
use super::plan::Plan;
use super::state::{Phase, Ready, State};
use super::ticked::ticked;
use super::trial::{Clock, Stance, Trial};
use super::version::{Cause, Previous, Version, Withdrawn};

/// First sight of a service: its live version becomes stable at once, because adopting a running
/// backend must be a no-op for its users.
pub fn adopt(live: Version, by: Actor, now: Timestamp) -> (State, Vec<Effect>) {
    let state = State {
        stable: live.clone(),
        previous: None,
        wanted: live.clone(),
        filed: live.clone(),
        deployed: Vec::new(),
        asked_by: by.clone(),
        asked_at: now,
        release: 0,
        moves: 0,
        quarantine: Vec::new(),
        clock: Clock::default(),
        ready: Ready::default(),
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
    let release = state.release;
    let (mut state, effects) = match event {
        Event::Loaded(it) => loaded(plan, state, it, now),
        Event::Removed => removed(state, now),
        Event::Judged(finding, permit) => judged(plan, state, finding, &permit, now),
        Event::Checked(mark, outcome, permit) => checked(plan, state, mark, outcome, &permit, now),
        Event::Ready { canary, stable } => readied(state, Ready { canary, stable }, now),
        Event::Commanded(command, by, permit) => commanded(plan, state, command, by, &permit, now),
        Event::Restarted { down } => restarted(state, down, now),
        Event::Tick(permit) => ticked(plan, state, &permit, now),
    };
    state.keep_time(release, now);
    state.forget_unused();
    (state, effects)
}

/// The wanted version is tried: without users if the plan says so, else with the first share.
pub(super) fn begin(plan: &Plan, mut state: State, by: Actor, now: Timestamp) -> (State, Vec<Effect>) {
    state.release += 1;
    let canary = state.wanted.clone();
    let mut trial = Trial::begin(canary.clone(), Weight::NONE, Duration::ZERO, 0, now);
    if !plan.tries_without_users() {
        return advance(plan, state, trial, by, "", now);
    }
    state.moves += 1;
    let stable = state.stable.clone();
    let (what, text) = if plan.verify.is_empty() {
        trial.stance = Stance::Asking;
        (
            What::Asked,
            format!("{canary} is ready to replace {stable}: `promote` says yes, `rollback` says no"),
        )
    } else {
        trial.stance = Stance::Checking;
        (What::Verifying, format!("{canary} is verified before it gets traffic; stable is {stable}"))
    };
    state.phase = Phase::Verifying(trial);
    note(state, what, by, &canary, text, now)
}

/// The row of gates at the end of a stage, when its time is over and the evidence is fine: checks, a
/// person, the calendar. Asking twice changes nothing.
pub(super) fn onward(
    plan: &Plan,
    mut state: State,
    by: Actor,
    why: &str,
    permit: &Permit,
    now: Timestamp,
) -> (State, Vec<Effect>) {
    let gate = plan.gate(&state.phase);
    let hindrance = shut(&state, permit);
    let Some(trial) = state.candidate_mut() else { return (state, Vec::new()) };
    let canary = trial.canary.clone();
    let (stance, what, text) = if !trial.checked && !gate.checks.is_empty() {
        (
            Stance::Checking,
            What::Checking,
            format!("{canary}: {} are run", counted(gate.checks.len(), "check")),
        )
    } else if gate.approval && !trial.approved {
        let text = format!(
            "{canary} waits at {} for a person: `promote` says yes, `rollback` says no",
            trial.weight
        );
        (Stance::Asking, What::Asked, text)
    } else if let Some(why) = hindrance {
        let text = format!("{canary} waits at {}: {why}", trial.weight);
        (Stance::Shut(why), What::Held, text)
    } else {
        let trial: Trial = trial.clone();
        return advance(plan, state, trial, by, why, now);
    };
    if trial.stance == stance {
        return (state, Vec::new());
    }
    if let (Permit::Vetoed(_), Stance::Shut(_), Stance::Shut(_)) = (permit, &trial.stance, &stance) {
        // Its numbers differ every time, and nobody wants to read each of them in the history.
        trial.stance = stance;
        return (state, Vec::new());
    }
    trial.stance = stance;
    note(state, what, Actor::policy(), &canary, text, now)
}

/// What keeps the next move from being made now. The calendar speaks of what gives users another version;
/// a guard that says no also keeps a watch from ending.
pub(super) fn shut(state: &State, permit: &Permit) -> Option<String> {
    let concerned = raises(state) || matches!(permit, Permit::Vetoed(_));
    concerned.then(|| state.hindrance(permit)).flatten()
}

/// Whether the next move gives the canary's version more than it has.
pub(super) fn raises(state: &State) -> bool {
    match &state.phase {
        Phase::Watching(trial) => trial.weight < Weight::ALL,
        Phase::Live | Phase::Verifying(_) | Phase::Canary(_) | Phase::RolledBack { .. } => true,
    }
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
    if matches!(state.phase, Phase::Watching(_)) {
        return complete(state, trial, by, why, now);
    }
    let from = trial.weight;
    let next = match plan.after(from) {
        Some(step) => Trial::begin(trial.canary, step.weight, step.soak, step.requests, now),
        None => return promote_fully(plan, state, trial, by, why, now),
    };
    state.moves += 1;
    let (canary, weight, stable) = (next.canary.clone(), next.weight, &state.stable);
    let (number, count) = (plan.number(weight), plan.steps.len());
    let (what, text) = if from == Weight::NONE {
        let text = format!("{canary} gets {weight}, step {number} of {count}; stable is {stable}");
        (What::Began, with_reason(text, why))
    } else {
        (What::Advanced, with_reason(format!("{canary} gets {weight}, step {number} of {count}"), why))
    };
    state.phase = Phase::Canary(next);
    raise(state, what, by, canary, from, text, now)
}

/// The watch is over: the canary is stable.
fn complete(mut state: State, trial: Trial, by: Actor, why: &str, now: Timestamp) -> (State, Vec<Effect>) {
    state.moves += 1;
    let (canary, from) = (trial.canary, trial.weight);
    let old = std::mem::replace(&mut state.stable, canary.clone());
    let text = with_reason(format!("{canary} is stable now, after {old}"), why);
    state.previous = Some(Previous { version: old, since: now });
    state.phase = Phase::Live;
    raise(state, What::Completed, by, canary, from, text, now)
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
    let (canary, from) = (trial.canary, trial.weight);
    let weight = plan.watch_weight().max(from);
    let watch = Trial::begin(canary.clone(), weight, plan.watch.time, plan.watch_requests(), now);
    state.phase = Phase::Watching(watch);
    let share = if weight == Weight::ALL { "all traffic".into() } else { weight.to_string() };
    let (what, text) = if from == Weight::NONE {
        let text = format!("{canary} gets {share} and is watched; stable is {}", state.stable);
        (What::Began, with_reason(text, why))
    } else {
        (What::Promoted, with_reason(format!("{canary} gets {share} and is watched"), why))
    };
    raise(state, what, by, canary, from, text, now)
}

/// The canary gets no traffic from now on. With a person, a guard or a check behind it, its definition
/// goes into quarantine, so that the unchanged file does not start it again.
pub(super) fn take_out(mut state: State, cause: Cause, by: Actor, now: Timestamp) -> (State, Vec<Effect>) {
    let Some(trial) = state.candidate().cloned() else {
        return (state, Vec::new());
    };
    state.moves += 1;
    let (canary, from) = (trial.canary, trial.weight);
    let text = format!("{canary} is out, {} has all traffic: {cause}", state.stable);
    let what = if cause == Cause::Superseded { What::Superseded } else { What::RolledBack };
    if cause.withdraws() {
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
    state.previous = state.previous.take().filter(|it| it.version.fingerprint != version.fingerprint);
    state.quarantine.push(Withdrawn { version, at: now, why: cause.to_string(), by: cause.by() });
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

/// The record first: nothing rises that is not written down.
pub(super) fn raise(
    state: State,
    what: What,
    by: Actor,
    canary: Version,
    from: Weight,
    text: String,
    now: Timestamp,
) -> (State, Vec<Effect>) {
    let to = if what == What::Completed { Weight::ALL } else { state.weight() };
    let effects = vec![entry(now, what, by, &canary, (from, to), text), Effect::Split(state.shares())];
    (state, effects)
}

/// Takes up where the journal ends. The wall clock may have been set meanwhile, so a deadline is never
/// further away than a whole soak from now, and never counts from the future. After a long absence
/// nothing goes on by itself: what was being tried may have been forgotten by everybody.
fn restarted(mut state: State, down: Duration, now: Timestamp) -> (State, Vec<Effect>) {
    let shares = state.shares();
    state.clock.restart(down, now);
    if let Some(previous) = &mut state.previous {
        previous.since = previous.since.min(now);
    }
    let Some(trial) = state.candidate_mut() else {
        return (state, vec![Effect::Split(shares)]);
    };
    let soak = trial.until.since(trial.since);
    trial.since = trial.since.min(now);
    trial.until = trial.until.min(now + soak);
    let mut text = format!("tidegate started again; {} goes on at {}", trial.canary, trial.weight);
    if down >= STALE_AFTER && !matches!(trial.stance, Stance::Paused { .. }) {
        let reason = format!("stale: tidegate was away for {} hours", down.as_secs() / 3_600);
        text = format!("{} stays at {}: {reason}; `resume` lets it go on", trial.canary, trial.weight);
        trial.stance = Stance::Paused { by: Actor::policy(), reason: Some(reason), until: None };
    }
    let about = trial.canary.clone();
    let (state, records) = note(state, What::Restarted, Actor::policy(), &about, text, now);
    (state, std::iter::once(Effect::Split(shares)).chain(records).collect())
}

fn with_reason(text: String, why: &str) -> String {
    if why.is_empty() { text } else { format!("{text}: {why}") }
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// Definitions kept in quarantine for one service. Each costs some hundred bytes in every snapshot; a
/// service that was rolled back more often forgets the oldest, which by then is long out of use.
const QUARANTINE_MAX: usize = 256;

/// An absence after which a person must say that a release goes on. Shorter than a weekend, longer than
/// any repair of a host that somebody is working on.
const STALE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
