//! How much a version may have at once, and how large things may be, as written.

use schemars::JsonSchema;

use super::super::units::{Duration, Size};
use super::{Off, SizeOrOff};

/// Size and count limits of a service. What a version may have at once holds for all workers together, and each
/// version has it for itself. A request that finds no place waits; one that cannot wait, or has waited for too
/// long, is answered 503 with `Retry-After` and `x-tidegate-error: limit`, and is held against nobody. For a
/// version on trial the stable one answers it instead, unless `shield` is `off`. Checkups do not count; copies of
/// requests do, and never wait.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Limits {
    /// Most connections to the endpoints of a version, used and kept ones, or `off`. With fewer than there are
    /// workers they take turns, and connections are opened anew for it. Up to 10000000. Default: `off`.
    connections: Option<CountOrOff>,
    /// Most requests that a version has at once, WebSockets and other tunnels included until they are closed, or
    /// `off`. Requests that began before there was a limit are not counted. Up to 10000000. Default: `off`.
    in_flight: Option<CountOrOff>,
    /// Most requests that wait for a place, or `off`, and none does. Up to 100000. Default: `1024`.
    queue: Option<CountOrOff>,
    /// How long each of them waits at most. Default: `500ms`.
    queue_wait: Option<Duration>,
    /// Largest request body, or `off`; more is answered 413. Default: `off`.
    body: Option<SizeOrOff>,
    /// Largest response head; more is answered 502. From `1KiB` to `1MiB`. Default: `32KiB`.
    response_head: Option<Size>,
    /// Most header lines of a response; more is answered 502. From 1 to 1000. Default: `100`.
    response_headers: Option<u64>,
    /// Most interim (1xx) responses before a final one; more is answered 502. From 0 to 100. Default: `8`.
    interim: Option<u64>,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(in super::super) enum CountOrOff {
    Off(Off),
    Count(u64),
}
