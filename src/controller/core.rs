//! All services together: inputs in, and after each of them the table, the journal, the news, in that
//! order. Nothing here waits; the shell ([`super::run`]) does.
//!
//! Here is what every input leads to. What services of a configuration are met with is in `meeting`, what people
//! want in `wish`, what goes to the journal in `ledger`, what others are shown in `publishing`.

mod ledger;
mod meeting;
mod publishing;
mod rhythm;
mod wish;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::config::Config;
use crate::model::{ServiceName, Timestamp};
use crate::release::{Event as Input, State};
use crate::routing::{Publisher, Table};
use crate::store::{Evidence, Line, Recovered};

use super::calendar::Calendar;
use super::counts::Counts;
use super::desk::{Desk, World};
use super::endpoints::Endpoints;
use super::errand::{Errands, Laboratory, Said};
use super::fit::Additions;
use super::handle::{Configure, ConfigureError, Recent};
use super::journal::Job;
use super::outbox::Outbox;
use super::report;
use super::status::{JournalHealth, Status};
use super::tracer::Tracer;

use ledger::EVIDENCE_EVERY;

/// What the core needs of the house; it outlives a core that panicked.
#[derive(Clone)]
pub(super) struct House {
    pub publisher: Publisher,
    pub counts: Arc<dyn Counts>,
    pub endpoints: Arc<dyn Endpoints>,
    pub news: Arc<Recent>,
    pub status: watch::Sender<Arc<Status>>,
    /// What to publish when release logic fails: every service's stable alone.
    pub fallback: Arc<Mutex<Option<Table>>>,
    /// What the versions of run time are.
    pub additions: Arc<Additions>,
    pub tracer: Tracer,
    /// Where checks are run; `None`: nowhere.
    pub laboratory: Option<Laboratory>,
}

pub(super) struct Core {
    house: House,
    loaded: Option<Arc<Configure>>,
    /// That with the versions of run time.
    serving: Option<Config>,
    desks: BTreeMap<ServiceName, Desk>,
    /// From the journal, for services that have not been seen in a configuration yet.
    recovered: BTreeMap<ServiceName, (State, Option<Evidence>)>,
    out: Outbox,
    health: JournalHealth,
    /// Lines that the journal did not take.
    unsaved_lines: Vec<Line>,
    next_retry: Timestamp,
    next_report: Timestamp,
    rates: report::Rates,
    /// Looks come closer together once something has failed.
    alert: bool,
    /// Freezes, and the date.
    pub calendar: Calendar,
}

impl Core {
    /// Takes up where the journal ends. Nothing is published before a configuration comes.
    pub fn new(house: House, recovered: Recovered) -> Self {
        let newest = recovered.lines.iter().map(|it| it.id).max().unwrap_or_default();
        let known = house.news.newest();
        for line in recovered.lines.iter().filter(|it| it.id > known) {
            house.news.push(line.news(line.id));
        }
        let mut evidence: BTreeMap<ServiceName, Evidence> =
            recovered.evidence.into_iter().map(|it| (it.service.clone(), it)).collect();
        let calendar = Calendar::with(recovered.freeze);
        let services = recovered.services.into_iter();
        let recovered = services.map(|(name, state)| {
            let evidence = evidence.remove(&name);
            (name, (state, evidence))
        });
        Self {
            recovered: recovered.collect(),
            out: Outbox::after(newest.max(house.news.newest()), house.tracer.clone()),
            house,
            loaded: None,
            serving: None,
            desks: BTreeMap::new(),
            health: JournalHealth::Durable,
            unsaved_lines: Vec::new(),
            next_retry: Timestamp(0),
            next_report: Timestamp(0),
            rates: report::Rates::default(),
            alert: false,
            calendar,
        }
    }

