//! A trace played again: what was fed goes through the same judge and the same machine, and what comes
//! out must be what was decided, bit for bit.

use std::time::Duration;

use crate::analysis::{Judge, Saved, StepEvidence};
use crate::model::{Tally, Timestamp};
use crate::release::{Event, Plan, State, step};
use crate::store::{Base, Decided, Fate, Look, Noted};

use super::watch::finding;

/// A trace that is being played again.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    now: Option<Now>,
    /// What has just been decided here, and must be found in the trace.
    made: Option<(State, Decided)>,
    at: Timestamp,
    /// Looks that were judged again.
    pub looks: u64,
    /// Decisions that came out the same.
    pub decisions: u64,
}

#[derive(Clone, Debug)]
struct Now {
    state: State,
    pending: Option<State>,
    plan: Plan,
    judge: Option<Judge>,
    evidence: (Tally, Tally),
}

/// A decision that came out the same.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Again {
    /// When.
    pub at: Timestamp,
    /// Its lines of the history.
    pub lines: Vec<String>,
    /// What canary and stable had answered since the release began.
    pub evidence: (Tally, Tally),
}

/// Where a replay comes to something else.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what} (at {at})")]
pub struct Difference {
    /// When it was decided.
    pub at: Timestamp,
    /// What differs.
    pub what: String,
}

impl Replay {
    /// Plays the next note. `Some` when it is a decision worth a line.
    pub fn play(&mut self, noted: Noted) -> Result<Option<Again>, Difference> {
        if let Noted::Decided(it) = noted {
            return self.compare(it);
        }
        // A base follows notes that were lost, or the end of a process.
        let made = self.made.take().filter(|_| !matches!(noted, Noted::Base(_)));
        if let Some((_, made)) = made {
            return Err(self.differs(format!("replayed {}, recorded nothing", said(&made))));
        }
        match noted {
            Noted::Base(it) => self.begin(*it)?,
            Noted::Look(it) => self.look(*it)?,
            Noted::Event { at, event } => self.decide(*event, at)?,
            Noted::Took => {
                let now = self.now()?;
                match now.pending.take() {
                    Some(state) => now.state = state,
                    None => return Err(self.differs("nothing waited for the disk".into())),
                }
            }
            Noted::Decided(_) => {}
        }
        Ok(None)
    }

    /// The end of the trace. A decision that a crash kept from being recorded is no difference.
    pub fn end(self) -> (u64, u64) {
        (self.looks, self.decisions)
    }

    fn begin(&mut self, it: Base) -> Result<(), Difference> {
        let Base { state, pending, plan, judge, .. } = it;
        let judge = judge.map(|(policy, saved): (_, Saved)| Judge::restore(&policy, &saved)).transpose();
        let judge = judge.map_err(|it| self.differs(it.to_string()))?;
        let evidence = Default::default();
        self.now = Some(Now { state, pending, plan, judge, evidence });
        Ok(())
    }

    fn look(&mut self, it: Look) -> Result<(), Difference> {
        self.looks += 1;
        let now = self.now()?;
        let Some(judge) = &mut now.judge else {
            return Err(self.differs("a look without a judge".into()));
        };
        if it.begins_step {
            judge.begin_step();
        }
        judge.observe(Duration::from_micros(it.elapsed_us), &it.seen, it.comparator);
        let verdict = judge.verdict(&StepEvidence { canary: it.step, requests: it.requests });
        let evidence = judge.evidence();
        now.evidence = (evidence.canary.seen, evidence.stable.seen);
        match it.fed {
            Some((at, permit)) => self.decide(Event::Judged(finding(verdict), permit), at),
            None => Ok(()),
        }
    }

    fn decide(&mut self, event: Event, at: Timestamp) -> Result<(), Difference> {
        self.at = at;
        let now = self.now()?;
        let (next, effects) = step(&now.plan, now.state.clone(), event, at);
        if !effects.is_empty() || next != now.state {
            let decided = Decided::of(&next, &effects, Fate::Applied);
            self.made = Some((next, decided));
        }
        Ok(())
    }

    fn compare(&mut self, recorded: Decided) -> Result<Option<Again>, Difference> {
        let Some((next, made)) = self.made.take() else {
            return Err(self.differs(format!("recorded {}, replayed nothing", said(&recorded))));
        };
        if (made.digest, &made.lines) != (recorded.digest, &recorded.lines) {
            return Err(self.differs(format!("recorded {}, replayed {}", said(&recorded), said(&made))));
        }
        self.decisions += 1;
        let at = self.at;
        let now = self.now()?;
        match recorded.fate {
            Fate::Applied => (now.state, now.pending) = (next, None),
            Fate::Silent => now.state = next,
            Fate::Pending => now.pending = Some(next),
            Fate::Nothing => {}
        }
        let again = Again { at, lines: made.lines, evidence: now.evidence };
        Ok(Some(again).filter(|it| !it.lines.is_empty()))
    }

    fn now(&mut self) -> Result<&mut Now, Difference> {
        let at = self.at;
        let missing = || Difference { at, what: "the trace does not begin with a base".into() };
        self.now.as_mut().ok_or_else(missing)
    }

    fn differs(&self, what: String) -> Difference {
        Difference { at: self.at, what }
    }
}

fn said(it: &Decided) -> String {
    match it.lines.as_slice() {
        [] => format!("a change {:016x}", it.digest),
        lines => format!("`{}` ({:016x})", lines.join("; "), it.digest),
    }
}
