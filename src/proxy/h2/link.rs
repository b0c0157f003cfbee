//! A session and its socket: reads in turns, so that a client that sends without pause leaves room for
//! others, and writes what has gathered in one go.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::super::buffer::{Buffer, Stock};
use super::super::stream::Stream;
use super::session::Session;

/// Bytes read before other tasks have their turn: four thousand of the smallest frames.
const TURN_BYTES: usize = 64 * 1024;

/// A session as those share it who serve its streams. Borrowed between two awaits only.
pub(super) type Shared = Rc<RefCell<Session>>;

/// A connection, for the task that drives it.
pub(super) struct Link {
    pub(super) session: Shared,
    stream: Stream,
    /// What was read and is no whole frame yet.
    buffer: Option<Buffer>,
    received: u64,
    /// Whether the socket may still hold some of what was written.
    holds: bool,
}

impl Link {
    /// Begins with what was read already.
    pub(super) fn new(session: Session, stream: Stream, early: Option<Buffer>) -> Self {
        Self { session: Rc::new(RefCell::new(session)), stream, buffer: early, received: 0, holds: false }
    }

    /// Bytes received so far.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Reads what there is, within a turn. Ready when the other side has closed.
    pub(super) fn poll_receive(
        &mut self,
        stock: &Stock,
        bits: &mut dyn FnMut() -> u64,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let mut turn = TURN_BYTES;
        let ended = loop {
            if let Some(buffer) = self.buffer.as_mut().filter(|it| !it.is_empty()) {
                let mut session = self.session.borrow_mut();
                let count = session.receive(buffer.filled(), bits);
                buffer.consume(count);
                if session.failed().is_some() {
                    break Poll::Pending;
                }
                if session.is_full() {
                    drop(session);
                    match self.poll_send(cx) {
                        Poll::Ready(Ok(())) => continue,
                        Poll::Ready(Err(_)) => break Poll::Ready(()),
                        Poll::Pending => break Poll::Pending,
                    }
                }
            }
            if turn == 0 {
                cx.waker().wake_by_ref();
                break Poll::Pending;
            }
            let buffer = self.buffer.get_or_insert_with(|| stock.buffer());
            match buffer.poll_fill(&mut self.stream, cx) {
                Poll::Pending => break Poll::Pending,
                Poll::Ready(Ok(0) | Err(_)) => break Poll::Ready(()),
                Poll::Ready(Ok(count)) => {
                    turn = turn.saturating_sub(count);
                    self.received += count as u64;
                }
            }
        };
        // Whoever waits holds no memory.
        if let Some(buffer) = self.buffer.take_if(|it| it.is_empty()) {
            stock.put_buffer(buffer);
        }
        ended
    }

    /// Writes what has gathered.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut session = self.session.borrow_mut();
        while !session.to_write().is_empty() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, session.to_write()))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            session.wrote(count);
            self.holds = true;
        }
        if self.holds {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.holds = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what has gathered, lets those go on who waited for room, and rests until something happens.
    pub(super) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = self.poll_send(cx)?;
        let mut session = self.session.borrow_mut();
        if session.let_write() && sent.is_ready() {
            // Those who were let may have nothing to say; then it is the others' turn.
            cx.waker().wake_by_ref();
        }
        session.rest(cx.waker());
        Poll::Pending
    }

    /// Says that no more will come, once what has gathered was written.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    /// Reads and throws away; how much that was.
    pub(super) fn poll_discard(&mut self, stock: &Stock, cx: &mut Context<'_>) -> Poll<usize> {
        let buffer = self.buffer.get_or_insert_with(|| stock.buffer());
        buffer.consume(buffer.filled().len());
        buffer.poll_fill(&mut self.stream, cx).map(|it| it.unwrap_or(0))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.session.borrow_mut().end();
    }
}
