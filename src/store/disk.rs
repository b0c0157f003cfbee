//! What the journal needs of a disk. A trait, so that tests can pull the plug at each operation.

use std::io;
use std::path::PathBuf;

/// A directory with a handful of plain files.
pub trait Disk: Send {
    /// Where a file is, for messages.
    fn path(&self, name: &str) -> PathBuf;
    /// The whole file; `None` if there is none. More than `bytes_max` is an error.
    fn read(&mut self, name: &str, bytes_max: usize) -> io::Result<Option<Vec<u8>>>;
    /// Makes the file, or empties it, and writes this.
    fn create(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Writes at the end of a file that is there.
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// What was written to the file survives a crash.
    fn sync(&mut self, name: &str) -> io::Result<()>;
    /// Puts one file in the place of another.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Renames survive a crash.
    fn sync_directory(&mut self) -> io::Result<()>;
}
