//! `routes`, and the routes that services' hosts make.

use std::collections::{HashMap, HashSet};

use crate::routing::{
    HostPattern, Matcher, PathCondition, Route, RouteMatch, RouteProblem, ServiceIndex, Target,
};

use super::code::Code;
use super::condition;
use super::edit;
use super::fields::{self, Fields, Shape};
use super::node::Node;
use super::problem::{Problems, Report};
use super::service;
use super::source::At;
use super::yaml::shown;

pub(super) const ROUTE: Shape = Shape {
    name: "Route",
    what: "a route",
    keys: &["match", "to", "rewrite", "set_headers", "add_headers", "remove_headers", "redirect"],
};

pub(super) const MATCH: Shape =
    Shape { name: "Match", what: "`match`", keys: &["host", "path", "method", "header", "query"] };

/// A route and where it is written.
pub(super) struct Placed {
    pub(super) at: At,
    matches: RouteMatch,
    route: Route,
}

pub(super) fn route(node: &Node, services: &[&str], problems: &mut Problems) -> Option<Placed> {
    let fields = Fields::of(node, node.at, &ROUTE, problems)?;
    let matches = match fields.entry("match") {
        Some(it) => route_match(&it.value, it.key.at, problems),
        None => Some(everything(vec![HostPattern::Any])),
    };
    let path = matches.as_ref().map(|it| &it.path);
    let rewrite = fields.get("rewrite").map(|it| edit::rewrite(it, path, &edit::REWRITE, problems));
    let edits = edit::edits(&fields, problems);
    let redirect = fields.get("redirect").map(|it| edit::redirect(it, path, problems));
    let target = match (fields.entry("to"), redirect) {
        (Some(to), None) => service_named(&to.value, services, problems).map(Target::Service),
        (None, Some(redirect)) => {
            if let Some(rewrite) = fields.entry("rewrite") {
                let message = "a redirect forwards nothing that could be rewritten";
                let report = Report::error(Code::Rewrite, rewrite.key.at, message);
                problems.push(report.help("redirect: {path: …} says where to"));
            }
            redirect.map(Target::Redirect)
        }
        (to, redirect) => {
            let both = to.is_some() && redirect.is_some();
            let message =
                if both { "a route has either `to` or `redirect`" } else { "a route leads nowhere" };
            let report = Report::error(Code::RouteTarget, node.at, message);
            problems.push(report.help("add `to` with the name of a service, or `redirect`"));
            None
        }
    };
    let (request_headers, response_headers) = edits?;
    let rewrite = match rewrite {
        Some(it) => Some(it?),
        None => None,
    };
    let route = Route { target: target?, rewrite, request_headers, response_headers };
    Some(Placed { at: node.at, matches: matches?, route })
}

fn route_match(node: &Node, at: At, problems: &mut Problems) -> Option<RouteMatch> {
    let fields = Fields::of(node, at, &MATCH, problems)?;
    let mut it = everything(vec![HostPattern::Any]);
    let mut complete = true;
    let mut keep = |understood: bool| complete &= understood;
    if let Some(node) = fields.get("host") {
        let hosts = condition::hosts(node, problems);
        keep(hosts.is_some());
        it.hosts = hosts.unwrap_or_default().into_iter().map(|it| it.0).collect();
    }
    if let Some(node) = fields.get("path") {
        let path = condition::path_condition(node, problems);
        keep(path.is_some());
        it.path = path.unwrap_or(it.path);
    }
    if let Some(node) = fields.get("method") {
        let methods = condition::methods(node, problems);
        keep(methods.is_some());
        it.methods = methods.unwrap_or_default();
    }
    if let Some(node) = fields.get("header") {
        let headers = condition::headers(node, problems);
        keep(headers.is_some());
        it.headers = headers.unwrap_or_default();
    }
    if let Some(node) = fields.get("query") {
        let query = condition::query(node, problems);
        keep(query.is_some());
        it.query = query.unwrap_or_default();
    }
    complete.then_some(it)
}

fn everything(hosts: Vec<HostPattern>) -> RouteMatch {
    let path = PathCondition::Prefix("/".into());
    RouteMatch { hosts, path, methods: Vec::new(), headers: Vec::new(), query: Vec::new() }
}

fn service_named(node: &Node, services: &[&str], problems: &mut Problems) -> Option<ServiceIndex> {
    let name = fields::text(node, problems)?;
    if let Some(index) = services.iter().position(|it| *it == name) {
        return Some(ServiceIndex(index));
    }
    let message = "`to` names a service that does not exist";
    let report = Report::error(Code::ServiceUnknown, node.at, message);
    let report = report.label(format!("no service `{}`", shown(name)));
    let full = problems.is_full();
    let known = services.iter().copied().filter(|_| !full);
    let some = services.iter().take(8).copied().collect::<Vec<_>>().join(", ");
    problems.push(report.did_you_mean(name, known, &format!("services: {some}")));
    None
}

