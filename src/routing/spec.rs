//! A service as the file means it: versions with endpoints, and how requests are spread and bounded.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Fingerprint, ServiceName, VersionName};

use super::care::{Care, Checkup};
use super::matcher::{HeaderCondition, HeaderLookup};
use super::minted::MintedCookie;
use super::mirror::Mirror;
use super::proxy_protocol::ProxyProtocol;
use super::recourse::{Retry, Shield};
use super::rendezvous::Bound;
use super::secured::EndpointTls;
use super::table::VersionIndex;

/// What users call. Shared by every table that is built from one configuration.
#[derive(Clone, Debug)]
pub struct ServiceSpec {
    /// Its name.
    pub name: ServiceName,
    /// Its versions, in the order of the file.
    pub versions: Vec<VersionSpec>,
    /// How an endpoint is chosen within a version.
    pub balance: Balance,
    /// Where the unit of a request comes from; `None` draws for each request.
    pub sticky: Option<StickyBy>,
    /// Forced versions, looked at before any weight.
    pub pins: Vec<Pin>,
    /// How testers reach a version that is being released.
    pub preview: Option<Preview>,
    /// Time limits of an exchange with a version.
    pub timeouts: Timeouts,
    /// Size and count limits.
    pub limits: ServiceLimits,
    /// When a request is tried again.
    pub retry: Retry,
    /// How endpoints are looked after.
    pub care: Care,
    /// Which failures of a version on trial users do not see.
    pub shield: Shield,
    /// Which version gets copies of requests.
    pub mirror: Option<Mirror>,
    /// Which answers count as failures, beside connect failures, resets and timeouts.
    pub error_status: ErrorStatus,
    /// Which group of clients the guards count a request for.
    pub client_key: StickyBy,
    /// Whether answers say where the time went.
    pub server_timing: bool,
}

/// One build of a service.
#[derive(Clone, Debug)]
pub struct VersionSpec {
    /// Its name.
    pub name: VersionName,
    /// Where it can be reached; never empty.
    pub endpoints: Vec<EndpointSpec>,
    /// What its endpoints are asked; `None`: nothing, and all of them count as well.
    pub health: Option<Arc<Checkup>>,
    /// Hash of the definition, for the quarantine.
    pub fingerprint: Fingerprint,
}

/// One address of a version. Equal specs share connections across reloads.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EndpointSpec {
    /// Host part.
    pub host: EndpointHost,
    /// TCP port; 0 for a Unix socket.
    pub port: u16,
    /// What is spoken there.
    pub protocol: Protocol,
    /// How it is secured; `None` is plain text.
    pub tls: Option<EndpointTls>,
    /// How it is told for whom a connection was opened; `None`: it is not.
    pub proxy_protocol: Option<ProxyProtocol>,
}

/// What is spoken with an endpoint.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 from the first byte.
    Http2,
}

/// The host of an endpoint.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum EndpointHost {
    /// A literal address.
    Address(IpAddr),
    /// A name that is looked up when a connection is opened.
    Name(String),
    /// Path of a Unix socket.
    Unix(String),
}

impl EndpointSpec {
    /// As the file writes it: `http://10.0.1.10:3000`, `unix:/run/shop.sock`.
    pub fn url(&self) -> String {
        match &self.host {
            EndpointHost::Unix(_) => self.to_string(),
            EndpointHost::Address(_) | EndpointHost::Name(_) => {
                let scheme = match (self.protocol, self.tls.is_some()) {
                    (Protocol::Http1, false) => "http",
                    (Protocol::Http1, true) => "https",
                    (Protocol::Http2, false) => "h2c",
                    (Protocol::Http2, true) => "h2",
                };
                format!("{scheme}://{self}")
            }
        }
    }

    /// What stands in `Host` when a client has sent none. A socket's path is nobody's name.
    pub fn authority(&self) -> String {
        match &self.host {
            EndpointHost::Unix(_) => "localhost".into(),
            EndpointHost::Address(_) | EndpointHost::Name(_) => self.to_string(),
        }
    }
}

impl std::fmt::Display for EndpointSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.host {
            EndpointHost::Address(IpAddr::V6(it)) => write!(f, "[{it}]:{}", self.port),
            EndpointHost::Address(it) => write!(f, "{it}:{}", self.port),
            EndpointHost::Name(it) => write!(f, "{it}:{}", self.port),
            EndpointHost::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

/// How an endpoint is chosen within a version.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Balance {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The less busy of two random ones (Mitzenmacher, "The power of two choices", 2001).
    LeastRequest,
    /// The same one for the same key, as long as it is fit for requests.
    Hash(Hashing),
}

