//! `frontend`: where it listens, and which conditions lead to which backend.

use std::collections::BTreeMap;

use super::super::draft::{Draft, Path, Route, is_host, is_path, map, name, quoted};
use super::super::nginx::{is_framing, is_token};
use super::super::remark::{At, Remarks};
use super::{Section, Statement};

/// What one `acl` says, as far as a route can say it.
#[derive(Clone, Debug)]
enum Condition {
    Hosts(Vec<String>),
    Prefixes(Vec<String>),
    Exact(Vec<String>),
    Regex(String),
    Methods(Vec<String>),
    Header(String, Option<String>),
    Query(String, Option<String>),
}

/// Whether a statement of a `listen` section is the frontend's.
pub(super) fn is_of_frontend(it: &Statement) -> bool {
    let first = it.words.first().map_or("", String::as_str);
    matches!(first, "bind" | "use_backend" | "default_backend" | "maxconn")
        || it.is(&["timeout", "client"])
        || it.is(&["timeout", "http-request"])
        || it.is(&["timeout", "http-keep-alive"])
}

/// Puts one frontend into the draft.
pub(super) fn take(section: &Section, draft: &mut Draft, remarks: &mut Remarks) {
    let own = section.statements.iter().filter(|it| section.kind == "frontend" || is_of_frontend(it));
    let statements: Vec<&Statement> = own.collect();
    let mut conditions: BTreeMap<&str, Vec<(At, Option<Condition>)>> = BTreeMap::new();
    for it in statements.iter().filter(|it| it.is(&["acl"])) {
        let Some(name) = it.words.get(1) else { continue };
        let made = condition(&it.words[2..]);
        if made.is_none() {
            remarks.refused(it.at, &it.shown(), "a route matches host, path, method, headers and query");
        }
        conditions.entry(name).or_default().push((it.at, made));
    }
    let mut to_tls = false;
    let mut ports = Vec::new();
    for it in &statements {
        match it.words.first().map_or("", String::as_str) {
            "bind" => bind(it, draft, &mut ports, remarks),
            "acl" | "mode" | "log" | "use_backend" | "default_backend" => {}
            "maxconn" => remarks.refused(it.at, &it.shown(), "see `limits` of a listener"),
            "timeout" => remarks.needless(
                it.at,
                &it.shown(),
                "see `timeouts` of a listener, which have bounds of their own",
            ),
            "option" if super::backend::is_known_default(it) => {
                remarks.needless(
                    it.at,
                    &it.shown(),
                    "who the client is is said anyway, and see `access_log`",
                );
            }
            "http-request" if is_to_tls(it) => to_tls = true,
            "redirect" if it.is(&["redirect", "scheme", "https"]) => to_tls = true,
            "http-request" | "http-response" if headers_for_all(it, remarks) => {}
            _ => remarks.refused(it.at, &it.shown(), "nothing here does that"),
        }
    }
    if to_tls {
        for port in &ports {
            let listener = draft.listener(*port, None);
            listener.redirect_to_tls = !listener.tls;
        }
    }
    for it in statements.iter().filter(|it| it.is(&["use_backend"])) {
        use_backend(it, &conditions, draft, remarks);
    }
    let default = statements.iter().find(|it| it.is(&["default_backend"])).and_then(|it| it.words.get(1));
    let default = default.or((section.kind == "listen").then_some(&section.name));
    if let Some(default) = default {
        lead(Route::default(), default, section.at, draft, remarks);
    }
}

fn lead(mut route: Route, backend: &str, at: At, draft: &mut Draft, remarks: &mut Remarks) {
    if backend.contains("%[") {
        return remarks.refused(at, backend, "there are no variables in names");
    }
    let service = name(backend);
    if route.is_whole_host() {
        let service = draft.service(&service, at);
        if route.hosts.is_empty() {
            service.takes_rest = true;
        }
        service.hosts.extend(route.hosts);
        return;
    }
    route.to = Some(service.clone());
    draft.service(&service, at);
    draft.routes.push(route);
}

