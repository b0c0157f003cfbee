//! `services`: versions with endpoints, what is live, and how requests are spread.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{ServiceName, Weight};
use crate::routing::{
    Balance, Care, Checkup, HostPattern, MintedCookie, Pin, Retry, ServiceLimits, ServiceSpec, Shield,
    StickyBy, Timeouts, VersionIndex,
};

use super::balance::balance;
use super::code::Code;
use super::condition;
use super::domain::ServiceConfig;
use super::fields::{self, Fields, Shape};
use super::guard::{self, Guards};
use super::health;
use super::limits::limits;
use super::listen::timeout;
use super::node::{Entry, Node};
use super::preview;
use super::problem::{Problems, Report};
use super::recourse;
use super::rollout;
use super::source::At;
use super::text;
use super::tls::Credentials;
use super::version::{Scope, versions};

pub(super) const SERVICE: Shape = Shape {
    name: "Service",
    what: "a service",
    keys: &[
        "hosts",
        "live",
        "versions",
        "split",
        "sticky",
        "pin",
        "balance",
        "timeouts",
        "limits",
        "retry",
        "shield",
        "mirror",
        "eject",
        "slow_start",
        "panic",
        "server_timing",
        "rollout",
    ],
};

pub(super) const STICKY: Shape = Shape { name: "Sticky", what: "`sticky`", keys: &["by", "name", "ttl"] };

pub(super) const PIN: Shape = Shape { name: "Pin", what: "a pin", keys: &["when", "to"] };

pub(super) const WHEN: Shape = Shape { name: "When", what: "`when`", keys: &["header"] };

pub(super) const TIMEOUTS: Shape = Shape {
    name: "Timeouts",
    what: "the timeouts of a service",
    keys: &["connect", "head", "request", "idle", "keep_alive", "drain"],
};

pub(super) const DEFAULTS: Shape = Shape {
    name: "Defaults",
    what: "`defaults`",
    keys: &[
        "timeouts",
        "limits",
        "retry",
        "shield",
        "guard",
        "balance",
        "health",
        "eject",
        "slow_start",
        "panic",
    ],
};

/// What services have that do not say otherwise.
#[derive(Clone, Debug, Default)]
pub(super) struct Defaults {
    timeouts: Timeouts,
    limits: ServiceLimits,
    retry: Retry,
    shield: Shield,
    guards: Guards,
    balance: Balance,
    pub(super) health: Option<Arc<Checkup>>,
    care: Care,
}

/// A service, its hosts, and where both are written. What is known of it is kept even if the rest could
/// not be understood, so that routes can be checked against it.
pub(super) struct Placed {
    pub(super) name: String,
    pub(super) at: At,
    pub(super) hosts: Vec<(HostPattern, At)>,
    /// The host of its testers.
    pub(super) preview: Option<(HostPattern, At)>,
    pub(super) config: Option<ServiceConfig>,
}

pub(super) fn defaults(node: &Node, problems: &mut Problems) -> Option<Defaults> {
    let fields = Fields::of(node, node.at, &DEFAULTS, problems)?;
    let mut it = Defaults::default();
    let base = it.clone();
    fields.set("timeouts", &mut it.timeouts, problems, |node, problems| {
        timeouts(node, base.timeouts, problems)
    });
    fields.set("limits", &mut it.limits, problems, |node, problems| limits(node, base.limits, problems));
    fields
        .set("retry", &mut it.retry, problems, |node, problems| recourse::retry(node, base.retry, problems));
    fields.set("shield", &mut it.shield, problems, |node, problems| {
        recourse::shield(node, base.shield, problems)
    });
    fields.set("guard", &mut it.guards, problems, |node, problems| guard::guard(node, base.guards, problems));
    fields.set("balance", &mut it.balance, problems, balance);
    fields.set("health", &mut it.health, problems, health::health);
    it.care = health::care(&fields, base.care, problems);
    Some(it)
}

