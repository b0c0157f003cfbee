//! `backend`: servers, grouped by weight into versions.

use crate::config::Written;

use super::super::draft::{
    Draft, Peers, Version, by_weight, is_authority, map, name, text, why_several, word,
};
use super::super::remark::{At, Remarks};
use super::super::units;
use super::{Section, Statement};

/// A server as it is written.
struct Server {
    name: String,
    url: String,
    weight: u64,
    checked: bool,
    every: Option<String>,
    rise: Option<String>,
    fall: Option<String>,
}

/// Puts one backend into the draft.
pub(super) fn take(section: &Section, defaults: &[Statement], draft: &mut Draft, remarks: &mut Remarks) {
    let service_name = name(&section.name);
    let mut servers: Vec<Server> = Vec::new();
    let mut check = Check::default();
    let mut keys: Vec<(&'static str, &'static str, Written)> = Vec::new();
    let mut sticky = None;
    let own = section.statements.iter();
    for it in own.filter(|it| section.kind == "backend" || !super::frontend::is_of_frontend(it)) {
        match it.words.first().map_or("", String::as_str) {
            "server" => servers.extend(server(it, remarks)),
            "balance" => balance(it, &mut keys, remarks),
            "cookie" => sticky = cookie(it, remarks),
            "option" if check.take(it, remarks) => {}
            "http-check" => check.take_line(it, remarks),
            "timeout" | "retries" | "option" if is_known_default(it) => setting(it, &mut keys),
            "mode" | "log" | "fullconn" if it.is(&["mode", "tcp"]) => {
                return remarks.refused(it.at, &it.shown(), "only HTTP is taken over");
            }
            "mode" | "log" | "fullconn" | "default-server" | "errorfile" | "compression" | "timeout"
            | "option" => {
                remarks.refused(it.at, &it.shown(), "nothing here does that");
            }
            "http-request" | "http-response" | "acl" | "use-server" | "stick-table" | "stick" => {
                remarks.refused(
                    it.at,
                    &it.shown(),
                    "there is no script: see `routes`, with `rewrite` and header rules",
                );
            }
            _ => remarks.refused(it.at, &it.shown(), "nothing here does that"),
        }
    }
    if servers.is_empty() {
        return remarks.refused(
            section.at,
            &format!("{} {}", section.kind, section.name),
            "it has no server",
        );
    }
    for it in defaults.iter().filter(|it| is_known_default(it)) {
        setting(it, &mut keys);
        check.take(it, remarks);
    }
    let versions = versions(&servers, &check);
    if versions.len() > 1 {
        let names: Vec<&str> = versions.iter().map(|it| it.name.as_str()).collect();
        remarks.differs(section.at, &format!("{} {}", section.kind, section.name), why_several(&names));
    }
    let service = draft.service(&service_name, section.at);
    service.versions = versions;
    for (key, inner, value) in keys {
        if inner.is_empty() { service.set(key, value) } else { service.put(key, inner, value) }
    }
    if let Some(sticky) = sticky {
        service.set("sticky", sticky);
    }
}

/// Whether a statement of `defaults` is taken over, or need not be.
pub(super) fn is_known_default(it: &Statement) -> bool {
    match it.words.first().map_or("", String::as_str) {
        "mode" => !it.is(&["mode", "tcp"]),
        "log" | "maxconn" => true,
        "timeout" => it.words.len() == 3,
        "retries" => it.words.get(1).is_some_and(|it| it.parse::<u8>().is_ok()),
        "option" => it.words.get(1).is_some_and(|it| {
            matches!(
                it.as_str(),
                "httplog"
                    | "dontlognull"
                    | "forwardfor"
                    | "http-server-close"
                    | "redispatch"
                    | "http-keep-alive"
                    | "httpchk"
                    | "prefer-last-server"
                    | "tcp-smart-connect"
                    | "tcp-smart-accept"
                    | "contstats"
            )
        }),
        _ => false,
    }
}

