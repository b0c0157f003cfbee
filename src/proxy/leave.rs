//! How a worker takes leave of connections that wait for a request.
//!
//! First only answers say that they are the last (`Connection: close`): a client that asks now and then
//! learns it that way and is never surprised. In the second half of the time connections that still wait
//! are closed, spread evenly, so that their clients do not all come back to somebody else at once. When
//! the listeners are closed, connections that never asked anything go too.
//!
//! Over HTTP/2 the same moments are when a client is told to go: with the answer to whatever it asks, in the
//! second half of the time if it asks nothing, and not before it had the time to ask for the first time.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::deadline::Deadline;
use super::worker::Worker;

/// A connection that was told nothing (its answer had begun before the leave did, or it never had one)
/// keeps at least this long to ask: closing it at once could meet its next request on the way.
const GRACE_MS: u64 = 1_000;

/// How far the leave has come.
#[derive(Debug, Default)]
pub struct Leave {
    /// Between which moments waiting connections are closed.
    window: Cell<Option<(u64, u64)>>,
    doors_closed: Cell<bool>,
    over: Cell<bool>,
    cut: Cell<bool>,
}

/// One connection's part of it, while it waits for a request.
#[derive(Debug)]
pub struct Farewell {
    waiting: Waiting,
    /// When it is closed, once that is decided.
    moment_ms: Option<u64>,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Waiting {
    /// For its first one.
    First,
    /// For another one, since before the leave began.
    Before,
    /// For another one, since after the leave began.
    Since,
}

impl Leave {
    /// Begins, to be done `over` from now.
    pub fn begin(&self, now_ms: u64, over: Duration) {
        let over_ms = over.as_millis() as u64;
        self.window.set(Some((now_ms + over_ms / 2, now_ms + over_ms)));
    }

    /// Nothing new is accepted any more.
    pub fn doors_closed(&self) {
        self.doors_closed.set(true);
    }

    /// Whoever waits goes now.
    pub fn end(&self) {
        self.over.set(true);
    }

    /// Whether whoever waits goes now.
    pub fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Whatever is under way ends now.
    pub fn cut(&self) {
        self.cut.set(true);
    }

    /// Whether what is under way ends now.
    pub fn is_cut(&self) -> bool {
        self.cut.get()
    }

    /// Does what comes before a first request, unless the end comes before that: whoever has asked nothing
    /// is let go, and is not cut. What is done must be woken with the deadlines.
    pub async fn unless_over<T>(&self, what: impl Future<Output = T>) -> Option<T> {
        let mut what = pin!(what);
        poll_fn(|cx| match what.as_mut().poll(cx) {
            Poll::Pending if self.over.get() => Poll::Ready(None),
            polled => polled.map(Some),
        })
        .await
    }

    /// What a connection waits for that begins to wait now, after so many requests.
    fn waiting(&self, served: u64) -> Waiting {
        match (served, self.window.get()) {
            (0, _) => Waiting::First,
            (_, None) => Waiting::Before,
            (_, Some(_)) => Waiting::Since,
        }
    }

    /// When such a connection is closed; `None` while nothing is decided. To be asked once: each answer
    /// is another draw.
    fn moment(&self, waiting: Waiting, now_ms: u64, bits: u64) -> Option<u64> {
        let (from, to) = self.window.get()?;
        match waiting {
            Waiting::First => self.doors_closed.get().then_some(now_ms + GRACE_MS),
            Waiting::Before => Some(from + if to > from { bits % (to - from) } else { 0 }),
            Waiting::Since => Some(now_ms + GRACE_MS),
        }
    }
}

impl Farewell {
    /// Begins to wait, after so many requests.
    pub fn new(worker: &Worker, served: u64) -> Self {
        Self { waiting: worker.leave.waiting(served), moment_ms: None }
    }

    /// Has waited since before the leave began, after so many requests.
    pub fn since_before(served: u64) -> Self {
        Self { waiting: if served == 0 { Waiting::First } else { Waiting::Before }, moment_ms: None }
    }

    /// Whether the connection is to be closed now. If not, its deadline passes when it is; asked again
    /// whenever the connection is woken.
    pub fn is_due(&mut self, worker: &Worker, deadline: &Deadline) -> bool {
        if worker.leave.over.get() {
            return true;
        }
        if self.moment_ms.is_none()
            && let Some(moment_ms) = self.moment_ms(worker, deadline.now_ms())
        {
            deadline.bring_forward_ms(moment_ms);
        }
        false
    }

    /// When the connection is to be closed; `None` while that is not decided.
    pub fn moment_ms(&mut self, worker: &Worker, now_ms: u64) -> Option<u64> {
        if worker.leave.over.get() {
            return Some(now_ms);
        }
        if self.moment_ms.is_none() {
            self.moment_ms = worker.leave.moment(self.waiting, now_ms, worker.bits());
        }
        self.moment_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_goes_in_the_second_half_spread_evenly() {
        let leave = Leave::default();
        assert_eq!(leave.moment(Waiting::Before, 5, 7), None);
        leave.begin(1_000, Duration::from_secs(4));
        let mut seen: Vec<u64> =
            (0..2_000).filter_map(|bits| leave.moment(Waiting::Before, 1_000, bits)).collect();
        seen.sort_unstable();
        assert_eq!((seen[0], seen[1_999]), (3_000, 4_999));
        assert!((3_990..4_010).contains(&seen[1_000]), "{}", seen[1_000]);
    }

    #[test]
    fn who_was_told_nothing_may_still_ask() {
        let leave = Leave::default();
        leave.begin(0, Duration::ZERO);
        assert_eq!(leave.moment(Waiting::Before, 0, 99), Some(0));
        assert_eq!(leave.moment(Waiting::Since, 500, 99), Some(1_500));
        assert_eq!(leave.moment(Waiting::First, 500, 99), None);
        leave.doors_closed();
        assert_eq!(leave.moment(Waiting::First, 500, 99), Some(1_500));
    }
}
