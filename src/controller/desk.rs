//! One service: its state, its evidence, and what is on its way to the disk.
//!
//! A change that raises nothing is carried out at once and written down after. One that raises a weight
//! is *pending* until it is on disk; anything that changes the state meanwhile (a breach, a rollback, a
//! reload) throws it away, because the journal then ends with the newer record.

mod minded;
mod remembered;
mod traced;

use std::sync::Arc;
use std::time::Duration;

use crate::model::{ServiceName, Timestamp};
use crate::release::{
    Command, Effect, Event as Input, Finding, News, Plan, RefusalCode, Shares, State, Version, What, step,
};
use crate::routing::ServiceSpec;
use crate::store::{Change, Evidence, Fate, Line, Noted};

use super::calendar::Calendar;
use super::counts::Counts;
use super::endpoints::Endpoints;
use super::errand::{Errands, Laboratory};
use super::handle::Answer;
use super::outbox::{Outbox, Purpose, Reply, answer, records, refuse};
use super::readiness::Readiness;
use super::table::Routed;
use super::veto::Vetoes;
use super::watch::Watch;
use remembered::Remembered;

#[derive(Debug)]
pub(super) struct Desk {
    pub name: ServiceName,
    pub state: State,
    /// What is published.
    pub shares: Shares,
    pub plan: Plan,
    /// Whether the configuration has this service.
    pub present: bool,
    pub watch: Option<Watch>,
    pending: Option<Pending>,
    /// Why nothing may rise, and when to try again.
    pub blocked: Option<(String, Timestamp)>,
    /// The newest change is not known to be on disk.
    pub unsaved: bool,
    /// Its job.
    newest_job: u64,
    /// Which trace goes on.
    traced: Option<(u64, u64)>,
    remembered: Remembered,
    /// Evidence from the journal, for the release that was under way.
    pub recovered: Option<Evidence>,
    pub last: Option<News>,
    /// Its versions, those of the file and those of run time.
    pub spec: Option<Arc<ServiceSpec>>,
    /// Which of the latter are in `spec`.
    pub fitted: Vec<Version>,
    /// Whether what runs is known to differ from what the file says.
    pub drifted: bool,
    pub errands: Errands,
    pub readiness: Readiness,
    pub vetoes: Vetoes,
}

/// A raise that waits for the disk.
#[derive(Debug)]
struct Pending {
    job: u64,
    next: State,
    effects: Vec<Effect>,
    lines: Vec<Line>,
    reply: Option<Reply>,
}

/// What every move needs of the world.
pub(super) struct World<'a> {
    pub out: &'a mut Outbox,
    pub counts: &'a dyn Counts,
    /// How endpoints are.
    pub endpoints: &'a dyn Endpoints,
    /// Id of the newest event that was announced.
    pub newest: u64,
    /// What the date has to say.
    pub calendar: &'a Calendar,
    /// Where checks are run; `None`: nowhere, and everything counts as ready.
    pub laboratory: Option<&'a Laboratory>,
    pub now: Timestamp,
}

impl Desk {
    pub fn new(name: ServiceName, state: State, plan: Plan, counts: &dyn Counts, now: Timestamp) -> Self {
        let remembered = Remembered::of(&name, &state.stable, counts, now);
        Self {
            name,
            shares: state.shares(),
            state,
            plan,
            present: true,
            watch: None,
            pending: None,
            blocked: None,
            unsaved: false,
            newest_job: 0,
            traced: None,
            remembered,
            recovered: None,
            last: None,
            spec: None,
            fitted: Vec::new(),
            drifted: false,
            errands: Errands::default(),
            readiness: Readiness::default(),
            vetoes: Vetoes::default(),
        }
    }

    /// Something happened: decides, and does what follows.
    pub fn feed(&mut self, input: Input, reply: Option<Reply>, world: &mut World<'_>) {
        if self.pending.is_some() && !interrupts(&input) {
            return refuse(reply, RefusalCode::Busy, "a step is being taken right now: look again");
        }
        let silent = matches!(input, Input::Loaded(_) | Input::Removed);
        if silent {
            // Plan and guards may be others now.
            self.traced = None;
        }
        self.begin_trace(world);
        let told = (!matches!(input, Input::Judged(..))).then(|| input.clone());
        let (next, effects) = step(&self.plan, self.state.clone(), input, world.now);
        let raises = matches!(effects.as_slice(), [Effect::Record(_), ..])
            && effects.iter().any(|it| matches!(it, Effect::Split(_)));
        let fate = match effects.as_slice() {
            [Effect::Refuse(_) | Effect::Already(_)] => Fate::Nothing,
            [] if !silent => Fate::Silent,
            _ if raises => Fate::Pending,
            _ => Fate::Applied,
        };
        self.trace_decision(told, (&next, &effects), fate, world);
        match effects.as_slice() {
            [Effect::Refuse(it)] => refuse(reply, it.code, it.reason.clone()),
            [Effect::Already(text)] => answer(reply, text.clone(), false, !self.unsaved),
            _ if raises => self.prepare(next, effects, reply, world),
            [] if next == self.state => answer(reply, "nothing to do", false, !self.unsaved),
            [] if !silent => self.state = next,
            _ => self.carry_out(next, effects, reply, world),
        }
    }

