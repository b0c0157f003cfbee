//! A target and its task: takes what is due from the mailbox, sends it, says how it went.

use std::sync::{Arc, Mutex, MutexGuard};

use http::Method;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use crate::config::{NotifySpec, NotifyTo, Secret};
use crate::model::{ServiceName, TargetName, Timestamp};
use crate::release::News;
use crate::runtime::Clock;

use super::book::Book;
use super::call::{Call, call};
use super::ledger::{Came, Ledger};
use super::mailbox::{Mailbox, Put, Settled};
use super::memory::{Deployment, Known, Memory};
use super::news::{filled, key};
use super::outcome::{Outcome, judged};
use super::resolve::Resolve;
use super::{Ear, GONE, Told, github, locked, payload, signature, slack};

/// What all targets share.
pub(super) struct House {
    pub clock: Clock,
    pub names: Arc<dyn Resolve>,
    pub ear: Arc<dyn Ear>,
    /// Rises whenever an attempt has ended.
    pub settled: watch::Sender<u64>,
    /// Number of the newest line of the ledger.
    pub noted: watch::Sender<u64>,
    ledger: Mutex<Ledger>,
    /// Only the notifier's own thread takes this: whoever has it may wait for the disk.
    book: Mutex<Book>,
    memory: Mutex<Memory>,
    chance: Mutex<StdRng>,
}

impl House {
    pub fn new(
        clock: Clock,
        seed: u64,
        (memory, (book, ledger)): (Memory, (Book, Ledger)),
        ear: Arc<dyn Ear>,
        names: Arc<dyn Resolve>,
    ) -> Self {
        Self {
            clock,
            names,
            ear,
            settled: watch::channel(0).0,
            noted: watch::channel(ledger.newest()).0,
            ledger: Mutex::new(ledger),
            book: Mutex::new(book),
            memory: Mutex::new(memory),
            chance: Mutex::new(StdRng::seed_from_u64(seed)),
        }
    }

    /// What became of notifications. Nobody holds it for longer than a look.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        locked(&self.ledger)
    }

    /// Counts what has come of a notification, and notes it if that is worth a line.
    pub fn note(&self, target: &TargetName, news: &News, told: Told, came: Came) {
        self.ear.told(target, told, 1);
        let mut ledger = self.ledger();
        if ledger.note(target, news, told, came, self.clock.now()) {
            self.noted.send_replace(ledger.newest());
        }
    }

    /// Writes down what was noted. It may wait for the disk.
    pub fn write_down(&self) {
        let (mut book, now) = (locked(&self.book), self.clock.now());
        let missing = {
            let ledger = self.ledger();
            book.is_behind(&ledger, now).then(|| book.missing(&ledger))
        };
        if let Some(missing) = missing {
            book.write(&missing, now);
        }
    }

    /// The newest event that a target needs not be told any more, as far as that is known.
    pub fn done(&self, target: &TargetName) -> Option<u64> {
        locked(&self.memory).of(target).map(|it| it.done)
    }

    /// Forgets all other targets.
    pub fn keep_only(&self, targets: &[&TargetName]) {
        self.ledger().keep_only(targets);
        locked(&self.memory).keep_only(targets);
    }

    /// Remembers something about a target.
    pub fn change(&self, target: &TargetName, change: impl FnOnce(&mut Known)) {
        locked(&self.memory).change(target, change);
    }

    /// The last deployment of a service.
    pub fn deployment(&self, target: &TargetName, service: &ServiceName) -> Option<Deployment> {
        locked(&self.memory).of(target).and_then(|it| it.deployments.get(service).cloned())
    }

    fn chance(&self) -> f64 {
        locked(&self.chance).random()
    }
}

/// Somebody who is notified.
pub(super) struct Target {
    name: TargetName,
    spec: Mutex<Arc<NotifySpec>>,
    mailbox: Mutex<Mailbox>,
    told: Mutex<Tally>,
    /// Rung when there is something new, or when the file has changed.
    bell: Notify,
}

#[derive(Clone, Debug, Default)]
struct Tally {
    delivered: u64,
    failed: u64,
    dropped: u64,
    last: Option<Last>,
}

