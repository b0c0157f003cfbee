//! Unused connections to one endpoint, last in, first out.
//!
//! What lies here can be used by whoever the shelf is for: by everybody, or, where an endpoint is told for whom
//! it is called, by one client's connection.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::super::h2::Pool;
use super::super::quota::Quota;
use super::link::Link;

/// Unused connections kept on one shelf. More are closed.
const IDLE_MAX: usize = 1024;

/// Unused connections.
pub struct Shelf {
    /// How many the version may have.
    quota: Rc<Quota>,
    /// Connections on which HTTP/2 is spoken.
    pub(super) streams: Pool,
    idle: RefCell<Vec<Idle>>,
}

struct Idle {
    stream: Link,
    since_ms: u64,
}

impl Shelf {
    /// Nothing lies here yet.
    pub(super) fn new(quota: &Rc<Quota>) -> Self {
        let (streams, idle) = (Pool::new(Rc::clone(quota)), RefCell::default());
        Self { quota: Rc::clone(quota), streams, idle }
    }

    /// The connection that was used last, if one is still good: open and silent. Bytes that nobody
    /// asked for would be taken for the answer to the next request (response splitting).
    pub(super) fn take(&self, keep_alive: Duration, now_ms: u64) -> Option<Link> {
        let keep_ms = keep_alive.as_millis() as u64;
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { mut stream, since_ms }) = idle.pop() {
            if now_ms.saturating_sub(since_ms) < keep_ms && stream.is_silent() {
                return Some(stream);
            }
        }
        None
    }

    /// Takes back a connection whose exchange ended at a message boundary with nothing left to read.
    pub(super) fn put(&self, mut stream: Link, now_ms: u64) {
        if self.quota.is_wanted_elsewhere() {
            // Whoever needs it is on another worker, and opens one in its place.
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() < IDLE_MAX && stream.is_silent() {
            idle.push(Idle { stream, since_ms: now_ms });
            drop(idle);
            self.quota.look();
        }
    }

    /// Closes a connection that nobody uses, the oldest. Whether there was one.
    pub(super) fn shed(&self, now_us: u64) -> bool {
        let mut idle = self.idle.borrow_mut();
        let oldest = (!idle.is_empty()).then(|| idle.remove(0));
        // Before its place is given to somebody who might look here.
        drop(idle);
        oldest.is_some() || self.streams.shed(now_us)
    }

    /// Closes what is too old or was closed by the other side.
    pub(super) fn prune(&self, keep_alive: Duration, now_ms: u64) {
        self.streams.prune(keep_alive, now_ms);
        let keep_ms = keep_alive.as_millis() as u64;
        self.idle
            .borrow_mut()
            .retain_mut(|it| now_ms.saturating_sub(it.since_ms) < keep_ms && it.stream.is_silent());
    }

    /// Closes all of them: whoever they spoke for is gone.
    pub fn clear(&self) {
        self.streams.clear();
        self.idle.borrow_mut().clear();
    }

    /// Whether there is no connection.
    pub(super) fn is_empty(&self) -> bool {
        self.idle.borrow().is_empty() && self.streams.is_cold()
    }
}
