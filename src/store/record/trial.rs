//! Phases and trials as they are written.
//!
//! What the first version did not know is left out while it says nothing, so that an old reader is not
//! troubled before it has to be.

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;
use crate::release::{Cause, Phase, Shortfall, Stance, Trial};

use super::{ActorFile, VersionFile, weight};

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PhaseFile {
    Live,
    Verifying(TrialFile),
    Canary(TrialFile),
    Watching(TrialFile),
    RolledBack { canary: VersionFile, cause: CauseFile, at_us: u64 },
}

#[derive(Deserialize, Serialize)]
pub(super) struct TrialFile {
    canary: VersionFile,
    weight_bp: u16,
    since_us: u64,
    until_us: u64,
    requests: u64,
    #[serde(default, skip_serializing_if = "is_false")]
    checked: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    approved: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by_hand: Option<ActorFile>,
    stance: StanceFile,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum StanceFile {
    Advancing,
    Held {
        why: String,
        requests: u64,
    },
    Checking,
    Asking,
    Shut {
        why: String,
    },
    Paused {
        by: ActorFile,
        reason: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until_us: Option<u64>,
    },
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CauseFile {
    Breach(String),
    Check(String),
    Deadline(String),
    NoTraffic(String),
    Person { by: ActorFile, reason: Option<String> },
    File,
    Superseded,
    Quarantined,
}

impl PhaseFile {
    pub fn of(it: &Phase) -> Self {
        match it {
            Phase::Live => Self::Live,
            Phase::Verifying(it) => Self::Verifying(TrialFile::of(it)),
            Phase::Canary(it) => Self::Canary(TrialFile::of(it)),
            Phase::Watching(it) => Self::Watching(TrialFile::of(it)),
            Phase::RolledBack { canary, cause, at } => {
                Self::RolledBack { canary: VersionFile::of(canary), cause: CauseFile::of(cause), at_us: at.0 }
            }
        }
    }

    pub fn meant(self) -> Result<Phase, serde_json::Error> {
        Ok(match self {
            Self::Live => Phase::Live,
            Self::Verifying(it) => Phase::Verifying(it.meant()?),
            Self::Canary(it) => Phase::Canary(it.meant()?),
            Self::Watching(it) => Phase::Watching(it.meant()?),
            Self::RolledBack { canary, cause, at_us } => {
                Phase::RolledBack { canary: canary.meant()?, cause: cause.meant(), at: Timestamp(at_us) }
            }
        })
    }
}

impl TrialFile {
    fn of(it: &Trial) -> Self {
        Self {
            canary: VersionFile::of(&it.canary),
            weight_bp: it.weight.basis_points(),
            since_us: it.since.0,
            until_us: it.until.0,
            requests: it.requests,
            checked: it.checked,
            approved: it.approved,
            by_hand: it.by_hand.as_ref().map(ActorFile::of),
            stance: StanceFile::of(&it.stance),
        }
    }

    fn meant(self) -> Result<Trial, serde_json::Error> {
        Ok(Trial {
            canary: self.canary.meant()?,
            weight: weight(self.weight_bp)?,
            since: Timestamp(self.since_us),
            until: Timestamp(self.until_us),
            requests: self.requests,
            checked: self.checked,
            approved: self.approved,
            by_hand: self.by_hand.map(ActorFile::meant),
            stance: self.stance.meant(),
        })
    }
}

impl StanceFile {
    fn of(it: &Stance) -> Self {
        match it {
            Stance::Advancing => Self::Advancing,
            Stance::Held(it) => Self::Held { why: it.why.clone(), requests: it.requests },
            Stance::Checking => Self::Checking,
            Stance::Asking => Self::Asking,
            Stance::Shut(why) => Self::Shut { why: why.clone() },
            Stance::Paused { by, reason, until } => {
                Self::Paused { by: ActorFile::of(by), reason: reason.clone(), until_us: until.map(|it| it.0) }
            }
        }
    }

    fn meant(self) -> Stance {
        match self {
            Self::Advancing => Stance::Advancing,
            Self::Held { why, requests } => Stance::Held(Shortfall { why, requests }),
            Self::Checking => Stance::Checking,
            Self::Asking => Stance::Asking,
            Self::Shut { why } => Stance::Shut(why),
            Self::Paused { by, reason, until_us } => {
                Stance::Paused { by: by.meant(), reason, until: until_us.map(Timestamp) }
            }
        }
    }
}

impl CauseFile {
    fn of(it: &Cause) -> Self {
        match it {
            Cause::Breach(why) => Self::Breach(why.clone()),
            Cause::Check(why) => Self::Check(why.clone()),
            Cause::Deadline(why) => Self::Deadline(why.clone()),
            Cause::NoTraffic(why) => Self::NoTraffic(why.clone()),
            Cause::Person { by, reason } => Self::Person { by: ActorFile::of(by), reason: reason.clone() },
            Cause::File => Self::File,
            Cause::Superseded => Self::Superseded,
            Cause::Quarantined => Self::Quarantined,
        }
    }

    fn meant(self) -> Cause {
        match self {
            Self::Breach(why) => Cause::Breach(why),
            Self::Check(why) => Cause::Check(why),
            Self::Deadline(why) => Cause::Deadline(why),
            Self::NoTraffic(why) => Cause::NoTraffic(why),
            Self::Person { by, reason } => Cause::Person { by: by.meant(), reason },
            Self::File => Cause::File,
            Self::Superseded => Cause::Superseded,
            Self::Quarantined => Cause::Quarantined,
        }
    }
}

fn is_false(it: &bool) -> bool {
    !it
}
