//! Tables of routes and requests in a compact notation, and the index against a plain search.
//!
//! A route is `name: hosts path [METHOD,…] [header:value] [?parameter=value]`; the path is `/prefix`,
//! `=/exact` or `~regex`, a value of `*` means any. A request is `METHOD host/path?query header:value`.

mod huge;
mod oracle;
mod precedence;
mod unreachable;

use super::super::table::{Route, ServiceIndex, Target};
use super::{
    HeaderCondition, HostPattern, Matcher, PathCondition, QueryCondition, RequestFacts, RouteMatch,
    RouteProblem, TextCondition,
};

/// Builds `routes` and asks for each of `requests`: `request => name`, or `=> -` for no route.
#[track_caller]
fn check(routes: &str, requests: &str) {
    let (names, matches) = parse_routes(routes);
    let matcher = build(matches).expect("the routes have no problem");
    for line in lines(requests) {
        let (request, expected) = line.split_once("=>").expect("a request says what it expects");
        let request = Request::parse(request.trim());
        let found = request.ask(&matcher).map_or("-", |it| names[it].as_str());
        assert_eq!(found, expected.trim(), "{line}");
        if names.len() < 64 {
            assert_eq!(request.told(&matcher).map_or("-", |it| names[it].as_str()), found, "{line}");
        }
    }
}

fn build(matches: Vec<RouteMatch>) -> Result<Matcher, Vec<RouteProblem>> {
    Matcher::build(matches.into_iter().enumerate().map(|(at, it)| (it, route_to(at))).collect())
}

fn route_to(service: usize) -> Route {
    Route {
        label: "".into(),
        server_timing: false,
        rate: None,
        fault: None,
        target: Target::Service(ServiceIndex(service)),
        rewrite: None,
        request_headers: [].into(),
        response_headers: [].into(),
    }
}

fn parse_routes(text: &str) -> (Vec<String>, Vec<RouteMatch>) {
    lines(text)
        .map(|line| {
            let (name, asked) = line.split_once(": ").expect("a route has a name");
            (name.to_owned(), parse_match(asked))
        })
        .unzip()
}

fn parse_match(text: &str) -> RouteMatch {
    let mut words = text.split_whitespace();
    let hosts = words.next().expect("a route has hosts").split(',').map(parse_host).collect();
    let path = parse_path(words.next().expect("a route has a path"));
    let mut asked = RouteMatch { hosts, path, methods: vec![], headers: vec![], query: vec![] };
    for word in words {
        if let Some(parameter) = word.strip_prefix('?') {
            let (name, value) = parse_condition(parameter, '=');
            asked.query.push(QueryCondition { name, value });
        } else if word.contains(':') {
            let (name, value) = parse_condition(word, ':');
            asked.headers.push(HeaderCondition { name, value });
        } else {
            asked.methods.extend(word.split(',').map(str::to_owned));
        }
    }
    asked
}

fn parse_host(text: &str) -> HostPattern {
    match text.strip_prefix("*.") {
        Some(suffix) => HostPattern::Wildcard(suffix.to_owned()),
        None if text == "*" => HostPattern::Any,
        None => HostPattern::Exact(text.to_owned()),
    }
}

fn parse_path(text: &str) -> PathCondition {
    match text.split_at(1) {
        ("=", path) => PathCondition::Exact(path.to_owned()),
        ("~", regex) => PathCondition::Regex(regex.to_owned()),
        _ => PathCondition::Prefix(text.to_owned()),
    }
}

fn parse_condition(text: &str, between: char) -> (String, TextCondition) {
    let (name, value) = text.split_once(between).expect("a condition has a name and a value");
    let value = if value == "*" { TextCondition::Present } else { TextCondition::Exact(value.to_owned()) };
    (name.to_owned(), value)
}

/// A request as the tests write it.
#[derive(Debug)]
struct Request {
    method: String,
    host: String,
    path: String,
    query: Option<String>,
    headers: Vec<(String, String)>,
}

impl Request {
    fn parse(text: &str) -> Self {
        let mut words = text.split_whitespace();
        let method = words.next().expect("a request has a method").to_owned();
        let target = words.next().expect("a request has a target");
        let (host, path) = target.split_at(target.find('/').expect("a target has a path"));
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (path, None),
        };
        let header = |word: &str| word.split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned()));
        let headers = words.map(|it| header(it).expect("a header has a value")).collect();
        Self { method, host: host.to_owned(), path: path.to_owned(), query, headers }
    }

    fn ask(&self, matcher: &Matcher) -> Option<usize> {
        self.with_facts(|facts| {
            let found = matcher.position(facts);
            let service = matcher.find(facts).map(|it| match it.target {
                Target::Service(ServiceIndex(service)) => service,
                Target::Redirect(_) => unreachable!("no test routes to a redirect"),
            });
            assert_eq!(service, found, "the route and its position belong together");
            found
        })
    }

    /// Who wins by the account that people are given; slow, because it compiles every expression.
    fn told(&self, matcher: &Matcher) -> Option<usize> {
        self.with_facts(|facts| {
            let told = matcher.account(facts);
            let nothing_near = told.nearest.is_empty() && !matcher.routes.is_empty();
            assert_eq!(nothing_near, !told.matched.is_empty(), "{told:?}");
            told.matched.first().map(|it| it.position)
        })
    }

    fn with_facts<R>(&self, then: impl FnOnce(&RequestFacts<'_>) -> R) -> R {
        let header = |name: &str, each: &mut dyn FnMut(&[u8])| {
            let named = self.headers.iter().filter(|it| it.0.eq_ignore_ascii_case(name));
            named.for_each(|it| each(it.1.as_bytes()));
        };
        then(&RequestFacts {
            host: &self.host,
            path: &self.path,
            method: &self.method,
            query: self.query.as_deref(),
            header: &header,
        })
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|it| !it.is_empty())
}
