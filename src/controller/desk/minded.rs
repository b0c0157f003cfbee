//! What stands between a version and its users, beside the evidence: the calendar, the checks that must be
//! running, and whether there is an endpoint at all.

use std::sync::Arc;

use crate::checks::Subject;
use crate::model::{ServiceName, Timestamp, VersionName};
use crate::release::{Actor, Entry, Event as Input, Permit, What, drift};
use crate::routing::{EndpointSpec, ProxyProtocol, ServiceSpec};
use crate::store::Line;

use super::super::calendar::Calendar;
use super::super::endpoints::can_serve;
use super::super::readiness::{Asked, How};
use super::super::veto::About;
use super::{Desk, World};

impl Desk {
    /// Whether weights may rise at this moment.
    pub(in super::super) fn permit(&self, world: &World<'_>) -> Permit {
        self.permit_at(world.calendar, world.now)
    }

    /// A guard's no comes first: it also keeps a watch from ending, which the calendar does not.
    fn permit_at(&self, calendar: &Calendar, now: Timestamp) -> Permit {
        self.vetoes.veto(now).map_or_else(|| calendar.permit(&self.plan, now), Permit::Vetoed)
    }

    /// Why a release that is wanted does not begin.
    pub(in super::super) fn hindrance(&self, calendar: &Calendar, now: Timestamp) -> Option<String> {
        let waits = self.state.awaits_release();
        waits.then(|| self.state.hindrance(&self.permit_at(calendar, now))).flatten()
    }

    /// Something was decided about all services: a line in the history of each.
    pub(in super::super) fn hears_of(
        &mut self,
        what: What,
        by: &Actor,
        text: &str,
        world: &mut World<'_>,
    ) -> Line {
        let (version, weight) = (self.state.stable.clone(), self.state.weight());
        let (at, by, text) = (world.now, by.clone(), text.to_owned());
        let entry = Entry { at, what, by, version, from: weight, to: weight, text };
        let line = world.out.line(&self.name, &entry, None);
        self.last = Some(world.out.announce(&line, world.newest));
        line
    }

    /// Begins or ends to differ from what the file says: a line in its history, if that is new.
    pub(in super::super) fn compare_with_file(&mut self, world: &mut World<'_>) -> Option<Line> {
        let found = drift(&self.plan, &self.state);
        if self.drifted != found.is_empty() {
            return None;
        }
        self.drifted = !found.is_empty();
        let (what, by, text) = match found.first() {
            Some(first) => {
                let texts: Vec<String> = found
                    .iter()
                    .map(|it| {
                        let file = it.file.as_deref().unwrap_or("nothing");
                        format!("{}: the file says {file}, and it is {}", it.field, it.running)
                    })
                    .collect();
                (What::Drifted, first.by.clone(), texts.join("; "))
            }
            None => (What::InSync, Actor::policy(), "what runs is what the file says".to_owned()),
        };
        let (version, weight) = (self.state.wanted.clone(), self.state.weight());
        let entry = Entry { at: world.now, what, by, version, from: weight, to: weight, text };
        let line = world.out.line(&self.name, &entry, None);
        world.out.announce(&line, world.newest);
        Some(line)
    }

    /// Whether there is anything that time, a check or an endpoint could change soon.
    pub(in super::super) fn is_active(&self) -> bool {
        let under_way = self.state.candidate().is_some() || self.vetoes.are_asked();
        self.watch.is_some() || self.pending.is_some() || under_way
    }

    /// What runs is what the state says must be running.
    pub(super) fn mind_checks(&mut self, world: &World<'_>) {
        let errand = self.state.errand(&self.plan).filter(|_| self.present);
        let wanted = errand.and_then(|it| {
            let spec = endpoints(self.spec.as_ref(), &it.canary.name).next()?;
            let subject = Subject {
                service: self.name.clone(),
                version: it.canary.name.clone(),
                endpoint: spec.url(),
                first: spec.proxy_protocol.map_or(b"", ProxyProtocol::own),
            };
            Some((it, subject, self.state.trial().is_some()))
        });
        self.errands.follow(wanted, world.laboratory, world.now);
    }

    /// Asks elsewhere what keeps a release from going on.
    pub(super) fn mind_queries(&mut self, world: &World<'_>) {
        let about = self.moved().map(|it| About {
            version: it.clone(),
            release: self.state.release,
            weight: self.state.weight(),
        });
        self.vetoes.follow(&self.name, about, world.laboratory, world.now);
    }

    /// The version that is released, or is wanted.
    fn moved(&self) -> Option<&VersionName> {
        let version = match self.state.candidate() {
            Some(trial) => Some(&trial.canary.name),
            None => Some(&self.state.wanted.name).filter(|_| self.state.awaits_release()),
        };
        version.filter(|_| self.present)
    }

    /// Whether both lanes of a release can be reached, asked while there is one or one is wanted.
    pub(super) fn mind_endpoints(&mut self, world: &mut World<'_>) {
        let lanes = self.moved().cloned();
        let lanes = lanes.as_ref().map(|canary| {
            let stable = &self.state.stable.name;
            [canary, stable]
                .map(|version| Asked { version, how: how(&self.name, self.spec.as_ref(), version, world) })
        });
        self.readiness.follow(&self.name, lanes, world.laboratory, world.now);
        let (canary, stable) = self.readiness.lanes();
        let told = (self.state.ready.canary, self.state.ready.stable);
        if self.readiness.is_known() && told != (canary, stable) {
            self.feed(Input::Ready { canary, stable }, None, world);
        }
    }
}

/// How to find out whether a version is there.
fn how(
    service: &ServiceName,
    spec: Option<&Arc<ServiceSpec>>,
    version: &VersionName,
    world: &World<'_>,
) -> How {
    let known = spec.and_then(|it| it.versions.iter().find(|it| it.name == *version));
    if known.is_some_and(|it| it.health.is_some()) {
        return How::Told(can_serve(&world.endpoints.of(service, version)));
    }
    How::Reach(endpoints(spec, version).map(ToString::to_string).collect())
}

/// Where a version can be reached.
fn endpoints<'a>(
    spec: Option<&'a Arc<ServiceSpec>>,
    version: &VersionName,
) -> impl Iterator<Item = &'a EndpointSpec> {
    let versions = spec.into_iter().flat_map(|it| &it.versions);
    versions.filter(move |it| it.name == *version).flat_map(|it| &it.endpoints)
}