fn setting(it: &Statement, keys: &mut Vec<(&'static str, &'static str, Written)>) {
    match (it.words.first().map(String::as_str), it.words.get(1).map(String::as_str), it.words.get(2)) {
        (Some("timeout"), Some(which), Some(time)) => {
            let Some(time) = units::haproxy_time(time) else { return };
            match which {
                "connect" => keys.push(("timeouts", "connect", word(time))),
                "server" => {
                    keys.push(("timeouts", "head", word(&time)));
                    keys.push(("timeouts", "idle", word(time)));
                }
                _ => {}
            }
        }
        (Some("retries"), Some(count), _) => {
            let attempts = count.parse::<u64>().unwrap_or(1).min(5);
            keys.push(("retry", "attempts", word(attempts)));
        }
        _ => {}
    }
}

fn balance(it: &Statement, keys: &mut Vec<(&'static str, &'static str, Written)>, remarks: &mut Remarks) {
    match it.words.get(1).map(String::as_str) {
        Some("roundrobin" | "static-rr") => {}
        Some("leastconn") => keys.push(("balance", "", word("least_request"))),
        Some("random") => {
            keys.push(("balance", "", word("least_request")));
            remarks.differs(it.at, &it.shown(), "the less busy of two random endpoints is taken");
        }
        _ => remarks.refused(it.at, &it.shown(), "see `sticky` for callers and `balance` for endpoints"),
    }
}

/// A cookie that is given out here, or one of the application's.
fn cookie(it: &Statement, remarks: &mut Remarks) -> Option<Written> {
    let Some(name) = it.words.get(1).filter(|it| super::super::nginx::is_token(it)) else {
        remarks.refused(it.at, &it.shown(), "this is no name of a cookie");
        return None;
    };
    let inserted = it.words.iter().any(|it| it == "insert");
    let why = "a cookie keeps a caller at a version, not at a server";
    remarks.differs(it.at, &it.shown(), why);
    let mut lines = vec![("by", word("cookie")), ("name", text(name))];
    if inserted {
        lines.push(("ttl", word("7d")));
    }
    Some(map(lines))
}

fn server(it: &Statement, remarks: &mut Remarks) -> Option<Server> {
    let [_, name, address, options @ ..] = it.words.as_slice() else {
        remarks.refused(it.at, &it.shown(), "a server has a name and an address");
        return None;
    };
    let mut server = Server {
        name: name.clone(),
        url: String::new(),
        weight: 1,
        checked: false,
        every: None,
        rise: None,
        fall: None,
    };
    let (mut scheme, mut h2) = ("http", false);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let mut value = || options.next().map_or("", String::as_str);
        match option.as_str() {
            "weight" => match value().parse() {
                Ok(weight) => server.weight = weight,
                // With another weight it would be another share.
                Err(_) => {
                    remarks.refused(it.at, &it.shown(), "its weight is no number");
                    return None;
                }
            },
            "check" => server.checked = true,
            "inter" => {
                let every = value();
                server.every = units::haproxy_time(every);
                if server.every.is_none() {
                    remarks.refused(it.at, &format!("inter {every}"), "see `every` of `health`");
                }
            }
            "rise" | "fall" => {
                let count = value();
                let known = Some(count.to_owned()).filter(|it| counts(it));
                if known.is_none() {
                    let why = "see `pass_after` and `fail_after` of `health`: 1 to 100";
                    remarks.refused(it.at, &format!("{option} {count}"), why);
                }
                if option == "rise" { server.rise = known } else { server.fall = known }
            }
            "ssl" => scheme = "https",
            "proto" => h2 = value() == "h2",
            "alpn" => h2 = value().contains("h2"),
            "backup" | "disabled" => {
                remarks.refused(
                    it.at,
                    &it.shown(),
                    "every endpoint of a version serves: name it when it should",
                );
                return None;
            }
            "verify" => {
                if value() == "none" {
                    remarks.differs(
                        it.at,
                        "verify none",
                        "certificates of endpoints are always verified: see `ca`",
                    );
                }
            }
            "ca-file" | "sni" | "crt" | "verifyhost" => {
                let shown = format!("{option} {}", value());
                remarks.refused(it.at, &shown, "see `tls` of a version: `ca`, `server_name`, `cert`, `key`");
            }
            "cookie" | "maxconn" | "slowstart" | "maxqueue" | "minconn" | "port" | "addr" | "id"
            | "source" | "resolvers" | "init-addr" | "on-marked-down" | "fastinter" | "downinter"
            | "observe" | "error-limit" => {
                let shown = format!("{option} {}", value());
                remarks.refused(it.at, &shown, "an endpoint has no such option");
            }
            _ => remarks.refused(it.at, option, "an endpoint has no such option"),
        }
    }
    let scheme = match (scheme, h2) {
        ("http", true) => "h2c",
        ("https", true) => "h2",
        (scheme, _) => scheme,
    };
    let socket = address.strip_prefix("unix@").or(Some(address.as_str()).filter(|it| it.starts_with('/')));
    server.url = match socket {
        Some(path) if path.starts_with('/') => format!("unix:{path}"),
        None if is_authority(address) => format!("{scheme}://{address}"),
        _ => {
            remarks.refused(it.at, &it.shown(), "this is no address of an endpoint");
            return None;
        }
    };
    Some(server)
}

