//! `notify`: who hears of what happens to releases, and where they are.
//!
//! Addresses come from here and from nowhere else. What an address may be is decided in `address` and
//! [`is_local_address`]; what is sent there is [`crate::notifier`]'s.

mod address;
mod events;
mod github;
mod local;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use crate::model::{ServiceName, TargetName};
use crate::release::What;

use super::code::Code;
use super::fields::{self, Fields, Shape};
use super::node::{Entry, Node};
use super::problem::{Problems, Report};
use super::secret::{Secret, is_reference, secret};
use super::text;
use super::tls::{Credentials, outgoing};
use super::yaml::shown;

pub use address::{NotifyHost, NotifyUrl};
pub use events::{EVENTS, GITHUB_EVENTS, SLACK_EVENTS};
#[cfg(test)]
pub(super) use github::GITHUB;
pub use github::GitHubSpec;
pub use local::is_local_address;

use github::{github_spec, template};

pub(super) const NOTIFY: Shape = Shape {
    name: "Notify",
    what: "a target of notifications",
    keys: &[
        "webhook", "slack", "github", "secret", "name", "events", "services", "link", "ca", "local", "plain",
        "give_up",
    ],
};

/// Somebody who is notified.
#[derive(Clone, Debug, PartialEq)]
pub struct NotifySpec {
    /// What it is called in the status, the log and the metrics.
    pub name: TargetName,
    /// Where, and in which form.
    pub to: NotifyTo,
    /// Of what, in the order of [`What::EVERY`].
    pub events: Vec<What>,
    /// Of which services; `None`: of all.
    pub services: Option<Vec<ServiceName>>,
    /// A page about a service for people, with `{service}`, `{version}` and `{event}` in it.
    pub link: Option<String>,
    /// Whether it may be on this machine or in its network.
    pub local: bool,
    /// How it proves who it is; `None` is plain text.
    pub tls: Option<NotifyTls>,
    /// How long one notification is tried.
    pub give_up: Duration,
}

/// The form of a notification, and where it goes.
#[derive(Clone, Debug, PartialEq)]
pub enum NotifyTo {
    /// JSON, signed as Standard Webhooks say.
    Webhook {
        /// Where.
        url: NotifyUrl,
        /// Keys of the signatures: the newest first.
        secrets: Vec<Secret>,
    },
    /// A message for people.
    Slack {
        /// Where.
        url: NotifyUrl,
    },
    /// Deployments and their states.
    GitHub(Box<GitHubSpec>),
}

/// Authorities that are believed.
#[derive(Clone)]
pub struct NotifyTls(pub Arc<ClientConfig>);

impl PartialEq for NotifyTls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for NotifyTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NotifyTls(…)")
    }
}

impl NotifySpec {
    /// Where it is.
    pub fn url(&self) -> &NotifyUrl {
        match &self.to {
            NotifyTo::Webhook { url, .. } | NotifyTo::Slack { url } => url,
            NotifyTo::GitHub(it) => &it.api,
        }
    }

    /// The form, in one word.
    pub fn kind(&self) -> &'static str {
        match self.to {
            NotifyTo::Webhook { .. } => "webhook",
            NotifyTo::Slack { .. } => "slack",
            NotifyTo::GitHub(_) => "github",
        }
    }

    /// Whether it wants to hear of this.
    pub fn wants(&self, service: &ServiceName, what: What) -> bool {
        self.events.contains(&what) && self.services.as_ref().is_none_or(|it| it.contains(service))
    }
}

