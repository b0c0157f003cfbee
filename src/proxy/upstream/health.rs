//! What everybody knows of one endpoint: whether it passes its checkups, whether it is left out for a
//! while, and how it has treated requests. Shared by all workers and read without a lock.
//!
//! Workers look and report; only the [`super::doctor`] changes what they see. What is the same for each
//! request (an endpoint that is well) is one relaxed load of a byte that nobody writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_utils::CachePadded;
use tokio::sync::Notify;

use crate::model::{ServiceName, VersionName};
use crate::routing::Eject;

use super::site::{Place, Site};

/// No checkup has been passed yet, and too few were failed to say more.
const WAITING: u8 = 1;
/// It fails its checkups.
const DOWN: u8 = 2;
/// It is left out for a while.
const EJECTED: u8 = 4;
/// It has come back and gets a growing share.
const WARMING: u8 = 8;

const NOT_READY: u8 = WAITING | DOWN | EJECTED;

/// What is known of one endpoint.
#[derive(Debug)]
pub struct Health {
    flags: AtomicU8,
    /// While it warms up: its share of what it would get, in percent.
    share: AtomicU8,
    connect_failures: AtomicU32,
    connect_failures_max: AtomicU32,
    failures: AtomicU32,
    failures_max: AtomicU32,
    is_counted: AtomicBool,
    /// A worker thinks that it should be left out.
    is_accused: AtomicBool,
    ejections: AtomicU64,
    why: Mutex<String>,
    cells: Box<[CachePadded<Cells>]>,
    bell: Arc<Notify>,
}

/// Answers that one worker has seen.
#[derive(Debug, Default)]
struct Cells {
    answers: AtomicU64,
    bad: AtomicU64,
}

/// How an endpoint is, in one word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Word {
    /// It gets its share.
    Up,
    /// It gets a growing share.
    Warming,
    /// Its first pass is awaited.
    Waiting,
    /// It fails its checkups.
    Down,
    /// It is left out for a while.
    Ejected,
}

impl Health {
    pub(super) fn new(is_checked: bool, workers: usize, bell: Arc<Notify>) -> Self {
        Self {
            flags: AtomicU8::new(if is_checked { WAITING } else { 0 }),
            share: AtomicU8::new(100),
            connect_failures: AtomicU32::new(0),
            connect_failures_max: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            failures_max: AtomicU32::new(0),
            is_counted: AtomicBool::new(false),
            is_accused: AtomicBool::new(false),
            ejections: AtomicU64::new(0),
            why: Mutex::default(),
            cells: (0..workers).map(|_| CachePadded::default()).collect(),
            bell,
        }
    }

    /// Whether it may get requests, all of its share.
    pub fn is_well(&self) -> bool {
        self.flags.load(Relaxed) == 0
    }

    /// Whether it may get requests.
    pub fn is_ready(&self) -> bool {
        self.flags.load(Relaxed) & NOT_READY == 0
    }

    /// Whether nobody can say yet how it is, and nothing speaks against it.
    pub fn is_unknown(&self) -> bool {
        self.flags.load(Relaxed) & NOT_READY == WAITING
    }

    /// Whether it should get this request; `bits` are random ones, for an endpoint that warms up.
    pub fn admits(&self, bits: u64) -> bool {
        let flags = self.flags.load(Relaxed);
        flags == 0 || (flags == WARMING && bits % 100 < u64::from(self.share.load(Relaxed)))
    }

    /// A connection was opened.
    pub fn connected(&self) {
        if self.connect_failures.load(Relaxed) != 0 {
            self.connect_failures.store(0, Relaxed);
        }
    }

    /// A connection could not be opened.
    pub fn not_connected(&self) {
        self.failed(&self.connect_failures, &self.connect_failures_max);
    }

    /// It has answered, or should have.
    pub fn answered(&self, worker: usize, good: bool) {
        if !good {
            self.failed(&self.failures, &self.failures_max);
        } else if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
        if self.is_counted.load(Relaxed)
            && let Some(cells) = self.cells.get(worker)
        {
            // Only this worker writes here.
            cells.answers.store(cells.answers.load(Relaxed) + 1, Relaxed);
            if !good {
                cells.bad.store(cells.bad.load(Relaxed) + 1, Relaxed);
            }
        }
    }

    fn failed(&self, row: &AtomicU32, most: &AtomicU32) {
        let in_a_row = row.fetch_add(1, Relaxed).saturating_add(1);
        let most = most.load(Relaxed);
        if most > 0 && in_a_row >= most && self.flags.load(Relaxed) & EJECTED == 0 {
            self.accuse();
        }
    }

    /// Asks for it to be left out.
    pub(super) fn accuse(&self) {
        if !self.is_accused.swap(true, Relaxed) {
            self.bell.notify_one();
        }
    }

