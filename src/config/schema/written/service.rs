//! Services and releases as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::super::units::{Duration, OneOrMany, Percent, Text};
use super::DurationOrOff;
use super::guard::GuardForm;
use super::health::{EjectForm, PercentOrOff};
use super::limits::Limits;
use super::recourse::{Mirror, RetryForm, ShieldForm};
use super::version::VersionForm;

/// A service. To release, change `live`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Service {
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
    /// How an endpoint is chosen within a version: `round_robin`; `least_request`, the less busy of two
    /// random ones; `hash`, the same one for the same caller; or a map that says what else is hashed.
    /// Default: `round_robin`.
    balance: Option<BalanceForm>,
    /// Time limits of an exchange with a version.
    timeouts: Option<Timeouts>,
    /// Size and count limits.
    limits: Option<Limits>,
    /// When a request is tried again. Default: once, where that is safe.
    retry: Option<RetryForm>,
    /// When an endpoint is left out for a while because of how it treats requests, or `off`.
    eject: Option<EjectForm>,
    /// How long an endpoint that comes back, or is new beside others, takes to get its full share, or `off`.
    /// Default: `off`.
    slow_start: Option<DurationOrOff>,
    /// With fewer than this share of its endpoints ready (whole percents), a version uses all of them,
    /// rather than have the few that are left take everything. `off`: the few take everything, and without
    /// any the answer is 503. Default: `off`.
    panic: Option<PercentOrOff>,
    /// Which failures of a version on trial users do not see. Default: `safe`.
    shield: Option<ShieldForm>,
    /// Whether answers have a `Server-Timing` that says how long they took, and how much of it was the
    /// version's. A listener, a service or a route is enough. Default: `false`.
    server_timing: Option<bool>,
    /// A version that gets copies of requests and answers nobody. Default: none.
    mirror: Option<Mirror>,
    /// How a new `live` is released. Default: an instant flip that the guards watch for `5m`.
    rollout: Option<Rollout>,
}

/// What keeps a caller at one version. It makes the guards slower: what fails together goes to one version
/// together, so evidence is divided by how much failures cluster and the margin is widened by how much
/// callers differ. The status says both.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Sticky {
    /// `cookie`: a cookie, that your application sets or, with `ttl`, that is given out here; `header`: the
    /// value of a request header; `address`: the client's address, which is what a trusted peer says it is.
    /// Requests without one are drawn alone. Required.
    by: StickyBy,
    /// Name of the cookie or header. Required for both. Services that give out cookies of the same name on
    /// the same host share them.
    name: Option<String>,
    /// With `by: cookie`, callers that bring no cookie of ours are given one with their first answer, and
    /// keep it this long: `Path=/`, `HttpOnly`, `SameSite=Lax`, over TLS `Secure`. One that is damaged or that
    /// somebody invented counts as none. An answer that brings one and that shared caches may store says
    /// `Cache-Control: private="set-cookie"` as well. What it holds is random and is sealed with `cookie-key` in the
    /// state directory; servers that stand for each other need the same file. Default: none is given out,
    /// and the cookie is your application's.
    ttl: Option<Duration>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(in super::super) enum StickyBy {
    Cookie,
    Header,
    Address,
}

/// Requests that go to one version.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Pin {
    /// Which requests. Required.
    when: When,
    /// The version they go to. Required.
    to: String,
}

/// Which requests are pinned.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct When {
    /// Headers that must all be there: `{x-group: beta}`, or `{x-group: {present: true}}`. Required.
    header: BTreeMap<String, Condition>,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(in super::super) enum Condition {
    Value(Text),
    Present(Present),
}

/// A condition on a header or query parameter: also written as the value it must have.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Present {
    /// `true`: any value will do. Required.
    present: bool,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(in super::super) enum BalanceForm {
    Word(BalanceWord),
    Balance(Balance),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(in super::super) enum BalanceWord {
    RoundRobin,
    LeastRequest,
    Hash,
}

/// How an endpoint is chosen within a version, by something that requests have in common.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Balance {
    /// Equal requests go to the same endpoint of their version, as long as it is fit for requests. One that
    /// leaves, or is left out for a while, moves its own callers and nobody else's; one that comes takes its
    /// share from all others. Required.
    hash: Hash,
}

/// What is hashed.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Hash {
    /// `unit`: what the service is `sticky` by; `address`: the client's address, which is what a trusted peer
    /// says it is; `header`: the value of a request header; `cookie`: the value of a cookie that your
    /// application sets; `path`: the path that is asked for, without its query. Requests that do not have it
    /// go by the client's address. Default: `unit`.
    by: Option<HashBy>,
    /// Name of the header or cookie. Required for both.
    name: Option<String>,
    /// Most that an endpoint may have under way, in whole percents of an even share, or `off`: what is more goes
    /// to the key's next endpoint, and comes back when there is less. `150%` keeps a key that everybody asks for
    /// from taking down its endpoint. Each worker goes by its own requests. From `101%` to `1000%`. Default: `off`.
    bound: Option<PercentOrOff>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(in super::super) enum HashBy {
    Unit,
    Address,
    Header,
    Cookie,
    Path,
}

