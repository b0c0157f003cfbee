//! The promises, said once more in other words than the machine's own.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::{Fingerprint, Timestamp, Weight};
use crate::release::tests::event;
use crate::release::{
    Command, Effect, Event, Finding, Loaded, NoTraffic, OnBreach, Outcome, Permit, Phase, Plan, Promote,
    Shortfall, Stance, State, Trial, Version, step,
};

/// What an observer knows who sees events and states and none of the reasons.
pub(super) struct Model {
    /// What was taken out for its own fault or by a person.
    withdrawn: BTreeSet<Fingerprint>,
    /// Time of the present release that counts.
    spent: Duration,
    seen: Timestamp,
}

impl Model {
    pub fn new(state: &State, now: Timestamp) -> Self {
        let withdrawn = state.quarantine.iter().map(|it| it.version.fingerprint).collect();
        // What was spent before a restart is the journal's to know.
        Self { withdrawn, spent: state.clock.spent, seen: now }
    }

    pub fn judge(
        &mut self,
        plan: &Plan,
        before: &State,
        event: &Event,
        after: &State,
        effects: &[Effect],
        now: Timestamp,
    ) -> Result<(), String> {
        let said = |it: &str| format!("{it}, on {event:?}\nfrom {before:?}\nto {after:?}");
        self.pass_time(plan, before, event, after, now).map_err(|it| said(&it))?;
        order(before, event, after, effects).map_err(|it| said(&it))?;
        breaches(plan, before, event, after).map_err(|it| said(&it))?;
        if rises(before, after) {
            may_rise(plan, before, event, after, now).map_err(|it| said(&it))?;
        }
        falls(before, event, after).map_err(|it| said(&it))?;
        stable_changes(plan, before, event, after, now).map_err(|it| said(&it))?;
        self.quarantine(before, event, after).map_err(|it| said(&it))
    }

    /// Only time without pauses, gates and closed windows counts; when it is over, it is over.
    fn pass_time(
        &mut self,
        plan: &Plan,
        before: &State,
        event: &Event,
        after: &State,
        now: Timestamp,
    ) -> Result<(), String> {
        if matches!(event, Event::Restarted { .. }) {
            (self.spent, self.seen) = (after.clock.spent, now);
            return Ok(());
        }
        if counts(before) {
            self.spent += now.since(self.seen);
        }
        self.seen = now;
        if let (Event::Tick(_), Some(deadline)) = (event, plan.deadline) {
            let due = counts(before) && self.spent >= deadline;
            let out = matches!(&after.phase, Phase::RolledBack { .. }) && before.candidate().is_some();
            ensure(due == out, || format!("after {:?} of {deadline:?} taken out: {out}", self.spent))?;
        }
        if after.release != before.release {
            self.spent = Duration::ZERO;
        }
        Ok(())
    }

    /// Nothing that was withdrawn has traffic, or is tried, until somebody lifts that.
    fn quarantine(&mut self, before: &State, event: &Event, after: &State) -> Result<(), String> {
        let lifted = match event {
            Event::Commanded(Command::Retry, ..) => Some(before.wanted.fingerprint),
            Event::Commanded(Command::Promote { insist: Some(_), .. }, ..) => Some(before.wanted.fingerprint),
            Event::Loaded(_) if before.stable != after.stable => Some(after.stable.fingerprint),
            _ => None,
        };
        if let Some(fingerprint) = lifted {
            self.withdrawn.remove(&fingerprint);
        }
        let blamed = !matches!(event, Event::Loaded(_) | Event::Removed);
        if let (Some(trial), Phase::RolledBack { .. }, true) = (before.candidate(), &after.phase, blamed) {
            self.withdrawn.insert(trial.canary.fingerprint);
        }
        if matches!(event, Event::Commanded(Command::Rollback { .. }, ..)) && before.stable != after.stable {
            self.withdrawn.insert(before.stable.fingerprint);
        }
        let barred = |it: &Fingerprint| self.withdrawn.contains(it);
        ensure(!after.candidate().is_some_and(|it| barred(&it.canary.fingerprint)), || {
            "a withdrawn version is tried".into()
        })?;
        ensure(!barred(&after.stable.fingerprint), || "a withdrawn version is stable".into())?;
        ensure(!after.previous.as_ref().is_some_and(|it| barred(&it.version.fingerprint)), || {
            "a rollback would return to a withdrawn version".into()
        })
    }
}

