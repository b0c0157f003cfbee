//! The ledger on disk: a line of JSON for each of its lines, so that a restart or a hand-over forgets none.
//!
//! It is only ever added to, and written anew when it holds a thousand lines more than are kept. Nothing is
//! synced and nobody but the notifier's own thread waits for the disk: what a crash of the machine loses here is
//! what was said, not what was done. On a disk that takes nothing it is tried again now and then, as a whole.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::model::Timestamp;
use crate::release::What;

use super::Told;
use super::file::replace;
use super::ledger::{Ledger, Notification};

/// The file.
#[derive(Debug, Default)]
pub(super) struct Book {
    path: Option<PathBuf>,
    /// Lines in it.
    lines: usize,
    /// The newest of them.
    newest: u64,
    /// When a disk that took nothing is tried again; until then the file may lack something.
    failed: Option<Timestamp>,
}

impl Book {
    /// What the file says. Lines that cannot be read are passed over: a crash can leave one.
    pub fn load(path: Option<PathBuf>) -> (Self, Ledger) {
        let mut lines = match path.as_deref().map(read) {
            None | Some(Ok(None)) => Vec::new(),
            Some(Ok(Some(text))) => text.lines().filter_map(parsed).collect(),
            Some(Err(error)) => {
                let path = path.as_deref().unwrap_or(Path::new("")).display();
                tracing::warn!(%error, %path, "it is not known what became of earlier notifications");
                Vec::new()
            }
        };
        lines.sort_by_key(|it| it.id);
        lines.dedup_by_key(|it| it.id);
        let ledger = Ledger::of(lines);
        // It is written anew first: its end may be half a line.
        (Self { path, lines: usize::MAX, newest: ledger.newest(), failed: None }, ledger)
    }

    /// Whether something is not in the file, and it is time to write it.
    pub fn is_behind(&self, ledger: &Ledger, now: Timestamp) -> bool {
        self.path.is_some() && self.newest < ledger.newest() && self.failed.is_none_or(|it| it <= now)
    }

    /// What has to be written to be up to date: all of it, or what came since.
    pub fn missing(&self, ledger: &Ledger) -> Missing {
        let whole = self.failed.is_some() || self.lines > ledger.len() + SPARE_LINES;
        let lines = ledger.since(if whole { 0 } else { self.newest }, usize::MAX);
        Missing { whole, lines }
    }

    /// Writes it.
    pub fn write(&mut self, missing: &Missing, now: Timestamp) {
        let Some(path) = &self.path else { return };
        let text: String = missing.lines.iter().map(|it| format!("{}\n", line(it))).collect();
        let written = if missing.whole { replace(path, &text) } else { append(path, &text) };
        match written {
            Ok(()) => {
                self.lines = missing.lines.len() + if missing.whole { 0 } else { self.lines };
                self.newest = missing.lines.last().map_or(self.newest, |it| it.id);
                self.failed = None;
            }
            Err(error) => {
                if self.failed.is_none() {
                    let path = path.display();
                    tracing::warn!(%error, %path, "what became of notifications is kept in memory only");
                }
                self.failed = Some(now + PAUSE);
            }
        }
    }
}

/// See [`Book::missing`].
#[derive(Debug)]
pub(super) struct Missing {
    whole: bool,
    lines: Vec<Notification>,
}

fn read(path: &Path) -> io::Result<Option<String>> {
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    // Not made here: where it is gone, what was in it is gone too, and the whole is written.
    OpenOptions::new().append(true).open(path)?.write_all(text.as_bytes())
}

fn line(it: &Notification) -> Value {
    let micros = |it: Duration| u64::try_from(it.as_micros()).unwrap_or(u64::MAX);
    json!({
        "id": it.id,
        "at_us": it.at.0,
        "target": it.target.as_str(),
        "event": it.event,
        "service": it.service.as_str(),
        "version": it.version.as_str(),
        "what": it.what.as_str(),
        "told": it.told.as_str(),
        "attempts": it.attempts,
        "after_us": micros(it.after),
        "problem": it.problem,
        "next_us": it.next.map(|it| it.0),
        "recovered_us": it.recovered.map(micros),
    })
}

fn parsed(line: &str) -> Option<Notification> {
    let it: Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| it[key].as_str();
    Some(Notification {
        id: it["id"].as_u64()?,
        at: Timestamp(it["at_us"].as_u64()?),
        target: text("target")?.parse().ok()?,
        event: it["event"].as_u64()?,
        service: text("service")?.parse().ok()?,
        version: text("version")?.parse().ok()?,
        what: What::EVERY.into_iter().find(|it| Some(it.as_str()) == text("what"))?,
        told: Told::EVERY.into_iter().find(|it| Some(it.as_str()) == text("told"))?,
        attempts: u32::try_from(it["attempts"].as_u64()?).ok()?,
        after: Duration::from_micros(it["after_us"].as_u64()?),
        problem: text("problem").map(str::to_owned),
        next: it["next_us"].as_u64().map(Timestamp),
        recovered: it["recovered_us"].as_u64().map(Duration::from_micros),
    })
}

