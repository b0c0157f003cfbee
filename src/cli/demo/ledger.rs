//! The ledger: every request of every user, and how it ended.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::Timestamp;
use crate::runtime::Clock;

/// What users asked and were answered.
pub(super) struct Ledger {
    clock: Clock,
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    sent: u64,
    late: u64,
    answers: Vec<Answer>,
}

/// The end of one request, as its user saw it.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// When the request left.
    pub(super) sent: Timestamp,
    /// When the answer was there, or given up.
    pub(super) at: Timestamp,
    /// `None` when there was none: connection lost, or too late.
    pub(super) status: Option<u16>,
    /// Which version wrote it; `None` is the proxy, or nobody.
    pub(super) version: Option<String>,
    /// Why the proxy answered itself, in its own word.
    pub(super) error: Option<String>,
}

/// A moment in the ledger.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    at: Timestamp,
    sent: u64,
}

impl Answer {
    /// Whether the user was let down.
    pub(super) fn failed(&self) -> bool {
        self.status.is_none_or(|it| it >= 500)
    }

    /// Whether that version wrote it.
    pub(super) fn is_by(&self, version: &str) -> bool {
        self.version.as_deref() == Some(version)
    }
}

impl Ledger {
    /// Nobody has asked for anything yet.
    pub(super) fn new(clock: &Clock) -> Self {
        Self { clock: clock.clone(), pages: Mutex::default() }
    }

    /// Requests that have left.
    pub(super) fn sent(&self) -> u64 {
        self.locked().sent
    }

    /// Requests that left more than [`LATE`] after they were due: the machine was busy.
    pub(super) fn late(&self) -> u64 {
        self.locked().late
    }

    /// How many requests have ended that `wanted` picks.
    pub(super) fn count(&self, wanted: impl Fn(&Answer) -> bool) -> u64 {
        self.locked().answers.iter().filter(|it| wanted(it)).count() as u64
    }

    /// What was said of the failures that `wanted` picks, each word once.
    pub(super) fn reasons(&self, wanted: impl Fn(&Answer) -> bool) -> Vec<String> {
        let pages = self.locked();
        let failed = pages.answers.iter().filter(|it| it.failed() && wanted(it));
        let words: BTreeSet<_> = failed.map(|it| it.error.clone().unwrap_or_default()).collect();
        words.into_iter().collect()
    }

    /// A moment, and how many requests had left by then.
    pub(super) fn mark(&self) -> Mark {
        let pages = self.locked();
        Mark { at: self.clock.now(), sent: pages.sent }
    }

    /// Whether every request that had left by then has ended.
    pub(super) fn is_settled(&self, mark: Mark) -> bool {
        self.count(|it| it.sent <= mark.at) >= mark.sent
    }

    /// A request leaves now, so much behind its time.
    pub(super) fn leave(&self, behind: Duration) -> Timestamp {
        let mut pages = self.locked();
        pages.sent += 1;
        pages.late += u64::from(behind > LATE);
        self.clock.now()
    }

    /// A request has ended now.
    pub(super) fn enter(&self, answer: impl FnOnce(Timestamp) -> Answer) {
        let mut pages = self.locked();
        pages.answers.push(answer(self.clock.now()));
    }

    /// What came within the last second, oldest first.
    pub(super) fn last_second(&self) -> Vec<Answer> {
        let since = self.clock.now() - Duration::from_secs(1);
        let pages = self.locked();
        let answers = &pages.answers;
        let from = answers.iter().rposition(|it| it.at < since).map_or(0, |it| it + 1);
        answers[from..].to_vec()
    }

    /// Forgets all answers but those of the last seconds.
    pub(super) fn forget(&self) {
        let mut pages = self.locked();
        let old = pages.answers.len().saturating_sub(ANSWERS_KEPT);
        pages.answers.drain(..old);
    }

    fn locked(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request this much behind its time says that the machine is busy.
const LATE: Duration = Duration::from_millis(20);

/// Answers kept by [`Ledger::forget`].
const ANSWERS_KEPT: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lets_a_user_down() {
        for (status, failed) in [(Some(200), false), (Some(404), false), (Some(500), true), (None, true)] {
            let at = Timestamp(1);
            assert_eq!(
                Answer { sent: at, at, status, version: None, error: None }.failed(),
                failed,
                "{status:?}"
            );
        }
    }
}