/// An unchanged file undoes nothing; another `live` is wanted; what was deployed is there until the file names
/// it or nothing leads to it any more.
pub(super) fn loads(before: &State, file: &Loaded, after: &State) -> Result<(), String> {
    let said = |it: &str| format!("{it}, on {file:?}\nfrom {before:?}\nto {after:?}");
    ensure(after.filed == file.live, || said("it is not known what the file said"))?;
    if file.live.name != before.filed.name {
        ensure(after.wanted == file.live, || said("the file does not win"))?;
    }
    let defines = |it: &Version| {
        let filed = file.versions.iter().find(|known| known.name == it.name);
        filed.map_or(before.deployed.iter().any(|known| known.version == *it), |known| known == it)
    };
    let candidate = before.candidate().map(|it| &it.canary);
    let used = [Some(&before.stable), Some(&before.wanted), candidate, Some(&before.filed)];
    if file.live == before.filed && used.into_iter().flatten().all(defines) {
        let undone = after.wanted != before.wanted
            || after.shares() != before.shares()
            || after.quarantine != before.quarantine
            || after.deployed != before.deployed
            || (before.word() == "PAUSED") != (after.word() == "PAUSED");
        ensure(!undone, || said("an unchanged file undoes what a person did"))?;
    }
    Ok(())
}

/// From every state a person gets to none in one step, and a second time changes nothing.
pub(super) fn a_rollback_takes_everything(plan: &Plan, state: &State, now: Timestamp) -> Result<(), String> {
    let (next, _) = step(plan, state.clone(), event("rollback v1"), now);
    ensure(state.stable.name.as_str() != "v1" || next.shares().canary.is_none(), || {
        format!("a rollback leaves a share: {next:?}")
    })?;
    let (next, _) = step(plan, state.clone(), event("rollback"), now);
    ensure(next.shares().canary.is_none(), || format!("a rollback leaves a share: {next:?}"))?;
    if state.candidate().is_none() {
        return Ok(());
    }
    let (again, effects) = step(plan, next.clone(), event("rollback"), now);
    // A newer version that waits to begin is called off by the second.
    ensure(next.awaits_release() || (again == next && matches!(effects[..], [Effect::Already(_)])), || {
        format!("a second rollback does more: {effects:?}")
    })
}

/// Published is what the state says; up goes the record first, down the split; a refusal changes nothing.
fn order(before: &State, event: &Event, after: &State, effects: &[Effect]) -> Result<(), String> {
    let published = effects.iter().rev().find_map(|it| match it {
        Effect::Split(shares) => Some(shares.clone()),
        _ => None,
    });
    let published = published.unwrap_or_else(|| before.shares());
    ensure(published.canary == after.shares().canary, || "published is not what the state says".into())?;
    ensure(published.stable.name == after.stable.name, || "published is another stable".into())?;
    let share = published.canary.as_ref().map(|it| it.1);
    ensure(share.is_none_or(|it| it > Weight::NONE), || "a lane at 0% is in the table".into())?;
    let refused = effects.iter().any(|it| matches!(it, Effect::Refuse(_) | Effect::Already(_)));
    ensure(!refused || (before == after && effects.len() == 1), || "a refusal does something".into())?;
    let first_is_split = matches!(effects.first(), Some(Effect::Split(_)));
    if rises(before, after) {
        ensure(!first_is_split, || "it rises before it is written down".into())?;
    } else if after.weight() < before.weight() && before.stable == after.stable {
        ensure(first_is_split, || "it falls after it is written down".into())?;
    }
    let said_nothing = effects.is_empty() && !matches!(event, Event::Loaded(_));
    ensure(!said_nothing || before.shares() == after.shares(), || "shares change without a word".into())
}

