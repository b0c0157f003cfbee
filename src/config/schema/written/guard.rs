//! Guards as written.

use schemars::JsonSchema;

use super::super::units::{Duration, OneOrMany, Percent};
use super::Off;

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(in super::super) enum GuardForm {
    Off(Off),
    Guard(Guard),
}

/// What is judged all the time; `off` judges nothing. Every guard is also switched off by itself:
/// `{p99: off}`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Guard {
    /// Failed answers: a ceiling (`1%`), a difference from stable that still counts as fine (`+0.5pp` in
    /// percentage points, `+10%` of stable's rate), or both in a list. Default: no ceiling, and `+0.1pp` or
    /// `+10%`, whichever is larger.
    errors: Option<OneOrMany<String>>,
    /// The time in which half of the requests are answered: a ceiling (`800ms`), how much slower than
    /// stable still counts as fine (`+20%`, which leaves 5 ms besides, or `+30ms`), or both in a list.
    /// Measured from the moment the version has the whole request to the head of its answer. Default:
    /// `off`.
    p50: Option<OneOrMany<String>>,
    /// The same for nine in ten requests. Default: `off`.
    p90: Option<OneOrMany<String>>,
    /// The same for nineteen in twenty. Default: `+10%`.
    p95: Option<OneOrMany<String>>,
    /// The same for ninety-nine in a hundred. Default: `+10%`.
    p99: Option<OneOrMany<String>>,
    /// Failed answers of the canary that one release may cost; the last of them rolls it back. Default:
    /// no limit.
    failures_max: Option<u64>,
    /// When a step may end before its time: once it is proven that the canary is hardly worse. Default:
    /// `off`.
    pass: Option<PassForm>,
    /// Numbers of a Prometheus that must lie within bounds before a release goes on. They hold it, they never
    /// promote it, and they never keep the other guards from rolling it back. Default: none.
    queries: Option<Vec<Query>>,
    /// Chance that a healthy release is rolled back, over the whole release; at most `10%`. Default:
    /// `0.01%`.
    false_rollback: Option<Percent>,
    /// Who is a client, for the rule that no single one decides: `address`, or the value of a header or a
    /// cookie. Requests without it go by their address. Take one that clients cannot choose for each
    /// request. Default: `address`.
    client_key: Option<ClientKeyForm>,
    /// Which answers count as failures, beside connect failures, resets and timeouts: `5xx`, or `4xx` for
    /// 400 to 599. A gRPC answer (`application/grpc`) also fails by its `grpc-status`, in the head or, if the
    /// client takes trailers, in those: `5xx` counts UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL,
    /// UNAVAILABLE and DATA_LOSS, `4xx` all but OK and CANCELLED. Default: `5xx`.
    error_status: Option<ErrorStatus>,
    /// What a version that is found worse leads to: `rollback`; `pause`, it stays where it is until a person
    /// decides; `notify`, it is said, and it does not advance as long as it is worse. Default: `rollback`.
    on_breach: Option<OnBreach>,
    /// What too little traffic leads to when the time of a step is over: `hold`, it waits for more;
    /// `promote`, it goes on without; `rollback`. Default: `hold`.
    no_traffic: Option<NoTraffic>,
}

/// A number that a Prometheus knows. Without an answer that is one fresh, finite number the release is held,
/// and so it is when the number lies outside. Each weight needs an answer of its own.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Query {
    /// What people read of it. Required.
    name: String,
    /// Where the Prometheus is, over plain HTTP: `http://10.0.5.1:9090`. `/api/v1/query` is added. Required.
    prometheus: String,
    /// PromQL, with one number as its result: `sum(rate(errors_total[1m]))`. Required.
    query: String,
    /// Least value that is fine. One of `min` and `max` is required.
    min: Option<f64>,
    /// Greatest value that is fine.
    max: Option<f64>,
    /// Time between two questions, at least `100ms`. A sample may be three times as old, or 5 seconds.
    /// Default: `10s`.
    every: Option<Duration>,
    /// Time for an answer. Default: `3s`.
    timeout: Option<Duration>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(in super::super) enum OnBreach {
    Rollback,
    Pause,
    Notify,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(in super::super) enum NoTraffic {
    Hold,
    Promote,
    Rollback,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(in super::super) enum PassForm {
    Off(Off),
    Pass(Pass),
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(in super::super) enum ClientKeyForm {
    Address(Address),
    Key(ClientKey),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(in super::super) enum Address {
    Address,
}

/// Who is a client, by one of two; `address` alone is the client's address.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct ClientKey {
    /// Name of a request header.
    header: Option<String>,
    /// Name of a cookie.
    cookie: Option<String>,
}

/// When a step may end before its time. Every guard in use must be proven.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Pass {
    /// The difference that is excluded with 95 %: `0.5pp`, or `50%` of stable's rate. Default: the larger of
    /// both.
    within: Option<String>,
    /// Least time at the step's weight. Default: `30s`.
    after: Option<Duration>,
    /// Fewest judged answers of the canary in the step. Default: `500`.
    requests: Option<u64>,
}

#[derive(JsonSchema)]
#[schemars(inline)]
pub(in super::super) enum ErrorStatus {
    #[schemars(rename = "5xx")]
    Server,
    #[schemars(rename = "4xx")]
    ClientAndServer,
}
