//! What a client's connection costs and what it is good for.

use std::cell::Cell;
use std::rc::Rc;

/// Bytes that a connection may spend on frames that bring no request and no content, and allow none to
/// pass: PING, SETTINGS, PRIORITY, WINDOW_UPDATE and whatever is invented next. A client that is alive and
/// does nothing needs a hundredth of it.
const IDLE_TALK: u64 = 512 * 1024;

/// Bytes that each request adds to that: its own head, and settings and priorities around it.
const TALK_PER_REQUEST: u64 = 32 * 1024;

/// Bytes that each byte of content adds. A message of gRPC has five bytes at least, and a frame around it nine: a
/// stream of those may go on for ever. One of single bytes may not.
const TALK_PER_BYTE: u64 = 4;

/// Bytes that each frame with content adds that we send: what a client answers to it, two WINDOW_UPDATEs and a PING.
const TALK_PER_PIECE: u64 = 48;

/// Cancelled requests that are nobody's business. Beyond, most requests must not be cancelled; every other one may,
/// whichever comes first.
const CANCELLED_FREE: u64 = 100;

/// The books of one connection, shared with its streams.
#[derive(Default)]
pub(super) struct Account {
    live: Cell<usize>,
    idle_since_ms: Cell<u64>,
    accepted: Cell<u64>,
    content: Cell<u64>,
}

/// A stream that is being served.
pub(super) struct Live(Rc<Account>);

impl Account {
    pub(super) fn new(now_ms: u64) -> Rc<Self> {
        Rc::new(Self { idle_since_ms: Cell::new(now_ms), ..Self::default() })
    }

    /// A request has arrived.
    pub(super) fn begin(self: &Rc<Self>) -> Live {
        self.live.set(self.live.get() + 1);
        self.accepted.set(self.accepted.get() + 1);
        Live(Rc::clone(self))
    }

    /// Requests so far.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.get()
    }

    /// Whether no stream is being served.
    pub(super) fn is_idle(&self) -> bool {
        self.live.get() == 0
    }

    /// Since when.
    pub(super) fn idle_since_ms(&self) -> u64 {
        self.idle_since_ms.get()
    }

    /// Content that passed, either way.
    pub(super) fn passed(&self, bytes: usize) {
        self.content.set(self.content.get() + bytes as u64);
    }

    /// Whether the client costs more than it is worth, having sent so many bytes, been sent so many frames with
    /// content, and given so many requests up.
    pub(super) fn is_overdrawn(&self, received: u64, pieces: u64, cancelled: u64) -> bool {
        let content = self.content.get() * TALK_PER_BYTE + pieces * TALK_PER_PIECE;
        let talk = IDLE_TALK + self.accepted.get() * TALK_PER_REQUEST + content;
        received > talk || (cancelled > CANCELLED_FREE && cancelled * 2 > self.accepted.get() + 1)
    }
}

impl Live {
    /// The stream is over.
    pub(super) fn end(self, now_ms: u64) {
        self.0.idle_since_ms.set(now_ms);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.live.set(self.0.live.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn talk_is_paid_for_by_requests_and_content() {
        let account = Account::new(0);
        assert!(!account.is_overdrawn(IDLE_TALK, 0, 0));
        assert!(account.is_overdrawn(IDLE_TALK + 1, 0, 0));
        account.begin().end(1);
        assert!(!account.is_overdrawn(IDLE_TALK + TALK_PER_REQUEST, 0, 0));
        account.passed(1_000_000);
        assert!(!account.is_overdrawn(IDLE_TALK + TALK_PER_BYTE * 1_000_000, 0, 0));
    }

    #[test]
    fn small_messages_may_go_on_for_ever_and_single_bytes_may_not() {
        let takes = |count: u64, size: u64| {
            let account = Account::new(0);
            account.passed((count * size) as usize);
            !account.is_overdrawn(count * (9 + size), 0, 0)
        };
        assert!(takes(1_000_000_000, 5), "empty messages of gRPC");
        assert!(takes(10_000, 1) && !takes(200_000, 1));
        let account = Account::new(0);
        for count in [1_000, 1_000_000_000] {
            assert!(
                !account.is_overdrawn(count * (2 * 13 + 17), count, 0),
                "each of ours is confirmed twice"
            );
            assert!(account.is_overdrawn(IDLE_TALK + 1 + count * 64, count, 0));
        }
    }

    #[test]
    fn some_may_be_cancelled_but_not_most() {
        let account = Account::new(0);
        (0..=CANCELLED_FREE).for_each(|_| drop(account.begin()));
        assert!(!account.is_overdrawn(0, 0, CANCELLED_FREE));
        assert!(account.is_overdrawn(0, 0, CANCELLED_FREE + 1));
        (0..CANCELLED_FREE).for_each(|_| drop(account.begin()));
        assert!(!account.is_overdrawn(0, 0, CANCELLED_FREE + 1), "every other one was served");
    }
}
