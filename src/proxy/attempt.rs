//! What one request did to a version, counted when it is over, however it ends.
//!
//! A guard: a client that vanishes, a task that is cut and a panic all drop it, so that they are
//! counted too, and as nobody's fault.

use std::rc::Rc;
use std::time::Duration;

use crate::model::ClientShard;
use crate::telemetry::{Ended, ErrorKind, Passed, VersionCells};

use super::listener::Local;
use super::returned::Spent;
use super::trail::Trail;
use super::view::VersionView;
use super::worker::Worker;

/// A request that was given to a version.
pub struct Attempt {
    worker: Rc<Worker>,
    local: Rc<Local>,
    version: Rc<VersionView>,
    began_us: u64,
    asked_us: Option<u64>,
    answered_us: Option<u64>,
    /// Since when the version has had the whole request.
    handed_us: Option<u64>,
    /// How much longer it is made to take.
    lag_us: u64,
    /// How long it has waited for a place.
    queued_us: u64,
    /// Limits of age that were passed, and counted.
    passed: Passed,
    evidence: Option<ClientShard>,
    /// The same, as long as it is known how old the request is: only the first try is judged.
    timed: Option<ClientShard>,
    /// The status sent to the client.
    pub status: Option<u16>,
    /// Where it is written down.
    pub trail: Trail,
    /// Content received from the client.
    pub request_bytes: u64,
    /// Content sent to the client.
    pub response_bytes: u64,
    outcome: Outcome,
    plain: bool,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Outcome {
    /// Nobody can be blamed: it did not come to an end.
    Open,
    Good,
    Bad,
}

impl Attempt {
    /// Begins to count. `evidence` is the client shard if the split chose the version.
    pub fn begin(
        worker: &Rc<Worker>,
        local: &Rc<Local>,
        version: &Rc<VersionView>,
        evidence: Option<ClientShard>,
    ) -> Self {
        let it = Self {
            began_us: worker.deadlines.recent_us(),
            worker: Rc::clone(worker),
            local: Rc::clone(local),
            version: Rc::clone(version),
            asked_us: None,
            answered_us: None,
            handed_us: None,
            lag_us: 0,
            queued_us: 0,
            passed: 0,
            evidence,
            timed: evidence,
            status: None,
            trail: Trail::default(),
            request_bytes: 0,
            response_bytes: 0,
            outcome: Outcome::Open,
            plain: false,
        };
        it.cells().begun();
        it
    }

    /// This worker's cells of the version.
    pub fn cells(&self) -> &VersionCells {
        self.version.series.worker(self.worker.index)
    }

    /// The request is on its way to an endpoint.
    pub fn sent(&mut self, now_us: u64) {
        self.cells().attempt();
        self.asked_us = Some(now_us);
        self.handed_us = None;
    }

    /// The version has the whole request: from now on it is the one that takes its time.
    pub fn handed(&mut self, now_us: u64) {
        self.handed_us = Some(now_us.saturating_sub(self.lag_us));
    }

    /// The version is made to take so much longer.
    pub fn lag(&mut self, lag: Duration) {
        self.lag_us = self.lag_us.saturating_add(lag.as_micros() as u64);
    }

    /// It has waited so long for a place.
    pub fn queued(&mut self, us: u64) {
        self.queued_us += us;
    }

    /// How long it has gone on by now, but for what it has waited for places.
    pub fn busy_us(&self, now_us: u64) -> u64 {
        now_us.saturating_sub(self.began_us + self.queued_us)
    }

    /// Counts the limits of age that a request without an answer has passed by now; when it will pass the
    /// next one, if ever.
    pub fn aged(&mut self, now_us: u64) -> Option<u64> {
        let (handed_us, shard) = self.handed_us.zip(self.timed)?;
        let cells = self.version.series.worker(self.worker.index);
        self.passed = cells.aged(shard, now_us.saturating_sub(handed_us), self.passed);
        handed_us.checked_add(cells.slow_at_us(self.passed))
    }

    /// The version's response head is there.
    pub fn answered(&mut self, status: u16, now_us: u64) {
        self.answered_us = Some(now_us);
        self.status = Some(status);
        if let Some(shard) = self.timed {
            // A version that answers before it has the whole request has not kept anybody waiting.
            let age_us = self.handed_us.map_or(0, |it| now_us.saturating_sub(it));
            self.cells().answered(shard, age_us, self.passed);
        }
    }

    /// Where the time has gone until an answer that is there now.
    pub fn spent(&self, now_us: u64) -> Spent {
        let upstream = self.answered_us.zip(self.asked_us).map(|(end, start)| end.saturating_sub(start));
        Spent {
            total_us: now_us.saturating_sub(self.began_us),
            upstream_us: upstream.unwrap_or(0),
            queued_us: self.queued_us,
        }
    }

    /// When the request was read, in the worker's microseconds.
    pub fn began_us(&self) -> u64 {
        self.began_us
    }

    /// An answer that was passed on whole; `bad` if its status counts as a failure.
    pub fn complete(&mut self, bad: bool) {
        self.settle(if bad { Outcome::Bad } else { Outcome::Good });
    }

    /// The version failed.
    pub fn failed(&mut self, kind: ErrorKind) {
        self.cells().error(kind);
        self.settle(Outcome::Bad);
    }

    /// A failure that says nothing about the version.
    pub fn excused(&mut self, kind: ErrorKind) {
        self.cells().error(kind);
        self.not_judged();
    }

    /// What was sent came to nothing, and is sent again: the version has failed, whatever comes next.
    pub fn lost(&mut self) {
        self.settle(Outcome::Bad);
        self.timed = None;
    }

    /// Neither the version nor the proxy is to blame for how this ends.
    pub fn not_judged(&mut self) {
        if self.outcome == Outcome::Open {
            (self.evidence, self.timed) = (None, None);
        }
    }

    /// The exchange was one read and one write each way, so that what the version did not take was
    /// the proxy's own time.
    pub fn was_plain(&mut self) {
        self.plain = true;
    }

    // The first word stands: a client that goes away after a failure does not undo it.
    fn settle(&mut self, outcome: Outcome) {
        if self.outcome == Outcome::Open {
            self.outcome = outcome;
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let ended = Ended {
            status: self.status,
            judged: self.evidence.filter(|_| self.outcome != Outcome::Open),
            bad: self.outcome == Outcome::Bad,
            total_us: self.worker.deadlines.recent_us().saturating_sub(self.began_us),
            upstream_us: self.answered_us.zip(self.asked_us).map(|(end, start)| end.saturating_sub(start)),
            queued_us: self.queued_us,
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
        };
        self.cells().ended(&ended);
        self.trail.attempted(self.version.series.version().as_str(), &ended);
        if let (true, Some(upstream_us)) = (self.plain, ended.upstream_us) {
            self.local.cells().overhead_us(ended.total_us.saturating_sub(upstream_us + self.queued_us));
        }
    }
}
