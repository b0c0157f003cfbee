//! Where acts are played: the running server, its file, its users, and the audience.

use std::time::Duration;

use crate::app::Instance;
use crate::controller::{News, ServiceStatus};
use crate::model::{Timestamp, Weight};

use super::backend::Backends;
use super::folder::Folder;
use super::ledger::Ledger;
use super::load::Load;
use super::tell::Teller;

/// Everything that an act needs.
pub(super) struct Stage<'a> {
    pub(super) instance: &'a Instance,
    pub(super) backends: &'a Backends,
    pub(super) folder: &'a mut Folder,
    pub(super) load: &'a Load,
    pub(super) tell: Teller<'a>,
    pub(super) pace: Pace,
    /// When the act began.
    began: Timestamp,
    /// Id of the newest event that was told.
    heard: u64,
    /// When the audience was last looked after.
    looked: Timestamp,
}

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Traffic before something is done.
    pub(super) lead: Duration,
    /// One step of a release.
    pub(super) soak: Duration,
    /// The watch after it.
    pub(super) watch: Duration,
    /// How long the bad version is fine.
    pub(super) onset: Duration,
    /// Traffic after something was done.
    pub(super) after: Duration,
}

impl Pace {
    /// For a play of about so many seconds. Steps do not get shorter than half a second: they need
    /// their requests, and a busy machine its time.
    pub(super) fn of(seconds: u64) -> Self {
        let part = |twentieths: f64| {
            let whole = Duration::from_secs_f64(seconds as f64 / 20.0 * twentieths).as_millis() as u64;
            Duration::from_millis((whole / 100 * 100).max(500))
        };
        Self { lead: part(1.0), soak: part(3.0), watch: part(2.0), onset: part(1.5), after: part(1.5) }
    }
}

impl<'a> Stage<'a> {
    /// Nothing has happened yet.
    pub(super) fn new(
        instance: &'a Instance,
        backends: &'a Backends,
        folder: &'a mut Folder,
        load: &'a Load,
        tell: Teller<'a>,
        pace: Pace,
    ) -> Self {
        let began = instance.clock.now();
        let heard = instance.controller().events(0).last().map_or(0, |it| it.id);
        Self { instance, backends, folder, load, tell, pace, began, heard, looked: began }
    }

    /// The present moment.
    pub(super) fn now(&self) -> Timestamp {
        self.instance.clock.now()
    }

    /// When the act began.
    pub(super) fn began(&self) -> Timestamp {
        self.began
    }

    /// What users were answered.
    pub(super) fn ledger(&self) -> &Ledger {
        self.load.ledger()
    }

    /// Saves the file with one line changed. The act begins here.
    pub(super) fn edit(&mut self, old: &str, new: &str) -> Result<(), String> {
        let (removed, added) =
            (self.tell.paint.red(&format!("- {old}")), self.tell.paint.green(&format!("+ {new}")));
        self.tell.line(&format!("   tidegate.yaml  {removed}  {added}"));
        self.began = self.now();
        self.folder.edit(old, new).map_err(|error| format!("cannot write the configuration: {error}"))
    }

    /// Tells something that happened now.
    pub(super) fn news(&mut self, text: &str) {
        let since = self.now().since(self.began);
        self.tell.news(since, text);
    }

    /// Lets traffic flow.
    pub(super) async fn wait(&mut self, span: Duration) {
        let end = self.now() + span;
        while self.now() < end {
            self.look_after_audience();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until `found` finds something. It looks every millisecond, so that what is measured is the
    /// server and not the look.
    pub(super) async fn until<T>(
        &mut self,
        what: &str,
        found: impl Fn(&Self) -> Option<T>,
    ) -> Result<T, String> {
        let end = self.now() + PATIENCE;
        while self.now() < end {
            if let Some(it) = found(self) {
                return Ok(it);
            }
            self.look_after_audience();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let refused = admin_failure(self.instance).unwrap_or_default();
        Err(format!("{what}: not within {PATIENCE:?}{refused}"))
    }

    /// Waits until everything that users have asked by now is answered, so that counts are whole.
    pub(super) async fn settle(&mut self) -> Result<(), String> {
        let mark = self.ledger().mark();
        self.until("users get their answers", |it| it.ledger().is_settled(mark).then_some(())).await
    }

    /// Waits until that version has answered some users since the act began.
    pub(super) async fn answered_by(&mut self, version: &str, since: Timestamp) -> Result<(), String> {
        let what = format!("{version} answers users");
        let found = |it: &Self| {
            let count = it.ledger().count(|it| it.sent >= since && it.is_by(version));
            (count >= SOME).then_some(())
        };
        self.until(&what, found).await
    }

    /// The share of a version, as the workers see it.
    pub(super) fn weight(&self, service: &str, version: &str) -> Weight {
        let table = self.instance.publisher.current();
        let Some(service) = table.services.iter().find(|it| it.spec.name.as_str() == service) else {
            return Weight::NONE;
        };
        let at = service.spec.versions.iter().position(|it| it.name.as_str() == version);
        at.map_or(Weight::NONE, |it| service.split.weight(crate::routing::VersionIndex(it)))
    }

    /// What the controller says of a service.
    pub(super) fn service(&self, name: &str) -> Option<ServiceStatus> {
        self.instance.controller().status().service(name).cloned()
    }

    /// What was decided since the act began.
    pub(super) fn events(&self) -> Vec<News> {
        let mut events = self.instance.controller().events(0);
        events.retain(|it| it.at >= self.began);
        events
    }

    /// Tells the news, and draws the traffic a few times a second.
    pub(super) fn look_after_audience(&mut self) {
        let now = self.now();
        if now.since(self.looked) < LOOK_EVERY {
            return;
        }
        self.looked = now;
        for event in self.instance.controller().events(self.heard) {
            self.heard = event.id;
            self.tell.news(event.at.since(self.began), &event.text);
        }
        let answers = self.ledger().last_second();
        self.tell.traffic(&answers);
    }
}

/// Why the last edit of the file was refused, if it was.
fn admin_failure(instance: &Instance) -> Option<String> {
    use crate::admin::Reload;
    instance.reloader.last_failure().map(|it| format!("; the configuration was refused: {}", it.report))
}

/// Longest time that anything may take. It is much longer than anything should, because the machine may
/// be busy: only what will never come runs into it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers by which a version has shown itself.
const SOME: u64 = 50;

/// Between two looks after the audience.
const LOOK_EVERY: Duration = Duration::from_millis(200);
