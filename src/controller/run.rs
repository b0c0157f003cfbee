//! The shell: waits, hands what comes to the core, and picks the core up when it falls.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;

use crate::checks::Checks;
use crate::model::Timestamp;
use crate::routing::Publisher;
use crate::runtime::{Clock, mishap};
use crate::store::{Recovered, Store};

use super::core::{Core, House};
use super::counts::Counts;
use super::endpoints::Endpoints;
use super::errand::{Laboratory, Said};
use super::handle::{Configure, Handle, Input, Recent};
use super::journal::{Ack, Job, Journal};
use super::status::{JournalHealth, Status};
use super::tracer::Tracer;

/// What the controller is built from.
pub struct Parts {
    /// Where tables go.
    pub publisher: Publisher,
    /// What is seen of the traffic.
    pub counts: Arc<dyn Counts>,
    /// What is known of endpoints.
    pub endpoints: Arc<dyn Endpoints>,
    /// What time it is.
    pub clock: Clock,
    /// Where decisions are written down.
    pub store: Store,
    /// What was written down before.
    pub recovered: Recovered,
    /// Where everything that is fed is written down.
    pub tracer: Tracer,
    /// Where checks are run; `None`: nowhere, and every endpoint counts as ready.
    pub checks: Option<Checks>,
}

/// The controller, to be run by one task.
pub struct Controller {
    house: House,
    clock: Clock,
    inputs: mpsc::Receiver<Input>,
    journal: Journal,
    acks: mpsc::UnboundedReceiver<Ack>,
    said: mpsc::UnboundedReceiver<Said>,
    core: Core,
    loaded: Option<Arc<Configure>>,
    /// Falls in a row, and when the last one was.
    falls: u32,
    fell: Timestamp,
    /// When it last looked at everything.
    looked: Timestamp,
    /// Whether the journal's thread is there to answer.
    acked: bool,
}

/// What the shell waits for.
enum Next {
    Input(Option<Input>),
    Ack(Option<Ack>),
    Said(Said),
    Alarm,
    Time,
}

impl Controller {
    /// Starts the journal's thread. Nothing is published before the first configuration.
    pub fn new(parts: Parts) -> std::io::Result<(Handle, Self)> {
        let (journal, acks) = Journal::start(parts.store)?;
        let (sender, inputs) = mpsc::channel(INPUTS_MAX);
        let (status, seen) = watch::channel(Arc::default());
        let news = Arc::new(Recent::default());
        let (teller, said) = mpsc::unbounded_channel();
        let house = House {
            publisher: parts.publisher,
            counts: parts.counts,
            endpoints: parts.endpoints,
            news: Arc::clone(&news),
            status,
            fallback: Arc::new(Mutex::new(None)),
            additions: Arc::default(),
            tracer: parts.tracer,
            laboratory: parts.checks.map(|checks| Laboratory { checks, said: teller }),
        };
        let core = Core::new(house.clone(), parts.recovered);
        let handle = Handle { inputs: sender, status: seen, news };
        let it = Self {
            house,
            clock: parts.clock,
            inputs,
            journal,
            acks,
            said,
            core,
            loaded: None,
            falls: 0,
            fell: Timestamp(0),
            looked: Timestamp(0),
            acked: true,
        };
        Ok((handle, it))
    }

    /// Runs until it is told to stop or nobody holds a handle any more. Whatever happens in here, the
    /// last table that was published keeps serving.
    pub async fn run(mut self) {
        loop {
            let next = self.next().await;
            if let Next::Input(None) = next {
                return self.finish().await;
            }
            if let Next::Input(Some(Input::Stop(done))) = next {
                self.finish().await;
                let _ = done.send(());
                return;
            }
            if let Next::Input(Some(Input::Release(done))) = next {
                self.finish().await;
                self.journal.close().await;
                let _ = done.send(());
                if !self.stand_aside().await {
                    return;
                }
                continue;
            }
            let done = catch_unwind(AssertUnwindSafe(|| self.take(next)));
            match done {
                Ok(jobs) => self.write(jobs),
                Err(_) => {
                    if !self.stand_up().await {
                        return;
                    }
                }
            }
        }
    }