    /// Carries out effects that were decided elsewhere, in their order: the first sight of a service.
    pub fn carry_out(
        &mut self,
        next: State,
        effects: Vec<Effect>,
        reply: Option<Reply>,
        world: &mut World<'_>,
    ) {
        if let Some(pending) = self.pending.take() {
            refuse(pending.reply, RefusalCode::Stale, "somebody acted first: look again");
        }
        let lines = self.lines(&effects, world);
        self.state = next;
        self.enact(&effects, &lines, world);
        let text = lines.last().map_or(String::new(), |it| it.entry.text.clone());
        let purpose = Purpose::Change(reply.map(|it| (it, text)));
        self.save(lines, purpose, world);
    }

    /// Writes a raise down; it happens when that is on disk.
    fn prepare(&mut self, next: State, effects: Vec<Effect>, reply: Option<Reply>, world: &mut World<'_>) {
        let lines = self.lines(&effects, world);
        let change = Change { service: self.name.clone(), state: next.clone(), line: None };
        let records = records(change, lines.clone());
        let job = world.out.write(Some(&self.name), records, Purpose::Raise, world.now);
        self.pending = Some(Pending { job, next, effects, lines, reply });
    }

    /// A job is done, or has failed.
    pub fn acknowledged(&mut self, job: u64, result: &Result<(), String>, world: &mut World<'_>) {
        if job == self.newest_job {
            self.unsaved = result.is_err();
        }
        let Some(pending) = self.pending.take_if(|it| it.job == job) else { return };
        match result {
            Ok(()) => {
                self.blocked = None;
                self.begin_trace(world);
                self.note(Noted::Took, world);
                self.state = pending.next;
                self.enact(&pending.effects, &pending.lines, world);
                self.unsaved = false;
                let text = pending.lines.last().map_or(String::new(), |it| it.entry.text.clone());
                let answer = Answer { text, changed: true, durable: true };
                world.out.answers.extend(pending.reply.map(|it| (it, answer)));
            }
            Err(why) => {
                self.block(why, world.now);
                let reason = format!("nothing may rise that is not written down: {why}");
                refuse(pending.reply, RefusalCode::NotDurable, reason);
            }
        }
    }

    /// Whether a version of run time is, or is about to be, part of this service.
    pub fn uses(&self, version: &Version) -> bool {
        let next = self.pending.as_ref().map(|it| &it.next);
        [Some(&self.state), next]
            .into_iter()
            .flatten()
            .any(|it| it.deployed.iter().any(|it| it.version == *version))
    }

