//! What the controller and the configuration say about themselves: plain values, set whole.

use crate::model::{VersionName, Weight};

/// What a release shows to whoever watches. Set by the controller whenever it changes.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseFacts {
    /// One of [`ReleaseFacts::STATES`].
    pub state: &'static str,
    /// The version that has proven itself.
    pub stable: VersionName,
    /// The version being tried.
    pub canary: Option<VersionName>,
    /// The step of the plan, counted from 1; 0 when no step is under way.
    pub step: u32,
    /// Every version of the service with its weight, 0 included.
    pub weights: Vec<(VersionName, Weight)>,
    /// The guards that judge now.
    pub guards: Vec<GuardFacts>,
}

impl ReleaseFacts {
    /// The words a state can be called by; each is one series of `tidegate_release_state`.
    pub const STATES: [&'static str; 8] =
        ["live", "verifying", "canary", "approval", "paused", "held", "watching", "rolled_back"];
}

/// What a guard says now.
#[derive(Clone, Debug, PartialEq)]
pub struct GuardFacts {
    /// Its name: `errors`.
    pub guard: &'static str,
    /// Canary minus stable, as a share; `None` without responses.
    pub delta: Option<f64>,
    /// The difference that still counts as fine, as a share.
    pub limit: f64,
    /// Evidence for `worse` and for `fine`: 1 decides.
    pub evidence: [f64; 2],
}
