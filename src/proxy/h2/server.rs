//! A client's HTTP/2 connection: accepts streams, keeps their number and their cost in bounds, notices a
//! client that is no longer there, and ends in two steps, so that no request is lost on the way.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::spawn_local;

use crate::config::ListenerSpec;
use crate::message::Refusal;
use crate::telemetry::RejectReason;

use super::super::buffer::Buffer;
use super::super::connection::{Client, Peer};
use super::super::deadline::Deadline;
use super::super::forward;
use super::super::leave::Farewell;
use super::super::listener::Local;
use super::super::stream::Stream;
use super::super::worker::Worker;
use super::Inbound;
use super::account::{Account, Live};
use super::frame::Code;
use super::link::Link;
use super::pulse::Pulse;
use super::session::{Opened, Rules, Session};

/// What a client may send of one body before we have passed it on.
const STREAM_WINDOW: u32 = 64 * 1024;

/// The same once it goes on as fast as it comes.
const WINDOW_MAX: u32 = 256 * 1024;

/// The same for all bodies of a connection.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// How long a connection that is to end may take when nothing is left to do.
const LEAVE_WITHIN_MS: u64 = 5_000;

/// What is read and thrown away after the last word, so that the client gets to read that.
const LINGER_BYTES_MAX: usize = 256 * 1024;

/// How long that may take.
const LINGER_TIME_MAX: Duration = Duration::from_secs(2);

/// After answers that may be on their way yet, how long nothing may be taken by or heard of the client. One that
/// reads opens its windows now and then, and a socket that is closed answers that with a reset, which destroys
/// what the client has not received.
const UNREAD_SILENCE_MS: u64 = 10_000;

/// How long all of that may take.
const UNREAD_TIME_MAX_MS: u64 = 60_000;

/// A connection on which HTTP/2 is spoken.
pub struct Arrived {
    /// The listener it came from.
    pub local: Rc<Local>,
    /// Its settings.
    pub spec: Arc<ListenerSpec>,
    /// The connection.
    pub stream: Stream,
    /// What was read from it already.
    pub early: Option<Buffer>,
    /// Who it is.
    pub peer: Rc<Peer>,
    /// When it has to end, in milliseconds of the worker.
    pub until_ms: u64,
}

/// Serves a connection to its end.
pub async fn serve(worker: &Rc<Worker>, arrived: Arrived) {
    let Arrived { local, spec, stream, early, peer, until_ms } = arrived;
    let deadline = worker.deadlines.slot();
    let now_ms = worker.deadlines.now_ms();
    let hello_by_ms = now_ms + spec.timeouts.head.as_millis() as u64;
    let rules = Rules {
        asks: false,
        stream_window: STREAM_WINDOW,
        connection_window: CONNECTION_WINDOW,
        window_max: WINDOW_MAX,
        secure: stream.scheme() == "https",
        streams: spec.limits.streams,
        list: spec.limits.head,
        lines: spec.limits.headers,
    };
    let mut connection = Connection {
        worker: Rc::clone(worker),
        local,
        spec,
        peer,
        pulse: Pulse::new(now_ms),
        link: Link::new(Session::new(rules), stream, early),
        account: Account::new(now_ms),
        until_ms,
        hello_by_ms,
        farewell: None,
        leaving_since_ms: None,
    };
    let ended = poll_fn(|cx| connection.poll(&deadline, cx)).await;
    let Connection { link, .. } = connection;
    if ended != Ended::Gone {
        linger(worker, link, &deadline, ended).await;
    }
}

/// How a connection came to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ended {
    /// The client is gone.
    Gone,
    /// In peace.
    Over,
    /// With an error that the client should get to read.
    Broken,
}

struct Connection {
    worker: Rc<Worker>,
    local: Rc<Local>,
    spec: Arc<ListenerSpec>,
    peer: Rc<Peer>,
    link: Link,
    pulse: Pulse,
    account: Rc<Account>,
    until_ms: u64,
    /// When the client has to have said hello.
    hello_by_ms: u64,
    /// Once the worker takes its leave: when this connection is to go, and how many requests it had until then.
    farewell: Option<(Farewell, u64)>,
    /// Since when the client knows that it has to go.
    leaving_since_ms: Option<u64>,
}

