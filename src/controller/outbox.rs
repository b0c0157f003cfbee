//! What is to be done after a decision, gathered so that it happens in the right order: the table first,
//! then the journal, then the news.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use crate::model::{EvidenceLine, Generation, ServiceName, Timestamp};
use crate::release::{Entry, News, RefusalCode};
use crate::store::{Change, Line, Record};

use super::handle::{Answer, Refused};
use super::journal::Job;
use super::tracer::Tracer;

/// Where the answer to a command goes.
pub(super) type Reply = oneshot::Sender<Result<Answer, Refused>>;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Whether the table must be built anew.
    pub publish: bool,
    /// For the journal, in this order.
    pub jobs: Vec<Job>,
    /// To be announced, in this order.
    pub news: Vec<News>,
    /// To be answered when the status says so too: whoever hears of it may look at once.
    pub answers: Vec<(Reply, Answer)>,
    /// Jobs without an ack.
    pub waiting: BTreeMap<u64, Waiting>,
    /// The configuration that is loaded.
    pub generation: Generation,
    /// Where everything that is fed is written down.
    pub tracer: Tracer,
    next_job: u64,
    next_line: u64,
}

/// Somebody or something waits for a job.
#[derive(Debug)]
pub(super) struct Waiting {
    /// `None`: a job for many.
    pub service: Option<ServiceName>,
    pub purpose: Purpose,
    pub since: Timestamp,
}

#[derive(Debug)]
pub(super) enum Purpose {
    /// A weight rises when it is done.
    Raise,
    /// It has happened; a command may wait to hear that it is safe.
    Change(Option<(Reply, String)>),
    /// The judge's numbers.
    Evidence,
    /// What could not be written before.
    Again,
}

impl Outbox {
    /// Numbers go on after these.
    pub fn after(line: u64, tracer: Tracer) -> Self {
        Self { next_line: line, tracer, ..Self::default() }
    }

    /// A line of the history with a number of its own.
    pub fn line(&mut self, service: &ServiceName, entry: &Entry, evidence: Option<EvidenceLine>) -> Line {
        self.next_line += 1;
        Line {
            id: self.next_line,
            service: service.clone(),
            entry: entry.clone(),
            generation: self.generation,
            evidence,
        }
    }

    /// Announces a line; if others were announced since it got its number, under a newer one, because
    /// whoever follows asks for what is newer than the last.
    pub fn announce(&mut self, line: &Line, newest: u64) -> News {
        let overtaken = line.id <= newest || self.news.last().is_some_and(|it| line.id <= it.id);
        if overtaken {
            self.next_line += 1;
        }
        let event = line.news(if overtaken { self.next_line } else { line.id });
        self.news.push(event.clone());
        event
    }

    /// Hands records to the journal. Returns the number of the job.
    pub fn write(
        &mut self,
        service: Option<&ServiceName>,
        records: Vec<Record>,
        purpose: Purpose,
        now: Timestamp,
    ) -> u64 {
        self.next_job += 1;
        let waiting = Waiting { service: service.cloned(), purpose, since: now };
        self.waiting.insert(self.next_job, waiting);
        self.jobs.push(Job { number: self.next_job, records });
        self.next_job
    }

    /// Whether a job of this kind is under way.
    pub fn awaits(&self, kind: impl Fn(&Purpose) -> bool) -> bool {
        self.waiting.values().any(|it| kind(&it.purpose))
    }
}

/// The records of one change with its lines: the last line goes with the state.
pub(super) fn records(change: Change, mut lines: Vec<Line>) -> Vec<Record> {
    let last = lines.pop();
    let mut records: Vec<Record> = lines.into_iter().map(Box::new).map(Record::Line).collect();
    records.push(Record::Change(Box::new(Change { line: last, ..change })));
    records
}

/// Answers, if anybody asked. Who asked may have gone.
pub(super) fn answer(reply: Option<Reply>, text: impl Into<String>, changed: bool, durable: bool) {
    if let Some(reply) = reply {
        let _ = reply.send(Ok(Answer { text: text.into(), changed, durable }));
    }
}

/// Refuses, if anybody asked.
pub(super) fn refuse(reply: Option<Reply>, code: RefusalCode, reason: impl Into<String>) {
    if let Some(reply) = reply {
        let _ = reply.send(Err(Refused { reason: reason.into(), code }));
    }
}
