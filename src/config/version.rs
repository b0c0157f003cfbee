//! `versions`: their endpoints, and the names that the rest of a service refers to.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{Fingerprint, ServiceName, VersionName};
use crate::routing::{Checkup, EndpointSpec, ProxyProtocol, VersionIndex, VersionSpec};

use super::code::Code;
use super::endpoint::endpoint;
use super::fields::{self, Fields, Shape};
use super::health;
use super::node::{Entry, Node, Value, Word};
use super::problem::{Problems, Report};
use super::source::At;
use super::tls::{self, Credentials};
use super::yaml::shown;

pub(super) const VERSION: Shape =
    Shape { name: "Version", what: "a version", keys: &["endpoints", "health", "proxy_protocol", "tls"] };

/// A version as far as it could be understood, so that a broken endpoint does not also make every
/// reference to its version dangle.
pub(super) struct Version {
    name: Word,
    spec: Option<VersionSpec>,
}

/// The versions that names in a service can mean.
pub(super) struct Scope {
    pub(super) service: ServiceName,
    pub(super) versions: Vec<Version>,
}

impl Scope {
    /// The versions themselves; `None` if any of them could not be understood.
    pub(super) fn into_specs(self) -> Option<Vec<VersionSpec>> {
        self.versions.into_iter().map(|it| it.spec).collect()
    }

    pub(super) fn live(&self, node: &Node, problems: &mut Problems) -> Option<VersionIndex> {
        let word = fields::word(node, problems)?;
        self.find(&word, Code::LiveUnknown, "`live` names a version that does not exist", problems)
    }

    pub(super) fn find(
        &self,
        word: &Word,
        code: Code,
        message: &str,
        problems: &mut Problems,
    ) -> Option<VersionIndex> {
        if let Some(index) = self.versions.iter().position(|it| it.name.text == word.text) {
            return Some(VersionIndex(index));
        }
        if problems.is_full() {
            // Only counted; a similar name is not worth looking for.
            problems.push(Report::error(code, word.at, message));
            return None;
        }
        let label = format!("no version `{}` in service `{}`", shown(&word.text), self.service);
        let report = Report::error(code, word.at, message).label(label);
        let names = self.versions.iter().map(|it| it.name.text.as_str());
        let known = format!("versions: {}", names.clone().take(8).collect::<Vec<_>>().join(", "));
        let similar = super::similar::closest(&word.text, names.clone());
        let place = self.versions.iter().find(|it| Some(it.name.text.as_str()) == similar);
        let report = report.did_you_mean(&word.text, names, &known);
        problems.push(match place {
            Some(version) => report.related(version.name.at, "similar name defined here"),
            None => report,
        });
        None
    }
}

