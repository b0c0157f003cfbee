//! A person adds a version and wants it released. From there on it is a version like those of the file,
//! except that the file does not name it: it is kept for as long as it is used.

use crate::model::Weight;

use super::commanded::{already, refuse};
use super::effect::{Effect, Refusal, RefusalCode, What};
use super::machine::{entry, take_out};
use super::state::{Phase, State};
use super::version::{Cause, Deployed, Version};

/// What is under way is taken out first, split first; alone it is written down before it counts, because
/// who deploys must be able to rely on the answer.
pub(super) fn deploy(state: State, it: Deployed, reason: Option<&str>) -> (State, Vec<Effect>) {
    let (version, by, now) = (it.version.clone(), it.by.clone(), it.at);
    if let Some(Refusal { code, reason }) = objection(&state, &version) {
        return refuse(state, code, reason);
    }
    if state.wanted == version {
        let text = format!("{version} is wanted already, and nothing about it is new");
        return already(state, text);
    }
    let (mut state, mut effects) = take_out(state, Cause::Superseded, by.clone(), now);
    state.deployed.retain(|old| old.version != version);
    state.deployed.push(it);
    state.wanted = version.clone();
    state.asked_by = by.clone();
    state.asked_at = now;
    // Nobody has looked at its endpoints yet.
    state.ready.canary = true;
    state.moves += 1;
    state.phase = Phase::Live;
    let why = reason.map_or(String::new(), |it| format!(": {it}"));
    let text = format!("{version} was deployed by {by}; stable is {}{why}", state.stable);
    let record = entry(now, What::Deployed, by, &version, (Weight::NONE, Weight::NONE), text);
    if effects.is_empty() {
        effects = vec![record, Effect::Split(state.shares())];
    } else {
        effects.push(record);
    }
    (state, effects)
}

/// What speaks against a version of that name and definition.
fn objection(state: &State, version: &Version) -> Option<Refusal> {
    if let Some(it) = state.quarantine.iter().find(|it| it.version.fingerprint == version.fingerprint) {
        let way_out = if state.wanted == *version {
            "`retry` lifts the quarantine"
        } else {
            "give it endpoints of its own, or name it as `live` in the file and `retry`"
        };
        let text = format!("{version} is what was rolled back as {} ({}): {way_out}", it.version, it.why);
        return Some(Refusal::new(RefusalCode::Quarantined, text));
    }
    let trial = state.candidate().map(|it| &it.canary);
    let used =
        [Some(&state.stable), Some(&state.wanted), trial, state.previous.as_ref().map(|it| &it.version)];
    let mut known = used.into_iter().flatten().chain(state.deployed.iter().map(|it| &it.version));
    if known.any(|it| it.name == version.name && it.fingerprint != version.fingerprint) {
        let text = format!("{version} has other endpoints already: give another build another name");
        return Some(Refusal::new(RefusalCode::WrongState, text));
    }
    let same = |it: &&Version| it.fingerprint == version.fingerprint && it.name != version.name;
    let twin = [Some(&state.stable), trial].into_iter().flatten().find(same)?;
    let text = format!("{version} has the endpoints of {twin}, and a version cannot be compared with itself");
    Some(Refusal::new(RefusalCode::WrongState, text))
}
