//! Versions as the machine sees them: tried, proven, or withdrawn and why.

use std::fmt;

use crate::model::{Fingerprint, Timestamp, VersionName};

use super::event::Actor;

/// A version as the machine sees it: its name, and what it is.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Version {
    /// What the file calls it.
    pub name: VersionName,
    /// Hash of its definition; quarantine is by this.
    pub fingerprint: Fingerprint,
}

/// What was stable before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Previous {
    /// The version.
    pub version: Version,
    /// When it was replaced.
    pub since: Timestamp,
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
    /// Who did it.
    pub by: Actor,
}

/// A version that was added at run time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Deployed {
    /// The version.
    pub version: Version,
    /// What the file would say of it, as one line of YAML.
    pub definition: String,
    /// Who added it.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
}

/// Why a canary was taken out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cause {
    /// A guard found it worse, or none of its endpoints was left.
    Breach(String),
    /// A check said no.
    Check(String),
    /// It took too long.
    Deadline(String),
    /// There was too little traffic, and the plan says what that means.
    NoTraffic(String),
    /// A person rolled it back.
    Person {
        /// Who.
        by: Actor,
        /// Why, if they said.
        reason: Option<String>,
    },
    /// The file went back to stable, or dropped the canary.
    File,
    /// Another version is wanted now.
    Superseded,
    /// It was withdrawn before, and the file asks for it again.
    Quarantined,
}

impl Cause {
    /// Who took it out.
    pub fn by(&self) -> Actor {
        match self {
            Self::Person { by, .. } => by.clone(),
            _ => Actor::policy(),
        }
    }

    /// Whether it is the version's own fault or a person's word, so that an unchanged file must not
    /// start it again.
    pub fn withdraws(&self) -> bool {
        match self {
            Self::Breach(_) | Self::Check(_) | Self::Deadline(_) | Self::NoTraffic(_) => true,
            Self::Person { .. } => true,
            Self::File | Self::Superseded | Self::Quarantined => false,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Breach(why) | Self::Check(why) | Self::Deadline(why) | Self::NoTraffic(why) => {
                f.write_str(why)
            }
            Self::Person { by, reason: Some(reason) } => write!(f, "rolled back by {by}: {reason}"),
            Self::Person { by, reason: None } => write!(f, "rolled back by {by}"),
            Self::File => f.write_str("the file no longer asks for it"),
            Self::Superseded => f.write_str("superseded by a newer version"),
            Self::Quarantined => f.write_str("rolled back before; `retry` lifts the quarantine"),
        }
    }
}
