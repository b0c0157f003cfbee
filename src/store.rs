//! The journal: one append-only file of what was decided, with the evidence.
//!
//! A frame (length, number, checksums, JSON) holds what belongs together; it is appended and synced before
//! it counts. When the file has grown it is written anew as one snapshot frame: write, sync, rename, sync
//! of the directory. What a crash leaves at the end of the file is cut off and reported; damage anywhere
//! else stops the start, because guessing could give a withdrawn version its traffic back. After any
//! failed write or sync the file is not trusted any more (a sync that failed once says nothing when it
//! succeeds the second time) and the next append writes a fresh one.
//!
//! A file of an older format is kept beside the new one before anything is written; one of a newer format
//! is refused and left alone. A directory that cannot be written to is no reason not to serve: what is
//! there is read, every append fails, and so no weight rises.
//!
//! Records have types of their own (`record`), so that the machine may change without old journals
//! becoming unreadable.
//!
//! Not here: when to write and what to do if it fails (the controller), threads.

mod directory;
mod disk;
mod frame;
mod image;
#[cfg(test)]
pub(crate) mod memory;
mod record;
#[cfg(test)]
mod tests;
mod trace;
mod unwritable;

use std::io;
use std::path::{Path, PathBuf};

use crate::model::{EvidenceLine, Generation, ServiceName, Timestamp};
use crate::release::{Actor, Entry, News, State};

use self::frame::{Damage, Journal};
use self::image::Image;
use self::unwritable::Unwritable;

pub use self::directory::Directory;
pub use self::disk::Disk;
pub use self::trace::{Base, Decided, Fate, Look, Noted, Notes, Trace, TraceError, read_trace, traces_in};

/// The journal of one process. One thread owns it: appending waits for the disk.
pub struct Store {
    disk: Box<dyn Disk>,
    image: Image,
    /// Number of the newest frame.
    frame: u64,
    /// Bytes in the file, and how many of them are its snapshot.
    bytes: usize,
    snapshot_bytes: usize,
    /// A smaller file is not written anew.
    compact_bytes_min: usize,
    /// Whether the file on disk is known to be what was written.
    trusted: bool,
    /// A file of an older format, to be kept before it is replaced: its name and what it holds.
    keep: Option<(String, Vec<u8>)>,
    /// Why nothing can be written here, whatever happens.
    unwritable: Option<String>,
}

/// What was written down about a service.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// The state it is in from now on.
    Change(Box<Change>),
    /// A line of the history without a change.
    Line(Box<Line>),
    /// The evidence of the release that is going on.
    Evidence(Box<Evidence>),
    /// Nothing advances anywhere, or everything may again.
    Freeze(Option<Freeze>),
}

/// A person said that nothing advances anywhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Freeze {
    /// Who.
    pub by: Actor,
    /// Why, if they said.
    pub reason: Option<String>,
    /// When it ends by itself; `None`: when somebody ends it.
    pub until: Option<Timestamp>,
}

/// A service in another state.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The service.
    pub service: ServiceName,
    /// Its state.
    pub state: State,
    /// Why; `None` when nothing worth a line happened.
    pub line: Option<Line>,
}

/// A line of the history.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Rises by one for each line, across restarts.
    pub id: u64,
    /// The service.
    pub service: ServiceName,
    /// What happened.
    pub entry: Entry,
    /// The configuration that was loaded.
    pub generation: Generation,
    /// What was known; `None` when nothing was being tried.
    pub evidence: Option<EvidenceLine>,
}

impl Line {
    /// As others hear of it, under a number that may be a later one than its own.
    pub fn news(&self, id: u64) -> News {
        let entry = &self.entry;
        News {
            id,
            at: entry.at,
            service: self.service.clone(),
            what: entry.what,
            by: entry.by.clone(),
            version: entry.version.name.clone(),
            from: entry.from,
            to: entry.to,
            text: entry.text.clone(),
            generation: self.generation,
            evidence: self.evidence,
        }
    }
}

/// What a judge knows, as numbers without meaning of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The service.
    pub service: ServiceName,
    /// The release it belongs to.
    pub release: u64,
    /// When that release began.
    pub began: Timestamp,
    /// When this was known: afterwards the process was gone, or soon to be.
    pub at: Timestamp,
    /// Whole numbers.
    pub counts: Vec<u64>,
    /// Others.
    pub values: Vec<f64>,
}

/// What a journal held when it was opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered {
    /// The last state of each service.
    pub services: Vec<(ServiceName, State)>,
    /// The last evidence of each service.
    pub evidence: Vec<Evidence>,
    /// The newest lines of the history, oldest first.
    pub lines: Vec<Line>,
    /// Whether nothing advances anywhere.
    pub freeze: Option<Freeze>,
    /// Bytes at the end that a crash left incomplete, and that were cut off.
    pub torn: Option<usize>,
}

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file in it cannot be had.
    #[error("failed to {doing} `{}`", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What came of it.
        source: io::Error,
    },
    /// Others could change what is in it.
    #[error("state directory `{}` can be written by others (mode {mode:03o}): make it yours alone with `chmod 700 {}`", .path.display(), .path.display())]
    Shared {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Another process uses it.
    #[error("another tidegate uses the state directory `{}`: stop it, or give this one another `state`", .path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// A file there is not a plain file.
    #[error("`{}` is not a plain file", .path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// The journal was written by another version.
    #[error("journal `{}` has a format that this tidegate does not know: use the version that wrote it, or move the file away", .path.display())]
    Unknown {
        /// The journal.
        path: PathBuf,
    },
    /// The journal is damaged in a way that no crash explains.
    #[error(
        "journal `{}` is damaged in record {record} at byte {at}: {what}. Nothing was changed. Restore it from a \
         backup, or move it away: then each service's `live` is adopted as stable, and quarantines and history \
         are forgotten",
        .path.display()
    )]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Number of the record.
        record: u64,
        /// Where it begins.
        at: usize,
        /// What is wrong with it.
        what: String,
    },
}

