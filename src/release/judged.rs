//! The evidence was looked at.

use crate::model::Timestamp;

use super::effect::{Effect, What};
use super::event::{Actor, Finding};
use super::machine::{advance, note, take_out};
use super::plan::Plan;
use super::state::{Cause, Phase, Stance, State, Trial};

/// Guards are armed in every phase with a canary, paused and held included; moving on needs all three
/// of time, a fine finding, and nobody who said no.
pub(super) fn judged(
    plan: &Plan,
    mut state: State,
    finding: Finding,
    now: Timestamp,
) -> (State, Vec<Effect>) {
    let trial = match &mut state.phase {
        Phase::Canary(trial) | Phase::Watching(trial) => trial,
        // News for a release that is over.
        Phase::Live | Phase::RolledBack { .. } => return (state, Vec::new()),
    };
    match (finding, &mut trial.stance) {
        (Finding::Worse(why), _) => take_out(state, Cause::Breach(why), Actor::policy(), now),
        (Finding::Fine | Finding::Unsure(_), _) if now < trial.until => (state, Vec::new()),
        (Finding::Fine | Finding::Unsure(_), Stance::Paused { .. }) => (state, Vec::new()),
        (Finding::Fine, Stance::Advancing | Stance::Held(_)) => {
            let trial: Trial = trial.clone();
            advance(plan, state, trial, Actor::policy(), "time is over and nothing speaks against it", now)
        }
        (Finding::Unsure(shortfall), Stance::Held(known)) => {
            *known = shortfall;
            (state, Vec::new())
        }
        (Finding::Unsure(shortfall), stance @ Stance::Advancing) => {
            let text = format!("{} waits at {}: {}", trial.canary, trial.weight, shortfall.why);
            *stance = Stance::Held(shortfall);
            let canary = trial.canary.clone();
            note(state, What::Held, Actor::policy(), &canary, text, now)
        }
    }
}
