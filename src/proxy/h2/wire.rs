//! The bytes beneath an HTTP/2 connection: frames of many streams leave in one write, and a client that
//! sends without pause leaves room for others.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::stream::Stream;

/// Frames gathered before they are written; also the bound on what a slow client makes us hold here.
const GATHERED_MAX: usize = 64 * 1024;

/// What is kept of that memory between two turns.
const GATHERED_KEPT: usize = 8 * 1024;

/// Bytes read before other tasks have their turn: four thousand of the smallest frames.
const TURN_BYTES: usize = 64 * 1024;

/// A connection as `h2` sees it. The task that drives `h2` holds a clone, to write what was gathered.
#[derive(Clone)]
pub(super) struct Wire(Rc<RefCell<Inner>>);

struct Inner {
    stream: Stream,
    /// What was read before the connection turned out to be HTTP/2.
    early: Vec<u8>,
    out: Vec<u8>,
    written: usize,
    gathers: bool,
    turn: usize,
    received: u64,
}

impl Wire {
    /// Reads `early` first, then from `stream`.
    pub(super) fn new(stream: Stream, early: &[u8]) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            stream,
            early: early.to_vec(),
            out: Vec::new(),
            written: 0,
            gathers: false,
            turn: TURN_BYTES,
            received: 0,
        })))
    }

    /// A turn of the driving task begins: frames are gathered until [`Wire::poll_send`].
    pub(super) fn begin_turn(&self) {
        let mut inner = self.0.borrow_mut();
        (inner.gathers, inner.turn) = (true, TURN_BYTES);
    }

    /// Writes what was gathered.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_send(cx)
    }

    /// Bytes received so far.
    pub(super) fn received(&self) -> u64 {
        self.0.borrow().received
    }
}

impl Inner {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.out.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while self.written < self.out.len() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.out[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.out.clear();
        self.out.shrink_to(GATHERED_KEPT);
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.borrow_mut();
        let inner = &mut *inner;
        if !inner.early.is_empty() {
            let count = into.remaining().min(inner.early.len());
            into.put_slice(&inner.early[..count]);
            inner.early.drain(..count);
            return Poll::Ready(Ok(()));
        }
        if inner.turn == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut inner.stream).poll_read(cx, into))?;
        let count = into.filled().len() - before;
        inner.turn = inner.turn.saturating_sub(count);
        inner.received += count as u64;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let mut inner = self.0.borrow_mut();
        if inner.out.len() + from.len() > GATHERED_MAX {
            ready!(inner.poll_send(cx))?;
        }
        if from.len() > GATHERED_MAX {
            return Pin::new(&mut inner.stream).poll_write(cx, from);
        }
        inner.out.extend_from_slice(from);
        Poll::Ready(Ok(from.len()))
    }

    /// False, although the socket could: small payloads are then copied behind their frame's head.
    fn is_write_vectored(&self) -> bool {
        false
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.borrow_mut();
        if inner.gathers { Poll::Ready(Ok(())) } else { inner.poll_send(cx) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.borrow_mut();
        ready!(inner.poll_send(cx))?;
        Pin::new(&mut inner.stream).poll_shutdown(cx)
    }
}
