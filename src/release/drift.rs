//! What runs and is not what the file says: what a person did, or a guard, and the file does not know.
//!
//! A release on its way is no drift: it is what the file asks for. Neither is a pause, because no file says
//! that one should not pause.

use crate::model::{Timestamp, Weight};

use super::event::Actor;
use super::plan::Plan;
use super::state::{Phase, State};
use super::version::Version;

/// A field of the file and what is so instead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Drift {
    /// Which, below the service: `live`, `versions.v42`, `rollout.steps`.
    pub field: String,
    /// What the file says; `None`: nothing.
    pub file: Option<String>,
    /// What is so.
    pub running: String,
    /// Who made it so.
    pub by: Actor,
    /// When.
    pub since: Timestamp,
}

/// Everything in which what runs differs from what the file says, in the order of the file.
pub fn drift(plan: &Plan, state: &State) -> Vec<Drift> {
    let versions = state.deployed.iter().filter(|it| runs(state, &it.version)).map(|it| Drift {
        field: format!("versions.{}", it.version),
        file: None,
        running: it.definition.clone(),
        by: it.by.clone(),
        since: it.at,
    });
    live(state).into_iter().chain(versions).chain(weight(plan, state)).collect()
}

fn live(state: &State) -> Option<Drift> {
    let filed = &state.filed;
    let drift = |running: &Version, by: &Actor, since| Drift {
        field: "live".into(),
        file: Some(filed.to_string()),
        running: running.to_string(),
        by: by.clone(),
        since,
    };
    let wanted = &state.wanted;
    if wanted.name != filed.name && !state.is_withdrawn(wanted.fingerprint) {
        return Some(drift(wanted, &state.asked_by, state.asked_at));
    }
    let withdrawn =
        |which: &Version| state.quarantine.iter().find(|it| it.version.fingerprint == which.fingerprint);
    if state.stable.name == filed.name || state.candidate().is_some() {
        return None;
    }
    // The file's own was rolled back, or it had to make room for one that was.
    let why = withdrawn(filed).or_else(|| withdrawn(wanted));
    why.map(|it| drift(&state.stable, &it.by, it.at))
}

/// Whether a version has traffic, or is to have it. One that is only kept for a `rollback` or a `retry` is
/// nothing that a file would have to say.
fn runs(state: &State, version: &Version) -> bool {
    let tried = state.candidate().is_some_and(|it| it.canary == *version);
    let wanted = state.wanted == *version && !state.is_withdrawn(version.fingerprint);
    state.stable == *version || tried || wanted
}

/// A share by hand that no step of the plan has.
fn weight(plan: &Plan, state: &State) -> Option<Drift> {
    let Phase::Canary(trial) = &state.phase else { return None };
    let by = trial.by_hand.as_ref().filter(|_| plan.at(trial.weight).is_none())?;
    let steps: Vec<Weight> = plan.steps.iter().map(|it| it.weight).collect();
    let written = steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Some(Drift {
        field: "rollout.steps".into(),
        file: Some(written).filter(|it| !it.is_empty()),
        running: trial.weight.to_string(),
        by: by.clone(),
        since: trial.since,
    })
}