/// A record is not on disk.
#[derive(Debug, thiserror::Error)]
#[error("failed to write journal `{}`", .path.display())]
pub struct AppendError {
    path: PathBuf,
    source: io::Error,
}

impl Store {
    /// Opens the journal in `directory`, which is made if it is missing, and locks it against others. One
    /// that we may not write to is read as it is; see [`Store::unwritable`].
    pub fn open(directory: &Path) -> Result<(Self, Recovered), OpenError> {
        match Directory::open(directory) {
            Ok(it) => Self::on(Box::new(it)),
            Err(OpenError::Io { source, .. }) if unwritable::is_meant_by(&source) => {
                let why = format!("`{}` cannot be written to: {source}", directory.display());
                let (store, recovered) = Self::on(Box::new(Unwritable::new(directory, &source)))?;
                Ok((Self { unwritable: Some(why), ..store }, recovered))
            }
            Err(other) => Err(other),
        }
    }

    /// Why nothing can be written down, if the directory is read-only or belongs to somebody else. Then
    /// everything is in memory only: no weight rises, and a restart knows nothing of rollbacks.
    pub fn unwritable(&self) -> Option<&str> {
        self.unwritable.as_deref()
    }

    /// Opens the journal on any disk.
    pub fn on(mut disk: Box<dyn Disk>) -> Result<(Self, Recovered), OpenError> {
        let path = disk.path(JOURNAL);
        let failed = |source| OpenError::Io { doing: "read journal", path: path.clone(), source };
        let found = disk.read(JOURNAL, JOURNAL_BYTES_MAX).map_err(failed)?;
        let mut image = Image::default();
        let (mut torn, mut frame, mut bytes, mut snapshot_bytes) = (None, 0, 0, 0);
        let mut keep = None;
        let trusted = match &found {
            None => false,
            Some(found) => {
                bytes = found.len();
                let mut journal = Journal::of(found).map_err(|damage| damage.at(&path))?;
                while let Some(next) = journal.next().map_err(|damage| damage.at(&path))? {
                    let unreadable = |what: serde_json::Error| Damage::in_frame(&next, what).at(&path);
                    let records = record::read(next.payload).map_err(unreadable)?;
                    image.apply_all(&records);
                    if frame == 0 {
                        snapshot_bytes = next.end;
                    }
                    frame = next.number;
                }
                torn = journal.torn();
                keep = journal.older().map(|it| (format!("{JOURNAL}.format-{it}"), found.clone()));
                torn.is_none() && keep.is_none()
            }
        };
        let compact_bytes_min = COMPACT_BYTES_MIN;
        let mut store = Self {
            disk,
            image,
            frame,
            bytes,
            snapshot_bytes,
            compact_bytes_min,
            trusted,
            keep,
            unwritable: None,
        };
        if !trusted {
            // A disk that refuses now is reported by the first append, which tries again.
            let _ = store.write_anew(&[]);
        }
        let recovered = store.image.recovered(torn);
        Ok((store, recovered))
    }

    /// Writes records down. When this returns `Ok` they survive a crash, all of them; on `Err` they do
    /// not count, and a later append may succeed.
    pub fn append(&mut self, records: &[Record]) -> Result<(), AppendError> {
        let full = self.bytes > self.compact_bytes_min && self.bytes > 4 * self.snapshot_bytes;
        if self.trusted && !full && self.write_frame(records).is_ok() {
            self.image.apply_all(records);
            return Ok(());
        }
        self.write_anew(records).map_err(|source| AppendError { path: self.disk.path(JOURNAL), source })
    }

    /// Everything that was written down, as a start would find it.
    pub fn recall(&self) -> Recovered {
        self.image.recovered(None)
    }

    fn write_frame(&mut self, records: &[Record]) -> io::Result<()> {
        let frame = frame::write(self.frame + 1, &record::write(records));
        let written = self.disk.append(JOURNAL, &frame).and_then(|()| self.disk.sync(JOURNAL));
        self.trusted = written.is_ok();
        written?;
        self.frame += 1;
        self.bytes += frame.len();
        Ok(())
    }

    /// A fresh file with everything that is known, in place of the old one.
    fn write_anew(&mut self, records: &[Record]) -> io::Result<()> {
        // Whatever happens half-way, the old file is not appended to before this has succeeded.
        self.trusted = false;
        if let Some((name, bytes)) = &self.keep {
            self.disk.create(name, bytes)?;
            self.disk.sync(name)?;
            self.disk.sync_directory()?;
            self.keep = None;
        }
        let mut image = self.image.clone();
        image.apply_all(records);
        let mut bytes = frame::MAGIC.to_vec();
        bytes.extend(frame::write(self.frame + 1, &record::write(&image.records())));
        self.disk.create(JOURNAL_NEW, &bytes)?;
        self.disk.sync(JOURNAL_NEW)?;
        self.disk.rename(JOURNAL_NEW, JOURNAL)?;
        self.disk.sync_directory()?;
        self.image = image;
        self.frame += 1;
        (self.bytes, self.snapshot_bytes, self.trusted) = (bytes.len(), bytes.len(), true);
        Ok(())
    }
}

const JOURNAL: &str = "journal";
const JOURNAL_NEW: &str = "journal.new";

/// A journal is written anew when it is larger than this and four times its snapshot: rare enough not to
/// matter, often enough that a start reads it in a blink.
const COMPACT_BYTES_MIN: usize = 1 << 20;

/// A file larger than this was not written by us: it would have been compacted long before.
const JOURNAL_BYTES_MAX: usize = 256 << 20;
