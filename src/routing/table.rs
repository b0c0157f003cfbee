//! The routing table: what a worker reads, once for each request.

use std::sync::Arc;

use crate::model::Generation;

use super::care::Dns;
use super::edits::{HeaderEdits, PathRewrite, Redirect};
use super::fault::Fault;
use super::matcher::{HeaderLookup, Matcher, RequestFacts};
use super::rate::Rate;
use super::spec::ServiceSpec;
use super::split::{Assignment, Split};

/// Index into [`Table::services`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServiceIndex(pub usize);

/// Index into [`ServiceSpec::versions`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct VersionIndex(pub usize);

/// Everything a worker needs to route a request. Immutable; a change is a new table.
#[derive(Clone, Debug)]
pub struct Table {
    /// The configuration it was built from.
    pub generation: Generation,
    /// From request to route.
    pub matcher: Arc<Matcher>,
    /// The services that routes point at.
    pub services: Vec<Service>,
    /// How names of endpoints are looked up.
    pub dns: Arc<Dns>,
}

/// A service with its present weights.
#[derive(Clone, Debug)]
pub struct Service {
    /// What the file says; unchanged by weights.
    pub spec: Arc<ServiceSpec>,
    /// Who gets how much.
    pub split: Split,
    /// What testers reach by [`ServiceSpec::preview`]; `None` when nothing is being released.
    pub preview: Option<VersionIndex>,
    /// The version on trial, whose failures the one that has the [rest](Split::rest) of the traffic makes
    /// good; `None` when nothing is being released.
    pub trial: Option<VersionIndex>,
}

/// Where a matched request goes, and what is changed on the way.
#[derive(Clone, Debug)]
pub struct Route {
    /// Whether answers say where the time went.
    pub server_timing: bool,
    /// What people call it: the host and the path that lead to it, as they are written.
    pub label: Arc<str>,
    /// Service or redirect.
    pub target: Target,
    /// How often each caller may ask.
    pub rate: Option<Arc<Rate>>,
    /// What is made to fail, for a rehearsal.
    pub fault: Option<Arc<Fault>>,
    /// Change of the path before it is forwarded.
    pub rewrite: Option<PathRewrite>,
    /// Header changes towards the version.
    pub request_headers: HeaderEdits,
    /// Header changes towards the client.
    pub response_headers: HeaderEdits,
}

/// What a route leads to.
#[derive(Clone, Debug)]
pub enum Target {
    /// A service of this table.
    Service(ServiceIndex),
    /// An answer made here.
    Redirect(Redirect),
}

impl Table {
    /// A table that routes nothing: what is served before the first configuration.
    pub fn empty() -> Self {
        Self {
            generation: Generation(0),
            matcher: Arc::new(Matcher::empty()),
            services: Vec::new(),
            dns: Arc::default(),
        }
    }

    /// The route that wins for this request, by Gateway API precedence.
    pub fn route(&self, facts: &RequestFacts<'_>) -> Option<&Route> {
        self.matcher.find(facts)
    }

    /// Whether any route answers to this host.
    pub fn has_host(&self, host: &str) -> bool {
        self.matcher.has_host(host)
    }

    /// The service a route points at.
    pub fn service(&self, index: ServiceIndex) -> &Service {
        &self.services[index.0]
    }
}

impl Service {
    /// The version that answers what this one fails to, if that is on trial.
    pub fn cover(&self, version: VersionIndex) -> Option<VersionIndex> {
        (self.trial == Some(version)).then(|| self.split.rest())
    }

    /// The version for a request, decided once and kept: a preview first, then a pin, then the bucket of
    /// its unit where the service is sticky, then a draw. A sticky service draws for a request without a
    /// unit. A preview of nothing goes the way of all others, and is no more judged than any preview.
    ///
    /// `bits` are 64 uniform random bits, asked for only when a draw is needed.
    pub fn assign(
        &self,
        host: &str,
        header: HeaderLookup<'_>,
        unit: Option<&[u8]>,
        bits: impl FnOnce() -> u64,
    ) -> Assignment {
        let tester = self.spec.preview.as_ref().is_some_and(|it| it.holds(host, header));
        if let Some(version) = self.preview.filter(|_| tester) {
            return Assignment { version, judged: false };
        }
        let pinned = self.spec.pins.iter().find(|pin| pin.when.iter().all(|it| it.holds(header)));
        if let Some(pin) = pinned {
            return Assignment { version: pin.to, judged: false };
        }
        let version = match unit {
            Some(unit) if self.spec.sticky.is_some() => self.split.keyed(unit),
            _ if self.split.is_shared() => self.split.drawn(bits()),
            _ => self.split.drawn(0),
        };
        Assignment { version, judged: !tester }
    }
}
