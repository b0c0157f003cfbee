//! Whether the other side of a silent connection is still there.

use std::task::Context;

use h2::{Ping, PingPong};

/// After so much silence the other side is asked.
const PING_AFTER_MS: u64 = 20_000;

/// So long it may take to answer.
const PONG_WITHIN_MS: u64 = 10_000;

/// The pulse of one connection.
pub(super) struct Pulse {
    pings: Option<PingPong>,
    heard_bytes: u64,
    ping_at_ms: u64,
    pong_by_ms: Option<u64>,
}

impl Pulse {
    pub(super) fn new(pings: Option<PingPong>, now_ms: u64) -> Self {
        Self { pings, heard_bytes: 0, ping_at_ms: now_ms + PING_AFTER_MS, pong_by_ms: None }
    }

    /// Takes what was received so far into account, and asks if that has not changed for too long. False
    /// if there was no answer.
    pub(super) fn beats(&mut self, received: u64, now_ms: u64, cx: &mut Context<'_>) -> bool {
        let Some(pings) = &mut self.pings else { return true };
        if received != self.heard_bytes {
            (self.heard_bytes, self.ping_at_ms) = (received, now_ms + PING_AFTER_MS);
        }
        if let Some(by_ms) = self.pong_by_ms {
            if pings.poll_pong(cx).is_ready() {
                self.pong_by_ms = None;
            }
            return self.pong_by_ms.is_none() || now_ms < by_ms;
        }
        if now_ms >= self.ping_at_ms {
            self.ping_at_ms = now_ms + PING_AFTER_MS;
            if pings.send_ping(Ping::opaque()).is_ok() {
                self.pong_by_ms = Some(now_ms + PONG_WITHIN_MS);
                // To be woken by the answer.
                let _ = pings.poll_pong(cx);
            }
        }
        true
    }

    /// When to ask again at the latest.
    pub(super) fn next_ms(&self) -> u64 {
        self.pong_by_ms.unwrap_or(self.ping_at_ms)
    }
}
