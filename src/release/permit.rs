//! Whether a weight may rise at this moment, apart from all evidence.

use std::fmt;

use crate::model::Timestamp;

use super::event::Actor;

/// What the calendar and the people say about rising. Nothing here ever stops a rollback.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Permit {
    /// Nothing is in the way.
    #[default]
    Open,
    /// A person has frozen all releases.
    Frozen {
        /// Who.
        by: Actor,
        /// Why, if they said.
        reason: Option<String>,
    },
    /// It is outside of the release window.
    Closed {
        /// When that opens, if it ever does.
        opens_at: Option<Timestamp>,
    },
    /// A guard from outside holds: what it said, or that it says nothing.
    Vetoed(String),
}

/// Why not, as one sentence; nothing when it is open.
impl fmt::Display for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => Ok(()),
            Self::Frozen { by, reason: Some(reason) } => write!(f, "frozen by {by}: {reason}"),
            Self::Frozen { by, reason: None } => write!(f, "frozen by {by}"),
            Self::Closed { opens_at: Some(at) } => {
                write!(f, "outside of the release window, which opens at {at}")
            }
            Self::Vetoed(why) => f.write_str(why),
            Self::Closed { opens_at: None } => f.write_str("outside of the release window"),
        }
    }
}
