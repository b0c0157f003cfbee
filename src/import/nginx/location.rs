//! `location`: a route, or, if it is everything of a host, the host of a service.

use super::super::draft::{Draft, Path, Route, is_path, map, quoted, text, word};
use super::super::remark::Remarks;
use super::directive::Directive;
use super::server::Settings;
use super::upstream::Upstreams;

/// Puts one location into the draft.
pub(super) fn take(
    location: &Directive,
    hosts: &[String],
    outer: &Settings,
    upstreams: &mut Upstreams,
    draft: &mut Draft,
    remarks: &mut Remarks,
) {
    let block = location.children.as_deref().unwrap_or_default();
    let Some(path) = path(location, remarks).filter(|it| fits(it, location, remarks)) else { return };
    let mut settings = outer.inner(block);
    let mut route = Route { at: location.at, hosts: hosts.to_vec(), path, ..Route::default() };
    let (mut pass, mut leads) = (None, false);
    for it in block {
        match it.name.as_str() {
            "proxy_pass" | "grpc_pass" => pass = Some(it),
            "return" => leads = take_return(it, &mut route, remarks),
            "location" => {
                remarks.refused(it.at, &it.shown(), "write the inner location beside the outer one")
            }
            "root" | "alias" | "try_files" | "index" => {
                remarks.refused(it.at, &it.shown(), "no files are served: name a server that does");
            }
            "fastcgi_pass" | "uwsgi_pass" | "scgi_pass" | "memcached_pass" => {
                remarks.refused(it.at, &it.shown(), "endpoints speak HTTP");
            }
            "rewrite" | "if" | "set" => {
                remarks.refused(
                    it.at,
                    &it.shown(),
                    "there is no script: see `routes`, with `rewrite` and `redirect`",
                );
            }
            "limit_req" => remarks.refused(it.at, &it.shown(), "see `rate` of a route"),
            "mirror" => {
                remarks.refused(it.at, &it.shown(), "see `mirror` of a service, which names a version")
            }
            "auth_basic" | "auth_request" | "allow" | "deny" => {
                remarks.refused(
                    it.at,
                    &it.shown(),
                    "nobody is kept out here: LEAVE THIS TO THE ENDPOINTS, or to what stands in front",
                );
            }
            _ if settings.take(it, remarks) => {}
            _ => remarks.refused(it.at, &it.shown(), "nothing here does that"),
        }
    }
    if leads {
        // It comes before everything else in a location.
        if let Some(pass) = pass {
            remarks.refused(pass.at, &pass.shown(), "nothing gets past the `return`");
        }
        draft.routes.push(route);
    } else if let Some(pass) = pass {
        let Some(service) = lead(pass, &mut route, upstreams, draft, remarks) else { return };
        apply_to_service(&settings, &service, draft);
        route.to = Some(service.clone());
        headers(&settings, &mut route, remarks);
        if route.is_whole_host() {
            let service = draft.service(&service, location.at);
            if hosts.is_empty() && !service.hosts.is_empty() {
                service.hosts.push("*".into());
            } else if hosts.is_empty() {
                service.takes_rest = true;
            }
            service.hosts.extend(hosts.iter().cloned());
            return;
        }
        draft.routes.push(route);
    } else {
        remarks.refused(location.at, &location.shown(), "it leads to no backend");
    }
}

fn fits(path: &Path, location: &Directive, remarks: &mut Remarks) -> bool {
    if !path.fits() {
        remarks.refused(location.at, &location.shown(), "this path cannot be said here");
    }
    path.fits()
}

