//! What others see of the core: the table, the status, and where what runs differs from the file.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::config::ServiceConfig;
use crate::model::{ServiceName, Timestamp};
use crate::release::Shares;
use crate::store::{Line, Record};

use super::super::desk::Desk;
use super::super::outbox::Purpose;
use super::super::status::{JournalHealth, Status};
use super::super::{endpoints, report, table};
use super::{Core, House, world};

impl House {
    /// Everybody who asks what is going on, and who measures, gets this.
    pub(in super::super) fn tell(&self, mut status: Status) {
        self.counts.written_down(status.journal == JournalHealth::Durable);
        for (service, facts) in report::facts(&status) {
            self.counts.show(&service, Some(facts));
        }
        status.revision = self.status.borrow().revision + 1;
        self.status.send_replace(Arc::new(status));
    }
}

impl Core {
    pub(super) fn publish(&self, now: Timestamp) {
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

    pub(super) fn report(&mut self, now: Timestamp) {
        self.next_report = now + if self.is_active() { REPORT_ACTIVE } else { REPORT_IDLE };
        let (Some(loaded), Some(config)) = (&self.loaded, &self.serving) else { return };
        self.rates.measure(config, &*self.house.counts, now);
        let (counts, calendar) = (&*self.house.counts, &self.calendar);
        let mut status = report::status(loaded, config, &self.desks, &self.rates, counts, calendar, now);
        endpoints::tell(&mut status, &*self.house.endpoints);
        status.journal = self.health.clone();
        status.freeze = calendar.frozen(now).cloned();
        self.house.tell(status);
    }

    /// Says where what runs has begun, or has ceased, to differ from what the file says.
    pub(super) fn compare_with_file(&mut self, now: Timestamp) {
        let mut world = world(&mut self.out, &self.house, &self.calendar, now);
        let desks = self.desks.values_mut().filter(|it| it.present);
        let lines: Vec<Line> = desks.filter_map(|it| it.compare_with_file(&mut world)).collect();
        if !lines.is_empty() {
            let records = lines.into_iter().map(|it| Record::Line(Box::new(it))).collect();
            self.out.write(None, records, Purpose::Change(None), now);
        }
    }
}

const REPORT_ACTIVE: Duration = Duration::from_millis(500);
const REPORT_IDLE: Duration = Duration::from_secs(2);
