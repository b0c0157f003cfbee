//! One limit that all workers share without sharing it: each holds a part of what is left, and takes from it
//! and puts back there. Nothing that another worker writes is written by a request, as long as the parts last.
//!
//! A worker whose part is used up takes half of what another has to spare. So a limit of one is one, for
//! however many workers, and nobody is refused while a place is free anywhere. When nothing is left, workers
//! whose requests wait say so and since when; whoever puts a place back then gives it to the one that has
//! waited longest.
//!
//! A place is in exactly one part, or granted to one worker, or in use; so there are never more in use than
//! the limit. All accesses are sequentially consistent, which makes one rule enough: who puts something down
//! looks afterwards whether somebody waits, and who begins to wait looks afterwards whether something is there.
//!
//! Not here: who waits behind whom within a worker, and how it is woken ([`super::Quota`]).

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

use crossbeam_utils::CachePadded;

/// Stands for no limit. So many places would never be taken.
pub const UNLIMITED: usize = 1 << 40;

/// Places under one limit.
#[derive(Debug)]
pub struct Lease {
    /// One for each worker.
    desks: Box<[CachePadded<Desk>]>,
    /// What is hardly ever written.
    notice: CachePadded<Notice>,
    limit: Mutex<usize>,
}

/// A worker's part.
#[derive(Debug, Default)]
struct Desk {
    /// What it has left. Others may take from it.
    spare: AtomicUsize,
    /// What it was given because it waits. Nobody else takes from it.
    granted: AtomicUsize,
    /// How many wait there.
    queued: AtomicUsize,
    /// Since when the first of them does; 0 if nobody waits.
    since: AtomicU64,
}

#[derive(Debug, Default)]
struct Notice {
    /// Workers that wait.
    waiting: AtomicUsize,
    /// Places in use that are gone once they are put back, because the limit has been lowered.
    debt: AtomicUsize,
}

impl Lease {
    /// Without a limit.
    pub fn new(workers: usize) -> Self {
        let it = Self {
            desks: (0..workers.max(1)).map(|_| CachePadded::default()).collect(),
            notice: CachePadded::default(),
            limit: Mutex::new(0),
        };
        it.resize(UNLIMITED, |_| {});
        it
    }

    /// Takes a place. `false` if all are taken, or go to those who wait. `wake` as in [`Lease::give`].
    pub fn take(&self, worker: usize, wake: impl FnMut(usize)) -> bool {
        take_one(&self.desks[worker].spare)
            || (self.notice.waiting.load(SeqCst) == 0 && self.fetch(worker, wake))
    }

    /// The same for a worker that waits and whose turn it may be.
    pub fn claim(&self, worker: usize, wake: impl FnMut(usize)) -> bool {
        let desk = &self.desks[worker];
        take_one(&desk.granted) || take_one(&desk.spare) || self.fetch(worker, wake)
    }

    /// Takes a place from another worker's part, and half of what is left of it for later.
    fn fetch(&self, worker: usize, wake: impl FnMut(usize)) -> bool {
        let count = self.desks.len();
        for at in 1..count {
            let other = &self.desks[(worker + at) % count].spare;
            let half = |it: usize| (it > 0).then_some(it / 2);
            if let Ok(found) = other.fetch_update(SeqCst, SeqCst, half) {
                let more = found - found / 2 - 1;
                if more > 0 {
                    self.put(worker, more, wake);
                }
                return true;
            }
        }
        false
    }

    /// Puts a place back. `wake` is told which worker has been given one for those who wait there.
    pub fn give(&self, worker: usize, wake: impl FnMut(usize)) {
        self.put(worker, 1, wake);
    }

    fn put(&self, worker: usize, places: usize, wake: impl FnMut(usize)) {
        self.desks[worker].spare.fetch_add(places, SeqCst);
        if self.is_short() {
            self.settle(worker, wake);
        }
    }

    /// Whether somebody waits for a place, or there are more in use than there should be.
    pub fn is_short(&self) -> bool {
        self.notice.waiting.load(SeqCst) > 0 || self.is_over()
    }

    /// Whether more are in use than there should be, because the limit has been lowered.
    pub fn is_over(&self) -> bool {
        self.notice.debt.load(SeqCst) > 0
    }

