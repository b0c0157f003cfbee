//! A configuration as meant: checked, resolved, complete.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::h1::{RequestLimits, Underscores};
use crate::message::EscapedSlashes;
use crate::model::{ListenerName, Weight};
use crate::release::Plan;
use crate::routing::{Checkup, Dns, Matcher, Redirect, ServiceSpec, VersionIndex};

use super::tls::ListenerTls;

use super::access_log::AccessLogSpec;
use super::account::Account;
use super::admin::AdminSpec;
use super::notifications::NotifySpec;
use super::trace::TraceSpec;
use super::written::Written;

/// Everything that one generation is built from.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where connections are accepted.
    pub listeners: Vec<ListenerSpec>,
    /// Where operators and scrapers are answered.
    pub admin: AdminSpec,
    /// Directory of the journal; `None` leaves the choice to the environment.
    pub state: Option<PathBuf>,
    /// Whose rights the process has; `None` is whoever starts it.
    pub account: Option<Account>,
    /// What is written about requests; `None` is nothing.
    pub access_log: Option<AccessLogSpec>,
    /// How requests take part in traces; `None` passes on what they bring.
    pub trace: Option<TraceSpec>,
    /// Who is notified.
    pub notify: Vec<NotifySpec>,
    /// Worker threads; `None` is one for each core that this process may use.
    pub workers: Option<usize>,
    /// How much memory there is.
    pub memory: Memory,
    /// Services in the order of the file; [`crate::routing::ServiceIndex`] points here.
    pub services: Vec<ServiceConfig>,
    /// What endpoints are asked whose version does not say otherwise.
    pub health: Option<Arc<Checkup>>,
    /// Who may change what is released.
    pub authority: Authority,
    /// How names of endpoints are looked up.
    pub dns: Arc<Dns>,
    /// Built from `routes` and the services' `hosts`.
    pub matcher: Arc<Matcher>,
    /// The files that say all this, as one.
    pub written: Arc<Written>,
}

/// Who may change what is released, and how.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Authority {
    /// The file and people: whoever was the last.
    #[default]
    Anyone,
    /// The file alone, which a repository writes. People stop things: they pause, freeze and roll back.
    Git,
}

impl Authority {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Git => "git",
        }
    }
}

/// How much memory a process may use.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Memory {
    /// As much as its control group may.
    #[default]
    Auto,
    /// All that it gets.
    Off,
    /// This many bytes.
    Bytes(u64),
}

/// A service, what should be live, and how a new version gets there.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// What the data plane needs to know.
    pub spec: Arc<ServiceSpec>,
    /// The version that the file says should be live.
    pub live: VersionIndex,
    /// A split that stays, without a release: the named versions' shares; `live` has the rest.
    pub split: Vec<(VersionIndex, Weight)>,
    /// How a new `live` is released.
    pub plan: Plan,
    /// Guards that are asked elsewhere. They hold a release and never move one.
    pub queries: Vec<Query>,
}

/// A number that a Prometheus knows, and where it must lie for a release to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// What people read of it.
    pub name: String,
    /// Plain HTTP, without the path of the API.
    pub prometheus: String,
    /// PromQL; its result is one number.
    pub query: String,
    /// Least value.
    pub min: Option<f64>,
    /// Greatest value.
    pub max: Option<f64>,
    /// Time between two questions.
    pub every: Duration,
    /// Time for an answer.
    pub timeout: Duration,
}

/// An address that accepts connections.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenerSpec {
    /// Its name; reloads recognise it by this.
    pub name: ListenerName,
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether a client may speak HTTP/2 without TLS, by beginning with its preface.
    pub h2c: bool,
    /// How it speaks TLS; `None` is plain text.
    pub tls: Option<Arc<ListenerTls>>,
    /// Where all of its requests are sent, instead of being served here.
    pub redirect: Option<Redirect>,
    /// Peers whose `X-Forwarded-*` and `Forwarded` are believed.
    pub trust: Vec<IpNetwork>,
    /// Time limits of its connections.
    pub timeouts: ListenerTimeouts,
    /// Size and count limits of its connections.
    pub limits: ListenerLimits,
    /// What happens to header names with an underscore.
    pub underscores: Underscores,
    /// What happens to `%2F` in a path.
    pub escaped_slashes: EscapedSlashes,
    /// Whether `//` counts as `/` when routes are matched and when the path is forwarded.
    pub merge_slashes: bool,
    /// Whether answers say where the time went.
    pub server_timing: bool,
    /// What becomes of `X-Request-Id`; `None` leaves it alone.
    pub request_id: Option<RequestIds>,
    /// Whether connections begin with a PROXY header, which is believed of the peers under `trust`; others
    /// are closed.
    pub proxy_protocol: bool,
}

