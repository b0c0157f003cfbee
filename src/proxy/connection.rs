//! One client connection, from accepting it to closing it: waits for heads, hands each request to
//! [`forward`], and closes in a way that lets the client read the last answer.

mod answers;
mod peer;
mod streams;
mod vigil;

use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncWrite;

use crate::config::ListenerSpec;
use crate::h1::{HeadScanner, RequestLimits, Said, said_client};
use crate::message::{Refusal, RequestHead};

use super::buffer::{BUFFER_BYTES, Buffer};
use super::deadline::Deadline;
use super::forward::{self, on_heap};
use super::h2;
use super::leave::Farewell;
use super::listener::Local;
use super::stream::Stream;
use super::trail::Trail;
use super::worker::Worker;

/// What is read and thrown away after the last answer, so that a client that is still sending gets to
/// read it: closing with unread bytes would reset the connection and could destroy the answer.
const LINGER_BYTES_MAX: usize = 256 * 1024;

/// How long that may take.
const LINGER_TIME_MAX: Duration = Duration::from_secs(2);

pub use answers::base;
pub use peer::{Begun, Ends, Peer};

/// A client connection.
pub struct Client {
    /// The connection.
    pub stream: Stream,
    /// What was read and not consumed; `None` while the connection is idle.
    pub buffer: Option<Buffer>,
    /// The one deadline of this connection.
    pub deadline: Deadline,
    /// Settings, fixed for the life of the connection.
    pub spec: Arc<ListenerSpec>,
    /// Whether the client has sent its last byte.
    pub eof: bool,
    /// Who it is.
    pub peer: Rc<Peer>,
    /// What is noted about the request that is being served.
    pub trail: Trail,
    local: Rc<Local>,
    served: u64,
    until_ms: u64,
    scanner: HeadScanner,
}

/// What happens after an exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// Another request may follow.
    Again,
    /// Close; nothing is on the way.
    Close,
    /// Close after the client had the time to read the answer.
    Linger,
    /// Cut with a reset: what was sent so far must not look complete.
    Reset,
}

enum Head {
    Ready(usize),
    /// Not a byte yet.
    Nothing,
    Gone,
    TimedOut,
    Refused(Refusal),
}

/// Serves a connection to its end.
///
/// A connection keeps the place of all that it may ever wait for, and rests for most of its life. So what is not
/// waited for at every request is put on the heap, and the client lies where it was made.
pub fn serve(
    worker: &Rc<Worker>,
    local: &Rc<Local>,
    spec: Arc<ListenerSpec>,
    begun: Begun,
) -> impl Future<Output = ()> {
    // A socket that refuses this has already been closed by its client.
    let _ = begun.stream.set_nodelay();
    let mut client = Client::new(worker, local, spec, begun);
    async move {
        let mut by_h2 = client.stream.protocol() == Some(b"h2");
        if !by_h2 && client.spec.h2c {
            let begins = on_heap(|| worker.leave.unless_over(client.begins_with_preface(worker)));
            match begins.await {
                None | Some(None) => return client.finish(worker, Next::Close).await,
                Some(Some(begins)) => by_h2 = begins,
            }
        }
        if by_h2 {
            return on_heap(|| h2::serve(worker, client.into_arrived())).await;
        }
        let next = loop {
            let next = match client.head(worker).await {
                Head::Ready(len) => {
                    client.served += 1;
                    forward::exchange(worker, local, &mut client, len).await
                }
                Head::Gone | Head::Nothing => Next::Close,
                Head::TimedOut => on_heap(|| client.timed_out(worker, local)).await,
                Head::Refused(why) => on_heap(|| client.refused(worker, local, why)).await,
            };
            if next != Next::Again {
                break next;
            }
        };
        client.finish(worker, next).await;
    }
}

impl Client {
    fn new(worker: &Worker, local: &Rc<Local>, spec: Arc<ListenerSpec>, begun: Begun) -> Self {
        let (peer, stream) = Peer::new(begun, &spec.trust);
        let age_ms = spec.limits.age.as_millis() as u64;
        // Connections that began together do not end together.
        let spread = age_ms / 5;
        let jitter = if spread == 0 { 0 } else { worker.bits() % spread };
        Self {
            peer: Rc::new(peer),
            stream,
            buffer: None,
            deadline: worker.deadlines.slot(),
            eof: false,
            local: Rc::clone(local),
            served: 0,
            until_ms: worker.deadlines.now_ms() + age_ms - age_ms / 10 + jitter,
            scanner: HeadScanner::new(),
            spec,
            trail: Trail::default(),
        }
    }

    /// Whether the connection should end with the answer that is being made.
    pub fn is_spent(&self, worker: &Worker, now_ms: u64) -> bool {
        worker.draining.get()
            || worker.common.memory.refuses_requests()
            || self.local.is_leaving()
            || self.local.policy() != self.peer.policy
            || (self.eof && self.buffer.as_ref().is_none_or(Buffer::is_empty))
            || self.served >= self.spec.limits.requests
            || now_ms >= self.until_ms
    }

    /// The buffer, taken from stock if there is none.
    pub fn buffer(&mut self, worker: &Worker) -> &mut Buffer {
        self.buffer.get_or_insert_with(|| worker.stock.buffer())
    }

    /// Gives an empty buffer back: whoever waits holds none, so that a worker's connections share a few
    /// that stay in its cache.
    pub fn rest(&mut self, worker: &Worker) {
        if let Some(buffer) = self.buffer.take_if(|it| it.is_empty()) {
            worker.stock.put_buffer(buffer);
        }
    }

