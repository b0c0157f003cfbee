//! Moves one message from one connection to another: a head that was written anew, then a body as its
//! reader allows. Head and first body bytes leave in one write; body bytes are never copied here.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use crate::h1::{BodyError, BodyReader, Piece};
use crate::message::Framing;

use super::buffer::Buffer;
use super::replay::Replay;
use super::stream::Stream;

/// Largest piece of a body that is joined to its head.
const JOIN_BYTES_MAX: usize = 1024;

/// One direction of an exchange.
#[derive(Default)]
pub struct Pump {
    /// Follows the body.
    pub reader: BodyReader,
    /// Bytes that come first: heads, chunk frames.
    pub front: Vec<u8>,
    range: Range<usize>,
    consumed: usize,
    back: Vec<u8>,
    written: usize,
    loaded: bool,
    /// Bytes of content passed on.
    pub content: u64,
    /// Most bytes of content.
    pub content_max: Option<u64>,
    /// Bytes written, heads and chunk frames included.
    pub moved: u64,
    /// Whether the body waits (for a 100, say) and only `front` is passed on.
    pub held: bool,
    /// What is kept for passing it on once more.
    pub replay: Replay,
    /// What had been written when this try began.
    written_before: u64,
}

/// What a pump waits for, or how it came to an end.
#[derive(Debug)]
pub enum Flow {
    /// Everything was passed on.
    Done,
    /// There is nothing to pass on; the source must be read.
    Hungry,
    /// The sink takes nothing now.
    Blocked,
    /// The sink failed.
    Sink,
    /// The source broke the rules of its framing.
    Source,
    /// The body is larger than it may be; nothing of what is too much was passed on.
    TooLarge,
}

impl Pump {
    /// Has nothing to do yet; writes heads into `front`.
    pub fn new(front: Vec<u8>) -> Self {
        Self { front, ..Self::default() }
    }

    /// Puts a handful of body bytes behind the head: a plain write of a few hundred bytes more costs
    /// less than a vectored one. Whatever is not small is never copied.
    fn join_small(&mut self, input: &Buffer) {
        if !self.range.is_empty() && self.range.len() <= JOIN_BYTES_MAX && self.written < self.front.len() {
            self.front.extend_from_slice(&input.filled()[self.range.clone()]);
            self.range = 0..0;
        }
    }

    /// Has `front` written before anything else.
    pub fn load_front(&mut self) {
        self.loaded = true;
    }

    /// Passes on as much as there is.
    pub fn poll(&mut self, input: &mut Buffer, sink: &mut Stream, cx: &mut Context<'_>) -> Flow {
        if let Some(mut kept) = self.replay.take_source() {
            match self.pass_on(&mut kept, sink, cx) {
                // What was kept has gone out again; the rest comes from where it came from before.
                Flow::Hungry => self.replay.end_source(),
                flow => {
                    self.replay.put_source(kept);
                    return flow;
                }
            }
        }
        self.pass_on(input, sink, cx)
    }

    fn pass_on(&mut self, input: &mut Buffer, sink: &mut Stream, cx: &mut Context<'_>) -> Flow {
        loop {
            // A head waits for the first piece of its body, to leave together with it.
            if self.range.is_empty()
                && self.back.is_empty()
                && self.written <= self.front.len()
                && let Err(flow) = self.load(input)
            {
                return flow;
            }
            if !self.loaded {
                return if self.reader.is_done() { Flow::Done } else { Flow::Hungry };
            }
            match self.poll_write(input, sink, cx) {
                Poll::Pending => return Flow::Blocked,
                Poll::Ready(Err(_)) => return Flow::Sink,
                Poll::Ready(Ok(())) => self.unload(input),
            }
        }
    }

    /// The source has ended. An error if the body is not complete.
    pub fn source_ended(&mut self) -> Result<(), BodyError> {
        let piece = self.reader.finish_on_eof()?;
        self.take(piece);
        Ok(())
    }

