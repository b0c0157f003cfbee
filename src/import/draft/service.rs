//! A service and its versions, in our words.

use crate::config::Written;

use super::super::remark::{At, Remarks};
use super::super::units::share;
use super::words::{NAME_CHARS_MAX, line, list, map, text, word};

/// What users call.
#[derive(Clone, Debug, Default)]
pub(in crate::import) struct Service {
    pub name: String,
    pub hosts: Vec<String>,
    /// Whether it gets what no other service does.
    pub takes_rest: bool,
    pub versions: Vec<Version>,
    /// Our own keys, in this order: `sticky`, `timeouts` and so on.
    pub keys: Vec<(&'static str, Written)>,
    pub at: At,
}

/// A version of it, and its share in basis points.
#[derive(Clone, Debug, Default)]
pub(in crate::import) struct Version {
    pub name: String,
    pub share: u64,
    pub endpoints: Vec<String>,
    pub health: Option<Written>,
}

impl Service {
    /// Sets one of our keys, unless it is set.
    pub fn set(&mut self, key: &'static str, value: Written) {
        if !self.keys.iter().any(|it| it.0 == key) {
            self.keys.push((key, value));
        }
    }

    /// Adds to one of our keys that is a map.
    pub fn put(&mut self, key: &'static str, inner: &str, value: Written) {
        let index = self.keys.iter().position(|it| it.0 == key).unwrap_or_else(|| {
            self.keys.push((key, Written::Map(Vec::new())));
            self.keys.len() - 1
        });
        if let Written::Map(lines) = &mut self.keys[index].1
            && !lines.iter().any(|it| it.key == inner)
        {
            lines.push(line(inner, value));
        }
    }

    pub(super) fn written(&self) -> Written {
        // The first of those with the largest share is what serves.
        let most = self.versions.iter().map(|it| it.share).max().unwrap_or(0);
        let live = self.versions.iter().find(|it| it.share == most).map_or("", |it| it.name.as_str());
        let mut lines = Vec::new();
        if !self.hosts.is_empty() {
            lines.push(("hosts", list(self.hosts.iter().map(text))));
        }
        lines.push(("live", text(live)));
        lines.push(("versions", map(self.versions.iter().map(|it| (it.name.clone(), it.written())))));
        let shares: Vec<_> = self.versions.iter().filter(|it| it.share > 0 && it.name != live).collect();
        let released = self.keys.iter().any(|it| it.0 == "rollout");
        if !shares.is_empty() && !released {
            lines.push(("split", map(shares.iter().map(|it| (it.name.clone(), word(share(it.share)))))));
        }
        lines.extend(self.keys.iter().cloned());
        map(lines)
    }
}

impl Version {
    pub(super) fn written(&self) -> Written {
        let endpoints = match self.endpoints.as_slice() {
            [one] => text(one),
            all => list(all.iter().map(text)),
        };
        match &self.health {
            None => endpoints,
            Some(health) => map([("endpoints", endpoints), ("health", health.clone())]),
        }
    }
}

/// Names are unique, somebody has everything that nobody else has, and what a version has is its own.
pub(super) fn settle_versions(service: &mut Service, remarks: &mut Remarks) {
    service.versions.retain(|it| {
        if it.endpoints.is_empty() {
            remarks.refused(service.at, &service.name, format!("its version {} has no endpoint", it.name));
        }
        !it.endpoints.is_empty()
    });
    let mut seen: Vec<String> = Vec::new();
    for version in &mut service.versions {
        let wanted = version.name.clone();
        let mut number = 2;
        while seen.contains(&version.name) {
            version.name =
                format!("{}-{number}", wanted.chars().take(NAME_CHARS_MAX - 6).collect::<String>());
            number += 1;
        }
        seen.push(version.name.clone());
    }
}