/// How the last attempt went.
#[derive(Clone, Debug, PartialEq)]
pub struct Last {
    /// When it ended.
    pub at: Timestamp,
    /// The event that was told.
    pub event: u64,
    /// Why it was not taken.
    pub problem: Option<String>,
}

/// How a target is.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetState {
    /// Its name.
    pub name: TargetName,
    /// `webhook`, `slack` or `github`.
    pub kind: &'static str,
    /// Scheme, host and port: the rest may be a secret.
    pub place: String,
    /// How many notifications wait.
    pub waiting: usize,
    /// How many are there.
    pub delivered: u64,
    /// How many were given up or refused.
    pub failed: u64,
    /// How many were dropped because too many waited.
    pub dropped: u64,
    /// When it is called next, if a notification was not taken.
    pub next: Option<Timestamp>,
    /// Whether it has asked not to be called any more.
    pub disabled: bool,
    /// How the last attempt went.
    pub last: Option<Last>,
}

impl Target {
    /// What came up to the event `done` is not for it.
    pub fn new(spec: &NotifySpec, done: u64) -> Self {
        Self {
            name: spec.name.clone(),
            spec: Mutex::new(Arc::new(spec.clone())),
            mailbox: Mutex::new(Mailbox::new(done)),
            told: Mutex::default(),
            bell: Notify::new(),
        }
    }

    pub fn name(&self) -> &TargetName {
        &self.name
    }

    /// From now on it is called like this. What waits is tried at once.
    pub fn change(&self, spec: &NotifySpec, now: Timestamp) {
        *locked(&self.spec) = Arc::new(spec.clone());
        locked(&self.mailbox).start_anew(now);
        self.bell.notify_one();
    }

    /// Something has happened.
    pub fn put(&self, news: &Arc<News>, now: Timestamp) -> Put {
        let wanted = locked(&self.spec).wants(&news.service, news.what);
        let put = locked(&self.mailbox).put(news, wanted, now);
        match &put {
            Put::Passed => return put,
            Put::Waits => {}
            Put::Full(_) | Put::Old => locked(&self.told).dropped += 1,
            Put::Gone => locked(&self.told).failed += 1,
        }
        self.bell.notify_one();
        put
    }

    /// Whether something is on its way, or due.
    pub fn is_busy(&self, now: Timestamp) -> bool {
        locked(&self.mailbox).first().is_some_and(|(at, _)| at <= now)
    }

    pub fn state(&self) -> TargetState {
        let spec = Arc::clone(&locked(&self.spec));
        let mailbox = locked(&self.mailbox);
        let told = locked(&self.told).clone();
        TargetState {
            name: self.name.clone(),
            kind: spec.kind(),
            place: spec.url().to_string(),
            waiting: mailbox.len(),
            delivered: told.delivered,
            failed: told.failed,
            dropped: told.dropped,
            next: mailbox.first().map(|it| it.0).filter(|it| *it > Timestamp(0)),
            disabled: mailbox.is_gone(),
            last: told.last,
        }
    }

