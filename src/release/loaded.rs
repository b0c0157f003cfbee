//! A configuration was loaded, and merged with what was there: what follows from that for the release.

use crate::model::Timestamp;

use super::effect::{Effect, What};
use super::event::{Actor, Loaded};
use super::machine::{adopt, bar, note, take_out};
use super::merge::{Merged, merge};
use super::plan::Plan;
use super::state::{Phase, State};
use super::trial::Stance;
use super::version::{Cause, Version};

/// Why a reload must not happen, if it must not: it would take away the version that has the traffic
/// or that a rollback returns to, and so force users onto one that has not proven itself. A first load
/// has no choice and is not asked.
pub fn objection(state: &State, it: &Loaded) -> Option<String> {
    let (stable, merged) = (&state.stable, merge(state, it));
    let Some(now) = find(&merged.versions, stable) else {
        let way_out = match state.candidate() {
            Some(trial) => {
                format!("keep it until {} is stable; `promote --full` twice gets there at once", trial.canary)
            }
            None => format!("keep it until {} has been released", merged.wanted),
        };
        return Some(format!("{stable} is stable and must stay in the file: {way_out}"));
    };
    let redefined = now.fingerprint != stable.fingerprint;
    (redefined && state.is_withdrawn(now.fingerprint))
        .then(|| format!("{stable} is stable, and its new definition is one that was rolled back"))
}

pub(super) fn loaded(plan: &Plan, mut state: State, it: Loaded, now: Timestamp) -> (State, Vec<Effect>) {
    let Merged { wanted, versions, deployed } = merge(&state, &it);
    let changed = state.wanted != wanted;
    state.filed = it.live.clone();
    state.deployed = deployed;
    if changed {
        state.wanted = wanted.clone();
        state.asked_by = it.by.clone();
        state.asked_at = now;
        // Nobody has looked at its endpoints yet.
        state.ready.canary = true;
    }
    // With another definition it is not the version that proved itself.
    state.previous = state.previous.filter(|old| versions.contains(&old.version));
    let Some(stable) = find(&versions, &state.stable).cloned() else {
        return adopt_again(state, it, now);
    };
    let (mut state, redefined) = if stable == state.stable {
        (state, Vec::new())
    } else {
        let text = format!("{stable} has a new definition");
        state.stable = stable.clone();
        // Only reached at a start: a reload with such a definition is objected to.
        state.quarantine.retain(|it| it.version.fingerprint != stable.fingerprint);
        note(state, What::Redefined, it.by.clone(), &stable, text, now)
    };
    let (barred, back) = (state.is_withdrawn(wanted.fingerprint), wanted.name == state.stable.name);
    let (state, mut effects) = match &mut state.phase {
        Phase::Verifying(trial) | Phase::Canary(trial) | Phase::Watching(trial) if trial.canary == wanted => {
            refit(plan, state, it.by, now)
        }
        Phase::Verifying(_) | Phase::Canary(_) | Phase::Watching(_) if back => {
            take_out(state, Cause::File, it.by, now)
        }
        Phase::Verifying(_) | Phase::Canary(_) | Phase::Watching(_) => supersede(state, it.by, barred, now),
        Phase::RolledBack { .. } if back && changed => settle(state, it.by, now),
        Phase::RolledBack { canary, .. } if barred && *canary != wanted => bar(state, it.by, now),
        Phase::Live if barred && !back => bar(state, it.by, now),
        // In sync, or a release is awaited and the next tick begins it.
        Phase::Live | Phase::RolledBack { .. } => (state, Vec::new()),
    };
    // Last, because what goes down must not wait for it.
    effects.extend(redefined);
    (state, effects)
}

/// The service is no longer in the file. What is known of it stays, should it come back.
pub(super) fn removed(mut state: State, now: Timestamp) -> (State, Vec<Effect>) {
    if state.filed.name == state.wanted.name {
        state.filed = state.stable.clone();
    }
    // What the file said beside a version of run time is kept: should it say it again, nothing has changed.
    state.wanted = state.stable.clone();
    take_out(state, Cause::File, Actor::file("service removed"), now)
}

/// Weight 0 first; the next tick begins the newer release.
fn supersede(state: State, by: Actor, barred: bool, now: Timestamp) -> (State, Vec<Effect>) {
    let (state, mut effects) = take_out(state, Cause::Superseded, by.clone(), now);
    if !barred {
        return (state, effects);
    }
    let (state, more) = bar(state, by, now);
    effects.extend(more);
    (state, effects)
}

fn settle(mut state: State, by: Actor, now: Timestamp) -> (State, Vec<Effect>) {
    state.moves += 1;
    state.phase = Phase::Live;
    let stable = state.stable.clone();
    let text = format!("the file asks for {stable} again, which is stable");
    note(state, What::Settled, by, &stable, text, now)
}

/// Time and requests of the present step as the plan has them now. A gate that was reached is reached
/// anew when the step has more time.
fn refit(plan: &Plan, mut state: State, by: Actor, now: Timestamp) -> (State, Vec<Effect>) {
    let (trial, soak, requests) = match &mut state.phase {
        Phase::Watching(trial) => (trial, plan.watch.time, plan.watch_requests()),
        Phase::Canary(trial) => match plan.at(trial.weight) {
            Some(step) => (trial, step.soak, step.requests),
            // The step is gone from the plan: its time goes on as it was.
            None => return (state, Vec::new()),
        },
        Phase::Live | Phase::Verifying(_) | Phase::RolledBack { .. } => return (state, Vec::new()),
    };
    trial.until = trial.since + soak;
    trial.requests = requests;
    let waits = !matches!(trial.stance, Stance::Advancing | Stance::Paused { .. });
    if waits && now < trial.until {
        trial.stance = Stance::Advancing;
        let canary = trial.canary.clone();
        let text = format!("{canary} has more time at {}", trial.weight);
        return note(state, What::Released, by, &canary, text, now);
    }
    (state, Vec::new())
}

/// Stable is gone from the file while nobody was there to object: what the file wants is all there is.
fn adopt_again(state: State, it: Loaded, now: Timestamp) -> (State, Vec<Effect>) {
    let (mut fresh, mut effects) = adopt(it.live.clone(), it.by, now);
    fresh.release = state.release;
    fresh.moves = state.moves + 1;
    fresh.quarantine = state.quarantine;
    fresh.quarantine.retain(|old| old.version.fingerprint != it.live.fingerprint);
    for effect in &mut effects {
        match effect {
            Effect::Split(shares) => *shares = fresh.shares(),
            Effect::Record(entry) => {
                entry.text = format!("{} is live: {} is gone from the file", it.live, state.stable);
            }
            Effect::Already(_) | Effect::Refuse(_) => {}
        }
    }
    (fresh, effects)
}

fn find<'a>(versions: &'a [Version], which: &Version) -> Option<&'a Version> {
    versions.iter().find(|it| it.name == which.name)
}