fn counts(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|it| (1..=100).contains(&it))
}

fn versions(servers: &[Server], check: &Check) -> Vec<Version> {
    let groups = by_weight(servers, |it| it.weight).into_iter();
    let version = |peers: Peers<'_, Server>| {
        let mut endpoints: Vec<String> = peers.servers.iter().map(|it| it.url.clone()).collect();
        endpoints.dedup();
        let checked = peers.servers.iter().find(|it| it.checked);
        Version {
            name: name(&peers.servers[0].name),
            share: peers.share,
            endpoints,
            health: checked.map(|it| check.written(it)),
        }
    };
    groups.map(version).collect()
}

/// What `option httpchk` and `http-check` say.
#[derive(Default)]
struct Check {
    http: bool,
    path: Option<String>,
    host: Option<String>,
    status: Option<String>,
    at: At,
}

impl Check {
    fn take(&mut self, it: &Statement, remarks: &mut Remarks) -> bool {
        if !it.is(&["option", "httpchk"]) || self.http {
            return it.is(&["option", "httpchk"]);
        }
        (self.http, self.at) = (true, it.at);
        let (method, path) = match it.words.get(2..).unwrap_or_default() {
            [] => ("GET", None),
            [path] => ("GET", Some(path)),
            [method, path, ..] => (method.as_str(), Some(path)),
        };
        if method != "GET" {
            remarks.differs(it.at, &it.shown(), "endpoints are asked with GET");
        }
        self.path = path.filter(|it| it.starts_with('/')).cloned();
        if let (Some(path), None) = (path, &self.path) {
            remarks.refused(it.at, path, "see `path` of `health`, which begins with `/`: `/` is asked");
        }
        true
    }

    fn take_line(&mut self, it: &Statement, remarks: &mut Remarks) {
        let after = |word: &str| it.words.iter().skip_while(|it| *it != word).nth(1).cloned();
        if it.is(&["http-check", "send"]) {
            self.path = after("uri").filter(|it| it.starts_with('/')).or(self.path.take());
            self.host = after("Host").or(self.host.take());
        } else if it.is(&["http-check", "expect", "status"]) {
            let status =
                it.words.get(3).filter(|it| it.parse::<u16>().is_ok_and(|it| (100..600).contains(&it)));
            match status {
                Some(status) => self.status = Some(status.clone()),
                None => remarks.refused(it.at, &it.shown(), "see `status` of `health`"),
            }
        } else {
            remarks.refused(
                it.at,
                &it.shown(),
                "see `health`: one question, and its status or a text in its body",
            );
        }
    }

    fn written(&self, server: &Server) -> Written {
        let mut lines = Vec::new();
        if self.http {
            lines.push(("path", text(self.path.clone().unwrap_or_else(|| "/".into()))));
            lines.extend(self.host.as_ref().filter(|it| is_authority(it)).map(|it| ("host", text(it))));
            // Any 2xx or 3xx is a pass there.
            let passes = || Written::List(vec![word("2xx"), word("3xx")]);
            lines.push(("status", self.status.as_ref().map_or_else(passes, word)));
        } else {
            lines.push(("kind", word("tcp")));
        }
        lines.extend(server.every.as_ref().map(|it| ("every", word(it))));
        lines.extend(server.fall.as_ref().map(|it| ("fail_after", word(it))));
        lines.extend(server.rise.as_ref().map(|it| ("pass_after", word(it))));
        map(lines)
    }
}
