//! A stream that a client opened: its request's content to be read, our answer to be sent.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::account::Account;
use super::frame::Code;
use super::link::Shared;
use super::session::Lost;
use super::text;

/// The proxy's end of a client's stream.
pub struct Inbound {
    session: Shared,
    place: usize,
    account: Rc<Account>,
    is_call: bool,
    /// Whether the head was sent.
    begun: bool,
    /// Whether what is written next is the last.
    last: bool,
    ended: bool,
}

impl Inbound {
    pub(super) fn new(session: Shared, place: usize, account: Rc<Account>, is_call: bool) -> Self {
        Self { session, place, account, is_call, begun: false, last: false, ended: false }
    }

    /// Whether the client is gRPC's, and hears of failures in its own way.
    pub fn is_call(&self) -> bool {
        self.is_call
    }

    /// Sends the heads that `text` holds as HTTP/1 would write them: interim ones, or the final one, after
    /// which content follows unless `ends` says that there is none.
    pub fn send_heads(&mut self, heads: &[u8], ends: bool) -> io::Result<()> {
        let mut session = self.session.borrow_mut();
        let mut rest = heads;
        while let Some(len) = text::head_len(rest) {
            let head = &rest[..len];
            let status = text::status(head).ok_or(io::ErrorKind::InvalidData)?;
            rest = &rest[len..];
            let (accepts, interim) = (status == 101, (100..200).contains(&status) && status != 101);
            session.answer(self.place, head, accepts, ends && !interim).map_err(io_error)?;
            if !interim {
                (self.begun, self.ended) = (true, ends);
            }
        }
        Ok(())
    }

    /// Whether what is written next ends the answer, so that no empty frame has to say it.
    pub fn set_last(&mut self, last: bool) {
        self.last = last;
    }

    /// Ends the answer, with these trailer lines if there are any.
    pub fn finish(&mut self, trailers: &[u8]) -> io::Result<()> {
        if !self.begun {
            return Err(io::ErrorKind::NotConnected.into());
        }
        match std::mem::replace(&mut self.ended, true) {
            true => Ok(()),
            false => self.session.borrow_mut().finish(self.place, trailers).map_err(io_error),
        }
    }

    /// What was sent so far must not look complete.
    pub fn reset(&mut self) {
        self.session.borrow_mut().reset(self.place, Code::INTERNAL_ERROR);
    }

    /// Ready when the client has given the request up, or is gone altogether.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.session.borrow_mut().poll_cut(self.place, cx)
    }

    /// Ready when a read would not wait; an end and an error count as readable.
    pub fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.session.borrow_mut().poll_content(self.place, cx).map_ok(drop).map_err(io_error)
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        self.session.borrow_mut().let_go(self.place);
    }
}

impl AsyncRead for Inbound {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let it = self.get_mut();
        let read = ready!(read(&it.session, it.place, cx, into));
        if let Ok(count) = &read {
            it.account.passed(*count);
        }
        Poll::Ready(read.map(drop))
    }
}

impl AsyncWrite for Inbound {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let it = self.get_mut();
        if !it.begun {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        let written = it.session.borrow_mut().poll_write(it.place, from, it.last, cx);
        let count = ready!(written).map_err(io_error)?;
        it.ended |= it.last && count == from.len();
        it.account.passed(count);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.get_mut().finish(b""))
    }
}

/// Takes content out of a stream; nothing when it is over.
pub(super) fn read(
    session: &Shared,
    place: usize,
    cx: &mut Context<'_>,
    into: &mut ReadBuf<'_>,
) -> Poll<io::Result<usize>> {
    let mut session = session.borrow_mut();
    if !ready!(session.poll_content(place, cx)).map_err(io_error)? {
        return Poll::Ready(Ok(0));
    }
    let content = session.content(place);
    let count = content.len().min(into.remaining());
    into.put_slice(&content[..count]);
    session.took(place, count);
    Poll::Ready(Ok(count))
}

pub(super) fn io_error(_: Lost) -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}
