//! Records as they are written: JSON, with types of their own.
//!
//! The machine's types may change from one version to the next; these may only grow, with defaults for
//! what an older version did not write. `fixtures/` holds what older versions did write.

mod event;
mod line;
mod plan;
mod trace;
mod trial;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Fingerprint, Timestamp, VersionName, Weight};
use crate::release::{Actor, Clock, Deployed, Previous, Ready, State, Version, Via, Withdrawn};

use super::{Change, Evidence, Freeze, Record};

use self::line::LineFile;
pub(super) use self::trace::{digest, read_notes, write_notes};
use self::trial::PhaseFile;

/// Records as the payload of a frame.
pub(super) fn write(records: &[Record]) -> Vec<u8> {
    let records: Vec<RecordFile> = records.iter().map(RecordFile::of).collect();
    serde_json::to_vec(&records).expect("strings and numbers can always be written as JSON")
}

/// The records of a frame.
pub(super) fn read(payload: &[u8]) -> Result<Vec<Record>, serde_json::Error> {
    let records: Vec<RecordFile> = serde_json::from_slice(payload)?;
    records.into_iter().map(RecordFile::meant).collect()
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum RecordFile {
    Change(Box<ChangeFile>),
    Line(Box<LineFile>),
    Evidence(EvidenceFile),
    Freeze(Option<FreezeFile>),
}

#[derive(Deserialize, Serialize)]
struct FreezeFile {
    by: ActorFile,
    reason: Option<String>,
    until_us: Option<u64>,
}

#[derive(Deserialize, Serialize)]
struct ChangeFile {
    service: String,
    state: StateFile,
    line: Option<LineFile>,
}

#[derive(Deserialize, Serialize)]
struct StateFile {
    stable: VersionFile,
    previous: Option<VersionFile>,
    /// When it was replaced; what an older version kept was replaced long ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_since_us: Option<u64>,
    wanted: VersionFile,
    /// Missing where it is the same: a file alone could want something then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filed: Option<VersionFile>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    deployed: Vec<DeployedFile>,
    asked_by: ActorFile,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked_at_us: Option<u64>,
    release: u64,
    moves: u64,
    quarantine: Vec<WithdrawnFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clock: Option<ClockFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ready: Option<ReadyFile>,
    phase: PhaseFile,
}

#[derive(Deserialize, Serialize)]
struct VersionFile {
    name: String,
    fingerprint: u64,
}

#[derive(Deserialize, Serialize)]
struct ActorFile {
    name: String,
    via: ViaFile,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum ViaFile {
    Policy,
    File,
    Cli,
    Api,
}

#[derive(Deserialize, Serialize)]
struct WithdrawnFile {
    version: VersionFile,
    at_us: u64,
    why: String,
    /// Missing where it was no person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<ActorFile>,
}

#[derive(Deserialize, Serialize)]
struct DeployedFile {
    version: VersionFile,
    definition: String,
    by: ActorFile,
    at_us: u64,
}

#[derive(Deserialize, Serialize)]
struct ClockFile {
    spent_us: u64,
    since_us: Option<u64>,
}

#[derive(Deserialize, Serialize)]
struct ReadyFile {
    canary: bool,
    stable: bool,
}

/// For the judge: fractions are kept bit for bit, which a decimal text does not promise.
#[derive(Deserialize, Serialize)]
struct EvidenceFile {
    service: String,
    release: u64,
    began_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_us: Option<u64>,
    counts: Vec<u64>,
    values_bits: Vec<u64>,
}

impl RecordFile {
    fn of(it: &Record) -> Self {
        match it {
            Record::Change(it) => Self::Change(Box::new(ChangeFile {
                service: it.service.to_string(),
                state: StateFile::of(&it.state),
                line: it.line.as_ref().map(LineFile::of),
            })),
            Record::Line(it) => Self::Line(Box::new(LineFile::of(it))),
            Record::Evidence(it) => Self::Evidence(EvidenceFile {
                service: it.service.to_string(),
                release: it.release,
                began_us: it.began.0,
                at_us: Some(it.at.0).filter(|it| *it > 0),
                counts: it.counts.clone(),
                values_bits: it.values.iter().map(|it| it.to_bits()).collect(),
            }),
            Record::Freeze(it) => Self::Freeze(it.as_ref().map(|it| FreezeFile {
                by: ActorFile::of(&it.by),
                reason: it.reason.clone(),
                until_us: it.until.map(|it| it.0),
            })),
        }
    }

    fn meant(self) -> Result<Record, serde_json::Error> {
        Ok(match self {
            Self::Change(it) => Record::Change(Box::new(Change {
                service: it.service.parse().map_err(unreadable)?,
                state: it.state.meant()?,
                line: it.line.map(LineFile::meant).transpose()?,
            })),
            Self::Freeze(it) => Record::Freeze(it.map(|it| Freeze {
                by: it.by.meant(),
                reason: it.reason,
                until: it.until_us.map(Timestamp),
            })),
            Self::Line(it) => Record::Line(Box::new(it.meant()?)),
            Self::Evidence(it) => Record::Evidence(Box::new(Evidence {
                service: it.service.parse().map_err(unreadable)?,
                release: it.release,
                began: Timestamp(it.began_us),
                at: Timestamp(it.at_us.unwrap_or_default()),
                counts: it.counts,
                values: it.values_bits.into_iter().map(f64::from_bits).collect(),
            })),
        })
    }
}

impl StateFile {
    fn of(it: &State) -> Self {
        Self {
            stable: VersionFile::of(&it.stable),
            previous: it.previous.as_ref().map(|it| VersionFile::of(&it.version)),
            previous_since_us: it.previous.as_ref().map(|it| it.since.0).filter(|it| *it != 0),
            wanted: VersionFile::of(&it.wanted),
            filed: (it.filed != it.wanted).then(|| VersionFile::of(&it.filed)),
            deployed: it.deployed.iter().map(DeployedFile::of).collect(),
            asked_by: ActorFile::of(&it.asked_by),
            asked_at_us: Some(it.asked_at.0).filter(|it| *it > 0),
            release: it.release,
            moves: it.moves,
            quarantine: it.quarantine.iter().map(WithdrawnFile::of).collect(),
            clock: ClockFile::of(&it.clock),
            ready: ReadyFile::of(it.ready),
            phase: PhaseFile::of(&it.phase),
        }
    }

    fn meant(self) -> Result<State, serde_json::Error> {
        let since = Timestamp(self.previous_since_us.unwrap_or_default());
        let previous = self.previous.map(VersionFile::meant).transpose()?;
        let wanted = self.wanted.meant()?;
        Ok(State {
            stable: self.stable.meant()?,
            previous: previous.map(|version| Previous { version, since }),
            filed: self.filed.map_or(Ok(wanted.clone()), VersionFile::meant)?,
            deployed: self.deployed.into_iter().map(DeployedFile::meant).collect::<Result<_, _>>()?,
            wanted,
            asked_by: self.asked_by.meant(),
            asked_at: Timestamp(self.asked_at_us.unwrap_or_default()),
            release: self.release,
            moves: self.moves,
            quarantine: self.quarantine.into_iter().map(WithdrawnFile::meant).collect::<Result<_, _>>()?,
            clock: self.clock.map_or(Clock::default(), ClockFile::meant),
            ready: self.ready.map_or(Ready::default(), ReadyFile::meant),
            phase: self.phase.meant()?,
        })
    }
}

impl VersionFile {
    fn of(it: &Version) -> Self {
        Self { name: it.name.to_string(), fingerprint: it.fingerprint.0 }
    }

    fn meant(self) -> Result<Version, serde_json::Error> {
        let name: VersionName = self.name.parse().map_err(unreadable)?;
        Ok(Version { name, fingerprint: Fingerprint(self.fingerprint) })
    }
}

impl ActorFile {
    fn of(it: &Actor) -> Self {
        let via = match it.via {
            Via::Policy => ViaFile::Policy,
            Via::File => ViaFile::File,
            Via::Cli => ViaFile::Cli,
            Via::Api => ViaFile::Api,
        };
        Self { name: it.name.clone(), via }
    }

    fn meant(self) -> Actor {
        let via = match self.via {
            ViaFile::Policy => Via::Policy,
            ViaFile::File => Via::File,
            ViaFile::Cli => Via::Cli,
            ViaFile::Api => Via::Api,
        };
        Actor { name: self.name, via }
    }
}

impl WithdrawnFile {
    fn of(it: &Withdrawn) -> Self {
        let by = (it.by != Actor::policy()).then(|| ActorFile::of(&it.by));
        Self { version: VersionFile::of(&it.version), at_us: it.at.0, why: it.why.clone(), by }
    }

    fn meant(self) -> Result<Withdrawn, serde_json::Error> {
        let by = self.by.map_or_else(Actor::policy, ActorFile::meant);
        Ok(Withdrawn { version: self.version.meant()?, at: Timestamp(self.at_us), why: self.why, by })
    }
}

impl DeployedFile {
    fn of(it: &Deployed) -> Self {
        let (version, by) = (VersionFile::of(&it.version), ActorFile::of(&it.by));
        Self { version, definition: it.definition.clone(), by, at_us: it.at.0 }
    }

    fn meant(self) -> Result<Deployed, serde_json::Error> {
        let (version, by) = (self.version.meant()?, self.by.meant());
        Ok(Deployed { version, definition: self.definition, by, at: Timestamp(self.at_us) })
    }
}

impl ClockFile {
    fn of(it: &Clock) -> Option<Self> {
        let spent_us = u64::try_from(it.spent.as_micros()).unwrap_or(u64::MAX);
        (*it != Clock::default()).then(|| Self { spent_us, since_us: it.since.map(|it| it.0) })
    }

    fn meant(self) -> Clock {
        Clock { spent: Duration::from_micros(self.spent_us), since: self.since_us.map(Timestamp) }
    }
}

impl ReadyFile {
    fn of(it: Ready) -> Option<Self> {
        (it != Ready::default()).then_some(Self { canary: it.canary, stable: it.stable })
    }

    fn meant(self) -> Ready {
        Ready { canary: self.canary, stable: self.stable }
    }
}

fn weight(basis_points: u16) -> Result<Weight, serde_json::Error> {
    Weight::from_basis_points(basis_points.into()).map_err(unreadable)
}

fn unreadable(why: impl std::fmt::Display) -> serde_json::Error {
    serde::de::Error::custom(why)
}
