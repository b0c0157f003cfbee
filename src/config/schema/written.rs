//! The file as written, as types. Their comments are the descriptions in the schema and the reference.
#![allow(dead_code, reason = "the schema is made from these types; nothing builds them")]

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::units::{Duration, OneOrMany, Percent, Size, Text};

/// The main file.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub(super) struct File {
    /// Where connections are accepted: a port (on every IPv4 address), an address with a port, or a map
    /// of named listeners. Required.
    listen: Listen,
    /// Where operators and scrapers are answered.
    admin: Option<Admin>,
    /// Directory of the journal. Default: `$STATE_DIRECTORY`, else `$XDG_STATE_HOME/tidegate`.
    state: Option<String>,
    /// Worker threads, or `auto`. Default: `auto`, one for each core that this process may use.
    workers: Option<Workers>,
    /// Further files with `services` and `routes`; the last part of a path may be a pattern with `*` and
    /// `?`. Default: none.
    include: Option<OneOrMany<String>>,
    /// What services have that do not say otherwise.
    defaults: Option<Defaults>,
    /// What users call, by name.
    services: Option<BTreeMap<String, Service>>,
    /// Only where the hosts of the services are not enough. The most specific route wins: exact path,
    /// regular expression, longest prefix, method, number of headers, number of query parameters, order.
    routes: Option<Vec<Route>>,
}

/// A file that is named under `include`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Included {
    /// As in the main file. A name that is defined twice is an error that shows both places.
    services: Option<BTreeMap<String, Service>>,
    /// As in the main file; they come after its routes, in the order of the files.
    routes: Option<Vec<Route>>,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(super) enum Listen {
    Port(u16),
    Address(String),
    Named(BTreeMap<String, ListenerForm>),
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(super) enum ListenerForm {
    Port(u16),
    Address(String),
    Listener(Box<Listener>),
}

/// A listener: also written as a port alone or as an address with a port.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Listener {
    /// TCP port; 0 lets the system choose. Required.
    port: u16,
    /// IP address. Default: `0.0.0.0`, every IPv4 address; `"::"` is every IPv6 address.
    bind: Option<String>,
    /// Networks (`10.0.0.0/8`) whose `X-Forwarded-*` and `Forwarded` are believed. Default: none, and what
    /// clients send in them is replaced.
    trust: Option<OneOrMany<String>>,
    /// Time limits of its connections.
    timeouts: Option<ListenerTimeouts>,
    /// Size and count limits of its connections.
    limits: Option<ListenerLimits>,
    /// Header names with an underscore, which some backends take for a dash: `drop` leaves the line out,
    /// `keep` forwards it, `refuse` answers 400. Default: `drop`.
    underscores: Option<Underscores>,
    /// `%2F` in a path: `keep` leaves it as it is and does not split there, `reject` answers 400, `decode`
    /// makes a slash of it. Default: `keep`.
    escaped_slashes: Option<EscapedSlashes>,
    /// Whether `//` in a path counts as `/`. Default: `false`.
    merge_slashes: Option<bool>,
}

/// Time limits of a listener's connections.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ListenerTimeouts {
    /// For a whole request head, from its first byte (or from accepting, for the first one). Default:
    /// `10s`.
    head: Option<Duration>,
    /// For an idle kept-alive connection. Default: `60s`.
    idle: Option<Duration>,
    /// For silence of the client in the middle of a body. Default: `30s`.
    body: Option<Duration>,
    /// For a response that the client does not take. Default: `30s`.
    write: Option<Duration>,
}

