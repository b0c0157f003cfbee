//! From what the controller decides to who is notified of it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::admin::Notify;
use crate::admin::wire::{LastCallWire, NotificationWire, TargetWire};
use crate::config::NotifySpec;
use crate::controller::{Handle, News};
use crate::model::TargetName;
use crate::notifier::{Ear, Notification, Notifier, Parts, TargetState, Told};
use crate::runtime::Clock;
use crate::telemetry::Registry;

/// The notifier, and the way of the news to it.
pub struct Notifications {
    controller: Handle,
    notifier: Notifier,
    feed: JoinHandle<()>,
    /// Whether another process goes on from here.
    given_away: AtomicBool,
}

/// Has notifications counted.
struct Counter(Arc<Registry>);

impl Ear for Counter {
    fn told(&self, target: &TargetName, told: Told, count: u64) {
        self.0.notified(target, told.as_str(), count);
        if told == Told::Dropped {
            self.0.events_dropped(count);
        }
    }
}

impl Notifications {
    /// Starts both. What has been told is written down in `state`; `None`: nowhere. Must be called within a tokio
    /// runtime.
    #[expect(clippy::disallowed_methods, reason = "the composition root starts the tasks")]
    pub fn start(
        controller: Handle,
        registry: &Arc<Registry>,
        clock: Clock,
        seed: u64,
        state: Option<&Path>,
    ) -> io::Result<Self> {
        let notifier = Notifier::start(Parts {
            clock,
            seed,
            memory: state.map(|it| it.join(MEMORY)),
            book: state.map(|it| it.join(BOOK)),
            ear: Arc::new(Counter(Arc::clone(registry))),
        })?;
        let feed = tokio::task::spawn(feed(controller.clone(), notifier.clone(), Arc::clone(registry)));
        Ok(Self { controller, notifier, feed, given_away: AtomicBool::new(false) })
    }

    /// The newest event: who is notified from now on hears of what comes after it.
    pub fn mark(&self) -> u64 {
        self.controller.newest_event()
    }

    /// From now on these are notified, of what has happened since `mark`.
    pub fn apply(&self, specs: &[NotifySpec], mark: u64) {
        self.notifier.apply(specs, mark);
        if !specs.is_empty() {
            self.notifier.tell(&news(self.controller.events(0)));
        }
    }

    /// Sends nothing more, because another process will; until [`resume`](Self::resume).
    pub async fn rest(&self) {
        self.given_away.store(true, Ordering::Release);
        self.notifier.rest().await;
    }

    /// The other process does not.
    pub fn resume(&self) {
        self.given_away.store(false, Ordering::Release);
        self.notifier.resume();
    }

    /// Sends what can be sent in a short time. What is left is for the next process.
    pub async fn finish(&self, within: Duration) {
        self.feed.abort();
        if self.given_away.load(Ordering::Acquire) {
            return;
        }
        self.notifier.tell(&news(self.controller.events(0)));
        self.notifier.finish(within.min(FINISH_WITHIN)).await;
    }
}

impl Notify for Notifications {
    fn targets(&self) -> Vec<TargetWire> {
        self.notifier.states().into_iter().map(target).collect()
    }

    fn notifications(&self, since: u64, most: usize) -> Vec<NotificationWire> {
        self.notifier.notifications(since, most).into_iter().map(notification).collect()
    }

    fn about(&self, meant: &dyn Fn(u64) -> bool) -> Vec<NotificationWire> {
        self.notifier.about(meant).into_iter().map(notification).collect()
    }

    fn newest(&self) -> watch::Receiver<u64> {
        self.notifier.newest()
    }
}

async fn feed(controller: Handle, notifier: Notifier, registry: Arc<Registry>) {
    let mut last = 0;
    // What is older was told by whoever was here before, or is read from the journal.
    let mut seen = controller.newest_event();
    loop {
        let events = controller.next_events(last).await;
        last = events.last().map_or(last, |it| it.id);
        let news = news(events);
        let missed = missed(seen, &news);
        if missed > 0 {
            tracing::warn!(missed, "more happened at once than is kept: nobody is notified of the oldest");
            registry.events_dropped(missed);
        }
        seen = seen.max(last);
        notifier.tell(&news);
    }
}

/// How many events after `seen` have been forgotten before the oldest of these: their numbers rise by one.
fn missed(seen: u64, news: &[Arc<News>]) -> u64 {
    news.first().map_or(0, |it| it.id.saturating_sub(seen + 1))
}

fn news(mut events: Vec<News>) -> Vec<Arc<News>> {
    // The journal may have two in another order than they were announced.
    events.sort_by_key(|it| it.id);
    events.into_iter().map(Arc::new).collect()
}

fn notification(it: Notification) -> NotificationWire {
    NotificationWire {
        id: it.id,
        at: it.at.to_string(),
        target: it.target.to_string(),
        event: it.event,
        service: it.service.to_string(),
        version: it.version.to_string(),
        what: it.what.as_str().to_owned(),
        result: it.told.as_str().to_owned(),
        attempts: it.attempts,
        after_seconds: seconds(it.after),
        text: it.text(),
        next: it.next.map(|it| it.to_string()),
        recovered_seconds: it.recovered.map(seconds),
        problem: it.problem,
    }
}

/// To the millisecond, as moments are.
fn seconds(it: Duration) -> f64 {
    it.as_millis() as f64 / 1e3
}

fn target(it: TargetState) -> TargetWire {
    TargetWire {
        name: it.name.to_string(),
        kind: it.kind.to_owned(),
        place: it.place,
        waiting: it.waiting as u64,
        delivered: it.delivered,
        failed: it.failed,
        dropped: it.dropped,
        next: it.next.map(|it| it.to_string()),
        disabled: it.disabled,
        last: it.last.map(|it| LastCallWire { at: it.at.to_string(), event: it.event, problem: it.problem }),
    }
}

/// Names of the files in the state directory: how far each target has got, and what became of each notification.
const MEMORY: &str = "notifications.json";
const BOOK: &str = "notifications.log";

/// An end waits no longer for whoever does not answer.
const FINISH_WITHIN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::script::advanced;

    #[test]
    fn what_was_forgotten_before_it_could_be_told_is_counted() {
        for (seen, ids, expected) in
            [(0, 1..4, 0), (4, 5..6, 0), (4, 3..6, 0), (4, 4..4, 0), (4, 8..9, 3), (0, 3..4, 2)]
        {
            let news: Vec<_> = ids.clone().map(|id| Arc::new(advanced(id))).collect();
            assert_eq!(missed(seen, &news), expected, "{seen} {ids:?}");
        }
    }
}
