//! Hands what was fed and decided to a thread that writes traces. It never waits: when the thread is
//! behind, notes are dropped, and the trace goes on with a new base.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::runtime::spawn_thread;
use crate::store::{Noted, Trace};

/// Writes traces, or nothing.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Way>);

#[derive(Clone, Debug)]
struct Way {
    notes: SyncSender<Note>,
    /// Rises when whoever takes notes must begin again with a base.
    epoch: Arc<AtomicU64>,
}

struct Note {
    /// `shop-000012`; a base under another name begins another file.
    name: String,
    noted: Noted,
}

impl Tracer {
    /// Starts the thread, which writes into `directory`.
    pub fn start(directory: PathBuf) -> io::Result<Self> {
        let (notes, todo) = sync_channel(NOTES_MAX);
        let epoch = Arc::new(AtomicU64::new(1));
        let theirs = Arc::clone(&epoch);
        spawn_thread("traces", None, move || write_all(&directory, &todo, &theirs))?;
        Ok(Self(Some(Way { notes, epoch })))
    }

    /// One that keeps what it is handed, for tests.
    #[cfg(test)]
    pub fn kept() -> (Self, Kept) {
        let (notes, kept) = sync_channel(NOTES_MAX);
        (Self(Some(Way { notes, epoch: Arc::new(AtomicU64::new(1)) })), Kept(kept))
    }

    /// Notes taken under another epoch are incomplete; `None` when nobody wants any.
    pub fn epoch(&self) -> Option<u64> {
        self.0.as_ref().map(|it| it.epoch.load(Ordering::Relaxed))
    }

    /// Hands a note over.
    pub fn note(&self, name: String, noted: Noted) {
        if let Some(way) = &self.0
            && way.notes.try_send(Note { name, noted }).is_err()
        {
            way.epoch.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What a tracer was handed.
#[cfg(test)]
pub struct Kept(Receiver<Note>);

#[cfg(test)]
impl Kept {
    /// Everything since the last call.
    pub fn take(&self) -> Vec<Noted> {
        self.0.try_iter().map(|it| it.noted).collect()
    }
}

fn write_all(directory: &std::path::Path, todo: &Receiver<Note>, epoch: &AtomicU64) {
    let mut files: std::collections::BTreeMap<String, Trace> = std::collections::BTreeMap::new();
    let (mut part, mut complained) = (0_u64, false);
    while let Ok(first) = todo.recv() {
        let mut batches: Vec<(String, Vec<Noted>)> = Vec::new();
        for note in std::iter::once(first).chain(todo.try_iter().take(BATCH)) {
            match batches.last_mut().filter(|it| it.0 == note.name && !matches!(note.noted, Noted::Base(_))) {
                Some(batch) => batch.1.push(note.noted),
                None => batches.push((note.name, vec![note.noted])),
            }
        }
        for (name, notes) in batches {
            if let Err(error) = write(directory, &mut files, &mut part, &name, &notes) {
                // Nothing depends on it but hindsight.
                if !std::mem::replace(&mut complained, true) {
                    tracing::warn!(%error, "traces are not written; `replay` will have nothing to go by");
                }
                files.remove(&name);
            } else if files.get(&name).is_some_and(Trace::is_full) {
                files.remove(&name);
                epoch.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// A file begins with a base; what comes for a file that is not there belongs to a part that failed.
fn write(
    directory: &std::path::Path,
    files: &mut std::collections::BTreeMap<String, Trace>,
    part: &mut u64,
    name: &str,
    notes: &[Noted],
) -> io::Result<()> {
    if !files.contains_key(name) && matches!(notes.first(), Some(Noted::Base(_))) {
        // Files of releases that are over are closed.
        let service = name.rsplit_once('-').map_or(name, |it| it.0);
        files.retain(|it, _| it.rsplit_once('-').map_or(it.as_str(), |it| it.0) != service);
        *part += 1;
        let file = Trace::begin(directory, &format!("{name}-{}-{part:04}", std::process::id()))?;
        files.insert(name.to_owned(), file);
    }
    match files.get_mut(name) {
        Some(file) => file.write(notes),
        None => Ok(()),
    }
}

/// Notes on their way: some minutes of looks. More would be memory that a hanging disk costs.
const NOTES_MAX: usize = 4_096;
/// Notes in one write.
const BATCH: usize = 256;
