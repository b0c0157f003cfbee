//! A stream that a client opened: its request's content to be read, our answer to be sent.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::StatusCode;
use http::header::SEC_WEBSOCKET_ACCEPT;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::account::Account;
use super::half::{Arriving, Leaving, io_error};
use super::text;

/// The proxy's end of a client's stream.
pub struct Inbound {
    body: Arriving,
    respond: SendResponse<Bytes>,
    /// There once the head was sent.
    answer: Option<Leaving>,
    account: Rc<Account>,
    is_call: bool,
    gone: bool,
}

impl Inbound {
    pub(super) fn new(
        body: RecvStream,
        respond: SendResponse<Bytes>,
        account: Rc<Account>,
        is_call: bool,
    ) -> Self {
        Self { body: Arriving::new(body), respond, answer: None, account, is_call, gone: false }
    }

    /// Whether the client is gRPC's, and hears of failures in its own way.
    pub fn is_call(&self) -> bool {
        self.is_call
    }

    /// Sends the heads that `text` holds as HTTP/1 would write them: interim ones, or the final one, after
    /// which content follows unless `ends` says that there is none.
    pub fn send_heads(&mut self, heads: &[u8], ends: bool) -> io::Result<()> {
        let mut rest = heads;
        while let Some(len) = text::head_len(rest) {
            let mut response = text::response(&rest[..len]).ok_or(io::ErrorKind::InvalidData)?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                // RFC 8441 section 5: what HTTP/1 calls an upgrade is a stream that was accepted.
                *response.status_mut() = StatusCode::OK;
                response.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
            }
            rest = &rest[len..];
            if response.status().is_informational() {
                self.respond.send_informational(response).map_err(io_error)?;
            } else {
                let stream = self.respond.send_response(response, ends).map_err(io_error)?;
                self.answer = Some(Leaving::new(stream, ends));
            }
        }
        Ok(())
    }

    /// Whether what is written next ends the answer.
    pub fn set_last(&mut self, last: bool) {
        if let Some(answer) = &mut self.answer {
            answer.set_last(last);
        }
    }

    /// Ends the answer, with these trailer lines if there are any.
    pub fn finish(&mut self, trailers: &[u8]) -> io::Result<()> {
        match &mut self.answer {
            Some(answer) => answer.finish(trailers),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// What was sent so far must not look complete.
    pub fn reset(&mut self) {
        self.respond.send_reset(Reason::INTERNAL_ERROR);
    }

    /// Ready when the client has given the request up, or is gone altogether.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let gone = match &mut self.answer {
            Some(answer) => answer.poll_reset(cx),
            None => self.respond.poll_reset(cx).map(drop),
        };
        if gone.is_ready() {
            self.note_gone();
        }
        gone
    }

    /// Ready when a read would not wait; an end and an error count as readable.
    pub fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.body.poll_ready(cx).map_ok(drop)
    }

    fn note_gone(&mut self) {
        if !std::mem::replace(&mut self.gone, true) {
            self.account.cancelled();
        }
    }
}

impl AsyncRead for Inbound {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let it = self.get_mut();
        let read = ready!(it.body.poll_read(cx, into));
        match &read {
            Ok(count) => it.account.passed(*count),
            Err(_) => it.note_gone(),
        }
        Poll::Ready(read.map(drop))
    }
}

impl AsyncWrite for Inbound {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let it = self.get_mut();
        let Some(answer) = &mut it.answer else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let written = ready!(answer.poll_write(cx, from));
        if let Ok(count) = &written {
            it.account.passed(*count);
        }
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.get_mut().finish(b""))
    }
}
