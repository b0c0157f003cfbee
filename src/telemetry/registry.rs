//! All series of the process, found by identity.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::{
    Generation, Histogram, LaneTally, ListenerName, SLOW_SLOTS, ServiceName, TargetName, Timestamp,
    VersionName,
};

use super::access::LogSeries;
use super::alarm::Alarm;
use super::exposition::{self, Dialect};
use super::facts::{CertificateFacts, Facts, ReleaseFacts};
use super::listener::ListenerSeries;
use super::version::VersionSeries;

/// Every series of the process. The locks inside are taken when tables are built, at ticks and at
/// scrapes, never while a request is served.
#[derive(Debug)]
pub struct Registry {
    workers: usize,
    alarm: Arc<Alarm>,
    versions: Mutex<BTreeMap<(ServiceName, VersionName), VersionEntry>>,
    listeners: Mutex<BTreeMap<ListenerName, ListenerEntry>>,
    facts: Mutex<Facts>,
    log: Arc<LogSeries>,
    spans: Arc<LogSeries>,
}

#[derive(Debug)]
struct VersionEntry {
    series: Arc<VersionSeries>,
    /// When it stopped serving; `None` while it serves.
    left: Option<Timestamp>,
}

#[derive(Debug)]
struct ListenerEntry {
    series: Arc<ListenerSeries>,
    /// When it was closed; `None` while it is configured.
    left: Option<Timestamp>,
}

