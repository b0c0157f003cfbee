//! `HTTPRoute` of the Gateway API: rules become routes, backends with weights versions of a service.

use super::draft::{Draft, Path, Route, Version, is_host, is_path, map, name, quoted, text, word};
use super::foreign::Node;
use super::kubernetes::{Ports, others};
use super::nginx::{is_framing, is_token};
use super::remark::Remarks;
use super::units;

/// Puts one object into the draft.
pub(super) fn take(object: &Node, ports: &Ports, draft: &mut Draft, remarks: &mut Remarks) {
    let own = object.text_at(&["metadata", "name"]).unwrap_or("route");
    let Some(spec) = object.get("spec") else { return };
    let nothing = "nothing here does that";
    others(spec, &["hostnames", "rules", "parentRefs"], nothing, remarks);
    if let Some(parents) = spec.get("parentRefs") {
        remarks.needless(parents.at, "parentRefs", "every listener has all routes");
    }
    let mut hosts = Vec::new();
    for host in spec.get("hostnames").map_or(&[][..], Node::items) {
        match host.text().map(str::to_ascii_lowercase).filter(|it| is_host(it)) {
            Some(it) => hosts.push(it),
            None => remarks.refused(
                host.at,
                host.text().unwrap_or("hostnames"),
                "a host is a name, or `*.` and a name",
            ),
        }
    }
    let rules = spec.get("rules").map_or(&[][..], Node::items);
    for (index, rule) in rules.iter().enumerate() {
        others(rule, &["name", "matches", "filters", "backendRefs", "timeouts"], nothing, remarks);
        let named = rule.text_at(&["name"]).map(str::to_owned);
        let alone = rules.len() == 1;
        let service =
            named.unwrap_or_else(|| if alone { own.to_owned() } else { format!("{own}-{}", index + 1) });
        take_rule(rule, &name(&service), &hosts, ports, draft, remarks);
    }
}

fn take_rule(
    rule: &Node,
    service: &str,
    hosts: &[String],
    ports: &Ports,
    draft: &mut Draft,
    remarks: &mut Remarks,
) {
    let versions = backends(rule, ports, remarks);
    let mut base = Route { at: rule.at, hosts: hosts.to_vec(), ..Route::default() };
    let mut mirror = None;
    for filter in rule.get("filters").map_or(&[][..], Node::items) {
        take_filter(filter, &mut base, &mut mirror, remarks);
    }
    let redirects = base.keys.iter().any(|it| it.0 == "redirect");
    if !redirects {
        if versions.is_empty() {
            return remarks.refused(rule.at, "rules", "it leads to no backend");
        }
        let made = draft.service(service, rule.at);
        made.versions = versions;
        base.to = Some(service.to_owned());
        if let Some((at, backend, sample, port)) = mirror {
            let url = ports.url(&backend, port, at, remarks);
            made.versions.push(Version {
                name: name(&backend),
                share: 0,
                endpoints: vec![url],
                health: None,
            });
            let shadow = made.versions.last().map(|it| it.name.clone()).unwrap_or_default();
            made.set("mirror", map([("to", text(shadow)), ("sample", word(units::share(sample)))]));
        }
        if let Some(timeouts) = rule.get("timeouts") {
            others(timeouts, &["request", "backendRequest"], "see `timeouts` of a service", remarks);
            for (key, inner) in [("request", "request"), ("backendRequest", "head")] {
                if let Some(time) = timeouts.text_at(&[key]).and_then(units::go_time) {
                    made.put("timeouts", inner, word(time));
                }
            }
        }
    }
    let matches = rule.get("matches").map_or(&[][..], Node::items);
    let everything = [Node { at: rule.at, value: super::foreign::Value::Map(Vec::new()) }];
    for it in if matches.is_empty() { &everything } else { matches } {
        let Some(route) = narrowed(&base, it, remarks) else { continue };
        if route.is_whole_host() && !redirects {
            let service = draft.service(service, rule.at);
            service.takes_rest |= hosts.is_empty();
            service.hosts.extend(hosts.iter().cloned());
        } else {
            draft.routes.push(route);
        }
    }
}

