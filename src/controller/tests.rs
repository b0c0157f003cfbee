//! A whole controller but for its shell: virtual time, scripted traffic that follows the published
//! weights, the real judge, a real journal that can be told to fail or to hang.

mod commands;
mod dates;
mod deployed;
mod disk;
mod random;
mod releases;
mod replays;
mod restarts;
mod shell;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::config::{Addition, AdminSpec, Config, ServiceConfig};
use crate::model::{
    Fingerprint, Generation, Histogram, LaneTally, ServiceName, Tally, Timestamp, VersionName, Weight,
};
use crate::release::Version;
use crate::release::tests::{plan, span};
use crate::routing::{
    Balance, EndpointHost, EndpointSpec, ErrorStatus, Matcher, Publisher, ServiceLimits, ServiceSpec,
    StickyBy, Table, Timeouts, VersionIndex, VersionSpec,
};
use crate::store::Store;
use crate::store::memory::MemoryDisk;
use crate::telemetry::ReleaseFacts;

use super::core::{Core, House};
use super::handle::{Asked, Configure, Recent};
use super::journal::{Ack, Job};
use super::tracer::{Kept, Tracer};
use super::*;

const CANARY: &str = "5% 1m | 25% 1m, watch 1m";
const FLIP: &str = "watch 1m";

/// Counts that a test writes.
#[derive(Debug, Default)]
pub(super) struct Script {
    tallies: Mutex<BTreeMap<String, LaneTally>>,
    /// Panics at the next look.
    pub panics: Mutex<bool>,
    pub facts: Mutex<BTreeMap<String, ReleaseFacts>>,
    pub told: Mutex<Vec<String>>,
}

impl Script {
    fn add(&self, version: &str, shard: usize, seen: Tally) {
        let mut tallies = self.tallies.lock().unwrap();
        let lane = tallies.entry(version.to_owned()).or_default();
        lane.shards[shard] = lane.shards[shard].plus(seen);
    }
}

impl Counts for Script {
    fn tally(&self, _: &ServiceName, version: &VersionName) -> LaneTally {
        assert!(!*self.panics.lock().unwrap(), "told to panic");
        self.tallies.lock().unwrap().get(version.as_str()).cloned().unwrap_or_default()
    }
    fn latency(&self, _: &ServiceName, _: &VersionName) -> Histogram {
        Histogram::default()
    }
    fn arm(&self) {}
    fn raised(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }
    fn serving(&self, _: &[(ServiceName, VersionName)], _: Timestamp) {}
    fn show(&self, service: &ServiceName, facts: Option<ReleaseFacts>) {
        let mut all = self.facts.lock().unwrap();
        match facts {
            Some(it) => drop(all.insert(service.to_string(), it)),
            None => drop(all.remove(service.as_str())),
        }
    }
    fn decided(&self, _: &ServiceName, decision: &'static str, actor: &'static str) {
        self.told.lock().unwrap().push(format!("{decision} by {actor}"));
    }
    fn written_down(&self, _durable: bool) {}
    fn ended(&self, outcome: &'static str, _: Duration) {
        self.told.lock().unwrap().push(format!("ended {outcome}"));
    }
}

/// What the disk does with a job.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum DiskIs {
    Fine,
    Full,
    Hanging,
}

struct Rig {
    core: Core,
    store: Store,
    memory: MemoryDisk,
    script: Arc<Script>,
    house: House,
    now: Timestamp,
    disk: DiskIs,
    /// Jobs that a hanging disk has not done.
    hanging: Vec<Job>,
    /// Requests per second, and the failure rates of versions.
    rps: f64,
    failing: BTreeMap<&'static str, f64>,
    /// Fractions of requests that are still to come, by version.
    owed: BTreeMap<String, (f64, f64)>,
    generation: u64,
    requests: usize,
    /// Everything that was traced.
    kept: Kept,
}

