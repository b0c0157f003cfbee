//! Where the way of a request ends before it gets a version, and what its caller is told there.
//!
//! Every check looks and says; what its answer counts as, and how it is worded, stands here once.

use std::time::Duration;

use crate::message::{Framing, MethodKind, RequestHead, Target};
use crate::routing::{
    Redirect, RequestFacts, Route, ServiceIndex, ServiceSpec, Table, Target as Destination,
};
use crate::telemetry::{ListenerCells, RejectReason, Unrouted};

use super::super::caller::Caller;
use super::super::connection::Client;
use super::super::marks::{MarkRules, Marks};
use super::super::worker::Worker;
use super::Planned;

/// Why a request is answered here.
pub enum Stop {
    /// It asks this proxy, and nobody behind it.
    ForTheProxy,
    /// Memory is short.
    Memory,
    /// It has passed too many gates.
    Circling,
    /// It names a host that its connection was not opened for.
    Misdirected,
    /// It is to be sent to the same host elsewhere, and names none.
    Hostless,
    /// It is sent elsewhere.
    Redirected {
        /// The status that says so.
        status: u16,
        /// Where to.
        location: String,
    },
    /// No route matches.
    Unrouted(Unrouted),
    /// Its caller has asked too often.
    TooOften(Duration),
    /// Its body says that it is too large.
    TooLarge,
}

impl Stop {
    /// Counts it, where it is counted.
    pub fn count(&self, cells: &ListenerCells) {
        let reason = match self {
            Self::ForTheProxy | Self::Hostless | Self::Redirected { .. } => return,
            Self::Unrouted(why) => return cells.unrouted(*why),
            Self::Memory => RejectReason::Memory,
            Self::Circling => RejectReason::Loop,
            Self::Misdirected => RejectReason::Misdirected,
            Self::TooOften(_) => RejectReason::RateLimited,
            Self::TooLarge => RejectReason::BodyTooLarge,
        };
        cells.rejected(reason);
    }

    /// What the caller is told.
    pub fn answer(self, caller: &Caller<'_>) -> Planned {
        let (status, error, text) = self.words();
        let line = match self {
            Self::Redirected { location, .. } => Some(("location", location)),
            Self::TooOften(wait) => {
                let seconds = wait.as_millis().div_ceil(1000).max(1);
                Some(("retry-after", seconds.to_string()))
            }
            _ => None,
        };
        let Caller { worker, client, head, .. } = caller;
        // A body that nobody reads would be taken for the next request.
        let close = !head.keep_alive
            || !head.framing.is_empty()
            || client.is_spent(worker, worker.deadlines.recent_ms());
        let (head, http10) = (head.kind == MethodKind::Head, head.http10);
        Planned::Answered { status, error, text, line, close, head, http10 }
    }

    /// The status, the word for `x-tidegate-error`, and the body.
    fn words(&self) -> (u16, Option<&'static str>, &'static str) {
        match self {
            Self::ForTheProxy => (200, None, ""),
            Self::Redirected { status, .. } => (*status, None, ""),
            Self::Hostless => (400, None, "without a host there is nowhere to send this\n"),
            Self::Unrouted(_) => (404, Some("no_route"), "no route leads anywhere from here\n"),
            Self::TooLarge => (413, Some("limit"), "the body is larger than this service takes\n"),
            Self::Misdirected => {
                let text = "this connection was opened for another host: ask on one of its own\n";
                (421, Some("misdirected"), text)
            }
            Self::TooOften(_) => (429, Some("limit"), "too many requests: come again later\n"),
            Self::Memory => (503, Some("overloaded"), "too much is going on: come again later\n"),
            Self::Circling => {
                (508, Some("loop"), "the request has passed too many gates: a route leads back here\n")
            }
        }
    }
}

/// `OPTIONS *`, and what may be forwarded no further.
pub fn if_for_the_proxy(head: &RequestHead) -> Result<(), Stop> {
    if head.is_for_proxy() { Err(Stop::ForTheProxy) } else { Ok(()) }
}

pub fn if_memory_is_short(worker: &Worker) -> Result<(), Stop> {
    if worker.common.memory.refuses_requests() { Err(Stop::Memory) } else { Ok(()) }
}

/// What the request carries, unless that says that it goes in a circle.
pub fn if_circling<'a>(caller: &Caller<'a>) -> Result<Marks<'a>, Stop> {
    let Caller { worker, client, head, buf, .. } = *caller;
    let (ids, trusted) = (client.spec.request_id, client.peer.trusted);
    let rules = MarkRules { ids, trusted, trace: worker.scribe.trace_rule() };
    Marks::of(head, buf, rules, || worker.bits()).map_err(|_| Stop::Circling)
}

/// A connection that shows one certificate may not ask for what another one stands for.
pub fn if_misdirected(client: &Client, target: &Target) -> Result<(), Stop> {
    let foreign = client.peer.authority.as_ref().is_some_and(|it| !it.covers(target.host()));
    if foreign { Err(Stop::Misdirected) } else { Ok(()) }
}

/// A listener may send everybody elsewhere.
pub fn if_redirected(client: &Client, target: &Target, facts: &RequestFacts<'_>) -> Result<(), Stop> {
    match &client.spec.redirect {
        None => Ok(()),
        Some(_) if target.host().is_empty() => Err(Stop::Hostless),
        Some(redirect) => Err(elsewhere(redirect, client, target, facts)),
    }
}

/// The route, if there is one.
pub fn unless_routed<'a>(table: &'a Table, facts: &RequestFacts<'_>) -> Result<&'a Route, Stop> {
    table.route(facts).ok_or_else(|| {
        let known = table.has_host(facts.host);
        Stop::Unrouted(if known { Unrouted::Request } else { Unrouted::Host })
    })
}

/// The route's bound for each caller, who pays here.
pub fn if_too_often(caller: &Caller<'_>, route: &Route) -> Result<(), Stop> {
    route.rate.as_ref().map_or(Ok(()), |rate| caller.pay(rate).map_err(Stop::TooOften))
}

/// The service that the route leads to, unless it leads elsewhere.
pub fn unless_led_here(
    client: &Client,
    route: &Route,
    target: &Target,
    facts: &RequestFacts<'_>,
) -> Result<ServiceIndex, Stop> {
    match &route.target {
        Destination::Service(index) => Ok(*index),
        Destination::Redirect(redirect) => Err(elsewhere(redirect, client, target, facts)),
    }
}

/// What says how long it is can be refused before it is sent.
pub fn if_too_large(head: &RequestHead, spec: &ServiceSpec) -> Result<(), Stop> {
    match (head.framing, spec.limits.body) {
        (Framing::Length(length), Some(most)) if length > most => Err(Stop::TooLarge),
        _ => Ok(()),
    }
}

fn elsewhere(redirect: &Redirect, client: &Client, target: &Target, facts: &RequestFacts<'_>) -> Stop {
    let (mut location, port) = (String::new(), target.port());
    redirect.location(client.peer.scheme, target.host(), port, facts.path, facts.query, &mut location);
    Stop::Redirected { status: redirect.status, location }
}
