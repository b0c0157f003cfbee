//! The two halves of a stream: content that arrives and content that leaves, as bytes without frames.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream};
use http::HeaderMap;
use tokio::io::ReadBuf;

use super::text;

/// Content that arrives. What was not taken out stays within the window that the other side was given.
pub(super) struct Arriving {
    stream: RecvStream,
    chunk: Bytes,
    trailers: Option<HeaderMap>,
    ended: bool,
}

impl Arriving {
    pub(super) fn new(stream: RecvStream) -> Self {
        let ended = stream.is_end_stream();
        Self { stream, chunk: Bytes::new(), trailers: None, ended }
    }

    /// What came behind the content, once that is over.
    pub(super) fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// Ready with true when there is content, and with false when it is over.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.chunk.is_empty() && !self.ended {
            match ready!(self.stream.poll_data(cx)) {
                Some(chunk) => self.chunk = chunk.map_err(io_error)?,
                None => {
                    self.trailers = ready!(self.stream.poll_trailers(cx)).map_err(io_error)?;
                    self.ended = true;
                }
            }
        }
        Poll::Ready(Ok(!self.chunk.is_empty()))
    }

    /// Takes content out; nothing when it is over.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        if !ready!(self.poll_ready(cx))? {
            return Poll::Ready(Ok(0));
        }
        let count = self.chunk.len().min(into.remaining());
        into.put_slice(&self.chunk[..count]);
        self.chunk.advance(count);
        if self.chunk.is_empty() {
            // A part of a frame's memory would keep all of it.
            self.chunk = Bytes::new();
        }
        self.stream.flow_control().release_capacity(count).map_err(io_error)?;
        Poll::Ready(Ok(count))
    }
}

/// Content that leaves, as far as the other side's windows and our bound on what is held allow.
pub(super) struct Leaving {
    stream: SendStream<Bytes>,
    last: bool,
    ended: bool,
}

impl Leaving {
    pub(super) fn new(stream: SendStream<Bytes>, ended: bool) -> Self {
        Self { stream, last: false, ended }
    }

    /// Whether what is written next ends the content, so that no empty frame has to say it.
    pub(super) fn set_last(&mut self, last: bool) {
        self.last = last;
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.stream.reserve_capacity(from.len());
        let mut room = self.stream.capacity();
        while room == 0 && !from.is_empty() {
            room = match ready!(self.stream.poll_capacity(cx)) {
                Some(room) => room.map_err(io_error)?,
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            };
        }
        let count = room.min(from.len());
        self.ended = self.last && count == from.len();
        self.stream.send_data(Bytes::copy_from_slice(&from[..count]), self.ended).map_err(io_error)?;
        Poll::Ready(Ok(count))
    }

    /// Ends the content, with these trailer lines if there are any.
    pub(super) fn finish(&mut self, trailers: &[u8]) -> io::Result<()> {
        if self.ended {
            return Ok(());
        }
        self.ended = true;
        if trailers.is_empty() {
            self.stream.send_data(Bytes::new(), true).map_err(io_error)
        } else {
            let trailers = text::trailers(trailers).ok_or(io::ErrorKind::InvalidData)?;
            self.stream.send_trailers(trailers).map_err(io_error)
        }
    }

    pub(super) fn reset(&mut self, reason: Reason) {
        self.stream.send_reset(reason);
    }

    /// Ready when the other side has given the stream up.
    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_reset(cx).map(drop)
    }
}

pub(super) fn io_error(error: h2::Error) -> io::Error {
    io::Error::other(error)
}