fn config(live: &str, versions: &[&str], plan_text: &str) -> Config {
    let version = |it: &&str| {
        let name = it.trim_end_matches('\'');
        let host = EndpointHost::Name(format!("{name}.example"));
        VersionSpec {
            name: name.parse().unwrap(),
            endpoints: vec![EndpointSpec {
                host,
                port: 80,
                protocol: Default::default(),
                tls: None,
                proxy_protocol: None,
            }],
            fingerprint: Fingerprint::of(it.as_bytes()),
            health: None,
        }
    };
    let spec = ServiceSpec {
        name: "shop".parse().unwrap(),
        versions: versions.iter().map(version).collect(),
        balance: Balance::default(),
        sticky: None,
        pins: Vec::new(),
        preview: None,
        timeouts: Timeouts::default(),
        limits: ServiceLimits::default(),
        retry: Default::default(),
        care: Default::default(),
        shield: Default::default(),
        mirror: None,
        error_status: ErrorStatus::default(),
        client_key: StickyBy::default(),
        server_timing: false,
    };
    let live = VersionIndex(versions.iter().position(|it| *it == live).unwrap());
    Config {
        listeners: Vec::new(),
        admin: AdminSpec::default(),
        state: None,
        account: None,
        workers: None,
        access_log: None,
        trace: None,
        notify: Vec::new(),
        memory: Default::default(),
        health: None,
        authority: Default::default(),
        services: vec![ServiceConfig {
            spec: Arc::new(spec),
            live,
            split: Vec::new(),
            plan: plan(plan_text),
            queries: Vec::new(),
        }],
        dns: Arc::default(),
        matcher: Arc::new(Matcher::empty()),
        written: Arc::default(),
    }
}

impl Rig {
    /// A controller that has just loaded v1 of v1, v2 and v3.
    fn new(plan_text: &str) -> Self {
        let memory = MemoryDisk::default();
        let (store, recovered) = Store::on(Box::new(memory.clone())).unwrap();
        let script = Arc::new(Script::default());
        let (tracer, kept) = Tracer::kept();
        let additions = Arc::default();
        let house = House {
            laboratory: None,
            publisher: Publisher::new(Table::empty()),
            counts: Arc::clone(&script) as Arc<dyn Counts>,
            endpoints: Arc::new(()),
            news: Arc::new(Recent::default()),
            status: watch::Sender::new(Arc::default()),
            fallback: Arc::default(),
            additions: Arc::clone(&additions),
            tracer,
        };
        let mut it = Self {
            core: Core::new(house.clone(), recovered),
            store,
            memory,
            script,
            house,
            now: Timestamp(1_000_000_000),
            disk: DiskIs::Fine,
            hanging: Vec::new(),
            rps: 100.0,
            failing: BTreeMap::new(),
            owed: BTreeMap::new(),
            generation: 0,
            requests: 0,
            kept,
        };
        it.load("v1", plan_text).unwrap();
        it
    }

    fn load(&mut self, live: &str, plan_text: &str) -> Result<(), ConfigureError> {
        self.load_config(config(live, &["v1", "v2", "v3"], plan_text))
    }

    fn load_config(&mut self, config: Config) -> Result<(), ConfigureError> {
        self.generation += 1;
        let it = Configure {
            config,
            generation: Generation(self.generation),
            source: "tidegate.yaml".into(),
            additions: Vec::new(),
        };
        let jobs = self.core.configure(Arc::new(it), self.now)?;
        self.write(jobs);
        Ok(())
    }

    /// The answer, if it has come.
    fn command_now(
        &mut self,
        command: Command,
        expected: Option<u64>,
    ) -> oneshot::Receiver<Result<Answer, Refused>> {
        let (reply, answer) = oneshot::channel();
        let by = Actor { name: "ann".into(), via: Via::Cli };
        let it =
            Asked { service: "shop".parse().unwrap(), command, addition: None, by, expected_step: expected };
        let jobs = self.core.command(it, reply, self.now);
        self.write(jobs);
        answer
    }

    /// The answer to a `deploy` of v4, if it has come.
    fn deploy_now(&mut self) -> oneshot::Receiver<Result<Answer, Refused>> {
        let (reply, answer) = oneshot::channel();
        let by = Actor { name: "ann".into(), via: Via::Cli };
        let spec = config("v4", &["v4"], FLIP).services[0].spec.versions[0].clone();
        let version = Version { name: spec.name.clone(), fingerprint: spec.fingerprint };
        let definition = "http://v4.example".to_owned();
        let service: ServiceName = "shop".parse().unwrap();
        let addition = Addition {
            service: service.clone(),
            spec,
            definition: definition.clone(),
            read: Vec::new(),
            digest: 0,
        };
        let command = Command::Deploy { version, definition, reason: None };
        let it = Asked { service, command, addition: Some(addition), by, expected_step: None };
        let jobs = self.core.command(it, reply, self.now);
        self.write(jobs);
        answer
    }

