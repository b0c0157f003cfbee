//! Unused connections to one endpoint, last in, first out.
//!
//! What lies here can be used by whoever the shelf is for: by everybody, or, where an endpoint is told for whom
//! it is called, by one client's connection.

use std::cell::RefCell;
use std::time::Duration;

use super::super::h2::Pool;
use super::super::stream::Stream;

/// Unused connections kept on one shelf. More are closed.
const IDLE_MAX: usize = 1024;

/// Unused connections.
#[derive(Default)]
pub struct Shelf {
    /// Connections on which HTTP/2 is spoken.
    pub(super) streams: Pool,
    idle: RefCell<Vec<Idle>>,
}

struct Idle {
    stream: Stream,
    since_ms: u64,
}

impl Shelf {
    /// The connection that was used last, if one is still good: open and silent. Bytes that nobody
    /// asked for would be taken for the answer to the next request (response splitting).
    pub(super) fn take(&self, keep_alive: Duration, now_ms: u64) -> Option<Stream> {
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
    pub(super) fn put(&self, mut stream: Stream, now_ms: u64) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < IDLE_MAX && stream.is_silent() {
            idle.push(Idle { stream, since_ms: now_ms });
        }
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
