//! What one reader of the stream has seen, and what it gets next.

use std::fmt::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, Sleep, sleep};

use crate::controller::News;

use super::super::server::House;
use super::super::wire::{EventWire, NotificationWire};
use super::picture::{self, Picture};

/// One reader.
pub(super) struct Feed {
    house: Arc<House>,
    /// The newest event that it has.
    last: u64,
    /// The newest line about notifications that it has.
    told: u64,
    noted: watch::Receiver<u64>,
    /// The status that it has; `None` at the beginning.
    sent: Option<Arc<Picture>>,
    timers: Timers,
    _permit: OwnedSemaphorePermit,
}

/// Each is set anew, or runs once.
struct Timers {
    /// Since the last status.
    pace: Pin<Box<Sleep>>,
    /// Since anything.
    beat: Pin<Box<Sleep>>,
    /// Since the beginning.
    age: Pin<Box<Sleep>>,
}

/// Why the wait is over.
enum Woken {
    Changed,
    Silent,
    End,
}

impl Feed {
    /// A reader that has all events up to `since`, or wants none of the old ones; and all lines about notifications
    /// up to `told`, or those that were there when the event happened.
    pub(super) fn new(
        house: Arc<House>,
        since: Option<u64>,
        told: Option<u64>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        // Before the status is looked at: what is decided between the two is sent, and is no news twice.
        // A number from before the journal was lost must not hide what comes now.
        let noted = house.notify.newest();
        let events = house.control.events(0);
        let newest = events.last().map_or(0, |it| it.id);
        let timers = Timers {
            pace: Box::pin(sleep(PACE)),
            beat: Box::pin(sleep(BEAT)),
            age: Box::pin(sleep(AGE_MAX)),
        };
        let last = since.map_or(newest, |it| it.min(newest));
        let told = told.unwrap_or_else(|| match since {
            // Lines are numbered by their moments.
            Some(_) => events.iter().rfind(|it| it.id <= last).map_or(0, |it| it.at.0),
            None => *noted.borrow(),
        });
        Self { house, last, told, noted, sent: None, timers, _permit: permit }
    }

    /// Waits for the next thing to send; `None` when the stream ends.
    pub(super) async fn next(mut self) -> Option<(Self, Bytes)> {
        let text = self.text().await?;
        self.timers.beat.as_mut().reset(Instant::now() + BEAT);
        Some((self, Bytes::from(text)))
    }

    async fn text(&mut self) -> Option<String> {
        let Some(mut sent) = self.sent.clone() else { return Some(self.begin().await) };
        loop {
            // Events come before the status that tells of them, so this order misses none.
            let status = self.house.control.status();
            let mut events = self.house.control.events(self.last);
            if !events.is_empty() {
                events.truncate(EVENTS_AT_ONCE);
                return Some(self.decisions(&events));
            }
            let notifications = self.house.notify.notifications(self.told, EVENTS_AT_ONCE);
            if !notifications.is_empty() {
                return Some(self.notifications(&notifications));
            }
            let owed = (status.revision, self.told) > sent.age();
            if owed && self.timers.pace.is_elapsed() {
                let now = picture::newest(&self.house).await;
                let changes = now.changes_since(&sent);
                self.timers.pace.as_mut().reset(Instant::now() + PACE);
                sent = Arc::clone(&now);
                self.sent = Some(now);
                if let Some(changes) = changes {
                    return Some(event("status", None, &changes));
                }
            }
            match self.woken(status.revision, owed).await {
                Woken::Changed => {}
                Woken::Silent => return Some(": beat\n\n".to_owned()),
                Woken::End => return None,
            }
        }
    }

    /// The first event. Its id is what the reader has, not what there is: whoever is cut off between the
    /// snapshot and the events after it gets them the next time.
    async fn begin(&mut self) -> String {
        let now = picture::newest(&self.house).await;
        self.timers.pace.as_mut().reset(Instant::now() + PACE);
        let text = format!("{RETRY}{}", event("snapshot", Some(self.last), &now.whole()));
        self.sent = Some(now);
        text
    }

    fn decisions(&mut self, events: &[News]) -> String {
        let mut text = String::new();
        for it in events {
            let wire = EventWire::from(it);
            let json = serde_json::to_string(&wire).expect("wire types have string keys and finite depth");
            text.push_str(&event("decision", Some(it.id), &json));
            self.last = it.id;
        }
        text
    }

    /// They have no id: what a reader comes back with stays the number of an event.
    fn notifications(&mut self, notifications: &[NotificationWire]) -> String {
        let mut text = String::new();
        for it in notifications {
            let json = serde_json::to_string(it).expect("wire types have string keys and finite depth");
            text.push_str(&event("notification", None, &json));
            self.told = it.id;
        }
        text
    }

    /// Waits for a status after `revision`, or for news of notifications; while one is `owed`, no longer than its pace.
    async fn woken(&mut self, revision: u64, owed: bool) -> Woken {
        let mut shutdown = self.house.shutdown.clone();
        tokio::select! {
            biased;
            () = shutdown.draining() => Woken::End,
            () = &mut self.timers.age => Woken::End,
            // The same again means that nobody will ever make another.
            it = self.house.control.changed(revision) => {
                if it.revision > revision { Woken::Changed } else { Woken::End }
            }
            Ok(()) = self.noted.changed() => Woken::Changed,
            () = &mut self.timers.pace, if owed => Woken::Changed,
            () = &mut self.timers.beat => Woken::Silent,
        }
    }
}

/// One event as text. `data` is one line: JSON has no raw line ends.
fn event(name: &str, id: Option<u64>, data: &str) -> String {
    let mut text = format!("event: {name}\n");
    if let Some(id) = id {
        let _ = writeln!(text, "id: {id}");
    }
    text.push_str("data: ");
    text.push_str(data);
    text.push_str("\n\n");
    text
}

/// After how many milliseconds a browser comes back.
const RETRY: &str = "retry: 2000\n";
/// A status is sent at most four times a second: people do not see more.
const PACE: Duration = Duration::from_millis(250);
/// A reader that hears nothing for longer than this may take the connection for dead.
const BEAT: Duration = Duration::from_secs(10);
/// A stream ends after this, and its reader comes back and is asked again who it is.
const AGE_MAX: Duration = Duration::from_secs(3_600);
/// Events that are rendered in one go; the rest follows when the reader has taken these.
const EVENTS_AT_ONCE: usize = 64;
