//! What a service is doing now. Each phase holds what that phase needs and nothing else.

use crate::model::{Fingerprint, Timestamp, Weight};

use super::effect::Shares;
use super::event::Actor;
use super::permit::Permit;
use super::trial::{Clock, Stance, Trial};
use super::version::{Cause, Deployed, Previous, Version, Withdrawn};

/// Everything that must survive a restart about the releases of one service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct State {
    /// The version that has proven itself, and that a rollback returns to.
    pub stable: Version,
    /// What was stable before, if it is still in the file and still kept.
    pub previous: Option<Previous>,
    /// The version that is to be live: the file's `live`, or what a person deployed since.
    pub wanted: Version,
    /// The file's `live` when it was last loaded: what the next load is compared with.
    pub filed: Version,
    /// Versions that were added at run time and are in use. The file does not name them.
    pub deployed: Vec<Deployed>,
    /// Who asked for what is wanted: the file, or the person who deployed it or lifted its quarantine.
    pub asked_by: Actor,
    /// When.
    pub asked_at: Timestamp,
    /// Number of the newest release; 0 before the first. It seeds the sticky assignment.
    pub release: u64,
    /// How often the split or the phase changed. A command may say which count it was meant for.
    pub moves: u64,
    /// Versions that were rolled back and get no traffic until `retry`.
    pub quarantine: Vec<Withdrawn>,
    /// How long the newest release has been at work.
    pub clock: Clock,
    /// Whether there is somebody to send requests to.
    pub ready: Ready,
    /// Where the newest release is.
    pub phase: Phase,
}

/// Whether the lanes have an endpoint that is ready. What nobody has looked at counts as ready.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ready {
    /// The version that is tried, or wanted.
    pub canary: bool,
    /// The version that a rollback returns to.
    pub stable: bool,
}

/// Where a release is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Stable has all traffic and nothing is being tried.
    Live,
    /// The canary is tried without users: checks, or a person, must say yes first.
    Verifying(Trial),
    /// The canary has the share of a step.
    Canary(Trial),
    /// The canary has all traffic, guards are armed and stable waits.
    Watching(Trial),
    /// The canary was taken out; stable has all traffic.
    RolledBack {
        /// What was taken out.
        canary: Version,
        /// Why.
        cause: Cause,
        /// When.
        at: Timestamp,
    },
}

impl State {
    /// Who gets how much in this state.
    pub fn shares(&self) -> Shares {
        let canary = self.trial().map(|it| (it.canary.clone(), it.weight));
        Shares { stable: self.stable.clone(), canary, release: self.release }
    }

    /// The trial under way with traffic of users, if there is one.
    pub fn trial(&self) -> Option<&Trial> {
        match &self.phase {
            Phase::Canary(trial) | Phase::Watching(trial) => Some(trial),
            Phase::Live | Phase::Verifying(_) | Phase::RolledBack { .. } => None,
        }
    }

    /// The trial under way, with users or without.
    pub fn candidate(&self) -> Option<&Trial> {
        match &self.phase {
            Phase::Verifying(trial) | Phase::Canary(trial) | Phase::Watching(trial) => Some(trial),
            Phase::Live | Phase::RolledBack { .. } => None,
        }
    }

    pub(super) fn candidate_mut(&mut self) -> Option<&mut Trial> {
        match &mut self.phase {
            Phase::Verifying(trial) | Phase::Canary(trial) | Phase::Watching(trial) => Some(trial),
            Phase::Live | Phase::RolledBack { .. } => None,
        }
    }

    /// The canary's share; none without a trial.
    pub fn weight(&self) -> Weight {
        self.trial().map_or(Weight::NONE, |it| it.weight)
    }

    /// The version that is, or was, tried by the newest release.
    pub fn canary(&self) -> Option<&Version> {
        match &self.phase {
            Phase::Live => None,
            Phase::Verifying(trial) | Phase::Canary(trial) | Phase::Watching(trial) => Some(&trial.canary),
            Phase::RolledBack { canary, .. } => Some(canary),
        }
    }

    /// Whether this definition was rolled back and not retried.
    pub fn is_withdrawn(&self, fingerprint: Fingerprint) -> bool {
        self.quarantine.iter().any(|it| it.version.fingerprint == fingerprint)
    }

    /// Whether a release is asked for that has not begun.
    pub fn awaits_release(&self) -> bool {
        self.candidate().is_none()
            && self.wanted.name != self.stable.name
            && !self.is_withdrawn(self.wanted.fingerprint)
    }

    /// What keeps a weight from rising now, apart from evidence, as one sentence.
    pub fn hindrance(&self, permit: &Permit) -> Option<String> {
        let canary = self.candidate().map_or(&self.wanted, |it| &it.canary);
        if !self.ready.canary {
            return Some(format!("{canary} has no ready endpoint"));
        }
        if !self.ready.stable {
            return Some(format!(
                "{} has no ready endpoint, and users are never moved in silence",
                self.stable
            ));
        }
        (*permit != Permit::Open).then(|| permit.to_string())
    }

    /// The state in one word, the same on every surface.
    pub fn word(&self) -> &'static str {
        match (&self.phase, self.candidate().map(|it| &it.stance)) {
            (_, Some(Stance::Paused { .. })) => "PAUSED",
            (_, Some(Stance::Held(_) | Stance::Shut(_))) => "HELD",
            (_, Some(Stance::Asking)) => "APPROVAL",
            (Phase::Live, _) => "LIVE",
            (Phase::RolledBack { .. }, _) => "ROLLED BACK",
            (Phase::Verifying(_), _) => "VERIFYING",
            (Phase::Canary(_), _) => "CANARY",
            (Phase::Watching(_), _) => "WATCHING",
        }
    }

    /// Forgets versions of run time that nothing leads to any more: neither traffic, nor a wish, nor a
    /// rollback.
    pub(super) fn forget_unused(&mut self) {
        let trial = self.candidate().map(|it| it.canary.name.clone());
        let (stable, wanted) = (&self.stable.name, &self.wanted.name);
        let previous = self.previous.as_ref().map(|it| &it.version.name);
        self.deployed.retain(|it| {
            let name = &it.version.name;
            name == stable || name == wanted || Some(name) == previous || Some(name) == trial.as_ref()
        });
    }

    /// Keeps the clock of the release in step with what it is doing.
    pub(super) fn keep_time(&mut self, release_before: u64, now: Timestamp) {
        if self.release != release_before {
            self.clock = Clock::default();
        }
        let counts = self.candidate().is_some_and(|it| it.stance.counts());
        self.clock.follow(counts, now);
    }
}

impl Default for Ready {
    fn default() -> Self {
        Self { canary: true, stable: true }
    }
}
