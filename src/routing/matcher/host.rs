//! Which host a route answers to, and an index from host to whatever is kept for it.

use std::collections::HashMap;

use super::trie::Trie;

/// A host that a route or service answers to.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum HostPattern {
    /// Any host.
    Any,
    /// Exactly this one, in lower case.
    Exact(String),
    /// `*.suffix`: one or more labels in front of the suffix (without the star and dot).
    Wildcard(String),
}

/// A dot at the end of a name means "from the root" and changes nothing here.
pub(super) fn without_dot(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

/// Values by host pattern.
#[derive(Debug)]
pub(super) struct Hosts<T> {
    exact: HashMap<Box<str>, T>,
    wildcard: Trie<T>,
    any: Option<T>,
}

impl<T> Hosts<T> {
    /// The values of all patterns that match: exact, longer wildcards before shorter ones, any.
    pub(super) fn most_specific_first(&self, host: &str) -> impl Iterator<Item = &T> {
        // The star stands for at least one label, so only what follows the first one is looked up.
        let parent = host.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, rest)| rest);
        let wildcards = parent.into_iter().flat_map(|it| self.wildcard.longest_first(labels(it)));
        self.exact.get(host).into_iter().chain(wildcards).chain(&self.any)
    }

    /// Every value, in no particular order.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.exact.values_mut().chain(self.wildcard.values_mut()).chain(&mut self.any)
    }
}

impl<T: Default> Hosts<T> {
    /// The value of this pattern.
    pub(super) fn entry(&mut self, pattern: &HostPattern) -> &mut T {
        match pattern {
            HostPattern::Any => self.any.get_or_insert_default(),
            HostPattern::Exact(name) => self.exact.entry(normal(name).into()).or_default(),
            HostPattern::Wildcard(suffix) => {
                self.wildcard.entry(labels(&normal(suffix))).get_or_insert_default()
            }
        }
    }
}

impl<T> Default for Hosts<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), wildcard: Trie::default(), any: None }
    }
}

pub(super) fn normal(name: &str) -> String {
    without_dot(name).to_ascii_lowercase()
}

/// From the right: names that share a suffix share a branch.
fn labels(name: &str) -> impl Iterator<Item = &str> {
    name.rsplit('.')
}
