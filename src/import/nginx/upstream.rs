//! `upstream` and `split_clients`: who answers, and who gets which share.

use std::collections::BTreeMap;

use super::super::draft::{
    Draft, Peers, Version, by_weight, is_authority, map, name, text, why_several, word,
};
use super::super::remark::{At, Remarks};
use super::super::units;
use super::directive::Directive;

/// What requests can be led to.
#[derive(Debug, Default)]
pub(super) struct Upstreams {
    groups: BTreeMap<String, Group>,
    splits: BTreeMap<String, Split>,
}

#[derive(Debug)]
struct Group {
    at: At,
    servers: Vec<Server>,
    balance: Option<&'static str>,
    used: bool,
}

#[derive(Clone, Debug)]
struct Server {
    /// As it is written, or a URL once it is known how it is spoken to.
    address: String,
    weight: u64,
    at: At,
}

#[derive(Debug)]
struct Split {
    at: At,
    key: String,
    /// Shares in basis points; `None` is the rest.
    branches: Vec<(Option<u64>, String)>,
    /// Whether a share was not understood: without it the others would get what is its own.
    broken: bool,
    used: bool,
}

impl Upstreams {
    pub fn take_upstream(&mut self, it: &Directive, remarks: &mut Remarks) {
        let Some(name) = it.word() else { return remarks.refused(it.at, &it.shown(), "it has no name") };
        let mut group = Group { at: it.at, servers: Vec::new(), balance: None, used: false };
        for inner in it.children.iter().flatten() {
            match inner.name.as_str() {
                "server" => take_server(inner, &mut group, remarks),
                "least_conn" => group.balance = Some("least_request"),
                "random" => {
                    group.balance = Some("least_request");
                    remarks.differs(
                        inner.at,
                        &inner.shown(),
                        "the less busy of two random endpoints is taken",
                    );
                }
                "keepalive" | "keepalive_requests" | "keepalive_timeout" | "keepalive_time" | "zone" => {
                    remarks.needless(inner.at, &inner.shown(), "connections to endpoints are kept anyway");
                }
                "ip_hash" | "hash" => {
                    let why =
                        "callers are kept at a version (`sticky`), endpoints of a version are chosen by load";
                    remarks.refused(inner.at, &inner.shown(), why);
                }
                _ => remarks.refused(inner.at, &inner.shown(), "nothing here does that"),
            }
        }
        self.groups.insert(name.to_owned(), group);
    }

    pub fn take_split(&mut self, it: &Directive, remarks: &mut Remarks) {
        let [key, variable] = it.words.as_slice() else {
            return remarks.refused(it.at, &it.shown(), "it has a key and a variable");
        };
        let mut split =
            Split { at: it.at, key: key.clone(), branches: Vec::new(), broken: false, used: false };
        for branch in it.children.iter().flatten() {
            let Some(to) = branch.word() else {
                remarks.refused(branch.at, &branch.shown(), "a share leads to one upstream");
                continue;
            };
            match branch.name.as_str() {
                "*" => split.branches.push((None, to.to_owned())),
                share => match units::percent(share) {
                    Some(points) => split.branches.push((Some(points), to.to_owned())),
                    None => {
                        split.broken = true;
                        let why = "a share has at most two decimals: without it the others would get more";
                        remarks.refused(branch.at, &branch.shown(), why);
                    }
                },
            }
        }
        self.splits.insert(variable.trim_start_matches('$').to_owned(), split);
    }

