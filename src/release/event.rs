//! What can happen to a release.

use std::fmt;

use crate::model::VersionName;

use super::state::Version;

/// What can happen to a release.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A configuration was loaded, changed or not.
    Loaded(Loaded),
    /// The service is no longer in the file.
    Removed,
    /// The evidence was looked at.
    Judged(Finding),
    /// A person wants something.
    Commanded(Command, Actor),
    /// The process was started again and this state was read from the journal.
    Restarted,
    /// Something has changed or time has passed: a release that is asked for may begin.
    Tick,
}

/// What a configuration says about a service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Loaded {
    /// The version that should be live.
    pub live: Version,
    /// Every version of the service, `live` among them.
    pub versions: Vec<Version>,
    /// Who loaded it.
    pub by: Actor,
}

/// What the guards say, as far as a release cares.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finding {
    /// The canary is worse than allowed, and why, as one sentence.
    Worse(String),
    /// Nothing speaks against moving on.
    Fine,
    /// Neither.
    Unsure(Shortfall),
}

/// What is missing for a verdict.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shortfall {
    /// As one sentence.
    pub why: String,
    /// Canary responses still needed; 0 when more of them would not help.
    pub requests: u64,
}

/// What a person may ask for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command {
    /// To the next step now.
    Promote {
        /// Straight to 100 %; at 100 %, ends the watch.
        full: bool,
    },
    /// Do not move on. Guards stay armed.
    Pause {
        /// Why.
        reason: Option<String>,
    },
    /// Move on again.
    Resume,
    /// Back to stable at once.
    Rollback {
        /// The version to return to, if it matters which.
        to: Option<VersionName>,
        /// Why.
        reason: Option<String>,
    },
    /// Lift the quarantine of the version that the file wants.
    Retry,
}

/// Who did something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Actor {
    /// A user, a file, or tidegate itself.
    pub name: String,
    /// By which way.
    pub via: Via,
}

/// The way by which somebody acts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Via {
    /// tidegate itself, by plan and evidence.
    Policy,
    /// The configuration file.
    File,
    /// The command line.
    Cli,
    /// The admin interface.
    Api,
}

impl Actor {
    /// tidegate itself.
    pub fn policy() -> Self {
        Self { name: "tidegate".into(), via: Via::Policy }
    }

    /// A configuration, by where it was read.
    pub fn file(source: &str) -> Self {
        Self { name: source.into(), via: Via::File }
    }
}

impl Via {
    /// In one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::File => "file",
            Self::Cli => "cli",
            Self::Api => "api",
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.via {
            Via::Policy => f.write_str("policy"),
            Via::File => write!(f, "the file ({})", self.name),
            Via::Cli | Via::Api => write!(f, "{} ({})", self.name, self.via.as_str()),
        }
    }
}

impl Command {
    /// What one types.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Promote { full: false } => "promote",
            Self::Promote { full: true } => "promote --full",
            Self::Pause { .. } => "pause",
            Self::Resume => "resume",
            Self::Rollback { .. } => "rollback",
            Self::Retry => "retry",
        }
    }
}