    /// A new configuration: all of it, or nothing.
    pub fn configure(&mut self, it: Arc<Configure>, now: Timestamp) -> Result<Vec<Job>, ConfigureError> {
        self.house.additions.learn(&it.additions);
        let objections: Vec<_> = it.config.services.iter().filter_map(|it| self.objection(it)).collect();
        if !objections.is_empty() {
            return Err(ConfigureError::Objections(objections));
        }
        self.out.generation = it.generation;
        self.loaded = Some(Arc::clone(&it));
        self.serving = Some(it.config.clone());
        for service in &it.config.services {
            self.meet(service, &it.source, now);
        }
        self.fit();
        it.config.services.iter().for_each(|service| self.look(&service.spec.name, now));
        let gone = |desk: &&mut Desk| {
            desk.present && !it.config.services.iter().any(|service| service.spec.name == desk.name)
        };
        for desk in self.desks.values_mut().filter(gone) {
            desk.present = false;
            desk.feed(Input::Removed, None, &mut world(&mut self.out, &self.house, &self.calendar, now));
            self.house.counts.show(&desk.name, None);
        }
        self.out.publish = true;
        let jobs = self.settle(now);
        self.report(now);
        Ok(jobs)
    }

    /// A check or an endpoint has answered.
    pub fn said(&mut self, it: Said, now: Timestamp) -> Vec<Job> {
        let service = match &it {
            Said::Heard(it) => &it.service,
            Said::Reached(it) => &it.service,
            Said::Answered(it) => &it.service,
        };
        let Some(desk) = self.desks.get_mut(service) else { return Vec::new() };
        match &it {
            Said::Heard(it) => desk.errands.heard(it, now),
            Said::Reached(it) => desk.readiness.reached(it, now),
            Said::Answered(it) => desk.vetoes.answered(it),
        }
        desk.look(&mut world(&mut self.out, &self.house, &self.calendar, now));
        self.settle(now)
    }

    /// Something failed somewhere: look more often until the releases are over.
    pub fn alarmed(&mut self) {
        self.alert = true;
    }

    /// Looks at everything.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Job> {
        let mut world = world(&mut self.out, &self.house, &self.calendar, now);
        self.desks.values_mut().for_each(|it| it.look(&mut world));
        self.save_evidence(now);
        self.write_again(now);
        self.answer_late(now);
        if !self.is_active() {
            self.alert = false;
        } else if !self.alert {
            self.house.counts.arm();
        }
        let due = now >= self.next_report;
        let jobs = self.settle(now);
        if due {
            self.report(now);
        }
        jobs
    }

    /// The last words of a controller that is told to stop.
    pub fn stop(&mut self, now: Timestamp) -> Vec<Job> {
        self.desks.values_mut().for_each(|it| it.errands = Errands::default());
        self.save_evidence(now + EVIDENCE_EVERY);
        self.settle(now)
    }

    /// Whether the journal owes an answer.
    pub fn awaits_journal(&self) -> bool {
        !self.out.waiting.is_empty()
    }

    /// Looks at one service.
    fn look(&mut self, service: &ServiceName, now: Timestamp) {
        let Some(desk) = self.desks.get_mut(service) else { return };
        desk.look(&mut world(&mut self.out, &self.house, &self.calendar, now));
    }

    /// Publishes, hands out what the journal is to write, and tells the news.
    fn settle(&mut self, now: Timestamp) -> Vec<Job> {
        self.fit();
        if std::mem::take(&mut self.out.publish) {
            self.publish(now);
        }
        let changed = !self.out.jobs.is_empty() || !self.out.news.is_empty();
        if changed {
            self.compare_with_file(now);
        }
        let jobs = std::mem::take(&mut self.out.jobs);
        let news = std::mem::take(&mut self.out.news);
        news.into_iter().for_each(|it| self.house.news.push(it));
        if changed {
            self.report(now);
        }
        for (reply, answer) in std::mem::take(&mut self.out.answers) {
            // Who asked may have gone.
            let _ = reply.send(Ok(answer));
        }
        jobs
    }
}

fn world<'a>(out: &'a mut Outbox, house: &'a House, calendar: &'a Calendar, now: Timestamp) -> World<'a> {
    let (counts, newest) = (&*house.counts, house.news.newest());
    let (endpoints, laboratory) = (&*house.endpoints, house.laboratory.as_ref());
    World { out, counts, endpoints, newest, calendar, laboratory, now }
}
