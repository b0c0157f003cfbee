//! What the path must be, and the index by path within one host.

use std::collections::HashMap;

use super::RouteId;
use super::pattern::PatternError;
use super::patterns::Patterns;
use super::trie::Trie;

/// What the path must be. Paths are case-sensitive.
#[derive(Clone, Debug)]
pub enum PathCondition {
    /// Exactly this.
    Exact(String),
    /// This, or this and further elements: `/api` matches `/api` and `/api/x`, not `/apix`. A slash at
    /// the end changes nothing: `/api/` also matches `/api`.
    Prefix(String),
    /// A regular expression, searched in linear time, anchored only as written. Its classes (`\d`,
    /// `\w`, `(?i)`) are those of ASCII.
    Regex(String),
}

/// Routes with the same host and the same path condition, best first once they are ranked.
pub(super) type Candidates = Vec<RouteId>;

/// The routes of one host.
#[derive(Debug, Default)]
pub(super) struct Paths {
    exact: HashMap<Box<str>, Candidates>,
    patterns: Patterns,
    prefixes: Trie<Candidates>,
}

impl Paths {
    /// The best route that matches `path` and that `admits` does not refuse.
    pub(super) fn find(&self, path: &str, admits: impl Fn(RouteId) -> bool) -> Option<RouteId> {
        let first = |it: &Candidates| it.iter().copied().find(|id| admits(*id));
        let exact = self.exact.get(path).and_then(first);
        let pattern = || self.patterns.find(path, first);
        let prefix = || self.prefixes.longest_first(request_elements(path)).find_map(first);
        exact.or_else(pattern).or_else(prefix)
    }

    /// Adds a route. [`Paths::compile`] comes after the last one.
    pub(super) fn add(&mut self, condition: &PathCondition, route: RouteId) {
        let candidates = match condition {
            PathCondition::Exact(path) => self.exact.entry(path.as_str().into()).or_default(),
            PathCondition::Regex(text) => self.patterns.entry(text),
            PathCondition::Prefix(prefix) => {
                self.prefixes.entry(prefix_elements(prefix)).get_or_insert_default()
            }
        };
        // A route that names one host twice is still one candidate.
        if candidates.last() != Some(&route) {
            candidates.push(route);
        }
    }

    /// Makes the automaton of the regular expressions.
    pub(super) fn compile(&mut self) -> Result<(), PatternError> {
        self.patterns.compile()
    }

    /// Every list of routes with the same path condition, in no particular order.
    pub(super) fn groups_mut(&mut self) -> impl Iterator<Item = &mut Candidates> {
        self.exact.values_mut().chain(self.patterns.groups_mut()).chain(self.prefixes.values_mut())
    }

    /// The last route with a regular expression.
    pub(super) fn last_with_pattern(&mut self) -> Option<RouteId> {
        self.patterns.groups_mut().flat_map(|it| it.iter().copied()).max()
    }
}

fn request_elements(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

/// The elements of a prefix: none for `/`, one for `/api` and for `/api/`.
fn prefix_elements(prefix: &str) -> impl Iterator<Item = &str> {
    let inner = prefix.strip_prefix('/').unwrap_or(prefix);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    (!inner.is_empty()).then(|| inner.split('/')).into_iter().flatten()
}

/// Whether the elements of `path` begin with those of `prefix`.
pub(super) fn is_below(prefix: &str, path: &str) -> bool {
    let mut elements = request_elements(path);
    prefix_elements(prefix).all(|it| elements.next() == Some(it))
}

/// Elements of a prefix.
pub(super) fn prefix_length(prefix: &str) -> usize {
    prefix_elements(prefix).count()
}
