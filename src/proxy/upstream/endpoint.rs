//! One endpoint as one worker knows it: its unused connections, last in, first out, and how busy it is.
//!
//! No lock and no atomics: everything here stays on its worker, but for the health, which is shared. An
//! endpoint is known by its version and address, so its connections outlive every reload that still names it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use crate::routing::{Anchor, Protocol};

use super::super::connection::Peer;
use super::super::quota::Quota;
use super::super::stream::Stream;
use super::connect::{ConnectError, connect};
use super::health::Health;
use super::link::Link;
use super::names::Names;
use super::shelf::Shelf;
use super::site::Site;

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
    /// How many connections its version may have.
    pub(super) quota: Rc<Quota>,
    /// Connections that serve anybody.
    pub(super) shared: Rc<Shelf>,
    /// Connections that serve one client's connection, by who that is. As long as an entry is here its key
    /// is nobody else's.
    of_clients: RefCell<HashMap<*const Peer, OfClient>>,
    in_flight: Cell<usize>,
    keep_alive: Cell<Duration>,
}

struct OfClient {
    client: Weak<Peer>,
    shelf: Rc<Shelf>,
}

/// A connection to an endpoint.
pub struct Checkout {
    /// The connection.
    pub stream: Link,
    /// Whether it has carried a request before: then its end may have been on the way already.
    pub reused: bool,
}

impl Endpoint {
    /// Knows nothing yet.
    pub fn new(site: Site, health: Arc<Health>, keep_alive: Duration, quota: &Rc<Quota>) -> Self {
        let name = match site.address {
            Some(address) => SocketAddr::new(address, site.spec.port).to_string(),
            None => site.spec.to_string(),
        };
        Self {
            site,
            health,
            anchor: Anchor::of(&name),
            name: name.into(),
            quota: Rc::clone(quota),
            shared: Rc::new(Shelf::new(quota)),
            of_clients: RefCell::default(),
            in_flight: Cell::new(0),
            keep_alive: Cell::new(keep_alive),
        }
    }

    /// Opens a connection, and tells how that went. Where an endpoint is told for whom it is called, that is
    /// `client`.
    pub async fn open(
        &self,
        client: Option<&Peer>,
        limit: Duration,
        names: &Names,
        now_ms: u64,
    ) -> Result<Stream, ConnectError> {
        let first = self.site.spec.proxy_protocol.map(|it| match client {
            Some(client) => it.of(client.ends.from, client.ends.to),
            None => it.own().to_vec(),
        });
        let opened = connect(&self.site, &first.unwrap_or_default(), limit, names, now_ms).await;
        match &opened {
            Ok(_) => self.health.connected(),
            // Not its fault.
            Err(ConnectError::NoDescriptor { .. } | ConnectError::NoPort { .. }) => {}
            Err(_) => self.health.not_connected(),
        }
        opened
    }

    /// Changes how long an unused connection is kept.
    pub fn keep(&self, keep_alive: Duration) {
        self.keep_alive.set(keep_alive);
    }

    /// Whose connections a request of `client` may use.
    pub(super) fn shelf(&self, client: &Rc<Peer>) -> Rc<Shelf> {
        if self.site.spec.proxy_protocol.is_none() {
            return Rc::clone(&self.shared);
        }
        let mut of_clients = self.of_clients.borrow_mut();
        let own = of_clients.entry(Rc::as_ptr(client)).or_insert_with(|| {
            let shelf = Rc::new(Shelf::new(&self.quota));
            client.owns(&shelf);
            OfClient { client: Rc::downgrade(client), shelf }
        });
        Rc::clone(&own.shelf)
    }

    /// An unused connection that a request of `client` may use.
    pub fn checkout(&self, client: &Rc<Peer>, now_ms: u64) -> Option<Checkout> {
        let shelf = self.shelf(client);
        let stream = match self.site.spec.protocol {
            Protocol::Http1 => shelf.take(self.keep_alive.get(), now_ms),
            Protocol::Http2 => shelf.streams.take().map(Link::of_stream),
        };
        stream.map(|stream| Checkout { stream, reused: true })
    }

    /// Takes back a connection that has served `client`.
    pub fn put_back(&self, client: &Rc<Peer>, stream: Link, now_ms: u64) {
        self.shelf(client).put(stream, now_ms);
    }

    /// Closes a connection that nobody uses, the oldest of a shelf. Whether there was one.
    pub fn shed(&self, now_us: u64) -> bool {
        let of_clients = || self.of_clients.borrow().values().any(|it| it.shelf.shed(now_us));
        self.shared.shed(now_us) || of_clients()
    }

    /// Closes what is too old or was closed by the other side, or by whose client is gone; and what is too much.
    pub fn prune(&self, now_ms: u64) {
        while self.quota.is_over() && self.shed(0) {}
        self.shared.prune(self.keep_alive.get(), now_ms);
        self.of_clients.borrow_mut().retain(|_, own| {
            own.shelf.prune(self.keep_alive.get(), now_ms);
            own.client.strong_count() > 0
        });
    }

    /// Whether there is no unused connection where there could be one: nobody calls for a client that has
    /// not come yet.
    pub fn is_cold(&self) -> bool {
        self.site.spec.proxy_protocol.is_none() && self.shared.is_empty()
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
