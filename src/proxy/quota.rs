//! How many connections and requests a version may have at once, and who waits for a place.
//!
//! A limit is one for all workers ([`lease`]). Those who find no place wait, in order within a worker, as many
//! as the service allows on all workers together. Whoever's turn it is looks again whenever something may have
//! become free: at once for what ends on the same worker, by a bell for what another one gives. A place is
//! given up when its [`Permit`] is dropped, so that cut tasks and panics give theirs up too.
//!
//! Not here: what is done about those who do not get in ([`super::course`]).

mod book;
mod lease;

pub use book::Book;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_local;

use crate::telemetry::{LimitKind, QueueCells, VersionSeries};

use super::worker::{Order, Worker};
use lease::Lease;

/// As long as somebody waits for a connection, so often others are asked for one that they do not use.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// A connection stays where it is rather than being closed for another worker, if that one has not waited
/// longer by this much: opening another one costs a round trip.
const LEAD_US: u64 = 20_000;

/// The limits of one version, for all workers.
#[derive(Debug)]
pub struct Bounds {
    connections: Limit,
    in_flight: Limit,
    /// Requests that wait for either, on all workers.
    queued: AtomicUsize,
}

#[derive(Debug)]
struct Limit {
    lease: Lease,
    /// One for each worker: it was given a place.
    bells: Box<[Notify]>,
}

/// The limits of one version, as one worker sees them.
pub struct Quotas {
    /// Of connections to its endpoints, used or not.
    pub connections: Rc<Quota>,
    /// Of requests that it has been given.
    pub in_flight: Rc<Quota>,
    bounds: Arc<Bounds>,
}

/// One limit, as one worker sees it.
pub struct Quota {
    kind: LimitKind,
    bounds: Arc<Bounds>,
    series: Arc<VersionSeries>,
    desk: usize,
    waiters: RefCell<VecDeque<Rc<Waiter>>>,
    /// Whether an usher is there.
    ushered: Cell<bool>,
}

/// Somebody who waits.
struct Waiter {
    since: u64,
    waker: RefCell<Option<Waker>>,
}

/// A place that is taken.
pub struct Permit(Rc<Quota>);

/// A place in the queue, left when dropped.
pub struct Turn {
    quota: Rc<Quota>,
    waiter: Rc<Waiter>,
    worker: Rc<Worker>,
}

impl Bounds {
    fn new(workers: usize) -> Self {
        let limit =
            || Limit { lease: Lease::new(workers), bells: (0..workers).map(|_| Notify::new()).collect() };
        Self { connections: limit(), in_flight: limit(), queued: AtomicUsize::new(0) }
    }

    /// From now on so many; `None` is no limit.
    fn resize(&self, connections: Option<usize>, in_flight: Option<usize>) {
        for (limit, most) in [(&self.connections, connections), (&self.in_flight, in_flight)] {
            limit.lease.resize(most.unwrap_or(lease::UNLIMITED), |worker| limit.ring(worker));
        }
    }
}

impl Limit {
    fn ring(&self, worker: usize) {
        if let Some(bell) = self.bells.get(worker) {
            bell.notify_one();
        }
    }
}

impl Quotas {
    /// Those of a version, for this worker.
    pub fn new(bounds: Arc<Bounds>, series: &Arc<VersionSeries>, desk: usize) -> Self {
        let quota = |kind| {
            Rc::new(Quota {
                kind,
                bounds: Arc::clone(&bounds),
                series: Arc::clone(series),
                desk,
                waiters: RefCell::default(),
                ushered: Cell::new(false),
            })
        };
        Self { connections: quota(LimitKind::Connections), in_flight: quota(LimitKind::InFlight), bounds }
    }

    /// Whether these are the limits meant.
    pub fn are(&self, bounds: &Arc<Bounds>) -> bool {
        Arc::ptr_eq(&self.bounds, bounds)
    }
}

impl Quota {
    fn limit(&self) -> &Limit {
        match self.kind {
            LimitKind::Connections => &self.bounds.connections,
            LimitKind::InFlight => &self.bounds.in_flight,
        }
    }

    /// Where waiting is counted.
    pub fn cells(&self) -> &QueueCells {
        &self.series.worker(self.desk).queue
    }

    /// Which limit it is.
    pub fn kind(&self) -> LimitKind {
        self.kind
    }

    /// A place, if one is free and nobody waits for it here.
    pub fn take(self: &Rc<Self>) -> Option<Permit> {
        let free = self.waiters.borrow().is_empty()
            && self.limit().lease.take(self.desk, |worker| self.wake(worker));
        free.then(|| Permit(Rc::clone(self)))
    }

    /// Whether somebody waits here. Then whoever comes waits behind them.
    pub fn has_queue(&self) -> bool {
        !self.waiters.borrow().is_empty()
    }

    /// Something that is not a place has become free: whoever's turn it is looks whether it is of use.
    pub fn look(&self) {
        if let Some(first) = self.waiters.borrow().front() {
            first.wake();
        }
    }

