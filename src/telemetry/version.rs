//! What is counted for each version of a service.

use std::sync::Arc;

use crossbeam_utils::CachePadded;

use crate::model::{
    CLIENT_SHARDS, ClientShard, Histogram, LaneTally, SLOW_SLOTS, ServiceName, Tally, VersionName,
};

use super::alarm::Alarm;
use super::cell::{Count, Durations};
use super::queue::{QueueCells, QueueCounts};
use super::recourse::{RecourseCells, RecourseCounts};
use super::slow::{Passed, SlowCells, SlowLimits};

/// The counts of one version: cells for each worker. It stays the same object across reloads.
#[derive(Debug)]
pub struct VersionSeries {
    service: ServiceName,
    version: VersionName,
    workers: Box<[CachePadded<VersionCells>]>,
    limits: Arc<CachePadded<SlowLimits>>,
}

/// One worker's counts of one version. Only that worker's thread may record.
#[derive(Debug)]
pub struct VersionCells {
    begun: Count,
    ended: Count,
    codes: [Count; CODES],
    codes_other: Count,
    gone: Count,
    shards: [ShardCells; CLIENT_SHARDS],
    total: Durations,
    upstream: Durations,
    request_bytes: Count,
    response_bytes: Count,
    attempts: Count,
    /// What was done about answers that did not come.
    pub recourse: RecourseCells,
    /// Who had to wait for a place.
    pub queue: QueueCells,
    errors: [Count; ErrorKind::ALL.len()],
    slow: SlowCells,
    limits: Arc<CachePadded<SlowLimits>>,
    alarm: Arc<Alarm>,
}

#[derive(Debug, Default)]
struct ShardCells {
    requests: Count,
    bad: Count,
}

/// A request that is over, however it ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ended {
    /// The status that the client was sent; `None` if the client vanished before it had one.
    pub status: Option<u16>,
    /// Whose evidence it is; `None` if it is nobody's (a pin, a vanished client).
    pub judged: Option<ClientShard>,
    /// Whether it counts as a failure of the version. Looked at only if it is judged.
    pub bad: bool,
    /// From the first byte of the request to the last of the response.
    pub total_us: u64,
    /// From sending the request to the head of the version's response, if there was one.
    pub upstream_us: Option<u64>,
    /// How long it waited for a place under the version's limits.
    pub queued_us: u64,
    /// Body bytes received from the client.
    pub request_bytes: u64,
    /// Body bytes sent to the client.
    pub response_bytes: u64,
}

/// How an attempt to get an answer from a version failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorKind {
    /// No connection could be made.
    Connect,
    /// A connection was there, and no TLS on it: the other side is not who it should be.
    Tls,
    /// A connection was there, the answer was not, or not in time.
    Timeout,
    /// The connection ended in the middle of an exchange.
    Reset,
    /// The answer broke the rules of HTTP.
    Protocol,
}

impl ErrorKind {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 5] = [Self::Connect, Self::Tls, Self::Timeout, Self::Reset, Self::Protocol];

    /// The word used as label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
        }
    }
}

impl VersionSeries {
    pub(super) fn new(
        service: ServiceName,
        version: VersionName,
        workers: usize,
        alarm: &Arc<Alarm>,
    ) -> Self {
        let limits = Arc::default();
        let workers = (0..workers).map(|_| CachePadded::new(VersionCells::new(alarm, &limits))).collect();
        Self { service, version, workers, limits }
    }

    /// The service it belongs to.
    pub fn service(&self) -> &ServiceName {
        &self.service
    }

    /// The version it counts.
    pub fn version(&self) -> &VersionName {
        &self.version
    }

    /// The cells of a worker. Only that worker's thread may record in them.
    ///
    /// # Panics
    /// If there is no such worker.
    pub fn worker(&self, index: usize) -> &VersionCells {
        &self.workers[index]
    }

    /// Judged responses of all workers since the series began.
    pub fn tally(&self) -> LaneTally {
        let mut sum = LaneTally::default();
        for cells in &self.workers {
            for (into, from) in sum.shards.iter_mut().zip(&cells.shards) {
                // Failures are read first and written last: no look can see more failures than
                // responses.
                let bad = from.bad.get_first();
                *into = into.plus(Tally { requests: from.requests.get(), bad });
            }
        }
        sum
    }