impl ListenerSpec {
    /// Whether it speaks with the same clients as `other` does, in the same way: who was let in by the one would
    /// be by the other.
    pub fn lets_in_as(&self, other: &Self) -> bool {
        let policy =
            |it: &Self| it.tls.as_ref().map(|tls| (tls.min, tls.clients.clone().map(|it| it.policy)));
        policy(self) == policy(other)
    }
}

/// A range of addresses in CIDR notation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IpNetwork {
    /// Any address of the range.
    pub address: IpAddr,
    /// Length of the common prefix in bits.
    pub prefix: u8,
}

impl IpNetwork {
    /// Whether `address` lies in the range. An IPv4-mapped IPv6 address counts as IPv4.
    pub fn contains(self, address: IpAddr) -> bool {
        fn same(a: &[u8], b: &[u8], prefix: u8) -> bool {
            let (bytes, bits) = (usize::from(prefix / 8), prefix % 8);
            a[..bytes] == b[..bytes] && (bits == 0 || (a[bytes] ^ b[bytes]) >> (8 - bits) == 0)
        }
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same(&a.octets(), &b.octets(), self.prefix.min(32)),
            (IpAddr::V6(a), IpAddr::V6(b)) => same(&a.octets(), &b.octets(), self.prefix.min(128)),
            _ => false,
        }
    }
}

/// Time limits of a listener's connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ListenerTimeouts {
    /// A whole TLS handshake, absolute.
    pub handshake: Duration,
    /// A whole request head, absolute, from its first byte (or from accepting, for the first one).
    pub head: Duration,
    /// An idle kept-alive connection.
    pub idle: Duration,
    /// Silence of the client in the middle of a body.
    pub body: Duration,
    /// A response that the client does not take.
    pub write: Duration,
}

impl Default for ListenerTimeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            body: Duration::from_secs(30),
            write: Duration::from_secs(30),
        }
    }
}

/// Size and count limits of a listener's connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ListenerLimits {
    /// Largest request head in bytes; more is answered 431.
    pub head: usize,
    /// Most header lines; more is answered 431.
    pub headers: usize,
    /// Longest request target in bytes; more is answered 414.
    pub uri: usize,
    /// Requests on one connection before it is closed.
    pub requests: u64,
    /// Requests under way at once on one HTTP/2 connection; more are refused and may be sent again.
    pub streams: usize,
    /// Age at which a connection is closed, give or take 10 %.
    pub age: Duration,
    /// Least bytes per second of a request body, judged after its first ten seconds; 0 is no limit.
    pub body_rate: u64,
    /// Most connections of this listener; `None` is as many as the process may have.
    pub connections: Option<usize>,
    /// Most connections from one address.
    pub connections_per_address: usize,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        let RequestLimits { head, headers, uri, .. } = RequestLimits::default();
        Self {
            head,
            headers,
            uri,
            requests: 10_000,
            streams: 100,
            age: Duration::from_secs(3600),
            body_rate: 500,
            connections: None,
            connections_per_address: 1024,
        }
    }
}

/// How requests get their ids.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RequestIds {
    /// Whose ids are kept.
    pub keep: KeepIds,
    /// Whether the answer has the id too.
    pub respond: bool,
}

/// Whose ids are kept. All others are replaced by new ones.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum KeepIds {
    /// Those of trusted peers.
    #[default]
    Trusted,
    /// Everybody's.
    Any,
    /// Nobody's.
    None,
}
