//! Who looks names up, and when: each name of the table by itself, again when its answer has aged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::model::Timestamp;
use crate::routing::{Dns, EndpointHost, Table};

use super::Names;
use super::lookup::{Answer, look_up};

/// Keeps what is known of names up to date.
pub(in super::super) struct Registrar {
    names: Names,
    dns: Arc<Dns>,
    due: BTreeMap<String, Due>,
    asked: JoinSet<(String, Result<Answer, String>)>,
}

struct Due {
    /// The ports at which what it leads to is called.
    ports: BTreeSet<u16>,
    /// Those of the table before.
    known: BTreeSet<u16>,
    next: Timestamp,
    is_asked: bool,
    failures: u32,
}

impl Due {
    /// A name that is due at once.
    fn new(now: Timestamp) -> Self {
        Self { ports: BTreeSet::new(), known: BTreeSet::new(), next: now, is_asked: false, failures: 0 }
    }
}

impl Registrar {
    /// Nobody is to be looked up yet.
    pub fn new(names: Names) -> Self {
        Self { names, dns: Arc::default(), due: BTreeMap::new(), asked: JoinSet::new() }
    }

    /// The names of this table and no others.
    pub fn follow(&mut self, table: &Table, now: Timestamp) {
        let is_new = *self.dns != *table.dns;
        self.names.close(table.dns.closed);
        self.dns = Arc::clone(&table.dns);
        let mut before = std::mem::take(&mut self.due);
        let versions = table.services.iter().flat_map(|it| &it.spec.versions);
        for endpoint in versions.flat_map(|it| &it.endpoints) {
            let EndpointHost::Name(name) = &endpoint.host else { continue };
            let due = self.due.entry(name.clone()).or_insert_with(|| match before.remove(name) {
                Some(it) => Due {
                    next: if is_new { now } else { it.next },
                    ports: BTreeSet::new(),
                    known: it.ports,
                    ..it
                },
                None => Due::new(now),
            });
            if due.ports.insert(endpoint.port) && !due.known.contains(&endpoint.port) {
                // It was not looked at where it leads at this one.
                due.next = now;
            }
        }
        self.names.retain(|it| self.due.contains_key(it));
    }

    /// Begins the look-ups that are due. Returns when to come again.
    pub fn round(&mut self, now: Timestamp) -> Timestamp {
        let mut next = now + IDLE;
        for (name, due) in &mut self.due {
            if due.is_asked {
                continue;
            }
            if now < due.next {
                next = next.min(due.next);
            } else if self.asked.len() < ASKED_MAX {
                due.is_asked = true;
                let (name, ports, dns) = (name.clone(), due.ports.clone(), Arc::clone(&self.dns));
                self.asked.spawn_local(async move {
                    let limit = dns.timeout * 4;
                    let answer = tokio::time::timeout(limit, look_up(&name, &ports, &dns)).await;
                    (name, answer.unwrap_or_else(|_| Err(format!("no answer within {limit:?}"))))
                });
            }
        }
        next
    }

    /// Waits for the end of a look-up; for ever, if there is none.
    pub async fn answered(&mut self) -> Option<(String, Result<Answer, String>)> {
        match self.asked.join_next().await {
            Some(done) => done.ok(),
            None => std::future::pending().await,
        }
    }

    /// A look-up has ended. Says whether a name leads elsewhere.
    pub fn heard(&mut self, name: &str, answer: Result<Answer, String>, now: Timestamp) -> bool {
        let Some(due) = self.due.get_mut(name) else { return false };
        due.is_asked = false;
        let answer = match answer {
            Ok(it) => {
                (due.failures, due.next) = (0, now + it.ttl);
                Ok(it.addresses)
            }
            Err(why) => {
                due.failures = due.failures.saturating_add(1);
                let wait = self.dns.ttl_min * due.failures.min(10);
                due.next = now + wait.min(AGAIN_MAX.max(self.dns.ttl_min));
                Err(why)
            }
        };
        self.names.note(name, answer)
    }
}

/// Most look-ups under way at a time.
const ASKED_MAX: usize = 32;
const IDLE: Duration = Duration::from_secs(60);
/// Longest time until a name that could not be looked up is tried again.
const AGAIN_MAX: Duration = Duration::from_secs(30);