    /// Judged requests by one of the limits of age, from all workers since the series began.
    pub fn slow(&self, slot: usize) -> LaneTally {
        let mut sum = LaneTally::default();
        self.workers.iter().for_each(|it| it.slow.add_to(slot, &mut sum));
        sum
    }

    /// From now on a request is slow at these ages in microseconds; `u64::MAX` is no limit.
    pub fn limit_ages(&self, limits_us: &[u64; SLOW_SLOTS]) {
        self.limits.set(limits_us);
    }

    /// Times until the version's response head.
    pub fn answer_latency(&self) -> Histogram {
        self.folded(|it| &it.upstream)
    }

    /// Requests that have begun and not ended.
    pub fn in_flight(&self) -> u64 {
        // Ends are read before beginnings, so that a request that ends meanwhile is counted once.
        let ended: u64 = self.workers.iter().map(|it| it.ended.get_first()).sum();
        let begun: u64 = self.workers.iter().map(|it| it.begun.get()).sum();
        begun.saturating_sub(ended)
    }

    /// Whole durations of all requests.
    pub fn latency(&self) -> Histogram {
        self.folded(|it| &it.total)
    }

    /// Everything that was counted, added up over the workers.
    pub fn counts(&self) -> VersionCounts {
        let sum = |of: fn(&VersionCells) -> &Count| self.workers.iter().map(|it| of(it).get()).sum();
        let by_code = (0..CODES).filter_map(|index| {
            let n = self.workers.iter().map(|it| it.codes[index].get()).sum();
            (n > 0).then_some((CODE_FIRST + index as u16, n))
        });
        let mut recourse = RecourseCounts::default();
        self.workers.iter().for_each(|it| it.recourse.add_to(&mut recourse));
        let mut queue = QueueCounts::default();
        self.workers.iter().for_each(|it| it.queue.add_to(&mut queue));
        VersionCounts {
            codes: by_code.collect(),
            codes_other: sum(|it| &it.codes_other),
            gone: sum(|it| &it.gone),
            in_flight: self.in_flight(),
            total: self.latency(),
            upstream: self.answer_latency(),
            request_bytes: sum(|it| &it.request_bytes),
            response_bytes: sum(|it| &it.response_bytes),
            attempts: sum(|it| &it.attempts),
            recourse,
            queue,
            errors: ErrorKind::ALL
                .map(|kind| self.workers.iter().map(|it| it.errors[kind as usize].get()).sum()),
        }
    }

    fn folded(&self, of: fn(&VersionCells) -> &Durations) -> Histogram {
        let mut sum = Histogram::default();
        self.workers.iter().for_each(|it| of(it).add_to(&mut sum));
        sum
    }
}

/// All counts of a version at one moment, added up over the workers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VersionCounts {
    /// Responses by status, those that occurred, in rising order.
    pub codes: Vec<(u16, u64)>,
    /// Responses with a status outside 100 to 599.
    pub codes_other: u64,
    /// Requests whose client vanished before it had an answer.
    pub gone: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// Whole durations.
    pub total: Histogram,
    /// Times until the version's response head.
    pub upstream: Histogram,
    /// Body bytes from clients.
    pub request_bytes: u64,
    /// Body bytes to clients.
    pub response_bytes: u64,
    /// Requests sent to an endpoint, repeated ones included.
    pub attempts: u64,
    /// What was done about answers that did not come.
    pub recourse: RecourseCounts,
    /// Who had to wait for a place.
    pub queue: QueueCounts,
    /// Failed attempts in the order of [`ErrorKind::ALL`].
    pub errors: [u64; ErrorKind::ALL.len()],
}

impl VersionCells {
    fn new(alarm: &Arc<Alarm>, limits: &Arc<CachePadded<SlowLimits>>) -> Self {
        Self {
            begun: Count::default(),
            ended: Count::default(),
            codes: std::array::from_fn(|_| Count::default()),
            codes_other: Count::default(),
            gone: Count::default(),
            shards: std::array::from_fn(|_| ShardCells::default()),
            total: Durations::default(),
            upstream: Durations::default(),
            request_bytes: Count::default(),
            response_bytes: Count::default(),
            attempts: Count::default(),
            recourse: RecourseCells::default(),
            queue: QueueCells::default(),
            errors: std::array::from_fn(|_| Count::default()),
            slow: SlowCells::default(),
            limits: Arc::clone(limits),
            alarm: Arc::clone(alarm),
        }
    }

