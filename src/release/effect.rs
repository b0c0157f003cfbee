//! What is to be done about an event, as data. Effects are carried out in their order.

use std::fmt;

use crate::model::{Timestamp, Weight};

use super::event::Actor;
use super::version::Version;

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect {
    /// Route by these shares from now on.
    Split(Shares),
    /// Write this down with the state that goes with it. What follows in the list waits until it is
    /// on disk; what came before it did not.
    Record(Entry),
    /// The command changes nothing, because it is so already.
    Already(String),
    /// The command is refused.
    Refuse(Refusal),
}

/// Who gets how much: the canary its weight, stable the rest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shares {
    /// Gets what the canary does not.
    pub stable: Version,
    /// The version being tried and its share.
    pub canary: Option<(Version, Weight)>,
    /// Seeds the sticky assignment.
    pub release: u64,
}

/// A line of the history.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
    /// Who.
    pub by: Actor,
    /// The version it is about.
    pub version: Version,
    /// The canary's weight before.
    pub from: Weight,
    /// The canary's weight after.
    pub to: Weight,
    /// One sentence for people.
    pub text: String,
}

/// What happened.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum What {
    /// First sight of a service: its live became stable at once.
    Adopted,
    /// The definition of stable changed in the file.
    Redefined,
    /// A release began.
    Began,
    /// The canary got the weight of a later step.
    Advanced,
    /// The canary got all traffic; the watch began.
    Promoted,
    /// The canary is stable now.
    Completed,
    /// The canary was taken out.
    RolledBack,
    /// A newer `live` took its place.
    Superseded,
    /// The file asks for a version in quarantine.
    Barred,
    /// The file asks for stable again after a rollback.
    Settled,
    /// A person stopped it from moving on.
    Paused,
    /// A person let it move on.
    Resumed,
    /// It cannot move on for want of evidence.
    Held,
    /// Evidence came, or time was given: it may move on again.
    Released,
    /// A person lifted the quarantine.
    Retried,
    /// The process started again and took up where it was.
    Restarted,
    /// A release began with checks and without users.
    Verifying,
    /// The checks of a step began.
    Checking,
    /// The checks have passed.
    Checked,
    /// A gate asks a person.
    Asked,
    /// A person said yes to a gate.
    Approved,
    /// A person insisted against a rule, and said why.
    Overridden,
    /// A guard found it worse, and the plan does not take it out for that.
    Breached,
    /// A person gave the canary a weight by hand.
    Weighted,
    /// A lane has no ready endpoint.
    Unready,
    /// Every lane has a ready endpoint again.
    Ready,
    /// The version before is no longer kept for a rollback.
    Expired,
    /// A person stopped everything from advancing.
    Frozen,
    /// A person let everything advance again.
    Unfrozen,
    /// A person added a version, which is wanted now.
    Deployed,
    /// What runs is not what the file says any more.
    Drifted,
    /// What runs is what the file says again.
    InSync,
}

/// Why a command was not carried out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// For people: one sentence that names the way out.
    pub reason: String,
}

/// Kinds of refusals.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RefusalCode {
    /// No such service.
    UnknownService,
    /// The command makes no sense in this state.
    WrongState,
    /// The version is in quarantine.
    Quarantined,
    /// There is no version to return to.
    NoTarget,
    /// It was meant for another step.
    Stale,
    /// A step is being taken right now.
    Busy,
    /// A freeze or the release window is in the way.
    NotPermitted,
    /// Only the file may change this.
    FileDecides,
    /// There is no endpoint to send requests to.
    NotReady,
    /// The disk does not take the record, so nothing may rise.
    NotDurable,
    /// The controller is stopping.
    Stopping,
}

impl What {
    /// In one word, as `events` prints it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Adopted => "adopted",
            Self::Redefined => "redefined",
            Self::Began => "began",
            Self::Advanced => "advanced",
            Self::Promoted => "promoted",
            Self::Completed => "completed",
            Self::RolledBack => "rolled_back",
            Self::Superseded => "superseded",
            Self::Barred => "barred",
            Self::Settled => "settled",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Held => "held",
            Self::Released => "released",
            Self::Retried => "retried",
            Self::Restarted => "restarted",
            Self::Verifying => "verifying",
            Self::Checking => "checking",
            Self::Checked => "checked",
            Self::Asked => "asked",
            Self::Approved => "approved",
            Self::Overridden => "overridden",
            Self::Breached => "breached",
            Self::Weighted => "weighted",
            Self::Unready => "unready",
            Self::Ready => "ready",
            Self::Expired => "expired",
            Self::Frozen => "frozen",
            Self::Unfrozen => "unfrozen",
            Self::Deployed => "deployed",
            Self::Drifted => "drifted",
            Self::InSync => "in_sync",
        }
    }

    /// Every kind, in the order of the declaration.
    pub const EVERY: [Self; 32] = [
        Self::Adopted,
        Self::Redefined,
        Self::Began,
        Self::Advanced,
        Self::Promoted,
        Self::Completed,
        Self::RolledBack,
        Self::Superseded,
        Self::Barred,
        Self::Settled,
        Self::Paused,
        Self::Resumed,
        Self::Held,
        Self::Released,
        Self::Retried,
        Self::Restarted,
        Self::Verifying,
        Self::Checking,
        Self::Checked,
        Self::Asked,
        Self::Approved,
        Self::Overridden,
        Self::Breached,
        Self::Weighted,
        Self::Unready,
        Self::Ready,
        Self::Expired,
        Self::Frozen,
        Self::Unfrozen,
        Self::Deployed,
        Self::Drifted,
        Self::InSync,
    ];
}

impl RefusalCode {
    /// In one word, as the admin interface prints it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownService => "unknown_service",
            Self::WrongState => "wrong_state",
            Self::Quarantined => "quarantined",
            Self::NoTarget => "no_target",
            Self::Stale => "stale",
            Self::Busy => "busy",
            Self::NotPermitted => "not_permitted",
            Self::FileDecides => "file_decides",
            Self::NotReady => "not_ready",
            Self::NotDurable => "not_durable",
            Self::Stopping => "stopping",
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Refusal {
    /// A refusal with its sentence.
    pub fn new(code: RefusalCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}
