//! How far each target has got, and which deployments are open: a small file beside the journal.
//!
//! It is written after each notification, whole or not at all, and nobody waits for the disk. A crash at the wrong
//! moment makes a notification be sent twice, under the same id.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::model::{ServiceName, TargetName, VersionName};

use super::file::replace;

/// What is known of all targets.
#[derive(Debug, Default)]
pub(super) struct Memory {
    path: Option<PathBuf>,
    targets: BTreeMap<TargetName, Known>,
    failing: bool,
}

/// What is known of one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Known {
    /// The newest event that needs not be told any more.
    pub done: u64,
    /// The last deployment of each service.
    pub deployments: BTreeMap<ServiceName, Deployment>,
}

/// A deployment on GitHub.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Deployment {
    /// Of this version.
    pub version: VersionName,
    /// Its number there.
    pub id: u64,
    /// Whether it has come to its end.
    pub over: bool,
}

impl Memory {
    /// What the file says. Without one, or without a file that can be read, nothing is known.
    pub fn load(path: Option<PathBuf>) -> Self {
        let targets = path.as_deref().and_then(|path| match read(path) {
            Ok(it) => it,
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "it is not known who was notified of what");
                None
            }
        });
        Self { path, targets: targets.unwrap_or_default(), failing: false }
    }

    /// What is known of a target.
    pub fn of(&self, target: &TargetName) -> Option<&Known> {
        self.targets.get(target)
    }

    /// Remembers, and writes it down.
    pub fn change(&mut self, target: &TargetName, change: impl FnOnce(&mut Known)) {
        change(self.targets.entry(target.clone()).or_default());
        self.save();
    }

    /// Forgets all other targets.
    pub fn keep_only(&mut self, targets: &[&TargetName]) {
        let before = self.targets.len();
        self.targets.retain(|it, _| targets.contains(&it));
        if self.targets.len() != before {
            self.save();
        }
    }

    fn save(&mut self) {
        let Some(path) = &self.path else { return };
        match replace(path, &self.text()) {
            Ok(()) => self.failing = false,
            Err(error) if !std::mem::replace(&mut self.failing, true) => {
                tracing::warn!(
                    %error, path = %path.display(),
                    "who was notified of what is not written down; after a restart some hear of it again"
                );
            }
            Err(_) => {}
        }
    }

    fn text(&self) -> String {
        let deployment =
            |it: &Deployment| json!({"version": it.version.as_str(), "id": it.id, "over": it.over});
        let known = |it: &Known| {
            let deployments: Map<String, Value> =
                it.deployments.iter().map(|it| (it.0.to_string(), deployment(it.1))).collect();
            json!({"done": it.done, "deployments": deployments})
        };
        let targets: Map<String, Value> =
            self.targets.iter().map(|it| (it.0.to_string(), known(it.1))).collect();
        json!({"format": FORMAT, "targets": targets}).to_string()
    }
}

fn read(path: &Path) -> io::Result<Option<BTreeMap<TargetName, Known>>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    match serde_json::from_str(&text).ok().and_then(|it: Value| parsed(&it)) {
        Some(it) => Ok(Some(it)),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "it is damaged")),
    }
}

fn parsed(value: &Value) -> Option<BTreeMap<TargetName, Known>> {
    if value["format"] != FORMAT {
        return None;
    }
    let mut targets = BTreeMap::new();
    for (name, it) in value["targets"].as_object()? {
        let mut known = Known { done: it["done"].as_u64()?, ..Known::default() };
        for (service, it) in it["deployments"].as_object()? {
            let version = it["version"].as_str()?.parse().ok()?;
            let deployment = Deployment { version, id: it["id"].as_u64()?, over: it["over"].as_bool()? };
            known.deployments.insert(service.parse().ok()?, deployment);
        }
        targets.insert(name.parse().ok()?, known);
    }
    Some(targets)
}

const FORMAT: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notifications.json");
        let (ci, ops): (TargetName, TargetName) = ("ci".parse().unwrap(), "ops".parse().unwrap());
        let mut it = Memory::load(Some(path.clone()));
        assert_eq!(it.of(&ci), None);
        it.change(&ci, |known| {
            known.done = 41;
            let deployment = Deployment { version: "v42".parse().unwrap(), id: u64::MAX, over: true };
            known.deployments.insert("shop".parse().unwrap(), deployment);
        });
        it.change(&ops, |known| known.done = 7);
        let again = Memory::load(Some(path.clone()));
        assert_eq!(again.targets, it.targets);
        it.keep_only(&[&ops]);
        assert_eq!(Memory::load(Some(path.clone())).of(&ci), None);
        for damaged in ["", "{", "{}", "[1]", r#"{"format":1,"targets":{"ci":{"done":-1}}}"#] {
            fs::write(&path, damaged).unwrap();
            assert!(Memory::load(Some(path.clone())).targets.is_empty(), "{damaged}");
        }
        // Nowhere to write to is no reason to stop.
        let mut it = Memory::load(Some(directory.path().join("none/x.json")));
        it.change(&ci, |known| known.done = 1);
        assert_eq!(it.of(&ci).unwrap().done, 1);
    }
}
