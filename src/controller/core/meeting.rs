//! Services of a configuration, and what the core knows of them: from before, from the journal, or nothing yet.

use std::sync::Arc;
use std::time::Duration;

use crate::config::ServiceConfig;
use crate::model::{ServiceName, Timestamp};
use crate::release::{Actor, Event as Input, Loaded, State, Version, adopt, drift, objection};

use super::super::desk::{Desk, World};
use super::super::fit;
use super::{Core, world};

impl Core {
    pub(super) fn objection(&self, service: &ServiceConfig) -> Option<(ServiceName, String)> {
        let desk = self.desks.get(&service.spec.name).filter(|it| it.present)?;
        let why = objection(&desk.state, &self.told_of(service, &desk.state, ""))?;
        Some((desk.name.clone(), why))
    }

    /// A service of the configuration: known, known from the journal, or seen for the first time.
    pub(super) fn meet(&mut self, service: &ServiceConfig, source: &str, now: Timestamp) {
        let (name, plan) = (&service.spec.name, service.plan.clone());
        let known = self.desks.get(name).map(|it| &it.state);
        let known = known.or_else(|| self.recovered.get(name).map(|it| &it.0));
        let load = known.map(|it| self.told_of(service, it, source));
        let (spec, fitted) =
            self.house.additions.fit(service, known.map_or(&[][..], |it| it.deployed.as_slice()));
        let load = load.unwrap_or_else(|| loaded(service, source));
        if let [lost, ..] = load.lost.as_slice() {
            let text = "a version of run time is lost, because what it rests on cannot be read";
            tracing::error!(service = %name, version = %lost, "{text}");
        }
        let counts = Arc::clone(&self.house.counts);
        let mut world = World { counts: &*counts, ..world(&mut self.out, &self.house, &self.calendar, now) };
        if let Some(desk) = self.desks.get_mut(name) {
            desk.plan = plan;
            desk.present = true;
            (desk.spec, desk.fitted) = (Some(spec), fitted);
            desk.vetoes.meet(&service.queries);
            desk.judge_by_plan();
            return desk.feed(Input::Loaded(load), None, &mut world);
        }
        let desk = match self.recovered.remove(name) {
            Some((state, evidence)) => {
                let mut desk = Desk::new(name.clone(), state, plan, &*counts, now);
                desk.drifted = !drift(&desk.plan, &desk.state).is_empty();
                (desk.spec, desk.fitted) = (Some(spec), fitted);
                desk.vetoes.meet(&service.queries);
                desk.last = self.house.news.last_of(name);
                // Evidence is written every few seconds; without any, the last line is the last sign of life.
                let signs = [evidence.as_ref().map(|it| it.at), desk.last.as_ref().map(|it| it.at)];
                let down = signs.into_iter().flatten().max().map_or(Duration::ZERO, |it| now.since(it));
                desk.recovered = evidence;
                desk.feed(Input::Restarted { down }, None, &mut world);
                desk.take_up(&mut world);
                desk.feed(Input::Loaded(load), None, &mut world);
                desk
            }
            None => {
                let (state, effects) = adopt(load.live, load.by, now);
                let mut desk = Desk::new(name.clone(), state.clone(), plan, &*counts, now);
                (desk.spec, desk.fitted) = (Some(spec), fitted);
                desk.vetoes.meet(&service.queries);
                desk.carry_out(state, effects, None, &mut world);
                desk
            }
        };
        self.desks.insert(name.clone(), desk);
    }

    /// What the configuration says about a service whose state this is.
    pub(super) fn told_of(&self, service: &ServiceConfig, state: &State, source: &str) -> Loaded {
        let lost = self.house.additions.missing(&service.spec.name, &state.deployed);
        Loaded { lost, ..loaded(service, source) }
    }

    /// Every service has the versions of run time that its release uses, and no others.
    pub(super) fn fit(&mut self) {
        let (Some(loaded), Some(serving)) = (&self.loaded, &mut self.serving) else { return };
        for (filed, served) in loaded.config.services.iter().zip(&mut serving.services) {
            let Some(desk) = self.desks.get_mut(&filed.spec.name) else { continue };
            if desk.state.deployed.is_empty() && desk.fitted.is_empty() {
                continue;
            }
            let (spec, fitted) = self.house.additions.fit(filed, &desk.state.deployed);
            if desk.fitted != fitted || served.spec.versions.len() != spec.versions.len() {
                served.spec = Arc::clone(&spec);
                (desk.spec, desk.fitted) = (Some(spec), fitted);
                self.out.publish = true;
            }
        }
    }
}

/// What the configuration says about a service, in the words of the machine.
fn loaded(service: &ServiceConfig, source: &str) -> Loaded {
    let versions: Vec<Version> = service.spec.versions.iter().map(fit::version).collect();
    let live = versions[service.live.0].clone();
    Loaded { live, versions, lost: Vec::new(), by: Actor::file(source) }
}