impl Registry {
    /// A registry for so many workers, indexed from 0.
    pub fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            workers,
            alarm: Arc::default(),
            versions: Mutex::default(),
            listeners: Mutex::default(),
            facts: Mutex::default(),
            log: Arc::new(LogSeries::new(workers)),
            spans: Arc::new(LogSeries::new(workers)),
        })
    }

    /// How many workers record.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// The series of a version; the same one for the same names, across reloads.
    pub fn version(&self, service: &ServiceName, version: &VersionName) -> Arc<VersionSeries> {
        let key = (service.clone(), version.clone());
        let mut versions = locked(&self.versions);
        let entry = versions.entry(key).or_insert_with(|| {
            let series = VersionSeries::new(service.clone(), version.clone(), self.workers, &self.alarm);
            VersionEntry { series: Arc::new(series), left: None }
        });
        entry.left = None;
        Arc::clone(&entry.series)
    }

    /// The series of a listener; the same one for the same name, across reloads.
    pub fn listener(&self, name: &ListenerName) -> Arc<ListenerSeries> {
        let mut listeners = locked(&self.listeners);
        let entry = listeners.entry(name.clone()).or_insert_with(|| {
            let series = ListenerSeries::new(name.clone(), self.workers);
            ListenerEntry { series: Arc::new(series), left: None }
        });
        entry.left = None;
        Arc::clone(&entry.series)
    }

    /// Judged responses of a version since its series began; all zero if it has none.
    pub fn tally(&self, service: &ServiceName, version: &VersionName) -> LaneTally {
        self.find(service, version).map(|it| it.tally()).unwrap_or_default()
    }

    /// Whole durations of a version's requests.
    pub fn latency(&self, service: &ServiceName, version: &VersionName) -> Histogram {
        self.find(service, version).map(|it| it.latency()).unwrap_or_default()
    }

    /// Times until a version's response heads.
    pub fn answer_latency(&self, service: &ServiceName, version: &VersionName) -> Histogram {
        self.find(service, version).map(|it| it.answer_latency()).unwrap_or_default()
    }

    /// Judged requests of a version by one of its limits of age.
    pub fn slow(&self, service: &ServiceName, version: &VersionName, slot: usize) -> LaneTally {
        self.find(service, version).map(|it| it.slow(slot)).unwrap_or_default()
    }

    /// Sets a version's limits of age in microseconds; `u64::MAX` is no limit.
    pub fn limit_ages(&self, service: &ServiceName, version: &VersionName, limits_us: &[u64; SLOW_SLOTS]) {
        if let Some(it) = self.find(service, version) {
            it.limit_ages(limits_us);
        }
    }

    /// Requests of a version that are under way.
    pub fn in_flight(&self, service: &ServiceName, version: &VersionName) -> u64 {
        self.find(service, version).map_or(0, |it| it.in_flight())
    }

    /// How the access log fares.
    pub fn log(&self) -> &Arc<LogSeries> {
        &self.log
    }

    /// How the export of spans fares.
    pub fn spans(&self) -> &Arc<LogSeries> {
        &self.spans
    }

    /// The bell that wakes the controller.
    pub fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    /// Every version that has a series, in order.
    pub fn versions(&self) -> Vec<Arc<VersionSeries>> {
        locked(&self.versions).values().map(|it| Arc::clone(&it.series)).collect()
    }

    /// Every listener that has a series, in order.
    pub fn listeners(&self) -> Vec<Arc<ListenerSeries>> {
        locked(&self.listeners).values().map(|it| Arc::clone(&it.series)).collect()
    }

    /// Says which versions serve. The others' series leave an hour after they were first left out,
    /// and not before their last request is over.
    pub fn retain(&self, live: &[(ServiceName, VersionName)], now: Timestamp) {
        locked(&self.versions).retain(|key, entry| {
            if live.contains(key) {
                entry.left = None;
                return true;
            }
            let left = *entry.left.get_or_insert(now);
            now.since(left) < KEPT || entry.series.in_flight() > 0
        });
    }

    /// Says which listeners are configured. The others' series leave as those of versions do, and not
    /// before their last connection is closed.
    pub fn retain_listeners(&self, live: &[ListenerName], now: Timestamp) {
        locked(&self.listeners).retain(|name, entry| {
            if live.contains(name) {
                entry.left = None;
                return true;
            }
            let left = *entry.left.get_or_insert(now);
            now.since(left) < KEPT || entry.series.open() > 0
        });
    }

    /// Says what a service's release is doing.
    pub fn set_release(&self, service: &ServiceName, facts: ReleaseFacts) {
        locked(&self.facts).releases.insert(service.clone(), facts);
    }

    /// Leaves a service and the count of its decisions out from now on, because it is no longer
    /// configured.
    pub fn forget_release(&self, service: &ServiceName) {
        let mut facts = locked(&self.facts);
        facts.releases.remove(service);
        facts.decisions.retain(|key, _| key.0 != *service);
    }

    /// Counts a decision: what was decided (`advance`, `rollback`) and who decided (`policy`,
    /// `operator`, `file`). Both are words of the program, never of a user.
    pub fn count_decision(&self, service: &ServiceName, decision: &'static str, actor: &'static str) {
        *locked(&self.facts).decisions.entry((service.clone(), decision, actor)).or_default() += 1;
    }

    /// A release came to its end (`promoted`, `rolled_back`, `superseded`).
    pub fn release_ended(&self, outcome: &'static str, took: Duration) {
        locked(&self.facts).release_ended(outcome, took);
    }

    /// A configuration serves from now on.
    pub fn config_loaded(&self, generation: Generation, at: Timestamp) {
        locked(&self.facts).config_loaded(generation, at);
    }

    /// The files say what serves already, as when a bad change was taken back.
    pub fn config_confirmed(&self, at: Timestamp) {
        locked(&self.facts).config_confirmed(at);
    }

    /// A configuration was refused; the one before keeps serving.
    pub fn config_refused(&self, at: Timestamp) {
        locked(&self.facts).config_refused(at);
    }

    /// The certificates that serve from now on.
    pub fn certificates(&self, certificates: Vec<CertificateFacts>) {
        locked(&self.facts).certificates = certificates;
    }

    /// Whether decisions reach the disk.
    pub fn journal_durable(&self, durable: bool) {
        locked(&self.facts).journal_lost = !durable;
    }

    /// Notifications of a target came to this: `delivered`, `retried`, `failed` or `dropped`.
    pub fn notified(&self, target: &TargetName, result: &'static str, n: u64) {
        *locked(&self.facts).notifications.entry((target.clone(), result)).or_default() += n;
    }

    /// Counts for these targets from now on, and leaves those of all others out. Whatever can become of a notification
    /// has a count from the beginning: what appears with its first failure, Prometheus has not seen rise.
    pub fn retain_targets(&self, targets: &[TargetName], results: &[&'static str]) {
        let counts = &mut locked(&self.facts).notifications;
        counts.retain(|key, _| targets.contains(&key.0));
        for target in targets {
            for result in results {
                counts.entry((target.clone(), result)).or_default();
            }
        }
    }

    /// Somebody who followed events was too slow, and so many were left out.
    pub fn events_dropped(&self, n: u64) {
        locked(&self.facts).events_dropped += n;
    }

    /// An operator or a scraper was answered with this status.
    pub fn admin_answered(&self, status: u16) {
        *locked(&self.facts).admin_requests.entry(status).or_default() += 1;
    }

    /// All of it in Prometheus' text format.
    pub fn render(&self) -> String {
        self.render_as(Dialect::Prometheus)
    }

    /// All of it, as a scraper likes it.
    pub fn render_as(&self, dialect: Dialect) -> String {
        self.render_within(dialect, exposition::SERIES_MAX)
    }

    /// All of it, but for services and versions above so many series.
    pub(super) fn render_within(&self, dialect: Dialect, most: u64) -> String {
        let mut versions: Vec<_> = {
            let versions = locked(&self.versions);
            versions.values().map(|it| (it.left.is_some(), Arc::clone(&it.series))).collect()
        };
        // Stable, so by name within both groups. If there are too many, those that serve stay.
        versions.sort_by_key(|it| it.0);
        let mut counts: Vec<_> = versions
            .iter()
            .map(|(_, it)| (it.service().clone(), it.version().clone(), it.counts()))
            .collect();
        let listeners: Vec<_> = self.listeners().iter().map(|it| (it.name().clone(), it.counts())).collect();
        let mut facts = locked(&self.facts).clone();
        let dropped = exposition::limit(&mut counts, &mut facts, most);
        facts.series_dropped = {
            let mut told = locked(&self.facts);
            told.series_dropped += dropped;
            told.series_dropped
        };
        exposition::render(dialect, &counts, &listeners, &facts, [&self.log, &self.spans])
    }

    /// Looks a series up without making one.
    pub fn find(&self, service: &ServiceName, version: &VersionName) -> Option<Arc<VersionSeries>> {
        let key = (service.clone(), version.clone());
        locked(&self.versions).get(&key).map(|it| Arc::clone(&it.series))
    }
}

