//! From request to route, by Gateway API precedence, at a cost that does not grow with the routes.
//!
//! Precedence, the first difference decides:
//!
//! 1. host: an exact one, then the longer wildcard, then the shorter, then any;
//! 2. path: exact, then regular expressions in the order of the file, then the prefix with more elements;
//! 3. a route that names methods before one that does not;
//! 4. more header conditions, then more query conditions;
//! 5. the order of the file.
//!
//! The best route *whose conditions all hold* wins. The Gateway API gives precedence to the rules of
//! the more specific host and does not say what happens when none of them matches; here the search
//! goes on among the less specific hosts, so `*.example.com/health` also serves `a.example.com` when
//! the routes of `a.example.com` leave that path alone. Regular expressions have no rank in the
//! Gateway API; two routes with the very same expression are told apart by points 3 to 5.
//!
//! The index is a map by host, and within a host a map by exact path, one automaton for all regular
//! expressions, and a trie of path elements. A lookup hashes the host and the path once each, whatever
//! the number of routes; only routes with the same host *and* the same path are tried one by one.
//! Nothing is allocated, save that the automaton of a host keeps scratch memory for each thread and
//! makes it, within a fixed bound, when that thread first needs it.
//!
//! Not here: normalising hosts and paths (the codec does it before it asks), and what is done with the
//! route.

mod account;
mod build;
mod conditions;
mod host;
mod path;
mod pattern;
mod patterns;
mod query;
mod trie;

#[cfg(test)]
mod tests;

use std::fmt;

use super::table::Route;

pub use account::{Account, Candidate};
pub use conditions::{HeaderCondition, QueryCondition, TextCondition};
pub use host::HostPattern;
pub use path::PathCondition;
pub use pattern::{PathPattern, PatternError};

use conditions::Conditions;
use host::Hosts;
use path::Paths;

/// Finds the values of a header by name (any case) and hands each to the function it is given.
pub type HeaderLookup<'a> = &'a dyn Fn(&str, &mut dyn FnMut(&[u8]));

/// What routing looks at. Host and path are normalised by the caller.
#[derive(Clone, Copy)]
pub struct RequestFacts<'a> {
    /// Lower case, without port. One dot at the end is ignored.
    pub host: &'a str,
    /// Normalised path, starting with `/`.
    pub path: &'a str,
    /// As received; methods are case-sensitive.
    pub method: &'a str,
    /// Without the question mark.
    pub query: Option<&'a str>,
    /// Called only when a route asks for a header.
    pub header: HeaderLookup<'a>,
}

/// Everything a route asks of a request.
#[derive(Clone, Debug)]
pub struct RouteMatch {
    /// Any of these; never empty.
    pub hosts: Vec<HostPattern>,
    /// `Prefix("/")` when the file names none.
    pub path: PathCondition,
    /// Any of these; empty for all.
    pub methods: Vec<String>,
    /// All of these.
    pub headers: Vec<HeaderCondition>,
    /// All of these.
    pub query: Vec<QueryCondition>,
}

/// Why a list of routes makes no matcher.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RouteProblem {
    /// The regular expression of this route cannot be compiled.
    #[error("{message}")]
    Regex {
        /// Which route.
        route: usize,
        /// What is wrong with it.
        message: String,
    },
    /// This route can never win: an earlier one takes everything it matches.
    #[error("never reached: an earlier route matches the same requests")]
    Unreachable {
        /// Which route.
        route: usize,
        /// The route that hides it.
        by: usize,
    },
}

impl RouteProblem {
    /// The route that has the problem, as an index into what [`Matcher::build`] was given.
    pub fn route(&self) -> usize {
        match self {
            Self::Regex { route, .. } | Self::Unreachable { route, .. } => *route,
        }
    }
}

/// Finds the route of a request.
pub struct Matcher {
    routes: Vec<Route>,
    /// As they were asked for, by the same index; nothing of it is looked at for a request.
    matches: Vec<RouteMatch>,
    /// What each route asks beyond host and path, by the same index.
    conditions: Vec<Conditions>,
    hosts: Hosts<Paths>,
}

/// Index into [`Matcher::routes`].
type RouteId = usize;

impl Matcher {
    /// Matches nothing.
    pub fn empty() -> Self {
        Self { routes: Vec::new(), matches: Vec::new(), conditions: Vec::new(), hosts: Hosts::default() }
    }

    /// Builds the index. All problems are reported, in the order of the routes, not only the first.
    pub fn build(routes: Vec<(RouteMatch, Route)>) -> Result<Self, Vec<RouteProblem>> {
        let (matches, routes): (Vec<_>, Vec<_>) = routes.into_iter().unzip();
        let (conditions, hosts) = build::index(&matches)?;
        Ok(Self { routes, matches, conditions, hosts })
    }

    /// The route that wins.
    pub fn find(&self, facts: &RequestFacts<'_>) -> Option<&Route> {
        self.position(facts).map(|it| &self.routes[it])
    }

    /// Whether any route answers to this host.
    pub fn has_host(&self, host: &str) -> bool {
        self.hosts.most_specific_first(host::without_dot(host)).next().is_some()
    }

    /// Every route and what it asks, in the order in which they were given.
    pub fn routes(&self) -> impl Iterator<Item = (&RouteMatch, &Route)> {
        self.matches.iter().zip(&self.routes)
    }

    /// The number of the route that wins, as an index into what [`Matcher::build`] was given.
    pub fn position(&self, facts: &RequestFacts<'_>) -> Option<usize> {
        let host = host::without_dot(facts.host);
        let admits = |id: RouteId| self.conditions[id].hold(facts);
        self.hosts.most_specific_first(host).find_map(|paths| paths.find(facts.path, admits))
    }
}

/// The index is large and says little; the number of routes is what a reader of a log wants.
impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matcher").field("routes", &self.routes.len()).finish_non_exhaustive()
    }
}