    /// The service that `target` of a `proxy_pass` means, put into the draft: an upstream, a variable of a
    /// split, or an address. `None`, with a remark, if it is none of these.
    pub fn service(
        &mut self,
        scheme: &str,
        target: &str,
        at: At,
        draft: &mut Draft,
        remarks: &mut Remarks,
    ) -> Option<String> {
        if let Some(variable) = target.strip_prefix('$') {
            let variable = variable.trim_start_matches('{').trim_end_matches('}');
            return self.split_service(scheme, variable, at, draft, remarks);
        }
        let service = name(target.split(':').next().unwrap_or(target));
        let service = if target.parse::<std::net::SocketAddr>().is_ok() { name(target) } else { service };
        let (servers, balance) = self.servers(scheme, target, at, remarks)?;
        let made = draft.service(&service, at);
        if made.versions.is_empty() {
            made.versions = versions(&servers);
            if made.versions.len() > 1 {
                let names: Vec<&str> = made.versions.iter().map(|it| it.name.as_str()).collect();
                let group = self.groups.get(target).map_or(at, |it| it.at);
                remarks.differs(group, &format!("upstream {target}"), why_several(&names));
            }
        }
        if let Some(balance) = balance {
            made.set("balance", word(balance));
        }
        Some(service)
    }

    fn split_service(
        &mut self,
        scheme: &str,
        variable: &str,
        at: At,
        draft: &mut Draft,
        remarks: &mut Remarks,
    ) -> Option<String> {
        let Some(split) = self.splits.get_mut(variable) else {
            let why = "only a variable of `split_clients` can be led to";
            remarks.refused(at, &format!("${variable}"), why);
            return None;
        };
        split.used = true;
        if split.broken {
            remarks.refused(at, &format!("${variable}"), "one of its shares cannot be taken over");
            return None;
        }
        let (split_at, key) = (split.at, split.key.clone());
        let branches = split.branches.clone();
        let service = name(variable);
        let known = draft.services.iter().any(|it| it.name == service);
        if known {
            return Some(service);
        }
        let said: u64 = branches.iter().filter_map(|it| it.0).sum();
        let mut versions: Vec<Version> = Vec::new();
        let mut balance = None;
        for (share, to) in branches {
            let share = share.unwrap_or(10_000_u64.saturating_sub(said));
            if let Some(twice) = versions.iter_mut().find(|it| it.name == name(&to)) {
                twice.share += share;
                continue;
            }
            let Some((servers, how)) = self.servers(scheme, &to, split_at, remarks) else { continue };
            balance = balance.or(how);
            let unequal = servers.iter().any(|it| it.weight != servers[0].weight);
            for it in servers.iter().filter(|it| unequal && it.weight != 1) {
                let why = "this upstream is a version by its share, and the endpoints of one count alike: \
                           `balance: least_request` gives less to those that are slower";
                remarks.refused(it.at, &format!("weight={}", it.weight), why);
            }
            let endpoints = servers.into_iter().map(|it| it.address).collect();
            versions.push(Version { name: name(&to), share, endpoints, health: None });
        }
        if versions.is_empty() {
            remarks.refused(
                split_at,
                &format!("split_clients ${variable}"),
                "none of its upstreams is known",
            );
            return None;
        }
        let made = draft.service(&service, split_at);
        made.versions = versions;
        if let Some(balance) = balance {
            made.set("balance", word(balance));
        }
        match sticky(&key) {
            Sticky::By(by) => made.set("sticky", by),
            Sticky::Random => {}
            Sticky::Unknown => {
                let why = "callers are told apart by a cookie, a header or their address; here each request is drawn alone";
                remarks.differs(split_at, &key, why);
            }
        }
        Some(service)
    }

    /// The servers of an upstream, or of an address that is none, with their URLs.
    fn servers(
        &mut self,
        scheme: &str,
        target: &str,
        at: At,
        remarks: &mut Remarks,
    ) -> Option<(Vec<Server>, Option<&'static str>)> {
        let with_url = |it: &Server| match it.address.strip_prefix("unix:") {
            Some(_) => it.clone(),
            None => Server { address: format!("{scheme}://{}", it.address), ..it.clone() },
        };
        if let Some(group) = self.groups.get_mut(target) {
            group.used = true;
            return Some((group.servers.iter().map(with_url).collect(), group.balance));
        }
        if is_authority(target) {
            return Some((vec![Server { address: format!("{scheme}://{target}"), weight: 1, at }], None));
        }
        remarks.refused(at, target, "there is no such upstream, and it is no address");
        None
    }

