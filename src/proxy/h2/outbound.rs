//! A stream that we opened to an endpoint: a request's content to be sent, its answer to be read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::buffer::Buffer;
use super::frame::Code;
use super::inbound::{io_error, read};
use super::link::Shared;
use super::pool::Place;
use super::session::Cut;
use super::{Tunnel, text};

/// The proxy's end of a stream to an endpoint.
pub struct Outbound {
    session: Shared,
    at: usize,
    scheme: &'static str,
    /// Whether the head was sent.
    begun: bool,
    /// Whether what is written next is the last.
    last: bool,
    ended: bool,
    unprocessed: bool,
    /// The tunnel that it is to be.
    tunnel: Option<Tunnel>,
    /// Whether it is not known yet whether it is one.
    undecided: bool,
    place: Place,
}

impl Outbound {
    pub(super) fn new(session: Shared, scheme: &'static str, place: Place) -> Self {
        let at = session.borrow_mut().begin();
        Self {
            session,
            at,
            scheme,
            begun: false,
            last: false,
            ended: false,
            unprocessed: false,
            tunnel: None,
            undecided: false,
            place,
        }
    }

    /// Waits until the endpoint has said whether it takes requests for a tunnel.
    pub fn poll_tunnels(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.session.borrow_mut().poll_tunnels(cx).map_err(io_error)
    }

    /// The head that is sent will ask for this.
    pub fn set_tunnel(&mut self, tunnel: Tunnel) {
        self.tunnel = Some(tunnel);
    }

    /// Sends the head that `head` holds as HTTP/1 would write it; content follows unless `ends` says that
    /// there is none.
    pub fn send_head(&mut self, head: &[u8], ends: bool) -> io::Result<()> {
        let tunnel = self.tunnel.take().map(Tunnel::into_lines);
        self.undecided = tunnel.is_some();
        let ends = ends && tunnel.is_none();
        let sent = self.session.borrow_mut().ask(self.at, head, self.scheme, ends, tunnel);
        (self.begun, self.ended) = (sent.is_ok(), ends);
        // What is refused here has not left.
        self.unprocessed = sent.is_err();
        sent.map_err(io_error)
    }

    /// Waits for heads, interim or final, and writes them into an empty `buffer` as HTTP/1 would.
    pub fn poll_head(&mut self, buffer: &mut Buffer, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.begun {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        let heads = ready!(self.session.borrow_mut().poll_heads(self.at, cx));
        if let (true, Ok(heads)) = (self.undecided, &heads) {
            self.decide(heads);
        }
        Poll::Ready(match heads {
            Ok(heads) if buffer.push(&heads) => Ok(()),
            Ok(_) => Err(io::ErrorKind::InvalidData.into()),
            Err(why) => {
                self.unprocessed = is_unprocessed(why);
                if self.unprocessed {
                    self.place.rest();
                }
                Err(io::ErrorKind::ConnectionReset.into())
            }
        })
    }

    /// Whether the endpoint has said that it did nothing about the request, and never will.
    pub fn is_unprocessed(&self) -> bool {
        self.unprocessed
    }

    /// Trailer lines, and the empty one; once the content is over.
    pub fn trailers(&self) -> Option<Vec<u8>> {
        self.session.borrow_mut().trailers(self.at)
    }

    /// Whether what is written next ends the request.
    pub fn set_last(&mut self, last: bool) {
        self.last = last;
    }

    /// Whoever is not let through sends no more.
    fn decide(&mut self, heads: &[u8]) {
        let mut rest = heads;
        while let Some(len) = text::head_len(rest) {
            let status = text::status(rest);
            rest = &rest[len..];
            if status.is_some_and(|it| it == 101 || it >= 200) {
                self.undecided = false;
            }
            if status.is_some_and(|it| it >= 200) {
                // If that fails, its answer is here all the same.
                let _ = self.finish();
            }
        }
    }

    /// Ends the request. One that asks for a tunnel goes on until that is decided.
    pub fn finish(&mut self) -> io::Result<()> {
        if self.undecided || !self.begun || std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        self.session.borrow_mut().finish(self.at, b"").map_err(io_error)
    }

    /// Gives the request up.
    pub fn reset(&mut self) {
        self.session.borrow_mut().reset(self.at, Code::CANCEL);
    }

    /// Ready when a read would not wait; an end and an error count as readable.
    pub fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.session.borrow_mut().poll_content(self.at, cx).map_ok(drop).map_err(io_error)
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.session.borrow_mut().let_go(self.at);
    }
}

/// RFC 9113 section 8.7: a refused stream, or one behind the last that a GOAWAY names. Those before it
/// fail with the connection, if they fail.
fn is_unprocessed(why: Cut) -> bool {
    matches!(why, Cut::Untouched | Cut::Theirs(Code::REFUSED_STREAM))
}

impl AsyncRead for Outbound {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let it = self.get_mut();
        if !it.begun {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        read(&it.session, it.at, cx, into).map_ok(drop)
    }
}

impl AsyncWrite for Outbound {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let it = self.get_mut();
        if !it.begun {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        let written = it.session.borrow_mut().poll_write(it.at, from, it.last, cx);
        let count = ready!(written).map_err(io_error)?;
        it.ended |= it.last && count == from.len();
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.get_mut().finish())
    }
}
