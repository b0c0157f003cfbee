//! Connections to an endpoint that speaks HTTP/2: few, each with many requests under way at once.
//!
//! A request takes a place on the first connection that has one. When all are full another connection is
//! opened; those who come meanwhile wait for it, as far as it will have places for them. How many places
//! it has is known when the endpoint's SETTINGS are here: until then there is one, for whoever opened it,
//! because what goes beyond the endpoint's limit would be refused, in a burst more often than is tried again.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, Connection as Frames, SendRequest};
use http::uri::Scheme;
use tokio::sync::Notify;
use tokio::task::spawn_local;

use super::super::deadline::Deadlines;
use super::super::stream::Stream;
use super::pulse::Pulse;
use super::{Outbound, Wire};

/// Requests under way at once on one connection, if the endpoint allows as many.
const STREAMS_MAX: usize = 100;

/// What an endpoint may send of one answer before we have passed it on.
const STREAM_WINDOW: u32 = 256 * 1024;

/// The same for all answers of a connection.
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// Largest head of an answer that is read at all; the service's limit is looked at afterwards.
const HEADER_LIST_BYTES: u32 = 64 * 1024;

/// Content of one request that is held while the endpoint does not take it.
const SEND_BUFFER_BYTES: usize = 128 * 1024;

/// How long others wait for the SETTINGS of a connection that is open. They come with the first round trip.
const SETTLE_MS: u64 = 2_000;

/// How long a connection rests on which a request was refused.
const REST_MS: u64 = 1_000;

/// The connections of one worker to one endpoint.
#[derive(Default)]
pub struct Pool {
    open: RefCell<Vec<Rc<Shared>>>,
    opening: Cell<usize>,
    waiting: Cell<usize>,
    news: Rc<News>,
}

/// What those who wait for a connection are told.
struct News {
    failures: Cell<u64>,
    /// Places that the newest connection has.
    places: Cell<usize>,
    changed: Notify,
}

impl Default for News {
    fn default() -> Self {
        Self { failures: Cell::new(0), places: Cell::new(STREAMS_MAX), changed: Notify::new() }
    }
}

/// One connection, as those who use it know it.
struct Shared {
    sender: SendRequest<Bytes>,
    scheme: Scheme,
    live: Cell<usize>,
    idle_since_ms: Cell<u64>,
    closed: Cell<bool>,
    /// Whether the endpoint has said how many requests it takes at once.
    settled: Cell<bool>,
    rests_until_ms: Cell<u64>,
    deadlines: Rc<Deadlines>,
}

/// A place on a connection, held while a request is under way.
pub(super) struct Place(Rc<Shared>);

impl Place {
    /// The endpoint has refused a request here: others go elsewhere for a while.
    pub(super) fn rest(&self) {
        self.0.rests_until_ms.set(self.0.deadlines.recent_ms() + REST_MS);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.live.set(self.0.live.get() - 1);
        self.0.idle_since_ms.set(self.0.deadlines.recent_ms());
    }
}

impl Shared {
    fn has_place(&self) -> bool {
        let most = STREAMS_MAX.min(self.sender.current_max_send_streams());
        let rested = self.deadlines.recent_ms() >= self.rests_until_ms.get();
        self.live.get() < most && rested && !self.closed.get()
    }

    /// Takes a place. `None` if the connection takes no more requests.
    fn take(self: &Rc<Self>) -> Option<Outbound> {
        let mut sender = self.sender.clone();
        let mut context = Context::from_waker(std::task::Waker::noop());
        match sender.poll_ready(&mut context) {
            Poll::Ready(Ok(())) => {
                self.live.set(self.live.get() + 1);
                Some(Outbound::new(sender, self.scheme.clone(), Place(Rc::clone(self))))
            }
            Poll::Ready(Err(_)) => {
                self.closed.set(true);
                None
            }
            Poll::Pending => None,
        }
    }
}

/// What somebody does who found no place.
enum Turn {
    /// Waits for a connection that is being opened.
    Wait,
    /// Opens one.
    Open,
}

impl Pool {
    /// Whether there is no connection.
    pub fn is_cold(&self) -> bool {
        self.open.borrow().is_empty() && self.opening.get() == 0
    }

    /// A place on a connection that is there.
    pub fn take(&self) -> Option<Stream> {
        let open = self.open.borrow();
        let stream = open.iter().filter(|it| it.has_place()).find_map(Shared::take);
        stream.map(|it| Stream::Outbound(Box::new(it)))
    }

    /// A place on a connection, which `connect` opens if need be. Whether the connection was there before.
    pub async fn take_or_open<E>(
        &self,
        deadlines: &Rc<Deadlines>,
        connect: impl AsyncFnOnce() -> Result<Stream, E>,
        failed: impl Fn(io::Error) -> E,
    ) -> Result<(Stream, bool), E> {
        loop {
            if let Some(stream) = self.take() {
                return Ok((stream, true));
            }
            if let Turn::Open = self.turn() {
                break;
            }
            let failures = self.news.failures.get();
            let waits = Counted::new(&self.waiting);
            self.news.changed.notified().await;
            drop(waits);
            if self.news.failures.get() > failures {
                // One look at an endpoint that is down is enough for all.
                return self.take().map(|it| (it, true)).ok_or_else(|| failed(not_opened()));
            }
        }
        let opening = Opening::new(self);
        let shared = begin(deadlines, &self.news, connect().await?).await.map_err(&failed)?;
        let stream = shared.take().ok_or_else(|| failed(not_opened()))?;
        self.open.borrow_mut().push(shared);
        opening.succeeded();
        Ok((Stream::Outbound(Box::new(stream)), false))
    }