fn path(location: &Directive, remarks: &mut Remarks) -> Option<Path> {
    let (kind, path) = match location.words.as_slice() {
        [path] if path.starts_with('@') => ("@", path.as_str()),
        [path] => ("", path.as_str()),
        [kind, path] => (kind.as_str(), path.as_str()),
        _ => ("?", ""),
    };
    match (kind, path) {
        ("" | "^~", "/") => Some(Path::All),
        ("" | "^~", _) if path.starts_with('/') => {
            let elements = path.trim_end_matches('/');
            if kind == "^~" {
                remarks.differs(
                    location.at,
                    &location.shown(),
                    "a regular expression goes before a prefix here",
                );
            }
            if elements == path {
                let why = format!("a prefix is one of whole elements: {path} and {path}/x, not {path}x");
                remarks.differs(location.at, &location.shown(), why);
            }
            Some(Path::Prefix(elements.to_owned()))
        }
        ("=", _) if path.starts_with('/') => Some(Path::Exact(path.to_owned())),
        ("~", _) => Some(Path::Regex(path.to_owned())),
        ("~*", _) => Some(Path::Regex(format!("(?i){path}"))),
        _ => {
            remarks.refused(
                location.at,
                &location.shown(),
                "a route has a prefix, an exact path or a regular expression",
            );
            None
        }
    }
}

/// Where a `proxy_pass` leads; what stands behind the address takes the place of the matched prefix.
fn lead(
    pass: &Directive,
    route: &mut Route,
    upstreams: &mut Upstreams,
    draft: &mut Draft,
    remarks: &mut Remarks,
) -> Option<String> {
    let Some((scheme, rest)) = pass.word().and_then(|it| it.split_once("://")) else {
        remarks.refused(pass.at, &pass.shown(), "it leads to a URL");
        return None;
    };
    let scheme = match (pass.name.as_str(), scheme) {
        ("proxy_pass", "http" | "https") => scheme,
        ("grpc_pass", "grpc") => "h2c",
        ("grpc_pass", "grpcs") => "h2",
        _ => {
            remarks.refused(pass.at, &pass.shown(), "endpoints speak http, https, h2c or h2");
            return None;
        }
    };
    let (target, uri) = if rest.starts_with("unix:") {
        match rest.split_once(":/").and_then(|it| it.1.split_once(':')) {
            Some((path, uri)) => (format!("unix:/{path}"), uri),
            None => (rest.to_owned(), ""),
        }
    } else {
        let end = rest.find('/').unwrap_or(rest.len());
        (rest[..end].to_owned(), &rest[end..])
    };
    if uri.contains('$') || target.chars().skip(1).any(|it| it == '$') {
        remarks.refused(pass.at, &pass.shown(), "it leads to one place, without variables in it");
        return None;
    }
    if target.starts_with("unix:") {
        upstreams.add_socket(&target, pass.at);
    }
    if !uri.is_empty() && !is_path(uri) {
        remarks.refused(pass.at, &pass.shown(), "this path cannot be said here");
        return None;
    }
    let service = upstreams.service(scheme, &target, pass.at, draft, remarks)?;
    match (&route.path, uri) {
        (_, "") => {}
        (Path::All, "/") => {}
        (Path::Prefix(_) | Path::All, uri) => {
            // Elements follow with a slash of their own.
            let prefix = Some(uri.trim_end_matches('/')).filter(|it| !it.is_empty()).unwrap_or("/");
            route.keys.push(("rewrite", map([("prefix", text(prefix))])));
        }
        (Path::Exact(_), uri) => route.keys.push(("rewrite", map([("path", text(uri))]))),
        (Path::Regex(_), _) => {
            remarks.refused(pass.at, uri, "behind a regular expression the path stays as it is")
        }
    }
    Some(service)
}

fn apply_to_service(settings: &Settings, service: &str, draft: &mut Draft) {
    let service = draft.service(service, Default::default());
    if let Some(connect) = &settings.connect {
        service.put("timeouts", "connect", word(connect));
    }
    if let Some(read) = &settings.read {
        service.put("timeouts", "head", word(read));
        service.put("timeouts", "idle", word(read));
    }
    if let Some(body) = settings.body.as_ref().filter(|it| *it != "off") {
        service.put("limits", "body", word(body));
    }
}

