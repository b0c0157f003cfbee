//! Whether the other side of a silent connection is still there.

use super::session::Session;

/// After so much silence the other side is asked.
const PING_AFTER_MS: u64 = 20_000;

/// So long it may take to answer.
const PONG_WITHIN_MS: u64 = 10_000;

/// The pulse of one connection.
pub(super) struct Pulse {
    heard_bytes: u64,
    ping_at_ms: u64,
    pong_by_ms: Option<u64>,
}

impl Pulse {
    pub(super) fn new(now_ms: u64) -> Self {
        Self { heard_bytes: 0, ping_at_ms: now_ms + PING_AFTER_MS, pong_by_ms: None }
    }

    /// Takes what was received so far into account, and asks if that has not changed for too long. False
    /// if there was no answer.
    pub(super) fn beats(&mut self, received: u64, now_ms: u64, session: &mut Session) -> bool {
        if received != self.heard_bytes {
            (self.heard_bytes, self.ping_at_ms) = (received, now_ms + PING_AFTER_MS);
        }
        if let Some(by_ms) = self.pong_by_ms {
            if session.has_pong() {
                self.pong_by_ms = None;
            }
            return self.pong_by_ms.is_none() || now_ms < by_ms;
        }
        if now_ms >= self.ping_at_ms {
            self.ping_at_ms = now_ms + PING_AFTER_MS;
            self.pong_by_ms = Some(now_ms + PONG_WITHIN_MS);
            session.ping();
        }
        true
    }

    /// When to ask again at the latest.
    pub(super) fn next_ms(&self) -> u64 {
        self.pong_by_ms.unwrap_or(self.ping_at_ms)
    }
}