/// A file may have as many lines more than are kept, so that it is not written anew for each of them.
const SPARE_LINES: usize = 1_000;
/// Between attempts on a disk that took nothing.
const PAUSE: Duration = Duration::from_secs(10);
/// A file larger than this was not written by us: all lines that are ever kept, as long as they can be, are less.
const FILE_BYTES_MAX: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TargetName;
    use crate::notifier::ledger::Came;
    use crate::notifier::news::tests::rollback;

    const AT: Timestamp = Timestamp(1_767_225_600_125_000);

    fn tell(ledger: &mut Ledger, event: u64) {
        let target: TargetName = "ci".parse().unwrap();
        let came = Came {
            attempts: 3,
            problem: Some("no \"answer\"\n".into()),
            next: Some(AT + Duration::from_secs(1)),
        };
        assert!(ledger.note(&target, &rollback(event), Told::Failed, came, AT + Duration::from_secs(event)));
    }

    fn save(book: &mut Book, ledger: &Ledger, now: Timestamp) {
        if book.is_behind(ledger, now) {
            let missing = book.missing(ledger);
            book.write(&missing, now);
        }
    }

    fn count(path: &Path) -> usize {
        fs::read_to_string(path).map_or(0, |it| it.lines().count())
    }

    #[test]
    fn what_was_written_is_read_again_and_what_cannot_be_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notifications.log");
        let (mut book, mut ledger) = Book::load(Some(path.clone()));
        assert_eq!(ledger.len(), 0);
        for event in 1..=5 {
            tell(&mut ledger, event);
            save(&mut book, &ledger, AT);
        }
        let target: TargetName = "ci".parse().unwrap();
        ledger.note(&target, &rollback(6), Told::Delivered, Came::default(), AT + Duration::from_secs(9));
        save(&mut book, &ledger, AT);
        assert_eq!(count(&path), 6);
        assert_eq!(Book::load(Some(path.clone())).1.since(0, usize::MAX), ledger.since(0, usize::MAX));
        // A crash has left half a line.
        let mut text = fs::read_to_string(&path).unwrap();
        text.truncate(text.len() - 9);
        fs::write(&path, format!("{{}}\nx\n\u{fffd}\n{text}")).unwrap();
        let (mut book, mut ledger) = Book::load(Some(path.clone()));
        assert_eq!(ledger.len(), 5);
        tell(&mut ledger, 7);
        save(&mut book, &ledger, AT);
        assert_eq!(Book::load(Some(path.clone())).1.since(0, usize::MAX), ledger.since(0, usize::MAX));
        assert_eq!(count(&path), 6);
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notifications.log");
        let (mut book, mut ledger) = Book::load(Some(path.clone()));
        let mut most = 0;
        for event in 1..=12_000 {
            tell(&mut ledger, event);
            if event % 50 == 0 {
                save(&mut book, &ledger, AT);
                most = most.max(count(&path));
            }
        }
        assert!((ledger.len()..=ledger.len() + SPARE_LINES + 50).contains(&most), "{most}");
        assert_eq!(Book::load(Some(path)).1.since(0, usize::MAX), ledger.since(0, usize::MAX));
    }

    #[test]
    fn a_disk_that_takes_nothing_is_tried_again_later_and_then_gets_all_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("none/notifications.log");
        let (mut book, mut ledger) = Book::load(Some(path.clone()));
        tell(&mut ledger, 1);
        save(&mut book, &ledger, AT);
        tell(&mut ledger, 2);
        assert!(!book.is_behind(&ledger, AT), "not at once");
        fs::create_dir(directory.path().join("none")).unwrap();
        let later = AT + PAUSE;
        assert!(book.is_behind(&ledger, later));
        save(&mut book, &ledger, later);
        assert_eq!(Book::load(Some(path.clone())).1.since(0, usize::MAX), ledger.since(0, usize::MAX));
        // Somebody has taken the file away.
        fs::remove_file(&path).unwrap();
        tell(&mut ledger, 3);
        save(&mut book, &ledger, later);
        save(&mut book, &ledger, later + PAUSE);
        assert_eq!(Book::load(Some(path)).1.since(0, usize::MAX), ledger.since(0, usize::MAX));
        // Without a place nothing is written, and that is no failure.
        let (book, _) = Book::load(None);
        assert!(!book.is_behind(&ledger, later));
    }
}