/// How the same key gets the same endpoint.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Hashing {
    /// What the key is made of.
    pub by: HashBy,
    /// From which share of the even one on an endpoint has enough to do; `None`: it never has.
    pub bound: Option<Bound>,
}

/// What the key of a request is made of. A request without it goes by the client's address.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum HashBy {
    /// What a sticky service goes by; the client's address where that is nothing.
    #[default]
    Unit,
    /// The client's address.
    Address,
    /// The value of this header.
    Header(String),
    /// The value of this cookie, as the application set it.
    Cookie(String),
    /// The path that was asked for.
    Path,
}

/// Where the identity of a caller is read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum StickyBy {
    /// The value of this cookie, as the application set it.
    Cookie(String),
    /// A cookie that callers are given here.
    Minted(MintedCookie),
    /// The value of this header.
    Header(String),
    /// The client's address.
    #[default]
    Address,
}

/// Requests that go to one version whatever the weights say. They are counted apart, never judged.
#[derive(Clone, Debug)]
pub struct Pin {
    /// Every condition must hold.
    pub when: Vec<HeaderCondition>,
    /// The version they go to.
    pub to: VersionIndex,
}

/// Which requests come from testers, who reach a version before its users do. Never judged, whoever
/// answers them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Preview {
    /// A host of their own, in lower case.
    pub host: Option<String>,
    /// Headers that must all be there; none are not enough.
    pub headers: Vec<HeaderCondition>,
}

impl Preview {
    /// Whether this request is a tester's.
    pub fn holds(&self, host: &str, header: HeaderLookup<'_>) -> bool {
        let by_host = self.host.as_ref().is_some_and(|it| host.strip_suffix('.').unwrap_or(host) == it);
        by_host || (!self.headers.is_empty() && self.headers.iter().all(|it| it.holds(header)))
    }
}

/// Time limits of an exchange with a version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// Opening a connection.
    pub connect: Duration,
    /// From the request's end to the last byte of the response head.
    pub head: Duration,
    /// The whole exchange; `None` is no limit, so that downloads and event streams may last.
    pub request: Option<Duration>,
    /// Silence of the version in the middle of a body, and of both sides of a tunnel.
    pub idle: Duration,
    /// How long an unused connection to an endpoint is kept. Below the 60 s after which many servers
    /// close, so that the close does not meet a request half-way.
    pub keep_alive: Duration,
    /// How long what is under way may go on with a version that gets no traffic any more; `None` is no
    /// limit. Without one, tunnels and event streams would hold on to a version that was rolled back.
    pub drain: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            head: Duration::from_secs(60),
            request: None,
            idle: Duration::from_secs(60),
            keep_alive: Duration::from_secs(55),
            drain: Some(Duration::from_secs(3600)),
        }
    }
}

/// Size and count limits of a service.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ServiceLimits {
    /// Most connections to the endpoints of a version, from all workers; `None` is no limit.
    pub connections: Option<usize>,
    /// Most requests that a version has been given and not answered; `None` is no limit.
    pub in_flight: Option<usize>,
    /// Most requests that wait for a place under these two, for each version. More are answered 503.
    pub queue: usize,
    /// How long each of them waits. Then it is answered 503.
    pub queue_wait: Duration,
    /// Largest request body in bytes; `None` is no limit. More is answered 413.
    pub body: Option<u64>,
    /// Largest response head in bytes. More is answered 502.
    pub response_head: usize,
    /// Most header lines of a response. More is answered 502.
    pub response_headers: usize,
    /// Most interim (1xx) responses before a final one. More is answered 502.
    pub interim: u32,
}

impl Default for ServiceLimits {
    fn default() -> Self {
        Self {
            // Whoever has a version with a limit knows it; a guess would be wrong for everybody else.
            connections: None,
            in_flight: None,
            queue: 1024,
            queue_wait: Duration::from_millis(500),
            body: None,
            response_head: 32 * 1024,
            response_headers: 100,
            interim: 8,
        }
    }
}

/// Which status codes count as failures of a version.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ErrorStatus {
    /// 500 to 599.
    #[default]
    Server,
    /// 400 to 599.
    ClientAndServer,
}

impl ErrorStatus {
    /// Whether an answer with this status is a failure.
    pub fn counts(self, status: u16) -> bool {
        match self {
            Self::Server => (500..600).contains(&status),
            Self::ClientAndServer => (400..600).contains(&status),
        }
    }

    /// Whether a gRPC call that ended like this is a failure. The server's are UNKNOWN, DEADLINE_EXCEEDED,
    /// UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS; CANCELLED is nobody's.
    pub fn counts_grpc(self, status: u16) -> bool {
        match self {
            Self::Server => matches!(status, 2 | 4 | 12..=15),
            Self::ClientAndServer => status > 1,
        }
    }
}
