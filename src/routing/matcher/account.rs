//! Why a route wins and others do not: the same answer as [`Matcher::find`], route by route and in words.
//!
//! For people, not for requests: it looks at every route. A property in the tests holds both together.

use std::cmp::{Ordering, Reverse};

use super::conditions::{HeaderCondition, QueryCondition, TextCondition};
use super::path::{is_below, prefix_length};
use super::{HostPattern, Matcher, PathCondition, PathPattern, RequestFacts, Route, RouteId, host};

/// How the routes answer one request.
#[derive(Clone, Debug, Default)]
pub struct Account<'a> {
    /// The routes that match, the one that wins first.
    pub matched: Vec<Candidate<'a>>,
    /// If none does: the ones that miss least, with what they miss.
    pub nearest: Vec<Candidate<'a>>,
}

/// A route and what became of it.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// Which one, as an index into what [`Matcher::build`] was given.
    pub position: usize,
    /// The route.
    pub route: &'a Route,
    /// One phrase: by what it wins or loses, or what it misses.
    pub why: String,
}

/// What decides among the routes that match; the smallest wins.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Rank {
    host: (u8, Reverse<usize>),
    path: (u8, Reverse<usize>, usize),
    any_method: bool,
    headers: Reverse<usize>,
    query: Reverse<usize>,
    position: usize,
}