pub(super) fn service(
    entry: &Entry,
    defaults: &Defaults,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Placed {
    let at = entry.key.at;
    let name: Option<ServiceName> = fields::name(&entry.key, "service", problems);
    let fields = Fields::of(&entry.value, at, &SERVICE, problems);
    let hosts = fields.as_ref().and_then(|it| it.read("hosts", problems, condition::hosts));
    let preview = fields.as_ref().and_then(|it| preview::place(it.get("rollout")?));
    let config = fields.and_then(|it| config(name, &it, defaults, credentials, problems));
    Placed { name: entry.key.text.clone(), at, hosts: hosts.unwrap_or_default(), preview, config }
}

fn config(
    name: Option<ServiceName>,
    fields: &Fields<'_>,
    defaults: &Defaults,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<ServiceConfig> {
    let written = fields.required("versions", "for example versions: {v1: http://10.0.1.10:3000}", problems);
    let health = defaults.health.as_ref();
    let versions = written.and_then(|it| versions(&it.value, it.key.at, health, credentials, problems));
    let live = fields.required("live", "name one of the versions", problems);
    let mut spec = ServiceSpec {
        // The name is looked at last, so that a bad one does not hide what is wrong behind it.
        name: name.clone().unwrap_or_else(|| "unnamed".parse().expect("a legal name")),
        versions: Vec::new(),
        balance: defaults.balance.clone(),
        sticky: fields.read("sticky", problems, sticky),
        pins: Vec::new(),
        preview: fields.get("rollout").and_then(|it| preview::preview(it, problems)),
        timeouts: defaults.timeouts,
        limits: defaults.limits,
        retry: defaults.retry,
        care: health::care(fields, defaults.care, problems),
        shield: defaults.shield,
        mirror: None,
        error_status: Default::default(),
        client_key: Default::default(),
        server_timing: false,
    };
    fields.set("server_timing", &mut spec.server_timing, problems, fields::boolean);
    fields.set("balance", &mut spec.balance, problems, balance);
    fields.set("timeouts", &mut spec.timeouts, problems, |node, problems| {
        timeouts(node, defaults.timeouts, problems)
    });
    fields
        .set("limits", &mut spec.limits, problems, |node, problems| limits(node, defaults.limits, problems));
    fields.set("retry", &mut spec.retry, problems, |node, problems| {
        recourse::retry(node, defaults.retry, problems)
    });
    fields.set("shield", &mut spec.shield, problems, |node, problems| {
        recourse::shield(node, defaults.shield, problems)
    });
    let mut guards = defaults.guards.clone();
    let plan = match fields.entry("rollout") {
        Some(it) => rollout::rollout(&it.value, it.key.at, &mut guards, problems),
        None => Some(rollout::instant(&guards)),
    };
    (spec.error_status, spec.client_key) = (guards.error_status, guards.client_key);
    split_or_rollout(fields, problems);

    // References last: without versions there is nothing to compare them with.
    let scope = Scope { service: spec.name.clone(), versions: versions? };
    let live = live.and_then(|it| scope.live(&it.value, problems));
    fields.set("pin", &mut spec.pins, problems, |node, problems| pins(node, &scope, problems));
    spec.mirror = fields.read("mirror", problems, |node, problems| recourse::mirror(node, &scope, problems));
    let mut fixed = Vec::new();
    fields.set("split", &mut fixed, problems, |node, problems| split(node, live, &scope, problems));
    if !fixed.is_empty() && spec.sticky.is_none() {
        not_sticky(fields, problems);
    }
    spec.versions = scope.into_specs()?;
    name?;
    Some(ServiceConfig {
        spec: Arc::new(spec),
        live: live?,
        split: fixed,
        plan: plan?,
        queries: guards.queries,
    })
}

fn split_or_rollout(fields: &Fields<'_>, problems: &mut Problems) {
    if let (Some(split), Some(rollout)) = (fields.entry("split"), fields.entry("rollout")) {
        problems.push(
            Report::error(
                Code::SplitAndRollout,
                split.key.at,
                "`split` and `rollout` cannot both set the weights",
            )
            .related(rollout.key.at, "`rollout` is here")
            .help("keep `rollout` for a release, `split` for a share that stays"),
        );
    }
}

fn not_sticky(fields: &Fields<'_>, problems: &mut Problems) {
    if let Some(split) = fields.entry("split") {
        problems.push(
            Report::warning(
                Code::NotSticky,
                split.key.at,
                "users may change versions from request to request",
            )
            .label("a split without `sticky`")
            .help("add for example sticky: {by: cookie, name: session}"),
        );
    }
}

fn timeouts(node: &Node, base: Timeouts, problems: &mut Problems) -> Option<Timeouts> {
    let fields = Fields::of(node, node.at, &TIMEOUTS, problems)?;
    let mut it = base;
    fields.set("connect", &mut it.connect, problems, timeout);
    fields.set("head", &mut it.head, problems, timeout);
    fields.set("request", &mut it.request, problems, |node, problems| {
        if node.is_word("off") { Some(None) } else { timeout(node, problems).map(Some) }
    });
    fields.set("idle", &mut it.idle, problems, timeout);
    fields.set("keep_alive", &mut it.keep_alive, problems, timeout);
    fields.set("drain", &mut it.drain, problems, |node, problems| {
        if node.is_word("off") { Some(None) } else { timeout(node, problems).map(Some) }
    });
    Some(it)
}

fn sticky(node: &Node, problems: &mut Problems) -> Option<StickyBy> {
    #[derive(Clone, Copy, Eq, PartialEq)]
    enum By {
        Cookie,
        Header,
        Address,
    }
    let fields = Fields::of(node, node.at, &STICKY, problems)?;
    let by = fields.required("by", "cookie, header or address", problems)?;
    let choices = [("cookie", By::Cookie), ("header", By::Header), ("address", By::Address)];
    let by = fields::choice(&by.value, &choices, problems)?;
    let ttl = fields.entry("ttl");
    if let Some(ttl) = ttl.filter(|_| by != By::Cookie) {
        let report = Report::error(Code::Sticky, ttl.key.at, "only a cookie is given out");
        problems.push(report.help("with by: cookie, `ttl` says how long callers keep it"));
        return None;
    }
    let name = match (by, fields.entry("name")) {
        (By::Address, None) => return Some(StickyBy::Address),
        (By::Address, Some(name)) => {
            problems.push(Report::error(Code::Sticky, name.key.at, "an address has no name"));
            return None;
        }
        (By::Cookie | By::Header, Some(name)) => condition::token(&name.value, problems)?,
        (By::Cookie | By::Header, None) => {
            let report = Report::error(Code::Sticky, node.at, "which cookie or header?");
            problems.push(report.help("add its name: sticky: {by: cookie, name: session}"));
            return None;
        }
    };
    match ttl {
        None if by == By::Header => Some(StickyBy::Header(name.to_ascii_lowercase())),
        None => Some(StickyBy::Cookie(name)),
        Some(ttl) => {
            let ttl = fields::parsed(&ttl.value, text::duration, problems)
                .filter(|it| at_least_a_second(*it, ttl.value.at, problems))?;
            Some(StickyBy::Minted(MintedCookie { name, ttl }))
        }
    }
}

/// `Max-Age` counts whole seconds, and 0 takes a cookie away.
fn at_least_a_second(it: Duration, at: At, problems: &mut Problems) -> bool {
    let enough = it >= Duration::from_secs(1);
    if !enough {
        problems.push(Report::error(Code::Sticky, at, "a cookie lives in whole seconds").help("at least 1s"));
    }
    enough
}

fn pins(node: &Node, scope: &Scope, problems: &mut Problems) -> Option<Vec<Pin>> {
    let items = fields::items(node, "`pin` is a list", problems)?;
    let pins: Vec<_> = items.into_iter().map(|it| pin(it, scope, problems)).collect();
    pins.into_iter().collect()
}

fn pin(node: &Node, scope: &Scope, problems: &mut Problems) -> Option<Pin> {
    let fields = Fields::of(node, node.at, &PIN, problems)?;
    let when = fields.required("when", "for example when: {header: {x-group: beta}}", problems);
    let when = when.and_then(|it| {
        let fields = Fields::of(&it.value, it.key.at, &WHEN, problems)?;
        let header = fields.required("header", "for example header: {x-group: beta}", problems)?;
        condition::headers(&header.value, problems)
    });
    let to = fields.required("to", "name one of the versions", problems);
    let to = to.and_then(|it| fields::word(&it.value, problems));
    let to = to.and_then(|it| {
        scope.find(&it, Code::VersionUnknown, "a pin to a version that does not exist", problems)
    });
    Some(Pin { when: when?, to: to? })
}

/// `{b: 20%}`: shares that stay; `live` has the rest.
fn split(
    node: &Node,
    live: Option<VersionIndex>,
    scope: &Scope,
    problems: &mut Problems,
) -> Option<Vec<(VersionIndex, Weight)>> {
    let entries = fields::entries(node, "`split`", problems)?;
    let mut shares = Vec::new();
    for entry in entries.iter().filter(|it| !it.value.is_null()) {
        let message = "a share for a version that does not exist";
        let version = scope.find(&entry.key, Code::VersionUnknown, message, problems);
        let weight = fields::parsed(&entry.value, text::weight, problems);
        let (Some(version), Some(weight)) = (version, weight) else { continue };
        if Some(version) == live {
            let report = Report::error(Code::Split, entry.key.at, "`live` has what the others leave");
            problems.push(report.help("name only the other versions"));
        } else if weight == Weight::NONE {
            problems
                .push(Report::error(Code::Split, entry.value.at, "a share of nothing").help("leave it out"));
        }
        shares.push((version, weight));
    }
    let sum: u32 = shares.iter().map(|it| u32::from(it.1.basis_points())).sum();
    if sum > u32::from(Weight::ALL.basis_points()) {
        let message = format!("the shares add up to {}%", f64::from(sum) / 100.0);
        problems.push(Report::error(Code::Split, node.at, message).help("together at most 100%"));
    }
    Some(shares)
}