    /// Waits for a whole request head; `Ready` tells its length.
    async fn head(&mut self, worker: &Worker) -> Head {
        self.scanner.reset();
        let limits = self.request_limits();
        if self.buffer.as_ref().is_none_or(Buffer::is_empty) {
            let timeouts = &self.spec.timeouts;
            // An exchange, or the arrival of the connection, has just looked at the clock.
            self.deadline.set_recent(if self.served == 0 { timeouts.head } else { timeouts.idle });
            loop {
                self.rest(worker);
                if let Some(end) = self.idle(worker).await {
                    return end;
                }
                match self.head_rest(worker, &limits, self.served == 0).await {
                    // A false alarm, as each new connection gives one.
                    Head::Nothing => {}
                    head => return head,
                }
            }
        }
        // The next request came along with the last one.
        if let Some(done) = self.look(&limits) {
            return done;
        }
        self.deadline.set(self.spec.timeouts.head);
        self.head_rest(worker, &limits, true).await
    }

    /// Reads until the head is there. Its time is absolute: progress does not extend it.
    async fn head_rest(&mut self, worker: &Worker, limits: &RequestLimits, mut armed: bool) -> Head {
        loop {
            if self.eof {
                return Head::Gone;
            }
            self.buffer(worker);
            worker.common.memory.grown(&worker.stock);
            let (stream, buffer, deadline) = (&mut self.stream, self.buffer.as_mut(), &self.deadline);
            let Some(buffer) = buffer else { return Head::Gone };
            if buffer.is_full() {
                return Head::Refused(Refusal::HeadTooLarge);
            }
            let read = poll_fn(|cx| match buffer.poll_fill(stream, cx) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending if buffer.is_empty() => Poll::Ready(Some(Err(ErrorKind::WouldBlock.into()))),
                Poll::Pending => deadline.poll(cx).map(|()| None),
            })
            .await;
            match read {
                Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => return Head::Nothing,
                None => return Head::TimedOut,
                Some(Err(_) | Ok(0)) => return Head::Gone,
                Some(Ok(_)) => {}
            }
            if let Some(done) = self.look(limits) {
                return done;
            }
            if !armed {
                armed = true;
                self.deadline.set(self.spec.timeouts.head);
            }
        }
    }

    fn look(&mut self, limits: &RequestLimits) -> Option<Head> {
        match self.scanner.scan(self.buffer.as_ref()?.filled(), limits) {
            Ok(Some(len)) => Some(Head::Ready(len)),
            Ok(None) => None,
            Err(why) => Some(Head::Refused(why)),
        }
    }

    /// Waits for the first byte of a request, without a buffer.
    async fn idle(&mut self, worker: &Worker) -> Option<Head> {
        if self.eof {
            return Some(Head::Gone);
        }
        let mut farewell = Farewell::new(worker, self.served);
        poll_fn(|cx| {
            if worker.common.memory.closes_waiting() || self.local.policy() != self.peer.policy {
                return Poll::Ready(Some(Head::Gone));
            }
            if self.stream.poll_read_ready(cx).is_ready() {
                return Poll::Ready(None);
            }
            if worker.draining.get() && farewell.is_due(worker, &self.deadline) {
                return Poll::Ready(Some(Head::Gone));
            }
            // Nothing was received, so there is nobody to answer.
            self.deadline.poll(cx).map(|()| Some(Head::Gone))
        })
        .await
    }

    /// Who asks: whom a trusted peer speaks for, else the peer.
    pub fn asker<'a>(&'a self, head: &'a RequestHead, buf: &'a [u8]) -> Said<'a> {
        let peer = Said { address: self.peer.address, text: self.peer.text.as_bytes() };
        if self.peer.trusted { said_client(head, buf).unwrap_or(peer) } else { peer }
    }

    /// The listener's bounds. A head must fit the buffer.
    pub fn request_limits(&self) -> RequestLimits {
        RequestLimits {
            head: self.spec.limits.head.min(BUFFER_BYTES),
            headers: self.spec.limits.headers,
            uri: self.spec.limits.uri,
            underscores: self.spec.underscores,
        }
    }

    async fn finish(&mut self, worker: &Worker, next: Next) {
        match next {
            Next::Again | Next::Close => self.stream.part(),
            Next::Reset => {
                // If the socket is gone already, so is the client.
                let _ = self.stream.set_zero_linger();
            }
            Next::Linger => on_heap(|| self.linger(worker)).await,
        }
        if let Some(buffer) = self.buffer.take() {
            worker.stock.put_buffer(buffer);
        }
    }

    /// Says that no more will come, and reads on for a while (RFC 9112 section 9.6).
    async fn linger(&mut self, worker: &Worker) {
        self.deadline.set(LINGER_TIME_MAX);
        // Over TLS even that has to be sent, to somebody who may take nothing.
        let shut = poll_fn(|cx| match Pin::new(&mut self.stream).poll_shutdown(cx) {
            Poll::Ready(shut) => Poll::Ready(shut.is_ok()),
            Poll::Pending => self.deadline.poll(cx).map(|()| false),
        });
        if !shut.await || self.eof {
            return;
        }
        let mut left = LINGER_BYTES_MAX;
        let mut buffer = self.buffer.take().unwrap_or_else(|| worker.stock.buffer());
        loop {
            buffer.consume(buffer.filled().len());
            let read = poll_fn(|cx| match buffer.poll_fill(&mut self.stream, cx) {
                Poll::Ready(done) => Poll::Ready(done.unwrap_or(0)),
                Poll::Pending => self.deadline.poll(cx).map(|()| 0),
            })
            .await;
            left = left.saturating_sub(read);
            if read == 0 || left == 0 {
                break;
            }
        }
        self.buffer = Some(buffer);
    }
}
