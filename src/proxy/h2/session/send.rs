//! What leaves, and what is done with a stream by whoever serves it.

use std::task::{Context, Poll};

use super::super::frame::{self, Code, FLAGS_AT, HEAD_BYTES, Head, PAYLOAD_MAX, WINDOW_MAX, flag, kind};
use super::super::hpack::Encoder;
use super::super::text;
use super::streams::{Cut, Stream};
use super::{Lost, OUT_MAX, Session};

impl Session {
    /// A stream to an endpoint, to be opened by its head.
    pub fn begin(&mut self) -> usize {
        self.streams.add(Stream {
            held: true,
            window: i64::from(self.rules.stream_window),
            window_in: i64::from(self.rules.stream_window),
            quota: OUT_MAX,
            ..Stream::default()
        })
    }

    /// Whether an endpoint takes further streams, and how many at once.
    pub fn streams_max(&self) -> usize {
        // Half of the numbers are ours.
        let spent = i64::from(self.next) > WINDOW_MAX;
        if self.ended || self.left || spent { 0 } else { self.their_streams }
    }

    /// Whether no further stream can ever be opened.
    pub fn is_closed(&self) -> bool {
        self.ended || self.left || i64::from(self.next) > WINDOW_MAX
    }

    /// Opens a stream with the head that HTTP/1 would write as `head`; content follows unless it `ends`.
    /// Nothing has left if that fails. A head that asks for a `tunnel` comes with the lines of the answer that
    /// accepts it.
    pub fn ask(
        &mut self,
        place: usize,
        head: &[u8],
        scheme: &str,
        ends: bool,
        tunnel: Option<Box<[u8]>>,
    ) -> Result<(), Lost> {
        if self.is_closed() {
            return Err(Lost);
        }
        let number = self.next;
        let compress = |it: &mut Encoder, out: &mut Vec<u8>| {
            text::compress_request(head, scheme, tunnel.is_some(), it, out)
        };
        self.say_block(number, ends, compress)?;
        self.next += 2;
        let window_out = self.their_window;
        let stream = self.streams.at(place);
        (stream.number, stream.said, stream.window_out) = (number, ends, window_out);
        stream.bodiless = head.starts_with(b"HEAD ");
        stream.tunnel = tunnel;
        self.streams.open(place);
        Ok(())
    }

    /// Sends the head that HTTP/1 would write as `head`; content follows unless it `ends`.
    pub fn answer(&mut self, place: usize, head: &[u8], accepts: bool, ends: bool) -> Result<(), Lost> {
        let compress =
            |encoder: &mut Encoder, out: &mut Vec<u8>| text::compress_response(head, accepts, encoder, out);
        self.say_fields(place, ends, compress)
    }

    /// Ends a stream with these trailer lines, or with nothing.
    pub fn finish(&mut self, place: usize, trailers: &[u8]) -> Result<(), Lost> {
        if !trailers.is_empty() {
            let compress = |encoder: &mut Encoder, out: &mut Vec<u8>| {
                text::compress_trailers(trailers, encoder, out);
                Some(())
            };
            return self.say_fields(place, true, compress);
        }
        let number = self.open_number(place)?;
        Head { len: 0, kind: kind::DATA, flags: flag::END_STREAM, stream: number }.write(&mut self.out);
        self.unread[0] = true;
        self.said(place);
        self.call();
        Ok(())
    }

    fn say_fields(
        &mut self,
        place: usize,
        ends: bool,
        compress: impl FnOnce(&mut Encoder, &mut Vec<u8>) -> Option<()>,
    ) -> Result<(), Lost> {
        let number = self.open_number(place)?;
        self.say_block(number, ends, compress)?;
        if ends {
            self.said(place);
        }
        Ok(())
    }

    fn open_number(&self, place: usize) -> Result<u32, Lost> {
        let stream = self.streams.look(place);
        if stream.cut.is_some() || stream.said || stream.number == 0 { Err(Lost) } else { Ok(stream.number) }
    }