    fn turn(&self) -> Turn {
        let unsettled = |it: &&Rc<Shared>| !it.settled.get() && !it.closed.get();
        let coming = self.opening.get() + self.open.borrow().iter().filter(unsettled).count();
        match self.waiting.get() < coming * self.news.places.get() {
            true => Turn::Wait,
            false => Turn::Open,
        }
    }

    /// Lets go of what is closed, or has not been used for too long.
    pub fn prune(&self, keep_alive: Duration, now_ms: u64) {
        let keep_ms = keep_alive.as_millis() as u64;
        self.open.borrow_mut().retain(|it| {
            let old = it.live.get() == 0 && now_ms.saturating_sub(it.idle_since_ms.get()) >= keep_ms;
            !it.closed.get() && !old
        });
    }
}

impl Pool {
    /// Lets go of all of them: each ends with the last request that is under way on it.
    pub fn clear(&self) {
        self.open.borrow_mut().clear();
    }
}

/// Counts one more until it is dropped.
struct Counted<'a>(&'a Cell<usize>);

impl<'a> Counted<'a> {
    fn new(cell: &'a Cell<usize>) -> Self {
        cell.set(cell.get() + 1);
        Self(cell)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A connection that is being opened. Those who wait for it are told how it ended, whatever happens.
struct Opening<'a> {
    pool: &'a Pool,
    _counted: Counted<'a>,
    failed: bool,
}

impl<'a> Opening<'a> {
    fn new(pool: &'a Pool) -> Self {
        Self { pool, _counted: Counted::new(&pool.opening), failed: true }
    }

    fn succeeded(mut self) {
        self.failed = false;
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.pool.news.tell(self.failed);
    }
}

impl News {
    fn tell(&self, failed: bool) {
        self.failures.set(self.failures.get() + u64::from(failed));
        self.changed.notify_waiters();
    }
}

fn not_opened() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, "no connection could be opened")
}

/// Begins to speak HTTP/2 on a fresh connection.
async fn begin(deadlines: &Rc<Deadlines>, news: &Rc<News>, stream: Stream) -> io::Result<Rc<Shared>> {
    let scheme = match (stream.scheme(), stream.protocol()) {
        ("https", Some(b"h2")) => Scheme::HTTPS,
        // Whoever agrees on nothing would take our first frames for a bad request.
        ("https", _) => return Err(io::Error::other("the endpoint does not speak HTTP/2")),
        _ => Scheme::HTTP,
    };
    let wire = Wire::new(stream, b"");
    let (sender, frames) = Builder::new()
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADER_LIST_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .initial_max_send_streams(1)
        .handshake(wire.clone())
        .await
        .map_err(super::half::io_error)?;
    let now_ms = deadlines.now_ms();
    let shared = Rc::new(Shared {
        sender,
        scheme,
        live: Cell::new(0),
        idle_since_ms: Cell::new(now_ms),
        closed: Cell::new(false),
        settled: Cell::new(false),
        rests_until_ms: Cell::new(0),
        deadlines: Rc::clone(deadlines),
    });
    spawn_local(drive(Rc::clone(deadlines), Rc::downgrade(&shared), Rc::clone(news), frames, wire));
    Ok(shared)
}

/// Moves the frames of one connection until it ends.
async fn drive(
    deadlines: Rc<Deadlines>,
    shared: std::rc::Weak<Shared>,
    news: Rc<News>,
    mut frames: Frames<Wire, Bytes>,
    wire: Wire,
) {
    let deadline = deadlines.slot();
    let mut settle_by = Some(deadlines.now_ms() + SETTLE_MS);
    let mut pulse = Pulse::new(frames.ping_pong(), deadlines.now_ms());
    poll_fn(|cx| {
        let now_ms = deadlines.now_ms();
        wire.begin_turn();
        if !pulse.beats(wire.received(), now_ms, cx) || Pin::new(&mut frames).poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if let Poll::Ready(Err(_)) = wire.poll_send(cx) {
            return Poll::Ready(());
        }
        // SETTINGS are the first thing that an endpoint may send.
        if settle_by.is_some_and(|by| wire.received() > 0 || now_ms >= by) {
            settle_by = None;
            if let Some(shared) = shared.upgrade() {
                shared.settled.set(true);
                news.places.set(shared.sender.current_max_send_streams().clamp(1, STREAMS_MAX));
            }
            news.tell(false);
        }
        deadline.set_ms(settle_by.map_or(pulse.next_ms(), |by| by.min(pulse.next_ms())));
        if deadline.poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await;
    if let Some(shared) = shared.upgrade() {
        shared.closed.set(true);
    }
    // An endpoint that hangs up before it has said a word is down for those who wait, too.
    news.tell(settle_by.is_some());
}
