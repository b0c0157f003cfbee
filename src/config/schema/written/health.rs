//! How endpoints are looked after, as written.

use schemars::JsonSchema;

use super::super::units::{Duration, OneOrMany, Percent, Text};
use super::Off;

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(in super::super) enum HealthForm {
    Off(Off),
    Health(Health),
}

/// What every endpoint of a version is asked, again and again, off the request path. A new endpoint gets
/// requests after its first pass; one that is known keeps its state through reloads. A canary none of
/// whose endpoints passes gets nothing more and is rolled back.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Health {
    /// `http`: a `GET` is answered well; `tcp`: a connection can be opened; `grpc`:
    /// `grpc.health.v1.Health/Check` says SERVING, over HTTP/2 without TLS. Default: `http`.
    kind: Option<HealthKind>,
    /// Path and query that are asked for. Default: `/`.
    path: Option<String>,
    /// What stands in `Host`. Default: the endpoint's own.
    host: Option<String>,
    /// Statuses that are a pass: `200`, `2xx`, `200-204`, or a list of them. A redirect is not followed.
    /// Default: `2xx`.
    status: Option<OneOrMany<Text>>,
    /// A text that the body must hold, within its first 64 KiB. Default: any body will do.
    body: Option<String>,
    /// For `grpc`: which service is asked about. Default: none, the server as a whole.
    service: Option<String>,
    /// Time between two questions to one endpoint, give or take a tenth. Default: `2s`.
    every: Option<Duration>,
    /// Time for an answer. Default: `1s`.
    timeout: Option<Duration>,
    /// Failures in a row after which an endpoint gets no more requests. Default: `3`.
    fail_after: Option<u32>,
    /// Passes in a row after which it gets requests again. Default: `1`.
    pass_after: Option<u32>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(in super::super) enum HealthKind {
    Http,
    Tcp,
    Grpc,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(in super::super) enum EjectForm {
    Off(Off),
    Eject(Eject),
}

/// When an endpoint is left out for a while because of how it treats requests. Counted over all workers.
/// An endpoint is never left out when no other of its version would be left.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Eject {
    /// Connect failures in a row, or `off`. Default: `3`.
    connect: Option<CountOrOff>,
    /// Failed answers (5xx, resets, timeouts) in a row, or `off`. Whoever finds a page that fails can have
    /// endpoints left out by asking for it, so this is for services that trust their users. Default: `off`.
    failures: Option<CountOrOff>,
    /// Least share of good answers over ten seconds, in whole percents, or `off`. Default: `off`.
    success: Option<PercentOrOff>,
    /// Fewest answers in ten seconds that the share is judged by. Default: `50`.
    requests: Option<u32>,
    /// How long it is left out the first time. Each further time in a row takes twice as long, up to five
    /// minutes. Default: `5s`.
    #[schemars(rename = "for")]
    time: Option<Duration>,
    /// Most endpoints of a version that are left out at a time, in whole percents. Default: `50%`.
    most: Option<Percent>,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(in super::super) enum CountOrOff {
    Off(Off),
    Count(u32),
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(in super::super) enum PercentOrOff {
    Off(Off),
    Percent(Percent),
}

/// How names of endpoints are looked up.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Dns {
    /// Addresses of servers, with a port if it is not 53. Default: those of the system.
    servers: Option<OneOrMany<String>>,
    /// Least time that an answer is used, whatever it says of itself. Default: `5s`.
    ttl_min: Option<Duration>,
    /// Most time. Default: `5m`.
    ttl_max: Option<Duration>,
    /// Time for an answer of one server. Default: `2s`.
    timeout: Option<Duration>,
    /// `refuse` takes no address of this machine or its link (127.0.0.0/8, 169.254.0.0/16, ::1, fe80::/10) from
    /// the DNS; from the hosts file, and for `localhost`, they are taken. Default: `refuse`.
    local: Option<Local>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(in super::super) enum Local {
    Refuse,
    Allow,
}
