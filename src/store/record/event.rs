//! What the machine was told, as it is written.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;
use crate::release::{Command, Event, Finding, Loaded, Mark, Outcome, Permit, Shortfall};

use super::{ActorFile, VersionFile, unreadable, weight};

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EventFile {
    Loaded {
        live: VersionFile,
        versions: Vec<VersionFile>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        lost: Vec<VersionFile>,
        by: ActorFile,
    },
    Removed,
    Judged {
        finding: FindingFile,
        permit: PermitFile,
    },
    Checked {
        release: u64,
        moves: u64,
        passed: bool,
        text: String,
        permit: PermitFile,
    },
    Ready {
        canary: bool,
        stable: bool,
    },
    Commanded {
        command: CommandFile,
        by: ActorFile,
        permit: PermitFile,
    },
    Restarted {
        down_us: u64,
    },
    Tick(PermitFile),
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FindingFile {
    Worse(String),
    Fine,
    Proven,
    Unsure { why: String, requests: u64 },
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PermitFile {
    Open,
    Frozen { by: ActorFile, reason: Option<String> },
    Closed { opens_at_us: Option<u64> },
    Vetoed { why: String },
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CommandFile {
    Promote { full: bool, to_bp: Option<u16>, reason: Option<String>, insist: Option<String> },
    Pause { until_us: Option<u64>, reason: Option<String> },
    Weight { weight_bp: u16, reason: Option<String> },
    Resume,
    Rollback { to: Option<String>, reason: Option<String> },
    Retry,
    Deploy { version: VersionFile, definition: String, reason: Option<String> },
}

impl EventFile {
    pub fn of(it: &Event) -> Self {
        match it {
            Event::Loaded(it) => Self::Loaded {
                live: VersionFile::of(&it.live),
                versions: it.versions.iter().map(VersionFile::of).collect(),
                lost: it.lost.iter().map(VersionFile::of).collect(),
                by: ActorFile::of(&it.by),
            },
            Event::Removed => Self::Removed,
            Event::Judged(finding, permit) => {
                Self::Judged { finding: FindingFile::of(finding), permit: PermitFile::of(permit) }
            }
            Event::Checked(mark, outcome, permit) => {
                let (passed, text) = match outcome {
                    Outcome::Passed(text) => (true, text.clone()),
                    Outcome::Failed(text) => (false, text.clone()),
                };
                let permit = PermitFile::of(permit);
                Self::Checked { release: mark.release, moves: mark.moves, passed, text, permit }
            }
            Event::Ready { canary, stable } => Self::Ready { canary: *canary, stable: *stable },
            Event::Commanded(command, by, permit) => Self::Commanded {
                command: CommandFile::of(command),
                by: ActorFile::of(by),
                permit: PermitFile::of(permit),
            },
            Event::Restarted { down } => Self::Restarted { down_us: micros(*down) },
            Event::Tick(permit) => Self::Tick(PermitFile::of(permit)),
        }
    }

    pub fn meant(self) -> Result<Event, serde_json::Error> {
        Ok(match self {
            Self::Loaded { live, versions, lost, by } => Event::Loaded(Loaded {
                live: live.meant()?,
                versions: versions.into_iter().map(VersionFile::meant).collect::<Result<_, _>>()?,
                lost: lost.into_iter().map(VersionFile::meant).collect::<Result<_, _>>()?,
                by: by.meant(),
            }),
            Self::Removed => Event::Removed,
            Self::Judged { finding, permit } => Event::Judged(finding.meant(), permit.meant()),
            Self::Checked { release, moves, passed, text, permit } => {
                let outcome = if passed { Outcome::Passed(text) } else { Outcome::Failed(text) };
                Event::Checked(Mark { release, moves }, outcome, permit.meant())
            }
            Self::Ready { canary, stable } => Event::Ready { canary, stable },
            Self::Commanded { command, by, permit } => {
                Event::Commanded(command.meant()?, by.meant(), permit.meant())
            }
            Self::Restarted { down_us } => Event::Restarted { down: Duration::from_micros(down_us) },
            Self::Tick(permit) => Event::Tick(permit.meant()),
        })
    }
}

impl FindingFile {
    fn of(it: &Finding) -> Self {
        match it {
            Finding::Worse(why) => Self::Worse(why.clone()),
            Finding::Fine => Self::Fine,
            Finding::Proven => Self::Proven,
            Finding::Unsure(it) => Self::Unsure { why: it.why.clone(), requests: it.requests },
        }
    }

    fn meant(self) -> Finding {
        match self {
            Self::Worse(why) => Finding::Worse(why),
            Self::Fine => Finding::Fine,
            Self::Proven => Finding::Proven,
            Self::Unsure { why, requests } => Finding::Unsure(Shortfall { why, requests }),
        }
    }
}

impl PermitFile {
    pub fn of(it: &Permit) -> Self {
        match it {
            Permit::Open => Self::Open,
            Permit::Frozen { by, reason } => Self::Frozen { by: ActorFile::of(by), reason: reason.clone() },
            Permit::Closed { opens_at } => Self::Closed { opens_at_us: opens_at.map(|it| it.0) },
            Permit::Vetoed(why) => Self::Vetoed { why: why.clone() },
        }
    }

    pub fn meant(self) -> Permit {
        match self {
            Self::Open => Permit::Open,
            Self::Frozen { by, reason } => Permit::Frozen { by: by.meant(), reason },
            Self::Closed { opens_at_us } => Permit::Closed { opens_at: opens_at_us.map(Timestamp) },
            Self::Vetoed { why } => Permit::Vetoed(why),
        }
    }
}

impl CommandFile {
    fn of(it: &Command) -> Self {
        match it.clone() {
            Command::Promote { full, to, reason, insist } => {
                Self::Promote { full, to_bp: to.map(|it| it.basis_points()), reason, insist }
            }
            Command::Pause { until, reason } => Self::Pause { until_us: until.map(|it| it.0), reason },
            Command::Weight { weight, reason } => Self::Weight { weight_bp: weight.basis_points(), reason },
            Command::Resume => Self::Resume,
            Command::Rollback { to, reason } => Self::Rollback { to: to.map(|it| it.to_string()), reason },
            Command::Retry => Self::Retry,
            Command::Deploy { version, definition, reason } => {
                Self::Deploy { version: VersionFile::of(&version), definition, reason }
            }
        }
    }

    fn meant(self) -> Result<Command, serde_json::Error> {
        Ok(match self {
            Self::Promote { full, to_bp, reason, insist } => {
                Command::Promote { full, to: to_bp.map(weight).transpose()?, reason, insist }
            }
            Self::Pause { until_us, reason } => Command::Pause { until: until_us.map(Timestamp), reason },
            Self::Weight { weight_bp, reason } => Command::Weight { weight: weight(weight_bp)?, reason },
            Self::Resume => Command::Resume,
            Self::Rollback { to, reason } => {
                let to = to.map(|it| it.parse().map_err(unreadable)).transpose()?;
                Command::Rollback { to, reason }
            }
            Self::Retry => Command::Retry,
            Self::Deploy { version, definition, reason } => {
                Command::Deploy { version: version.meant()?, definition, reason }
            }
        })
    }
}

fn micros(it: Duration) -> u64 {
    u64::try_from(it.as_micros()).unwrap_or(u64::MAX)
}
