//! What a route asks beyond host and path: methods, headers and query parameters.

use std::cmp::Reverse;

use super::query;
use super::{HeaderLookup, RequestFacts, RouteMatch};

/// What a text must be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TextCondition {
    /// Exactly this.
    Exact(String),
    /// Anything, as long as it is there.
    Present,
}

/// A header that must be there. Of several lines with that name one is enough.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeaderCondition {
    /// Lower case.
    pub name: String,
    /// Its value.
    pub value: TextCondition,
}

/// A query parameter that must be there. Of several with that name the first one counts, as the
/// Gateway API recommends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueryCondition {
    /// Its name, decoded.
    pub name: String,
    /// Its value, decoded.
    pub value: TextCondition,
}

impl HeaderCondition {
    /// Whether a request with these headers meets it.
    pub fn holds(&self, header: HeaderLookup<'_>) -> bool {
        let mut found = false;
        header(&self.name, &mut |value| {
            found |= match &self.value {
                TextCondition::Present => true,
                TextCondition::Exact(wanted) => value == wanted.as_bytes(),
            };
        });
        found
    }

    fn follows_from(&self, other: &Self) -> bool {
        self.name == other.name && self.value.follows_from(&other.value)
    }
}

impl QueryCondition {
    pub(super) fn holds(&self, query: Option<&str>) -> bool {
        let Some(value) = query.and_then(|it| query::first_value(it, &self.name)) else {
            return false;
        };
        match &self.value {
            TextCondition::Present => true,
            TextCondition::Exact(wanted) => query::means(value, wanted),
        }
    }

    fn follows_from(&self, other: &Self) -> bool {
        self.name == other.name && self.value.follows_from(&other.value)
    }
}

impl TextCondition {
    fn follows_from(&self, other: &Self) -> bool {
        *self == Self::Present || self == other
    }
}

/// The conditions of one route, each said once.
#[derive(Debug)]
pub(super) struct Conditions {
    methods: Vec<String>,
    headers: Vec<HeaderCondition>,
    query: Vec<QueryCondition>,
}

impl Conditions {
    /// What `asked` asks. A condition that follows from another one is left out: saying the same twice
    /// does not make a route more specific.
    pub(super) fn of(asked: &RouteMatch) -> Self {
        let mut methods = asked.methods.clone();
        methods.sort_unstable();
        methods.dedup();
        let named = asked
            .headers
            .iter()
            .map(|it| HeaderCondition { name: it.name.to_ascii_lowercase(), value: it.value.clone() });
        Self {
            methods,
            headers: strongest(named, HeaderCondition::follows_from),
            query: strongest(asked.query.iter().cloned(), QueryCondition::follows_from),
        }
    }

    /// Orders routes with equal host and path: the smallest is tried first.
    pub(super) fn rank(&self) -> impl Ord + use<> {
        self.rank_parts()
    }

    /// Whether all methods do, how many headers, how much of the query.
    pub(super) fn rank_parts(&self) -> (bool, Reverse<usize>, Reverse<usize>) {
        (self.methods.is_empty(), Reverse(self.headers.len()), Reverse(self.query.len()))
    }

    /// Whether the request meets all of them.
    pub(super) fn hold(&self, facts: &RequestFacts<'_>) -> bool {
        (self.methods.is_empty() || self.methods.iter().any(|it| it == facts.method))
            && self.headers.iter().all(|it| it.holds(facts.header))
            && self.query.iter().all(|it| it.holds(facts.query))
    }

    /// Whether every request that meets `other` meets these as well.
    pub(super) fn follow_from(&self, other: &Self) -> bool {
        let methods = self.methods.is_empty()
            || (!other.methods.is_empty() && other.methods.iter().all(|it| self.methods.contains(it)));
        methods
            && self.headers.iter().all(|it| other.headers.iter().any(|theirs| it.follows_from(theirs)))
            && self.query.iter().all(|it| other.query.iter().any(|theirs| it.follows_from(theirs)))
    }
}

/// Leaves out what follows from something that is kept.
fn strongest<C>(conditions: impl Iterator<Item = C>, follows: impl Fn(&C, &C) -> bool) -> Vec<C> {
    let mut kept: Vec<C> = Vec::new();
    for condition in conditions {
        if !kept.iter().any(|it| follows(&condition, it)) {
            kept.retain(|it| !follows(it, &condition));
            kept.push(condition);
        }
    }
    kept
}
