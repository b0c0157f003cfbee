//! Connections to an endpoint that speaks HTTP/2: few, each with many requests under way at once.
//!
//! A request takes a place on the first connection that has one. When all are full another connection is
//! opened; those who come meanwhile wait for it, as far as it will have places for them. How many places
//! it has is known when the endpoint's SETTINGS are here: until then there is one, for whoever opened it,
//! because what goes beyond the endpoint's limit would be refused, in a burst more often than is tried again.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_local;

use super::super::deadline::Deadlines;
use super::super::quota::{Permit, Quota};
use super::super::stream::Stream;
use super::super::upstream;
use super::super::worker::Worker;
use super::Outbound;
use super::link::{self, Link};
use super::pulse::Pulse;
use super::session::{Rules, Session};

/// Requests under way at once on one connection, if the endpoint allows as many.
const STREAMS_MAX: usize = 100;

/// What an endpoint is to obey: what it may send of one answer before we have passed it on, at first and
/// once that goes fast, and what may be on its way of all; the largest head that is read at all. The service's
/// limits are looked at afterwards.
const RULES: Rules = Rules {
    asks: true,
    secure: false,
    stream_window: 64 * 1024,
    window_max: 256 * 1024,
    connection_window: 4 * 1024 * 1024,
    list: 64 * 1024,
    streams: 0,
    lines: 0,
};

/// How long others wait for the SETTINGS of a connection that is open. They come with the first round trip.
const SETTLE_MS: u64 = 2_000;

/// How long a connection rests on which a request was refused.
const REST_MS: u64 = 1_000;

/// So many connections may rest before one of them is used again: as many as one request is tried on.
const RESTING_MAX: usize = 4;

/// Somebody on another worker who waits for a connection for so long gets one that is in use here, once what
/// is under way on it has ended: nothing new is sent on it.
const YIELD_AFTER_US: u64 = 100_000;

/// The connections of one worker to one endpoint.
pub struct Pool {
    /// How many connections the version may have.
    quota: Rc<Quota>,
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
    session: link::Shared,
    scheme: &'static str,
    live: Cell<usize>,
    idle_since_ms: Cell<u64>,
    /// Whether it is given up as soon as it is not used any more.
    leaving: Cell<bool>,
    quota: Rc<Quota>,
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
        // Somebody may wait for it, if there can be no other connection.
        self.0.quota.look();
    }
}

impl Shared {
    fn is_closed(&self) -> bool {
        self.session.borrow().is_closed()
    }

    fn has_place(&self) -> bool {
        !self.rests() && self.has_room()
    }

    fn has_room(&self) -> bool {
        self.live.get() < self.streams_max() && !self.leaving.get()
    }

    fn rests(&self) -> bool {
        self.deadlines.recent_ms() < self.rests_until_ms.get()
    }

    /// Whether its endpoint takes nothing on it, and nothing is under way.
    fn is_useless(&self) -> bool {
        self.live.get() == 0 && self.settled.get() && self.streams_max() == 0
    }

    /// Requests under way at once; one before the endpoint has said how many it takes.
    fn streams_max(&self) -> usize {
        let most = if self.settled.get() { STREAMS_MAX } else { 1 };
        most.min(self.session.borrow().streams_max())
    }

    fn take(self: &Rc<Self>) -> Outbound {
        self.live.set(self.live.get() + 1);
        Outbound::new(Rc::clone(&self.session), self.scheme, Place(Rc::clone(self)))
    }
}

