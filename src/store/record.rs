//! Records as they are written: JSON, with types of their own.
//!
//! The machine's types may change from one version to the next; these may only grow, with defaults for
//! what an older version did not write. `fixtures/` holds what older versions did write.

mod line;

use serde::{Deserialize, Serialize};

use crate::model::{Fingerprint, Timestamp, VersionName, Weight};
use crate::release::{Actor, Cause, Phase, Shortfall, Stance, State, Trial, Version, Via, Withdrawn};

use super::{Change, Evidence, Record};

use self::line::LineFile;

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
    wanted: VersionFile,
    asked_by: ActorFile,
    release: u64,
    moves: u64,
    quarantine: Vec<WithdrawnFile>,
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
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum PhaseFile {
    Live,
    Canary(TrialFile),
    Watching(TrialFile),
    RolledBack { canary: VersionFile, cause: CauseFile, at_us: u64 },
}

#[derive(Deserialize, Serialize)]
struct TrialFile {
    canary: VersionFile,
    weight_bp: u16,
    since_us: u64,
    until_us: u64,
    requests: u64,
    stance: StanceFile,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum StanceFile {
    Advancing,
    Held { why: String, requests: u64 },
    Paused { by: ActorFile, reason: Option<String> },
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum CauseFile {
    Breach(String),
    Person { by: ActorFile, reason: Option<String> },
    File,
    Superseded,
    Quarantined,
}

/// For the judge: fractions are kept bit for bit, which a decimal text does not promise.
#[derive(Deserialize, Serialize)]
struct EvidenceFile {
    service: String,
    release: u64,
    began_us: u64,
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
                counts: it.counts.clone(),
                values_bits: it.values.iter().map(|it| it.to_bits()).collect(),
            }),
        }
    }

    fn meant(self) -> Result<Record, serde_json::Error> {
        Ok(match self {
            Self::Change(it) => Record::Change(Box::new(Change {
                service: it.service.parse().map_err(unreadable)?,
                state: it.state.meant()?,
                line: it.line.map(LineFile::meant).transpose()?,
            })),
            Self::Line(it) => Record::Line(Box::new(it.meant()?)),
            Self::Evidence(it) => Record::Evidence(Box::new(Evidence {
                service: it.service.parse().map_err(unreadable)?,
                release: it.release,
                began: Timestamp(it.began_us),
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
            previous: it.previous.as_ref().map(VersionFile::of),
            wanted: VersionFile::of(&it.wanted),
            asked_by: ActorFile::of(&it.asked_by),
            release: it.release,
            moves: it.moves,
            quarantine: it.quarantine.iter().map(WithdrawnFile::of).collect(),
            phase: PhaseFile::of(&it.phase),
        }
    }

    fn meant(self) -> Result<State, serde_json::Error> {
        Ok(State {
            stable: self.stable.meant()?,
            previous: self.previous.map(VersionFile::meant).transpose()?,
            wanted: self.wanted.meant()?,
            asked_by: self.asked_by.meant(),
            release: self.release,
            moves: self.moves,
            quarantine: self.quarantine.into_iter().map(WithdrawnFile::meant).collect::<Result<_, _>>()?,
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
        Self { version: VersionFile::of(&it.version), at_us: it.at.0, why: it.why.clone() }
    }

    fn meant(self) -> Result<Withdrawn, serde_json::Error> {
        Ok(Withdrawn { version: self.version.meant()?, at: Timestamp(self.at_us), why: self.why })
    }
}

impl PhaseFile {
    fn of(it: &Phase) -> Self {
        match it {
            Phase::Live => Self::Live,
            Phase::Canary(it) => Self::Canary(TrialFile::of(it)),
            Phase::Watching(it) => Self::Watching(TrialFile::of(it)),
            Phase::RolledBack { canary, cause, at } => {
                Self::RolledBack { canary: VersionFile::of(canary), cause: CauseFile::of(cause), at_us: at.0 }
            }
        }
    }

    fn meant(self) -> Result<Phase, serde_json::Error> {
        Ok(match self {
            Self::Live => Phase::Live,
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
        let stance = match &it.stance {
            Stance::Advancing => StanceFile::Advancing,
            Stance::Held(it) => StanceFile::Held { why: it.why.clone(), requests: it.requests },
            Stance::Paused { by, reason } => {
                StanceFile::Paused { by: ActorFile::of(by), reason: reason.clone() }
            }
        };
        Self {
            canary: VersionFile::of(&it.canary),
            weight_bp: it.weight.basis_points(),
            since_us: it.since.0,
            until_us: it.until.0,
            requests: it.requests,
            stance,
        }
    }

    fn meant(self) -> Result<Trial, serde_json::Error> {
        let stance = match self.stance {
            StanceFile::Advancing => Stance::Advancing,
            StanceFile::Held { why, requests } => Stance::Held(Shortfall { why, requests }),
            StanceFile::Paused { by, reason } => Stance::Paused { by: by.meant(), reason },
        };
        Ok(Trial {
            canary: self.canary.meant()?,
            weight: weight(self.weight_bp)?,
            since: Timestamp(self.since_us),
            until: Timestamp(self.until_us),
            requests: self.requests,
            stance,
        })
    }
}

impl CauseFile {
    fn of(it: &Cause) -> Self {
        match it {
            Cause::Breach(why) => Self::Breach(why.clone()),
            Cause::Person { by, reason } => Self::Person { by: ActorFile::of(by), reason: reason.clone() },
            Cause::File => Self::File,
            Cause::Superseded => Self::Superseded,
            Cause::Quarantined => Self::Quarantined,
        }
    }

    fn meant(self) -> Cause {
        match self {
            Self::Breach(why) => Cause::Breach(why),
            Self::Person { by, reason } => Cause::Person { by: by.meant(), reason },
            Self::File => Cause::File,
            Self::Superseded => Cause::Superseded,
            Self::Quarantined => Cause::Quarantined,
        }
    }
}

fn weight(basis_points: u16) -> Result<Weight, serde_json::Error> {
    Weight::from_basis_points(basis_points.into()).map_err(unreadable)
}

fn unreadable(why: impl std::fmt::Display) -> serde_json::Error {
    serde::de::Error::custom(why)
}
