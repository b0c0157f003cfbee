//! A version on trial: its share, since when, and what it waits for.

use std::time::Duration;

use crate::model::{Timestamp, Weight};

use super::event::{Actor, Shortfall};
use super::version::Version;

/// A version that has not proven itself yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trial {
    /// The version being tried.
    pub canary: Version,
    /// Its share; none while it is tried without users.
    pub weight: Weight,
    /// When it got this share.
    pub since: Timestamp,
    /// Not before this does the soak or the watch end.
    pub until: Timestamp,
    /// Judged canary responses without which it does not end.
    pub requests: u64,
    /// The checks of this stage have passed.
    pub checked: bool,
    /// A person has agreed to the end of this stage.
    pub approved: bool,
    /// The person who chose this share, where the plan did not.
    pub by_hand: Option<Actor>,
    /// Whether it may move on.
    pub stance: Stance,
}

/// Whether a trial may move on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Stance {
    /// As soon as time and evidence allow.
    Advancing,
    /// Time is over and the evidence says neither yes nor no, or it is worse and nobody acts on it.
    Held(Shortfall),
    /// Time is over, the evidence is fine, and the checks of this stage are running.
    Checking,
    /// A person is asked.
    Asking,
    /// Everything is fine but this: a freeze, a closed window, an endpoint that is not ready.
    Shut(String),
    /// A person said so.
    Paused {
        /// Who.
        by: Actor,
        /// Why, if they said.
        reason: Option<String>,
        /// Until when; `None`: until somebody resumes it.
        until: Option<Timestamp>,
    },
}

/// How long a release has been at work, without the time in which it waited for people, checks or the
/// calendar.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Clock {
    /// What was counted before `since`.
    pub spent: Duration,
    /// Counting since then; `None`: not counting.
    pub since: Option<Timestamp>,
}

impl Trial {
    /// A stage that begins now.
    pub(super) fn begin(
        canary: Version,
        weight: Weight,
        soak: Duration,
        requests: u64,
        now: Timestamp,
    ) -> Self {
        Self {
            canary,
            weight,
            since: now,
            until: now + soak,
            requests,
            checked: false,
            approved: false,
            by_hand: None,
            stance: Stance::Advancing,
        }
    }
}

impl Stance {
    /// Whether time in this stance counts towards the deadline.
    pub fn counts(&self) -> bool {
        match self {
            Self::Advancing | Self::Held(_) => true,
            Self::Checking | Self::Asking | Self::Shut(_) | Self::Paused { .. } => false,
        }
    }

    /// What it waits for, as one sentence; `None` while it simply goes on.
    pub fn waits_for(&self) -> Option<String> {
        match self {
            Self::Advancing => None,
            Self::Held(shortfall) => Some(shortfall.why.clone()),
            Self::Checking => Some("its checks are running".into()),
            Self::Asking => Some("a person is asked: `promote` says yes, `rollback` says no".into()),
            Self::Shut(why) => Some(why.clone()),
            Self::Paused { by, reason, until } => {
                let why = reason.as_ref().map_or(String::new(), |it| format!(": {it}"));
                let until = until.map_or(String::new(), |it| format!(" until {it}"));
                Some(format!("paused by {by}{until}{why}"))
            }
        }
    }
}

impl Clock {
    /// Time that has counted until `now`.
    pub fn elapsed(&self, now: Timestamp) -> Duration {
        self.spent + self.since.map_or(Duration::ZERO, |it| now.since(it))
    }

    pub(super) fn follow(&mut self, counts: bool, now: Timestamp) {
        match (counts, self.since) {
            (true, None) => self.since = Some(now),
            (false, Some(_)) => *self = Self { spent: self.elapsed(now), since: None },
            (true, Some(_)) | (false, None) => {}
        }
    }

    /// The process was away for `down`; that time does not count, and the future never does.
    pub(super) fn restart(&mut self, down: Duration, now: Timestamp) {
        if self.since.is_some() {
            *self = Self { spent: self.elapsed(now - down), since: Some(now) };
        }
    }
}
