//! Another try of the same request: what is forgotten of the last one, and what is put by in case that
//! nothing better comes.

use crate::h1::{self, Asked, BodyReader};
use crate::message::Framing;

use super::{Answer, Buffer, Endpoint, Exchange, Link};

/// Answers that are not passed on until it is known that there is nothing better.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spared {
    /// Statuses for which another endpoint is asked, by their distance from 502.
    retried: [bool; 3],
    /// Whether every status from 500 to 599 is one.
    failures: bool,
    some: bool,
}

impl Spared {
    /// Those with a status that `asks` for another try.
    pub fn by(asks: impl Fn(u16) -> bool) -> Self {
        let retried = [asks(502), asks(503), asks(504)];
        Self { retried, failures: false, some: retried.contains(&true) }
    }

    /// Those with a status from 500 to 599.
    pub fn failures() -> Self {
        Self { retried: [false; 3], failures: true, some: true }
    }

    /// Whether an answer of this status is one.
    pub fn has(self, status: u16) -> bool {
        if !self.some {
            return false;
        }
        let retried =
            || usize::from(status).checked_sub(502).and_then(|it| self.retried.get(it)) == Some(&true);
        if self.failures { (500..600).contains(&status) } else { retried() }
    }
}

/// An answer that was put by, its head still unread.
pub struct Aside {
    upstream: Option<Link>,
    buffer: Option<Buffer>,
    reused: bool,
}

impl Exchange<'_> {
    /// Whether the client would not notice another try, and has time for one. Interim answers are no answer, and
    /// there may be any number of them.
    pub fn still_waits(&self) -> bool {
        !self.response_begun
            && self.answer == Answer::Head
            && self.download.moved == self.interim_bytes
            && !self.patience.is_over(self.now_ms())
    }

    /// Whether another try could still be made without the client noticing.
    pub fn may_start_over(&self) -> bool {
        self.still_waits() && self.job.upload.can_rewind()
    }

    /// Whether the version has an answer for which there was no use yet.
    pub fn spares(&self, status: u16) -> bool {
        self.spared.has(status) && self.may_start_over()
    }

    /// Forgets the connection, to send the whole request on another one.
    pub fn again(&mut self) {
        self.upstream = None;
        if let Some(buffer) = self.buffer.take() {
            self.worker.stock.put_buffer(buffer);
        }
        self.scanner.reset();
        self.answer = Answer::Head;
        (self.upload_done, self.upload_lost, self.heard) = (false, false, false);
        (self.interim, self.reads, self.held_since_ms) = (0, 0, None);
        self.job.upload.rewind();
        self.patience.again();
    }

    /// Puts the answer by whose head was just looked at.
    pub fn put_by(&mut self) -> Aside {
        Aside { upstream: self.upstream.take(), buffer: self.buffer.take(), reused: self.reused }
    }

    /// Nothing better came: goes on with the answer that was put by.
    pub fn take_back(&mut self, aside: Aside) {
        self.again();
        (self.upstream, self.buffer, self.reused) = (aside.upstream, aside.buffer, aside.reused);
        self.heard = true;
        // Of a body, who knows how much this endpoint has had; it has answered, so no more is sent.
        self.upload_done = self.job.request.framing.is_empty();
        self.upload_lost = !self.upload_done;
    }

    /// Something better came. The connection is kept if the answer has arrived whole.
    pub fn drop_aside(&self, aside: Aside, endpoint: &Endpoint) {
        let (Some(upstream), Some(buffer)) = (aside.upstream, aside.buffer) else { return };
        if self.is_whole(&buffer) {
            endpoint.put_back(&self.peer, upstream, self.now_ms());
        }
        self.worker.stock.put_buffer(buffer);
    }

    fn is_whole(&self, buffer: &Buffer) -> bool {
        let Ok(Some(len)) = h1::HeadScanner::new().scan_response(buffer.filled(), &self.response_limits())
        else {
            return false;
        };
        let (buf, body) = buffer.filled().split_at(len);
        let mut scratch = self.worker.scratch.borrow_mut();
        let head = &mut scratch.response;
        let asked = Asked { kind: self.job.request.kind, upgrade: false };
        if h1::parse_response(buf, &self.response_limits(), asked, head).is_err() || !head.keep_alive {
            return false;
        }
        let mut reader = BodyReader::new(head.framing, Framing::None);
        let mut rest = body;
        while !reader.is_done() && !rest.is_empty() {
            let Ok(piece) = reader.next(rest) else { return false };
            rest = &rest[piece.consumed..];
        }
        reader.is_done() && rest.is_empty()
    }
}
