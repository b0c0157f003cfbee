//! The three-way merge of a load: the file before, the file now, and what people did meanwhile.
//!
//! *An unchanged file never undoes what a person did; a changed field in the file always wins.* Fields are
//! merged one by one. `live` is compared by name with the `live` of the file before. A definition in the file
//! is the definition, also of a name that was deployed. Plan, split and whatever else a file says have no
//! second source: shares by hand, pauses and quarantines are not fields, and are kept where they are.

use super::event::Loaded;
use super::state::State;
use super::version::{Deployed, Version};

/// What a load makes of the three.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Merged {
    /// The version that is to be live.
    pub wanted: Version,
    /// Every version there is: those of the file, then those of run time.
    pub versions: Vec<Version>,
    /// Versions of run time that the file does not name.
    pub deployed: Vec<Deployed>,
}

/// Merges the file now with the file before and what people did, both of which `state` knows.
pub fn merge(state: &State, now: &Loaded) -> Merged {
    let named = |it: &Deployed| now.versions.iter().any(|known| known.name == it.version.name);
    let lost = |it: &Deployed| now.lost.contains(&it.version);
    let deployed: Vec<Deployed> =
        state.deployed.iter().filter(|it| !named(it) && !lost(it)).cloned().collect();
    let versions: Vec<Version> =
        now.versions.iter().chain(deployed.iter().map(|it| &it.version)).cloned().collect();
    let changed = now.live.name != state.filed.name;
    let kept = versions.iter().find(|it| !changed && it.name == state.wanted.name);
    let wanted = kept.unwrap_or(&now.live).clone();
    Merged { wanted, versions, deployed }
}
