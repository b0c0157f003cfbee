//! A worker's view of the routing table: the table, joined by index with what the worker holds for
//! each version. Built once for each table, so that a request finds everything by index.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::model::ClientShard;
use crate::routing::{Assignment, Service, ServiceSpec, Table, VersionIndex, VersionSpec};
use crate::telemetry::{Ended, ErrorKind, Registry, Trouble, VersionSeries};

use super::budget::Budget;
use super::quota::{Book, Bounds, Permit, Quotas, take_wanted};
use super::upstream::{Board, Endpoint, Names, Place, Site};

/// The endpoints a worker knows, by identity.
pub type Endpoints = HashMap<Place, Rc<Endpoint>>;

/// A table and what this worker holds for it.
pub struct View {
    /// The table.
    pub table: Arc<Table>,
    /// One for each of the table's services.
    pub services: Vec<ServiceView>,
    /// Which answers to names it was made from.
    pub revision: u64,
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
    /// How much it may have at once. Kept across reloads too.
    pub quotas: Rc<Quotas>,
    /// Whether its endpoints are asked how they are.
    is_checked: bool,
    /// With fewer percent of them ready, all are used.
    pub(super) panic_percent: usize,
    /// Whose turn it was last.
    pub(super) turn: Cell<usize>,
}

/// The accounts of a version, kept across reloads.
pub struct Budgets {
    /// Of further tries within the version.
    pub retry: Budget,
    /// Of requests that the stable version answers for it.
    pub shield: Budget,
    /// Since when it has had no share of the traffic, in milliseconds of the worker; [`Budgets::IN_USE`] while
    /// it has.
    pub retired_ms: Cell<u64>,
    /// Since when nothing else leads to it either, as a pin does.
    pub unnamed_ms: Cell<u64>,
    /// Copies of requests that are under way to it.
    pub mirrored: Cell<usize>,
}

impl Default for Budgets {
    fn default() -> Self {
        let (retired_ms, unnamed_ms) = (Cell::new(Self::IN_USE), Cell::new(Self::IN_USE));
        // A version on trial that fails is out after a handful of failures: those are covered whole.
        Self {
            retry: Budget::small(),
            shield: Budget::large(),
            retired_ms,
            unnamed_ms,
            mirrored: Cell::new(0),
        }
    }
}

impl Budgets {
    /// The version gets traffic.
    pub const IN_USE: u64 = u64::MAX;

    /// Notes whether it has a share, and whether anything leads to it. Returns whether it has just lost either.
    fn retire(&self, retired: bool, unnamed: bool, now_ms: u64) -> bool {
        note(&self.retired_ms, retired, now_ms) | note(&self.unnamed_ms, unnamed, now_ms)
    }

    /// Since when nothing may lead to it by which a request came: by its share, or by a pin.
    pub fn left_ms(&self, by_share: bool) -> u64 {
        if by_share { self.retired_ms.get() } else { self.unnamed_ms.get() }
    }
}

/// Whether it has just ended.
fn note(since_ms: &Cell<u64>, ended: bool, now_ms: u64) -> bool {
    let changes = ended != (since_ms.get() != Budgets::IN_USE);
    if changes {
        since_ms.set(if ended { now_ms } else { Budgets::IN_USE });
    }
    changes && ended
}

impl View {
    /// Joins `table` with the endpoints in `known`; those that the table no longer names leave.
    pub fn build(
        table: Arc<Table>,
        registry: &Registry,
        (book, worker): (&Book, usize),
        (board, names): (&Board, &Names),
        known: &mut Endpoints,
        before: Option<&Self>,
    ) -> Self {
        let accounts = before.map(Self::accounts).unwrap_or_default();
        // Before the names are read: what changes meanwhile is found at the next look.
        let revision = names.revision();
        let mut named = Endpoints::with_capacity(known.len());
        let services = table
            .services
            .iter()
            .map(|service| {
                let spec = &service.spec;
                let versions = spec.versions.iter().map(|version| {
                    let series = registry.version(&spec.name, &version.name);
                    let names_of = (&spec.name, &version.name);
                    let bounds = book.bounds(names_of, &spec.limits, registry.workers());
                    let (budgets, quotas) = accounts.get(&Arc::as_ptr(&series)).cloned().unzip();
                    let quotas = quotas
                        .filter(|it: &Rc<Quotas>| it.are(&bounds))
                        .unwrap_or_else(|| Rc::new(Quotas::new(bounds, &series, worker)));
                    let sites = version.endpoints.iter().flat_map(|it| names.sites(it));
                    let endpoints =
                        sites.map(|it| endpoint(spec, version, it, board, (known, &mut named), &quotas));
                    Rc::new(VersionView {
                        endpoints: endpoints.collect(),
                        series,
                        budgets: budgets.unwrap_or_default(),
                        quotas,
                        is_checked: version.health.is_some(),
                        panic_percent: spec.care.panic_percent.into(),
                        turn: Cell::new(0),
                    })
                });
                ServiceView { versions: versions.collect() }
            })
            .collect();
        *known = named;
        Self { table, services, revision }
    }

