//! What everybody else holds of the controller.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot, watch};

use crate::config::{Addition, Config};
use crate::model::{Generation, ServiceName};
use crate::release::{Actor, Command, News, RefusalCode, Version, What};
use crate::store::{Freeze, Recovered, Store};

use super::status::Status;

/// Talks to the controller. Clones talk to the same one; it can be used from any runtime.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) status: watch::Receiver<Arc<Status>>,
    pub(super) news: Arc<Recent>,
}

/// What a command was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// One sentence: what is so now.
    pub text: String,
    /// Whether anything changed; asking twice changes nothing the second time.
    pub changed: bool,
    /// Whether it would survive a crash. `false` only for what lowers a weight, when the disk fails.
    pub durable: bool,
}

/// Why a command was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    /// One sentence that names the way out.
    pub reason: String,
    /// For programs.
    pub code: RefusalCode,
}

/// Why a configuration was refused. Nothing has changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConfigureError {
    /// It would take away versions that have the traffic, or that a rollback returns to.
    #[error("{}", .0.iter().map(|(service, why)| format!("service `{service}`: {why}")).collect::<Vec<_>>().join("; "))]
    Objections(Vec<(ServiceName, String)>),
    /// The controller is stopping.
    #[error("tidegate is stopping")]
    Stopping,
}

/// What the controller is told.
#[derive(Debug)]
pub(super) enum Input {
    Configure(Arc<Configure>, oneshot::Sender<Result<(), ConfigureError>>),
    Command(Asked, oneshot::Sender<Result<Answer, Refused>>),
    Freeze(Result<Freeze, Actor>, oneshot::Sender<Result<Answer, Refused>>),
    Stop(oneshot::Sender<()>),
    Release(oneshot::Sender<()>),
    TakeBack(Journaled, oneshot::Sender<()>),
}

/// A journal that was opened again, or `None`: it cannot be had.
pub(super) struct Journaled(pub Option<Box<(Store, Recovered)>>);

impl std::fmt::Debug for Journaled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Journaled({})", self.0.is_some())
    }
}

#[derive(Debug)]
pub(super) struct Configure {
    pub config: Config,
    /// Versions of run time, as they are meant now.
    pub additions: Vec<Addition>,
    pub generation: Generation,
    pub source: String,
}

#[derive(Debug)]
pub(super) struct Asked {
    pub service: ServiceName,
    pub command: Command,
    /// What a `deploy` adds.
    pub addition: Option<Addition>,
    pub by: Actor,
    pub expected_step: Option<u64>,
}

/// The newest events, oldest first.
#[derive(Debug, Default)]
pub(super) struct Recent {
    events: Mutex<VecDeque<News>>,
    /// Id of the newest one, for those who wait.
    newest: watch::Sender<u64>,
}

impl Handle {
    /// Makes this the configuration: every service's release meets it, then one new table serves. All
    /// or nothing. `additions` are the versions of run time that are known, read anew.
    pub async fn configure(
        &self,
        config: Config,
        additions: Vec<Addition>,
        generation: Generation,
        source: &str,
    ) -> Result<(), ConfigureError> {
        let it = Arc::new(Configure { config, additions, generation, source: source.to_owned() });
        self.ask(|reply| Input::Configure(it, reply)).await.unwrap_or(Err(ConfigureError::Stopping))
    }

    /// Carries out a command. The answer comes when it is done, and written down if the disk allows.
    ///
    /// `expected_step` is the [`mark`](super::ServiceStatus::mark) of the status that it was meant
    /// for; if the release has moved since, it is refused as stale.
    pub async fn command(
        &self,
        service: ServiceName,
        command: Command,
        by: Actor,
        expected_step: Option<u64>,
    ) -> Result<Answer, Refused> {
        let it = Asked { service, command, addition: None, by, expected_step };
        self.ask(|reply| Input::Command(it, reply)).await.unwrap_or_else(|| Err(Refused::stopping()))
    }