/// Size and count limits of a listener's connections.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ListenerLimits {
    /// Largest request head; more is answered 431. From `1KiB` to `1MiB`. Default: `16KiB`.
    head: Option<Size>,
    /// Most header lines; more is answered 431. From 1 to 1000. Default: `100`.
    headers: Option<u64>,
    /// Longest request target; more is answered 414. From `64B` to `1MiB`. Default: `8KiB`.
    uri: Option<Size>,
    /// Requests on one connection before it is closed. Default: `10000`.
    requests: Option<u64>,
    /// Age at which a connection is closed, give or take 10 %. Default: `1h`.
    age: Option<Duration>,
    /// Least bytes per second of a request body, judged after its first ten seconds, or `off`. Default:
    /// `500`.
    body_rate: Option<SizeOrOff>,
    /// Most connections of this listener, or `auto`. Default: `auto`, 80 % of the file descriptors that
    /// this process may open.
    connections: Option<Workers>,
    /// Most connections from one address. Default: `1024`.
    connections_per_address: Option<u64>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(super) enum Underscores {
    Drop,
    Keep,
    Refuse,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(super) enum EscapedSlashes {
    Keep,
    Reject,
    Decode,
}

/// Where operators and scrapers are answered.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Admin {
    /// A loopback address with a port, or `off`. Default: `127.0.0.1:9900`.
    listen: Option<String>,
    /// Unix socket. Default: `$RUNTIME_DIRECTORY/admin.sock`, else `admin.sock` in the state directory.
    socket: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(super) enum Auto {
    Auto,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(super) enum Off {
    Off,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(super) enum Workers {
    Auto(Auto),
    Count(u64),
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(super) enum SizeOrOff {
    Off(Off),
    Size(Size),
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(super) enum DurationOrOff {
    Off(Off),
    Duration(Duration),
}

/// What services have that do not say otherwise.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Defaults {
    /// As in a service.
    timeouts: Option<Timeouts>,
    /// As in a service.
    limits: Option<Limits>,
    /// As in `rollout`; also for instant flips.
    guard: Option<GuardForm>,
    /// As in a service.
    balance: Option<Balance>,
}

/// A service. To release, change `live`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Service {
    /// Hosts whose requests it gets: `shop.example.com`, `"*.example.com"` for every name that ends so,
    /// `"*"` for any. Default: none, and it gets what no other service does; only one service may do that
    /// (one that a route leads to need not be it).
    hosts: Option<OneOrMany<String>>,
    /// The version that should be live. Required.
    live: String,
    /// Versions by name: a URL, a list of URLs, or a map with `endpoints`. Required.
    versions: BTreeMap<String, VersionForm>,
    /// Shares that stay, without a release: `{b: 20%}`; `live` has the rest. Not together with `rollout`.
    /// Default: none.
    split: Option<BTreeMap<String, Percent>>,
    /// What keeps a caller at one version. Default: each request is drawn alone.
    sticky: Option<Sticky>,
    /// Requests that go to one version whatever the weights say. They are counted apart, never judged.
    /// The first that fits wins. Default: none.
    pin: Option<Vec<Pin>>,
    /// How an endpoint is chosen within a version: `round_robin`, or `least_request`, the less busy of two
    /// random ones. Default: `round_robin`.
    balance: Option<Balance>,
    /// Time limits of an exchange with a version.
    timeouts: Option<Timeouts>,
    /// Size and count limits.
    limits: Option<Limits>,
    /// How a new `live` is released. Default: an instant flip that the guards watch for `5m`.
    rollout: Option<Rollout>,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(super) enum VersionForm {
    One(String),
    Many(Vec<String>),
    Version(Version),
}

/// A version: also written as its endpoints alone.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Version {
    /// URLs without a path: `http://10.0.1.10:3000`; the host is a name or an address, the port 80 if none
    /// is given. Required.
    endpoints: OneOrMany<String>,
}

/// What keeps a caller at one version.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Sticky {
    /// `cookie`: the value of a cookie that your application sets; `header`: the value of a request
    /// header; `address`: the client's address. Callers without one are drawn alone. Required.
    by: StickyBy,
    /// Name of the cookie or header. Required for both.
    name: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(super) enum StickyBy {
    Cookie,
    Header,
    Address,
}

/// Requests that go to one version.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Pin {
    /// Which requests. Required.
    when: When,
    /// The version they go to. Required.
    to: String,
}

/// Which requests are pinned.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct When {
    /// Headers that must all be there: `{x-group: beta}`, or `{x-group: {present: true}}`. Required.
    header: BTreeMap<String, Condition>,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(super) enum Condition {
    Value(Text),
    Present(Present),
}

/// A condition on a header or query parameter: also written as the value it must have.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Present {
    /// `true`: any value will do. Required.
    present: bool,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(super) enum Balance {
    RoundRobin,
    LeastRequest,
}

/// Time limits of an exchange with a version.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Timeouts {
    /// For opening a connection. Default: `2s`.
    connect: Option<Duration>,
    /// From the end of the request to the last byte of the response head. Default: `60s`.
    head: Option<Duration>,
    /// For the whole exchange, or `off`. Default: `off`, so that downloads and event streams may last.
    request: Option<DurationOrOff>,
    /// For silence of the version in the middle of a body, and of both sides of a tunnel. Default: `60s`.
    idle: Option<Duration>,
    /// How long an unused connection to an endpoint is kept. Default: `55s`, below the 60 s after which
    /// many servers close.
    keep_alive: Option<Duration>,
}

/// Size and count limits of a service.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Limits {
    /// Largest request body, or `off`; more is answered 413. Default: `off`.
    body: Option<SizeOrOff>,
    /// Largest response head; more is answered 502. From `1KiB` to `1MiB`. Default: `32KiB`.
    response_head: Option<Size>,
    /// Most header lines of a response; more is answered 502. From 1 to 1000. Default: `100`.
    response_headers: Option<u64>,
    /// Most interim (1xx) responses before a final one; more is answered 502. From 0 to 100. Default: `8`.
    interim: Option<u64>,
}

