//! What bytes arrive on and leave by, whatever lies beneath: one type for clients and endpoints.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::buffer::Buffer;
use super::h2::{Inbound, Outbound};
use super::tls::TlsStream;

/// A connection, on either side.
pub enum Stream {
    /// Plain TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
    /// A stream of a client's HTTP/2 connection: content alone.
    Inbound(Box<Inbound>),
    /// TLS. On the heap: most connections of most workers are none.
    Tls(Box<TlsStream>),
    /// A stream of a connection to an endpoint: content alone.
    Outbound(Box<Outbound>),
}

impl Stream {
    /// How a URL that leads here begins.
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::Tcp(_) | Self::Unix(_) | Self::Inbound(_) | Self::Outbound(_) => "http",
            Self::Tls(_) => "https",
        }
    }

    /// What both sides agreed to speak, if they talked about it.
    pub fn protocol(&self) -> Option<&[u8]> {
        match self {
            Self::Tcp(_) | Self::Unix(_) | Self::Inbound(_) | Self::Outbound(_) => None,
            Self::Tls(it) => it.protocol(),
        }
    }

    /// Says that nothing more will come, where an end that is not said looks like a cut.
    pub fn part(&mut self) {
        if let Self::Tls(it) = self {
            // Whoever does not take it now is not waiting for it.
            let _ = Pin::new(&mut **it).poll_shutdown(&mut Context::from_waker(std::task::Waker::noop()));
        }
    }

    /// Small writes leave at once. A socket that refuses this has already been closed by the other side.
    pub fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Self::Tcp(it) => it.set_nodelay(true),
            Self::Unix(_) | Self::Inbound(_) | Self::Outbound(_) => Ok(()),
            Self::Tls(it) => it.tcp().set_nodelay(true),
        }
    }

    /// Has the end of the connection be a reset instead of an orderly close.
    pub fn set_zero_linger(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(it) => it.set_zero_linger(),
            // A Unix socket that is closed with unread bytes resets its peer; more cannot be had.
            Self::Unix(_) => Ok(()),
            Self::Tls(it) => it.tcp().set_zero_linger(),
            Self::Inbound(it) => {
                it.reset();
                Ok(())
            }
            Self::Outbound(it) => {
                it.reset();
                Ok(())
            }
        }
    }

    /// Whether it carries content without frames, and heads are given to it apart.
    pub fn is_end(&self) -> bool {
        matches!(self, Self::Inbound(_) | Self::Outbound(_))
    }

    /// Whether what is written next to an end is the last of its content.
    pub fn set_last(&mut self, last: bool) {
        match self {
            Self::Inbound(it) => it.set_last(last),
            Self::Outbound(it) => it.set_last(last),
            _ => {}
        }
    }

    /// The end of a stream to an endpoint.
    pub fn outbound(&mut self) -> Option<&mut Outbound> {
        match self {
            Self::Outbound(it) => Some(it),
            _ => None,
        }
    }

    /// Reads a head, or a part of one, into `buffer`.
    pub fn poll_head(&mut self, buffer: &mut Buffer, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self {
            Self::Outbound(it) => it.poll_head(buffer, cx).map_ok(|()| buffer.filled().len()),
            it => buffer.poll_fill(it, cx),
        }
    }

    /// The end of a client's stream.
    pub fn inbound(&mut self) -> Option<&mut Inbound> {
        match self {
            Self::Inbound(it) => Some(it),
            _ => None,
        }
    }

    /// Ready when the other side has given up what is under way, as only a stream can tell.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Inbound(it) => it.poll_gone(cx),
            _ => Poll::Pending,
        }
    }

    /// Ready when a read would not wait; an end and an error count as readable.
    pub fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(it) => it.poll_read_ready(cx),
            Self::Unix(it) => it.poll_read_ready(cx),
            Self::Inbound(it) => it.poll_read_ready(cx),
            Self::Tls(it) => it.poll_read_ready(cx),
            Self::Outbound(it) => it.poll_read_ready(cx),
        }
    }

    /// Open, with nothing to read. Costs no system call as long as the event loop has seen nothing.
    pub fn is_silent(&mut self) -> bool {
        let mut byte = [0; 1];
        let read = match self {
            Self::Tcp(it) => it.try_read(&mut byte),
            Self::Unix(it) => it.try_read(&mut byte),
            // Never kept for later.
            Self::Inbound(_) | Self::Outbound(_) => return false,
            Self::Tls(it) => return it.is_silent(),
        };
        matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(it) => Pin::new(it).poll_read(cx, into),
            Self::Unix(it) => Pin::new(it).poll_read(cx, into),
            Self::Inbound(it) => Pin::new(it).poll_read(cx, into),
            Self::Tls(it) => Pin::new(&mut **it).poll_read(cx, into),
            Self::Outbound(it) => Pin::new(it).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(it) => Pin::new(it).poll_write(cx, from),
            Self::Unix(it) => Pin::new(it).poll_write(cx, from),
            Self::Inbound(it) => Pin::new(it).poll_write(cx, from),
            Self::Tls(it) => Pin::new(&mut **it).poll_write(cx, from),
            Self::Outbound(it) => Pin::new(it).poll_write(cx, from),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(it) => Pin::new(it).poll_write_vectored(cx, from),
            Self::Unix(it) => Pin::new(it).poll_write_vectored(cx, from),
            Self::Inbound(it) => Pin::new(it).poll_write(cx, only(from)),
            Self::Tls(it) => Pin::new(&mut **it).poll_write_vectored(cx, from),
            Self::Outbound(it) => Pin::new(it).poll_write(cx, only(from)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(it) => Pin::new(it).poll_flush(cx),
            Self::Unix(it) => Pin::new(it).poll_flush(cx),
            Self::Inbound(it) => Pin::new(it).poll_flush(cx),
            Self::Tls(it) => Pin::new(&mut **it).poll_flush(cx),
            Self::Outbound(it) => Pin::new(it).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(it) => Pin::new(it).poll_shutdown(cx),
            Self::Unix(it) => Pin::new(it).poll_shutdown(cx),
            Self::Inbound(it) => Pin::new(it).poll_shutdown(cx),
            Self::Tls(it) => Pin::new(&mut **it).poll_shutdown(cx),
            Self::Outbound(it) => Pin::new(it).poll_shutdown(cx),
        }
    }
}

/// The one part that is not empty: where no frames are written, there are no others.
fn only<'a>(parts: &'a [IoSlice<'_>]) -> &'a [u8] {
    debug_assert!(
        parts.iter().filter(|it| !it.is_empty()).count() <= 1,
        "content alone is written to an end"
    );
    parts.iter().find(|it| !it.is_empty()).map_or(&[], |it| it)
}
