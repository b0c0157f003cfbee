//! A disk in memory that forgets what was not synced, fails where it is told to, and loses power.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::disk::Disk;

/// Clones share the disk, so that a test can look at it while a store uses it.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryDisk(Arc<Mutex<Inner>>);

#[derive(Clone, Debug, Default)]
struct Inner {
    files: Vec<Content>,
    /// Names as they are, and as a crash would leave them at the least.
    names: BTreeMap<String, usize>,
    names_synced: BTreeMap<String, usize>,
    operations: usize,
    trouble: Trouble,
}

#[derive(Clone, Debug, Default)]
struct Content {
    data: Vec<u8>,
    /// How much of it surely survives a crash.
    synced: usize,
    /// After a sync that failed, what was to be synced counts as clean and is never written.
    lost: bool,
}

/// What goes wrong.
#[derive(Clone, Debug, Default)]
pub(crate) enum Trouble {
    #[default]
    None,
    /// The power fails in the middle of this operation, counted from 0.
    Power { at: usize },
    /// The disk is full: writes put down half and fail.
    Full,
    /// Syncs fail; the next `n` of them.
    Sync { n: usize },
}

impl MemoryDisk {
    pub fn trouble(&self, trouble: Trouble) {
        self.0.lock().unwrap().trouble = trouble;
    }

    pub fn content(&self, name: &str) -> Vec<u8> {
        let inner = self.0.lock().unwrap();
        inner.names.get(name).map(|it| inner.files[*it].data.clone()).unwrap_or_default()
    }

    /// A disk on which a file is there and safe.
    pub fn with(name: &str, data: Vec<u8>) -> Self {
        let disk = Self::default();
        let mut inner = disk.0.lock().unwrap();
        let synced = data.len();
        inner.files.push(Content { data, synced, lost: false });
        inner.names.insert(name.to_owned(), 0);
        inner.names_synced = inner.names.clone();
        drop(inner);
        disk
    }

    /// Every disk that a loss of power could leave behind: names old or new, and of what was not synced
    /// nothing, some, all, or all with a sector that was never written.
    pub fn after_power_loss(&self) -> Vec<Self> {
        let inner = self.0.lock().unwrap();
        let mut disks = Vec::new();
        for names in [&inner.names_synced, &inner.names] {
            for variant in 0..6 {
                let files: Vec<Content> = inner.files.iter().map(|it| it.survivor(variant)).collect();
                let (names, names_synced) = (names.clone(), names.clone());
                let left = Inner { files, names, names_synced, operations: 0, trouble: Trouble::None };
                disks.push(Self(Arc::new(Mutex::new(left))));
            }
        }
        disks
    }
}

impl Content {
    fn survivor(&self, variant: usize) -> Self {
        let loose = self.data.len() - self.synced;
        let kept = match variant {
            0 => 0,
            1 => loose.min(1),
            2 => loose / 2,
            3 => loose.saturating_sub(1),
            _ => loose,
        };
        let mut data = self.data[..self.synced + kept].to_vec();
        if variant == 5 && loose > 0 {
            let from = (self.synced / 512 * 512).max(self.synced);
            let to = ((from / 512 + 1) * 512).min(data.len());
            data[from..to].fill(0);
        }
        if self.lost {
            data.truncate(self.synced);
        }
        let synced = data.len();
        Self { data, synced, lost: false }
    }
}

impl Inner {
    /// Counts an operation; `Err` after the power has failed, `Ok(true)` if it fails half-way in this one.
    fn begin(&mut self) -> io::Result<bool> {
        let number = self.operations;
        self.operations += 1;
        match self.trouble {
            Trouble::Power { at } if number > at => Err(io::Error::other("no power")),
            Trouble::Power { at } => Ok(number == at),
            _ => Ok(false),
        }
    }

    fn write(&mut self, file: usize, bytes: &[u8], half: bool) -> io::Result<()> {
        let full = matches!(self.trouble, Trouble::Full);
        let part = if full || half { bytes.len() / 2 } else { bytes.len() };
        self.files[file].data.extend(&bytes[..part]);
        match (full, half) {
            (true, _) => Err(io::ErrorKind::StorageFull.into()),
            (_, true) => Err(io::Error::other("no power")),
            _ => Ok(()),
        }
    }

    fn file(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for MemoryDisk {
    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("/state").join(name)
    }

    fn read(&mut self, name: &str, _: usize) -> io::Result<Option<Vec<u8>>> {
        let inner = self.0.lock().unwrap();
        Ok(inner.names.get(name).map(|it| inner.files[*it].data.clone()))
    }

    fn create(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        let half = inner.begin()?;
        inner.files.push(Content::default());
        let file = inner.files.len() - 1;
        inner.names.insert(name.to_owned(), file);
        inner.write(file, bytes, half)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        let half = inner.begin()?;
        let file = inner.file(name)?;
        inner.write(file, bytes, half)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        let half = inner.begin()?;
        let file = inner.file(name)?;
        if let Trouble::Sync { n } = &mut inner.trouble
            && *n > 0
        {
            *n -= 1;
            inner.files[file].lost = true;
            return Err(io::Error::other("input/output error"));
        }
        if half {
            return Err(io::Error::other("no power"));
        }
        if !inner.files[file].lost {
            inner.files[file].synced = inner.files[file].data.len();
        }
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        if inner.begin()? {
            return Err(io::Error::other("no power"));
        }
        let file = inner.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        inner.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        if inner.begin()? {
            return Err(io::Error::other("no power"));
        }
        inner.names_synced = inner.names.clone();
        Ok(())
    }
}
