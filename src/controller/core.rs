//! All services together: inputs in, and after each of them the table, the journal, the news, in that
//! order. Nothing here waits; the shell ([`super::run`]) does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::config::{Authority, Config, ServiceConfig};
use crate::model::{ServiceName, Timestamp};
use crate::release::{
    Actor, Command, Event as Input, Loaded, RefusalCode, Shares, State, Version, What, adopt, drift,
    objection,
};
use crate::routing::{Publisher, Table};
use crate::store::{Evidence, Freeze, Line, Record, Recovered};

use super::counts::Counts;
use super::desk::{Desk, World};
use super::endpoints::{self, Endpoints};
use super::errand::{Errands, Laboratory, Said};
use super::fit::{self, Additions};
use super::handle::{Asked, Configure, ConfigureError, Recent};
use super::journal::{Ack, Job};
use super::outbox::{Outbox, Purpose, Reply, answer, refuse};
use super::status::{JournalHealth, Status};
use super::tracer::Tracer;
use super::{report, table};

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
    /// A person said that nothing advances.
    pub freeze: Option<Freeze>,
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
        let recovered_freeze = recovered.freeze;
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
            freeze: recovered_freeze,
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
            desk.feed(
                Input::Removed,
                None,
                &mut world(&mut self.out, &self.house, self.freeze.as_ref(), now),
            );
            self.house.counts.show(&desk.name, None);
        }
        self.out.publish = true;
        let jobs = self.settle(now);
        self.report(now);
        Ok(jobs)
    }

    /// A person wants something.
    pub fn command(&mut self, it: Asked, reply: Reply, now: Timestamp) -> Vec<Job> {
        let Some(desk) = self.desks.get(&it.service).filter(|it| it.present) else {
            let reason = format!("there is no service `{}`", it.service);
            refuse(Some(reply), RefusalCode::UnknownService, reason);
            return Vec::new();
        };
        if it.expected_step.is_some_and(|step| step != desk.state.moves) {
            let reason = format!("the release has moved on: {} is {} now", it.service, desk.state.word());
            refuse(Some(reply), RefusalCode::Stale, reason);
            return Vec::new();
        }
        if let Some((code, reason)) = refused_by_file(self.loaded.as_deref(), desk, &it) {
            refuse(Some(reply), code, reason);
            return Vec::new();
        }
        if let Some(addition) = &it.addition {
            let desks = &self.desks;
            self.house
                .additions
                .keep(|service, version| desks.get(service).is_none_or(|it| it.uses(version)));
            self.house.additions.learn([addition]);
        }
        let Some(desk) = self.desks.get_mut(&it.service) else { return Vec::new() };
        let mut world = world(&mut self.out, &self.house, self.freeze.as_ref(), now);
        let permit = desk.permit(&world);
        desk.feed(Input::Commanded(it.command, it.by, permit), Some(reply), &mut world);
        self.fit();
        self.look(&it.service, now);
        self.settle(now)
    }

    /// A person stops everything from advancing, or ends that.
    pub fn freeze(&mut self, it: Result<Freeze, Actor>, reply: Reply, now: Timestamp) -> Vec<Job> {
        let text = match (&it, &self.freeze) {
            (Ok(it), Some(old)) if *it == *old => {
                answer(Some(reply), "frozen already", false, true);
                return Vec::new();
            }
            (Err(_), None) => {
                answer(Some(reply), "nothing is frozen", false, true);
                return Vec::new();
            }
            (Ok(it), _) => {
                let until = it.until.map_or("until `unfreeze`".into(), |it| format!("until {it}"));
                let why = it.reason.as_ref().map_or(String::new(), |it| format!(" ({it})"));
                format!("frozen by {} {until}{why}: nothing advances, rollbacks go on", it.by)
            }
            (Err(by), Some(_)) => format!("unfrozen by {by}: releases go on"),
        };
        tracing::info!("{text}");
        let (what, by) = match &it {
            Ok(it) => (What::Frozen, it.by.clone()),
            Err(by) => (What::Unfrozen, by.clone()),
        };
        self.freeze = it.ok();
        let mut records = vec![Record::Freeze(self.freeze.clone())];
        let mut world = world(&mut self.out, &self.house, self.freeze.as_ref(), now);
        let desks = self.desks.values_mut().filter(|it| it.present);
        records.extend(desks.map(|it| Record::Line(Box::new(it.hears_of(what, &by, &text, &mut world)))));
        self.out.write(None, records, Purpose::Change(Some((reply, text))), now);
        let jobs = self.settle(now);
        self.report(now);
        jobs
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
        desk.look(&mut world(&mut self.out, &self.house, self.freeze.as_ref(), now));
        self.settle(now)
    }

    /// The journal has done a job.
    pub fn acknowledged(&mut self, ack: &Ack, now: Timestamp) -> Vec<Job> {
        let Some(waiting) = self.out.waiting.remove(&ack.number) else {
            return Vec::new();
        };
        let before = self.health.clone();
        self.health = match &ack.result {
            Ok(()) => JournalHealth::Durable,
            Err(why) => {
                self.next_retry = now + RETRY_EVERY;
                JournalHealth::NotDurable(why.clone())
            }
        };
        let mut world = world(&mut self.out, &self.house, self.freeze.as_ref(), now);
        let concerned =
            self.desks.values_mut().filter(|it| waiting.service.as_ref().is_none_or(|name| it.name == *name));
        let mut waiting_to_begin = Vec::new();
        for desk in concerned {
            let waited = desk.state.awaits_release();
            desk.acknowledged(ack.number, &ack.result, &mut world);
            if !waited && desk.state.awaits_release() {
                waiting_to_begin.push(desk.name.clone());
            }
        }
        self.fit();
        waiting_to_begin.iter().for_each(|it| self.look(it, now));
        match waiting.purpose {
            Purpose::Change(asked) => {
                self.keep_lines(&ack.lost);
                if let Some((reply, text)) = asked {
                    answer(Some(reply), text, true, ack.result.is_ok());
                }
            }
            Purpose::Again => self.keep_lines(&ack.lost),
            // A raise that is not written down has not happened, and newer numbers follow.
            Purpose::Raise | Purpose::Evidence => {}
        }
        let jobs = self.settle(now);
        if ack.result.is_err() || self.health != before {
            self.report(now);
        }
        jobs
    }

    /// The journal's thread is gone: nothing will rise any more.
    pub fn journal_lost(&mut self, jobs: Vec<Job>, now: Timestamp) {
        for job in jobs {
            let result = Err("the journal's thread has ended".to_owned());
            let ack = Ack { number: job.number, result, lost: job.records };
            // Whatever that leads to cannot be written either.
            let _ = self.acknowledged(&ack, now);
        }
    }

    /// Something failed somewhere: look more often until the releases are over.
    pub fn alarmed(&mut self) {
        self.alert = true;
    }

    /// Looks at everything.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Job> {
        let mut world = world(&mut self.out, &self.house, self.freeze.as_ref(), now);
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

    /// When to look again. While a release is under way at most 50 ms pass. Once something has failed the
    /// distance follows the number of responses (never the number of failures, which would bend the
    /// test), so that the harm until a decision does not depend on the traffic.
    pub fn pause(&self) -> Duration {
        if !self.is_active() {
            return PAUSE_IDLE;
        }
        if !self.alert {
            return PAUSE_ACTIVE;
        }
        let rate = self.desks.values().filter_map(|it| it.watch.as_ref()).map(|it| it.per_second);
        let rate = rate.fold(0.0, f64::max);
        if rate <= RESPONSES_PER_LOOK / PAUSE_ALERT_MAX.as_secs_f64() {
            return PAUSE_ALERT_MAX;
        }
        Duration::from_secs_f64(RESPONSES_PER_LOOK / rate).max(PAUSE_ALERT_MIN)
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

    fn is_active(&self) -> bool {
        self.desks.values().any(Desk::is_active)
    }

    fn objection(&self, service: &ServiceConfig) -> Option<(ServiceName, String)> {
        let desk = self.desks.get(&service.spec.name).filter(|it| it.present)?;
        let why = objection(&desk.state, &self.told_of(service, &desk.state, ""))?;
        Some((desk.name.clone(), why))
    }

    /// A service of the configuration: known, known from the journal, or seen for the first time.
    fn meet(&mut self, service: &ServiceConfig, source: &str, now: Timestamp) {
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
        let mut world =
            World { counts: &*counts, ..world(&mut self.out, &self.house, self.freeze.as_ref(), now) };
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
    fn told_of(&self, service: &ServiceConfig, state: &State, source: &str) -> Loaded {
        let lost = self.house.additions.missing(&service.spec.name, &state.deployed);
        Loaded { lost, ..loaded(service, source) }
    }

    /// Looks at one service.
    fn look(&mut self, service: &ServiceName, now: Timestamp) {
        let Some(desk) = self.desks.get_mut(service) else { return };
        desk.look(&mut world(&mut self.out, &self.house, self.freeze.as_ref(), now));
    }

    /// Every service has the versions of run time that its release uses, and no others.
    fn fit(&mut self) {
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

    /// Says where what runs has begun, or has ceased, to differ from what the file says.
    fn compare_with_file(&mut self, now: Timestamp) {
        let mut world = world(&mut self.out, &self.house, self.freeze.as_ref(), now);
        let desks = self.desks.values_mut().filter(|it| it.present);
        let lines: Vec<Line> = desks.filter_map(|it| it.compare_with_file(&mut world)).collect();
        if !lines.is_empty() {
            let records = lines.into_iter().map(|it| Record::Line(Box::new(it))).collect();
            self.out.write(None, records, Purpose::Change(None), now);
        }
    }

    fn publish(&self, now: Timestamp) {
        let (Some(loaded), Some(config)) = (&self.loaded, &self.serving) else { return };
        let generation = loaded.generation;
        let routed = |it: &ServiceConfig| self.desks.get(&it.spec.name).map(Desk::routed);
        self.house.publisher.publish(table::build(config, generation, routed));
        let alone: BTreeMap<&ServiceName, Shares> = self
            .desks
            .iter()
            .map(|(name, it)| (name, Shares { canary: None, ..it.shares.clone() }))
            .collect();
        let fallback = table::build(config, generation, |it| {
            Some(table::Routed { shares: alone.get(&it.spec.name)?, preview: None })
        });
        *self.house.fallback.lock().unwrap_or_else(PoisonError::into_inner) = Some(fallback);
        let versions = config.services.iter().flat_map(|it| {
            it.spec.versions.iter().map(|version| (it.spec.name.clone(), version.name.clone()))
        });
        self.house.counts.serving(&versions.collect::<Vec<_>>(), now);
    }

    fn report(&mut self, now: Timestamp) {
        self.next_report = now + if self.is_active() { REPORT_ACTIVE } else { REPORT_IDLE };
        let (Some(loaded), Some(config)) = (&self.loaded, &self.serving) else { return };
        self.rates.measure(config, &*self.house.counts, now);
        let (counts, freeze) = (&*self.house.counts, self.freeze.as_ref());
        let mut status = report::status(loaded, config, &self.desks, &self.rates, counts, freeze, now);
        endpoints::tell(&mut status, &*self.house.endpoints);
        status.journal = self.health.clone();
        self.house.counts.written_down(self.health == JournalHealth::Durable);
        status.freeze = self.freeze.clone().filter(|it| it.until.is_none_or(|until| now < until));
        for (service, facts) in report::facts(&status) {
            self.house.counts.show(&service, Some(facts));
        }
        status.revision = self.house.status.borrow().revision + 1;
        self.house.status.send_replace(Arc::new(status));
    }

    /// The judges' numbers, every few seconds, as long as the disk keeps up.
    fn save_evidence(&mut self, now: Timestamp) {
        if self.out.awaits(|it| matches!(it, Purpose::Evidence)) {
            return;
        }
        let mut records = Vec::new();
        for desk in self.desks.values_mut() {
            if let Some(watch) = desk.watch.as_mut().filter(|it| now.since(it.saved) >= EVIDENCE_EVERY) {
                watch.saved = now;
                records.push(Record::Evidence(Box::new(watch.save(&desk.name, now))));
            }
        }
        if !records.is_empty() {
            self.out.write(None, records, Purpose::Evidence, now);
        }
    }

    /// What the journal did not take is offered again, whole.
    fn write_again(&mut self, now: Timestamp) {
        let trouble = matches!(self.health, JournalHealth::NotDurable(_));
        if !trouble || now < self.next_retry || self.out.awaits(|it| matches!(it, Purpose::Again)) {
            return;
        }
        self.next_retry = now + RETRY_EVERY;
        let lines = std::mem::take(&mut self.unsaved_lines);
        let mut records: Vec<Record> = lines.into_iter().map(Box::new).map(Record::Line).collect();
        records.push(Record::Freeze(self.freeze.clone()));
        let unsaved: Vec<&mut Desk> = self.desks.values_mut().filter(|it| it.unsaved).collect();
        records.extend(unsaved.iter().map(|it| Record::Change(Box::new(it.save_again()))));
        let job = self.out.write(None, records, Purpose::Again, now);
        unsaved.into_iter().for_each(|it| it.saved_by(job));
    }

    /// Lines that must be offered again; the oldest are given up when there are too many.
    fn keep_lines(&mut self, lost: &[Record]) {
        self.unsaved_lines.extend(lost.iter().filter_map(|it| match it {
            Record::Line(line) => Some(Line::clone(line)),
            Record::Change(change) => change.line.clone(),
            Record::Evidence(_) | Record::Freeze(_) => None,
        }));
        let excess = self.unsaved_lines.len().saturating_sub(UNSAVED_LINES_MAX);
        self.unsaved_lines.drain(..excess);
    }

    /// A command that was carried out is answered in bounded time, even if the disk hangs.
    fn answer_late(&mut self, now: Timestamp) {
        let late = |it: &&mut super::outbox::Waiting| now.since(it.since) >= ANSWER_WITHIN;
        for waiting in self.out.waiting.values_mut().filter(late) {
            if let Purpose::Change(asked @ Some(_)) = &mut waiting.purpose
                && let Some((reply, text)) = asked.take()
            {
                answer(Some(reply), text, true, false);
            }
        }
    }
}

fn world<'a>(out: &'a mut Outbox, house: &'a House, freeze: Option<&'a Freeze>, now: Timestamp) -> World<'a> {
    let (counts, newest) = (&*house.counts, house.news.newest());
    let (endpoints, laboratory) = (&*house.endpoints, house.laboratory.as_ref());
    World { out, counts, endpoints, newest, freeze, laboratory, now }
}

