//! What bytes arrive on and leave by, whatever lies beneath: one type for clients and endpoints.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connection, on either side.
pub enum Stream {
    /// Plain TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
}

impl Stream {
    /// Small writes leave at once. A socket that refuses this has already been closed by the other side.
    pub fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Self::Tcp(it) => it.set_nodelay(true),
            Self::Unix(_) => Ok(()),
        }
    }

    /// Has the end of the connection be a reset instead of an orderly close.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        match self {
            Self::Tcp(it) => it.set_zero_linger(),
            // A Unix socket that is closed with unread bytes resets its peer; more cannot be had.
            Self::Unix(_) => Ok(()),
        }
    }

    /// Ready when a read would not wait; an end and an error count as readable.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(it) => it.poll_read_ready(cx),
            Self::Unix(it) => it.poll_read_ready(cx),
        }
    }

    /// Open, with nothing to read. Costs no system call as long as the event loop has seen nothing.
    pub fn is_silent(&self) -> bool {
        let mut byte = [0; 1];
        let read = match self {
            Self::Tcp(it) => it.try_read(&mut byte),
            Self::Unix(it) => it.try_read(&mut byte),
        };
        matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(it) => Pin::new(it).poll_read(cx, into),
            Self::Unix(it) => Pin::new(it).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(it) => Pin::new(it).poll_write(cx, from),
            Self::Unix(it) => Pin::new(it).poll_write(cx, from),
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
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(it) => Pin::new(it).poll_flush(cx),
            Self::Unix(it) => Pin::new(it).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(it) => Pin::new(it).poll_shutdown(cx),
            Self::Unix(it) => Pin::new(it).poll_shutdown(cx),
        }
    }
}