fn backends(rule: &Node, ports: &Ports, remarks: &mut Remarks) -> Vec<Version> {
    let refs = rule.get("backendRefs").map_or(&[][..], Node::items);
    // What is no number gets nothing: more than its share must nobody get.
    let weight = |it: &Node| it.get("weight").map_or(Some(1), Node::number).unwrap_or(0).min(1_000_000);
    for it in refs.iter().filter_map(|it| it.get("weight")).filter(|it| it.number().is_none()) {
        remarks.refused(it.at, "weight", "this is no number, so the backend gets no share");
    }
    let whole: u64 = refs.iter().map(weight).fold(0, u64::saturating_add);
    let mut versions = Vec::new();
    for it in refs {
        let Some(backend) = it.text_at(&["name"]) else { continue };
        if it.text_at(&["kind"]).is_some_and(|it| it != "Service") {
            remarks.refused(it.at, backend, "only a Service is a backend");
            continue;
        }
        others(
            it,
            &["name", "port", "weight", "kind", "group", "namespace"],
            "a version has no such part",
            remarks,
        );
        let host = match it.text_at(&["namespace"]) {
            Some(namespace) => format!("{backend}.{namespace}"),
            None => backend.to_owned(),
        };
        let url = ports.url(&host, it.get("port").and_then(Node::number), it.at, remarks);
        let share = units::basis_points(weight(it), whole);
        versions.push(Version { name: name(backend), share, endpoints: vec![url], health: None });
    }
    versions
}

fn narrowed(base: &Route, by: &Node, remarks: &mut Remarks) -> Option<Route> {
    let mut route = base.clone();
    others(
        by,
        &["path", "headers", "queryParams", "method"],
        "a route matches host, path, method, headers and query",
        remarks,
    );
    if let Some(path) = by.get("path") {
        let value = path.text_at(&["value"]).unwrap_or("/");
        route.path = match path.text_at(&["type"]).unwrap_or("PathPrefix") {
            "PathPrefix" if value.trim_end_matches('/').is_empty() => Path::All,
            "PathPrefix" if value.starts_with('/') => Path::Prefix(value.trim_end_matches('/').into()),
            "Exact" if value.starts_with('/') => Path::Exact(value.into()),
            "RegularExpression" => {
                remarks.differs(path.at, value, "anchored only as written, so it is put between `^` and `$`");
                Path::Regex(format!("^(?:{value})$"))
            }
            _ => {
                remarks.refused(
                    path.at,
                    value,
                    "a route has a prefix, an exact path or a regular expression",
                );
                return None;
            }
        };
    }

    if !route.path.fits() {
        remarks.refused(by.at, "path", "this path cannot be said here");
        return None;
    }
    if !matches!(route.path, Path::Prefix(_) | Path::All) && route.forget_prefix() {
        remarks.refused(
            by.at,
            "ReplacePrefixMatch",
            "there is no prefix to replace: this match takes a whole path",
        );
    }
    if let Some(method) = by.text_at(&["method"]) {
        route.methods.push(method.into());
    }
    for (key, is_header) in [("headers", true), ("queryParams", false)] {
        for it in by.get(key).map_or(&[][..], Node::items) {
            let (Some(name), Some(value)) = (it.text_at(&["name"]), it.text_at(&["value"])) else { continue };
            let exact = it.text_at(&["type"]).is_none_or(|it| it == "Exact");
            if !exact || (is_header && !is_token(name)) {
                remarks.refused(it.at, name, "a header or parameter has one value, or any");
                return None;
            }
            let list = if is_header { &mut route.headers } else { &mut route.query };
            list.push((name.into(), Some(value.into())));
        }
    }
    Some(route)
}

type Mirrored = Option<(super::remark::At, String, u64, Option<u64>)>;

