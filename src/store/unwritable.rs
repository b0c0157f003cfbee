//! A state directory that can be read at most.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::Disk;

/// What is in a directory that we may not write to.
#[derive(Debug)]
pub(super) struct Unwritable {
    path: PathBuf,
    why: io::ErrorKind,
}

/// Whether an error says that nothing can be written there, now or later, rather than that something is
/// wrong with what is there.
pub(super) fn is_meant_by(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

impl Unwritable {
    pub fn new(path: &Path, why: &io::Error) -> Self {
        Self { path: path.to_owned(), why: why.kind() }
    }

    fn refuse(&self) -> io::Result<()> {
        Err(self.why.into())
    }
}

impl Disk for Unwritable {
    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn read(&mut self, name: &str, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
        super::directory::read(&self.path, name, bytes_max)
    }

    fn create(&mut self, _: &str, _: &[u8]) -> io::Result<()> {
        self.refuse()
    }

    fn append(&mut self, _: &str, _: &[u8]) -> io::Result<()> {
        self.refuse()
    }

    fn sync(&mut self, _: &str) -> io::Result<()> {
        self.refuse()
    }

    fn rename(&mut self, _: &str, _: &str) -> io::Result<()> {
        self.refuse()
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        self.refuse()
    }
}