    /// Notes which versions get traffic and which do not any more. Returns whether one has just lost it.
    pub fn retire(&self, before: &Self, now_ms: u64) -> bool {
        let mut lost = false;
        let mut here = HashSet::new();
        for (service, view) in self.table.services.iter().zip(&self.services) {
            for (index, version) in view.versions.iter().enumerate() {
                here.insert(Arc::as_ptr(&version.series));
                let (index, spec) = (VersionIndex(index), &service.spec);
                let retired = !service.split.names(index);
                let led = spec.pins.iter().any(|it| it.to == index) || service.preview == Some(index);
                lost |= version.budgets.retire(retired, retired && !led, now_ms);
            }
        }
        for version in before.services.iter().flat_map(|it| &it.versions) {
            if !here.contains(&Arc::as_ptr(&version.series)) {
                lost |= version.budgets.retire(true, true, now_ms);
            }
        }
        lost
    }

    fn accounts(&self) -> HashMap<*const VersionSeries, (Rc<Budgets>, Rc<Quotas>)> {
        let versions = self.services.iter().flat_map(|it| &it.versions);
        versions
            .map(|it| (Arc::as_ptr(&it.series), (Rc::clone(&it.budgets), Rc::clone(&it.quotas))))
            .collect()
    }

    /// Closes connections that nobody uses here, because they are wanted on another worker.
    pub fn spare(&self, of: &Arc<Bounds>, wanted: &AtomicUsize, now_us: u64) {
        let versions = self.services.iter().flat_map(|it| &it.versions);
        for version in versions.filter(|it| it.quotas.are(of)) {
            while take_wanted(wanted) {
                if !version.shed(now_us) {
                    wanted.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        }
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

/// The endpoint at `site`: the one in `named` or `known`, or a new one.
fn endpoint(
    service: &ServiceSpec,
    version: &VersionSpec,
    site: Site,
    board: &Board,
    (known, named): (&Endpoints, &mut Endpoints),
    quotas: &Quotas,
) -> Rc<Endpoint> {
    let keep_alive = service.timeouts.keep_alive;
    let place = Place { service: service.name.clone(), version: version.name.clone(), site };
    let endpoint = named.entry(place).or_insert_with_key(|place| {
        known.get(place).cloned().unwrap_or_else(|| {
            let health = board.health(place, version.health.is_some());
            Rc::new(Endpoint::new(place.site.clone(), health, keep_alive, &quotas.connections))
        })
    });
    endpoint.keep(keep_alive);
    Rc::clone(endpoint)
}

impl ServiceView {
    /// Who answers instead of a version that was chosen by the split and has no endpoint: the one that has
    /// the rest. Never the other way round: users of stable are not moved in silence.
    pub fn instead_of(&self, assigned: Assignment, service: &Service) -> Option<VersionIndex> {
        let rest = service.split.rest();
        let moves =
            assigned.judged && assigned.version != rest && !self.versions[assigned.version.0].is_ready();
        moves.then_some(rest)
    }
}

impl VersionView {
    /// A place for one more connection, if need be that of one which nobody uses.
    pub fn connection(&self, now_us: u64) -> Option<Permit> {
        let quota = &self.quotas.connections;
        quota.take().or_else(|| if self.shed(now_us) { quota.take() } else { None })
    }

    /// Closes a connection that nobody uses. Whether there was one.
    pub fn shed(&self, now_us: u64) -> bool {
        self.endpoints.iter().any(|it| it.shed(now_us))
    }

    /// A request was meant for it and went elsewhere, because its endpoints fail their checkups. That
    /// nobody has asked them yet is not its fault.
    pub fn missed(&self, worker: usize, evidence: Option<ClientShard>) {
        if self.is_unknown() {
            return;
        }
        let cells = self.series.worker(worker);
        cells.begun();
        cells.error(ErrorKind::Connect);
        cells.recourse.shielded(Trouble::Connect);
        // What its user would have been told.
        cells.ended(&Ended { status: Some(503), judged: evidence, bad: true, ..Ended::default() });
    }

    /// Whether there is an endpoint that is fit for users. Where nobody asks they are believed to be.
    pub fn is_ready(&self) -> bool {
        !self.is_checked || self.endpoints.iter().any(|it| it.health.is_ready())
    }

    /// Whether that is still to be found out, and nothing speaks against it.
    fn is_unknown(&self) -> bool {
        self.endpoints.iter().all(|it| it.health.is_unknown())
    }
}