/// How a new `live` is released.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Rollout {
    /// Rising weights, each with the time it is held: `[5% for 5m, 50% for 10m]`. The way from the last
    /// one to 100 % is the promotion. Default: none, the flip is instant.
    steps: Option<Vec<StepForm>>,
    /// What is judged all the time, or `off`. Default: errors no worse than stable by more than 0.1
    /// percentage points or a tenth of its rate, whichever is larger.
    guard: Option<GuardForm>,
    /// How long the guards stay armed after 100 %. Default: `5m`.
    watch: Option<Duration>,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(super) enum StepForm {
    Short(String),
    Step(Step),
}

/// A step: also written `5% for 5m`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Step {
    /// The canary's share, above 0 % and below 100 %. Required.
    weight: Percent,
    /// Least time at this weight. Required.
    #[schemars(rename = "for")]
    soak: Duration,
    /// Fewest answers of the canary that must have been judged before the step may end. Default: `100`.
    requests: Option<u64>,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(super) enum GuardForm {
    Off(Off),
    Guard(Guard),
}

/// What is judged all the time; `off` judges nothing.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Guard {
    /// Failed answers: a ceiling (`1%`), a difference from stable that still counts as fine (`+0.5pp` in
    /// percentage points, `+10%` of stable's rate), or both in a list. Default: no ceiling, and `+0.1pp` or
    /// `+10%`, whichever is larger.
    errors: Option<OneOrMany<String>>,
    /// Chance that a healthy release is rolled back, over the whole release; at most `10%`. Default:
    /// `0.01%`.
    false_rollback: Option<Percent>,
    /// Which answers count as failures, beside connect failures, resets and timeouts: `5xx`, or `4xx` for
    /// 400 to 599. Default: `5xx`.
    error_status: Option<ErrorStatus>,
}

#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) enum ErrorStatus {
    #[schemars(rename = "5xx")]
    Server,
    #[schemars(rename = "4xx")]
    ClientAndServer,
}

/// A route. It has either `to` or `redirect`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Route {
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
    /// An answer that sends the client elsewhere.
    redirect: Option<Redirect>,
}

/// Which requests a route takes; everything that is said must hold.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Match {
    /// A host or a list of hosts, as in a service. Default: any.
    host: Option<OneOrMany<String>>,
    /// A text is a prefix by whole elements: `/api` takes `/api` and `/api/x`, not `/apix`. Default: `/`.
    path: Option<PathCondition>,
    /// A method or a list of methods, in capitals. Default: all.
    method: Option<OneOrMany<String>>,
    /// Headers that must all be there: `{x-beta: "1"}`, or `{x-beta: {present: true}}`. Default: none.
    header: Option<BTreeMap<String, Condition>>,
    /// Query parameters that must all be there, decoded: `{a: b}`. Default: none.
    query: Option<BTreeMap<String, Condition>>,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(super) enum PathCondition {
    Prefix(String),
    Form(PathForm),
}

/// A path that is not a prefix: one of the two.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct PathForm {
    /// Exactly this path.
    exact: Option<String>,
    /// A regular expression, searched in linear time and anchored only as written.
    regex: Option<String>,
}

/// A change of the path: one of the two.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Rewrite {
    /// Stands in place of what the path of the route matched at the beginning.
    prefix: Option<String>,
    /// Stands in place of the whole path.
    path: Option<String>,
}

/// Headers with their values, towards the version and towards the client.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Edited {
    /// Of the request, as the version gets it. Default: none.
    request: Option<BTreeMap<String, Text>>,
    /// Of the response, as the client gets it. Default: none.
    response: Option<BTreeMap<String, Text>>,
}

/// Names of headers, towards the version and towards the client.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Removed {
    /// Of the request, as the version gets it. Default: none.
    request: Option<OneOrMany<String>>,
    /// Of the response, as the client gets it. Default: none.
    response: Option<OneOrMany<String>>,
}

/// An answer that sends the client elsewhere; at least one of scheme, host, port and path is changed.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Redirect {
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
pub(super) enum RedirectPathForm {
    Whole(String),
    Form(Rewrite),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(super) enum Scheme {
    Http,
    Https,
}
