//! Routes as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::super::units::{Duration, OneOrMany, Percent, Text};
use super::service::Condition;

/// A route. It has either `to` or `redirect`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Route {
    /// Which requests. Default: all.
    #[schemars(rename = "match")]
    matches: Option<Match>,
    /// The service that answers.
    to: Option<String>,
    /// Change of the path before it is forwarded; the query stays. Default: none.
    rewrite: Option<Rewrite>,
    /// Headers that are replaced, after removing. Default: none.
    set_headers: Option<Edited>,
    /// Headers that are added, after setting. Default: none.
    add_headers: Option<Edited>,
    /// Names of headers that are removed, before anything is set or added. Default: none.
    remove_headers: Option<Removed>,
    /// How often each caller may ask. Default: no limit.
    rate: Option<Rate>,
    /// What is made to fail on purpose, to rehearse a rollback. Default: nothing.
    fault: Option<Fault>,
    /// An answer that sends the client elsewhere.
    redirect: Option<Redirect>,
    /// Whether answers have a `Server-Timing` that says how long they took, and how much of it was the
    /// version's. As in a listener. Default: `false`.
    server_timing: Option<bool>,
}

/// Failures on purpose, so that a rollback can be rehearsed. They count as the version's own: guards see
/// them, the shield answers for them, and a release is really rolled back. At least one of `delay` and `abort`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Fault {
    /// A share of the requests that takes longer. Default: none.
    delay: Option<Delay>,
    /// A share of the requests that is not sent to the version but answered with a status, and with
    /// `x-tidegate-error: fault`. Default: none.
    abort: Option<Abort>,
    /// The version that seems to fail. Default: all of the service.
    to: Option<String>,
}

/// A share of the requests that takes longer.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Delay {
    /// How much longer, before the version is asked. Guards count it as the version's time. Required.
    time: Duration,
    /// Which share. Required.
    share: Percent,
}

/// A share of the requests that is answered here.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Abort {
    /// With what, 200 to 599. Required.
    status: u16,
    /// Which share. Required.
    share: Percent,
}

/// How often each caller may ask; more is answered 429 with `Retry-After`, counted for the listener, and never
/// held against a version. All workers count together, and a reload forgets nobody. The table is of fixed
/// size (256 KiB): some ten thousand callers at a time are told apart, and beyond that those who asked least
/// begin anew, so that more is let through, not less.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Rate {
    /// What tells callers apart: `address`, which for IPv6 is a /64 network; `header`, with the address where
    /// it is missing. Default: `address`.
    by: Option<RateBy>,
    /// Name of the header.
    name: Option<String>,
    /// A number for each `s`, `m` or `h`: `100/s`. At most `100000/s`. Required.
    requests: String,
    /// Requests that may come at once after a silence. Default: the number under `requests`.
    burst: Option<u64>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(in super::super) enum RateBy {
    Address,
    Header,
}

/// Which requests a route takes; everything that is said must hold.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Match {
    /// A host or a list of hosts, as in a service. Default: any.
    host: Option<OneOrMany<String>>,
    /// A text is a prefix by whole elements: `/api` takes `/api` and `/api/x`, not `/apix`. Default: `/`.
    path: Option<PathCondition>,
    /// A method or a list of methods, in capitals. Default: all.
    method: Option<OneOrMany<String>>,
    /// Headers that must all be there: `{x-beta: "1"}`, or `{x-beta: {present: true}}`; at most 100.
    /// Default: none.
    header: Option<BTreeMap<String, Condition>>,
    /// Query parameters that must all be there, decoded: `{a: b}`; at most 100. Default: none.
    query: Option<BTreeMap<String, Condition>>,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(in super::super) enum PathCondition {
    Prefix(String),
    Form(PathForm),
}

/// A path that is not a prefix: one of the two.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct PathForm {
    /// Exactly this path.
    exact: Option<String>,
    /// A regular expression, searched in linear time and anchored only as written.
    regex: Option<String>,
}

/// A change of the path: one of the two.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Rewrite {
    /// Stands in place of what the path of the route matched at the beginning.
    prefix: Option<String>,
    /// Stands in place of the whole path.
    path: Option<String>,
}

/// Headers with their values, towards the version and towards the client.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Edited {
    /// Of the request, as the version gets it. Default: none.
    request: Option<BTreeMap<String, Text>>,
    /// Of the response, as the client gets it. Default: none.
    response: Option<BTreeMap<String, Text>>,
}

/// Names of headers, towards the version and towards the client.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Removed {
    /// Of the request, as the version gets it. Default: none.
    request: Option<OneOrMany<String>>,
    /// Of the response, as the client gets it. Default: none.
    response: Option<OneOrMany<String>>,
}

/// An answer that sends the client elsewhere; at least one of scheme, host, port and path is changed.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Redirect {
    /// `http` or `https`. Default: the request's.
    scheme: Option<Scheme>,
    /// A host. Default: the request's.
    host: Option<String>,
    /// A port. Default: the request's, or the scheme's own if that is changed.
    port: Option<u16>,
    /// A whole path, or a map with `prefix` or `path` as in `rewrite`. Default: the request's.
    path: Option<RedirectPathForm>,
    /// 301, 302, 303, 307 or 308. Default: `302`.
    status: Option<u16>,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(in super::super) enum RedirectPathForm {
    Whole(String),
    Form(Rewrite),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(in super::super) enum Scheme {
    Http,
    Https,
}
