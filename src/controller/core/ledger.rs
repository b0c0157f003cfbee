//! What the journal is to keep: evidence that is written now and then, what it did not take, and who waits for it.

use std::time::Duration;

use crate::model::Timestamp;
use crate::store::{Line, Record};

use super::super::desk::Desk;
use super::super::journal::{Ack, Job};
use super::super::outbox::{Purpose, Waiting, answer};
use super::super::status::JournalHealth;
use super::{Core, world};

impl Core {
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
        let mut world = world(&mut self.out, &self.house, &self.calendar, now);
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

    /// The judges' numbers, every few seconds, as long as the disk keeps up.
    pub(super) fn save_evidence(&mut self, now: Timestamp) {
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
    pub(super) fn write_again(&mut self, now: Timestamp) {
        let trouble = matches!(self.health, JournalHealth::NotDurable(_));
        if !trouble || now < self.next_retry || self.out.awaits(|it| matches!(it, Purpose::Again)) {
            return;
        }
        self.next_retry = now + RETRY_EVERY;
        let lines = std::mem::take(&mut self.unsaved_lines);
        let mut records: Vec<Record> = lines.into_iter().map(Box::new).map(Record::Line).collect();
        records.push(Record::Freeze(self.calendar.freeze.clone()));
        let unsaved: Vec<&mut Desk> = self.desks.values_mut().filter(|it| it.unsaved).collect();
        records.extend(unsaved.iter().map(|it| Record::Change(Box::new(it.save_again()))));
        let job = self.out.write(None, records, Purpose::Again, now);
        unsaved.into_iter().for_each(|it| it.saved_by(job));
    }

    /// Lines that must be offered again; the oldest are given up when there are too many.
    pub(super) fn keep_lines(&mut self, lost: &[Record]) {
        self.unsaved_lines.extend(lost.iter().filter_map(|it| match it {
            Record::Line(line) => Some(Line::clone(line)),
            Record::Change(change) => change.line.clone(),
            Record::Evidence(_) | Record::Freeze(_) => None,
        }));
        let excess = self.unsaved_lines.len().saturating_sub(UNSAVED_LINES_MAX);
        self.unsaved_lines.drain(..excess);
    }

    /// A command that was carried out is answered in bounded time, even if the disk hangs.
    pub(super) fn answer_late(&mut self, now: Timestamp) {
        let late = |it: &&mut Waiting| now.since(it.since) >= ANSWER_WITHIN;
        for waiting in self.out.waiting.values_mut().filter(late) {
            if let Purpose::Change(asked @ Some(_)) = &mut waiting.purpose
                && let Some((reply, text)) = asked.take()
            {
                answer(Some(reply), text, true, false);
            }
        }
    }
}

/// A crash loses at most this much evidence, and the judge makes up for it.
pub(super) const EVIDENCE_EVERY: Duration = Duration::from_secs(3);
const RETRY_EVERY: Duration = Duration::from_secs(1);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Lines kept for a disk that is full for long.
const UNSAVED_LINES_MAX: usize = 500;