/// What the configuration says about a service, in the words of the machine.
fn loaded(service: &ServiceConfig, source: &str) -> Loaded {
    let versions: Vec<Version> = service.spec.versions.iter().map(fit::version).collect();
    let live = versions[service.live.0].clone();
    Loaded { live, versions, lost: Vec::new(), by: Actor::file(source) }
}

/// What the file has against a command: it alone decides, or it names what is to be deployed.
fn refused_by_file(loaded: Option<&Configure>, desk: &Desk, asked: &Asked) -> Option<(RefusalCode, String)> {
    let config = &loaded?.config;
    let stops = matches!(asked.command, Command::Pause { .. } | Command::Resume | Command::Rollback { .. });
    if config.authority == Authority::Git && !stops {
        let text = format!(
            "`authority: git`: only the file changes what is released, and `{}` is not in it; `pause`, `resume`, \
             `rollback`, `freeze` and `unfreeze` are free to all",
            asked.command.verb()
        );
        return Some((RefusalCode::FileDecides, text));
    }
    let Command::Deploy { version, .. } = &asked.command else { return None };
    let service = config.services.iter().find(|it| it.spec.name == asked.service)?;
    let filed = service.spec.versions.iter().map(fit::version).find(|it| it.name == version.name)?;
    // Asking again for what the file has taken over meanwhile is answered by the machine: it is so already.
    let text = if filed != *version {
        format!("the file has a version {version} with other endpoints: give this one another name")
    } else if desk.state.wanted != filed {
        format!("the file has {version} already: name it as `live` there")
    } else {
        return None;
    };
    Some((RefusalCode::WrongState, text))
}

/// Without a release nothing is urgent.
const PAUSE_IDLE: Duration = Duration::from_millis(500);
const PAUSE_ACTIVE: Duration = Duration::from_millis(50);
const PAUSE_ALERT_MAX: Duration = Duration::from_millis(20);
/// 500 looks a second cost about one hundredth of a core.
const PAUSE_ALERT_MIN: Duration = Duration::from_millis(2);
/// Responses of both lanes between two looks, if they come fast.
const RESPONSES_PER_LOOK: f64 = 20.0;
const REPORT_ACTIVE: Duration = Duration::from_millis(500);
const REPORT_IDLE: Duration = Duration::from_secs(2);
/// A crash loses at most this much evidence, and the judge makes up for it.
const EVIDENCE_EVERY: Duration = Duration::from_secs(3);
const RETRY_EVERY: Duration = Duration::from_secs(1);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Lines kept for a disk that is full for long.
const UNSAVED_LINES_MAX: usize = 500;
