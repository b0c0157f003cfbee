//! Traces: everything that the judge and the machine were fed, so that their decisions can be made again.
//!
//! Beside the journal and less precious: written without waiting for the disk, one file for each release
//! and part, the oldest removed. A trace begins with a [`Noted::Base`] and is complete from there to its
//! end or to the next base. What a crash leaves at its end is cut off; damage ends it with its place.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::analysis::{GuardPolicy, Saved};
use crate::model::{Observation, ServiceName, Tally, Timestamp};
use crate::release::{Effect, Event, Permit, Plan, State};

use super::frame::{self, Damage, Journal};
use super::record;

/// One thing that was fed, or what came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Noted {
    /// Where a replay can begin.
    Base(Box<Base>),
    /// The evidence was looked at, and the machine heard of it if `fed`.
    Look(Box<Look>),
    /// The machine heard of something else.
    Event {
        /// When.
        at: Timestamp,
        /// Of what.
        event: Box<Event>,
    },
    /// What came of that. Nothing came of what has no such note.
    Decided(Decided),
    /// A change that waited for the disk has happened.
    Took,
}

/// Everything there is at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    /// The service.
    pub service: ServiceName,
    /// Its state.
    pub state: State,
    /// A state that waits for the disk.
    pub pending: Option<State>,
    /// Its plan.
    pub plan: Plan,
    /// The guards that are judged by, and what they know.
    pub judge: Option<(GuardPolicy, Saved)>,
}

/// What a judge was shown and asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// Microseconds since the release began.
    pub elapsed_us: u64,
    /// What both lanes did since the last look.
    pub seen: Observation,
    /// Whether it is the first look of a step.
    pub begins_step: bool,
    /// Whether stable had traffic by weight.
    pub comparator: bool,
    /// Canary responses of the step.
    pub step: Tally,
    /// How many of them the step needs.
    pub requests: u64,
    /// When the machine was told, and what was permitted then.
    pub fed: Option<(Timestamp, Permit)>,
}

/// What came of an event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decided {
    /// What became of it.
    pub fate: Fate,
    /// Hash of the state and the effects.
    pub digest: u64,
    /// The lines of the history that belong to it.
    pub lines: Vec<String>,
}

/// What became of a decision.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It happened at once.
    Applied,
    /// It happened, and what waits for the disk goes on waiting.
    Silent,
    /// It waits for the disk.
    Pending,
    /// A refusal: nothing changed.
    Nothing,
}

/// A trace that is being written.
#[derive(Debug)]
pub struct Trace {
    file: File,
    number: u64,
    bytes: usize,
}

impl Decided {
    /// The note on a decision.
    pub fn of(state: &State, effects: &[Effect], fate: Fate) -> Self {
        let lines = effects.iter().filter_map(|it| match it {
            Effect::Record(entry) => Some(format!(
                "{} {} {} → {}: {}",
                entry.what, entry.version, entry.from, entry.to, entry.text
            )),
            Effect::Split(_) | Effect::Already(_) | Effect::Refuse(_) => None,
        });
        Self { fate, digest: record::digest(state, effects), lines: lines.collect() }
    }
}

impl Trace {
    /// Begins a file in `directory`, which is made if it is missing, after making room for it.
    pub fn begin(directory: &Path, name: &str) -> io::Result<Self> {
        match std::fs::DirBuilder::new().mode(0o700).create(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        make_room(directory)?;
        let path = directory.join(format!("{name}.{ENDING}"));
        let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(MAGIC)?;
        Ok(Self { file, number: 0, bytes: MAGIC.len() })
    }

    /// Writes some notes. Nothing waits for the disk: a trace may lose its end in a loss of power.
    pub fn write(&mut self, notes: &[Noted]) -> io::Result<()> {
        self.number += 1;
        let frame = frame::write(self.number, &record::write_notes(notes));
        self.bytes += frame.len();
        self.file.write_all(&frame)
    }

    /// Whether it is time for the next part.
    pub fn is_full(&self) -> bool {
        self.bytes > PART_BYTES
    }
}

/// A trace that was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notes {
    /// What it holds.
    pub notes: Vec<Noted>,
    /// Bytes at its end that a crash left incomplete.
    pub torn: Option<usize>,
}

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file cannot be had.
    #[error("failed to read trace `{}`", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What came of it.
        source: io::Error,
    },
    /// It is damaged in a way that no crash explains.
    #[error("trace `{}` is damaged in frame {frame} at byte {at}: {what}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Number of the frame.
        frame: u64,
        /// Where it begins.
        at: usize,
        /// What is wrong with it.
        what: String,
    },
}

