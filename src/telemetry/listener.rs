//! What is counted for each listener: connections, and requests that never reached a service.

use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_utils::CachePadded;

use crate::model::{Histogram, ListenerName};

use super::cell::{Count, Durations};

/// The counts of one listener: cells for each worker. It stays the same object across reloads.
#[derive(Debug)]
pub struct ListenerSeries {
    name: ListenerName,
    tls: AtomicBool,
    workers: Box<[CachePadded<ListenerCells>]>,
}

/// One worker's counts of one listener. Only that worker's thread may record.
#[derive(Debug, Default)]
pub struct ListenerCells {
    accepted: Count,
    closed: Count,
    unrouted: [Count; Unrouted::ALL.len()],
    rejected: [Count; RejectReason::ALL.len()],
    /// By version, 1.2 and 1.3, and by whether a session was resumed.
    handshakes: [[Count; 2]; 2],
    handshake_failures: [Count; HandshakeFailure::ALL.len()],
    overhead: Durations,
}

macro_rules! reasons {
    ($(#[$docs:meta])* $kind:ident: $($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        $(#[$docs])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum $kind {
            $($(#[$doc])* $name,)*
        }

        impl $kind {
            /// Every reason, in the order of declaration.
            pub const ALL: [Self; [$($word),*].len()] = [$(Self::$name),*];

            /// The word used as label.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

reasons! {
    /// Why a request has no route.
    Unrouted:
    /// No route has its host.
    Host = "host",
    /// Routes have its host, and none its path, method, headers and query.
    Request = "request",
}

reasons! {
    /// Why a TLS handshake failed.
    HandshakeFailure:
    /// The client left in the middle.
    Closed = "closed",
    /// It took too long.
    Timeout = "timeout",
    /// What came is not TLS, or breaks its rules.
    Malformed = "malformed",
    /// No version, suite or signature that both sides know.
    Incompatible = "incompatible",
    /// No protocol (ALPN) that both sides know.
    Protocol = "protocol",
    /// A name that no certificate has.
    Name = "name",
    /// The client was asked for a certificate and has none.
    CertificateMissing = "certificate_missing",
    /// The client's certificate is not good.
    Certificate = "certificate",
    /// The client did not like ours, or gave up for a reason of its own.
    Alert = "alert",
}

reasons! {
    /// Why a connection or a request was refused before any version saw it.
    RejectReason:
    /// Not HTTP/1, or a broken request line, header line or target.
    Malformed = "malformed",
    /// Content-Length and Transfer-Encoding that contradict each other or themselves.
    Framing = "framing",
    /// A transfer coding other than `chunked`.
    TransferCoding = "transfer_coding",
    /// `Host` missing, repeated or not a host.
    Host = "host",
    /// A path that climbs above its root or holds what the listener refuses.
    Path = "path",
    /// A method that is not passed on, such as CONNECT or TRACE.
    Method = "method",
    /// A version of HTTP that is not spoken here.
    HttpVersion = "http_version",
    /// An HTTP/2 connection that broke the protocol, or cost more than it was worth.
    Http2 = "http2",
    /// `Expect` with something else than `100-continue`.
    Expectation = "expectation",
    /// A request head above the limit.
    HeadTooLarge = "head_too_large",
    /// More header lines than allowed.
    TooManyHeaders = "too_many_headers",
    /// A target above the limit.
    UriTooLong = "uri_too_long",
    /// A body above the service's limit.
    BodyTooLarge = "body_too_large",
    /// A header name with an underscore on a listener that refuses it.
    Underscore = "underscore",
    /// A header line with an underscore in its name that was left out; its request went on.
    UnderscoreDropped = "underscore_dropped",
    /// The request head did not come in time.
    HeadTimeout = "head_timeout",
    /// The client fell silent in the middle of a body.
    BodyTimeout = "body_timeout",
    /// The body came more slowly than the listener allows.
    BodyRate = "body_rate",
    /// The client did not take the response.
    WriteTimeout = "write_timeout",
    /// More connections than the listener may hold.
    Connections = "connections",
    /// More connections from one address than allowed.
    ConnectionsPerAddress = "connections_per_address",
    /// Too few file descriptors were left for it.
    Descriptors = "descriptors",
    /// No local port was left to reach an endpoint from.
    Ports = "ports",
    /// A connection without the PROXY header that its listener asks for, or from a peer that may send none.
    ProxyProtocol = "proxy_protocol",
    /// The process is short of memory.
    Memory = "memory",
    /// More requests of one caller than its route allows.
    RateLimited = "rate_limited",
    /// The version has as many connections or requests as it may, and as many wait as may.
    Overloaded = "overloaded",
    /// The request is for a host of another certificate than the one that its connection was opened with.
    Misdirected = "misdirected",
    /// The request has passed too many gates: a route leads back to where it came from.
    Loop = "loop",
    /// A change of protocol (WebSocket) that its endpoint does not make.
    Upgrade = "upgrade",
    /// The process is shutting down.
    Draining = "draining",
}

/// All counts of a listener at one moment, added up over the workers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListenerCounts {
    /// Connections accepted since the series began.
    pub accepted: u64,
    /// Connections open now.
    pub open: u64,
    /// Requests that no route matched, in the order of [`Unrouted::ALL`].
    pub unrouted: [u64; Unrouted::ALL.len()],
    /// Refusals in the order of [`RejectReason::ALL`].
    pub rejected: [u64; RejectReason::ALL.len()],
    /// Whether it speaks TLS.
    pub tls: bool,
    /// TLS handshakes by version, 1.2 and 1.3, and by whether a session was resumed.
    pub handshakes: [[u64; 2]; 2],
    /// TLS handshakes that failed, in the order of [`HandshakeFailure::ALL`].
    pub handshake_failures: [u64; HandshakeFailure::ALL.len()],
    /// Time spent here on requests: whole durations without waiting for peers.
    pub overhead: Histogram,
}

impl ListenerSeries {
    pub(super) fn new(name: ListenerName, workers: usize) -> Self {
        let tls = AtomicBool::new(false);
        Self { name, tls, workers: (0..workers).map(|_| CachePadded::default()).collect() }
    }

    /// The listener it counts.
    pub fn name(&self) -> &ListenerName {
        &self.name
    }

    /// Whether it speaks TLS: then its handshakes are shown, from the first zero on.
    pub fn speaks_tls(&self, tls: bool) {
        self.tls.store(tls, Ordering::Relaxed);
    }

    /// The cells of a worker. Only that worker's thread may record in them.
    ///
    /// # Panics
    /// If there is no such worker.
    pub fn worker(&self, index: usize) -> &ListenerCells {
        &self.workers[index]
    }

    /// Connections that are open now, over all workers.
    pub fn open(&self) -> u64 {
        let closed: u64 = self.workers.iter().map(|it| it.closed.get_first()).sum();
        let accepted: u64 = self.workers.iter().map(|it| it.accepted.get()).sum();
        accepted.saturating_sub(closed)
    }

    /// Everything that was counted, added up over the workers.
    pub fn counts(&self) -> ListenerCounts {
        let mut overhead = Histogram::default();
        self.workers.iter().for_each(|it| it.overhead.add_to(&mut overhead));
        ListenerCounts {
            open: self.open(),
            accepted: self.workers.iter().map(|it| it.accepted.get()).sum(),
            unrouted: Unrouted::ALL
                .map(|why| self.workers.iter().map(|it| it.unrouted[why as usize].get()).sum()),
            tls: self.tls.load(Ordering::Relaxed),
            handshakes: [0, 1].map(|version| {
                [0, 1]
                    .map(|resumed| self.workers.iter().map(|it| it.handshakes[version][resumed].get()).sum())
            }),
            handshake_failures: HandshakeFailure::ALL
                .map(|why| self.workers.iter().map(|it| it.handshake_failures[why as usize].get()).sum()),
            rejected: RejectReason::ALL
                .map(|why| self.workers.iter().map(|it| it.rejected[why as usize].get()).sum()),
            overhead,
        }
    }
}

impl ListenerCells {
    /// A connection was accepted.
    pub fn accepted(&self) {
        self.accepted.add(1);
    }

    /// A connection that was accepted is closed.
    pub fn closed(&self) {
        self.closed.add_last(1);
    }

    /// A request matched no route.
    pub fn unrouted(&self, why: Unrouted) {
        self.unrouted[why as usize].add(1);
    }

    /// A connection or request was refused.
    pub fn rejected(&self, why: RejectReason) {
        self.rejected[why as usize].add(1);
    }

    /// A client shook hands.
    pub fn handshake(&self, tls13: bool, resumed: bool) {
        self.handshakes[usize::from(tls13)][usize::from(resumed)].add(1);
    }

    /// A client did not get through its handshake.
    pub fn handshake_failed(&self, why: HandshakeFailure) {
        self.handshake_failures[why as usize].add(1);
    }

    /// A request took this much of our own time.
    pub fn overhead_us(&self, us: u64) {
        self.overhead.record_us(us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_added_up() {
        let it = ListenerSeries::new("http".parse().unwrap(), 2);
        it.worker(0).accepted();
        it.worker(1).accepted();
        it.worker(1).closed();
        it.worker(1).rejected(RejectReason::UriTooLong);
        it.worker(0).unrouted(Unrouted::Request);
        it.worker(0).overhead_us(20);
        let counts = it.counts();
        assert_eq!((counts.accepted, counts.open, counts.unrouted), (2, 1, [0, 1]));
        assert_eq!(counts.rejected[RejectReason::UriTooLong as usize], 1);
        assert_eq!(counts.rejected.iter().sum::<u64>(), 1);
        assert_eq!(counts.overhead.count(), 1);
    }
}
