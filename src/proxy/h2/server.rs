//! A client's HTTP/2 connection: accepts streams, keeps their number and their cost in bounds, notices a
//! client that is no longer there, and ends in two steps, so that no request is lost on the way.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, Connection as Frames, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;
use http::header::CONTENT_TYPE;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::spawn_local;

use crate::config::ListenerSpec;
use crate::telemetry::RejectReason;

use super::super::connection::{Client, Peer};
use super::super::deadline::Deadline;
use super::super::forward;
use super::super::grpc;
use super::super::listener::Local;
use super::super::message::Refusal;
use super::super::stream::Stream;
use super::super::worker::Worker;
use super::account::{Account, Live};
use super::pulse::Pulse;
use super::{Inbound, Wire, text};

/// What a client that speaks HTTP/2 sends first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client may send of one body before we have passed it on.
const STREAM_WINDOW: u32 = 64 * 1024;

/// The same for all bodies of a connection.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Content of one answer that is held while the client does not take it.
const SEND_BUFFER_BYTES: usize = 128 * 1024;

/// Streams that a client may cancel before we have looked at them. More is a rapid reset.
const RESETS_BEFORE_ACCEPT_MAX: usize = 20;

/// Streams that a client may make us reset by breaking rules (MadeYouReset).
const RESETS_BY_ERROR_MAX: usize = 128;

/// How long a connection that is to end may take when nothing is left to do.
const LEAVE_WITHIN_MS: u64 = 5_000;

/// What is read and thrown away after the last word, so that the client gets to read that.
const LINGER_BYTES_MAX: usize = 256 * 1024;

/// How long that may take.
const LINGER_TIME_MAX: Duration = Duration::from_secs(2);

/// A connection on which HTTP/2 is spoken.
pub struct Arrived {
    /// The listener it came from.
    pub local: Rc<Local>,
    /// Its settings.
    pub spec: Arc<ListenerSpec>,
    /// The connection.
    pub stream: Stream,
    /// What was read from it already.
    pub early: Vec<u8>,
    /// Who it is.
    pub peer: Rc<Peer>,
    /// When it has to end, in milliseconds of the worker.
    pub until_ms: u64,
}

/// Serves a connection to its end.
pub async fn serve(worker: &Rc<Worker>, arrived: Arrived) {
    let Arrived { local, spec, stream, early, peer, until_ms } = arrived;
    let wire = Wire::new(stream, &early);
    drop(early);
    let deadline = worker.deadlines.slot();
    deadline.set(spec.timeouts.head);
    let frames = {
        let mut handshake = pin!(builder(&spec).handshake(wire.clone()));
        poll_fn(|cx| match handshake.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => deadline.poll(cx).map(|()| None),
        })
        .await
    };
    let mut frames = match frames {
        Some(Ok(frames)) => frames,
        Some(Err(_)) => return local.cells().rejected(RejectReason::Http2),
        None => return local.cells().rejected(RejectReason::HeadTimeout),
    };
    let now_ms = worker.deadlines.now_ms();
    let mut connection = Connection {
        worker: Rc::clone(worker),
        local,
        spec,
        peer,
        pulse: Pulse::new(frames.ping_pong(), now_ms),
        frames,
        wire: wire.clone(),
        account: Account::new(now_ms),
        until_ms,
        leaving_since_ms: None,
    };
    let ended = poll_fn(|cx| connection.poll(&deadline, cx)).await;
    drop(connection);
    if ended == Ended::Broken {
        linger(wire, &deadline).await;
    }
}

fn builder(spec: &ListenerSpec) -> Builder {
    let mut builder = Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(u32::try_from(spec.limits.head).unwrap_or(u32::MAX))
        .max_concurrent_streams(u32::try_from(spec.limits.streams).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(RESETS_BEFORE_ACCEPT_MAX)
        .max_local_error_reset_streams(Some(RESETS_BY_ERROR_MAX))
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .enable_connect_protocol();
    builder
}

/// How a connection came to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ended {
    /// In peace, or because the client is gone.
    Gone,
    /// With an error that the client should get to read.
    Broken,
}

struct Connection {
    worker: Rc<Worker>,
    local: Rc<Local>,
    spec: Arc<ListenerSpec>,
    peer: Rc<Peer>,
    frames: Frames<Wire, Bytes>,
    pulse: Pulse,
    wire: Wire,
    account: Rc<Account>,
    until_ms: u64,
    /// Since when the client knows that it has to go.
    leaving_since_ms: Option<u64>,
}

