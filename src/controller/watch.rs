//! The evidence of one release: counts of both lanes since it began, and the judge that weighs them.

use crate::analysis::{Clustering, Doubt, GuardPolicy, History, Judge, Saved, StepEvidence, Verdict};
use crate::model::{EvidenceLine, Observation, ServiceName, Tally, Timestamp, VersionName, Weight};
use crate::release::{Finding, Shortfall, Trial};
use crate::store::{Evidence, Look};

use super::counts::Counts;
use super::pace::{Pace, since};

/// What is remembered of stable when a release begins.
#[derive(Debug)]
pub(super) struct Memory {
    pub history: History,
    /// How callers cluster, if they are pinned to a lane.
    pub clustering: Option<Clustering>,
}

/// What is known of the release that is going on.
#[derive(Debug)]
pub(super) struct Watch {
    /// Its number.
    pub release: u64,
    pub began: Timestamp,
    pub judge: Judge,
    policy: GuardPolicy,
    canary: VersionName,
    stable: VersionName,
    /// Counters at the last look.
    seen: Observation,
    /// How old requests may get, and how many got older.
    pace: Pace,
    /// Canary responses of the present step, and the move that began it.
    step: Tally,
    step_of: u64,
    /// When its evidence was last handed to the journal.
    pub saved: Timestamp,
    /// Both lanes' responses per second, from the last looks.
    pub per_second: f64,
    looked: Timestamp,
    /// What the judge was shown and asked at the last look.
    pub last: Look,
}

impl Watch {
    /// Nothing seen yet; what was counted before belongs to nobody's release.
    pub fn begin(
        (service, stable): (&ServiceName, &VersionName),
        trial: &Trial,
        (release, moves): (u64, u64),
        (policy, memory): (&GuardPolicy, &Memory),
        counts: &dyn Counts,
        now: Timestamp,
    ) -> Self {
        let canary = trial.canary.name.clone();
        let seen = look_at(service, (&canary, stable), counts);
        let mut pace = Pace::new(policy);
        pace.look(service, (&canary, stable), counts, now);
        Self {
            release,
            began: now,
            judge: Judge::new(policy, memory.history).clustered(memory.clustering),
            policy: policy.clone(),
            canary,
            stable: stable.clone(),
            seen,
            pace,
            step: Tally::default(),
            step_of: moves,
            saved: now,
            per_second: 0.0,
            looked: now,
            last: Look::default(),
        }
    }

    /// Goes on with evidence from the journal. The step must see fresh responses all the same.
    pub fn restored(mut self, evidence: Option<Evidence>, trial: &Trial, now: Timestamp) -> Self {
        let evidence = evidence.filter(|it| it.release == self.release);
        self.began = evidence.as_ref().map_or(trial.since, |it| it.began).min(now);
        let elapsed = now.since(self.began);
        let judge = evidence.and_then(|it| {
            Judge::restore(&self.policy, &Saved { counts: it.counts, values: it.values }).ok()
        });
        let (history, clustering) = (self.judge.history(), self.judge.clustering());
        let lost = || Judge::after_loss(&self.policy, history, elapsed).clustered(clustering);
        let known = |it: Judge| if it.clustering().is_some() { it } else { it.clustered(clustering) };
        self.judge = judge.map_or_else(lost, known);
        self
    }

    /// Other guards from now on; what was seen stays. So does what is known of pinned callers, unless they
    /// are pinned from now on.
    pub fn judge_by(&mut self, policy: &GuardPolicy, clustering: Option<Clustering>) {
        if self.judge.clustering().is_none() && clustering.is_some() {
            self.judge = self.judge.clone().clustered(clustering);
        }
        if *policy != self.policy {
            // What this process saved, it can restore.
            if let Ok(judge) = Judge::restore(policy, &self.judge.save()) {
                self.judge = judge;
            }
            self.policy = policy.clone();
            self.pace.judge_by(policy);
        }
    }

