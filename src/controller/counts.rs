//! What the controller needs to see of the traffic.

use std::pin::Pin;

use crate::model::{Histogram, LaneTally, ServiceName, VersionName};

/// Counts of versions and the bell that rings when one fails.
///
/// A trait, so that tests can script what was seen; the real one is the telemetry registry.
pub trait Counts: Send + Sync {
    /// Judged responses of a version since its series began; it only grows.
    fn tally(&self, service: &ServiceName, version: &VersionName) -> LaneTally;
    /// Durations of a version's requests since its series began; for display.
    fn latency(&self, service: &ServiceName, version: &VersionName) -> Histogram;
    /// Lets the next failure ring the bell.
    fn arm(&self);
    /// Waits for the bell.
    fn raised(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}
