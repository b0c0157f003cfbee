//! Checks: what a version must pass before it moves on. Plain data; who runs them is the controller.

use std::time::Duration;

use super::plan::{Plan, Promote};
use super::state::{Phase, State};
use super::trial::Stance;
use super::version::Version;

/// Something that must say yes: a command or a URL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Check {
    /// What people call it.
    pub name: String,
    /// What is done.
    pub what: CheckKind,
    /// When it has failed for want of an answer.
    pub timeout: Duration,
}

/// What a check does. `{endpoint}` stands for the address of the version's first endpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CheckKind {
    /// A command that must end with status 0.
    Run {
        /// The program and its arguments; no shell.
        argv: Vec<String>,
    },
    /// A URL that must answer with this status.
    Url {
        /// Where.
        url: String,
        /// The status that means yes.
        status: u16,
    },
}

/// What must be running now. It follows from the state alone, so that a restart only has to ask again;
/// what runs for another errand is to be killed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Errand {
    /// Which gate it is for.
    pub mark: Mark,
    /// The version that is checked.
    pub canary: Version,
    /// One after the other; the first failure ends it.
    pub checks: Vec<Check>,
}

/// One gate instance: the release, and the move that led to the gate.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Mark {
    /// Number of the release.
    pub release: u64,
    /// [`State::moves`] while it waits.
    pub moves: u64,
}

/// How the checks of an errand ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// All said yes. What they printed, shortened, for the history.
    Passed(String),
    /// One said no: which, why and what it printed, shortened.
    Failed(String),
}

/// What stands before the next move of a phase.
pub(super) struct Gate<'a> {
    pub checks: &'a [Check],
    pub approval: bool,
}

impl State {
    /// The checks that must be running now; `None` when nothing is to be checked.
    pub fn errand(&self, plan: &Plan) -> Option<Errand> {
        let trial = self.candidate().filter(|it| it.stance == Stance::Checking)?;
        let checks = plan.gate(&self.phase).checks;
        let canary = trial.canary.clone();
        (!checks.is_empty()).then(|| Errand { mark: self.mark(), canary, checks: checks.to_vec() })
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { release: self.release, moves: self.moves }
    }
}

impl Plan {
    pub(super) fn gate(&self, phase: &Phase) -> Gate<'_> {
        let manual = self.promote == Promote::Manual;
        match phase {
            Phase::Verifying(_) => Gate { checks: &self.verify, approval: manual && self.steps.is_empty() },
            Phase::Canary(trial) => {
                let step = self.at(trial.weight);
                Gate {
                    checks: step.map_or(&[], |it| &it.checks),
                    approval: step.is_some_and(|it| it.approval)
                        || (manual && self.after(trial.weight).is_none()),
                }
            }
            Phase::Live | Phase::Watching(_) | Phase::RolledBack { .. } => {
                Gate { checks: &[], approval: false }
            }
        }
    }
}
