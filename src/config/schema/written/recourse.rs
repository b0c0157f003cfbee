//! What a service does about answers that did not come, as written.

use schemars::JsonSchema;

use super::super::units::{OneOrMany, Percent, RetryReason};
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
/// that turned out to be closed.
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
    /// `safe`: `GET`, `HEAD` and `OPTIONS`; `idempotent`: `PUT` and `DELETE` as well, while their body is at
    /// hand (`retry.body`); `off`: none. With any but `off`, whatever cannot be sent because no endpoint takes
    /// connections goes to stable. Default: `safe`.
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
