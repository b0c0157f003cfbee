//! What a desk remembers of stable while nothing is being released: how often it fails, and how its callers
//! cluster. Both are what the next release begins with.

use crate::analysis::{Clusters, History};
use crate::model::{LaneTally, ServiceName, Timestamp};
use crate::release::Version;

use super::super::counts::Counts;
use super::super::watch::Memory;
use super::{Desk, World};

/// Stable's past, and its counters at the last look.
#[derive(Debug)]
pub(super) struct Remembered {
    history: History,
    clusters: Clusters,
    version: Version,
    tally: LaneTally,
    at: Timestamp,
}

impl Remembered {
    /// Nothing yet.
    pub fn of(service: &ServiceName, stable: &Version, counts: &dyn Counts, now: Timestamp) -> Self {
        Self {
            history: History::default(),
            clusters: Clusters::default(),
            version: stable.clone(),
            tally: counts.tally(service, &stable.name),
            at: now,
        }
    }

    /// Adds what stable did since the last look.
    pub fn look(&mut self, service: &ServiceName, stable: &Version, world: &World<'_>) {
        if self.version.name != stable.name {
            self.history = History::default();
            return self.restart(service, stable, world);
        }
        let tally = world.counts.tally(service, &stable.name);
        let passed = world.now.since(self.at);
        let seen = tally.since(&self.tally);
        self.history.remember(passed, seen.total());
        self.clusters.remember(passed, &seen);
        (self.tally, self.at) = (tally, world.now);
    }

    /// A release is over, and its judge knew this of the version that was stable.
    pub fn after(&mut self, history: History, stable: &Version) {
        self.history = if self.version == *stable { history } else { History::default() };
    }

    /// Counts from here on. How callers cluster is theirs and not the version's, so that stays.
    pub fn restart(&mut self, service: &ServiceName, stable: &Version, world: &World<'_>) {
        self.version = stable.clone();
        (self.tally, self.at) = (world.counts.tally(service, &stable.name), world.now);
    }
}

impl Desk {
    /// What a release that begins now goes by.
    pub(super) fn memory(&self) -> Memory {
        let pinned = self.spec.as_ref().is_some_and(|it| it.sticky.is_some());
        let clustering = pinned.then(|| self.remembered.clusters.estimate());
        Memory { history: self.remembered.history, clustering }
    }

    /// The release that is going on is judged by the plan as it is now.
    pub(in super::super) fn judge_by_plan(&mut self) {
        let clustering = self.memory().clustering;
        if let Some(watch) = &mut self.watch {
            watch.judge_by(&self.plan.guard, clustering);
        }
    }
}