    fn settle(&self, news: &News, outcome: Outcome, house: &House) {
        let now = house.clock.now();
        let give_up = locked(&self.spec).give_up;
        let problem = match &outcome {
            Outcome::Delivered => None,
            Outcome::Again { why, .. } | Outcome::Never(why) | Outcome::Gone(why) => Some(why.clone()),
        };
        let (settled, attempts, done) = {
            let mut mailbox = locked(&self.mailbox);
            let attempts = mailbox.attempts() + 1;
            (mailbox.settle(outcome, give_up, now, house.chance()), attempts, mailbox.done())
        };
        {
            let mut told = locked(&self.told);
            told.last = Some(Last { at: now, event: news.id, problem: problem.clone() });
            match &settled {
                Settled::Delivered => told.delivered += 1,
                Settled::Later(..) => {}
                Settled::GivenUp(_) => told.failed += 1,
                Settled::Disabled(_, lost) => told.failed += lost.len() as u64,
            }
        }
        let (target, event) = (&self.name, news.id);
        let came = Came { attempts, problem, next: None };
        match &settled {
            Settled::Delivered => house.note(target, news, Told::Delivered, came),
            Settled::Later(at, why) => {
                tracing::info!(%target, event, %at, "a notification was not taken and is tried again: {why}");
                house.note(target, news, Told::Retried, Came { next: Some(*at), ..came });
            }
            Settled::GivenUp(why) => {
                tracing::warn!(%target, event, service = %news.service, what = %news.what, "not notified: {why}");
                house.note(target, news, Told::Failed, came);
            }
            Settled::Disabled(why, lost) => {
                tracing::warn!(%target, event, "not notified any more until the file is loaded again: {why}");
                house.note(target, news, Told::Failed, came);
                for it in lost.iter().filter(|it| it.id != event) {
                    let came = Came { problem: Some(GONE.into()), ..Came::default() };
                    house.note(target, it, Told::Failed, came);
                }
            }
        }
        // In this order a crash between the two has a line too many, and none too few.
        house.write_down();
        if !matches!(settled, Settled::Later(..)) {
            house.change(target, |it| it.done = done);
        }
        house.settled.send_modify(|it| *it += 1);
    }
}

/// Sends what is due, for ever.
pub(super) async fn serve(target: Arc<Target>, house: Arc<House>) {
    loop {
        // Whoever rings meanwhile is heard, because a ring waits for the next who listens.
        let first = locked(&target.mailbox).first();
        house.write_down();
        let Some((at, news)) = first else {
            target.bell.notified().await;
            continue;
        };
        let left = at.since(house.clock.now());
        if !left.is_zero() {
            tokio::select! {
                () = sleep(left) => {}
                () = target.bell.notified() => {}
            }
            continue;
        }
        let spec = Arc::clone(&locked(&target.spec));
        let outcome = deliver(&house, &spec, &news).await;
        target.settle(&news, outcome, &house);
    }
}

/// Sends one notification once.
async fn deliver(house: &House, spec: &NotifySpec, news: &News) -> Outcome {
    let link = spec.link.as_deref().map(|it| filled(it, news));
    match &spec.to {
        NotifyTo::GitHub(it) => github::deliver(house, spec, it, news).await,
        NotifyTo::Slack { url } => {
            post(house, spec, &url.path, None, slack::body(news, link.as_deref())).await
        }
        NotifyTo::Webhook { url, secrets } => {
            let body = payload::body(news, link.as_deref());
            post(house, spec, &url.path, Some((&key(news), secrets)), body).await
        }
    }
}

/// Sends a test once.
pub(super) async fn try_out(house: &House, spec: &NotifySpec) -> Outcome {
    let now = house.clock.now();
    match &spec.to {
        NotifyTo::GitHub(it) => github::try_out(house, spec, it).await,
        NotifyTo::Slack { url } => post(house, spec, &url.path, None, slack::test(&spec.name)).await,
        NotifyTo::Webhook { url, secrets } => {
            let id = format!("tg_test_{}", now.0);
            post(house, spec, &url.path, Some((&id, secrets)), payload::test(&spec.name, now)).await
        }
    }
}

/// Posts a body, signed if there is something to sign with.
async fn post(
    house: &House,
    spec: &NotifySpec,
    path: &str,
    signed: Option<(&str, &[Secret])>,
    body: Vec<u8>,
) -> Outcome {
    let now = house.clock.now();
    let mut headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    if let Some((id, secrets)) = signed {
        let seconds = now.0 / 1_000_000;
        let signatures = signature::signatures(secrets, id, seconds, &body);
        for (name, value) in [
            ("webhook-id", Some(id.to_owned())),
            ("webhook-timestamp", Some(seconds.to_string())),
            ("webhook-signature", signatures),
        ] {
            let value = value.and_then(|it| HeaderValue::try_from(it).ok());
            headers.extend(value.map(|it| (HeaderName::from_static(name), it)));
        }
    }
    let question = Call { method: Method::POST, path, headers, body };
    judged(&call(spec, &*house.names, question, now).await)
}
