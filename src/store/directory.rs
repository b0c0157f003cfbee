//! The state directory: ours alone, locked while we run, and never followed out of.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, FlockOperation, Mode, OFlags};

use super::OpenError;
use super::disk::Disk;

/// A directory on a real disk.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    directory: OwnedFd,
    /// Held as long as we live; the kernel lets go of it when the process ends, however it ends.
    _lock: OwnedFd,
    /// The file that was written last, and its name.
    open: Option<(String, File)>,
}

impl Directory {
    /// Makes the directory if it is missing, looks at who may write there, and locks it.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let failed =
            |doing| move |error: io::Error| OpenError::Io { doing, path: path.to_owned(), source: error };
        make(path).map_err(failed("make state directory"))?;
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, path, flags, Mode::empty())
            .map_err(|it| failed("open state directory")(it.into()))?;
        let mode =
            rustix::fs::fstat(&directory).map_err(|it| failed("look at state directory")(it.into()))?.st_mode;
        if mode & 0o022 != 0 {
            return Err(OpenError::Shared { path: path.to_owned(), mode: mode & 0o7777 });
        }
        let lock =
            open_file(&directory, LOCK, OFlags::CREATE | OFlags::RDWR).map_err(failed("open lock in"))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(OpenError::Locked { path: path.to_owned() }),
            Err(error) => return Err(failed("lock")(error.into())),
        }
        Ok(Self { path: path.to_owned(), directory, _lock: lock.into(), open: None })
    }

    /// Takes the directory up again after somebody has deleted it, unless another process was faster.
    fn make_again(&mut self) -> io::Result<()> {
        *self = Self::open(&self.path).map_err(io::Error::other)?;
        Ok(())
    }

    fn opened(&mut self, name: &str, flags: OFlags) -> io::Result<&mut File> {
        let known = self.open.as_ref().is_some_and(|(it, _)| it == name);
        if !known || flags.contains(OFlags::TRUNC) {
            self.open = Some((name.to_owned(), open_file(&self.directory, name, flags)?));
        }
        self.open.as_mut().map(|(_, file)| file).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for Directory {
    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn read(&mut self, name: &str, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
        read_in(&self.directory, name, bytes_max)
    }

    fn create(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY;
        match self.opened(name, flags) {
            Ok(file) => file.write_all(bytes),
            // The directory itself was deleted: a file in it would belong to nobody.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_again()?;
                self.opened(name, flags)?.write_all(bytes)
            }
            Err(error) => Err(error),
        }
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let file = self.opened(name, OFlags::APPEND | OFlags::WRONLY)?;
        // A file that somebody has deleted takes writes as if nothing had happened.
        if rustix::fs::fstat(&*file)?.st_nlink == 0 {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the file was deleted"));
        }
        file.write_all(bytes)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.opened(name, OFlags::APPEND | OFlags::WRONLY)?.sync_data()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        // The open file is known by its old name; the next append opens it by the new one.
        self.open = None;
        Ok(rustix::fs::renameat(&self.directory, from, &self.directory, to)?)
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.directory)?)
    }
}

/// Every missing directory on the way, the last one for our eyes only.
fn make(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::DirBuilder::new().mode(0o700).create(path)
}

/// The whole file in a directory that is only read; `None` if there is none.
pub(super) fn read(directory: &Path, name: &str, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    match rustix::fs::openat(CWD, directory, flags, Mode::empty()) {
        Ok(directory) => read_in(&directory, name, bytes_max),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn read_in(directory: &OwnedFd, name: &str, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    let mut file = match open_file(directory, name, OFlags::RDONLY) {
        Ok(it) => it,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    Read::by_ref(&mut file).take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "far larger than any journal"));
    }
    Ok(Some(bytes))
}

/// A plain file for our eyes only. Symbolic links are not followed, and a pipe in its place does not
/// make us wait.
fn open_file(directory: &OwnedFd, name: &str, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = rustix::fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR)?;
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("`{name}` is not a plain file")));
    }
    Ok(file.into())
}

const LOCK: &str = "lock";
