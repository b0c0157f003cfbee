//! The index against a plain search that follows the rules word by word.

use std::cmp::Reverse;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::super::pattern::PathPattern;
use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Names are few, so that routes meet, hide and undercut each other all the time.
    #[test]
    fn index_and_plain_search_agree(
        routes in prop::collection::vec(route(), 1..24),
        requests in prop::collection::vec(request(), 1..24),
    ) {
        let hidden: Vec<usize> = match build(routes.clone()) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.iter().map(RouteProblem::route).collect(),
        };
        let open: Vec<usize> = (0..routes.len()).filter(|it| !hidden.contains(it)).collect();
        let matcher = build(open.iter().map(|it| routes[*it].clone()).collect());
        let matcher = matcher.expect("without the unreachable routes there is no problem");
        if routes.len() < 6 {
            let told = requests[0].told(&matcher).map(|it| open[it]);
            prop_assert_eq!(told, plain(&routes, &requests[0]), "{:?}", &requests[0]);
        }
        for request in &requests {
            let expected = plain(&routes, request);
            prop_assert_eq!(request.ask(&matcher).map(|it| open[it]), expected, "{:?}", request);
        }
    }
}

/// The best of all routes that match, by the rules in the order in which they are documented.
fn plain(routes: &[RouteMatch], request: &Request) -> Option<usize> {
    let ranked = routes.iter().enumerate().filter_map(|(order, route)| {
        let host = route.hosts.iter().filter_map(|it| host_rank(it, &request.host)).min()?;
        let path = path_rank(routes, route, host, request)?;
        let rest = conditions_hold(route, request).then_some((
            route.methods.is_empty(),
            Reverse(route.headers.len()),
            Reverse(route.query.len()),
        ))?;
        Some(((host, path, rest, order), order))
    });
    ranked.min().map(|it| it.1)
}

/// Exact, wildcards by length, any.
fn host_rank(pattern: &HostPattern, host: &str) -> Option<(u8, Reverse<usize>)> {
    match pattern {
        HostPattern::Exact(name) => (name == host).then_some((0, Reverse(0))),
        HostPattern::Wildcard(suffix) => {
            host.ends_with(&format!(".{suffix}")).then_some((1, Reverse(suffix.len())))
        }
        HostPattern::Any => Some((2, Reverse(0))),
    }
}

/// Exact, expressions by first appearance under this host, prefixes by length.
fn path_rank(
    routes: &[RouteMatch],
    route: &RouteMatch,
    host: (u8, Reverse<usize>),
    request: &Request,
) -> Option<(u8, usize, Reverse<usize>)> {
    let path = request.path.as_str();
    match &route.path {
        PathCondition::Exact(wanted) => (wanted == path).then_some((0, 0, Reverse(0))),
        PathCondition::Regex(text) => {
            PathPattern::new(text).expect("it is valid").find(path)?;
            let same = |it: &RouteMatch| {
                matches!(&it.path, PathCondition::Regex(other) if other == text)
                    && it.hosts.iter().any(|it| host_rank(it, &request.host) == Some(host))
            };
            Some((1, routes.iter().position(same)?, Reverse(0)))
        }
        PathCondition::Prefix(prefix) => {
            let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
            let whole = path == prefix || path.starts_with(&format!("{prefix}/"));
            whole.then_some((2, 0, Reverse(prefix.len())))
        }
    }
}

fn conditions_hold(route: &RouteMatch, request: &Request) -> bool {
    let equal = |wanted: &TextCondition, value: &str| match wanted {
        TextCondition::Present => true,
        TextCondition::Exact(it) => it == value,
    };
    let query = request.query.as_deref().unwrap_or_default();
    let parameters: Vec<(&str, &str)> = query.split('&').filter_map(|it| it.split_once('=')).collect();
    (route.methods.is_empty() || route.methods.contains(&request.method))
        && route
            .headers
            .iter()
            .all(|it| request.headers.iter().any(|(name, value)| *name == it.name && equal(&it.value, value)))
        && route.query.iter().all(|it| {
            parameters
                .iter()
                .find(|(name, _)| *name == it.name)
                .is_some_and(|found| equal(&it.value, found.1))
        })
}

fn route() -> impl Strategy<Value = RouteMatch> {
    let hosts = subsequence(vec!["*", "*.test", "*.a.test", "a.test", "b.a.test"], 1..=2);
    let path = select(vec![
        "/",
        "/a",
        "/a/",
        "/a/b",
        "/a/b/c",
        "/b",
        "/ab",
        "/a//b",
        "=/",
        "=/a",
        "=/a/",
        "=/a/b",
        "~^/a",
        "~b$",
        "~^/a/[bc]",
    ]);
    let methods = subsequence(vec!["GET", "POST"], 0..=2);
    let headers = subsequence(vec!["x-a", "x-b"], 0..=2);
    let query = subsequence(vec!["p", "q"], 0..=2);
    let value = || select(vec![TextCondition::Present, text("1"), text("2")]);
    (hosts, path, methods, headers, query, value(), value()).prop_map(
        |(hosts, path, methods, headers, query, first, second)| RouteMatch {
            hosts: hosts.into_iter().map(parse_host).collect(),
            path: parse_path(path),
            methods: methods.into_iter().map(str::to_owned).collect(),
            headers: headers
                .into_iter()
                .map(|name| HeaderCondition { name: name.to_owned(), value: first.clone() })
                .collect(),
            query: query
                .into_iter()
                .map(|name| QueryCondition { name: name.to_owned(), value: second.clone() })
                .collect(),
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    let host = select(vec!["test", "a.test", "b.a.test", "c.a.test", "c.test", "d.c.test", "other"]);
    let path = select(vec![
        "/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/a/c", "/ab", "/a//b", "/a//b/c", "/b", "/c", "//",
        "//a",
    ]);
    let method = select(vec!["GET", "POST", "HEAD"]);
    let query = select(vec![None, Some(""), Some("p=1"), Some("p=2&q=1"), Some("q=2&p=1&q=1")]);
    let header = select(vec!["x-a", "x-b"]).prop_map(str::to_owned);
    let header = (header, select(vec!["1", "2"]).prop_map(str::to_owned));
    (method, host, path, query, prop::collection::vec(header, 0..4)).prop_map(
        |(method, host, path, query, headers)| Request {
            method: method.to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            query: query.map(str::to_owned),
            headers,
        },
    )
}

fn text(value: &str) -> TextCondition {
    TextCondition::Exact(value.to_owned())
}