/// Time limits of an exchange with a version.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Timeouts {
    /// For opening a connection. Default: `2s`.
    connect: Option<Duration>,
    /// From the end of the request to the last byte of the response head. Default: `60s`.
    head: Option<Duration>,
    /// For the whole exchange, or `off`. It counts against the version (`504`) if that is waited for in the end
    /// and was for at least half of the time; a client that is slow to send or to take gets `408`, or a cut
    /// answer, and what was lost otherwise (in a queue, with another endpoint) counts against nobody. Default:
    /// `off`, so that downloads and event streams may last.
    request: Option<DurationOrOff>,
    /// For silence of the version in the middle of a body, and of both sides of a tunnel, which then ends towards
    /// both and counts against nobody. Default: `60s`.
    idle: Option<Duration>,
    /// How long an unused connection to an endpoint is kept. Default: `55s`, below the 60 s after which
    /// many servers close.
    keep_alive: Option<Duration>,
    /// For what is under way with a version that gets no traffic any more, because it was replaced, rolled
    /// back or taken out of the file, or `off`. Then it is cut: tunnels and event streams would otherwise
    /// stay with it. What a pin leads to it stays as long as the pin. Default: `1h`.
    drain: Option<DurationOrOff>,
}

/// How a new `live` is released.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Rollout {
    /// How testers reach the new version from the moment its release begins, before any user does.
    /// Their requests are never judged. Default: they do not.
    preview: Option<Preview>,
    /// Rising weights, each with the time it is held: `[5% for 5m, 50% until approved]`. The way from the
    /// last one to 100 % is the promotion. Default: none, the flip is instant.
    steps: Option<Vec<StepForm>>,
    /// What is judged all the time, or `off`. Default: errors no worse than stable by more than 0.1
    /// percentage points or a tenth of its rate, whichever is larger; `p95` and `p99` of latency no higher
    /// than stable's by more than 10 % and 5 ms.
    guard: Option<GuardForm>,
    /// How long the guards stay armed after 100 %. Default: `5m`.
    watch: Option<WatchForm>,
    /// How long the version before is a target of `rollback` after the release is complete. Default: as long
    /// as it is in the file.
    keep_previous: Option<Duration>,
    /// Longest time of a release; then it is rolled back. Pauses, gates and closed windows do not count.
    /// Default: none.
    deadline: Option<Duration>,
    /// When a release may advance: `Mon-Thu 09:00-16:00 Europe/Zurich`. It never stands in the way of a
    /// rollback. Default: always.
    window: Option<String>,
    /// Who says that a version may have all traffic: `auto`, the evidence alone; `manual`, a person, with
    /// `tidegate promote`, once everything else has passed. Default: `auto`.
    promote: Option<Promote>,
    /// Acceptance tests of the new version, one after the other, before it gets any user. When one of them
    /// fails the version is rolled back. Default: none.
    verify: Option<OneOrMany<Check>>,
}

/// Which requests are testers'. With both keys either is enough. A header is no lock: choose a value that
/// nobody guesses, or a host that users cannot reach.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Preview {
    /// A host of their own: `next.shop.example.com`. While nothing is released it leads to what users get.
    host: Option<String>,
    /// Headers that must all be there: `{x-preview: v42}`, or `{x-preview: {present: true}}`.
    header: Option<BTreeMap<String, Condition>>,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(in super::super) enum StepForm {
    Short(String),
    Step(Step),
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(in super::super) enum WatchForm {
    Time(Duration),
    Watch(Watch),
}

/// The time after the promotion: also written as the time alone.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Watch {
    /// How long the guards stay armed. Default: `5m`.
    #[schemars(rename = "for")]
    time: Option<Duration>,
    /// The share that stays on the version before meanwhile, so that there is something to compare with.
    /// Default: `0%`.
    holdback: Option<Percent>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(in super::super) enum Promote {
    Auto,
    Manual,
}

/// Something that must say yes: a command or a URL. `{endpoint}` is the address of the version's first
/// endpoint: `http://10.0.2.10:3000`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Check {
    /// What people read of it. Default: the program, or the URL.
    name: Option<String>,
    /// A program and its arguments, without a shell; it passes when it ends with status 0. It is ended with
    /// its children at its time limit, by a rollback and when tidegate stops. Its environment is `PATH`,
    /// `HOME`, `LANG`, `LC_ALL`, `TZ`, `TMPDIR`, `TIDEGATE_SERVICE`, `TIDEGATE_VERSION` and
    /// `TIDEGATE_ENDPOINT`. A path is relative to the file that names it.
    run: Option<OneOrMany<String>>,
    /// A URL that is asked with `GET`, over plain HTTP, without following redirects. Before the first user it
    /// is asked until it answers or its time is over; between two steps until it says yes.
    url: Option<String>,
    /// The status that means yes. Default: `200`.
    status: Option<u64>,
    /// Time limit. Default: `5m` for a command, `10s` for a URL.
    timeout: Option<Duration>,
}

/// A step: also written `5% for 5m`, `50% until approved` or `50% for 10m until approved`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Step {
    /// The canary's share, above 0 % and below 100 %. Required.
    weight: Percent,
    /// Least time at this weight. Required, unless a person is asked.
    #[schemars(rename = "for")]
    soak: Option<Duration>,
    /// Fewest answers of the canary that must have been judged before the step may end. Default: `100`.
    requests: Option<u64>,
    /// What must pass when the time is over and the evidence is fine. Default: none.
    checks: Option<OneOrMany<Check>>,
    /// `approved`: a person must agree before the next step, with `tidegate promote`. Default: nobody.
    until: Option<Until>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(in super::super) enum Until {
    Approved,
}