    /// Gives what a worker has to spare to whoever lacks it.
    fn settle(&self, worker: usize, mut wake: impl FnMut(usize)) {
        let spare = &self.desks[worker].spare;
        while self.is_over() && take_one(spare) {
            if !take_one(&self.notice.debt) {
                spare.fetch_add(1, SeqCst);
            }
        }
        while self.neediest().is_some() && take_one(spare) {
            let Some(other) = self.neediest() else {
                // It was served between two looks.
                spare.fetch_add(1, SeqCst);
                continue;
            };
            let desk = &self.desks[other];
            desk.granted.fetch_add(1, SeqCst);
            if desk.since.load(SeqCst) == 0 && take_one(&desk.granted) {
                // It left.
                spare.fetch_add(1, SeqCst);
                continue;
            }
            wake(other);
        }
    }

    /// The worker that has waited longest, of those that have not been given enough.
    fn neediest(&self) -> Option<usize> {
        if self.notice.waiting.load(SeqCst) == 0 {
            return None;
        }
        let lacks = |it: &Desk| it.granted.load(SeqCst) < it.queued.load(SeqCst);
        let waits = self.desks.iter().enumerate().map(|(at, it)| (it.since.load(SeqCst), at));
        waits.filter(|it| it.0 > 0 && lacks(&self.desks[it.1])).min().map(|it| it.1)
    }

    /// Since when another worker has been waiting.
    pub fn waiting_elsewhere(&self, worker: usize) -> Option<u64> {
        if self.notice.waiting.load(SeqCst) == 0 {
            return None;
        }
        let others = self.desks.iter().enumerate().filter(|it| it.0 != worker);
        others.map(|it| it.1.since.load(SeqCst)).filter(|it| *it > 0).min()
    }

    /// So many wait at a worker, the first of them since then. It has to [claim](Self::claim) once more
    /// afterwards: what was put back before this was seen went elsewhere.
    pub fn wait(&self, worker: usize, queued: usize, since: u64) {
        self.desks[worker].queued.store(queued, SeqCst);
        if self.desks[worker].since.swap(since.max(1), SeqCst) == 0 {
            self.notice.waiting.fetch_add(1, SeqCst);
        }
    }

    /// A worker does not wait any more. What it was given and has no use for goes on.
    pub fn leave(&self, worker: usize, wake: impl FnMut(usize)) {
        let desk = &self.desks[worker];
        desk.queued.store(0, SeqCst);
        if desk.since.swap(0, SeqCst) != 0 {
            self.notice.waiting.fetch_sub(1, SeqCst);
        }
        let left = desk.granted.swap(0, SeqCst);
        if left > 0 {
            self.put(worker, left, wake);
        }
    }

    /// From now on so many places. If more are in use, those are gone once they are put back.
    pub fn resize(&self, limit: usize, mut wake: impl FnMut(usize)) {
        let mut present = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *present, limit);
        if limit < before {
            self.notice.debt.fetch_add(before - limit, SeqCst);
            for (at, desk) in self.desks.iter().enumerate() {
                // All at once, because without a limit there are very many.
                let spare = take_up_to(&desk.spare, self.notice.debt.load(SeqCst));
                let paid = take_up_to(&self.notice.debt, spare);
                self.put(at, spare - paid, &mut wake);
            }
            return;
        }
        let more = limit - before;
        let more = more - take_up_to(&self.notice.debt, more);
        let count = self.desks.len();
        for at in 0..count {
            self.put(at, more / count + usize::from(at < more % count), &mut wake);
        }
    }
}

/// Takes one, if there is one.
fn take_one(from: &AtomicUsize) -> bool {
    from.load(SeqCst) > 0 && from.fetch_update(SeqCst, SeqCst, |it| it.checked_sub(1)).is_ok()
}

/// Takes as many as there are, up to `most`; how many.
fn take_up_to(from: &AtomicUsize, most: usize) -> usize {
    let taken = from.fetch_update(SeqCst, SeqCst, |it| Some(it - it.min(most)));
    taken.unwrap_or(0).min(most)
}

#[cfg(test)]
mod tests;
