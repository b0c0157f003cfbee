//! A TLS connection: a session and its socket.
//!
//! Records are read into, opened in, and sealed in the room of the thread. The stream itself keeps only
//! what is under way: the beginning of a record, content that its reader had no place for, records that the
//! socket has not taken. So a connection that waits costs little more than its keys.
//!
//! A write is done when the socket has taken it, so nobody needs to flush. Until then it is pending, and
//! whoever tries again brings the same bytes.

use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::{HandshakeKind, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::room::{INPUT_BYTES, Room, with_room};
use super::session::{Opened, Session};

/// A connection whose handshake is done, or under way.
pub struct TlsStream {
    tcp: TcpStream,
    session: Session,
    /// The beginning of a record.
    incoming: Vec<u8>,
    /// Content that has arrived and that nobody has taken.
    content: Pending,
    /// Records that the socket has not taken.
    outgoing: Pending,
    /// Bytes of the caller's that are among them.
    accepted: usize,
    /// The other side has said that nothing more will come.
    ended: bool,
    /// We have.
    closed: bool,
    /// Nothing that comes or goes makes sense any more.
    failed: bool,
}

/// Bytes that wait, and how many of them are gone already.
#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    at: usize,
}

impl Pending {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Forgets the first `count`; the memory goes with the last one.
    fn consume(&mut self, count: usize) {
        self.at += count;
        if self.at >= self.bytes.len() {
            *self = Self::default();
        }
    }
}

/// Why nothing more comes.
#[derive(Debug)]
pub enum Broken {
    /// The socket.
    Io(io::Error),
    /// The records.
    Tls(rustls::Error),
}

impl From<Broken> for io::Error {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Io(error) => error,
            Broken::Tls(error) => Self::new(io::ErrorKind::InvalidData, error),
        }
    }
}

impl TlsStream {
    /// Says what comes first, which only a client does.
    pub(super) fn new(tcp: TcpStream, session: Session) -> Result<Self, rustls::Error> {
        let mut it = Self {
            tcp,
            session,
            incoming: Vec::new(),
            content: Pending::default(),
            outgoing: Pending::default(),
            accepted: 0,
            ended: false,
            closed: false,
            failed: false,
        };
        with_room(|room| it.open(room, 0, &mut ReadBuf::new(&mut [])))?;
        Ok(it)
    }

    /// The socket below.
    pub fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// The same, for what is not TLS.
    pub(super) fn tcp_mut(&mut self) -> &mut TcpStream {
        &mut self.tcp
    }

    /// What both sides agreed to speak (ALPN), if they talked about it: `http/1.1`, `h2`.
    pub fn protocol(&self) -> Option<&[u8]> {
        self.session.state().alpn_protocol()
    }

    /// The version of TLS, and whether a session was resumed.
    pub fn version(&self) -> (Option<ProtocolVersion>, bool) {
        let state = self.session.state();
        (state.protocol_version(), state.handshake_kind() == Some(HandshakeKind::Resumed))
    }