impl Connection {
    fn poll(&mut self, deadline: &Deadline, cx: &mut Context<'_>) -> Poll<Ended> {
        let now_ms = self.worker.deadlines.now_ms();
        self.wire.begin_turn();
        if !self.pulse.beats(self.wire.received(), now_ms, cx) {
            return Poll::Ready(Ended::Gone);
        }
        self.leave_in_time(now_ms);
        let mut again = true;
        while std::mem::take(&mut again) {
            loop {
                match self.frames.poll_accept(cx) {
                    Poll::Ready(Some(Ok((request, respond)))) => self.accept(request, respond),
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(self.broken(&error)),
                    Poll::Ready(None) => return Poll::Ready(Ended::Gone),
                    Poll::Pending => break,
                }
            }
            if self.leaving_since_ms != Some(OVERDRAWN) && self.account.is_overdrawn(self.wire.received()) {
                self.local.cells().rejected(RejectReason::Http2);
                self.leaving_since_ms = Some(OVERDRAWN);
                self.frames.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                again = true;
            }
        }
        if let Poll::Ready(Err(_)) = self.wire.poll_send(cx) {
            return Poll::Ready(Ended::Gone);
        }
        deadline.set_ms(self.look_at_ms(now_ms));
        if deadline.poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Tells the client to open its next connection when this one is to end: first that it will, then,
    /// when all that was on its way has arrived, which stream was the last.
    fn leave_in_time(&mut self, now_ms: u64) {
        let idle = self.account.is_idle();
        let Some(since_ms) = self.leaving_since_ms else {
            let idle_ms = self.spec.timeouts.idle.as_millis() as u64;
            let spent = self.worker.draining.get()
                || self.worker.common.memory.closes_waiting()
                || self.local.is_leaving()
                || self.account.accepted() >= self.spec.limits.requests
                || now_ms >= self.until_ms
                || (idle && now_ms >= self.account.idle_since_ms() + idle_ms);
            if spent {
                self.leaving_since_ms = Some(now_ms);
                self.frames.graceful_shutdown();
            }
            return;
        };
        let late = since_ms != OVERDRAWN && now_ms >= since_ms.saturating_add(LEAVE_WITHIN_MS);
        let no_room = self.worker.common.memory.closes_waiting();
        if idle && (late || no_room || self.worker.leave.is_over()) {
            self.frames.abrupt_shutdown(Reason::NO_ERROR);
        }
    }

    /// When to look at the time again, if nothing happens before.
    fn look_at_ms(&self, now_ms: u64) -> u64 {
        let idle_ms = self.spec.timeouts.idle.as_millis() as u64;
        let rest = match self.leaving_since_ms {
            None => self.until_ms.min(now_ms + idle_ms),
            Some(_) => now_ms + LEAVE_WITHIN_MS,
        };
        rest.min(self.pulse.next_ms())
    }

    fn broken(&self, error: &h2::Error) -> Ended {
        if error.is_io() {
            return Ended::Gone;
        }
        if error.is_library() {
            self.local.cells().rejected(RejectReason::Http2);
        }
        Ended::Broken
    }

    fn accept(&self, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
        let (worker, local) = (Rc::clone(&self.worker), Rc::clone(&self.local));
        let (spec, peer) = (Arc::clone(&self.spec), Rc::clone(&self.peer));
        let live = self.account.begin();
        spawn_local(async move { exchange(&worker, &local, spec, peer, request, respond, live).await });
    }
}

/// Stands for a time: the connection ends because the client costs too much.
const OVERDRAWN: u64 = u64::MAX;

/// One request and its answer.
async fn exchange(
    worker: &Rc<Worker>,
    local: &Rc<Local>,
    spec: Arc<ListenerSpec>,
    peer: Rc<Peer>,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    live: Live,
) {
    let mut buffer = worker.stock.buffer();
    let (head, body) = request.into_parts();
    let ends = body.is_end_stream();
    let kind = head.headers.get(CONTENT_TYPE);
    let is_call = kind.is_some_and(|it| grpc::is_kind(it.as_bytes()));
    let head = text::write_request(&head, ends, spec.limits.headers, || worker.bits(), &mut buffer);
    let inbound = Inbound::new(body, respond, Rc::clone(live.account()), is_call);
    let mut client = Client::of_stream(worker, local, spec, Stream::Inbound(Box::new(inbound)), peer);
    let head = head.and_then(|len| match len <= client.request_limits().head {
        true => Ok(len),
        false => Err(Refusal::HeadTooLarge),
    });
    (client.buffer, client.eof) = (Some(buffer), ends);
    let next = match head {
        Ok(len) => forward::exchange(worker, local, &mut client, len).await,
        Err(why) => client.refused(worker, local, why).await,
    };
    client.end(worker, next);
    live.end(worker.deadlines.recent_ms());
}

/// Reads on for a while, so that closing with unread bytes does not destroy our last word.
async fn linger(mut wire: Wire, deadline: &Deadline) {
    deadline.set(LINGER_TIME_MAX);
    let mut left = LINGER_BYTES_MAX;
    let mut bytes = [0; 4096];
    while left > 0 {
        wire.begin_turn();
        let mut into = ReadBuf::new(&mut bytes);
        let read = poll_fn(|cx| match Pin::new(&mut wire).poll_read(cx, &mut into) {
            Poll::Ready(read) => Poll::Ready(read.is_ok()),
            Poll::Pending => deadline.poll(cx).map(|()| false),
        })
        .await;
        if !read || into.filled().is_empty() {
            break;
        }
        left = left.saturating_sub(into.filled().len());
    }
}