/// The matcher of all routes: those of the file in their order, then one for each host of a service.
pub(super) fn matcher(
    routes: Vec<Placed>,
    services: &[service::Placed],
    problems: &mut Problems,
) -> Option<Matcher> {
    let targets: HashSet<usize> = routes
        .iter()
        .filter_map(|it| match it.route.target {
            Target::Service(index) => Some(index.0),
            Target::Redirect(_) => None,
        })
        .collect();
    let taken: HashSet<HostPattern> =
        routes.iter().filter(|it| takes_all(&it.matches)).flat_map(|it| it.matches.hosts.clone()).collect();
    let hosts = hosts_of_services(services, &targets, problems);
    let mut places: Vec<(At, Vec<HostPattern>)> =
        routes.iter().map(|it| (it.at, it.matches.hosts.clone())).collect();
    let mut all: Vec<(RouteMatch, Route)> = routes.into_iter().map(|it| (it.matches, it.route)).collect();
    for (index, hosts) in hosts {
        // A route of the file that takes a whole host stands for the service's own.
        let free: Vec<HostPattern> = hosts.into_iter().filter(|it| !taken.contains(it)).collect();
        if !free.is_empty() {
            places.push((services[index].at, free.clone()));
            all.push((everything(free), to_service(index)));
        } else if !targets.contains(&index) {
            let name = &services[index].config.spec.name;
            let message = format!("service `{name}` never gets a request: routes take all of its hosts");
            problems.push(Report::warning(Code::ServiceUnreached, services[index].at, message));
        }
    }
    match Matcher::build(all) {
        Ok(it) => Some(it),
        Err(found) => {
            for problem in found {
                problems.push(report(&problem, &places));
            }
            None
        }
    }
}

fn takes_all(matches: &RouteMatch) -> bool {
    let path = matches!(&matches.path, PathCondition::Prefix(it) if it == "/");
    path && matches.methods.is_empty() && matches.headers.is_empty() && matches.query.is_empty()
}

fn to_service(index: usize) -> Route {
    let target = Target::Service(ServiceIndex(index));
    Route { target, rewrite: None, request_headers: [].into(), response_headers: [].into() }
}

fn report(problem: &RouteProblem, places: &[(At, Vec<HostPattern>)]) -> Report {
    match problem {
        RouteProblem::Regex { route, message } => {
            Report::error(Code::Regex, places[*route].0, "the regular expression cannot be used")
                .help(message)
        }
        RouteProblem::Unreachable { route, by } => {
            Report::error(Code::Unreachable, places[*route].0, "this route is never reached")
                .related(places[*by].0, "this one takes everything it matches")
                .help("remove it, or make it more specific than the other")
        }
    }
}

/// The hosts that bring requests to each service by themselves. A service without hosts catches what no
/// other does, unless a route leads to it and another service is the one that catches.
fn hosts_of_services(
    services: &[service::Placed],
    targets: &HashSet<usize>,
    problems: &mut Problems,
) -> Vec<(usize, Vec<HostPattern>)> {
    let hostless: Vec<usize> = (0..services.len()).filter(|it| services[*it].hosts.is_empty()).collect();
    let untargeted: Vec<usize> = hostless.iter().copied().filter(|it| !targets.contains(it)).collect();
    let catching = if hostless.len() == 1 { hostless } else { untargeted };
    let mut taken: HashMap<&HostPattern, (usize, At)> = HashMap::new();
    let mut found = Vec::new();
    for (index, service) in services.iter().enumerate() {
        let any = (HostPattern::Any, service.at);
        let catches = catching.contains(&index);
        let hosts: Vec<&(HostPattern, At)> = service.hosts.iter().collect();
        for (host, at) in &hosts {
            if let Some((other, first)) = taken.insert(host, (index, *at)) {
                problems.push(host_taken(host, *at, &services[other], first, other == index));
            }
        }
        let mut patterns: Vec<HostPattern> = hosts.into_iter().map(|it| it.0.clone()).collect();
        if catches {
            patterns.push(any.0);
        }
        if !patterns.is_empty() {
            found.push((index, patterns));
        }
    }
    let star = taken.get(&HostPattern::Any).map(|it| it.0);
    two_catch_all(services, &catching, star, problems);
    found
}

fn host_taken(host: &HostPattern, at: At, other: &service::Placed, first: At, same: bool) -> Report {
    let host = match host {
        HostPattern::Any => "*".to_string(),
        HostPattern::Exact(it) => it.clone(),
        HostPattern::Wildcard(it) => format!("*.{it}"),
    };
    let message = if same {
        format!("host `{host}` is listed twice")
    } else {
        format!("host `{host}` belongs to service `{}`", other.config.spec.name)
    };
    Report::error(Code::HostTaken, at, message).related(first, "first here")
}

fn two_catch_all(
    services: &[service::Placed],
    catching: &[usize],
    star: Option<usize>,
    problems: &mut Problems,
) {
    let mut all = star.into_iter().chain(catching.iter().copied());
    let Some(first) = all.next() else { return };
    for other in all {
        let name = &services[other].config.spec.name;
        let rival = &services[first].config.spec.name;
        problems.push(
            Report::error(
                Code::HostTaken,
                services[other].at,
                format!("services `{rival}` and `{name}` both catch every host"),
            )
            .related(services[first].at, "this one has no hosts either")
            .help("give one of them `hosts`, or a route that leads to it"),
        );
    }
}