/// `use_backend B if A C or D`: a route for each alternative.
fn use_backend(
    it: &Statement,
    conditions: &BTreeMap<&str, Vec<(At, Option<Condition>)>>,
    draft: &mut Draft,
    remarks: &mut Remarks,
) {
    let [_, backend, rest @ ..] = it.words.as_slice() else {
        return remarks.refused(it.at, &it.shown(), "it names a backend");
    };
    let wanted = match rest {
        [] => return lead(Route::default(), backend, it.at, draft, remarks),
        [first, wanted @ ..] if first == "if" => wanted,
        _ => return remarks.refused(it.at, &it.shown(), "only `if` can be said by a route"),
    };
    let alternatives = wanted.split(|it| it == "or" || it == "||");
    for alternative in alternatives {
        let mut routes = vec![Route { at: it.at, ..Route::default() }];
        for name in alternative {
            let known = conditions.get(name.as_str());
            // Lines of one name are alternatives of each other.
            let lines: Option<Vec<&Condition>> =
                known.and_then(|lines| lines.iter().map(|it| it.1.as_ref()).collect());
            let Some(lines) = lines else {
                return remarks.refused(
                    it.at,
                    &it.shown(),
                    format!("`{name}` is no condition that a route can have"),
                );
            };
            let narrowed = routes.iter().flat_map(|route| lines.iter().flat_map(move |it| narrow(route, it)));
            let narrowed: Vec<Route> = narrowed.take(ROUTES_MAX).collect();
            if narrowed.is_empty() {
                return remarks.refused(
                    it.at,
                    &it.shown(),
                    "its conditions cannot hold together in one route",
                );
            }
            routes = narrowed;
        }
        for route in routes {
            lead(route, backend, it.at, draft, remarks);
        }
    }
}

/// More alternatives than anybody writes; what a few lines of alternatives multiply to is bounded by it.
const ROUTES_MAX: usize = 256;

fn narrow(route: &Route, by: &Condition) -> Vec<Route> {
    let one = |change: &dyn Fn(&mut Route)| {
        let mut route = route.clone();
        change(&mut route);
        route
    };
    let with_path = |path: Path| (route.path == Path::All).then(|| one(&|it| it.path = path.clone()));
    match by {
        Condition::Hosts(hosts) if route.hosts.is_empty() => vec![one(&|it| it.hosts = hosts.clone())],
        Condition::Methods(methods) if route.methods.is_empty() => {
            vec![one(&|it| it.methods = methods.clone())]
        }
        Condition::Hosts(_) | Condition::Methods(_) => Vec::new(),
        Condition::Prefixes(paths) => paths.iter().filter_map(|it| with_path(prefix(it))).collect(),
        Condition::Exact(paths) => paths.iter().filter_map(|it| with_path(Path::Exact(it.clone()))).collect(),
        Condition::Regex(regex) => with_path(Path::Regex(regex.clone())).into_iter().collect(),
        Condition::Header(name, value) => vec![one(&|it| it.headers.push((name.clone(), value.clone())))],
        Condition::Query(name, value) => vec![one(&|it| it.query.push((name.clone(), value.clone())))],
    }
}

fn prefix(path: &str) -> Path {
    match path.trim_end_matches('/') {
        "" => Path::All,
        elements => Path::Prefix(elements.into()),
    }
}

fn condition(words: &[String]) -> Option<Condition> {
    let (fetch, mut values) = words.split_first()?;
    let mut ignores_case = false;
    while let Some((flag, rest)) = values.split_first().filter(|it| it.0.starts_with('-')) {
        match flag.as_str() {
            "-i" => ignores_case = true,
            "--" => {}
            // Values from a file, or another way of matching.
            _ => return None,
        }
        values = rest;
    }
    let values: Vec<String> = values.to_vec();
    let fetch = fetch.strip_prefix("req.").unwrap_or(fetch);
    let (function, argument) = match fetch.split_once('(') {
        Some((function, rest)) => (function, rest.strip_suffix(')')?),
        None => (fetch, ""),
    };
    let hosts = |make: &dyn Fn(&String) -> String| {
        let hosts: Vec<String> = values.iter().map(make).map(|it| it.to_ascii_lowercase()).collect();
        (!hosts.is_empty() && hosts.iter().all(|it| is_host(it))).then_some(Condition::Hosts(hosts))
    };
    let paths = || values.iter().all(|it| is_path(it)).then(|| values.clone()).filter(|it| !it.is_empty());
    match (function, argument.split(',').next().unwrap_or("").to_ascii_lowercase().as_str()) {
        ("hdr" | "hdr_dom", "host") => hosts(&|it| it.clone()),
        ("hdr_end", "host") => {
            values.iter().all(|it| it.starts_with('.')).then(|| hosts(&|it| format!("*{it}"))).flatten()
        }
        ("path_beg", "") => paths().map(Condition::Prefixes),
        ("path", "") => paths().map(Condition::Exact),
        ("path_reg", "") => match values.as_slice() {
            [one] => {
                let regex = if ignores_case { format!("(?i){one}") } else { one.clone() };
                Path::Regex(regex.clone()).fits().then_some(Condition::Regex(regex))
            }
            _ => None,
        },
        ("method", "") => {
            let fits = |it: &String| !it.is_empty() && it.bytes().all(|it| it.is_ascii_uppercase());
            (!values.is_empty() && values.iter().all(fits)).then_some(Condition::Methods(values))
        }
        ("hdr" | "hdr_cnt" | "cook", name) if function != "cook" && is_token(name) => match values.as_slice()
        {
            [] => Some(Condition::Header(name.into(), None)),
            [one] if function == "hdr" && !ignores_case => {
                Some(Condition::Header(name.into(), Some(one.clone())))
            }
            [one] if function == "hdr_cnt" && one == "gt" => None,
            _ => None,
        },
        ("urlp" | "url_param", name) if is_token(name) => match values.as_slice() {
            [] => Some(Condition::Query(argument.into(), None)),
            [one] if !ignores_case => Some(Condition::Query(argument.into(), Some(one.clone()))),
            _ => None,
        },
        _ => None,
    }
}