    /// Looks at the counters and says what they amount to.
    pub fn look(
        &mut self,
        service: &ServiceName,
        trial: &Trial,
        moves: u64,
        counts: &dyn Counts,
        now: Timestamp,
    ) -> Finding {
        let begins_step = self.step_of != moves;
        if begins_step {
            (self.step_of, self.step) = (moves, Tally::default());
            self.judge.begin_step();
        }
        let newest = look_at(service, (&self.canary, &self.stable), counts);
        let fresh = Observation {
            canary: since(&newest.canary, &self.seen.canary),
            stable: since(&newest.stable, &self.seen.stable),
            slow: self.pace.look(service, (&self.canary, &self.stable), counts, now),
        };
        self.seen = newest;
        self.step = self.step.plus(fresh.canary.total());
        self.measure(fresh.canary.total().requests + fresh.stable.total().requests, now);
        let comparator = trial.weight < Weight::ALL;
        let elapsed = now.since(self.began);
        self.judge.observe(elapsed, &fresh, comparator);
        let (step, requests) = (self.step, trial.requests);
        let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        self.last = Look { elapsed_us, seen: fresh, begins_step, comparator, step, requests, fed: None };
        finding(self.judge.verdict(&StepEvidence { canary: step, requests }))
    }

    /// The release is over.
    pub fn leave(&self, service: &ServiceName, counts: &dyn Counts) {
        Pace::leave(service, [&self.canary, &self.stable], counts);
    }

    /// For the trace.
    pub fn knows(&self) -> (GuardPolicy, Saved) {
        (self.policy.clone(), self.judge.save())
    }

    /// For the journal.
    pub fn save(&self, service: &ServiceName, at: Timestamp) -> Evidence {
        let Saved { counts, values } = self.judge.save();
        Evidence { service: service.clone(), release: self.release, began: self.began, at, counts, values }
    }

    /// For a line of the history.
    pub fn line(&self) -> EvidenceLine {
        let evidence = self.judge.evidence();
        let guard = evidence.guards.iter().find(|it| it.decides).or(evidence.guards.first());
        EvidenceLine {
            canary: evidence.canary.seen,
            stable: evidence.stable.seen,
            difference: guard.and_then(|it| it.estimate),
            low: guard.map(|it| it.interval.lower),
            high: guard.map(|it| it.interval.upper),
            limit: guard.map(|it| it.limit),
        }
    }

    /// Canary responses that the present step still needs.
    pub fn missing(&self, requests: u64) -> u64 {
        requests.saturating_sub(self.step.requests)
    }

    /// A rate that follows within a second or so. It depends on how many responses there were and never
    /// on how many failed, because looks are spaced by it.
    fn measure(&mut self, responses: u64, now: Timestamp) {
        let seconds = now.since(self.looked).as_secs_f64();
        if seconds <= 0.0 {
            return;
        }
        self.looked = now;
        let keep = (-seconds).exp();
        self.per_second = keep * self.per_second + (1.0 - keep) * responses as f64 / seconds;
    }
}

/// The counters as they are.
fn look_at(
    service: &ServiceName,
    (canary, stable): (&VersionName, &VersionName),
    counts: &dyn Counts,
) -> Observation {
    let (canary, stable) = (counts.tally(service, canary), counts.tally(service, stable));
    Observation { canary, stable, slow: Vec::new() }
}

/// What a verdict means to a release.
pub fn finding(verdict: Verdict) -> Finding {
    match verdict {
        Verdict::Worse(breach) => Finding::Worse(breach.to_string()),
        Verdict::Fine => Finding::Fine,
        Verdict::Proven => Finding::Proven,
        Verdict::Unsure(doubt) => {
            let requests = match doubt {
                Doubt::TooFew { needed, seen } => needed.saturating_sub(seen),
                Doubt::Leaning { .. } | Doubt::SharedCause { .. } | Doubt::NoComparator => 0,
            };
            Finding::Unsure(Shortfall { why: doubt.to_string(), requests })
        }
    }
}
