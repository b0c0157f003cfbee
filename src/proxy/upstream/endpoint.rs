//! One endpoint as one worker knows it: its unused connections, last in, first out, and how busy it is.
//!
//! No lock and no atomics: everything here stays on its worker, but for the health, which is shared. An
//! endpoint is known by its version and address, so its connections outlive every reload that still names it.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::routing::{Anchor, Protocol};

use super::super::h2::Pool;
use super::super::stream::Stream;
use super::connect::{ConnectError, connect};
use super::health::Health;
use super::names::Names;
use super::site::Site;

/// Unused connections kept for each endpoint and worker. More are closed.
const IDLE_MAX: usize = 1024;

/// An endpoint and its unused connections.
pub struct Endpoint {
    /// Where it is.
    pub site: Site,
    /// What everybody knows of it.
    pub health: Arc<Health>,
    /// Where it is, as text, written once.
    pub name: Box<str>,
    /// The same as a number, for a balance by hash.
    pub anchor: Anchor,
    /// Connections on which HTTP/2 is spoken.
    pub(super) streams: Pool,
    idle: RefCell<Vec<Idle>>,
    in_flight: Cell<usize>,
    keep_alive: Cell<Duration>,
}

struct Idle {
    stream: Stream,
    since_ms: u64,
}

/// A connection to an endpoint.
pub struct Checkout {
    /// The connection.
    pub stream: Stream,
    /// Whether it has carried a request before: then its end may have been on the way already.
    pub reused: bool,
}

impl Endpoint {
    /// Knows nothing yet.
    pub fn new(site: Site, health: Arc<Health>, keep_alive: Duration) -> Self {
        let (idle, in_flight) = (RefCell::default(), Cell::new(0));
        let name = match site.address {
            Some(address) => SocketAddr::new(address, site.spec.port).to_string(),
            None => site.spec.to_string(),
        };
        let (anchor, name, streams) = (Anchor::of(&name), name.into(), Pool::default());
        Self { site, health, name, anchor, streams, idle, in_flight, keep_alive: Cell::new(keep_alive) }
    }

    /// Opens a connection, and tells how that went.
    pub async fn open(&self, limit: Duration, names: &Names, now_ms: u64) -> Result<Stream, ConnectError> {
        let opened = connect(&self.site, limit, names, now_ms).await;
        match &opened {
            Ok(_) => self.health.connected(),
            // Not its fault.
            Err(ConnectError::NoDescriptor { .. }) => {}
            Err(_) => self.health.not_connected(),
        }
        opened
    }

    /// Changes how long an unused connection is kept.
    pub fn keep(&self, keep_alive: Duration) {
        self.keep_alive.set(keep_alive);
    }

    /// The connection that was used last, if one is still good: open and silent. Bytes that nobody
    /// asked for would be taken for the answer to the next request (response splitting).
    pub fn checkout(&self, now_ms: u64) -> Option<Checkout> {
        if self.site.spec.protocol == Protocol::Http2 {
            return self.streams.take().map(|stream| Checkout { stream, reused: true });
        }
        let keep_ms = self.keep_alive.get().as_millis() as u64;
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { mut stream, since_ms }) = idle.pop() {
            if now_ms.saturating_sub(since_ms) < keep_ms && stream.is_silent() {
                return Some(Checkout { stream, reused: true });
            }
        }
        None
    }

    /// Takes back a connection whose exchange ended at a message boundary with nothing left to read.
    pub fn put_back(&self, mut stream: Stream, now_ms: u64) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < IDLE_MAX && stream.is_silent() {
            idle.push(Idle { stream, since_ms: now_ms });
        }
    }

    /// Closes what is too old or was closed by the other side.
    pub fn prune(&self, now_ms: u64) {
        self.streams.prune(self.keep_alive.get(), now_ms);
        let keep_ms = self.keep_alive.get().as_millis() as u64;
        self.idle
            .borrow_mut()
            .retain_mut(|it| now_ms.saturating_sub(it.since_ms) < keep_ms && it.stream.is_silent());
    }

    /// Whether there is no unused connection.
    pub fn is_cold(&self) -> bool {
        match self.site.spec.protocol {
            Protocol::Http1 => self.idle.borrow().is_empty(),
            Protocol::Http2 => self.streams.is_cold(),
        }
    }

    /// Exchanges under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.get()
    }

    /// An exchange began.
    pub fn begin(&self) {
        self.in_flight.set(self.in_flight.get() + 1);
    }

    /// An exchange ended.
    pub fn end(&self) {
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
    }
}
