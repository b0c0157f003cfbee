//! Whether the lanes of a release have an endpoint that takes users. Where a version's endpoints have
//! checkups, those say so; else it is asked about once a second, while a release is wanted or under way,
//! whether one takes connections, and believed when it was said twice.

use std::time::Duration;

use crate::checks::{Finding, Question, Report, Running, Subject};
use crate::model::{ServiceName, Timestamp, VersionName};

use super::errand::{Laboratory, Said};

/// What is known of both lanes of one service.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    canary: Lane,
    stable: Lane,
    number: u64,
}

#[derive(Debug, Default)]
struct Lane {
    version: Option<VersionName>,
    running: Option<Running>,
    next: Timestamp,
    number: u64,
    misses: u32,
    known: bool,
}

/// What was found, on its way to the controller.
#[derive(Debug)]
pub(super) struct Reached {
    pub service: ServiceName,
    number: u64,
    there: bool,
}

/// One lane, and how to find out whether it is there.
pub(super) struct Asked<'a> {
    pub version: &'a VersionName,
    pub how: How,
}

pub(super) enum How {
    /// By opening connections to `host:port` or `unix:/path`.
    Reach(Vec<String>),
    /// By what its checkups say; `None` when they have said nothing yet.
    Told(Option<bool>),
}

impl Readiness {
    /// Asks what is due.
    pub fn follow(
        &mut self,
        service: &ServiceName,
        lanes: Option<[Asked<'_>; 2]>,
        laboratory: Option<&Laboratory>,
        now: Timestamp,
    ) {
        let (Some(lanes), Some(laboratory)) = (lanes, laboratory) else {
            (self.canary, self.stable) = (Lane::default(), Lane::default());
            return;
        };
        for (lane, Asked { version, how }) in [&mut self.canary, &mut self.stable].into_iter().zip(lanes) {
            if lane.version.as_ref() != Some(version) {
                *lane = Lane { version: Some(version.clone()), ..Lane::default() };
            }
            let endpoints = match how {
                How::Told(there) => {
                    (lane.running, lane.known) = (None, there.is_some());
                    lane.misses = if there == Some(false) { MISSES } else { 0 };
                    continue;
                }
                How::Reach(endpoints) => endpoints,
            };
            if lane.running.is_some() || now < lane.next {
                continue;
            }
            self.number += 1;
            let number = self.number;
            let subject = Subject {
                service: service.clone(),
                version: version.clone(),
                endpoint: String::new(),
                first: b"",
            };
            let (told, service) = (laboratory.said.clone(), service.clone());
            let asked = Question::Reachable(endpoints);
            lane.number = number;
            lane.running = Some(laboratory.checks.ask(subject, asked, ANSWER_WITHIN, move |it: Report| {
                let there = !matches!(it.finding, Finding::Failed(_));
                // A controller that has ended has no use for it.
                let _ = told.send(Said::Reached(Reached { service, number, there }));
            }));
        }
    }

    /// An answer has come.
    pub fn reached(&mut self, it: &Reached, now: Timestamp) {
        for lane in [&mut self.canary, &mut self.stable] {
            if lane.number == it.number {
                lane.running = None;
                lane.known = true;
                lane.misses = if it.there { 0 } else { lane.misses + 1 };
                lane.next = now + if it.there { EVERY } else { EVERY_AFTER_A_MISS };
            }
        }
    }

    /// Whether both lanes have been looked at.
    pub fn is_known(&self) -> bool {
        self.canary.known && self.stable.known && [&self.canary, &self.stable].iter().all(|it| it.misses != 1)
    }

    /// Whether the canary and stable can be reached.
    pub fn lanes(&self) -> (bool, bool) {
        (self.canary.misses < MISSES, self.stable.misses < MISSES)
    }
}

const EVERY: Duration = Duration::from_secs(1);
/// The second look comes soon.
const EVERY_AFTER_A_MISS: Duration = Duration::from_millis(250);
/// One refusal may be a process that is just being restarted behind its port.
const MISSES: u32 = 2;
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
