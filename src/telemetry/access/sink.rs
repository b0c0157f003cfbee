//! Where lines go: a standard stream, or a file that may be moved away under our hands.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where lines go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// The end of this file.
    File(PathBuf),
}

/// An open target.
pub(super) struct Sink {
    target: Target,
    file: File,
    /// Whether the last line that was written has no end.
    torn: bool,
}

/// What came of writing some lines.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) lines: u64,
    pub(super) lost: u64,
    pub(super) error: Option<io::Error>,
}

/// Between two tries when a pipe that does not wait is full.
const PIPE_PAUSE: Duration = Duration::from_millis(10);

impl Sink {
    pub(super) fn open(target: &Target) -> io::Result<Self> {
        // A handle of our own: no lock of the standard library stands between, and nobody buffers.
        let file = match target {
            Target::Stdout => File::from(io::stdout().as_fd().try_clone_to_owned()?),
            Target::Stderr => File::from(io::stderr().as_fd().try_clone_to_owned()?),
            Target::File(path) => append_to(path)?,
        };
        Ok(Self { target: target.clone(), file, torn: false })
    }

    /// Opens the file anew.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Target::File(path) = &self.target {
            self.file = append_to(path)?;
            self.torn = false;
        }
        Ok(())
    }

    /// Whether another file, or none, is where ours was.
    pub(super) fn was_moved(&self) -> bool {
        let Target::File(path) = &self.target else { return false };
        match (fs::metadata(path), self.file.metadata()) {
            (Ok(there), Ok(ours)) => (there.dev(), there.ino()) != (ours.dev(), ours.ino()),
            (Err(error), _) => error.kind() == io::ErrorKind::NotFound,
            (_, Err(_)) => false,
        }
    }

    /// Writes whole lines. What cannot be written is lost, and the next line begins on a line of its own.
    pub(super) fn write(&mut self, lines: &[u8]) -> Written {
        if self.torn {
            match self.file.write(b"\n") {
                Ok(1) => self.torn = false,
                Ok(_) => return Written { lost: count(lines), ..Written::default() },
                Err(error) => {
                    return Written { lost: count(lines), error: Some(error), ..Written::default() };
                }
            }
        }
        let mut written = 0;
        while written < lines.len() {
            match self.file.write(&lines[written..]) {
                Ok(0) => return self.broke_off(lines, written, io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Whoever started us shares this end of the pipe and wants it so.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(PIPE_PAUSE),
                Err(error) => return self.broke_off(lines, written, error),
            }
        }
        Written { lines: count(lines), ..Written::default() }
    }

    fn broke_off(&mut self, lines: &[u8], written: usize, error: io::Error) -> Written {
        self.torn = written > 0 && lines[written - 1] != b'\n';
        let whole = count(&lines[..written]);
        Written { lines: whole, lost: count(lines) - whole, error: Some(error) }
    }
}

fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|it| **it == b'\n').count() as u64
}

fn append_to(path: &Path) -> io::Result<File> {
    // Without waiting, so that a named pipe that nobody reads is an error and holds up nothing.
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    // Addresses of people are in it, so not everybody reads it.
    OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(flags).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_moved_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, old) = (dir.path().join("a.log"), dir.path().join("a.log.1"));
        let mut sink = Sink::open(&Target::File(path.clone())).unwrap();
        assert_eq!(sink.write(b"one\n").lines, 1);
        assert!(!sink.was_moved());
        fs::rename(&path, &old).unwrap();
        assert!(sink.was_moved());
        sink.write(b"two\n");
        sink.reopen().unwrap();
        assert!(!sink.was_moved());
        sink.write(b"three\n");
        assert_eq!(fs::read_to_string(&old).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        fs::remove_file(&path).unwrap();
        assert!(sink.was_moved());
    }

    #[test]
    fn a_full_disk_costs_lines_and_nothing_else() {
        let Ok(mut sink) = Sink::open(&Target::File("/dev/full".into())) else { return };
        let written = sink.write(b"one\ntwo\n");
        assert_eq!((written.lines, written.lost), (0, 2));
        assert!(written.error.is_some());
    }

    #[test]
    fn after_half_a_line_comes_a_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let mut sink = Sink::open(&Target::File(path.clone())).unwrap();
        sink.write(b"ha");
        let torn = sink.broke_off(b"half\nmore\n", 2, io::ErrorKind::StorageFull.into());
        assert_eq!((torn.lines, torn.lost), (0, 2));
        sink.write(b"whole\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "ha\nwhole\n");
    }
}
