//! Who is notified.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::config::notifications::EVENTS;

use super::super::units::{Duration, OneOrMany};
use super::health::Local;

/// Somebody who is notified of what happens to releases, in one of three forms: a signed webhook, a message in
/// Slack, or the state of a deployment on GitHub. Notifications wait in a queue for each target, are tried again
/// when that may help, and never hold up a release.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Notify {
    /// A URL that gets each event as JSON, signed as [Standard Webhooks](https://www.standardwebhooks.com) say; or
    /// `env:NAME` or `file:PATH`, where such a URL is.
    webhook: Option<String>,
    /// `env:NAME` or `file:PATH`, where the URL of an incoming webhook of Slack is, or of a chat that understands
    /// the same.
    slack: Option<String>,
    /// A repository that gets a deployment for each release, and its states.
    github: Option<GitHub>,
    /// Key of a webhook's signatures: `env:NAME` or `file:PATH`, where `whsec_` and 24 to 64 bytes in base64 are.
    /// While receivers change from one key to another: both, the new one first. Default: none, and webhooks are
    /// not signed.
    secret: Option<OneOrMany<String>>,
    /// What it is called in the status, the log and the metrics. Default: its form, `webhook`, `slack` or `github`.
    name: Option<String>,
    /// Of what. Default: of everything for a webhook; for Slack of `began`, `promoted`, `completed`, `rolled_back`,
    /// `barred`, `held`, `asked`, `breached`, `frozen` and `unfrozen`; for GitHub of all that a deployment has a
    /// state for.
    events: Option<OneOrMany<Event>>,
    /// Of which services. Default: of all.
    services: Option<OneOrMany<String>>,
    /// A page about a service, for people, with `{service}`, `{version}` and `{event}` in it. Default: none.
    link: Option<String>,
    /// The file of authorities, in PEM, whose certificates are believed. Default: those that this system believes.
    ca: Option<String>,
    /// Whether the address may be one of this machine, its link or its network, as 127.0.0.1, 10.0.0.1, fd00::1 or
    /// a cloud's 169.254.169.254. A name is looked up once for each call, and what it leads to is held to this.
    /// Default: `refuse`.
    local: Option<Local>,
    /// Whether `http://` may lead to another machine. Default: `refuse`.
    plain: Option<Local>,
    /// How long one notification is tried, again and again, before it is given up. From `1s` to `7d`. Default: `1h`.
    give_up: Option<Duration>,
}

/// A repository on GitHub. A release becomes a deployment, what happens to it the deployment's state.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct GitHub {
    /// Owner and name: `acme/shop`. Required.
    repository: String,
    /// `env:NAME` or `file:PATH`, where a token is that may write deployments. Required.
    token: String,
    /// The environment; `{service}` stands for the service. Default: `production`.
    environment: Option<String>,
    /// The branch, tag or commit that a version was built from; `{version}` and `{service}` stand for both.
    /// Default: `{version}`.
    #[schemars(rename = "ref")]
    reference: Option<String>,
    /// Where the interface is: of GitHub Enterprise `https://HOST/api/v3`. Default: `https://api.github.com`.
    api: Option<String>,
    /// Where the environment can be looked at, with `{service}` and `{version}` in it. Default: none.
    environment_url: Option<String>,
}

/// A word of the journal.
pub(in super::super) struct Event;

impl JsonSchema for Event {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Event".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = EVENTS.iter().map(|it| it.as_str()).collect();
        json_schema!({ "enum": words })
    }
}
