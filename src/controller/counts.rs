//! What the controller sees of the traffic, and what it says about itself to those who measure.

use std::pin::Pin;
use std::time::Duration;

use crate::model::{Histogram, LaneTally, SLOW_SLOTS, ServiceName, Timestamp, VersionName};
use crate::telemetry::{Registry, ReleaseFacts};

/// Counts of versions and the bell that rings when one fails.
///
/// A trait, so that tests can script what was seen; the real one is the telemetry [`Registry`].
pub trait Counts: Send + Sync {
    /// Judged responses of a version since its series began; it only grows.
    fn tally(&self, service: &ServiceName, version: &VersionName) -> LaneTally;
    /// Durations of a version's requests since its series began; for display.
    fn latency(&self, service: &ServiceName, version: &VersionName) -> Histogram;
    /// Times until a version's response heads, since its series began.
    fn answer_latency(&self, service: &ServiceName, version: &VersionName) -> Histogram {
        self.latency(service, version)
    }
    /// Judged requests of a version by one of its limits of age; it only grows.
    fn slow(&self, _: &ServiceName, _: &VersionName, _slot: usize) -> LaneTally {
        LaneTally::default()
    }
    /// Sets a version's limits of age in microseconds; `u64::MAX` is no limit.
    fn limit_ages(&self, _: &ServiceName, _: &VersionName, _limits_us: &[u64; SLOW_SLOTS]) {}
    /// Lets the next failure ring the bell.
    fn arm(&self);
    /// Waits for the bell.
    fn raised(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
    /// Says which versions serve.
    fn serving(&self, versions: &[(ServiceName, VersionName)], now: Timestamp);
    /// Says what a release is doing; `None` when the service is gone.
    fn show(&self, service: &ServiceName, facts: Option<ReleaseFacts>);
    /// Says what was decided, and by whom.
    fn decided(&self, service: &ServiceName, decision: &'static str, actor: &'static str);
    /// Says that a release has ended, how, and how long it took.
    fn ended(&self, outcome: &'static str, took: Duration);
    /// Says whether decisions reach the disk.
    fn written_down(&self, durable: bool);
}

impl Counts for Registry {
    fn tally(&self, service: &ServiceName, version: &VersionName) -> LaneTally {
        Registry::tally(self, service, version)
    }

    fn latency(&self, service: &ServiceName, version: &VersionName) -> Histogram {
        Registry::latency(self, service, version)
    }

    fn answer_latency(&self, service: &ServiceName, version: &VersionName) -> Histogram {
        Registry::answer_latency(self, service, version)
    }

    fn slow(&self, service: &ServiceName, version: &VersionName, slot: usize) -> LaneTally {
        Registry::slow(self, service, version, slot)
    }

    fn limit_ages(&self, service: &ServiceName, version: &VersionName, limits_us: &[u64; SLOW_SLOTS]) {
        Registry::limit_ages(self, service, version, limits_us);
    }

    fn arm(&self) {
        self.alarm().arm();
    }

    fn raised(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.alarm().raised())
    }

    fn serving(&self, versions: &[(ServiceName, VersionName)], now: Timestamp) {
        self.retain(versions, now);
    }

    fn show(&self, service: &ServiceName, facts: Option<ReleaseFacts>) {
        match facts {
            Some(facts) => self.set_release(service, facts),
            None => self.forget_release(service),
        }
    }

    fn decided(&self, service: &ServiceName, decision: &'static str, actor: &'static str) {
        self.count_decision(service, decision, actor);
    }

    fn ended(&self, outcome: &'static str, took: Duration) {
        self.release_ended(outcome, took);
    }

    fn written_down(&self, durable: bool) {
        self.journal_durable(durable);
    }
}
