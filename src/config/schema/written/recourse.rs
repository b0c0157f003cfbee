//! What a service does about answers that did not come, as written.

use schemars::JsonSchema;

use super::super::units::{OneOrMany, Percent, RetryReason, Size};
use super::{Off, SizeOrOff};

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(in super::super) enum RetryForm {
    Off(Off),
    Retry(Retry),
}

/// When a request is tried again within its version: only if nothing of it was sent, or if its method is
/// idempotent (`GET`, `HEAD`, `OPTIONS`, `PUT`, `DELETE`) and its body is still at hand, and never once the
/// client has seen a byte of an answer. Another endpoint comes first. If all tries fail, the client gets the
/// last real answer. The guards judge the first try. `off` tries nothing twice, but for a kept connection
/// that turned out to be closed, and for what an HTTP/2 endpoint says that it never began with.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Retry {
    /// Further tries of one request, 0 to 5. Endpoints that refuse a connection do not count. Default: `1`.
    attempts: Option<u64>,
    /// Most further tries, as a share of the version's requests, so that a version in trouble is not given
    /// more to do. Each worker keeps it for itself and always allows a few. Default: `20%`.
    budget: Option<Percent>,
    /// What they are for: `connect`, no connection could be made; `reset`, the connection ended before the
    /// answer; `timeout`, there was no answer in time; `502`, `503`, `504`, the version said so (asked for
    /// again at another endpoint only). Default: `[connect, reset, 502, 503, 504]`.
    on: Option<OneOrMany<RetryReason>>,
    /// Largest request body that is kept for another try, up to `64KiB`, or `off`. Default: `64KiB`.
    body: Option<SizeOrOff>,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(in super::super) enum ShieldForm {
    Covers(Covers),
    Shield(Shield),
}

/// Which failures of a version on trial users do not see: a connection that cannot be made or ends before the
/// answer, a malformed answer, none in time, or one with status 500 to 599, as long as nothing has reached the
/// client. The stable version answers instead, and the failure counts against the version on trial as if the
/// user had seen it. Requests that are pinned or of testers are never shielded. Also written as what it
/// covers alone.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Shield {
    /// `safe`: `GET` (the handshake of a WebSocket too), `HEAD` and `OPTIONS`; `idempotent`: `PUT` and `DELETE` as
    /// well, while their body is at hand (`retry.body`); `off`: none. With any but `off`, whatever cannot be sent
    /// because no endpoint takes connections goes to stable. Default: `safe`.
    covers: Option<Covers>,
    /// Most requests that both versions are given, as a share of those of the version on trial; each worker
    /// keeps it for itself and has a hundred to begin with. Beyond it failures are passed on. Default: `20%`.
    budget: Option<Percent>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(in super::super) enum Covers {
    Safe,
    Idempotent,
    Off,
}

/// Copies of requests for a version that answers nobody: to see how it does under real traffic before it has
/// users. A copy leaves once its request was sent, marked with `x-tidegate-mirror: 1`; nobody waits for it, and
/// nothing of it is judged. At most 32 are under way at once for each worker; others are dropped and counted.
/// Requests of the version itself are not copied, nor upgrades and requests that wait for a 100.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Mirror {
    /// The version that gets them. Required.
    to: String,
    /// The share of the requests that are copied. Default: `100%`.
    sample: Option<Percent>,
    /// Their methods. Name others only if doing things twice does no harm. Default: `[GET, HEAD]`.
    methods: Option<OneOrMany<String>>,
    /// Largest body that is copied, up to `64KiB`; requests with more are not. Default: `64KiB`.
    max_body: Option<Size>,
    /// Whether `Cookie` and `Authorization` go along. Default: `true`.
    credentials: Option<bool>,
}
