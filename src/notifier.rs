//! Notifications: who wants to hear of what happens to releases is told, by a signed webhook, a message in a
//! chat, or the state of a deployment.
//!
//! One thread with a runtime of its own and a task for each target. Each has a `Mailbox`, a
//! bounded queue that decides by itself what is sent when; whoever tells the news puts it there and goes on. So a
//! target that hangs holds up no release, no other target and no end. How far each target has got is kept in the
//! state directory: a notification is delivered at least once, always under the same id. What became of each is
//! a line of the `Ledger`, for whoever reads events.
//!
//! Not here: what happens ([`crate::release`]), which addresses may be called ([`crate::config`]).

mod book;
mod call;
mod file;
mod github;
mod ledger;
mod mailbox;
mod memory;
mod news;
mod outcome;
mod payload;
mod resolve;
mod signature;
mod slack;
mod target;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::config::NotifySpec;
use crate::model::TargetName;
use crate::release::News;
use crate::runtime::{Clock, spawn_thread};

use book::Book;
use ledger::Came;
use mailbox::Put;
use memory::Memory;
use outcome::Outcome;
use resolve::System;
use target::{House, Target};

pub use ledger::Notification;
pub use target::{Last, TargetState};

/// What became of a notification, for those who count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Told {
    /// It is there.
    Delivered,
    /// It was not taken, and is tried again.
    Retried,
    /// It was given up, or refused for good.
    Failed,
    /// It was not tried: too many waited, or it had become old.
    Dropped,
}

impl Told {
    /// Every kind.
    pub const EVERY: [Self; 4] = [Self::Delivered, Self::Retried, Self::Failed, Self::Dropped];

    /// In one word, as the metrics have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retried => "retried",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// Hears what becomes of notifications.
pub trait Ear: Send + Sync {
    /// One more.
    fn told(&self, target: &TargetName, told: Told, count: u64);
}

/// What a notifier is built from.
pub struct Parts {
    /// What time it is.
    pub clock: Clock,
    /// Where the jitter comes from.
    pub seed: u64,
    /// Where it is kept how far each target has got; `None`: nowhere.
    pub memory: Option<PathBuf>,
    /// Where it is kept what became of notifications; `None`: nowhere.
    pub book: Option<PathBuf>,
    /// Hears what becomes of notifications.
    pub ear: Arc<dyn Ear>,
}

/// Tells the news. Clones share one thread, which ends with the last of them.
#[derive(Clone)]
pub struct Notifier {
    house: Arc<House>,
    targets: Arc<Mutex<Vec<Arc<Target>>>>,
    orders: mpsc::UnboundedSender<Order>,
}

enum Order {
    /// The targets are others.
    Changed,
    /// Nothing is sent until [`Order::Resume`].
    Rest(oneshot::Sender<()>),
    Resume,
}

impl Notifier {
    /// Starts the thread. Nobody is notified yet.
    pub fn start(parts: Parts) -> io::Result<Self> {
        let (orders, todo) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let kept = (Memory::load(parts.memory), Book::load(parts.book));
        let house = Arc::new(House::new(parts.clock, parts.seed, kept, parts.ear, Arc::new(System)));
        let targets: Arc<Mutex<Vec<Arc<Target>>>> = Arc::default();
        let crew = Crew { house: Arc::clone(&house), targets: Arc::clone(&targets) };
        spawn_thread("notifier", None, move || {
            runtime.block_on(crew.serve(todo));
            // A name that is being looked up keeps nobody waiting.
            runtime.shutdown_background();
        })?;
        Ok(Self { house, targets, orders })
    }

    /// From now on these are notified. Who was before goes on where it is; who is new hears of what comes after
    /// the event `newest`, unless it is known from an earlier process how far it has got. Who had asked not to be
    /// called any more is called again.
    pub fn apply(&self, specs: &[NotifySpec], newest: u64) {
        let now = self.house.clock.now();
        let mut targets = locked(&self.targets);
        let old = std::mem::take(&mut *targets);
        *targets = specs
            .iter()
            .map(|spec| match old.iter().find(|it| it.name() == &spec.name) {
                Some(known) => {
                    known.change(spec, now);
                    Arc::clone(known)
                }
                None => {
                    // The journal may have lost its end, and numbers are given anew then.
                    let done = self.house.done(&spec.name).unwrap_or(newest).min(newest);
                    self.house.change(&spec.name, |it| it.done = done);
                    Arc::new(Target::new(spec, done))
                }
            })
            .collect();
        let names: Vec<&TargetName> = targets.iter().map(|it| it.name()).collect();
        self.house.keep_only(&names);
        drop(targets);
        // The thread may have ended; then nobody is notified any more.
        let _ = self.orders.send(Order::Changed);
    }

    /// Tells the news, oldest first. What was told before is passed over.
    pub fn tell(&self, news: &[Arc<News>]) {
        let now = self.house.clock.now();
        for target in locked(&self.targets).iter() {
            for it in news {
                let (lost, told, why) = match target.put(it, now) {
                    Put::Waits | Put::Passed => continue,
                    Put::Full(lost) => (lost, Told::Dropped, "too many waited"),
                    Put::Old => (Arc::clone(it), Told::Dropped, "it was more than a day old"),
                    Put::Gone => (Arc::clone(it), Told::Failed, GONE),
                };
                self.house.note(
                    target.name(),
                    &lost,
                    told,
                    Came { problem: Some(why.into()), ..Came::default() },
                );
            }
        }
    }

    /// What became of notifications after this line, oldest first, and no more than so many.
    pub fn notifications(&self, since: u64, most: usize) -> Vec<Notification> {
        self.house.ledger().since(since, most)
    }