/// `health` is what endpoints are asked when their version does not say otherwise.
pub(super) fn versions(
    node: &Node,
    at: At,
    health: Option<&Arc<Checkup>>,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<Vec<Version>> {
    let entries = fields::entries(node, "`versions`", problems)?;
    if entries.is_empty() {
        let report = Report::error(Code::NoVersions, at, "a service needs at least one version");
        problems.push(report.help("for example versions: {v1: http://10.0.1.10:3000}"));
        return None;
    }
    let versions: Vec<Version> =
        entries.iter().map(|it| version(it, health, credentials, problems)).collect();
    shared_endpoints(&versions, problems);
    Some(versions)
}

fn version(
    entry: &Entry,
    health: Option<&Arc<Checkup>>,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Version {
    let name: Option<VersionName> = fields::name(&entry.key, "version", problems);
    let written = (!entry.value.is_null()).then_some(&entry.value);
    let parts = written.and_then(|it| parts(it, entry.key.at, credentials, problems));
    let (endpoints, own) = parts.map_or((None, None), |it| (Some(it.0), it.1));
    let health = own.unwrap_or_else(|| health.cloned());
    let spec = name.zip(endpoints).map(|(name, endpoints)| VersionSpec {
        name,
        fingerprint: fingerprint(&endpoints),
        endpoints,
        health,
    });
    Version { name: entry.key.clone(), spec }
}

/// What its endpoints are asked, if the version says anything about it.
type OwnHealth = Option<Option<Arc<Checkup>>>;

/// A URL, a list of them, or a map that holds either and more.
fn parts(
    node: &Node,
    at: At,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<(Vec<EndpointSpec>, OwnHealth)> {
    match &node.value {
        Value::Map(_) => {
            let fields = Fields::of(node, at, &VERSION, problems)?;
            let health = fields.read("health", problems, health::health);
            let help = "for example endpoints: [http://10.0.1.10:3000]";
            let list = &fields.required("endpoints", help, problems)?.value;
            let how = Reached {
                tls: fields.entry("tls"),
                proxy_protocol: fields.read("proxy_protocol", problems, proxy_protocol),
            };
            Some((endpoints(list, at, &how, credentials, problems)?, health))
        }
        _ => Some((endpoints(node, at, &Reached::default(), credentials, problems)?, None)),
    }
}

/// How the endpoints of a version are called, all alike.
#[derive(Default)]
struct Reached<'a> {
    tls: Option<&'a Entry>,
    proxy_protocol: Option<ProxyProtocol>,
}

fn proxy_protocol(node: &Node, problems: &mut Problems) -> Option<ProxyProtocol> {
    fields::choice(node, &[("v1", ProxyProtocol::V1), ("v2", ProxyProtocol::V2)], problems)
}

/// A URL or a list of them.
fn endpoints(
    list: &Node,
    at: At,
    how: &Reached<'_>,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<Vec<EndpointSpec>> {
    let items =
        fields::one_or_more(list, "the endpoints of a version are a URL or a list of URLs", problems)?;
    if items.is_empty() {
        problems.push(Report::error(Code::NoVersions, at, "a version needs at least one endpoint"));
        return None;
    }
    let mut trust = how.tls.map(|it| tls::trust(&it.value, credentials, problems));
    let (mut secure, mut first) = (false, HashMap::<EndpointSpec, At>::new());
    let mut found = Vec::new();
    let mut complete = true;
    for item in items {
        let Some((mut spec, wants_tls)) = endpoint(item, problems) else {
            complete = false;
            continue;
        };
        spec.proxy_protocol = how.proxy_protocol;
        if wants_tls {
            secure = true;
            let trust = trust.get_or_insert_with(|| tls::usual(item.at, credentials, problems));
            spec.tls = trust.as_ref().and_then(|it| it.of(&spec));
            // Never plain text where TLS was asked for; what is missing was reported.
            complete &= spec.tls.is_some();
        }
        if let Some(first) = first.get(&spec) {
            let report = Report::warning(Code::EndpointTwice, item.at, format!("{spec} is listed twice"));
            problems.push(report.related(*first, "first listed here"));
        }
        first.entry(spec.clone()).or_insert(item.at);
        found.push(spec);
    }
    if let (Some(tls), false) = (how.tls, secure) {
        let report = Report::error(Code::Tls, tls.key.at, "no endpoint of this version is reached over TLS");
        problems.push(report.help("write https:// (or h2://) in front of those that are"));
        return None;
    }
    complete.then_some(found)
}

/// The same definition has the same fingerprint, whatever the order in which it lists its endpoints.
fn fingerprint(endpoints: &[EndpointSpec]) -> Fingerprint {
    // Who it must be is a part of what it is; a renewed authority is not.
    let name = |it: &EndpointSpec| it.tls.as_ref().map(|it| format!(" {}", it.server_name.to_str()));
    let told = |it: &EndpointSpec| it.proxy_protocol.map(|it| format!(" {it:?}"));
    let line = |it: &EndpointSpec| {
        format!("{}{}{}\n", it.url(), name(it).unwrap_or_default(), told(it).unwrap_or_default())
    };
    let mut lines: Vec<String> = endpoints.iter().map(line).collect();
    lines.sort();
    Fingerprint::of(lines.concat().as_bytes())
}

fn shared_endpoints(versions: &[Version], problems: &mut Problems) {
    let mut owners: HashMap<&EndpointSpec, &Version> = HashMap::new();
    for version in versions {
        let endpoints = version.spec.iter().flat_map(|it| &it.endpoints);
        if let Some(other) = endpoints.clone().find_map(|it| owners.get(it)) {
            let (a, b) = (&other.name.text, &version.name.text);
            let message = format!("`{a}` and `{b}` share an endpoint");
            problems.push(
                Report::warning(Code::EndpointTwice, version.name.at, message)
                    .related(other.name.at, "the other one")
                    .help(
                        "they are compared with each other, and the same process is always as good as itself",
                    ),
            );
        }
        for endpoint in endpoints {
            owners.entry(endpoint).or_insert(version);
        }
    }
}