    /// Whether somebody has asked for that since it was asked last.
    pub(super) fn take_accusation(&self) -> bool {
        self.is_accused.load(Relaxed) && self.is_accused.swap(false, Relaxed)
    }

    /// Says when it is to be left out.
    pub(super) fn judge_by(&self, eject: &Eject) {
        self.connect_failures_max.store(eject.connect, Relaxed);
        self.failures_max.store(eject.failures, Relaxed);
        self.is_counted.store(eject.success_percent > 0, Relaxed);
    }

    /// Answers and bad ones since it is known.
    pub(super) fn counts(&self) -> (u64, u64) {
        let sum = |it: fn(&Cells) -> &AtomicU64| self.cells.iter().map(|cells| it(cells).load(Relaxed)).sum();
        (sum(|it| &it.answers), sum(|it| &it.bad))
    }

    /// Forgets what has failed in a row.
    pub(super) fn forget_failures(&self) {
        self.connect_failures.store(0, Relaxed);
        self.failures.store(0, Relaxed);
    }

    pub(super) fn pass(&self) {
        self.clear(WAITING | DOWN);
    }

    pub(super) fn fail(&self) {
        self.flags.fetch_or(DOWN, Relaxed);
        self.clear(WAITING | WARMING);
    }

    pub(super) fn eject(&self) {
        self.flags.fetch_or(EJECTED, Relaxed);
        self.clear(WARMING);
        self.ejections.fetch_add(1, Relaxed);
    }

    pub(super) fn restore(&self) {
        self.clear(EJECTED);
        self.forget_failures();
    }

    /// It gets this share of what it would get; at 100 it has come back.
    pub(super) fn warm(&self, percent: u8) {
        self.share.store(percent, Relaxed);
        if percent < 100 {
            self.flags.fetch_or(WARMING, Relaxed);
        } else {
            self.clear(WARMING);
        }
    }

    fn clear(&self, flags: u8) {
        self.flags.fetch_and(!flags, Relaxed);
    }

    /// How it is.
    pub fn word(&self) -> Word {
        match self.flags.load(Relaxed) {
            it if it & DOWN != 0 => Word::Down,
            it if it & EJECTED != 0 => Word::Ejected,
            it if it & WAITING != 0 => Word::Waiting,
            it if it & WARMING != 0 => Word::Warming,
            _ => Word::Up,
        }
    }

    /// Why it is not up, or what its last checkup said.
    pub fn why(&self) -> String {
        locked(&self.why).clone()
    }

    pub(super) fn say_why(&self, why: &str) {
        let mut said = locked(&self.why);
        if *said != why {
            why.clone_into(&mut said);
        }
    }

    /// How often it was left out.
    pub fn ejections(&self) -> u64 {
        self.ejections.load(Relaxed)
    }
}

/// The health of every endpoint, by place. Clones share it.
#[derive(Clone, Debug)]
pub struct Board {
    known: Arc<Mutex<BTreeMap<Place, Arc<Health>>>>,
    /// Wakes the doctor.
    pub(super) bell: Arc<Notify>,
    workers: usize,
}

impl Board {
    /// Knows nobody yet.
    pub fn new(workers: usize) -> Self {
        Self { known: Arc::default(), bell: Arc::new(Notify::new()), workers }
    }

    /// What is known of this place. A new one that `is_checked` waits for its first pass.
    pub fn health(&self, place: &Place, is_checked: bool) -> Arc<Health> {
        let mut known = locked(&self.known);
        if let Some(it) = known.get(place) {
            return Arc::clone(it);
        }
        let health = Arc::new(Health::new(is_checked, self.workers, Arc::clone(&self.bell)));
        known.insert(place.clone(), Arc::clone(&health));
        health
    }

    /// Forgets places.
    pub(super) fn retain(&self, keep: impl Fn(&Place) -> bool) {
        locked(&self.known).retain(|place, _| keep(place));
    }

    /// Whether of every version somebody is known to be well, or nobody's first checkups are still awaited.
    pub fn knows_enough(&self) -> bool {
        let known = locked(&self.known);
        let version = |it: &Place| (it.service.clone(), it.version.clone());
        let well: BTreeSet<_> = known.iter().filter(|it| it.1.is_ready()).map(|it| version(it.0)).collect();
        known.iter().all(|(place, health)| !health.is_unknown() || well.contains(&version(place)))
    }

    /// The endpoints of a version.
    pub fn of(&self, service: &ServiceName, version: &VersionName) -> Vec<(Site, Arc<Health>)> {
        let known = locked(&self.known);
        let all = known.iter().filter(|(it, _)| it.service == *service && it.version == *version);
        all.map(|(place, health)| (place.site.clone(), Arc::clone(health))).collect()
    }
}

/// A panic elsewhere leaves texts and maps as good as they were.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
