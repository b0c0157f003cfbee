//! Guards that are asked elsewhere: numbers of a Prometheus. They may keep a release from going on and can
//! do nothing else; whoever says nothing that can be understood keeps it as well.
//!
//! An answer counts for the version and the weight at which it was asked for. After each step everything
//! is asked anew, at once, so that no step rests on what was fine before it.

use std::time::Duration;

use crate::checks::{Bounds, Finding, Question, Report, Running, Subject};
use crate::config::Query;
use crate::model::{ServiceName, Timestamp, VersionName, Weight};

use super::errand::{Laboratory, Said};

/// What the queries of one service have said.
#[derive(Debug, Default)]
pub(super) struct Vetoes {
    queries: Vec<Query>,
    /// One for each query.
    asked: Vec<Asked>,
    about: Option<About>,
    /// Numbers tell answers apart from those to questions that were dropped.
    number: u64,
}

/// What an answer is about: a version, the release of it and its weight.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct About {
    pub version: VersionName,
    pub release: u64,
    pub weight: Weight,
}

#[derive(Debug, Default)]
struct Asked {
    running: Option<Running>,
    number: u64,
    /// When it was asked last.
    at: Option<Timestamp>,
    answer: Option<Finding>,
}

/// An answer on its way to the controller.
#[derive(Debug)]
pub(super) struct Answered {
    pub service: ServiceName,
    number: u64,
    finding: Finding,
}

impl Vetoes {
    /// What is to be asked from now on. Other questions need other answers.
    pub fn meet(&mut self, queries: &[Query]) {
        if self.queries != queries {
            (self.queries, self.about) = (queries.to_vec(), None);
            self.forget();
        }
    }

    /// Asks what is due, as long as there is something to move.
    pub fn follow(
        &mut self,
        service: &ServiceName,
        about: Option<About>,
        laboratory: Option<&Laboratory>,
        now: Timestamp,
    ) {
        if self.about != about {
            self.about = about;
            self.forget();
        }
        let (Some(about), Some(laboratory)) = (&self.about, laboratory) else { return };
        for (query, asked) in self.queries.iter().zip(&mut self.asked) {
            // A clock that was put back does not postpone anything.
            let due = asked.at.is_none_or(|at| at > now || now.since(at) >= query.every);
            if asked.running.is_some() || !due {
                continue;
            }
            self.number += 1;
            (asked.number, asked.at) = (self.number, Some(now));
            let (number, name, told) = (self.number, service.clone(), laboratory.said.clone());
            let subject = Subject {
                service: name.clone(),
                version: about.version.clone(),
                endpoint: String::new(),
                first: b"",
            };
            let answered = move |it: Report| {
                // A controller that has ended has no use for it.
                let _ = told.send(Said::Answered(Answered { service: name, number, finding: it.finding }));
            };
            asked.running =
                Some(laboratory.checks.ask(subject, question(query, now), query.timeout, answered));
        }
    }

    /// Whether there are questions whose time comes.
    pub fn are_asked(&self) -> bool {
        self.about.is_some() && !self.queries.is_empty()
    }

    /// An answer has come.
    pub fn answered(&mut self, it: &Answered) {
        if let Some(asked) = self.asked.iter_mut().find(|asked| asked.number == it.number) {
            (asked.running, asked.answer) = (None, Some(it.finding.clone()));
        }
    }

    /// Why nothing may rise now; the first reason, in the order of the file.
    pub fn veto(&self, now: Timestamp) -> Option<String> {
        self.queries.iter().zip(&self.asked).find_map(|(query, asked)| {
            let name = &query.name;
            match &asked.answer {
                None => Some(format!("guard {name} has not answered yet")),
                Some(Finding::Failed(why)) => Some(format!("guard {name}: {why}")),
                Some(Finding::Unknown(why)) => Some(format!("guard {name} is unknown: {why}")),
                Some(Finding::Passed) => {
                    let kept = query.every * 2 + query.timeout;
                    let fresh = asked.at.is_some_and(|at| at <= now && now.since(at) <= kept);
                    (!fresh).then(|| format!("guard {name} is unknown: its last answer is old"))
                }
            }
        })
    }

    fn forget(&mut self) {
        self.asked = self.queries.iter().map(|_| Asked::default()).collect();
    }
}

fn question(query: &Query, now: Timestamp) -> Question {
    Question::Sample {
        prometheus: query.prometheus.clone(),
        query: query.query.clone(),
        bounds: Bounds { min: query.min, max: query.max, now, age_max: (query.every * 3).max(AGE_MAX_LEAST) },
    }
}

/// Clocks of two machines differ by this much without anybody noticing.
const AGE_MAX_LEAST: Duration = Duration::from_secs(5);