    /// Whether a connection that nobody uses here should be closed, because there are too many, or for
    /// somebody elsewhere who has waited longer than everybody here.
    pub fn is_wanted_elsewhere(&self) -> bool {
        let lease = &self.limit().lease;
        if !lease.is_short() {
            return false;
        }
        let here = self.waiters.borrow().front().map(|it| it.since);
        lease.is_over()
            || lease
                .waiting_elsewhere(self.desk)
                .is_some_and(|there| here.is_none_or(|here| there + LEAD_US < here))
    }

    /// How long somebody on another worker has been waiting at this moment.
    pub fn waits_elsewhere_us(&self, now_us: u64) -> u64 {
        let since = self.limit().lease.waiting_elsewhere(self.desk);
        since.map_or(0, |it| now_us.saturating_sub(it))
    }

    /// Whether there are more than there should be, because the limit was lowered.
    pub fn is_over(&self) -> bool {
        self.limit().lease.is_over()
    }

    /// Begins to wait. `None` if `most` wait already, on all workers, for a place of this version.
    pub fn queue(self: &Rc<Self>, worker: &Rc<Worker>, most: usize) -> Option<Turn> {
        let queued = &self.bounds.queued;
        if queued.fetch_add(1, Ordering::Relaxed) >= most {
            queued.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        worker.deadlines.now_us();
        let since = worker.deadlines.recent_timestamp().0;
        let waiter = Rc::new(Waiter { since, waker: RefCell::default() });
        self.waiters.borrow_mut().push_back(Rc::clone(&waiter));
        self.cells().entered();
        self.say();
        if !self.ushered.replace(true) {
            spawn_local(usher(Rc::clone(self), Rc::clone(worker)));
        }
        Some(Turn { quota: Rc::clone(self), waiter, worker: Rc::clone(worker) })
    }

    /// Says to other workers who waits here.
    fn say(&self) {
        let lease = &self.limit().lease;
        let (count, first) = {
            let waiters = self.waiters.borrow();
            (waiters.len(), waiters.front().map(|it| it.since))
        };
        match first {
            Some(since) => lease.wait(self.desk, count, since),
            None => lease.leave(self.desk, |worker| self.wake(worker)),
        }
    }

    fn wake(&self, worker: usize) {
        if worker == self.desk { self.look() } else { self.limit().ring(worker) }
    }
}

impl Waiter {
    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

impl Turn {
    /// Whether everybody who came before has gone. If not, the task is woken when that may have changed.
    pub fn has_come(&self, cx: &mut Context<'_>) -> bool {
        {
            let mut waker = self.waiter.waker.borrow_mut();
            if !waker.as_ref().is_some_and(|it| it.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
        }
        self.quota.waiters.borrow().front().is_some_and(|it| Rc::ptr_eq(it, &self.waiter))
    }

    /// A place, if one is free: to be asked when the turn has come.
    pub fn claim(&self) -> Option<Permit> {
        let quota = &self.quota;
        let got = quota.limit().lease.claim(quota.desk, |worker| quota.wake(worker));
        got.then(|| Permit(Rc::clone(quota)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let quota = &self.quota;
        {
            let mut waiters = quota.waiters.borrow_mut();
            // Those who leave early mostly do because they came first.
            if let Some(at) = waiters.iter().position(|it| Rc::ptr_eq(it, &self.waiter)) {
                waiters.remove(at);
            }
        }
        quota.bounds.queued.fetch_sub(1, Ordering::Relaxed);
        self.worker.deadlines.now_us();
        let now = self.worker.deadlines.recent_timestamp().0;
        quota.cells().left(now.saturating_sub(self.waiter.since));
        quota.say();
        // More than one place may be there.
        quota.look();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let quota = &self.0;
        quota.limit().lease.give(quota.desk, |worker| quota.wake(worker));
    }
}

/// Wakes whoever's turn it is when another worker has given a place, for as long as somebody waits; and asks
/// other workers for connections that they keep and do not use.
async fn usher(quota: Rc<Quota>, worker: Rc<Worker>) {
    let asks = quota.kind == LimitKind::Connections;
    while quota.has_queue() {
        if asks {
            let wanted = Arc::new(AtomicUsize::new(quota.waiters.borrow().len()));
            let spare = || Order::Spare { of: Arc::clone(&quota.bounds), wanted: Arc::clone(&wanted) };
            worker.tell_all(spare);
        }
        tokio::select! {
            () = quota.limit().bells[quota.desk].notified() => {}
            () = tokio::time::sleep(ASK_EVERY) => {}
        }
        // Nobody is forgotten, whatever the bell has said.
        quota.say();
        quota.look();
    }
    quota.ushered.set(false);
}

/// Takes one of those that are still wanted.
pub fn take_wanted(wanted: &AtomicUsize) -> bool {
    wanted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |it| it.checked_sub(1)).is_ok()
}
