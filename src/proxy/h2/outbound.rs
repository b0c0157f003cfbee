//! A stream that we opened to an endpoint: a request's content to be sent, its answer to be read.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::Reason;
use h2::client::{ResponseFuture, SendRequest};
use http::uri::Scheme;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::buffer::Buffer;
use super::half::{Arriving, Leaving, io_error};
use super::pool::Place;
use super::text;

/// The proxy's end of a stream to an endpoint.
pub struct Outbound {
    sender: SendRequest<Bytes>,
    scheme: Scheme,
    /// There once the head was sent.
    request: Option<Leaving>,
    answer: Option<ResponseFuture>,
    /// There once the final head was received.
    body: Option<Arriving>,
    unprocessed: bool,
    place: Place,
}

impl Outbound {
    pub(super) fn new(sender: SendRequest<Bytes>, scheme: Scheme, place: Place) -> Self {
        Self { sender, scheme, request: None, answer: None, body: None, unprocessed: false, place }
    }

    /// Sends the head that `text` holds as HTTP/1 would write it; content follows unless `ends` says that
    /// there is none.
    pub fn send_head(&mut self, head: &[u8], ends: bool) -> io::Result<()> {
        let request = text::request(head, self.scheme.clone()).ok_or(io::ErrorKind::InvalidData)?;
        let sent = self.sender.send_request(request, ends);
        // What is refused here has not left.
        self.unprocessed = sent.is_err();
        let (answer, stream) = sent.map_err(io_error)?;
        self.answer = Some(answer);
        self.request = Some(Leaving::new(stream, ends));
        Ok(())
    }

    /// Waits for the next head, interim or final, and writes it into an empty `buffer` as HTTP/1 would.
    pub fn poll_head(&mut self, buffer: &mut Buffer, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(answer) = &mut self.answer else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        if let Poll::Ready(Some(Ok(interim))) = answer.poll_informational(cx) {
            let written = text::write_response(&interim.into_parts().0, true, buffer);
            return Poll::Ready(written.ok_or(io::ErrorKind::InvalidData.into()));
        }
        match ready!(Pin::new(answer).poll(cx)) {
            Ok(response) => {
                self.answer = None;
                let (head, body) = response.into_parts();
                let written = text::write_response(&head, body.is_end_stream(), buffer);
                self.body = Some(Arriving::new(body));
                Poll::Ready(written.ok_or(io::ErrorKind::InvalidData.into()))
            }
            Err(error) => {
                self.unprocessed = is_unprocessed(&error);
                if self.unprocessed {
                    self.place.rest();
                }
                Poll::Ready(Err(io_error(error)))
            }
        }
    }

    /// Whether the endpoint has said that it did nothing about the request, and never will.
    pub fn is_unprocessed(&self) -> bool {
        self.unprocessed
    }

    /// Trailer lines, and the empty one; once the content is over.
    pub fn trailers(&self) -> Option<Vec<u8>> {
        self.body.as_ref()?.trailers().map(text::write_trailers)
    }

    /// Whether what is written next ends the request.
    pub fn set_last(&mut self, last: bool) {
        if let Some(request) = &mut self.request {
            request.set_last(last);
        }
    }

    /// Ends the request.
    pub fn finish(&mut self) -> io::Result<()> {
        self.request.as_mut().map_or(Ok(()), |it| it.finish(b""))
    }

    /// Gives the request up.
    pub fn reset(&mut self) {
        if let Some(request) = &mut self.request {
            request.reset(Reason::CANCEL);
        }
    }

    /// Ready when a read would not wait; an end and an error count as readable.
    pub fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.body {
            Some(body) => body.poll_ready(cx).map_ok(drop),
            None => Poll::Pending,
        }
    }
}

/// RFC 9113 section 8.7: a refused stream, or one behind the last that a GOAWAY names. Those before it
/// fail with the connection, if they fail.
fn is_unprocessed(error: &h2::Error) -> bool {
    error.is_remote() && (error.reason() == Some(Reason::REFUSED_STREAM) || error.is_go_away())
}

impl AsyncRead for Outbound {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().body {
            Some(body) => body.poll_read(cx, into).map_ok(drop),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncWrite for Outbound {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().request {
            Some(request) => request.poll_write(cx, from),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.get_mut().finish())
    }
}
