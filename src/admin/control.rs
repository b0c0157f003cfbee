//! What the admin server asks of the rest of the house.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;

use crate::config::Addition;
use crate::controller::{Actor, Answer, Command, Freeze, Handle, News, Refused, Status};
use crate::model::{Generation, ServiceName, Timestamp};

use super::inquire::Inquire;
use super::wire::{NotificationWire, TargetWire};

/// An answer that takes its time.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The controller as seen from here. A trait, so that tests can script it; the real one is [`Handle`].
pub trait Control: Send + Sync {
    /// Everything as it is now.
    fn status(&self) -> Arc<Status>;
    /// Waits for a status newer than `revision`.
    fn changed(&self, revision: u64) -> Answering<'_, Arc<Status>>;
    /// Events with an id above `since`, oldest first.
    fn events(&self, since: u64) -> Vec<News>;
    /// Carries out a command.
    fn command(
        &self,
        service: ServiceName,
        command: Command,
        by: Actor,
        expected_step: Option<u64>,
    ) -> Answering<'_, Result<Answer, Refused>>;
    /// Adds a version and releases it.
    fn deploy(
        &self,
        addition: Addition,
        reason: Option<String>,
        by: Actor,
        expected_step: Option<u64>,
    ) -> Answering<'_, Result<Answer, Refused>>;
    /// Freezes all releases, or lets them go on again.
    fn freeze(&self, freeze: Result<Freeze, Actor>) -> Answering<'_, Result<Answer, Refused>>;
}

impl Control for Handle {
    fn status(&self) -> Arc<Status> {
        Handle::status(self)
    }

    fn changed(&self, revision: u64) -> Answering<'_, Arc<Status>> {
        Box::pin(Handle::changed(self, revision))
    }

    fn events(&self, since: u64) -> Vec<News> {
        Handle::events(self, since)
    }

    fn command(
        &self,
        service: ServiceName,
        command: Command,
        by: Actor,
        expected_step: Option<u64>,
    ) -> Answering<'_, Result<Answer, Refused>> {
        Box::pin(Handle::command(self, service, command, by, expected_step))
    }

    fn deploy(
        &self,
        addition: Addition,
        reason: Option<String>,
        by: Actor,
        expected_step: Option<u64>,
    ) -> Answering<'_, Result<Answer, Refused>> {
        Box::pin(Handle::deploy(self, addition, reason, by, expected_step))
    }

    fn freeze(&self, freeze: Result<Freeze, Actor>) -> Answering<'_, Result<Answer, Refused>> {
        Box::pin(Handle::freeze(self, freeze))
    }
}

/// Loads the configuration again.
pub trait Reload: Inquire {
    /// Checks and swaps; all or nothing. The answer comes when the new one serves.
    fn reload(&self) -> Answering<'_, Result<ReloadDone, ReloadFailed>>;
    /// The last reload, if it was refused.
    fn last_failure(&self) -> Option<LastFailure>;
}

/// Tells others what happens to releases.
pub trait Notify: Send + Sync {
    /// How those are who are told.
    fn targets(&self) -> Vec<TargetWire>;
    /// What became of notifications, with an id above `since`, oldest first, and no more than so many.
    fn notifications(&self, since: u64, most: usize) -> Vec<NotificationWire>;
    /// What became of telling of the events that are `meant`, oldest first.
    fn about(&self, meant: &dyn Fn(u64) -> bool) -> Vec<NotificationWire>;
    /// Id of the newest, for those who wait for the next.
    fn newest(&self) -> watch::Receiver<u64>;
}

/// Hands over to a new process.
pub trait Upgrade: Send + Sync {
    /// The number of the process that has taken over; or why none has, and this one goes on.
    fn upgrade(&self) -> Answering<'_, Result<u32, String>>;
}

/// A reload that went well.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReloadDone {
    /// What serves now.
    pub generation: Generation,
    /// Whether the files differed from what was loaded.
    pub changed: bool,
}

/// A reload that was refused. The configuration before keeps serving.
#[derive(Clone, Debug, PartialEq)]
pub struct ReloadFailed {
    /// All problems, for people.
    pub report: String,
    /// All problems, for programs.
    pub problems: serde_json::Value,
}

/// When the last reload was refused, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct LastFailure {
    /// When.
    pub at: Timestamp,
    /// All problems, for people.
    pub report: String,
}