impl Connection {
    fn poll(&mut self, deadline: &Deadline, cx: &mut Context<'_>) -> Poll<Ended> {
        let now_ms = self.worker.deadlines.now_ms();
        let received = self.link.received();
        {
            let mut session = self.link.session.borrow_mut();
            session.attend();
            if !self.pulse.beats(received, now_ms, &mut session) {
                return Poll::Ready(Ended::Gone);
            }
        }
        self.leave_in_time(now_ms);
        let worker = Rc::clone(&self.worker);
        if self.link.poll_receive(&worker.stock, &mut || worker.bits(), cx).is_ready() {
            return Poll::Ready(Ended::Gone);
        }
        let opened = self.link.session.borrow_mut().take_opened();
        opened.into_iter().for_each(|it| self.accept(it));
        if let Some(ended) = self.has_ended(now_ms) {
            return Poll::Ready(ended);
        }
        if self.link.poll_rest(cx).is_ready() {
            return Poll::Ready(Ended::Gone);
        }
        deadline.set_ms(self.look_at_ms(now_ms));
        if deadline.poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn has_ended(&mut self, now_ms: u64) -> Option<Ended> {
        let mut session = self.link.session.borrow_mut();
        let overdrawn =
            self.account.is_overdrawn(self.link.received(), session.pieces(), session.cancelled());
        if session.failed().is_none() && overdrawn {
            session.fail(Code::ENHANCE_YOUR_CALM);
        }
        if session.failed().is_some() {
            self.local.cells().rejected(RejectReason::Http2);
            return Some(Ended::Broken);
        }
        if session.is_over() {
            session.part();
            return Some(Ended::Over);
        }
        if !session.is_settled() && now_ms >= self.hello_by_ms {
            self.local.cells().rejected(RejectReason::HeadTimeout);
            return Some(Ended::Gone);
        }
        None
    }

    /// Tells the client to open its next connection when this one is to end: first that it will, then,
    /// when all that was on its way has arrived, which stream was the last.
    fn leave_in_time(&mut self, now_ms: u64) {
        let idle = self.account.is_idle();
        let Some(since_ms) = self.leaving_since_ms else {
            let idle_ms = self.spec.timeouts.idle.as_millis() as u64;
            // When the whole process goes its listeners do too, and everybody has a time of his own.
            let left = self.local.is_leaving() || self.local.policy() != self.peer.policy;
            let closed = left && !self.worker.draining.get();
            let spent = closed
                || self.is_dismissed(idle, now_ms)
                || self.worker.common.memory.closes_waiting()
                || self.account.accepted() >= self.spec.limits.requests
                || now_ms >= self.until_ms
                || (idle && now_ms >= self.account.idle_since_ms() + idle_ms);
            if spent {
                self.leaving_since_ms = Some(now_ms);
                self.link.session.borrow_mut().leave();
            }
            return;
        };
        let late = now_ms >= since_ms.saturating_add(LEAVE_WITHIN_MS);
        let no_room = self.worker.common.memory.closes_waiting();
        // A client that does not listen may always have something under way: the last stream that counts is
        // said to it too.
        if late || (idle && (no_room || self.worker.leave.is_over())) {
            self.link.session.borrow_mut().part();
        }
    }

    /// Whether the leave that the worker takes has come to this connection: whoever asks learns it with the
    /// answer, whoever waits when its moment has come.
    fn is_dismissed(&mut self, idle: bool, now_ms: u64) -> bool {
        if !self.worker.draining.get() {
            return false;
        }
        let accepted = self.account.accepted();
        let (farewell, before) =
            self.farewell.get_or_insert_with(|| (Farewell::since_before(accepted), accepted));
        let moment_ms = farewell.moment_ms(&self.worker, now_ms);
        !idle || accepted > *before || moment_ms.is_some_and(|it| now_ms >= it)
    }

    /// When to look at the time again, if nothing happens before.
    fn look_at_ms(&mut self, now_ms: u64) -> u64 {
        let idle_ms = self.spec.timeouts.idle.as_millis() as u64;
        let farewell = self.farewell.as_mut().and_then(|it| it.0.moment_ms(&self.worker, now_ms));
        let rest = match self.leaving_since_ms {
            None => self.until_ms.min(now_ms + idle_ms).min(farewell.unwrap_or(u64::MAX)),
            Some(_) => now_ms + LEAVE_WITHIN_MS,
        };
        let hello_by_ms = if self.link.session.borrow().is_settled() { u64::MAX } else { self.hello_by_ms };
        rest.min(self.pulse.next_ms()).min(hello_by_ms)
    }

    fn accept(&self, opened: Opened) {
        let (worker, local) = (Rc::clone(&self.worker), Rc::clone(&self.local));
        let (spec, peer) = (Arc::clone(&self.spec), Rc::clone(&self.peer));
        let is_call = opened.head.is_ok_and(|it| it.is_call);
        let session = Rc::clone(&self.link.session);
        let inbound = Inbound::new(session, opened.place, Rc::clone(&self.account), is_call);
        let live = self.account.begin();
        // On the heap: whoever runs a task moves what it is given several times.
        spawn_local(forward::on_heap(|| async move {
            exchange(&worker, &local, spec, peer, opened, inbound, live).await;
        }));
    }
}

/// One request and its answer.
async fn exchange(
    worker: &Rc<Worker>,
    local: &Rc<Local>,
    spec: Arc<ListenerSpec>,
    peer: Rc<Peer>,
    opened: Opened,
    inbound: Inbound,
    live: Live,
) {
    let mut client = Client::of_stream(worker, local, spec, Stream::Inbound(Box::new(inbound)), peer);
    let len = opened.text.len();
    let fits = len <= client.request_limits().head;
    let buffer = if opened.ends || !fits {
        // Nothing more is read, so no room is held for it.
        Buffer::of(opened.text)
    } else {
        let mut buffer = worker.stock.buffer();
        buffer.push(&opened.text);
        buffer
    };
    (client.buffer, client.eof) = (Some(buffer), opened.ends);
    let next = match opened.head {
        Ok(_) if fits => forward::exchange(worker, local, &mut client, len).await,
        Ok(_) => client.refused(worker, local, Refusal::HeadTooLarge).await,
        Err(why) => client.refused(worker, local, why).await,
    };
    client.end(worker, next);
    live.end(worker.deadlines.recent_ms());
}

/// Says the last word, and reads on for a while, so that closing with unread bytes does not destroy it: after an
/// error, and after answers of which the client has not shown that it has read them.
async fn linger(worker: &Worker, mut link: Link, deadline: &Deadline, ended: Ended) {
    link.session.borrow_mut().attend();
    let unread = ended == Ended::Over && link.session.borrow().may_be_unread();
    let until_ms = deadline.now_ms() + UNREAD_TIME_MAX_MS;
    let go_on = |deadline: &Deadline| {
        if unread {
            deadline.set_ms(until_ms.min(deadline.now_ms() + UNREAD_SILENCE_MS));
        }
    };
    deadline.set(LINGER_TIME_MAX);
    go_on(deadline);
    let mut to_write = link.session.borrow().to_write().len();
    let said = poll_fn(|cx| match link.poll_shutdown(cx) {
        Poll::Ready(said) => Poll::Ready(said.is_ok()),
        Poll::Pending => {
            let left = link.session.borrow().to_write().len();
            if std::mem::replace(&mut to_write, left) != left {
                go_on(deadline);
            }
            deadline.poll(cx).map(|()| false)
        }
    })
    .await;
    let mut left = if said && (ended == Ended::Broken || unread) { LINGER_BYTES_MAX } else { 0 };
    while left > 0 {
        let read = poll_fn(|cx| match link.poll_discard(&worker.stock, cx) {
            Poll::Ready(read) => Poll::Ready(read),
            // All has left; what becomes of it is not ours to see.
            Poll::Pending if worker.leave.is_over() || worker.common.memory.closes_waiting() => {
                Poll::Ready(0)
            }
            Poll::Pending => deadline.poll(cx).map(|()| 0),
        })
        .await;
        left = if read == 0 { 0 } else { left.saturating_sub(read) };
        go_on(deadline);
    }
}
