//! `routes`, and the routes that services' hosts make.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::routing::{
    HostPattern, Matcher, PathCondition, Rate, Route, RouteMatch, RouteProblem, ServiceIndex, Target,
};

use super::code::Code;
use super::condition;
use super::edit;
use super::fault;
use super::fields::{self, Fields, Shape};
use super::node::Node;
use super::problem::{Problems, Report};
use super::rate;
use super::service;
use super::source::At;
use super::yaml::shown;

pub(super) const ROUTE: Shape = Shape {
    name: "Route",
    what: "a route",
    keys: &[
        "match",
        "to",
        "rewrite",
        "set_headers",
        "add_headers",
        "remove_headers",
        "redirect",
        "rate",
        "fault",
        "server_timing",
    ],
};

pub(super) const MATCH: Shape =
    Shape { name: "Match", what: "`match`", keys: &["host", "path", "method", "header", "query"] };

/// A route and where it is written.
pub(super) struct Placed {
    pub(super) at: At,
    matches: RouteMatch,
    route: Route,
    /// Where a version that is made to fail is named.
    fault_at: At,
}

pub(super) fn route(node: &Node, services: &Names<'_>, problems: &mut Problems) -> Option<Placed> {
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
        (Some(to), None) => services.find(&to.value, problems).map(Target::Service),
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
    let rate = fields.get("rate").map(|it| rate::rate(it, problems));
    let fault = fields.get("fault").map(|it| fault::fault(it, problems));
    let mut server_timing = false;
    fields.set("server_timing", &mut server_timing, problems, fields::boolean);
    let (request_headers, response_headers) = edits?;
    let rewrite = match rewrite {
        Some(it) => Some(it?),
        None => None,
    };
    let matches = matches?;
    let rate = match rate {
        Some(it) => Some(Arc::new(Rate::new(it?, &format!("{matches:?}")))),
        None => None,
    };
    let (fault, fault_at) = match fault {
        Some(it) => it.map(|(fault, at)| (Some(Arc::new(fault)), at))?,
        None => (None, node.at),
    };
    let route = Route {
        label: label(&matches).into(),
        server_timing,
        target: target?,
        rate,
        fault,
        rewrite,
        request_headers,
        response_headers,
    };
    Some(Placed { at: node.at, matches, route, fault_at })
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

/// The names that `to` can mean, in the order of the files.
pub(super) struct Names<'a> {
    list: Vec<&'a str>,
    index: HashMap<&'a str, ServiceIndex>,
}

impl<'a> Names<'a> {
    pub(super) fn new(list: Vec<&'a str>) -> Self {
        let index = list.iter().enumerate().map(|(index, name)| (*name, ServiceIndex(index))).collect();
        Self { list, index }
    }

    fn find(&self, node: &Node, problems: &mut Problems) -> Option<ServiceIndex> {
        let name = fields::text(node, problems)?;
        if let Some(index) = self.index.get(name) {
            return Some(*index);
        }
        let report = Report::error(Code::ServiceUnknown, node.at, "`to` names a service that does not exist");
        let report = report.label(format!("no service `{}`", shown(name)));
        // What is only counted needs no suggestion.
        let full = problems.is_full();
        let known = self.list.iter().copied().filter(|_| !full);
        let some = self.list.iter().take(8).copied().collect::<Vec<_>>().join(", ");
        problems.push(report.did_you_mean(name, known, &format!("services: {some}")));
        None
    }
}

/// The matcher of all routes: those of the file in their order, then those of the services' hosts.
///
/// Routes that could not be understood (`None`) are left out of the check; one that is never reached is
/// so with them too. There is no matcher then.
pub(super) fn matcher(
    routes: Vec<Option<Placed>>,
    services: &[service::Placed],
    problems: &mut Problems,
) -> Option<Matcher> {
    let complete = routes.iter().all(Option::is_some);
    let routes: Vec<Placed> = routes.into_iter().flatten().collect();
    let targets: HashSet<usize> = routes.iter().filter_map(|it| it.service()).collect();
    routes.iter().for_each(|it| check_fault(it, services, problems));
    let whole = routes.iter().filter(|it| takes_all(&it.matches));
    let taken: HashSet<HostPattern> = whole.flat_map(|it| it.matches.hosts.iter().cloned()).collect();
    let mut places: Vec<At> = routes.iter().map(|it| it.at).collect();
    let mut all: Vec<(RouteMatch, Route)> = routes.into_iter().map(|it| (it.matches, it.route)).collect();
    for (index, hosts) in hosts_of_services(services, &targets, problems) {
        // A route of the file that takes a whole host stands for the service's own.
        let free: Vec<HostPattern> = hosts.into_iter().filter(|it| !taken.contains(it)).collect();
        let service = &services[index];
        if !free.is_empty() {
            places.push(service.at);
            let matches = everything(free);
            let route = to_service(index, &matches);
            all.push((matches, route));
        } else if complete && !targets.contains(&index) {
            let message =
                format!("service `{}` never gets a request: routes take all of its hosts", service.name);
            problems.push(Report::warning(Code::ServiceUnreached, service.at, message));
        }
    }
    match Matcher::build(all) {
        Ok(it) => Some(it).filter(|_| complete),
        Err(found) => {
            found.iter().for_each(|it| problems.push(report(it, &places)));
            None
        }
    }
}