/// Guards are armed in every state with weight, and dead endpoints count as a breach.
fn breaches(plan: &Plan, before: &State, event: &Event, after: &State) -> Result<(), String> {
    let weight = before.weight();
    if weight == Weight::NONE {
        return Ok(());
    }
    let gone = after.shares().canary.is_none();
    match (event, plan.on_breach) {
        (Event::Judged(Finding::Worse(_), _), OnBreach::Rollback) => {
            ensure(gone && after.stable == before.stable, || "it is worse and keeps its share".into())
        }
        (Event::Judged(Finding::Worse(_), _), OnBreach::Pause) => {
            ensure(after.word() == "PAUSED" && after.weight() == weight, || {
                "it is worse and not paused".into()
            })
        }
        (Event::Judged(Finding::Worse(_), _), OnBreach::Notify) => {
            ensure(after.weight() == weight, || "to notify is to change nothing".into())
        }
        (Event::Ready { canary: false, stable: true }, _) if before.ready.canary || !before.ready.stable => {
            ensure(gone, || "nobody is there and it keeps its share".into())
        }
        _ => Ok(()),
    }
}

/// Somebody gets more of a version that is not stable, or it becomes stable while others had a share.
fn rises(before: &State, after: &State) -> bool {
    after.weight() > before.weight()
        || (after.stable != before.stable
            && before.trial().is_some_and(|it| it.canary == after.stable && it.weight < Weight::ALL))
}

fn may_rise(plan: &Plan, before: &State, event: &Event, after: &State, now: Timestamp) -> Result<(), String> {
    ensure(before.ready.canary && before.ready.stable, || "it rises without endpoints".into())?;
    let (permit, insisted, person) = match event {
        Event::Commanded(Command::Promote { insist, .. }, _, permit) => (permit, insist.is_some(), true),
        Event::Commanded(Command::Weight { .. }, _, permit) => (permit, false, true),
        Event::Judged(_, permit) | Event::Checked(_, _, permit) | Event::Tick(permit) => {
            (permit, false, false)
        }
        _ => return Err("no reason to rise".into()),
    };
    ensure(insisted || *permit == Permit::Open, || "it rises outside of its window".into())?;
    let chosen = match event {
        Event::Commanded(Command::Promote { full, to, .. }, ..) => *full || to.is_some(),
        Event::Commanded(Command::Weight { .. }, ..) => true,
        _ => false,
    };
    let mut above = plan.steps.iter().map(|it| it.weight).filter(|it| *it > before.weight());
    let lowest = above.by_ref().min();
    if !chosen && after.stable == before.stable {
        let expected = lowest.unwrap_or(plan.watch.holdback.rest().max(before.weight()));
        let highest = plan.steps.iter().map(|it| it.weight).max().unwrap_or(Weight::NONE);
        let expected = if lowest.is_none() { expected.max(highest) } else { expected };
        ensure(after.weight() == expected, || format!("it rises to {}, not {expected}", after.weight()))?;
    }
    if insisted {
        return Ok(());
    }
    let no_checks_left = |trial: &Trial, checks: bool| trial.checked || !checks;
    match (&before.phase, event) {
        (Phase::Live | Phase::RolledBack { .. }, _) => {
            ensure(!first_gate(plan), || "a gate was not asked".into())
        }
        (Phase::Verifying(trial), Event::Checked(_, Outcome::Passed(_), _)) => {
            let asks = plan.promote == Promote::Manual && plan.steps.is_empty();
            ensure(trial.stance == Stance::Checking && !asks, || "nobody asked for these checks".into())
        }
        (Phase::Verifying(trial), _) => {
            let asks = plan.promote == Promote::Manual && plan.steps.is_empty();
            let tested = no_checks_left(trial, !plan.verify.is_empty());
            let paused = matches!(trial.stance, Stance::Paused { .. });
            ensure(tested && (person || ((trial.approved || !asks) && !paused)), || {
                "it gets traffic untested or unasked".into()
            })
        }
        (Phase::Canary(_) | Phase::Watching(_), _) if person => Ok(()),
        (Phase::Canary(trial) | Phase::Watching(trial), Event::Judged(finding, _)) => {
            by_itself(plan, before, trial, finding, now)
        }
        _ => Err("it rises without a verdict".into()),
    }
}

