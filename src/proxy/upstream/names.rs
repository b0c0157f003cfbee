//! What the names of endpoints lead to: looked up in the background, read without waiting.
//!
//! A name always has the last good set of addresses. A look-up that fails, or leads to nowhere that is
//! allowed, keeps that set and flags it as stale; only an answer that is better replaces it.

mod lookup;
mod registrar;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;

use crate::routing::{EndpointHost, EndpointSpec, leads_to};
use crate::runtime::is_here;

use super::site::Site;

pub(super) use registrar::Registrar;

/// What is known of all names. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Names {
    known: Arc<Mutex<BTreeMap<String, Known>>>,
    /// Rises when a name leads elsewhere.
    revision: Arc<AtomicU64>,
    heard: Arc<Notify>,
    /// Where no name leads. It stays the same as long as the process runs.
    closed: Arc<OnceLock<SocketAddr>>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    addresses: Vec<IpAddr>,
    /// Why the last look-up was no good.
    trouble: Option<String>,
}

impl Names {
    /// Rises whenever a name leads elsewhere.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// The sites of an endpoint: one for each address of a name, and one that has none yet as long as
    /// nobody knows any.
    pub fn sites(&self, spec: &EndpointSpec) -> Vec<Site> {
        let site = |address| Site { spec: spec.clone(), address };
        let EndpointHost::Name(name) = &spec.host else { return vec![site(None)] };
        let known = self.known().get(name).map(|it| it.addresses.clone()).unwrap_or_default();
        let open = known.into_iter().filter(|it| !self.is_closed(*it, spec.port));
        let sites: Vec<Site> = open.map(|it| site(Some(it))).collect();
        if sites.is_empty() { vec![site(None)] } else { sites }
    }

    /// Why what is known of an endpoint's name may be out of date.
    pub fn trouble(&self, spec: &EndpointSpec) -> Option<String> {
        let EndpointHost::Name(name) = &spec.host else { return None };
        self.known().get(name)?.trouble.clone()
    }

    /// An address of a name, to be called at this port: waits until it was looked up for the first time.
    pub async fn address(&self, name: &str, port: u16) -> io::Result<IpAddr> {
        loop {
            // Before the look, so that what happens between it and the wait is not missed.
            let heard = self.heard.notified();
            if let Some(known) = self.known().get(name) {
                let why =
                    || io::Error::other(known.trouble.as_deref().unwrap_or("leads where no name may lead"));
                let open = known.addresses.iter().copied().find(|it| !self.is_closed(*it, port));
                return open.ok_or_else(why);
            }
            heard.await;
        }
    }

    /// From now on no name leads there.
    fn close(&self, door: Option<SocketAddr>) {
        if let Some(door) = door {
            let _ = self.closed.set(door);
        }
    }

    /// Whether an address leads, at this port, where no name does. An endpoint may be new since it was found.
    fn is_closed(&self, address: IpAddr, port: u16) -> bool {
        self.closed.get().is_some_and(|it| leads_to(SocketAddr::new(address, port), *it, is_here))
    }

    /// Notes what a look-up has led to. Says whether that is news.
    fn note(&self, name: &str, answer: Result<Vec<IpAddr>, String>) -> bool {
        let mut all = self.known();
        let known = all.entry(name.to_owned()).or_default();
        let is_new = match answer {
            Ok(addresses) => {
                if known.trouble.take().is_some() {
                    tracing::info!(name, "can be looked up again");
                }
                let is_new = known.addresses != addresses;
                if is_new {
                    tracing::info!(name, ?addresses, "leads elsewhere");
                    known.addresses = addresses;
                }
                is_new
            }
            Err(why) => {
                if known.trouble.as_ref() != Some(&why) {
                    tracing::warn!(name, why, kept = known.addresses.len(), "cannot be looked up");
                }
                known.trouble = Some(why);
                false
            }
        };
        if is_new {
            self.revision.fetch_add(1, Ordering::Release);
        }
        drop(all);
        self.heard.notify_waiters();
        is_new
    }

    /// Forgets names that nobody uses.
    fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.known().retain(|name, _| keep(name));
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        // A panic elsewhere leaves the map as good as it was.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
