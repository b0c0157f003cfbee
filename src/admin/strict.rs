//! The codec of the traffic, in front of the one that answers operators.
//!
//! What two readers could read in two ways is refused at the listeners, and here by the very same rules: bytes
//! go on to the server only after the codec has agreed with them. What it refuses ends the connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use http::StatusCode;
use http::header::{ALLOW, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::h1::{BodyReader, HeadScanner, RequestLimits, parse_request};
use crate::message::{Framing, Refusal, RequestHead, Target, TargetRules};

use super::reply::Problem;

/// A connection whose requests are read strictly.
#[derive(Debug)]
pub(super) struct Strict<S> {
    stream: S,
    limits: RequestLimits,
    /// What came and was not judged yet.
    raw: Vec<u8>,
    /// What was judged sound and not taken yet.
    sound: Vec<u8>,
    place: Place,
    /// Whether a request is being answered. What comes after it waits: an end would take its answer away.
    answering: Arc<AtomicBool>,
    head: RequestHead,
    target: Target,
}

#[derive(Debug)]
enum Place {
    Head(HeadScanner),
    Body(BodyReader),
    /// Nothing more is read; with the answer to it, if no other answer is under way.
    Refused(Option<Refusal>),
}

impl<S> Strict<S> {
    pub(super) fn new(stream: S, limits: RequestLimits, answering: Arc<AtomicBool>) -> Self {
        Self {
            stream,
            limits,
            raw: Vec::new(),
            sound: Vec::new(),
            place: Place::Head(HeadScanner::new()),
            answering,
            head: RequestHead::default(),
            target: Target::default(),
        }
    }

    /// Whether a head has begun and has not ended.
    pub(super) fn is_in_head(&self) -> bool {
        matches!(self.place, Place::Head(_)) && !self.raw.is_empty()
    }

    /// Why the request that was to come next is not answered.
    pub(super) fn refusal(&self) -> Option<Problem> {
        let Place::Refused(Some(refusal)) = self.place else { return None };
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let problem = Problem::new(status, "malformed", refusal.to_string());
        // Which path it was for is not looked at; these are all that there are.
        let allow = HeaderValue::from_static("GET, HEAD, POST");
        Some(if status == StatusCode::METHOD_NOT_ALLOWED { problem.header(ALLOW, allow) } else { problem })
    }

    pub(super) fn into_stream(self) -> S {
        self.stream
    }

    /// Takes over what is sound of what came.
    fn judge(&mut self) {
        loop {
            let taken = match &mut self.place {
                Place::Refused(_) => return,
                Place::Head(scanner) => {
                    let head = scanner.scan(&self.raw, &self.limits).and_then(|found| {
                        let Some(len) = found else { return Ok(None) };
                        parse_request(&self.raw[..len], &self.limits, &mut self.head)?;
                        self.target.resolve(&self.head, &self.raw, &TargetRules::default())?;
                        Ok(Some(len))
                    });
                    match head {
                        Ok(None) => return,
                        Ok(Some(len)) => {
                            self.place = Place::Body(BodyReader::new(self.head.framing, Framing::None));
                            len
                        }
                        Err(refusal) => {
                            self.place = Place::Refused(Some(refusal));
                            return;
                        }
                    }
                }
                Place::Body(reader) if reader.is_done() => {
                    self.place = Place::Head(HeadScanner::new());
                    continue;
                }
                Place::Body(_) if self.raw.is_empty() => return,
                Place::Body(reader) => match reader.next(&self.raw) {
                    Ok(piece) => piece.consumed,
                    // The request is there already, and is answered for.
                    Err(_) => {
                        self.place = Place::Refused(None);
                        return;
                    }
                },
            };
            self.sound.extend(self.raw.drain(..taken));
        }
    }

    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let count = self.sound.len().min(buf.remaining());
        buf.put_slice(&self.sound[..count]);
        self.sound.drain(..count);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Strict<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.sound.is_empty() {
                self.give(buf);
                return Poll::Ready(Ok(()));
            }
            match self.place {
                // Whoever answers looks again when it is done.
                Place::Refused(Some(_)) if self.answering.load(Ordering::Relaxed) => return Poll::Pending,
                // To the server this is a peer that has finished.
                Place::Refused(_) => return Poll::Ready(Ok(())),
                Place::Head(_) | Place::Body(_) => {}
            }
            let mut chunk = [0; READ_BYTES];
            let mut came = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut came))?;
            if came.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.raw.extend_from_slice(came.filled());
            self.judge();
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Strict<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Bytes that are read at once.
const READ_BYTES: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// What goes on, and how it ends.
    async fn read(bytes: &[u8], step: usize) -> (String, Option<u16>) {
        let (mut far, near) = duplex(64);
        let mut strict = Strict::new(near, RequestLimits::default(), Arc::default());
        let sent = async {
            for chunk in bytes.chunks(step) {
                if far.write_all(chunk).await.is_err() {
                    break;
                }
            }
            drop(far);
        };
        let mut sound = Vec::new();
        let taken = async {
            strict.read_to_end(&mut sound).await.unwrap();
            let refused = strict.refusal().map(|it| it.status.as_u16());
            drop(strict);
            refused
        };
        let ((), refused) = tokio::join!(sent, taken);
        (String::from_utf8(sound).unwrap(), refused)
    }

    #[tokio::test]
    async fn only_what_is_sound_goes_on() {
        let (get, post) = (
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        );
        let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (text, goes_on, refused) in [
            (format!("{get}{post}{get}"), format!("{get}{post}{get}"), None),
            (format!("{get}nonsense\r\n\r\n"), get.to_owned(), Some(400)),
            (format!("{get}GET / HTTP/1.1\nHost: a\n\n"), get.to_owned(), Some(400)),
            (
                format!("{chunked}3\r\nabc\r\n0\r\n\r\n{get}"),
                format!("{chunked}3\r\nabc\r\n0\r\n\r\n{get}"),
                None,
            ),
            (format!("{chunked}3\r\nabcd\r\n0\r\n\r\n"), format!("{chunked}3\r\nabc"), None),
            ("GET / HTTP/3.0\r\nHost: a\r\n\r\n".to_owned(), String::new(), Some(505)),
        ] {
            for step in [1, 7, usize::MAX] {
                let (sound, said) = read(text.as_bytes(), step).await;
                assert!(
                    goes_on.starts_with(&sound) && sound.len() + 6 >= goes_on.len(),
                    "{text:?}: {sound:?}"
                );
                assert_eq!(said, refused, "{text:?} in steps of {step}");
            }
        }
    }
}