fn headers(settings: &Settings, route: &mut Route, remarks: &mut Remarks) {
    for (at, name, value) in &settings.request_headers {
        let lower = name.to_ascii_lowercase();
        let own = matches!(
            lower.as_str(),
            "host"
                | "connection"
                | "upgrade"
                | "x-real-ip"
                | "x-forwarded-for"
                | "x-forwarded-proto"
                | "x-forwarded-host"
                | "x-forwarded-port"
                | "x-request-id"
                | "te"
        );
        let shown = format!("proxy_set_header {name} {value}");
        if own && (value.contains('$') || value.is_empty() || lower == "connection") {
            let why = "the host is kept, who the client is is said and upgrades pass anyway";
            remarks.needless(*at, &shown, why);
        } else if value.contains('$') {
            remarks.refused(*at, &shown, "there are no variables in headers");
        } else if !is_token(name) || is_framing(&lower) {
            remarks.refused(*at, &shown, "a route cannot set this header");
        } else if value.is_empty() {
            route.header("remove_headers", "request", None, text(lower));
        } else {
            route.header("set_headers", "request", Some(name), quoted(value));
        }
    }
    for (at, name, value) in &settings.response_headers {
        let shown = format!("add_header {name} {value}");
        if value.contains('$') {
            remarks.refused(*at, &shown, "there are no variables in headers");
        } else if !is_token(name) || is_framing(&name.to_ascii_lowercase()) || value.is_empty() {
            remarks.refused(*at, &shown, "a route cannot set this header");
        } else {
            route.header("set_headers", "response", Some(name), quoted(value));
        }
    }
    for (at, name) in &settings.hidden_headers {
        if is_token(name) && !is_framing(&name.to_ascii_lowercase()) {
            route.header("remove_headers", "response", None, text(name.to_ascii_lowercase()));
        } else {
            remarks.refused(*at, name, "a route cannot remove this header");
        }
    }
}

/// A name of a header.
pub(in crate::import) fn is_token(name: &str) -> bool {
    !name.is_empty() && name.len() <= 256 && name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
}

/// Headers that are decided here and by nobody else.
pub(in crate::import) fn is_framing(lower: &str) -> bool {
    matches!(
        lower,
        "connection"
            | "content-length"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "host"
    )
}

/// A `return` that leads elsewhere. False, with a remark, for any other.
pub(super) fn take_return(it: &Directive, route: &mut Route, remarks: &mut Remarks) -> bool {
    let (status, to) = match it.words.as_slice() {
        [to] => ("302", to.as_str()),
        [status, to] => (status.as_str(), to.as_str()),
        _ => ("", ""),
    };
    let kept = to.strip_suffix("$request_uri");
    let mut parts = Vec::new();
    let fits = matches!(status, "301" | "302" | "303" | "307" | "308");
    let whole = kept.unwrap_or(to);
    if let (true, Some((scheme @ ("http" | "https"), rest))) = (fits, whole.split_once("://")) {
        parts.push(("scheme", word(scheme)));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if !matches!(authority, "$host" | "$http_host" | "$server_name") {
            let (host, port) = match authority.rsplit_once(':') {
                Some((host, port)) => (host, port.parse::<u16>().ok().filter(|it| *it > 0)),
                None => (authority, None),
            };
            if !super::super::draft::is_host(host)
                || host.starts_with('*')
                || (port.is_none() && authority != host)
            {
                remarks.refused(it.at, &it.shown(), "this is no host to lead to");
                return false;
            }
            parts.push(("host", text(host)));
            parts.extend(port.map(|it| ("port", word(it))));
        }
        match (kept, path) {
            (Some(_), "") | (None, "") => {}
            (None, path) if is_path(path) => parts.push(("path", text(path))),
            _ => {
                remarks.refused(it.at, &it.shown(), "this path cannot be said here");
                return false;
            }
        }
    } else if fits && kept.is_none() && is_path(to) {
        parts.push(("path", text(to)));
    } else {
        remarks.refused(it.at, &it.shown(), "only a redirect to one place can be said here");
        return false;
    }
    parts.push(("status", word(status)));
    route.keys.push(("redirect", map(parts)));
    true
}