    /// A Unix socket that a location leads to without an upstream.
    pub fn add_socket(&mut self, target: &str, at: At) {
        let servers = vec![Server { address: target.to_owned(), weight: 1, at }];
        let group = Group { at, servers, balance: None, used: true };
        self.groups.entry(target.to_owned()).or_insert(group);
    }

    pub fn remark_unused(&self, remarks: &mut Remarks) {
        for (name, it) in self.groups.iter().filter(|it| !it.1.used) {
            remarks.refused(it.at, &format!("upstream {name}"), "no location and no share leads to it");
        }
        for (name, it) in self.splits.iter().filter(|it| !it.1.used) {
            remarks.refused(it.at, &format!("split_clients ${name}"), "no `proxy_pass` uses it");
        }
    }
}

fn take_server(it: &Directive, group: &mut Group, remarks: &mut Remarks) {
    let Some((address, options)) = it.words.split_first() else {
        return remarks.refused(it.at, &it.shown(), "it has no address");
    };
    if options.iter().any(|it| it == "down" || it == "backup") {
        return remarks.refused(
            it.at,
            &it.shown(),
            "every endpoint of a version serves: name it when it should",
        );
    }
    let address = match address.strip_prefix("unix:") {
        Some(path) if path.starts_with('/') => format!("unix:{path}"),
        _ if is_authority(address) => address.clone(),
        _ => return remarks.refused(it.at, &it.shown(), "this is no address of an endpoint"),
    };
    let mut weight = 1;
    for option in options {
        if let Some(number) = option.strip_prefix("weight=") {
            match number.parse() {
                Ok(number) if number > 0 => weight = number,
                // With another weight it would be another share.
                _ => return remarks.refused(it.at, &it.shown(), "its weight is no number above 0"),
            }
            continue;
        }
        let why = match option.split('=').next().unwrap_or_default() {
            "max_fails" | "fail_timeout" => "see `eject` and `health`, which look after endpoints",
            _ => "an endpoint has no such option",
        };
        remarks.refused(it.at, option, why);
    }
    match group.servers.iter_mut().find(|it| it.address == address) {
        Some(twice) => twice.weight = u64::saturating_add(twice.weight, weight),
        None => group.servers.push(Server { address, weight, at: it.at }),
    }
}

/// Servers of one weight as one version.
fn versions(servers: &[Server]) -> Vec<Version> {
    let groups = by_weight(servers, |it| it.weight).into_iter().enumerate();
    let version = |(index, peers): (usize, Peers<'_, Server>)| Version {
        name: format!("v{}", index + 1),
        share: peers.share,
        endpoints: peers.servers.iter().map(|it| it.address.clone()).collect(),
        health: None,
    };
    groups.map(version).collect()
}

enum Sticky {
    By(crate::config::Written),
    Random,
    Unknown,
}

/// What the key of a split says about who stays where.
fn sticky(key: &str) -> Sticky {
    let variable = key.trim_start_matches('$').trim_start_matches('{').trim_end_matches('}');
    let simple = variable.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_');
    match variable {
        "request_id" | "msec" | "connection" | "connection_requests" => Sticky::Random,
        "remote_addr" | "binary_remote_addr" => Sticky::By(map([("by", word("address"))])),
        _ if !simple => Sticky::Unknown,
        _ => match (variable.strip_prefix("cookie_"), variable.strip_prefix("http_")) {
            (Some(cookie), _) if !cookie.is_empty() => {
                Sticky::By(map([("by", word("cookie")), ("name", text(cookie))]))
            }
            (None, Some(header)) if !header.is_empty() => {
                Sticky::By(map([("by", word("header")), ("name", text(header.replace('_', "-")))]))
            }
            _ => Sticky::Unknown,
        },
    }
}