    /// Ready when a read would not wait.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.content.is_empty() && !self.ended {
            self.tcp.poll_read_ready(cx)
        } else {
            Poll::Ready(Ok(()))
        }
    }

    /// Open, with nothing to read. What only concerns the session, such as a ticket, is taken in.
    pub fn is_silent(&mut self) -> bool {
        // This is a look, not a wait.
        let mut cx = Context::from_waker(std::task::Waker::noop());
        while self.content.is_empty() && !self.ended && !self.failed {
            match self.poll_receive(&mut cx, &mut ReadBuf::new(&mut [])) {
                Poll::Pending => return true,
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false) | Err(_)) => return false,
            }
        }
        false
    }

    /// Whether a client's hello was answered, other than by asking for another one.
    pub(super) fn is_answered(&self) -> bool {
        let state = self.session.state();
        match state.handshake_kind() {
            None => false,
            Some(HandshakeKind::FullWithHelloRetryRequest) => state.negotiated_key_exchange_group().is_some(),
            Some(_) => true,
        }
    }

    /// Takes the handshake further, until content may pass.
    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        while self.session.state().is_handshaking() {
            ready!(self.poll_drain(cx)).map_err(Broken::Io)?;
            if !ready!(self.poll_receive(cx, &mut ReadBuf::new(&mut [])))? {
                return Poll::Ready(Err(Broken::Io(io::ErrorKind::UnexpectedEof.into())));
            }
        }
        match self.session {
            // Tickets can leave together with the first answer.
            Session::Server(_) => Poll::Ready(Ok(())),
            Session::Client(_) => self.poll_drain(cx).map_err(Broken::Io),
        }
    }

    /// Has the socket take what is ready to be sent.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            match ready!(Pin::new(&mut self.tcp).poll_write(cx, self.outgoing.rest()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.outgoing.consume(count),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads the socket once and opens what came: into `into`, as far as there is room. False when the other
    /// side has closed the socket.
    fn poll_receive(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<Result<bool, Broken>> {
        with_room(|room| {
            let held = self.incoming.len();
            // No more than there is room for, so that content seldom has to wait here.
            let most =
                if into.remaining() == 0 { INPUT_BYTES } else { held + into.remaining().max(READ_MIN) };
            let most =
                most.min(if self.session.state().is_handshaking() { HANDSHAKE_BYTES } else { INPUT_BYTES });
            if held >= most {
                return Poll::Ready(Err(Broken::Tls(rustls::Error::General("a message without end".into()))));
            }
            let mut free = ReadBuf::new(&mut room.input[held..most]);
            ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut free)).map_err(Broken::Io)?;
            let count = free.filled().len();
            if count == 0 {
                return Poll::Ready(Ok(false));
            }
            room.input[..held].copy_from_slice(&self.incoming);
            let opened = self.open(room, held + count, into);
            // Replies, an alert among them, are worth a try; what the socket does not take waits.
            let _ = self.poll_drain(cx);
            Poll::Ready(opened.map(|()| true).map_err(Broken::Tls))
        })
    }

    /// Opens the first `len` bytes of the room's input.
    fn open(&mut self, room: &mut Room, len: usize, into: &mut ReadBuf<'_>) -> Result<(), rustls::Error> {
        let Room { input, output, .. } = room;
        let waiting = &mut self.content;
        let mut content = |bytes: &[u8]| {
            let fits = if waiting.is_empty() { bytes.len().min(into.remaining()) } else { 0 };
            into.put_slice(&bytes[..fits]);
            waiting.put(&bytes[fits..]);
        };
        output.clear();
        let opened = self.session.open(&mut input[..len], output, &mut content);
        self.outgoing.put(output.filled());
        let Opened { used, ended } = opened.inspect_err(|_| self.failed = true)?;
        self.ended |= ended;
        if used == len {
            // An idle connection keeps no memory for records.
            self.incoming = Vec::new();
        } else {
            self.incoming.clear();
            self.incoming.extend_from_slice(&input[used..len]);
        }
        Ok(())
    }

    fn poll_write_parts(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.accepted > 0 {
            ready!(self.poll_drain(cx))?;
            return Poll::Ready(Ok(mem::take(&mut self.accepted)));
        }
        with_room(|room| {
            let Room { content, output, .. } = room;
            output.clear();
            // What waited leaves first, in the same write.
            output.put(self.outgoing.rest());
            let sealed = self.session.seal(parts, &mut self.incoming, content, output);
            let accepted = sealed.map_err(|error| io::Error::new(io::ErrorKind::BrokenPipe, error))?;
            self.outgoing = Pending::default();
            let mut written = 0;
            while written < output.filled().len() {
                match Pin::new(&mut self.tcp).poll_write(cx, &output.filled()[written..])? {
                    Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(count) => written += count,
                    Poll::Pending => {
                        self.outgoing.put(&output.filled()[written..]);
                        self.accepted = accepted;
                        return Poll::Pending;
                    }
                }
            }
            Poll::Ready(Ok(accepted))
        })
    }

    fn say_closed(&mut self) -> Result<(), rustls::Error> {
        with_room(|room| {
            room.output.clear();
            self.session.close(&mut self.incoming, &mut room.output)?;
            self.outgoing.put(room.output.filled());
            Ok(())
        })
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let it = self.get_mut();
        let before = into.filled().len();
        loop {
            if !it.content.is_empty() {
                let count = it.content.rest().len().min(into.remaining());
                into.put_slice(&it.content.rest()[..count]);
                it.content.consume(count);
            }
            if it.ended || into.filled().len() > before || into.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if it.failed {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            if !ready!(it.poll_receive(cx, into))? {
                // Whoever may cut a connection could end a message early: an end is said.
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_parts(cx, &[IoSlice::new(from)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_parts(cx, from)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_drain(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let it = self.get_mut();
        if !mem::replace(&mut it.closed, true) && !it.failed {
            // A session that cannot say it any more ends with its socket.
            let _ = it.say_closed();
        }
        ready!(it.poll_drain(cx))?;
        Pin::new(&mut it.tcp).poll_shutdown(cx)
    }
}

/// What is read at least, however little room the caller has: a short record whole.
const READ_MIN: usize = 2048;

/// Most of a handshake that is held before it makes sense: a hello of one record, or the chain of a client in
/// a few. Thousands of half handshakes must fit in memory.
const HANDSHAKE_BYTES: usize = 32 * 1024;