    fn command(&mut self, command: Command) -> Result<Answer, Refused> {
        self.command_now(command, None).try_recv().expect("an answer")
    }

    /// As the journal's thread would, and whatever the core wants after that.
    fn write(&mut self, jobs: Vec<Job>) {
        let mut jobs: std::collections::VecDeque<Job> = jobs.into();
        while let Some(Job { number, records }) = jobs.pop_front() {
            let ack = match self.disk {
                DiskIs::Hanging => {
                    self.hanging.push(Job { number, records });
                    continue;
                }
                DiskIs::Fine => {
                    self.store.append(&records).unwrap();
                    Ack { number, result: Ok(()), lost: Vec::new() }
                }
                DiskIs::Full => Ack { number, result: Err("no space".into()), lost: records },
            };
            jobs.extend(self.core.acknowledged(&ack, self.now));
        }
    }

    fn disk(&mut self, disk: DiskIs) {
        self.disk = disk;
        let hanging = std::mem::take(&mut self.hanging);
        self.write(hanging);
    }

    /// Lets traffic flow by the published weights, and the controller look as often as it wants to.
    fn run(&mut self, text: &str) {
        let until = self.now + span(text);
        while self.now < until {
            let pause = self.core.pause();
            self.now = self.now + pause;
            for (version, weight) in self.weights() {
                let rate = self.failing.get(version.as_str()).copied().unwrap_or_default();
                let came = self.rps * pause.as_secs_f64() * weight.ratio();
                let owed = self.owed.entry(version.clone()).or_default();
                *owed = (owed.0 + came, owed.1 + came * rate);
                for _ in 0..owed.0.trunc() as u64 {
                    let bad = u64::from(owed.1 >= 1.0);
                    *owed = (owed.0 - 1.0, owed.1 - bad as f64);
                    self.requests += 1;
                    self.script.add(&version, self.requests % 32, Tally { requests: 1, bad });
                }
            }
            let jobs = self.core.tick(self.now);
            self.write(jobs);
        }
    }

    /// What is published, by version, in the order of the file.
    fn weights(&self) -> Vec<(String, Weight)> {
        let table = self.house.publisher.current();
        let Some(service) = table.services.first() else { return Vec::new() };
        let versions = service.spec.versions.iter().enumerate();
        versions.map(|(at, it)| (it.name.to_string(), service.split.weight(VersionIndex(at)))).collect()
    }

    /// `v1 95% v2 5%`
    fn shares(&self) -> String {
        let some = self.weights().into_iter().filter(|(_, weight)| *weight > Weight::NONE);
        some.map(|(version, weight)| format!("{version} {weight}")).collect::<Vec<_>>().join(" ")
    }

    fn status(&self) -> ServiceStatus {
        self.house.status.borrow().service("shop").unwrap().clone()
    }

    fn journal(&self) -> JournalHealth {
        self.house.status.borrow().journal.clone()
    }

    /// What was told, in one word each.
    fn told(&self) -> String {
        let events = self.house.news.since(0);
        let ids: Vec<u64> = events.iter().map(|it| it.id).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
        events.iter().map(|it| it.what.as_str()).collect::<Vec<_>>().join(" ")
    }

    fn bad(&self, version: &str) -> u64 {
        self.script.tally(&"shop".parse().unwrap(), &version.parse().unwrap()).total().bad
    }

    /// The process is killed and started again; counters begin at zero, and the clock has gone on.
    fn restart(&mut self, down: &str) {
        self.now = self.now + span(down);
        self.script = Arc::default();
        let additions = Arc::clone(&self.house.additions);
        self.house = House {
            laboratory: None,
            publisher: Publisher::new(Table::empty()),
            counts: Arc::clone(&self.script) as Arc<dyn Counts>,
            endpoints: Arc::new(()),
            news: Arc::new(Recent::default()),
            status: watch::Sender::new(Arc::default()),
            fallback: Arc::default(),
            additions: Arc::clone(&additions),
            tracer: self.house.tracer.clone(),
        };
        self.hanging.clear();
        // With the power, so that nothing remains that was not synced.
        self.memory = self.memory.after_power_loss().remove(0);
        let (store, recovered) = Store::on(Box::new(self.memory.clone())).unwrap();
        self.store = store;
        self.core = Core::new(self.house.clone(), recovered);
    }
}

fn promote() -> Command {
    Command::promote(false)
}

fn rollback() -> Command {
    Command::Rollback { to: None, reason: Some("a hunch".into()) }
}
