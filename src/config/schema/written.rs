//! The file as written, as types. Their comments are the descriptions in the schema and the reference.
#![allow(dead_code, reason = "the schema is made from these types; nothing builds them")]

mod account;
mod admin;
mod guard;
mod health;
mod limits;
mod notifications;
mod recourse;
mod route;
mod service;
mod trace;
mod version;

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::units::{Duration, OneOrMany, Percent, Size};
use account::Account;
use admin::Admin;
use guard::GuardForm;
use health::{Dns, EjectForm, HealthForm, PercentOrOff};
use limits::Limits;
use notifications::Notify;
use recourse::{RetryForm, ShieldForm};
use route::Route;
use service::{BalanceForm, Service, Timeouts};
use trace::TraceForm;

/// The main file.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub(super) struct File {
    /// Where connections are accepted: a port (on every IPv4 address), an address with a port, or a map
    /// of named listeners. Required.
    listen: Listen,
    /// Where operators and scrapers are answered.
    admin: Option<Admin>,
    /// Directory of the journal. Default: `$STATE_DIRECTORY`, else `/var/lib/tidegate` with `user`, else
    /// `$XDG_STATE_HOME/tidegate`.
    state: Option<String>,
    /// The account, by name or number, whose rights the process has, if root starts it: before it opens
    /// anything it gives up those of root, of which it keeps one, to open ports below 1024, so that reloads
    /// can. It must be able to read the files, with all certificates and keys, and to write to the state
    /// directory, which is made for it if it is missing. Default: whoever starts it.
    user: Option<Account>,
    /// Another group than the account's own. The account's further groups stay. Default: its own.
    group: Option<Account>,
    /// Worker threads, or `auto`. Default: `auto`, one for each core that this process may use.
    workers: Option<Workers>,
    /// A line about each request: `stdout`, `stderr`, a path with a slash in it, a map, or `off`. Default: `off`.
    access_log: Option<AccessLogForm>,
    /// How requests take part in traces that span several programs (W3C Trace Context): a map, or `off`, and
    /// `traceparent` passes as it is. Default: `off`.
    trace: Option<TraceForm>,
    /// How names of endpoints are looked up: in the background, again when an answer has aged. All addresses
    /// of a name are used, those of IPv4 if there are any. When a name cannot be looked up, the last good
    /// answer is kept and flagged as stale. The hosts file comes first.
    dns: Option<Dns>,
    /// Who is notified of what happens to releases. Default: nobody.
    notify: Option<Vec<Notify>>,
    /// Memory that this process may use, `auto`, or `off`. From 80 % of it new connections are refused, from
    /// 88 % requests are answered 503, from 94 % connections that wait for a request are closed; all are counted.
    /// At least `16MiB`. Default: `auto`, the bound of its control group, if there is one.
    memory: Option<MemoryForm>,
    /// Who changes what is released. `anyone`: the file and people, and the last one counts. `git`: the file
    /// alone, for a file that comes from a repository; `deploy`, `promote`, `weight` and `retry` are refused,
    /// `pause`, `resume`, `rollback`, `freeze` and `unfreeze` are not. Default: `anyone`.
    authority: Option<AuthorityForm>,
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

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(super) enum AccessLogForm {
    To(String),
    Log(AccessLog),
}