    async fn next(&mut self) -> Next {
        let pause = self.core.pause();
        let active = pause <= ACTIVE;
        // Counted from the last look and asked first: no flood of commands keeps it from looking.
        let left = (self.looked + pause).since(self.clock.now());
        let counts = &self.house.counts;
        tokio::select! {
            biased;
            () = sleep(left) => Next::Time,
            () = counts.raised(), if active => Next::Alarm,
            ack = self.acks.recv(), if self.acked => Next::Ack(ack),
            Some(said) = self.said.recv() => Next::Said(said),
            input = self.inputs.recv() => Next::Input(input),
        }
    }

    fn take(&mut self, next: Next) -> Vec<Job> {
        mishap("controller");
        let now = self.clock.now();
        self.core.calendar.correct(now, self.clock.wall());
        match next {
            Next::Input(Some(Input::Configure(it, reply))) => self.configure(it, reply, now),
            Next::Input(Some(Input::Command(it, reply))) => self.core.command(it, reply, now),
            Next::Input(Some(Input::Freeze(it, reply))) => self.core.freeze(it, reply, now),
            Next::Said(it) => self.core.said(it, now),
            Next::Ack(Some(ack)) => self.core.acknowledged(&ack, now),
            Next::Alarm => {
                self.core.alarmed();
                Vec::new()
            }
            Next::Time => {
                self.looked = now;
                self.core.tick(now)
            }
            Next::Ack(None) => {
                self.acked = false;
                Vec::new()
            }
            // The first two are not taken here; nothing was let go of that could be taken back.
            Next::Input(Some(Input::Stop(done) | Input::Release(done) | Input::TakeBack(_, done))) => {
                let _ = done.send(());
                Vec::new()
            }
            Next::Input(None) => Vec::new(),
        }
    }

    fn configure(
        &mut self,
        it: Arc<Configure>,
        reply: oneshot::Sender<Result<(), super::ConfigureError>>,
        now: Timestamp,
    ) -> Vec<Job> {
        let done = self.core.configure(Arc::clone(&it), now);
        let (result, jobs) = match done {
            Ok(jobs) => {
                self.loaded = Some(it);
                (Ok(()), jobs)
            }
            Err(error) => (Err(error), Vec::new()),
        };
        // Who asked may have gone; it is done all the same.
        let _ = reply.send(result);
        jobs
    }

    fn write(&mut self, jobs: Vec<Job>) {
        let lost: Vec<Job> = jobs.into_iter().filter_map(|it| self.journal.write(it).err()).collect();
        if !lost.is_empty() {
            self.core.journal_lost(lost, self.clock.now());
        }
    }

    /// Decides nothing until the journal is given back; `false` when it is over instead.
    async fn stand_aside(&mut self) -> bool {
        loop {
            // Who asked may have gone.
            match self.inputs.recv().await {
                None => return false,
                Some(Input::Stop(done)) => {
                    let _ = done.send(());
                    return false;
                }
                Some(Input::TakeBack(journal, done)) => {
                    let back = self.take_up(journal.0.map(|it| *it));
                    let _ = done.send(());
                    if back {
                        return true;
                    }
                }
                Some(Input::Release(done)) => drop(done.send(())),
                Some(Input::Configure(_, reply)) => drop(reply.send(Err(super::ConfigureError::Stopping))),
                Some(Input::Command(_, reply) | Input::Freeze(_, reply)) => {
                    let _ = reply.send(Err(super::Refused::stopping()));
                }
            }
        }
    }