impl Matcher {
    /// Which routes match, in the order of precedence, and by what each loses to the one before it all.
    pub fn account(&self, facts: &RequestFacts<'_>) -> Account<'_> {
        let mut ranked: Vec<Rank> = (0..self.routes.len()).filter_map(|it| self.rank(it, facts)).collect();
        ranked.sort();
        let Some(winner) = ranked.first() else {
            return Account { matched: Vec::new(), nearest: self.nearest(facts) };
        };
        let candidate = |rank: &Rank, why: String| Candidate {
            position: rank.position,
            route: &self.routes[rank.position],
            why,
        };
        let first = match ranked.get(1) {
            None => "the only route that matches".to_owned(),
            Some(second) => self.wins_over(winner, second),
        };
        let mut matched = vec![candidate(winner, first)];
        matched.extend(ranked[1..].iter().map(|it| candidate(it, self.loses_to(winner, it))));
        Account { matched, nearest: Vec::new() }
    }

    /// `None` when the route does not match.
    fn rank(&self, id: RouteId, facts: &RequestFacts<'_>) -> Option<Rank> {
        let (asked, conditions) = (&self.matches[id], &self.conditions[id]);
        let host = asked.hosts.iter().filter_map(|it| host_rank(it, facts.host)).min()?;
        let path = self.path_rank(id, facts)?;
        let (any_method, headers, query) = conditions.rank_parts();
        conditions.hold(facts).then_some(Rank { host, path, any_method, headers, query, position: id })
    }

    fn path_rank(&self, id: RouteId, facts: &RequestFacts<'_>) -> Option<(u8, Reverse<usize>, usize)> {
        match &self.matches[id].path {
            PathCondition::Exact(it) => (it == facts.path).then_some((0, Reverse(0), 0)),
            PathCondition::Regex(text) => {
                PathPattern::new(text).ok()?.find(facts.path)?;
                Some((1, Reverse(0), self.first_with(text, id, facts.host)))
            }
            PathCondition::Prefix(it) => is_below(it, facts.path).then(|| (2, Reverse(prefix_length(it)), 0)),
        }
    }

    /// Expressions rank in the order in which their host names them first.
    fn first_with(&self, text: &str, id: RouteId, asked: &str) -> RouteId {
        let best = |id: RouteId| self.matches[id].hosts.iter().filter_map(|it| host_rank(it, asked)).min();
        let own = best(id);
        let same = |it: &RouteId| {
            let other = &self.matches[*it];
            let has_host = other.hosts.iter().filter_map(|it| host_rank(it, asked)).any(|it| Some(it) == own);
            has_host && matches!(&other.path, PathCondition::Regex(it) if it == text)
        };
        (0..id).find(same).unwrap_or(id)
    }

    fn wins_over(&self, winner: &Rank, second: &Rank) -> String {
        let other = &self.routes[second.position].label;
        let by = match self.difference(winner, second) {
            Difference::Host => "its host is more specific than that of",
            Difference::Exact => "its path is exact, which comes before",
            Difference::Kind => "regular expressions come before prefixes, as that of",
            Difference::Path if winner.path.0 == 1 => "its expression comes earlier in the file than that of",
            Difference::Path => "its prefix is longer than that of",
            Difference::Method => "it names methods, unlike",
            Difference::Headers => "it asks for more headers than",
            Difference::Query => "it asks for more of the query than",
            Difference::Order => "it comes earlier in the file than",
        };
        format!("{by} `{other}`")
    }

    fn loses_to(&self, winner: &Rank, loser: &Rank) -> String {
        match self.difference(winner, loser) {
            Difference::Host => "its host is less specific",
            Difference::Exact => "an exact path comes first",
            Difference::Kind => "a regular expression comes before a prefix",
            Difference::Path if winner.path.0 == 1 => "its expression comes later in the file",
            Difference::Path => "its prefix is shorter",
            Difference::Method => "it does not name methods",
            Difference::Headers => "it asks for fewer headers",
            Difference::Query => "it asks for less of the query",
            Difference::Order => "it comes later in the file",
        }
        .to_owned()
    }

    fn difference(&self, one: &Rank, other: &Rank) -> Difference {
        let differs = |it: Ordering| it != Ordering::Equal;
        match () {
            () if differs(one.host.cmp(&other.host)) => Difference::Host,
            () if one.path.0 != other.path.0 && one.path.0 == 0 => Difference::Exact,
            () if one.path.0 != other.path.0 => Difference::Kind,
            () if differs(one.path.cmp(&other.path)) => Difference::Path,
            () if one.any_method != other.any_method => Difference::Method,
            () if one.headers != other.headers => Difference::Headers,
            () if one.query != other.query => Difference::Query,
            () => Difference::Order,
        }
    }

    /// What misses least: something else than the host, then something else than the path.
    fn nearest(&self, facts: &RequestFacts<'_>) -> Vec<Candidate<'_>> {
        let missed = |id: RouteId| {
            let (cost, why) = self.misses(id, facts);
            (cost, Candidate { position: id, route: &self.routes[id], why })
        };
        let mut all: Vec<(usize, Candidate<'_>)> = (0..self.routes.len()).map(missed).collect();
        let least = all.iter().map(|it| it.0).min().unwrap_or(0);
        all.retain(|it| it.0 == least);
        all.into_iter().map(|it| it.1).take(NEAREST_MAX).collect()
    }

    fn misses(&self, id: RouteId, facts: &RequestFacts<'_>) -> (usize, String) {
        let asked = &self.matches[id];
        let (mut cost, mut why) = (0, Vec::new());
        let mut miss = |weight: usize, text: String| {
            cost += weight;
            why.push(text);
        };
        if !asked.hosts.iter().any(|it| host_rank(it, facts.host).is_some()) {
            miss(100, format!("its host is {}", listed(asked.hosts.iter().map(host_text))));
        }
        if self.path_rank(id, facts).is_none() {
            miss(10, format!("its path is {}", path_text(&asked.path)));
        }
        if !asked.methods.is_empty() && !asked.methods.iter().any(|it| it == facts.method) {
            miss(1, format!("its method is {}", listed(asked.methods.iter().cloned())));
        }
        for it in asked.headers.iter().filter(|it| !it.holds(facts.header)) {
            miss(1, format!("it asks for the header {}", header_text(it)));
        }
        for it in asked.query.iter().filter(|it| !it.holds(facts.query)) {
            miss(1, format!("it asks for {} in the query", query_text(it)));
        }
        (cost, why.join(", "))
    }
}

enum Difference {
    Host,
    /// The path of the winner is exact.
    Exact,
    /// An expression against a prefix.
    Kind,
    Path,
    Method,
    Headers,
    Query,
    Order,
}

/// Exact, then wildcards with the longer first, then any.
fn host_rank(pattern: &HostPattern, asked: &str) -> Option<(u8, Reverse<usize>)> {
    let asked = host::without_dot(asked);
    match pattern {
        HostPattern::Any => Some((2, Reverse(0))),
        HostPattern::Exact(it) => (host::normal(it) == asked).then_some((0, Reverse(0))),
        HostPattern::Wildcard(it) => {
            let suffix = host::normal(it);
            let (_, parent) = asked.split_once('.').filter(|(label, _)| !label.is_empty())?;
            let below = parent == suffix || parent.strip_suffix(suffix.as_str())?.ends_with('.');
            below.then(|| (1, Reverse(suffix.split('.').count())))
        }
    }
}

fn host_text(it: &HostPattern) -> String {
    match it {
        HostPattern::Any => "any".into(),
        HostPattern::Exact(it) => format!("`{it}`"),
        HostPattern::Wildcard(it) => format!("`*.{it}`"),
    }
}

fn path_text(it: &PathCondition) -> String {
    match it {
        PathCondition::Exact(it) => format!("exactly `{it}`"),
        PathCondition::Prefix(it) => format!("`{it}` and what is below it"),
        PathCondition::Regex(it) => format!("what matches `{it}`"),
    }
}

fn header_text(it: &HeaderCondition) -> String {
    match &it.value {
        TextCondition::Exact(value) => format!("`{}: {value}`", it.name),
        TextCondition::Present => format!("`{}`", it.name),
    }
}

fn query_text(it: &QueryCondition) -> String {
    match &it.value {
        TextCondition::Exact(value) => format!("`{}={value}`", it.name),
        TextCondition::Present => format!("`{}`", it.name),
    }
}

fn listed(all: impl Iterator<Item = String>) -> String {
    all.collect::<Vec<_>>().join(" or ")
}

/// Most routes that are shown as near; more are no help.
const NEAREST_MAX: usize = 5;
