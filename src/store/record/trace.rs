//! Notes of a trace as they are written.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::analysis::Saved;
use crate::model::{CLIENT_SHARDS, LaneTally, Observation, SlowTally, Tally, Timestamp};
use crate::release::{Effect, State};
use crate::store::trace::{Base, Decided, Fate, Look, Noted};

use super::event::{EventFile, PermitFile};
use super::plan::{PlanFile, PolicyFile};
use super::{StateFile, unreadable};

/// Notes as the payload of a frame.
pub(in crate::store) fn write_notes(notes: &[Noted]) -> Vec<u8> {
    let notes: Vec<NotedFile> = notes.iter().map(NotedFile::of).collect();
    serde_json::to_vec(&notes).expect("strings and numbers can always be written as JSON")
}

/// The notes of a frame.
pub(in crate::store) fn read_notes(payload: &[u8]) -> Result<Vec<Noted>, serde_json::Error> {
    let notes: Vec<NotedFile> = serde_json::from_slice(payload)?;
    notes.into_iter().map(NotedFile::meant).collect()
}

/// Hash of a decision: of the state as it is written, and of every effect.
pub(in crate::store) fn digest(state: &State, effects: &[Effect]) -> u64 {
    let state = serde_json::to_string(&StateFile::of(state)).expect("a state can always be written");
    xxh3_64(format!("{state}{effects:?}").as_bytes())
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum NotedFile {
    Base(Box<BaseFile>),
    Look(Box<LookFile>),
    Event { at_us: u64, event: Box<EventFile> },
    Decided { fate: FateFile, digest: u64, lines: Vec<String> },
    Took,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum FateFile {
    Applied,
    Silent,
    Pending,
    Nothing,
}

#[derive(Deserialize, Serialize)]
struct BaseFile {
    service: String,
    state: StateFile,
    pending: Option<StateFile>,
    plan: PlanFile,
    judge: Option<JudgeFile>,
}

#[derive(Deserialize, Serialize)]
struct JudgeFile {
    policy: PolicyFile,
    counts: Vec<u64>,
    values_bits: Vec<u64>,
}

#[derive(Deserialize, Serialize)]
struct LookFile {
    elapsed_us: u64,
    /// Shard, requests and failures of each shard that has any, one after the other.
    canary: Vec<u64>,
    stable: Vec<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    slow: Vec<SlowFile>,
    #[serde(default)]
    begins_step: bool,
    comparator: bool,
    step: (u64, u64),
    requests: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    permit: Option<PermitFile>,
}

#[derive(Deserialize, Serialize)]
struct SlowFile {
    slot: usize,
    canary_us: u64,
    stable_us: u64,
    canary: Vec<u64>,
    stable: Vec<u64>,
}

impl NotedFile {
    fn of(it: &Noted) -> Self {
        match it {
            Noted::Base(it) => Self::Base(Box::new(BaseFile::of(it))),
            Noted::Look(it) => Self::Look(Box::new(LookFile::of(it))),
            Noted::Event { at, event } => Self::Event { at_us: at.0, event: Box::new(EventFile::of(event)) },
            Noted::Decided(it) => {
                let fate = match it.fate {
                    Fate::Applied => FateFile::Applied,
                    Fate::Silent => FateFile::Silent,
                    Fate::Pending => FateFile::Pending,
                    Fate::Nothing => FateFile::Nothing,
                };
                Self::Decided { fate, digest: it.digest, lines: it.lines.clone() }
            }
            Noted::Took => Self::Took,
        }
    }

    fn meant(self) -> Result<Noted, serde_json::Error> {
        Ok(match self {
            Self::Base(it) => Noted::Base(Box::new(it.meant()?)),
            Self::Look(it) => Noted::Look(Box::new(it.meant()?)),
            Self::Event { at_us, event } => {
                Noted::Event { at: Timestamp(at_us), event: Box::new(event.meant()?) }
            }
            Self::Decided { fate, digest, lines } => {
                let fate = match fate {
                    FateFile::Applied => Fate::Applied,
                    FateFile::Silent => Fate::Silent,
                    FateFile::Pending => Fate::Pending,
                    FateFile::Nothing => Fate::Nothing,
                };
                Noted::Decided(Decided { fate, digest, lines })
            }
            Self::Took => Noted::Took,
        })
    }
}

impl BaseFile {
    fn of(it: &Base) -> Self {
        Self {
            service: it.service.to_string(),
            state: StateFile::of(&it.state),
            pending: it.pending.as_ref().map(StateFile::of),
            plan: PlanFile::of(&it.plan),
            judge: it.judge.as_ref().map(|(policy, saved)| JudgeFile {
                policy: PolicyFile::of(policy),
                counts: saved.counts.clone(),
                values_bits: saved.values.iter().map(|it| it.to_bits()).collect(),
            }),
        }
    }

    fn meant(self) -> Result<Base, serde_json::Error> {
        let judge = self.judge.map(|it| {
            let values = it.values_bits.into_iter().map(f64::from_bits).collect();
            (it.policy.meant(), Saved { counts: it.counts, values })
        });
        Ok(Base {
            service: self.service.parse().map_err(unreadable)?,
            state: self.state.meant()?,
            pending: self.pending.map(StateFile::meant).transpose()?,
            plan: self.plan.meant()?,
            judge,
        })
    }
}

impl LookFile {
    fn of(it: &Look) -> Self {
        // Every member by name: one that is added must be written, or a replay would not be exact.
        let Observation { canary, stable, slow } = &it.seen;
        Self {
            elapsed_us: it.elapsed_us,
            canary: lane(canary),
            stable: lane(stable),
            slow: slow.iter().map(SlowFile::of).collect(),
            begins_step: it.begins_step,
            comparator: it.comparator,
            step: (it.step.requests, it.step.bad),
            requests: it.requests,
            at_us: it.fed.as_ref().map(|it| it.0.0),
            permit: it.fed.as_ref().map(|it| PermitFile::of(&it.1)),
        }
    }

    fn meant(self) -> Result<Look, serde_json::Error> {
        let fed = self.at_us.zip(self.permit).map(|(at, permit)| (Timestamp(at), permit.meant()));
        Ok(Look {
            elapsed_us: self.elapsed_us,
            seen: Observation {
                canary: meant_lane(&self.canary)?,
                stable: meant_lane(&self.stable)?,
                slow: self.slow.into_iter().map(SlowFile::meant).collect::<Result<_, _>>()?,
            },
            begins_step: self.begins_step,
            comparator: self.comparator,
            step: Tally { requests: self.step.0, bad: self.step.1 },
            requests: self.requests,
            fed,
        })
    }
}

impl SlowFile {
    fn of(it: &SlowTally) -> Self {
        let SlowTally { slot, canary_us, stable_us, canary, stable } = it;
        let (canary, stable) = (lane(canary), lane(stable));
        Self { slot: *slot, canary_us: *canary_us, stable_us: *stable_us, canary, stable }
    }

    fn meant(self) -> Result<SlowTally, serde_json::Error> {
        let (canary, stable) = (meant_lane(&self.canary)?, meant_lane(&self.stable)?);
        let Self { slot, canary_us, stable_us, .. } = self;
        Ok(SlowTally { slot, canary_us, stable_us, canary, stable })
    }
}

fn lane(it: &LaneTally) -> Vec<u64> {
    let some = it.shards.iter().enumerate().filter(|(_, it)| **it != Tally::default());
    some.flat_map(|(at, it)| [at as u64, it.requests, it.bad]).collect()
}

fn meant_lane(numbers: &[u64]) -> Result<LaneTally, serde_json::Error> {
    let mut lane = LaneTally::default();
    for it in numbers.chunks(3) {
        match *it {
            [at, requests, bad] if at < CLIENT_SHARDS as u64 => {
                lane.shards[at as usize] = Tally { requests, bad };
            }
            _ => return Err(unreadable("a lane is shard, requests and failures, over and over")),
        }
    }
    Ok(lane)
}