    /// Everything anew from a journal. Without one nobody would roll a bad version back, so stable alone
    /// gets traffic.
    fn take_up(&mut self, journal: Option<(Store, Recovered)>) -> bool {
        let started = journal.and_then(|(store, recovered)| Some((Journal::start(store).ok()?, recovered)));
        let Some(((journal, acks), recovered)) = started else {
            self.stand_still("the journal cannot be had back", true);
            return false;
        };
        (self.journal, self.acks, self.acked) = (journal, acks, true);
        while self.said.try_recv().is_ok() {}
        let jobs;
        (self.core, jobs) = self.core_after(recovered);
        self.write(jobs);
        true
    }

    /// A core that takes up where the journal ends.
    fn core_after(&self, recovered: Recovered) -> (Core, Vec<Job>) {
        let mut core = Core::new(self.house.clone(), recovered);
        let now = self.clock.now();
        core.calendar.correct(now, self.clock.wall());
        let jobs = self.loaded.clone().map(|it| core.configure(it, now));
        (core, jobs.and_then(Result::ok).unwrap_or_default())
    }

    /// After a panic: stable alone gets traffic, then everything is taken up from the journal. `false`
    /// when that is not possible; then releases stand still and traffic goes on.
    async fn stand_up(&mut self) -> bool {
        self.leave_all_to_stable();
        let now = self.clock.now();
        self.falls = if now.since(self.fell) > STEADY_AFTER { 1 } else { self.falls + 1 };
        self.fell = now;
        tracing::error!(
            falls = self.falls,
            "the controller panicked; stable versions have all traffic until it is back"
        );
        sleep(STAND_UP_AFTER * self.falls).await;
        if self.falls > FALLS_MAX {
            self.stand_still("the controller does not come back", false);
            return false;
        }
        let Some(recovered) = self.journal.recall().await else {
            self.stand_still("the journal is gone", true);
            return false;
        };
        let core = catch_unwind(AssertUnwindSafe(|| self.core_after(recovered)));
        // What the fallen core waited for concerns nobody any more.
        while self.acks.try_recv().is_ok() {}
        if let Ok((core, jobs)) = core {
            self.core = core;
            self.write(jobs);
        }
        true
    }

    /// Stable alone gets traffic, because nobody would roll back what else had some.
    fn leave_all_to_stable(&self) {
        let fallback = self.house.fallback.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(table) = fallback {
            self.house.publisher.publish(table);
        }
    }

    /// The same for good, and everybody is told.
    fn stand_still(&self, why: &str, journal_lost: bool) {
        self.leave_all_to_stable();
        tracing::error!("{why}; stable versions have all traffic and releases stand still until a restart");
        let mut status = Status::clone(&self.house.status.borrow());
        status.stand_still(why);
        if journal_lost {
            status.journal = JournalHealth::NotDurable(why.to_owned());
        }
        self.house.tell(status);
    }

    /// Writes down what there is to write, within reason.
    async fn finish(&mut self) {
        let jobs = self.core.stop(self.clock.now());
        self.write(jobs);
        let flushed = async {
            while self.core.awaits_journal() {
                let Some(ack) = self.acks.recv().await else { return };
                let jobs = self.core.acknowledged(&ack, self.clock.now());
                self.write(jobs);
            }
        };
        let _ = tokio::time::timeout(FINISH_WITHIN, flushed).await;
    }
}

/// Commands and configurations under way; more of them wait at their senders.
const INPUTS_MAX: usize = 64;
/// The longest pause while a release is under way.
const ACTIVE: Duration = Duration::from_millis(50);
/// A disk that hangs must not keep the process from ending.
const FINISH_WITHIN: Duration = Duration::from_secs(2);
const STAND_UP_AFTER: Duration = Duration::from_millis(200);
/// Time without a panic after which an old one is forgotten.
const STEADY_AFTER: Duration = Duration::from_secs(60);
/// After so many panics in a row it is left alone: it would only fall again.
const FALLS_MAX: u32 = 5;