fn bind(it: &Statement, draft: &mut Draft, ports: &mut Vec<u16>, remarks: &mut Remarks) {
    let Some(addresses) = it.words.get(1) else {
        return remarks.refused(it.at, &it.shown(), "it has no address");
    };
    let options = &it.words[2..];
    let tls = options.iter().any(|it| it == "ssl");
    let after = |word: &str| options.iter().skip_while(|it| *it != word).nth(1).cloned();
    let cert = after("crt");
    for address in addresses.split(',') {
        let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
        let host = host.trim_matches(['[', ']']);
        let host = Some(host).filter(|it| !matches!(*it, "" | "*" | "0.0.0.0"));
        let fits = host.is_none_or(|it| it.parse::<std::net::IpAddr>().is_ok());
        let Some(port) = port.parse::<u16>().ok().filter(|it| *it > 0 && fits) else {
            remarks.refused(it.at, &it.shown(), "a listener has an IP address and a port");
            continue;
        };
        let listener = draft.listener(port, host.map(str::to_owned));
        listener.tls |= tls;
        if let Some(cert) = cert.as_ref().filter(|_| tls) {
            // The file holds both.
            listener.certs.push((cert.clone(), cert.clone()));
        }
        ports.push(port);
    }
    if tls && cert.is_none() {
        remarks.refused(it.at, &it.shown(), "it speaks TLS, and names no certificate (`crt`)");
    }
    let known = ["ssl", "crt", "alpn", "v4v6", "reuseport"];
    for option in options.iter().filter(|it| it.chars().next().is_some_and(char::is_alphabetic)) {
        if ["accept-proxy", "ca-file", "crl-file", "verify", "name", "ssl-min-ver"].contains(&option.as_str())
        {
            let why = "see `proxy_protocol`, and `client_ca`, `client_crl` and `min` of `tls`";
            remarks.refused(it.at, option, why);
        } else if !known.contains(&option.as_str()) && Some(option) != cert.as_ref() && !option.contains("h2")
        {
            remarks.needless(it.at, option, "nothing here depends on it");
        }
    }
}

/// `http-request redirect scheme https` with or without a condition on what is TLS already.
fn is_to_tls(it: &Statement) -> bool {
    it.is(&["http-request", "redirect", "scheme", "https"])
}

/// A header that is set for everything goes to a remark: routes set headers, frontends do not.
fn headers_for_all(it: &Statement, remarks: &mut Remarks) -> bool {
    let [side, action, name, value, rest @ ..] = it.words.as_slice() else { return false };
    if action != "set-header" && action != "add-header" {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    if lower.starts_with("x-forwarded-") || lower == "x-real-ip" {
        remarks.needless(it.at, &it.shown(), "who the client is is said anyway");
        return true;
    }
    if !rest.is_empty() || value.contains('%') || !is_token(name) || is_framing(&lower) {
        return false;
    }
    // A route of its own for everything would stand before the hosts of services: it is for people to say where.
    let side = if side == "http-request" { "request" } else { "response" };
    let shown = map([(side, map([(name.clone(), quoted(value))]))]).one_line();
    remarks.refused(
        it.at,
        &it.shown(),
        format!("routes set headers: `set_headers: {shown}` on those that need it"),
    );
    true
}