/// How long series outlive their version: long enough for every scraper to fetch the last counts, and
/// for a person to look at them after a rollback.
const KEPT: Duration = Duration::from_secs(3600);

/// A panic elsewhere leaves maps of counters as good as they were.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Ended;

    fn names(service: &str, version: &str) -> (ServiceName, VersionName) {
        (service.parse().unwrap(), version.parse().unwrap())
    }

    #[test]
    fn the_same_names_give_the_same_series() {
        let registry = Registry::new(1);
        let (service, version) = names("shop", "v1");
        let first = registry.version(&service, &version);
        first.worker(0).begun();
        assert!(Arc::ptr_eq(&first, &registry.version(&service, &version)));
        assert_eq!(registry.in_flight(&service, &version), 1);
        assert_eq!(registry.in_flight(&service, &"v2".parse().unwrap()), 0);
    }

    #[test]
    fn listeners_leave_too() {
        let registry = Registry::new(1);
        let name: ListenerName = "http".parse().unwrap();
        let series = registry.listener(&name);
        series.worker(0).accepted();
        let hour = Duration::from_secs(3600);
        registry.retain_listeners(&[], Timestamp(0));
        registry.retain_listeners(&[], Timestamp(0) + hour);
        assert_eq!(registry.listeners().len(), 1, "a connection is open");
        series.worker(0).closed();
        registry.retain_listeners(&[], Timestamp(0) + hour);
        assert!(registry.listeners().is_empty());
    }

    #[test]
    fn series_leave_an_hour_after_they_stop_serving() {
        let registry = Registry::new(1);
        let (service, version) = names("shop", "v1");
        let series = registry.version(&service, &version);
        let there = || registry.find(&service, &version).is_some();
        let at = |minutes: u64| Timestamp(minutes * 60_000_000);
        registry.retain(&[], at(0));
        registry.retain(&[], at(59));
        assert!(there());
        registry.retain(&[(service.clone(), version.clone())], at(60));
        registry.retain(&[], at(61));
        assert!(there(), "serving again starts the hour anew");
        series.worker(0).begun();
        registry.retain(&[], at(200));
        assert!(there(), "a request is under way");
        series.worker(0).ended(&Ended::default());
        registry.retain(&[], at(201));
        assert!(!there());
    }
}