fn take_filter(filter: &Node, route: &mut Route, mirror: &mut Mirrored, remarks: &mut Remarks) {
    let kind = filter.text_at(&["type"]).unwrap_or_default();
    match kind {
        "RequestHeaderModifier" => modify(filter.get("requestHeaderModifier"), "request", route, remarks),
        "ResponseHeaderModifier" => modify(filter.get("responseHeaderModifier"), "response", route, remarks),
        "RequestRedirect" => {
            let Some(to) = filter.get("requestRedirect") else { return };
            others(
                to,
                &["scheme", "hostname", "port", "path", "statusCode"],
                "a redirect has no such part",
                remarks,
            );
            let mut parts = Vec::new();
            parts.extend(
                to.text_at(&["scheme"])
                    .filter(|it| matches!(*it, "http" | "https"))
                    .map(|it| ("scheme", word(it))),
            );
            parts.extend(to.text_at(&["hostname"]).filter(|it| is_host(it)).map(|it| ("host", text(it))));
            let port = to.get("port").and_then(Node::number).filter(|it| (1..=65_535).contains(it));
            parts.extend(port.map(|it| ("port", word(it))));
            parts.extend(path_change(to.get("path")).map(|it| ("path", map([it]))));
            if parts.is_empty() {
                return remarks.refused(filter.at, kind, "it changes nothing");
            }
            let status = to.get("statusCode").and_then(Node::number);
            let status = status.filter(|it| matches!(it, 301 | 302 | 303 | 307 | 308)).unwrap_or(302);
            parts.push(("status", word(status)));
            route.keys.push(("redirect", map(parts)));
        }
        "URLRewrite" => {
            let Some(to) = filter.get("urlRewrite") else { return };
            if let Some(host) = to.text_at(&["hostname"]).filter(|it| is_host(it)) {
                route.header("set_headers", "request", Some("host"), quoted(host));
            }
            if let Some(change) = path_change(to.get("path")) {
                route.keys.push(("rewrite", map([change])));
            }
        }
        "RequestMirror" => {
            let Some(to) = filter.get("requestMirror") else { return };
            let Some(backend) = to.text_at(&["backendRef", "name"]) else { return };
            others(to, &["backendRef", "percent"], "see `sample` of `mirror`; nothing is mirrored", remarks);
            let percent = match (to.get("percent"), to.get("fraction")) {
                (None, None) => 100,
                (Some(it), None) => it.number().filter(|it| *it <= 100).unwrap_or_else(|| {
                    remarks.refused(it.at, "percent", "a share is at most 100 %; nothing is mirrored");
                    0
                }),
                (_, Some(_)) => 0,
            };
            let port = to.at(&["backendRef", "port"]).and_then(Node::number);
            *mirror = Some((to.at, backend.to_owned(), percent * 100, port)).filter(|_| percent > 0);
        }
        _ => remarks.refused(filter.at, kind, "nothing here does that"),
    }
}

fn path_change(path: Option<&Node>) -> Option<(&'static str, crate::config::Written)> {
    let path = path?;
    let fits = |it: &&str| is_path(it);
    match path.text_at(&["type"])? {
        "ReplaceFullPath" => Some(("path", text(path.text_at(&["replaceFullPath"]).filter(fits)?))),
        "ReplacePrefixMatch" => Some(("prefix", text(path.text_at(&["replacePrefixMatch"]).filter(fits)?))),
        _ => None,
    }
}

fn modify(by: Option<&Node>, side: &str, route: &mut Route, remarks: &mut Remarks) {
    let Some(by) = by else { return };
    for (key, ours) in [("set", "set_headers"), ("add", "add_headers")] {
        for it in by.get(key).map_or(&[][..], Node::items) {
            let (Some(name), Some(value)) = (it.text_at(&["name"]), it.text_at(&["value"])) else { continue };
            if !is_token(name) || is_framing(&name.to_ascii_lowercase()) {
                remarks.refused(it.at, name, "a route cannot set this header");
            } else {
                route.header(ours, side, Some(name), quoted(value));
            }
        }
    }
    for it in by.get("remove").map_or(&[][..], Node::items) {
        match it.text().filter(|it| is_token(it) && !is_framing(&it.to_ascii_lowercase())) {
            Some(name) => route.header("remove_headers", side, None, text(name.to_ascii_lowercase())),
            None => remarks.refused(it.at, "remove", "a route cannot remove this header"),
        }
    }
}
