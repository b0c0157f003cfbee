//! What waits for a target, and when it is tried: decided without a clock and without a die.
//!
//! The oldest is tried until it is there or given up; the others wait behind it, so that a target hears of
//! everything in its order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::model::Timestamp;
use crate::release::News;

use super::outcome::Outcome;

/// The queue of one target.
#[derive(Debug)]
pub(super) struct Mailbox {
    waiting: VecDeque<Arc<News>>,
    /// The newest that was put here or passed over.
    seen: u64,
    /// Attempts of the first one so far, and when they began.
    attempts: u32,
    begun: Option<Timestamp>,
    /// When the first one is tried next.
    next: Timestamp,
    /// The target wants to hear of nothing.
    gone: bool,
}

/// What became of something that was put into a mailbox.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Put {
    /// It waits.
    Waits,
    /// It waits, and this older one does no more.
    Full(Arc<News>),
    /// It does not belong here: known or unwanted.
    Passed,
    /// It is too old to be told.
    Old,
    /// The target wants to hear of nothing.
    Gone,
}

/// What follows from an attempt.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Settled {
    /// It is there.
    Delivered,
    /// It is tried again then.
    Later(Timestamp, String),
    /// It is given up.
    GivenUp(String),
    /// The target is not called any more; these wait for nothing, the one that was tried first.
    Disabled(String, Vec<Arc<News>>),
}

impl Mailbox {
    /// Empty; what came up to the event `done` does not belong here.
    pub fn new(done: u64) -> Self {
        Self {
            waiting: VecDeque::new(),
            seen: done,
            attempts: 0,
            begun: None,
            next: Timestamp(0),
            gone: false,
        }
    }

    /// Takes something in, if it is new and `wanted`.
    pub fn put(&mut self, news: &Arc<News>, wanted: bool, now: Timestamp) -> Put {
        if news.id <= self.seen {
            return Put::Passed;
        }
        self.seen = news.id;
        if !wanted {
            return Put::Passed;
        }
        if self.gone {
            return Put::Gone;
        }
        if now.since(news.at) > AGE_MAX {
            return Put::Old;
        }
        self.waiting.push_back(Arc::clone(news));
        if self.waiting.len() <= WAITING_MAX {
            return Put::Waits;
        }
        // The first one may be on its way. Of the others the oldest says least about how things are now.
        self.waiting.remove(1).map_or(Put::Waits, Put::Full)
    }

    /// What is tried next, and when.
    pub fn first(&self) -> Option<(Timestamp, Arc<News>)> {
        self.waiting.front().map(|it| (self.next, Arc::clone(it)))
    }

    /// An attempt of the first one has ended. `chance` is between 0 and 1.
    pub fn settle(&mut self, outcome: Outcome, give_up: Duration, now: Timestamp, chance: f64) -> Settled {
        let begun = *self.begun.get_or_insert(now);
        match outcome {
            Outcome::Delivered => {
                self.forget_first();
                Settled::Delivered
            }
            Outcome::Never(why) => {
                self.forget_first();
                Settled::GivenUp(why)
            }
            Outcome::Gone(why) => {
                let lost = self.waiting.drain(..).collect();
                self.forget_first();
                self.gone = true;
                Settled::Disabled(why, lost)
            }
            Outcome::Again { why, after } => {
                let pause = pause(self.attempts, chance).max(after.unwrap_or_default().min(AFTER_MAX));
                self.attempts += 1;
                if (now + pause).since(begun) > give_up {
                    let attempts = self.attempts;
                    self.forget_first();
                    return Settled::GivenUp(format!("{why}; given up after {attempts} attempts"));
                }
                self.next = now + pause;
                Settled::Later(self.next, why)
            }
        }
    }

    /// Tries the first one at once, and the target again if it had wanted to hear of nothing.
    pub fn start_anew(&mut self, now: Timestamp) {
        self.next = now;
        self.gone = false;
    }

    /// The newest event that needs not be told any more.
    pub fn done(&self) -> u64 {
        self.waiting.front().map_or(self.seen, |it| it.id.saturating_sub(1))
    }

    /// How often the first one was tried so far.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether the target wants to hear of nothing.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    fn forget_first(&mut self) {
        self.waiting.pop_front();
        (self.attempts, self.begun, self.next) = (0, None, Timestamp(0));
    }
}

/// Twice as long each time, and a part of it by chance: targets that failed together are not called together.
fn pause(attempts: u32, chance: f64) -> Duration {
    let whole = PAUSE_MIN.saturating_mul(1 << attempts.min(16)).min(PAUSE_MAX);
    whole / 2 + (whole / 2).mul_f64(chance.clamp(0.0, 1.0))
}