    fn said(&mut self, place: usize) {
        self.streams.at(place).said = true;
        self.close_if_over(place);
    }

    /// Writes a block, in as many frames as it takes.
    fn say_block(
        &mut self,
        number: u32,
        ends: bool,
        compress: impl FnOnce(&mut Encoder, &mut Vec<u8>) -> Option<()>,
    ) -> Result<(), Lost> {
        let start = self.out.len();
        let flags = if ends { flag::END_STREAM } else { 0 };
        let mut head = Head { len: 0, kind: kind::HEADERS, flags, stream: number };
        head.write(&mut self.out);
        if compress(&mut self.encoder, &mut self.out).is_none() {
            self.out.truncate(start);
            return Err(Lost);
        }
        head.len = self.out.len() - start - HEAD_BYTES;
        if head.len > PAYLOAD_MAX {
            let block = self.out.split_off(start + HEAD_BYTES);
            self.out.truncate(start);
            let mut parts = block.chunks(PAYLOAD_MAX).peekable();
            while let Some(part) = parts.next() {
                let last = if parts.peek().is_none() { flag::END_HEADERS } else { 0 };
                frame::write(head.kind, head.flags | last, number, part, &mut self.out);
                (head.kind, head.flags) = (kind::CONTINUATION, 0);
            }
        } else {
            self.out[start..start + 3].copy_from_slice(&(head.len as u32).to_be_bytes()[1..]);
            self.out[start + FLAGS_AT] |= flag::END_HEADERS;
        }
        self.unread[0] = true;
        self.call();
        Ok(())
    }

    /// Sends content, as much as the windows and the room on the connection allow; whether it is the `last`.
    pub fn poll_write(
        &mut self,
        place: usize,
        content: &[u8],
        last: bool,
        cx: &Context<'_>,
    ) -> Poll<Result<usize, Lost>> {
        let number = self.open_number(place)?;
        if content.is_empty() {
            return Poll::Ready(if last { self.finish(place, b"").map(|()| 0) } else { Ok(0) });
        }
        let room = OUT_MAX.saturating_sub(self.to_write().len());
        let stream = self.streams.at(place);
        if stream.window_out <= 0 {
            keep(&mut stream.writer, cx);
            return Poll::Pending;
        }
        if room == 0 || self.window_out <= 0 || stream.quota == 0 {
            keep(&mut stream.writer, cx);
            if !std::mem::replace(&mut stream.queued, true) {
                self.waiting.push_back((place, number));
            }
            self.call();
            return Poll::Pending;
        }
        let window = usize::try_from(stream.window_out.min(self.window_out)).unwrap_or(usize::MAX);
        let count = content.len().min(window).min(room).min(stream.quota);
        let ends = last && count == content.len();
        stream.quota -= count;
        stream.window_out -= count as i64;
        self.window_out -= count as i64;
        self.unread[0] = true;
        let mut parts = content[..count].chunks(PAYLOAD_MAX).peekable();
        while let Some(part) = parts.next() {
            let flags = if ends && parts.peek().is_none() { flag::END_STREAM } else { 0 };
            frame::write(kind::DATA, flags, number, part, &mut self.out);
            self.pieces += 1;
        }
        if ends {
            self.said(place);
        }
        self.call();
        Poll::Ready(Ok(count))
    }

    /// Frames with content that were sent so far.
    pub fn pieces(&self) -> u64 {
        self.pieces
    }

    /// Lets those go on who wait for room, in turn and as many as there is room for. Whether others are
    /// left who could go on after them.
    pub fn let_write(&mut self) -> bool {
        let room = OUT_MAX.saturating_sub(self.to_write().len());
        if self.waiting.is_empty() || room == 0 || self.window_out <= 0 {
            return false;
        }
        let many = self.waiting.len().min((room / PAYLOAD_MAX).max(1));
        for (place, number) in self.waiting.drain(..many) {
            let stream = self.streams.at(place);
            if stream.number == number {
                (stream.queued, stream.quota) = (false, room / many);
                stream.wake_writer();
            }
        }
        !self.waiting.is_empty()
    }