/// The list. Targets are told apart by their names.
pub(super) fn notifications(
    node: &Node,
    services: &[Entry],
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<Vec<NotifySpec>> {
    let items = fields::items(node, "`notify` is a list: [{slack: env:SLACK_URL}]", problems)?;
    if items.len() > TARGETS_MAX {
        let report = Report::error(Code::Limit, node.at, format!("{} are notified", items.len()));
        problems.push(report.help(format!("at most {TARGETS_MAX}")));
        return None;
    }
    let mut found: Vec<NotifySpec> = Vec::new();
    let mut complete = true;
    for item in items {
        let Some(spec) = target(item, services, credentials, problems) else {
            complete = false;
            continue;
        };
        if found.iter().any(|it| it.name == spec.name) {
            let message = format!("two targets are called `{}`", spec.name);
            problems.push(
                Report::error(Code::Notify, item.at, message)
                    .help("give one of them another `name`: name: ops"),
            );
            complete = false;
            continue;
        }
        found.push(spec);
    }
    complete.then_some(found)
}

fn target(
    node: &Node,
    services: &[Entry],
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<NotifySpec> {
    let fields = Fields::of(node, node.at, &NOTIFY, problems)?;
    let (mut local, mut plain) = (false, false);
    fields.set("local", &mut local, problems, allowed);
    fields.set("plain", &mut plain, problems, allowed);
    let lenient = address::Lenient { local, plain };
    let to = to(&fields, lenient, credentials, problems);
    let kind = match &to {
        Some(NotifyTo::Webhook { .. }) => "webhook",
        Some(NotifyTo::Slack { .. }) => "slack",
        Some(NotifyTo::GitHub(_)) => "github",
        None => "target",
    };
    let name = match fields.get("name") {
        Some(node) => fields::word(node, problems).and_then(|it| fields::name(&it, "target", problems)),
        None => kind.parse().ok(),
    };
    let usual = match kind {
        "slack" => SLACK_EVENTS,
        "github" => GITHUB_EVENTS,
        _ => EVENTS,
    };
    let mut wanted = usual.to_vec();
    fields.set("events", &mut wanted, problems, |node, problems| events::events(node, kind, problems));
    let of = fields.get("services").map(|it| services_named(it, services, problems));
    let link = fields.get("link").map(|it| template(it, &["service", "version", "event"], problems));
    let mut give_up = GIVE_UP;
    fields.set("give_up", &mut give_up, problems, time);
    let to = to?;
    let secure = match &to {
        NotifyTo::Webhook { url, .. } | NotifyTo::Slack { url } => url.secure,
        NotifyTo::GitHub(it) => it.api.secure,
    };
    let tls = match (secure, fields.entry("ca")) {
        (true, ca) => Some(NotifyTls(outgoing(ca.map(|it| &it.value), node.at, credentials, problems)?)),
        (false, None) => None,
        (false, Some(ca)) => {
            let report = Report::error(Code::Tls, ca.key.at, "`ca` means nothing without TLS");
            problems.push(report.help("write https://, or leave `ca` out"));
            return None;
        }
    };
    Some(NotifySpec {
        name: name?,
        to,
        events: wanted,
        services: of.map(|it| it.ok_or(())).transpose().ok()?,
        link: link.map(|it| it.ok_or(())).transpose().ok()?,
        local,
        tls,
        give_up,
    })
}

/// Exactly one of the forms.
fn to(
    fields: &Fields<'_>,
    lenient: address::Lenient,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<NotifyTo> {
    let (webhook, slack, github) = (fields.get("webhook"), fields.get("slack"), fields.get("github"));
    let keys = fields.get("secret").map(|it| secrets(it, credentials, problems));
    if let (None, Some(entry)) = (webhook, fields.entry("secret")) {
        let report = Report::error(Code::Notify, entry.key.at, "only a webhook is signed with a `secret`");
        problems.push(report.help("leave it out; `github` has a `token`"));
    }
    match (webhook, slack, github) {
        (Some(node), None, None) => {
            let url = webhook_url(node, lenient, credentials, problems);
            let secrets = keys.unwrap_or_else(|| Some(Vec::new()));
            Some(NotifyTo::Webhook { url: url?, secrets: secrets? })
        }
        (None, Some(node), None) => {
            // Whoever has the URL may write there.
            let written = secret(node, credentials, problems)?;
            let url = address::parsed(written.reveal(), node, lenient, problems)?;
            Some(NotifyTo::Slack { url })
        }
        (None, None, Some(node)) => {
            github_spec(node, lenient, credentials, problems).map(|it| NotifyTo::GitHub(Box::new(it)))
        }
        _ => {
            let message = "a target has one of `webhook`, `slack` and `github`";
            let report = Report::error(Code::Notify, fields.at, message);
            problems.push(report.help("for example {webhook: https://ci.example.com/hook}"));
            None
        }
    }
}

/// A URL, or a reference to one that is secret.
fn webhook_url(
    node: &Node,
    lenient: address::Lenient,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<NotifyUrl> {
    if is_reference(fields::text(node, problems)?) {
        let written = secret(node, credentials, problems)?;
        return address::parsed(written.reveal(), node, lenient, problems);
    }
    address::parsed(fields::text(node, problems)?, node, lenient, problems)
}

/// One key, or the new one and the old one while receivers change over.
fn secrets(node: &Node, credentials: &mut Credentials<'_>, problems: &mut Problems) -> Option<Vec<Secret>> {
    let items = fields::one_or_more(node, "`secret` refers to a key: env:HOOK_SECRET", problems)?;
    if items.is_empty() || items.len() > SECRETS_MAX {
        let report = Report::error(Code::Notify, node.at, "a webhook has one key, or two while they change");
        problems.push(report.help("[env:NEW_SECRET, env:OLD_SECRET]"));
        return None;
    }
    let found = items.into_iter().map(|it| {
        let key = secret(it, credentials, problems)?;
        if !is_key(key.reveal()) {
            let message = "this is no key of Standard Webhooks: `whsec_` and 24 to 64 bytes in base64";
            let report = Report::error(Code::Secret, it.at, message);
            problems.push(report.help("make one: echo whsec_$(head -c 32 /dev/urandom | base64)"));
            return None;
        }
        Some(key)
    });
    found.collect::<Vec<_>>().into_iter().collect()
}

/// Whether a text is a key as it is handed to people.
fn is_key(text: &str) -> bool {
    let Some(digits) = text.strip_prefix("whsec_") else { return false };
    let body = digits.trim_end_matches('=');
    let plain = body.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'+' || it == b'/');
    // Three bytes are four digits.
    let bytes = body.len() * 3 / 4;
    plain
        && digits.len() % 4 == 0
        && digits.len() - body.len() <= 2
        && (KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&bytes)
}

fn services_named(node: &Node, services: &[Entry], problems: &mut Problems) -> Option<Vec<ServiceName>> {
    let items = fields::one_or_more(node, "names of services: [shop, blog]", problems)?;
    let found = items.into_iter().map(|it| {
        let word = fields::word(it, problems)?;
        if services.iter().any(|known| known.key.text == word.text) {
            return fields::name(&word, "service", problems);
        }
        let message = format!("no service `{}`", shown(&word.text));
        let report = Report::error(Code::ServiceUnknown, word.at, message);
        problems.push(report.did_you_mean(&word.text, services.iter().map(|it| it.key.text.as_str()), ""));
        None
    });
    found.collect::<Vec<_>>().into_iter().collect()
}

fn allowed(node: &Node, problems: &mut Problems) -> Option<bool> {
    fields::choice(node, &[("refuse", false), ("allow", true)], problems)
}

fn time(node: &Node, problems: &mut Problems) -> Option<Duration> {
    let time = fields::parsed(node, text::duration, problems)?;
    if (GIVE_UP_MIN..=GIVE_UP_MAX).contains(&time) {
        return Some(time);
    }
    let report = Report::error(Code::Limit, node.at, "a time that is out of range");
    problems.push(report.help("from 1s to 7d"));
    None
}

/// Each has a queue and a task of its own.
const TARGETS_MAX: usize = 50;
const SECRETS_MAX: usize = 2;
/// Bounds of the specification.
const KEY_BYTES_MIN: usize = 24;
const KEY_BYTES_MAX: usize = 64;
/// News of a release are old after that.
const GIVE_UP: Duration = Duration::from_secs(3600);
const GIVE_UP_MIN: Duration = Duration::from_secs(1);
const GIVE_UP_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let good = |bytes: usize| {
            let digits = bytes.div_ceil(3) * 4;
            let padding = (3 - bytes % 3) % 3;
            format!("whsec_{}{}", "A".repeat(digits - padding), "=".repeat(padding))
        };
        for bytes in 24..=64 {
            assert!(is_key(&good(bytes)), "{bytes}");
        }
        assert!(is_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        for bad in
            [good(23), good(65), "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(), "whsec_".into(), good(24) + "="]
        {
            assert!(!is_key(&bad), "{bad}");
        }
    }
}