    /// What the table says of this service.
    pub fn routed(&self) -> Routed<'_> {
        Routed { shares: &self.shares, preview: self.state.candidate().map(|it| &it.canary.name) }
    }

    /// Nothing rises for a while.
    pub fn block(&mut self, why: &str, now: Timestamp) {
        self.blocked = Some((why.to_owned(), now + RETRY_AFTER));
    }

    /// Looks at the evidence, or, without a release, remembers how stable does; then at what else could
    /// move it on.
    pub fn look(&mut self, world: &mut World<'_>) {
        let now = world.now;
        self.mind_endpoints(world);
        self.mind_queries(world);
        let permit = self.permit(world);
        if self.watch.is_some() {
            self.begin_trace(world);
        }
        match (self.state.trial().cloned(), &mut self.watch) {
            (Some(trial), Some(watch)) => {
                let finding = watch.look(&self.name, &trial, self.state.moves, world.counts, now);
                let waits = self.pending.is_some() || self.is_blocked(now);
                let permitted = (matches!(finding, Finding::Worse(_)) || !waits).then(|| permit.clone());
                self.trace_look(permitted.as_ref(), world);
                if let Some(permit) = permitted {
                    self.feed(Input::Judged(finding, permit), None, world);
                }
            }
            _ => self.remembered.look(&self.name, &self.state.stable, world),
        }
        if self.may_move(now)
            && let Some((mark, outcome)) = self.errands.outcome()
        {
            self.feed(Input::Checked(mark, outcome, permit.clone()), None, world);
        }
        // Who has not been seen yet may be dead, and a release would begin with failures.
        let unseen = self.state.awaits_release() && world.laboratory.is_some() && !self.readiness.is_known();
        if self.present && self.may_move(now) && !unseen {
            self.feed(Input::Tick(permit), None, world);
        }
        self.mind_checks(world);
    }

    fn may_move(&self, now: Timestamp) -> bool {
        self.pending.is_none() && !self.is_blocked(now)
    }

    /// The whole state once more, for a journal that did not take it before.
    pub fn save_again(&self) -> Change {
        Change { service: self.name.clone(), state: self.state.clone(), line: None }
    }

    /// The job that saves the newest state; when it is acknowledged, the state is safe.
    pub fn saved_by(&mut self, job: u64) {
        (self.newest_job, self.unsaved) = (job, true);
    }

    fn is_blocked(&self, now: Timestamp) -> bool {
        self.blocked.as_ref().is_some_and(|(_, until)| now < *until)
    }

    fn lines(&self, effects: &[Effect], world: &mut World<'_>) -> Vec<Line> {
        let evidence = self.watch.as_ref().map(Watch::line);
        let entries = effects.iter().filter_map(|it| match it {
            Effect::Record(entry) => Some(entry),
            Effect::Split(_) | Effect::Already(_) | Effect::Refuse(_) => None,
        });
        entries.map(|it| world.out.line(&self.name, it, evidence)).collect()
    }

    /// The part that can be seen: shares, news, counters, and whose evidence is gathered.
    fn enact(&mut self, effects: &[Effect], lines: &[Line], world: &mut World<'_>) {
        for effect in effects {
            if let Effect::Split(shares) = effect {
                self.shares = shares.clone();
                world.out.publish = true;
            }
        }
        for line in lines {
            self.last = Some(world.out.announce(line, world.newest));
            let entry = &line.entry;
            world.counts.decided(&self.name, entry.what.as_str(), actor(entry.by.via));
            let outcome = match entry.what {
                What::Completed => "promoted",
                What::RolledBack => "rolled_back",
                What::Superseded => "superseded",
                _ => continue,
            };
            if let Some(watch) = &self.watch {
                world.counts.ended(outcome, world.now.since(watch.began));
            }
        }
        // What testers reach follows the phase, which may change without any share.
        world.out.publish |= !lines.is_empty();
        self.attend(world);
        // What belongs to a step that is over ends now, not at the next look.
        self.mind_checks(world);
    }

    /// Watches the release that is going on, and no other.
    fn attend(&mut self, world: &mut World<'_>) {
        let Some(trial) = self.state.trial() else {
            if let Some(watch) = self.watch.take() {
                watch.leave(&self.name, world.counts);
                self.remembered.after(watch.judge.history(), &self.state.stable);
                self.remembered.restart(&self.name, &self.state.stable, world);
            }
            return;
        };
        if self.watch.as_ref().is_some_and(|it| it.release == self.state.release) {
            return;
        }
        let (release, moves) = (self.state.release, self.state.moves);
        let watch = Watch::begin(
            (&self.name, &self.state.stable.name),
            trial,
            (release, moves),
            (&self.plan.guard, &self.memory()),
            world.counts,
            world.now,
        );
        self.watch = Some(watch);
        self.traced = None;
    }

    /// Takes up the evidence of the release that the journal says is under way.
    pub fn take_up(&mut self, world: &mut World<'_>) {
        self.attend(world);
        let evidence = self.recovered.take();
        if let (Some(trial), Some(watch)) = (self.state.trial(), self.watch.take()) {
            self.watch = Some(watch.restored(evidence, trial, world.now));
            self.traced = None;
        }
    }

    fn save(&mut self, lines: Vec<Line>, purpose: Purpose, world: &mut World<'_>) {
        let change = self.save_again();
        let job = world.out.write(Some(&self.name), records(change, lines), purpose, world.now);
        self.saved_by(job);
    }
}

/// What must not wait for a raise that is on its way to the disk.
fn interrupts(input: &Input) -> bool {
    match input {
        Input::Loaded(_) | Input::Removed | Input::Judged(Finding::Worse(_), _) | Input::Ready { .. } => true,
        Input::Commanded(command, ..) => !matches!(command, Command::Promote { .. } | Command::Weight { .. }),
        Input::Judged(Finding::Fine | Finding::Proven | Finding::Unsure(_), _) => false,
        Input::Checked(..) | Input::Restarted { .. } | Input::Tick(_) => false,
    }
}

/// Who decided, in the words of the metrics.
fn actor(via: crate::release::Via) -> &'static str {
    use crate::release::Via;
    match via {
        Via::Policy => "policy",
        Via::File => "file",
        Via::Cli | Via::Api => "operator",
    }
}

/// Time after which a raise that the disk did not take is tried again: soon enough to go on when there is
/// room again, and no storm of writes on a disk in trouble.
const RETRY_AFTER: Duration = Duration::from_secs(1);