/// Reads a trace.
pub fn read_trace(path: &Path) -> Result<Notes, TraceError> {
    let bytes = std::fs::read(path).map_err(|source| TraceError::Io { path: path.to_owned(), source })?;
    notes_of(&bytes).map_err(|damage| {
        let (place, what) = damage.parts();
        let (frame, at) = place.unwrap_or_default();
        TraceError::Damaged { path: path.to_owned(), frame, at, what }
    })
}

fn notes_of(bytes: &[u8]) -> Result<Notes, Damage> {
    let mut frames = Journal::of_kind(bytes, MAGIC)?;
    let mut notes = Vec::new();
    while let Some(next) = frames.next()? {
        notes.extend(record::read_notes(next.payload).map_err(|what| Damage::in_frame(&next, what))?);
    }
    Ok(Notes { notes, torn: frames.torn() })
}

/// The traces in a directory, oldest first.
pub fn traces_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(found(directory)?.into_iter().map(|it| it.path).collect())
}

struct Found {
    path: PathBuf,
    bytes: u64,
    modified: std::time::SystemTime,
}

fn found(directory: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let about = std::fs::symlink_metadata(&path)?;
        if about.is_file() && path.extension().is_some_and(|it| it == ENDING) {
            found.push(Found { path, bytes: about.len(), modified: about.modified()? });
        }
    }
    found.sort_by(|a, b| (a.modified, &a.path).cmp(&(b.modified, &b.path)));
    Ok(found)
}

/// Removes the oldest until there is room for one more.
fn make_room(directory: &Path) -> io::Result<()> {
    let found = found(directory)?;
    let (mut bytes, mut files) = (found.iter().map(|it| it.bytes).sum::<u64>(), found.len());
    for it in &found {
        if bytes + PART_BYTES as u64 <= ALL_BYTES && files < FILES_MAX {
            break;
        }
        std::fs::remove_file(&it.path)?;
        (bytes, files) = (bytes - it.bytes, files - 1);
    }
    Ok(())
}

const MAGIC: &[u8] = b"TIDEGATE TRACE 1\n";
const ENDING: &str = "trace";
/// A part is closed when it is larger: about half an hour of looks, some twenty a second.
const PART_BYTES: usize = 16 << 20;
/// All traces together: hours of releases on a disk that has gigabytes.
const ALL_BYTES: u64 = 128 << 20;
const FILES_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_end_is_cut_and_damage_has_a_place() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("traces");
        let mut trace = Trace::begin(&directory, "shop-1").unwrap();
        trace.write(&[Noted::Took]).unwrap();
        trace.write(&[Noted::Took, Noted::Took]).unwrap();
        let path = traces_in(&directory).unwrap().remove(0);
        assert_eq!(read_trace(&path).unwrap(), Notes { notes: vec![Noted::Took; 3], torn: None });
        let whole = std::fs::read(&path).unwrap();
        for length in MAGIC.len()..whole.len() {
            let notes = notes_of(&whole[..length]).unwrap().notes.len();
            assert!(notes == 0 || notes == 1, "{length}: {notes}");
        }
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(notes_of(&damaged).is_err(), "{bit}");
        }
    }
}