    /// What became of telling of the events that are `meant`, oldest first.
    pub fn about(&self, meant: impl Fn(u64) -> bool) -> Vec<Notification> {
        self.house.ledger().about(meant)
    }

    /// Number of the newest line of [`notifications`](Self::notifications), for those who wait for the next.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.house.noted.subscribe()
    }

    /// How the targets are, in the order of the file.
    pub fn states(&self) -> Vec<TargetState> {
        locked(&self.targets).iter().map(|it| it.state()).collect()
    }

    /// Sends what can be sent within this time, and then nothing more. What is left is kept for the next process.
    pub async fn finish(&self, within: Duration) {
        let idle = async {
            // The order is subscribed to before the look, so that nothing falls between them.
            let mut settled = self.house.settled.subscribe();
            loop {
                settled.mark_unchanged();
                let now = self.house.clock.now();
                if !locked(&self.targets).iter().any(|it| it.is_busy(now)) {
                    return;
                }
                if settled.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(within, idle).await;
        self.rest().await;
    }

    /// Stops sending, until [`resume`](Self::resume): another process may take over from where this one is.
    pub async fn rest(&self) {
        let (reply, resting) = oneshot::channel();
        if self.orders.send(Order::Rest(reply)).is_ok() {
            // A disk that hangs while it is written down keeps nobody waiting.
            let _ = tokio::time::timeout(REST_WITHIN, resting).await;
        }
    }

    /// Sends again.
    pub fn resume(&self) {
        let _ = self.orders.send(Order::Resume);
    }
}

/// Sends a test, once, and says why it was not taken. A repository is only asked for its deployments.
pub async fn try_out(spec: &NotifySpec, clock: Clock) -> Result<(), String> {
    let kept = (Memory::load(None), Book::load(None));
    let house = House::new(clock, 0, kept, Arc::new(Deaf), Arc::new(System));
    match target::try_out(&house, spec).await {
        Outcome::Delivered => Ok(()),
        Outcome::Again { why, .. } | Outcome::Never(why) | Outcome::Gone(why) => Err(why),
    }
}

struct Deaf;

impl Ear for Deaf {
    fn told(&self, _target: &TargetName, _told: Told, _count: u64) {}
}

/// The thread's own part: one task for each target.
struct Crew {
    house: Arc<House>,
    targets: Arc<Mutex<Vec<Arc<Target>>>>,
}

impl Crew {
    async fn serve(self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut tasks = JoinSet::new();
        let mut running: BTreeMap<TargetName, AbortHandle> = BTreeMap::new();
        let mut resting = false;
        loop {
            let order = tokio::select! {
                order = orders.recv() => order,
                Some(_) = tasks.join_next() => continue,
            };
            match order {
                None => return,
                Some(Order::Changed) => {}
                Some(Order::Resume) => resting = false,
                Some(Order::Rest(reply)) => {
                    resting = true;
                    running.clear();
                    tasks.shutdown().await;
                    self.house.write_down();
                    // Whoever asked may have lost patience.
                    let _ = reply.send(());
                }
            }
            if resting {
                continue;
            }
            let targets = locked(&self.targets).clone();
            running.retain(|name, task| {
                let stays = targets.iter().any(|it| it.name() == name) && !task.is_finished();
                if !stays {
                    task.abort();
                }
                stays
            });
            for target in targets {
                let (name, house) = (target.name().clone(), Arc::clone(&self.house));
                running.entry(name).or_insert_with(|| tasks.spawn(target::serve(target, house)));
            }
        }
    }
}

/// Why nothing is sent to a target that has answered 410.
const GONE: &str = "it has asked not to be called any more";

/// How long the thread may take to stop sending.
const REST_WITHIN: Duration = Duration::from_millis(500);

/// A panic elsewhere leaves queues as good as they were.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::config::{MemoryFiles, load};
    use crate::model::Timestamp;
    use crate::runtime::ManualClock;

    #[derive(Default)]
    struct Dropped(AtomicU64);

    impl Ear for Dropped {
        fn told(&self, _target: &TargetName, told: Told, count: u64) {
            if told == Told::Dropped {
                self.0.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    /// As many as are kept of events at all can wait for a target that is away.
    #[test]
    fn a_burst_loses_none_and_what_is_more_loses_the_oldest_and_is_counted() {
        let text = "listen: 1\nnotify: [{webhook: 'http://127.0.0.1:1/', local: allow}]\n\
                    services: {a: {live: v, versions: {v: http://h}}}\n";
        let loaded = load(Path::new("t.yaml"), &MemoryFiles::new().with("t.yaml", text));
        let targets = loaded.config.map(|it| it.notify).unwrap_or_else(|| panic!("{:?}", loaded.problems));
        let ear = Arc::new(Dropped::default());
        let clock = ManualClock::new(Timestamp(1_767_225_600_125_000)).clock();
        let parts = Parts { clock, seed: 1, memory: None, book: None, ear: Arc::clone(&ear) as Arc<dyn Ear> };
        let notifier = Notifier::start(parts).unwrap();
        notifier.apply(&targets, 0);
        let burst = |ids: std::ops::RangeInclusive<u64>| {
            notifier.tell(&ids.map(|it| Arc::new(news::tests::rollback(it))).collect::<Vec<_>>());
            let state = notifier.states().remove(0);
            (state.waiting, state.dropped, ear.0.load(Ordering::Relaxed))
        };
        assert_eq!(burst(1..=2_000), (2_000, 0, 0));
        assert_eq!(burst(2_001..=2_010), (2_000, 10, 10));
        // The first is on its way; of the others the oldest went.
        let lost: Vec<u64> = notifier
            .about(|_| true)
            .iter()
            .filter(|it| it.told == Told::Dropped)
            .map(|it| it.event)
            .collect();
        assert_eq!(lost, Vec::from_iter(2..=11));
    }
}
