//! What can happen to a release.

use std::fmt;
use std::time::Duration;

use crate::model::{Timestamp, VersionName, Weight};

use super::check::{Mark, Outcome};
use super::permit::Permit;
use super::version::Version;

/// What can happen to a release. Whatever may raise a weight says whether that is permitted now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A configuration was loaded, changed or not.
    Loaded(Loaded),
    /// The service is no longer in the file.
    Removed,
    /// The evidence was looked at.
    Judged(Finding, Permit),
    /// The checks of an errand have ended.
    Checked(Mark, Outcome, Permit),
    /// Endpoints came or went. Saying it again changes nothing.
    Ready {
        /// Whether the version that is tried, or wanted, has an endpoint that is ready.
        canary: bool,
        /// Whether stable has one.
        stable: bool,
    },
    /// A person wants something.
    Commanded(Command, Actor, Permit),
    /// The process was started again and this state was read from the journal.
    Restarted {
        /// How long it was away, as far as that is known.
        down: Duration,
    },
    /// Something has changed or time has passed: deadlines are looked at, and a release that is asked
    /// for may begin.
    Tick(Permit),
}

/// What a configuration says about a service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Loaded {
    /// The version that should be live.
    pub live: Version,
    /// Every version that the file names, `live` among them.
    pub versions: Vec<Version>,
    /// Versions of run time that cannot be had any more, because something that they rest on is gone.
    pub lost: Vec<Version>,
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
    /// It is known to be good enough to end a step before its time.
    Proven,
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
    /// Yes to the gate that asks, or to the next step now.
    Promote {
        /// Straight to 100 %; at 100 %, ends the watch.
        full: bool,
        /// To this share, past the steps below it.
        to: Option<Weight>,
        /// Why.
        reason: Option<String>,
        /// Past a freeze, a closed window, checks or a quarantine, and why. It is written down.
        insist: Option<String>,
    },
    /// Do not move on. Guards stay armed.
    Pause {
        /// Go on by itself then; `None`: when somebody resumes it.
        until: Option<Timestamp>,
        /// Why.
        reason: Option<String>,
    },
    /// This share, and stay there until `resume`. Guards stay armed.
    Weight {
        /// The canary's share.
        weight: Weight,
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
    /// Lift the quarantine of the version that is wanted.
    Retry,
    /// Add a version and release it.
    Deploy {
        /// The version.
        version: Version,
        /// What the file would say of it, as one line of YAML.
        definition: String,
        /// Why.
        reason: Option<String>,
    },
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
    /// `promote` without anything else.
    pub fn promote(full: bool) -> Self {
        Self::Promote { full, to: None, reason: None, insist: None }
    }

    /// What one types.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Promote { full: false, .. } => "promote",
            Self::Promote { full: true, .. } => "promote --full",
            Self::Weight { .. } => "weight",
            Self::Pause { .. } => "pause",
            Self::Resume => "resume",
            Self::Rollback { .. } => "rollback",
            Self::Retry => "retry",
            Self::Deploy { .. } => "deploy",
        }
    }
}