    /// Adds a version and releases it. The answer comes when that is written down.
    pub async fn deploy(
        &self,
        addition: Addition,
        reason: Option<String>,
        by: Actor,
        expected_step: Option<u64>,
    ) -> Result<Answer, Refused> {
        let version = Version { name: addition.spec.name.clone(), fingerprint: addition.spec.fingerprint };
        let definition = addition.definition.clone();
        let service = addition.service.clone();
        let command = Command::Deploy { version, definition, reason };
        let it = Asked { service, command, addition: Some(addition), by, expected_step };
        self.ask(|reply| Input::Command(it, reply)).await.unwrap_or_else(|| Err(Refused::stopping()))
    }

    /// Stops everything from advancing, or, with who says so, lets it go on. Rollbacks go on either way.
    pub async fn freeze(&self, it: Result<Freeze, Actor>) -> Result<Answer, Refused> {
        self.ask(|reply| Input::Freeze(it, reply)).await.unwrap_or_else(|| Err(Refused::stopping()))
    }

    /// Everything as it is now.
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status.borrow())
    }

    /// Waits for a status newer than `revision` and returns it: at once if there is one already, and
    /// the last one when the controller has ended.
    pub async fn changed(&self, revision: u64) -> Arc<Status> {
        let mut status = self.status.clone();
        match status.wait_for(|it| it.revision > revision).await {
            Ok(it) => Arc::clone(&it),
            Err(_) => self.status(),
        }
    }

    /// Events with an id above `since`, oldest first; the oldest are forgotten in time.
    pub fn events(&self, since: u64) -> Vec<News> {
        self.news.since(since)
    }

    /// Waits for events with an id above `since`, oldest first.
    pub async fn next_events(&self, since: u64) -> Vec<News> {
        let mut newest = self.news.newest.subscribe();
        // Its sender lives as long as this handle.
        let _ = newest.wait_for(|it| *it > since).await;
        self.news.since(since)
    }

    /// Id of the newest event; 0 without any.
    pub fn newest_event(&self) -> u64 {
        self.news.newest()
    }

    /// Ends the controller after everything is written down. The last table keeps serving.
    pub async fn stop(&self) {
        self.ask(Input::Stop).await;
    }

    /// Writes everything down and lets go of the journal, for another process to take it up. From then on
    /// nothing is decided here and commands are refused; the last table keeps serving.
    pub async fn release(&self) {
        self.ask(Input::Release).await;
    }

    /// Goes on after [`release`](Self::release), from the journal as it is now. Without one, stable
    /// versions get all traffic and releases stand still.
    pub async fn take_back(&self, journal: Option<(Store, Recovered)>) {
        let journal = Journaled(journal.map(Box::new));
        self.ask(|reply| Input::TakeBack(journal, reply)).await;
    }

    async fn ask<T>(&self, input: impl FnOnce(oneshot::Sender<T>) -> Input) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.inputs.send(input(reply)).await.ok()?;
        answer.await.ok()
    }
}

impl Refused {
    pub(super) fn stopping() -> Self {
        Self { reason: "tidegate is stopping".into(), code: RefusalCode::Stopping }
    }
}

impl Recent {
    pub fn push(&self, event: News) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() >= EVENTS_MAX {
            events.pop_front();
        }
        let id = event.id;
        events.push_back(event);
        self.newest.send_replace(id);
    }

    /// Id of the newest event; 0 without any.
    pub fn newest(&self) -> u64 {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.back().map_or(0, |it| it.id)
    }

    /// The newest decision about a service. That file and fact differ since is no decision.
    pub fn last_of(&self, service: &ServiceName) -> Option<News> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |it: &&News| it.service == *service && !matches!(it.what, What::Drifted | What::InSync);
        events.iter().rev().find(told).cloned()
    }

    pub fn since(&self, id: u64) -> Vec<News> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().filter(|it| it.id > id).cloned().collect()
    }
}

/// Events kept for `events` and `history`: some days of a busy house, below a megabyte.
const EVENTS_MAX: usize = 2_000;
