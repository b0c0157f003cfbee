//! The checks of one service's release: what runs is what the state says must be running, and nothing else.
//!
//! Level-triggered: after every change the errand is compared with what runs. Another mark, or no errand
//! any more (a rollback, a newer `live`, a person who insists), ends the processes at once. After a restart
//! the errand is simply there again and its checks begin anew.
//!
//! Between two steps a URL is a gate that may say yes later: as long as it does not, it is asked again and
//! the release stays where it is. A command that fails there, and any check that fails before the first
//! user, says no.

use std::fmt::Write;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::checks::{Checks, Finding, Question, Report, Running, Subject};
use crate::model::{ServiceName, Timestamp};
use crate::release::{Check, CheckKind, Errand, Mark, Outcome};

use super::readiness::Reached;
use super::veto::Answered;

/// What runs for one service.
#[derive(Debug, Default)]
pub(super) struct Errands {
    under_way: Option<UnderWay>,
    /// Numbers tell answers apart from those of checks that were let go of.
    number: u64,
}

#[derive(Debug)]
struct UnderWay {
    errand: Errand,
    subject: Subject,
    /// Whether users are concerned already.
    between_steps: bool,
    /// Which check is running, counted from 0, and since when.
    at: usize,
    began: Timestamp,
    /// When to ask once more.
    again: Option<Timestamp>,
    running: Option<Running>,
    /// What the checks before said.
    said: String,
    /// What the last answer was, if it was no yes.
    doubt: Option<String>,
    /// How it ended. Told until the state has moved on: a move that the disk does not take is tried again.
    outcome: Option<Outcome>,
}

/// What a check said, on its way to the controller.
#[derive(Debug)]
pub(super) struct Heard {
    pub service: ServiceName,
    number: u64,
    report: Report,
}

/// Where checks are run, and where their answers go.
#[derive(Clone, Debug)]
pub(super) struct Laboratory {
    pub checks: Checks,
    pub said: mpsc::UnboundedSender<Said>,
}

/// What comes back from there.
#[derive(Debug)]
pub(super) enum Said {
    Heard(Heard),
    Reached(Reached),
    Answered(Answered),
}

impl Errands {
    /// Makes what runs what must be running.
    pub fn follow(
        &mut self,
        wanted: Option<(Errand, Subject, bool)>,
        laboratory: Option<&Laboratory>,
        now: Timestamp,
    ) {
        let Some((errand, subject, between_steps)) = wanted else {
            self.under_way = None;
            return;
        };
        let same = self
            .under_way
            .as_ref()
            .is_some_and(|it| it.errand.mark == errand.mark && it.errand.checks == errand.checks);
        if !same {
            self.under_way = Some(UnderWay {
                errand,
                subject,
                between_steps,
                at: 0,
                began: now,
                again: Some(now),
                running: None,
                said: String::new(),
                doubt: None,
                outcome: None,
            });
        }
        let (Some(it), Some(laboratory)) = (&mut self.under_way, laboratory) else { return };
        if it.again.is_none_or(|again| now < again) {
            return;
        }
        let Some(check) = it.errand.checks.get(it.at) else { return };
        it.again = None;
        self.number += 1;
        let (service, number) = (it.subject.service.clone(), self.number);
        let heard = laboratory.said.clone();
        let (question, limit) = question(check);
        it.running = Some(laboratory.checks.ask(it.subject.clone(), question, limit, move |report| {
            // A controller that has ended has no use for it.
            let _ = heard.send(Said::Heard(Heard { service, number, report }));
        }));
    }

    /// What the machine is to be told.
    pub fn outcome(&self) -> Option<(Mark, Outcome)> {
        let it = self.under_way.as_ref()?;
        Some((it.errand.mark, it.outcome.clone()?))
    }

    /// A check has said something.
    pub fn heard(&mut self, heard: &Heard, now: Timestamp) {
        let Some(it) = self.under_way.as_mut().filter(|_| heard.number == self.number) else { return };
        it.running = None;
        let Some(check) = it.errand.checks.get(it.at) else { return };
        let name = &check.name;
        let (why, answered) = match &heard.report.finding {
            Finding::Passed => {
                it.said = joined(&it.said, &format!("{name}: passed"), &heard.report.output);
                (it.at, it.began, it.doubt) = (it.at + 1, now, None);
                if it.at == it.errand.checks.len() {
                    it.outcome = Some(Outcome::Passed(it.said.clone()));
                } else {
                    it.again = Some(now);
                }
                return;
            }
            Finding::Failed(why) => (why, true),
            Finding::Unknown(why) => (why, false),
        };
        let is_url = matches!(check.what, CheckKind::Url { .. });
        let patient = it.between_steps || (!answered && now < it.began + check.timeout);
        if is_url && patient {
            it.doubt = Some(format!("{name} does not say yes: {why}"));
            it.again = Some(now + ASK_AGAIN);
            return;
        }
        // What it was comes first: it is the cause of a rollback, and shown in one line.
        let said = joined("", &format!("{name}: {why}"), &heard.report.output);
        it.outcome = Some(Outcome::Failed(joined(&said, &it.said, "")));
    }

    /// What is going on, as one sentence.
    pub fn text(&self) -> Option<String> {
        let it = self.under_way.as_ref()?;
        let name = &it.errand.checks.get(it.at)?.name;
        let number = format!("check {} of {}", it.at + 1, it.errand.checks.len());
        Some(match &it.doubt {
            Some(doubt) => format!("{number}: {doubt}; asked again every {} s", ASK_AGAIN.as_secs()),
            None => format!("{number} is running: {name}"),
        })
    }
}

fn question(check: &Check) -> (Question, Duration) {
    let question = match &check.what {
        CheckKind::Run { argv } => Question::Command(argv.clone()),
        CheckKind::Url { url, status } => Question::Url { url: url.clone(), status: *status },
    };
    (question, check.timeout)
}

/// One text for the history: what was said, check by check.
fn joined(before: &str, line: &str, output: &str) -> String {
    let mut text = before.to_owned();
    if !text.is_empty() && !line.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
    if !output.is_empty() {
        let shown = &output[..output.floor_char_boundary(SAID_BYTES_MAX)];
        let rest = if shown.len() < output.len() { " …" } else { "" };
        // Writing into a text cannot fail.
        let _ = write!(text, "\n{shown}{rest}");
    }
    text
}

/// Between two questions to a URL that has not said yes.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// What is kept of one check's output in the history.
const SAID_BYTES_MAX: usize = 4 * 1024;