impl Placed {
    /// The service it leads to.
    fn service(&self) -> Option<usize> {
        match self.route.target {
            Target::Service(index) => Some(index.0),
            Target::Redirect(_) => None,
        }
    }
}

fn takes_all(matches: &RouteMatch) -> bool {
    let path = matches!(&matches.path, PathCondition::Prefix(it) if it == "/");
    path && matches.methods.is_empty() && matches.headers.is_empty() && matches.query.is_empty()
}

/// `shop.example.com/api`; an exact path behind `=`, a regular expression behind `~`.
fn label(matches: &RouteMatch) -> String {
    let host = match matches.hosts.first() {
        Some(HostPattern::Exact(it)) => it.clone(),
        Some(HostPattern::Wildcard(it)) => format!("*.{it}"),
        Some(HostPattern::Any) | None => "*".to_owned(),
    };
    match &matches.path {
        PathCondition::Prefix(path) => host + path,
        PathCondition::Exact(path) => format!("{host}={path}"),
        PathCondition::Regex(text) => format!("{host}~{text}"),
    }
}

fn to_service(index: usize, matches: &RouteMatch) -> Route {
    let target = Target::Service(ServiceIndex(index));
    let label = label(matches).into();
    let (request_headers, response_headers) = ([].into(), [].into());
    Route {
        label,
        server_timing: false,
        target,
        rate: None,
        fault: None,
        rewrite: None,
        request_headers,
        response_headers,
    }
}

fn report(problem: &RouteProblem, places: &[At]) -> Report {
    match problem {
        RouteProblem::Regex { route, message } => {
            Report::error(Code::Regex, places[*route], "the regular expression cannot be used").help(message)
        }
        RouteProblem::Unreachable { route, by } => {
            Report::error(Code::Unreachable, places[*route], "this route is never reached")
                .related(places[*by], "this one takes everything it matches")
                .help("remove it, or make it more specific than the other")
        }
    }
}

/// Whether a version that is made to fail exists, and anything that could fail is there.
fn check_fault(placed: &Placed, services: &[service::Placed], problems: &mut Problems) {
    let Some(fault) = &placed.route.fault else { return };
    let Some(service) = placed.service().map(|it| &services[it]) else {
        let report =
            Report::error(Code::RouteTarget, placed.fault_at, "a redirect has no version that could fail");
        return problems.push(report.help("`fault` is for routes that lead to a service"));
    };
    let (Some(to), Some(config)) = (&fault.to, &service.config) else { return };
    let versions = || config.spec.versions.iter().map(|it| it.name.as_str());
    if !versions().any(|it| it == to.as_str()) {
        let message = "a fault of a version that does not exist";
        let report = Report::error(Code::VersionUnknown, placed.fault_at, message);
        let known = format!("versions: {}", versions().collect::<Vec<_>>().join(", "));
        problems.push(report.did_you_mean(to.as_str(), versions(), &known));
    }
}

/// The hosts that bring requests to each service by themselves. A service without hosts catches what no
/// other does, unless a route leads to it and another service is the one that catches.
fn hosts_of_services(
    services: &[service::Placed],
    targets: &HashSet<usize>,
    problems: &mut Problems,
) -> Vec<(usize, Vec<HostPattern>)> {
    let hostless: HashSet<usize> = (0..services.len()).filter(|it| services[*it].hosts.is_empty()).collect();
    let catching = if hostless.len() == 1 { hostless } else { &hostless - targets };
    let mut taken: HashMap<HostPattern, (usize, At)> = HashMap::new();
    let mut found = Vec::new();
    for (index, service) in services.iter().enumerate() {
        let mut own = Vec::new();
        let any = catching.contains(&index).then_some((HostPattern::Any, service.at));
        for (host, at) in service.hosts.iter().chain(&service.preview).chain(&any) {
            match taken.entry(host.clone()) {
                Entry::Vacant(free) => {
                    free.insert((index, *at));
                    own.push(host.clone());
                }
                Entry::Occupied(by) => problems.push(host_taken(host, index, *at, services, *by.get())),
            }
        }
        if !own.is_empty() {
            found.push((index, own));
        }
    }
    found
}

fn host_taken(
    host: &HostPattern,
    index: usize,
    at: At,
    services: &[service::Placed],
    (other, first): (usize, At),
) -> Report {
    let (name, rival) = (shown(&services[index].name), shown(&services[other].name));
    let host = match host {
        HostPattern::Exact(it) => it.clone(),
        HostPattern::Wildcard(it) => format!("*.{it}"),
        HostPattern::Any => {
            let message = format!("services `{rival}` and `{name}` both catch every host");
            return Report::error(Code::HostTaken, at, message)
                .related(first, "the other one")
                .help("give one of them `hosts`, or a route that leads to it");
        }
    };
    let message = if index == other {
        format!("host `{host}` is listed twice")
    } else {
        format!("host `{host}` belongs to service `{rival}`")
    };
    Report::error(Code::HostTaken, at, message).related(first, "first here")
}