/// Most that wait for a target: as many as are kept of events at all, so that no burst that can still be read is
/// lost to one that only needs time. They are the same in every mailbox, some megabytes together. A target that takes
/// none of them is away.
const WAITING_MAX: usize = 2_000;
/// News from before a long stop are told no more.
const AGE_MAX: Duration = Duration::from_secs(24 * 3600);
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// Nobody is left alone for longer, whatever they ask for.
const AFTER_MAX: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifier::news::tests::rollback;

    const AT: Timestamp = Timestamp(1_767_225_600_125_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn news(id: u64) -> Arc<News> {
        Arc::new(rollback(id))
    }

    fn later(seconds: u64) -> Timestamp {
        AT + Duration::from_secs(seconds)
    }

    fn again(after: Option<u64>) -> Outcome {
        Outcome::Again { why: "no".into(), after: after.map(Duration::from_secs) }
    }

    #[test]
    fn pauses_grow_and_are_bounded() {
        let seconds = |attempts, chance| pause(attempts, chance).as_secs_f64();
        for (attempts, least, most) in [
            (0, 0.5, 1.0),
            (1, 1.0, 2.0),
            (2, 2.0, 4.0),
            (5, 16.0, 32.0),
            (8, 128.0, 256.0),
            (9, 150.0, 300.0),
        ] {
            assert_eq!((seconds(attempts, 0.0), seconds(attempts, 1.0)), (least, most), "{attempts}");
        }
        assert_eq!(seconds(u32::MAX, 1.0), 300.0);
        assert_eq!(seconds(3, 0.5), 6.0);
    }

    #[test]
    fn the_first_is_tried_until_it_is_there_and_the_others_wait() {
        let mut it = Mailbox::new(0);
        assert_eq!(it.put(&news(1), true, AT), Put::Waits);
        assert_eq!(it.put(&news(2), true, AT), Put::Waits);
        assert_eq!(it.put(&news(2), true, AT), Put::Passed, "known");
        assert_eq!(it.put(&news(1), true, AT), Put::Passed, "older");
        let (at, first) = it.first().unwrap();
        assert_eq!((at, first.id), (Timestamp(0), 1));
        assert_eq!(it.settle(again(None), HOUR, AT, 1.0), Settled::Later(later(1), "no".into()));
        assert_eq!(it.first().unwrap().1.id, 1);
        assert_eq!(it.settle(again(None), HOUR, later(1), 1.0), Settled::Later(later(3), "no".into()));
        assert_eq!((it.done(), it.len()), (0, 2));
        assert_eq!(it.settle(Outcome::Delivered, HOUR, later(3), 1.0), Settled::Delivered);
        let (at, second) = it.first().unwrap();
        assert_eq!((at, second.id, it.done()), (Timestamp(0), 2, 1));
        // Its pauses begin anew.
        assert_eq!(it.settle(again(None), HOUR, later(4), 1.0), Settled::Later(later(5), "no".into()));
        assert_eq!(
            it.settle(Outcome::Never("404".into()), HOUR, later(5), 1.0),
            Settled::GivenUp("404".into())
        );
        assert!(it.first().is_none());
        assert_eq!(it.done(), 2);
    }

    #[test]
    fn who_asks_for_time_gets_it_within_bounds() {
        let mut it = Mailbox::new(0);
        it.put(&news(1), true, AT);
        for (asked, expected) in [(30, 30), (0, 1), (86_400, 600)] {
            let mut it = Mailbox::new(0);
            it.put(&news(1), true, AT);
            let settled = it.settle(again(Some(asked)), HOUR, AT, 1.0);
            assert_eq!(settled, Settled::Later(later(expected), "no".into()), "{asked}");
        }
    }

    #[test]
    fn given_up_in_time() {
        let mut it = Mailbox::new(0);
        it.put(&news(1), true, AT);
        let give_up = Duration::from_secs(20);
        let mut now = AT;
        let mut attempts = 0;
        let said = loop {
            attempts += 1;
            match it.settle(again(None), give_up, now, 1.0) {
                Settled::Later(at, _) => now = at,
                Settled::GivenUp(why) => break why,
                other => panic!("{other:?}"),
            }
        };
        // After 0, 1, 3, 7 and 15 s; the next would be after 31.
        assert_eq!((attempts, said.as_str()), (5, "no; given up after 5 attempts"));
        assert!(it.first().is_none());
    }

    #[test]
    fn a_full_queue_loses_the_oldest_that_is_not_on_its_way() {
        let mut it = Mailbox::new(0);
        for id in 1..=WAITING_MAX as u64 {
            assert_eq!(it.put(&news(id), true, AT), Put::Waits);
        }
        assert_eq!(it.put(&news(5000), true, AT), Put::Full(news(2)));
        assert_eq!(it.len(), WAITING_MAX);
        it.settle(Outcome::Delivered, HOUR, AT, 0.0);
        assert_eq!(it.first().unwrap().1.id, 3, "2 was dropped");
    }

    #[test]
    fn what_does_not_belong_here_is_passed_over_and_remembered() {
        let mut it = Mailbox::new(5);
        assert_eq!(it.put(&news(5), true, AT), Put::Passed, "done by an earlier process");
        assert_eq!(it.put(&news(6), false, AT), Put::Passed, "unwanted");
        assert_eq!(it.put(&news(7), true, AT + Duration::from_secs(25 * 3600)), Put::Old);
        assert_eq!((it.done(), it.len()), (7, 0));
    }

    #[test]
    fn who_is_gone_is_left_alone_until_told_otherwise() {
        let mut it = Mailbox::new(0);
        it.put(&news(1), true, AT);
        it.put(&news(2), true, AT);
        let lost = vec![news(1), news(2)];
        assert_eq!(
            it.settle(Outcome::Gone("410".into()), HOUR, AT, 0.0),
            Settled::Disabled("410".into(), lost)
        );
        assert_eq!(it.put(&news(3), false, AT), Put::Passed);
        assert_eq!(it.put(&news(3), true, AT), Put::Passed, "known");
        assert_eq!(it.put(&news(4), true, AT), Put::Gone);
        assert!(it.is_gone() && it.first().is_none());
        it.start_anew(later(1));
        assert_eq!(it.put(&news(5), true, AT), Put::Waits);
    }
}