    /// Whether nothing was written since the beginning of this try.
    pub fn is_untouched(&self) -> bool {
        self.moved == self.written_before
    }

    /// Whether [`Pump::rewind`] would send the whole message.
    pub fn can_rewind(&self) -> bool {
        self.is_untouched() || self.replay.is_whole()
    }

    /// The same, for an endpoint that never saw any of it.
    pub fn can_begin_anew(&self) -> bool {
        self.is_untouched() || self.replay.is_at_hand()
    }

    /// Starts over on another connection. To be called only if [`Pump::can_rewind`] or
    /// [`Pump::can_begin_anew`].
    pub fn rewind(&mut self) {
        if !self.is_untouched() {
            self.written_before = self.moved;
            if let Some((head, framing)) = self.replay.rewind() {
                self.front.clear();
                self.front.extend_from_slice(head);
                self.reader.again(framing);
                self.content = 0;
            }
            (self.range, self.consumed) = (0..0, 0);
            self.back.clear();
        }
        self.written = 0;
        self.loaded = true;
    }

    /// `front` was given to the other side apart from the body, which goes out framed as `to`.
    pub fn head_went_apart(&mut self, to: Framing) {
        self.moved += self.front.len() as u64;
        (self.written, self.loaded) = (self.front.len(), false);
        self.reader.again(to);
    }

    /// Forgets `front`, which was written.
    pub fn restart(&mut self) {
        self.front.clear();
        (self.written, self.loaded) = (0, false);
    }

    fn load(&mut self, input: &Buffer) -> Result<(), Flow> {
        if self.held || self.reader.is_done() || input.is_empty() || self.consumed > 0 {
            return Ok(());
        }
        let piece = self.reader.next(input.filled()).map_err(|_| Flow::Source)?;
        if self.content_max.is_some_and(|most| self.content + piece.content > most) {
            return Err(Flow::TooLarge);
        }
        self.take(piece);
        Ok(())
    }

    fn take(&mut self, piece: Piece) {
        if !self.loaded && !piece.prefix.is_empty() {
            self.front.clear();
            self.written = 0;
        }
        if !self.loaded && piece.prefix.is_empty() {
            // Nothing of the old front is left to write; it stays for a rewind.
            self.written = self.front.len();
        }
        self.front.extend_from_slice(piece.prefix.as_bytes());
        self.range = piece.range;
        self.back.extend_from_slice(piece.suffix.as_bytes());
        if piece.trailers {
            self.back.extend_from_slice(self.reader.trailers());
        }
        self.consumed = piece.consumed;
        self.content += piece.content;
        self.loaded = true;
    }

    fn unload(&mut self, input: &mut Buffer) {
        self.replay.keep(&input.filled()[..self.consumed]);
        input.consume(self.consumed);
        self.consumed = 0;
        self.range = 0..0;
        self.back.clear();
        self.written = self.front.len();
        self.loaded = false;
    }

    fn poll_write(
        &mut self,
        input: &Buffer,
        sink: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.join_small(input);
        let body = &input.filled()[self.range.clone()];
        if sink.is_end() {
            sink.set_last(self.reader.is_done() && self.reader.trailers().is_empty());
        }
        let total = self.front.len() + body.len() + self.back.len();
        while self.written < total {
            let count = if body.is_empty() && self.back.is_empty() {
                ready!(Pin::new(&mut *sink).poll_write(cx, &self.front[self.written..]))?
            } else {
                let parts = rest([&self.front, body, &self.back], self.written);
                ready!(Pin::new(&mut *sink).poll_write_vectored(cx, &parts))?
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            self.moved += count as u64;
        }
        Poll::Ready(Ok(()))
    }
}

/// What is left of three parts after `skip` bytes of them.
fn rest(parts: [&[u8]; 3], mut skip: usize) -> [IoSlice<'_>; 3] {
    parts.map(|part| {
        let skipped = skip.min(part.len());
        skip -= skipped;
        IoSlice::new(&part[skipped..])
    })
}
