//! The last configuration that served, kept in the state directory: for a start at which the files are
//! wrong, so that a machine that comes up again does not stay away because of a slip.
//!
//! What is kept is what was read, file by file, so that what it means is decided by the same rules as ever.
//! Secrets are not kept; they are read where they lie.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::config::{Files, Loaded, load};

use super::disk::Disk;

/// Where it is kept.
#[derive(Clone, Debug)]
pub struct LastGood(PathBuf);

/// Reads from the disk and remembers.
#[derive(Default)]
struct Recording {
    files: RefCell<BTreeMap<PathBuf, Vec<u8>>>,
    lists: RefCell<BTreeMap<PathBuf, Vec<PathBuf>>>,
}

/// What was remembered.
#[derive(Debug, Default)]
struct Snapshot {
    files: BTreeMap<PathBuf, Vec<u8>>,
    lists: BTreeMap<PathBuf, Vec<PathBuf>>,
}

impl LastGood {
    /// In this state directory.
    pub fn within(state: &Path) -> Self {
        Self(state.join(FILE))
    }

    /// Keeps what is at `path` now, if it is what `digest` stands for.
    pub fn keep(&self, path: &Path, digest: u64) -> io::Result<()> {
        let recording = Recording::default();
        let loaded = load(path, &recording);
        if loaded.config.is_none() || loaded.digest != digest {
            // It has changed again; the reload that follows keeps it.
            return Ok(());
        }
        let Some(text) = recording.text() else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "names and texts must be UTF-8"));
        };
        let new = self.0.with_extension("new");
        // A crash may have left one.
        let _ = std::fs::remove_file(&new);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, &self.0)
    }

    /// What was kept of the configuration at `path`, if it is still one.
    pub fn load(&self, path: &Path) -> Option<Loaded> {
        let text = std::fs::read_to_string(&self.0).ok()?;
        let snapshot = Snapshot::parse(&text)?;
        let loaded = load(path, &snapshot);
        loaded.config.is_some().then_some(loaded)
    }
}

impl Recording {
    /// All of it as JSON; `None` if something is not text.
    fn text(&self) -> Option<String> {
        let files = self.files.borrow();
        let lists = self.lists.borrow();
        let files: Option<Vec<Value>> = files
            .iter()
            .map(|(path, bytes)| Some(json!({"path": path.to_str()?, "text": str::from_utf8(bytes).ok()?})))
            .collect();
        let lists: Option<Vec<Value>> = lists
            .iter()
            .map(|(pattern, found)| {
                let found: Option<Vec<&str>> = found.iter().map(|it| it.to_str()).collect();
                Some(json!({"pattern": pattern.to_str()?, "found": found?}))
            })
            .collect();
        Some(json!({"format": FORMAT, "files": files?, "lists": lists?}).to_string())
    }
}

impl Files for Recording {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let bytes = Disk.read(path)?;
        self.files.borrow_mut().insert(path.to_owned(), bytes.clone());
        Ok(bytes)
    }

    fn beneath(&self) -> Option<&dyn Files> {
        Some(&Disk)
    }

    fn list(&self, pattern: &Path) -> io::Result<Vec<PathBuf>> {
        let found = Disk.list(pattern)?;
        self.lists.borrow_mut().insert(pattern.to_owned(), found.clone());
        Ok(found)
    }
}

impl Snapshot {
    fn parse(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        if value["format"] != FORMAT {
            return None;
        }
        let mut it = Self::default();
        for file in value["files"].as_array()? {
            it.files.insert(file["path"].as_str()?.into(), file["text"].as_str()?.into());
        }
        for list in value["lists"].as_array()? {
            let found: Option<Vec<PathBuf>> =
                list["found"].as_array()?.iter().map(|it| Some(it.as_str()?.into())).collect();
            it.lists.insert(list["pattern"].as_str()?.into(), found?);
        }
        Some(it)
    }
}

impl Files for Snapshot {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn beneath(&self) -> Option<&dyn Files> {
        Some(&Disk)
    }

    fn list(&self, pattern: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.lists.get(pattern).cloned().unwrap_or_default())
    }
}

const FILE: &str = "last-good.json";
const FORMAT: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: &str = "listen: {http: {port: 1}}\ninclude: [\"conf.d/*.yaml\"]\n";
    const SHOP: &str = "services: {shop: {live: v1, versions: {v1: \"http://127.0.0.1:1\"}}}\n";

    #[test]
    fn what_was_kept_is_what_was_read() {
        let directory = tempfile::tempdir().unwrap();
        let (main, shop) =
            (directory.path().join("tidegate.yaml"), directory.path().join("conf.d/shop.yaml"));
        std::fs::create_dir(directory.path().join("conf.d")).unwrap();
        std::fs::write(&main, MAIN).unwrap();
        std::fs::write(&shop, SHOP).unwrap();
        let kept = LastGood::within(directory.path());
        assert!(kept.load(&main).is_none());
        let good = load(&main, &Disk);
        assert!(good.config.is_some(), "{}", good.problems.render_human(false));
        kept.keep(&main, good.digest + 1).unwrap();
        assert!(kept.load(&main).is_none(), "another one by now");
        kept.keep(&main, good.digest).unwrap();
        std::fs::write(&shop, "services: {shop: broken\n").unwrap();
        kept.keep(&main, load(&main, &Disk).digest).unwrap();
        std::fs::remove_file(&main).unwrap();
        let again = kept.load(&main).unwrap();
        assert_eq!((again.digest, &again.read), (good.digest, &good.read));
        assert_eq!(again.config.unwrap().services.len(), 1);
        std::fs::write(directory.path().join(FILE), "{}").unwrap();
        assert!(kept.load(&main).is_none());
    }
}