/// What a stage needs that ends by itself: time, evidence, its checks, its approval, and no pause.
fn by_itself(
    plan: &Plan,
    state: &State,
    trial: &Trial,
    finding: &Finding,
    now: Timestamp,
) -> Result<(), String> {
    let canary = matches!(state.phase, Phase::Canary(_));
    let fine = match finding {
        Finding::Fine => trial.until <= now,
        Finding::Proven => trial.until <= now || canary,
        Finding::Unsure(it) => trial.until <= now && it.requests > 0 && plan.no_traffic == NoTraffic::Promote,
        Finding::Worse(_) => false,
    };
    ensure(fine, || "it rises without a fine verdict or before its time".into())?;
    ensure(!matches!(trial.stance, Stance::Paused { .. }), || "it rises while paused".into())?;
    let gated = plan.steps.iter().find(|it| canary && it.weight == trial.weight);
    let last = canary && plan.steps.iter().all(|it| it.weight <= trial.weight);
    let asks = gated.is_some_and(|it| it.approval) || (last && plan.promote == Promote::Manual);
    ensure(trial.checked || gated.is_none_or(|it| it.checks.is_empty()), || "it rises unchecked".into())?;
    ensure(trial.approved || !asks, || "it rises unasked".into())
}

fn first_gate(plan: &Plan) -> bool {
    !plan.verify.is_empty() || (plan.promote == Promote::Manual && plan.steps.is_empty())
}

/// Within a release a share shrinks only to nothing, or because a person says so: the assignment is
/// monotone, so nobody goes to the canary and back.
fn falls(before: &State, event: &Event, after: &State) -> Result<(), String> {
    let (Some(old), Some(new)) = (before.trial(), after.trial()) else { return Ok(()) };
    if before.release == after.release {
        let by_hand = matches!(event, Event::Commanded(Command::Weight { .. }, ..));
        ensure(new.weight >= old.weight || by_hand, || "its share shrinks".into())?;
        return ensure(new.canary == old.canary, || "another version takes over its share".into());
    }
    Err("one release follows another without a moment at 0%".into())
}

fn stable_changes(
    plan: &Plan,
    before: &State,
    event: &Event,
    after: &State,
    now: Timestamp,
) -> Result<(), String> {
    if before.stable.name == after.stable.name {
        return Ok(());
    }
    match (event, &before.phase) {
        (Event::Judged(finding, _), Phase::Watching(trial)) => {
            let fine = match finding {
                Finding::Fine | Finding::Proven => true,
                Finding::Unsure(it) => it.requests > 0 && plan.no_traffic == NoTraffic::Promote,
                Finding::Worse(_) => false,
            };
            let awake = !matches!(trial.stance, Stance::Paused { .. });
            ensure(fine && awake && trial.until <= now, || "stable changes before the watch is over".into())
        }
        (Event::Commanded(Command::Promote { full: true, .. }, ..), Phase::Watching(_)) => Ok(()),
        (Event::Commanded(Command::Rollback { .. }, ..), Phase::Live | Phase::RolledBack { .. }) => {
            let kept = before.previous.as_ref().filter(|it| it.version == after.stable);
            let long = plan.keep_previous.zip(kept).is_some_and(|(kept, it)| it.since + kept <= now);
            ensure(kept.is_some() && !long, || "it returns to what is not kept".into())
        }
        _ => Err("stable changes for no reason".into()),
    }
}

fn counts(state: &State) -> bool {
    state.candidate().is_some_and(|it| matches!(it.stance, Stance::Advancing | Stance::Held(_)))
}

/// What is missing for a verdict changes with every response and is not worth a record.
pub(super) fn without_shortfall(state: &State) -> State {
    let mut state = state.clone();
    if let Phase::Canary(trial) | Phase::Watching(trial) = &mut state.phase
        && let Stance::Held(shortfall) = &mut trial.stance
    {
        *shortfall = Shortfall { why: String::new(), requests: 0 };
    }
    state
}

pub(super) fn ensure(holds: bool, broken: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(broken()) }
}