impl Drop for Shared {
    /// Nobody will ask anything of it any more.
    fn drop(&mut self) {
        self.session.borrow_mut().part();
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
    /// No connections yet.
    pub fn new(quota: Rc<Quota>) -> Self {
        let (open, news) = (RefCell::default(), Rc::default());
        Self { quota, open, opening: Cell::new(0), waiting: Cell::new(0), news }
    }

    /// Whether there is no connection.
    pub fn is_cold(&self) -> bool {
        self.open.borrow().is_empty() && self.opening.get() == 0
    }

    /// A place on a connection that is there.
    pub fn take(&self) -> Option<Stream> {
        let open = self.open.borrow();
        open.iter().find(|it| it.has_place()).map(|it| Stream::Outbound(Box::new(it.take())))
    }

    /// A place on a connection that rests, if many do: an endpoint that refuses what it is asked is not run over
    /// with connections. Those on which it takes nothing at all make room for the next.
    fn take_resting(&self) -> Option<Stream> {
        let mut open = self.open.borrow_mut();
        open.retain(|it| !it.is_useless());
        let resting = || open.iter().filter(|it| it.rests() && it.has_room());
        let longest = resting().min_by_key(|it| it.rests_until_ms.get())?;
        (resting().count() >= RESTING_MAX).then(|| Stream::Outbound(Box::new(longest.take())))
    }

    /// A place on a connection, which `connect` opens if need be, once `permit` allows it. Whether the
    /// connection was there before.
    pub async fn take_or_open<E>(
        &self,
        worker: &Rc<Worker>,
        permit: impl FnOnce() -> Result<Permit, E>,
        connect: impl AsyncFnOnce(Permit) -> Result<upstream::Link, E>,
        failed: impl Fn(io::Error) -> E,
    ) -> Result<(Stream, bool), E> {
        loop {
            if let Some(stream) = self.take().or_else(|| self.take_resting()) {
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
        let permit = permit()?;
        let mut opening = Opening::new(self);
        let opened = connect(permit).await.and_then(|it| begin(worker, self, it).map_err(&failed));
        opening.failed = opened.is_err();
        let shared = opened?;
        let stream = shared.take();
        self.open.borrow_mut().push(shared);
        Ok((Stream::Outbound(Box::new(stream)), false))
    }

    fn turn(&self) -> Turn {
        let unsettled = |it: &&Rc<Shared>| !it.settled.get() && !it.is_closed();
        let coming = self.opening.get() + self.open.borrow().iter().filter(unsettled).count();
        match self.waiting.get() < coming * self.news.places.get() {
            true => Turn::Wait,
            false => Turn::Open,
        }
    }

    /// Lets go of a connection that nobody uses. Whether there was one; if not, and somebody elsewhere has
    /// waited for long, one that is in use takes nothing more on.
    pub fn shed(&self, now_us: u64) -> bool {
        let mut open = self.open.borrow_mut();
        if let Some(at) = open.iter().position(|it| it.live.get() == 0) {
            open.remove(at);
            return true;
        }
        if self.quota.waits_elsewhere_us(now_us) >= YIELD_AFTER_US
            && !open.iter().any(|it| it.leaving.get())
            && let Some(first) = open.first()
        {
            first.leaving.set(true);
        }
        false
    }

    /// Lets go of what is closed, or has not been used for too long.
    pub fn prune(&self, keep_alive: Duration, now_ms: u64) {
        let keep_ms = keep_alive.as_millis() as u64;
        self.open.borrow_mut().retain(|it| {
            let old = it.live.get() == 0 && now_ms.saturating_sub(it.idle_since_ms.get()) >= keep_ms;
            !it.is_closed() && !old
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

/// A connection that is being opened. Those who wait for it are told how it ended, whatever happens. One whose
/// client went away before that has not failed: whoever waits for it opens another.
struct Opening<'a> {
    pool: &'a Pool,
    _counted: Counted<'a>,
    failed: bool,
}

impl<'a> Opening<'a> {
    fn new(pool: &'a Pool) -> Self {
        Self { pool, _counted: Counted::new(&pool.opening), failed: false }
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
fn begin(worker: &Rc<Worker>, pool: &Pool, opened: upstream::Link) -> io::Result<Rc<Shared>> {
    let (stream, permit) = opened.into_parts();
    let scheme = match (stream.scheme(), stream.protocol()) {
        ("https", Some(b"h2")) => "https",
        // Whoever agrees on nothing would take our first frames for a bad request.
        ("https", _) => return Err(io::Error::other("the endpoint does not speak HTTP/2")),
        _ => "http",
    };
    let link = Link::new(Session::new(RULES), stream, None);
    let shared = Rc::new(Shared {
        session: Rc::clone(&link.session),
        scheme,
        live: Cell::new(0),
        idle_since_ms: Cell::new(worker.deadlines.now_ms()),
        leaving: Cell::new(false),
        quota: Rc::clone(&pool.quota),
        settled: Cell::new(false),
        rests_until_ms: Cell::new(0),
        deadlines: Rc::clone(&worker.deadlines),
    });
    let driven = drive(Rc::clone(worker), Rc::downgrade(&shared), Rc::clone(&pool.news), link);
    spawn_local(async move {
        driven.await;
        // As long as there is a connection it has its place.
        drop(permit);
    });
    Ok(shared)
}

/// Moves the frames of one connection until it ends.
async fn drive(worker: Rc<Worker>, shared: std::rc::Weak<Shared>, news: Rc<News>, mut link: Link) {
    let deadline = worker.deadlines.slot();
    let mut settle_by = Some(worker.deadlines.now_ms() + SETTLE_MS);
    let mut pulse = Pulse::new(worker.deadlines.now_ms());
    poll_fn(|cx| {
        let now_ms = worker.deadlines.now_ms();
        let received = link.received();
        {
            let mut session = link.session.borrow_mut();
            session.attend();
            if !pulse.beats(received, now_ms, &mut session) {
                return Poll::Ready(());
            }
        }
        let ended = link.poll_receive(&worker.stock, &mut || 0, cx).is_ready();
        let over = link.session.borrow().is_over();
        if ended || over || link.session.borrow().failed().is_some() {
            // Our last word, if it is taken.
            let _ = link.poll_shutdown(cx);
            return Poll::Ready(());
        }
        let settled = link.session.borrow().is_settled();
        if settle_by.is_some_and(|by| settled || now_ms >= by) {
            settle_by = None;
            if let Some(shared) = shared.upgrade() {
                shared.settled.set(true);
                news.places.set(shared.streams_max().clamp(1, STREAMS_MAX));
                shared.quota.look();
            }
            news.tell(false);
        }
        if link.poll_rest(cx).is_ready() {
            return Poll::Ready(());
        }
        deadline.set_ms(settle_by.map_or(pulse.next_ms(), |by| by.min(pulse.next_ms())));
        if deadline.poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await;
    drop(link);
    // An endpoint that hangs up before it has said a word is down for those who wait, too.
    news.tell(settle_by.is_some());
}