/// A line about each request, written by a thread of its own: if it cannot keep up, lines are missing and
/// counted, and no request waits. `SIGUSR1` opens the file anew, and so does moving it away.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct AccessLog {
    /// `stdout`, `stderr`, or a path with a slash in it. Required.
    to: String,
    /// `json`, or `combined` as web servers write it. Default: `json`.
    format: Option<LogFormat>,
    /// `errors` writes only requests that failed: a status of 500 and above, a client that went away, and
    /// whatever was refused or answered here with an `x-tidegate-error`. Default: all.
    only: Option<LogOnly>,
    /// The share of the requests that did not fail. Those that failed are always written. Default: `100%`.
    sample: Option<Percent>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(super) enum LogFormat {
    Json,
    Combined,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(super) enum LogOnly {
    Errors,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(super) enum AuthorityForm {
    Anyone,
    Git,
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
    /// Whether a client may speak HTTP/2 without TLS, by beginning with its preface ("prior knowledge").
    /// HTTP/1 goes on to be understood. Default: `false`, and the preface is answered 400.
    h2c: Option<bool>,
    /// Speaks TLS. Default: plain text.
    tls: Option<ListenerTls>,
    /// `https`: answers every request with a redirect to the same URL over TLS, at port 443; `https:8443`
    /// names another port. Default: requests are served.
    redirect: Option<String>,
    /// Networks (`10.0.0.0/8`) whose `X-Forwarded-*`, `X-Real-IP` and `Forwarded` are believed. For whom such a
    /// peer asks is the last entry of its `X-Forwarded-For`, which it must append or set itself; where it sends
    /// none, its `X-Real-IP`; and the peer itself where that is no address. Whatever goes by the client's address
    /// goes by this one, and the version gets it as `X-Real-IP`. Default: none, and what clients send in them is
    /// replaced.
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
    /// Whether every connection begins with a header of the PROXY protocol, version 1 or 2, in which a load
    /// balancer says who the client is. It is believed of the peers under `trust`, which must be written
    /// then; connections of others, and those without the header, are closed. Default: `false`.
    proxy_protocol: Option<bool>,
    /// Whether answers have a `Server-Timing` that says how long they took, and how much of it was the
    /// version's. A listener, a service or a route is enough. Default: `false`.
    server_timing: Option<bool>,
    /// What becomes of `X-Request-Id`, which every request has when it reaches its version: a map, or `off`
    /// to leave it alone. Default: `{keep: trusted}`.
    request_id: Option<RequestIdForm>,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(super) enum RequestIdForm {
    Off(Off),
    Ids(RequestId),
}

/// How requests get their ids.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct RequestId {
    /// Whose ids are kept, if they have at most 128 letters, digits and `-._~:+/=@`: those of `trusted` peers,
    /// of `any`, or of `none`. All others get a new one. Default: `trusted`.
    keep: Option<KeepIds>,
    /// Whether answers have the id too. Default: `false`.
    respond: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(super) enum KeepIds {
    Trusted,
    Any,
    None,
}

/// How a listener speaks TLS. Files are in PEM, are relative to the file that names them, and are watched:
/// a new certificate serves from its next handshake on, and a bad one changes nothing.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ListenerTls {
    /// Certificates with their keys. The client's name chooses among the names that they were issued for;
    /// the first one answers when none fits. Required.
    certs: OneOrMany<Certificate>,
    /// The file of authorities whose certificates clients must have. Default: clients need none.
    client_ca: Option<String>,
    /// The file of lists of what these authorities have revoked; then each of them needs one that is not
    /// out of date. Default: none.
    client_crl: Option<String>,
    /// Whether HTTP/2 is offered beside HTTP/1.1. Default: `true`.
    http2: Option<bool>,
    /// The oldest version: `1.2` or `1.3`. Default: `1.2`.
    min: Option<TlsVersion>,
    /// A client that asks for a name that no certificate has, or for none: `default` gives it the first
    /// one, `refuse` ends the handshake. Default: `default`.
    unknown_name: Option<UnknownName>,
}

/// A certificate with its key.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Certificate {
    /// The file of the certificate, followed by the one that issued it, and so on. Required.
    cert: String,
    /// The file of its private key; others than its owner and group must not be able to read it. Required.
    key: String,
}

#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) enum TlsVersion {
    #[schemars(rename = "1.2")]
    V12,
    #[schemars(rename = "1.3")]
    V13,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(super) enum UnknownName {
    Default,
    Refuse,
}

/// Time limits of a listener's connections.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ListenerTimeouts {
    /// For a whole TLS handshake. Default: `10s`.
    handshake: Option<Duration>,
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
    /// Requests under way at once on one HTTP/2 connection; more are refused in a way that lets the client
    /// send them again. From 1 to 1000. Default: `100`.
    streams: Option<u64>,
    /// Age at which a connection is closed, give or take 10 %. Default: `1h`.
    age: Option<Duration>,
    /// Least bytes per second of a request body, judged after its first ten seconds, or `off`. Default:
    /// `500`.
    body_rate: Option<SizeOrOff>,
    /// Most connections of this listener, or `auto`. Default: `auto`. All listeners together have at most 80 %
    /// of the file descriptors that this process may open, whatever is written here; the last tenth is kept
    /// for endpoints, the admin doors and the journal.
    connections: Option<Workers>,
    /// Most connections from one address, which for IPv6 is a /64 network. Default: `1024`.
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
pub(super) enum MemoryForm {
    Auto(Auto),
    Off(Off),
    Size(Size),
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
    /// As in a service.
    retry: Option<RetryForm>,
    /// As in a service.
    shield: Option<ShieldForm>,
    /// As in `rollout`; also for instant flips.
    guard: Option<GuardForm>,
    /// As in a service.
    balance: Option<BalanceForm>,
    /// As in a version.
    health: Option<HealthForm>,
    /// As in a service.
    eject: Option<EjectForm>,
    /// As in a service.
    slow_start: Option<DurationOrOff>,
    /// As in a service.
    panic: Option<PercentOrOff>,
}
