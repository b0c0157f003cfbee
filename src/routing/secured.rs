//! How connections to an endpoint are secured: whom we take it for, and who we are to it.
//!
//! It is part of an endpoint's identity, so that connections that were opened under one set of rules never
//! carry requests under another.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering as Memory};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

/// TLS with an endpoint. Equal when the rules are.
#[derive(Clone)]
pub struct EndpointTls {
    /// The name that its certificate must have.
    pub server_name: ServerName<'static>,
    /// Authorities that are believed, and the certificate that we show.
    pub client: Arc<ClientConfig>,
    rules: u128,
    complained_ms: Arc<AtomicU64>,
}

impl EndpointTls {
    /// `rules` is a hash of everything that `client` was made from.
    pub fn new(server_name: ServerName<'static>, client: Arc<ClientConfig>, rules: u128) -> Self {
        Self { server_name, client, rules, complained_ms: Arc::default() }
    }

    /// Whether a complaint about it is due: the first one, and then one in ten seconds. A broken endpoint
    /// would otherwise fill the log.
    pub fn may_complain(&self, now_ms: u64) -> bool {
        let (now_ms, last_ms) = (now_ms.max(1), self.complained_ms.load(Memory::Relaxed));
        let due = last_ms == 0 || now_ms.saturating_sub(last_ms) >= 10_000;
        if due {
            self.complained_ms.store(now_ms, Memory::Relaxed);
        }
        due
    }

    fn key(&self) -> (std::borrow::Cow<'_, str>, u128) {
        (self.server_name.to_str(), self.rules)
    }
}

impl PartialEq for EndpointTls {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for EndpointTls {}

impl Hash for EndpointTls {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialOrd for EndpointTls {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for EndpointTls {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl fmt::Debug for EndpointTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing that could hold a key.
        write!(f, "EndpointTls({}, {:032x})", self.server_name.to_str(), self.rules)
    }
}
