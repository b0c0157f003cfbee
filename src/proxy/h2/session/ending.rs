//! How a connection comes to its end: by leave that is taken, by a rule that was broken, or because it is gone.

use std::task::Waker;

use super::super::frame::{self, Code, WINDOW_MAX, kind};
use super::{Cut, LEAVE, Session};

impl Session {
    /// Tells a client that it has to go. What it has sent before it knows that still counts.
    pub fn leave(&mut self) {
        if !std::mem::replace(&mut self.leaving, true) && !self.is_parted() {
            self.say_goaway(WINDOW_MAX as u32, Code::NO_ERROR);
            frame::write(kind::PING, 0, 0, LEAVE, &mut self.out);
            // Whoever answers has read everything that was said before.
            self.unread = [false, self.unread[0]];
        }
    }

    /// All that was sent before the client knew has arrived, and all that we had said before was read.
    pub(super) fn leave_is_taken(&mut self) {
        self.unread[1] = false;
        self.part();
    }

    /// Whether answers may still be on their way: there are some that the client has not shown to have read.
    pub fn may_be_unread(&self) -> bool {
        self.unread.contains(&true)
    }

    /// Takes no further streams.
    pub fn part(&mut self) {
        if !self.is_parted() {
            self.parted = Some(self.last);
            self.say_goaway(self.last, Code::NO_ERROR);
            self.call();
        }
    }

    pub(super) fn is_parted(&self) -> bool {
        self.parted.is_some() || self.failed.is_some()
    }

    fn say_goaway(&mut self, last: u32, code: Code) {
        let mut payload = [0; 8];
        payload[..4].copy_from_slice(&last.to_be_bytes());
        payload[4..].copy_from_slice(&code.0.to_be_bytes());
        frame::write(kind::GOAWAY, 0, 0, &payload, &mut self.out);
    }

    /// Ends the connection and all its streams, and tells the other side why.
    pub fn fail(&mut self, code: Code) {
        if self.failed.is_none() {
            self.failed = Some(code);
            self.say_goaway(self.last, code);
            self.end();
        }
    }

    /// Why it was ended, if it was.
    pub fn failed(&self) -> Option<Code> {
        self.failed
    }

    /// The connection is no more.
    pub fn end(&mut self) {
        self.ended = true;
        self.curious.drain(..).for_each(Waker::wake);
        for place in self.streams.places().collect::<Vec<_>>() {
            self.cut(place, Cut::Connection);
        }
    }

    /// Whether nothing is left to do: one side has taken its leave, and no stream is open.
    pub fn is_over(&self) -> bool {
        (self.left || self.parted.is_some()) && self.streams.count() == 0 && self.opened.is_empty()
    }
}
