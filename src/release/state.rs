//! What a service is doing now. Each phase holds what that phase needs and nothing else.

use std::fmt;

use crate::model::{Fingerprint, Timestamp, VersionName, Weight};

use super::effect::Shares;
use super::event::{Actor, Shortfall};

/// A version as the machine sees it: its name, and what it is.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Version {
    /// What the file calls it.
    pub name: VersionName,
    /// Hash of its definition; quarantine is by this.
    pub fingerprint: Fingerprint,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

/// Everything that must survive a restart about the releases of one service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct State {
    /// The version that has proven itself, and that a rollback returns to.
    pub stable: Version,
    /// What was stable before, if it is still in the file.
    pub previous: Option<Version>,
    /// The file's `live` when it was last loaded.
    pub wanted: Version,
    /// Who asked for it: the file, or the person who lifted its quarantine.
    pub asked_by: Actor,
    /// Number of the newest release; 0 before the first. It seeds the sticky assignment.
    pub release: u64,
    /// How often the split or the phase changed. A command may say which count it was meant for.
    pub moves: u64,
    /// Versions that were rolled back and get no traffic until `retry`.
    pub quarantine: Vec<Withdrawn>,
    /// Where the newest release is.
    pub phase: Phase,
}

/// Where a release is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Stable has all traffic and nothing is being tried.
    Live,
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

/// A version that has weight and has not proven itself yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trial {
    /// The version being tried.
    pub canary: Version,
    /// Its share.
    pub weight: Weight,
    /// When it got this share.
    pub since: Timestamp,
    /// Not before this does the soak or the watch end.
    pub until: Timestamp,
    /// Judged canary responses without which it does not end.
    pub requests: u64,
    /// Whether it may move on.
    pub stance: Stance,
}

/// Whether a trial may move on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Stance {
    /// As soon as time and evidence allow.
    Advancing,
    /// Time is over and the evidence says neither yes nor no.
    Held(Shortfall),
    /// A person said so.
    Paused {
        /// Who.
        by: Actor,
        /// Why, if they said.
        reason: Option<String>,
    },
}

/// Why a canary was taken out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cause {
    /// A guard found it worse.
    Breach(String),
    /// A person rolled it back.
    Person {
        /// Who.
        by: Actor,
        /// Why, if they said.
        reason: Option<String>,
    },
    /// The file went back to stable, or dropped the canary.
    File,
    /// The file wants another version now.
    Superseded,
    /// It was withdrawn before, and the file asks for it again.
    Quarantined,
}

/// A definition that was rolled back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Withdrawn {
    /// What was withdrawn.
    pub version: Version,
    /// When.
    pub at: Timestamp,
    /// Why, as one sentence.
    pub why: String,
}

impl State {
    /// Who gets how much in this state.
    pub fn shares(&self) -> Shares {
        let canary = self.trial().map(|it| (it.canary.clone(), it.weight));
        Shares { stable: self.stable.clone(), canary, release: self.release }
    }

    /// The trial under way, if there is one.
    pub fn trial(&self) -> Option<&Trial> {
        match &self.phase {
            Phase::Canary(trial) | Phase::Watching(trial) => Some(trial),
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
            Phase::Canary(trial) | Phase::Watching(trial) => Some(&trial.canary),
            Phase::RolledBack { canary, .. } => Some(canary),
        }
    }

    /// Whether this definition was rolled back and not retried.
    pub fn is_withdrawn(&self, fingerprint: Fingerprint) -> bool {
        self.quarantine.iter().any(|it| it.version.fingerprint == fingerprint)
    }

    /// Whether the file asks for a release that has not begun.
    pub fn awaits_release(&self) -> bool {
        self.trial().is_none()
            && self.wanted.name != self.stable.name
            && !self.is_withdrawn(self.wanted.fingerprint)
    }

    /// The state in one word, the same on every surface.
    pub fn word(&self) -> &'static str {
        match &self.phase {
            Phase::Live => "LIVE",
            Phase::RolledBack { .. } => "ROLLED BACK",
            Phase::Canary(Trial { stance: Stance::Paused { .. }, .. })
            | Phase::Watching(Trial { stance: Stance::Paused { .. }, .. }) => "PAUSED",
            Phase::Canary(Trial { stance: Stance::Held(_), .. })
            | Phase::Watching(Trial { stance: Stance::Held(_), .. }) => "HELD",
            Phase::Canary(_) => "CANARY",
            Phase::Watching(_) => "WATCHING",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Breach(why) => f.write_str(why),
            Self::Person { by, reason: Some(reason) } => write!(f, "rolled back by {by}: {reason}"),
            Self::Person { by, reason: None } => write!(f, "rolled back by {by}"),
            Self::File => f.write_str("the file no longer asks for it"),
            Self::Superseded => f.write_str("superseded by a newer `live`"),
            Self::Quarantined => f.write_str("rolled back before; `retry` lifts the quarantine"),
        }
    }
}
