//! A worker's view of the routing table: the table, joined by index with what the worker holds for
//! each version. Built once for each table, so that a request finds everything by index.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::routing::{Balance, EndpointSpec, Table, VersionIndex};
use crate::telemetry::{Registry, VersionSeries};

use super::budget::Budget;
use super::upstream::Endpoint;

/// The endpoints a worker knows, by identity.
pub type Endpoints = HashMap<EndpointSpec, Rc<Endpoint>>;

/// A table and what this worker holds for it.
pub struct View {
    /// The table.
    pub table: Arc<Table>,
    /// One for each of the table's services.
    pub services: Vec<ServiceView>,
}

/// The versions of a service.
pub struct ServiceView {
    /// One for each of the service's versions.
    pub versions: Vec<Rc<VersionView>>,
}

/// What a worker holds for one version.
pub struct VersionView {
    /// Where its requests are counted.
    pub series: Arc<VersionSeries>,
    /// One for each of the version's endpoints.
    pub endpoints: Vec<Rc<Endpoint>>,
    /// How much may be asked twice.
    pub budgets: Rc<Budgets>,
    turn: Cell<usize>,
}

/// The accounts of a version, kept across reloads.
pub struct Budgets {
    /// Of further tries within the version.
    pub retry: Budget,
}

/// Where a request stands in the line of a version's endpoints.
#[derive(Debug, Default)]
pub struct Line {
    first: usize,
    passed: usize,
}

impl Line {
    /// Stands before the same endpoint again.
    pub fn step_back(&mut self) {
        self.passed = self.passed.saturating_sub(1);
    }

    /// Begins anew.
    pub fn restart(&mut self) {
        self.passed = 0;
    }
}

impl View {
    /// Joins `table` with the endpoints in `known`; those that the table no longer names leave.
    pub fn build(
        table: Arc<Table>,
        registry: &Registry,
        known: &mut Endpoints,
        before: Option<&Self>,
    ) -> Self {
        let accounts = before.map(Self::accounts).unwrap_or_default();
        let mut named = Endpoints::with_capacity(known.len());
        let services = table
            .services
            .iter()
            .map(|service| {
                let spec = &service.spec;
                let keep_alive = spec.timeouts.keep_alive;
                let versions = spec.versions.iter().map(|version| {
                    let endpoints = version.endpoints.iter().map(|it| {
                        let endpoint = named.entry(it.clone()).or_insert_with(|| {
                            known
                                .get(it)
                                .cloned()
                                .unwrap_or_else(|| Rc::new(Endpoint::new(it.clone(), keep_alive)))
                        });
                        endpoint.keep(keep_alive);
                        Rc::clone(endpoint)
                    });
                    let series = registry.version(&spec.name, &version.name);
                    let budgets = accounts.get(&Arc::as_ptr(&series)).map(Rc::clone);
                    Rc::new(VersionView {
                        series,
                        endpoints: endpoints.collect(),
                        budgets: budgets.unwrap_or_else(|| Rc::new(Budgets { retry: Budget::small() })),
                        turn: Cell::new(0),
                    })
                });
                ServiceView { versions: versions.collect() }
            })
            .collect();
        *known = named;
        Self { table, services }
    }

    fn accounts(&self) -> HashMap<*const VersionSeries, Rc<Budgets>> {
        let versions = self.services.iter().flat_map(|it| &it.versions);
        versions.map(|it| (Arc::as_ptr(&it.series), Rc::clone(&it.budgets))).collect()
    }

    /// Endpoints of versions that take part in a split but have no connection yet.
    pub fn cold_endpoints(&self) -> impl Iterator<Item = Rc<Endpoint>> {
        let taking_part = self.table.services.iter().zip(&self.services).flat_map(|(service, view)| {
            let split = &service.split;
            view.versions
                .iter()
                .enumerate()
                .filter(|(index, _)| split.names(VersionIndex(*index)))
                .map(|(_, version)| version)
        });
        taking_part.flat_map(|it| it.endpoints.iter()).filter(|it| it.is_cold()).cloned()
    }
}

impl VersionView {
    /// The next endpoint in a request's line: the first by the balance, then all others, so that none is
    /// tried twice. `None` when all were tried.
    pub fn endpoint(
        &self,
        balance: Balance,
        line: &mut Line,
        bits: impl FnOnce() -> u64,
    ) -> Option<&Rc<Endpoint>> {
        let count = self.endpoints.len();
        if line.passed >= count {
            return None;
        }
        if line.passed == 0 && count > 1 {
            line.first = match balance {
                Balance::RoundRobin => (self.turn.get() + 1) % count,
                Balance::LeastRequest => self.less_busy(bits()),
            };
            self.turn.set(line.first);
        }
        line.passed += 1;
        self.endpoints.get((line.first + line.passed - 1) % count)
    }

    /// Whether a request has an endpoint left that it was not sent to.
    pub fn has_more(&self, line: &Line) -> bool {
        line.passed < self.endpoints.len()
    }

    fn less_busy(&self, bits: u64) -> usize {
        let count = self.endpoints.len() as u64;
        let one = (bits >> 32) % count;
        // The second is drawn among the others, so that the choice is a real one.
        let other = (one + 1 + (bits & u64::from(u32::MAX)) % (count - 1)) % count;
        let busy = |it: u64| self.endpoints[it as usize].in_flight();
        (if busy(other) < busy(one) { other } else { one }) as usize
    }
}