    /// Ready with true when there is content to be taken, with false when there will be no more.
    pub fn poll_content(&mut self, place: usize, cx: &Context<'_>) -> Poll<Result<bool, Lost>> {
        let stream = self.streams.at(place);
        if !stream.unread().is_empty() {
            return Poll::Ready(Ok(true));
        }
        match (stream.heard, stream.cut) {
            (true, _) => Poll::Ready(Ok(false)),
            (false, Some(_)) => Poll::Ready(Err(Lost)),
            (false, None) => {
                keep(&mut stream.reader, cx);
                Poll::Pending
            }
        }
    }

    /// Content that has arrived.
    pub fn content(&self, place: usize) -> &[u8] {
        self.streams.look(place).unread()
    }

    /// So much of it was taken.
    pub fn took(&mut self, place: usize, count: usize) {
        let stream = self.streams.at(place);
        stream.read += count;
        stream.taken += count as i64;
        if stream.unread().is_empty() {
            stream.read = 0;
            if stream.content.capacity() > CONTENT_KEPT {
                stream.content = Vec::new();
            } else {
                stream.content.clear();
            }
        }
        self.passed_on(count);
        self.give_back_to(place);
    }

    /// Lets the other side send more on a stream when much was taken, and twice as much as so far if all was:
    /// then it is the way that is long.
    pub(super) fn give_back_to(&mut self, place: usize) {
        let most = i64::from(self.rules.window_max);
        let stream = self.streams.at(place);
        if stream.taken * 2 >= stream.window && !stream.heard && stream.cut.is_none() {
            let keeps_up = stream.unread().is_empty();
            let wider = if keeps_up { stream.window.min(most - stream.window).max(0) } else { 0 };
            let (number, more) = (stream.number, std::mem::take(&mut stream.taken) + wider);
            stream.window += wider;
            stream.window_in += more;
            frame::write_number(kind::WINDOW_UPDATE, number, more as u32, &mut self.out);
            self.call();
        }
    }

    /// Waits for heads of an answer, as text.
    pub fn poll_heads(&mut self, place: usize, cx: &Context<'_>) -> Poll<Result<Vec<u8>, Cut>> {
        let stream = self.streams.at(place);
        if !stream.heads.is_empty() {
            return Poll::Ready(Ok(std::mem::take(&mut stream.heads)));
        }
        match stream.cut {
            Some(why) => Poll::Ready(Err(why)),
            None => {
                keep(&mut stream.reader, cx);
                Poll::Pending
            }
        }
    }

    /// Trailer lines and the empty one, once the content is over.
    pub fn trailers(&mut self, place: usize) -> Option<Vec<u8>> {
        self.streams.at(place).trailers.take()
    }

    /// Ready when a stream has ended before its time.
    pub fn poll_cut(&mut self, place: usize, cx: &Context<'_>) -> Poll<()> {
        let stream = self.streams.at(place);
        match stream.cut {
            Some(_) => Poll::Ready(()),
            None => {
                keep(&mut stream.reader, cx);
                Poll::Pending
            }
        }
    }

    /// Resets a stream that is not over.
    pub fn reset(&mut self, place: usize, code: Code) {
        let stream = self.streams.look(place);
        if stream.number != 0 && !stream.is_over() {
            self.say_reset(stream.number, code);
            self.cut(place, Cut::Ours);
        }
    }

    /// Nobody serves a stream any more. What the other side has not finished need not be.
    pub fn let_go(&mut self, place: usize) {
        let answered = !self.rules.asks && self.streams.look(place).said;
        self.reset(place, if answered { Code::NO_ERROR } else { Code::CANCEL });
        self.forget_content(place);
        self.streams.let_go(place);
    }
}

/// What is kept of the room for content.
const CONTENT_KEPT: usize = 4096;

fn keep(waker: &mut Option<std::task::Waker>, cx: &Context<'_>) {
    match waker {
        Some(it) if it.will_wake(cx.waker()) => {}
        it => *it = Some(cx.waker().clone()),
    }
}