    /// A request was given to this version.
    pub fn begun(&self) {
        self.begun.add(1);
    }

    /// A request that was [begun](Self::begun) is over.
    pub fn ended(&self, it: &Ended) {
        match it.status {
            Some(status) => self.code(status).add(1),
            None => self.gone.add(1),
        }
        self.total.record_us(it.total_us);
        if let Some(us) = it.upstream_us {
            self.upstream.record_us(us);
        }
        self.request_bytes.add(it.request_bytes);
        self.response_bytes.add(it.response_bytes);
        if let Some(shard) = it.judged {
            let cells = &self.shards[shard.index()];
            cells.requests.add(1);
            if it.bad {
                cells.bad.add_last(1);
                self.alarm.raise();
            }
        }
        self.ended.add_last(1);
    }

    /// The age in microseconds at which a request passes its next limit; `u64::MAX` is never.
    pub fn slow_at_us(&self, passed: Passed) -> u64 {
        self.limits.next_us(passed)
    }

    /// A request that waits for its answer has come of this age; counts the limits that it has passed
    /// since `passed`.
    pub fn aged(&self, shard: ClientShard, age_us: u64, passed: Passed) -> Passed {
        self.slow.aged(&self.limits, shard, age_us, passed)
    }

    /// Its answer has begun at this age.
    pub fn answered(&self, shard: ClientShard, age_us: u64, passed: Passed) {
        self.slow.answered(&self.limits, shard, age_us, passed);
    }

    /// An attempt failed.
    pub fn error(&self, kind: ErrorKind) {
        self.errors[kind as usize].add(1);
    }

    /// A request was sent to an endpoint.
    pub fn attempt(&self) {
        self.attempts.add(1);
    }

    /// Requests that this worker has given to this version so far.
    pub fn requests(&self) -> u64 {
        self.begun.get()
    }

    fn code(&self, status: u16) -> &Count {
        let index = usize::from(status.wrapping_sub(CODE_FIRST));
        self.codes.get(index).unwrap_or(&self.codes_other)
    }
}

/// Lowest status with a cell of its own.
const CODE_FIRST: u16 = 100;
/// Every status of the five classes has a cell: 100 to 599.
const CODES: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    fn series(workers: usize) -> VersionSeries {
        let alarm = Arc::new(Alarm::default());
        VersionSeries::new("shop".parse().unwrap(), "v1".parse().unwrap(), workers, &alarm)
    }

    #[test]
    fn workers_are_added_up() {
        let it = series(2);
        let shard = ClientShard::of(b"someone");
        for (worker, status, bad) in [(0, 200, false), (1, 200, false), (1, 503, true)] {
            it.worker(worker).begun();
            let judged = Some(shard);
            let ended = Ended { status: Some(status), judged, bad, total_us: 900, ..Ended::default() };
            it.worker(worker).ended(&ended);
        }
        assert_eq!(it.tally().total(), Tally { requests: 3, bad: 1 });
        assert_eq!(it.tally().shards[shard.index()].bad, 1);
        assert_eq!(it.counts().codes, vec![(200, 2), (503, 1)]);
        assert_eq!((it.latency().count(), it.latency().sum_us), (3, 2_700));
    }

    #[test]
    fn evidence_is_what_is_judged() {
        let it = series(1);
        it.worker(0).ended(&Ended { status: Some(500), bad: true, ..Ended::default() });
        it.worker(0).ended(&Ended { status: None, ..Ended::default() });
        assert_eq!(it.tally(), LaneTally::default());
        assert_eq!((it.counts().codes, it.counts().gone), (vec![(500, 1)], 1));
    }

    #[test]
    fn in_flight_is_begun_and_not_ended() {
        let it = series(2);
        it.worker(0).begun();
        it.worker(1).begun();
        assert_eq!(it.in_flight(), 2);
        it.worker(1).ended(&Ended::default());
        assert_eq!(it.in_flight(), 1);
    }

    #[test]
    fn codes_outside_the_five_classes_share_a_cell() {
        let it = series(1);
        for status in [0, 99, 100, 599, 600, 999] {
            it.worker(0).ended(&Ended { status: Some(status), ..Ended::default() });
        }
        assert_eq!(it.counts().codes, vec![(100, 1), (599, 1)]);
        assert_eq!(it.counts().codes_other, 4);
    }
}
