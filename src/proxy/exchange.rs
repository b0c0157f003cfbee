//! One request and its answer on two connections, driven by one task in both directions at once.
//!
//! No channel and no second task: the task is woken by either connection or by its deadline, moves
//! what can be moved, and says what it waits for.

mod again;
mod download;
mod upload;

pub use again::{Aside, Spared};

use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::h1::{self, HeadScanner};
use crate::message::Framing;

use super::attempt::Attempt;
use super::buffer::Buffer;
use super::connection::{Client, Next, Peer};
use super::failure::Failure;
use super::forward::Job;
use super::grpc::Call;
use super::listener::Local;
use super::patience::{Patience, Wait};
use super::pump::{Flow, Pump};
use super::quota::Permit;
use super::stream::Stream;
use super::upstream::{Checkout, Endpoint, Link};
use super::view::Budgets;
use super::worker::Worker;

/// Most time that a client is kept waiting for the upstream's 100 before it is told to go on
/// (RFC 9110 section 10.1.1 leaves it to us).
const EXPECT_MS_MAX: u64 = 1_000;

/// How an attempt on one connection ended.
#[derive(Debug)]
pub enum Verdict {
    /// The answer was passed on; this happens to the client's connection.
    Ended(Next),
    /// No answer, or only a part of one.
    Failed(Failure),
    /// A kept connection turned out to be closed before anything was lost: try a fresh one.
    Stale,
    /// The endpoint says that it has done nothing about the request, and never will.
    Unbegun,
    /// There is an answer of this status, for which there may be a better one. Nothing of it was passed on;
    /// going on does that.
    Spared(u16),
}

/// Where the answer stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Answer {
    /// The head, or an interim one, is awaited.
    Head,
    /// The body is passed on.
    Body,
    /// Everything was passed on.
    Done,
}

/// One request and its answer.
pub struct Exchange<'a> {
    /// The worker it runs on.
    pub worker: &'a Rc<Worker>,
    /// The listener it came from.
    pub local: &'a Rc<Local>,
    /// Who asks.
    pub peer: Rc<Peer>,
    /// What is to be done.
    pub job: Job,
    /// What is counted.
    pub attempt: Attempt,
    /// Whether the client has seen a byte of a final answer.
    pub response_begun: bool,
    /// Answers that are not passed on at once.
    pub spared: Spared,
    /// Its place among the requests of the version, if they are limited.
    pub place: Option<Permit>,
    /// Until when it waits for places.
    pub queued_until_ms: Option<u64>,
    upstream: Option<Link>,
    reused: bool,
    buffer: Option<Buffer>,
    scanner: HeadScanner,
    download: Pump,
    /// What is known of it if it answers a gRPC call.
    call: Call,
    answer: Answer,
    upload_done: bool,
    upload_lost: bool,
    heard: bool,
    interim: u32,
    /// Bytes of interim answers that went out whole.
    interim_bytes: u64,
    close_client: bool,
    keep_upstream: bool,
    tunnel: bool,
    reads: u32,
    patience: Patience,
    /// Since when the body waits for the upstream's 100.
    held_since_ms: Option<u64>,
    /// The first pass follows at once on [`Exchange::start`].
    first_pass: bool,
    /// The moment of this pass: one look at the clock serves all of it.
    now_us: u64,
}

type Step = Result<(), Verdict>;

impl<'a> Exchange<'a> {
    /// Has a job and no connection yet.
    pub fn new(
        worker: &'a Rc<Worker>,
        local: &'a Rc<Local>,
        client: &Client,
        job: Job,
        attempt: Attempt,
    ) -> Self {
        let download = Pump::new(worker.stock.head());
        let now_us = attempt.began_us();
        let patience = Patience::new(&job.spec.timeouts, &client.spec, now_us / 1000);
        Self {
            held_since_ms: None,
            first_pass: false,
            now_us,
            worker,
            local,
            peer: Rc::clone(&client.peer),
            job,
            attempt,
            response_begun: false,
            spared: Spared::default(),
            place: None,
            queued_until_ms: None,
            upstream: None,
            reused: false,
            buffer: None,
            scanner: HeadScanner::new(),
            download,
            call: Call::default(),
            answer: Answer::Head,
            upload_done: false,
            upload_lost: false,
            heard: false,
            interim: 0,
            interim_bytes: 0,
            close_client: true,
            keep_upstream: false,
            tunnel: false,
            reads: 0,
            patience,
        }
    }

    /// Has a connection now, which was looked for when it had [gone on](Attempt::busy_us) for `before_us`.
    pub fn start(&mut self, checkout: Checkout, before_us: u64) {
        if !checkout.reused {
            // Opening it took its time.
            let busy_us = self.attempt.busy_us(self.worker.deadlines.now_us());
            self.patience.version_took(busy_us.saturating_sub(before_us) / 1000);
        }
        self.reused = checkout.reused;
        let framing = self.job.request.framing;
        let mut stream = checkout.stream;
        if let Some(end) = stream.outbound() {
            // If it cannot be sent, that shows when the answer is looked for.
            let _ = end.send_head(&self.job.upload.front, framing.is_empty());
            self.job.upload.head_went_apart(Framing::UntilClose);
        }
        self.upstream = Some(stream);
        self.now_us = self.worker.deadlines.recent_us();
        self.first_pass = true;
        self.attempt.sent(self.now_us);
        self.patience.sent(self.now_ms());
        self.patience.quiet(self.now_ms());
    }

    /// The version is made to take so much longer.
    pub fn lag(&mut self, lag: Duration) {
        self.attempt.lag(lag);
        self.patience.version_took(lag.as_millis() as u64);
    }

    fn now_ms(&self) -> u64 {
        self.now_us / 1000
    }

    /// Whether the answer was a change of protocol, and what follows is none of an answer.
    pub fn is_tunnel(&self) -> bool {
        self.tunnel
    }

    /// Moves what can be moved.
    pub fn poll(&mut self, client: &mut Client, cx: &mut Context<'_>) -> Poll<Verdict> {
        if !std::mem::take(&mut self.first_pass) {
            self.now_us = self.worker.deadlines.now_us();
        }
        match self.advance(client, cx) {
            Err(verdict) => return Poll::Ready(verdict),
            Ok(()) if self.answer == Answer::Done && (!self.tunnel || self.upload_done) => {
                return Poll::Ready(Verdict::Ended(self.next(client)));
            }
            Ok(()) => {}
        }
        self.poll_patience(client, cx)
    }

    fn advance(&mut self, client: &mut Client, cx: &mut Context<'_>) -> Step {
        self.patience.quiet(self.now_ms());
        if self.upload_done || self.upload_lost || (self.job.upload.held && self.held_since_ms.is_some()) {
            self.watch_client(client, cx)?;
            if self.held_since_ms.is_some() && client.has_unread() {
                self.let_go_on();
                self.upload(client, cx)?;
            }
        } else if client.stream.poll_gone(cx).is_ready() {
            return Err(Verdict::Failed(Failure::ClientGone));
        } else {
            self.upload(client, cx)?;
        }
        if self.upload_done && !self.tunnel {
            client.rest(self.worker);
        }
        let was_open = self.tunnel;
        self.download(client, cx)?;
        if self.tunnel && !was_open {
            // What the client has said ahead of the switch was read by whoever watched it, and nothing else will
            // bring it up.
            self.upload(client, cx)?;
        }
        Ok(())
    }

    fn poll_patience(&mut self, client: &mut Client, cx: &mut Context<'_>) -> Poll<Verdict> {
        let now_ms = self.now_ms();
        if let Some(failure) = self.patience.exhausted(now_ms) {
            return Poll::Ready(match failure {
                Failure::Idle => self.end_idle(client, cx),
                _ => Verdict::Failed(failure),
            });
        }
        // The end of a connection says by itself that a tunnel, or a stream of HTTP/2, came to none.
        let says_it = self.tunnel || matches!(client.stream, Stream::Inbound(_));
        if self.worker.leave.is_cut() && !says_it {
            return Poll::Ready(Verdict::Failed(Failure::Ending));
        }
        let retired_ms = self.job.version.budgets.left_ms(self.job.evidence.is_some());
        let leave_ms = if retired_ms == Budgets::IN_USE { u64::MAX } else { self.leave_ms(retired_ms) };
        if now_ms >= leave_ms {
            return Poll::Ready(Verdict::Failed(Failure::Retired));
        }
        let mut until_ms = self.patience.until_ms().min(leave_ms);
        if self.answer == Answer::Head
            && let Some(at_us) = self.attempt.aged(self.now_us)
        {
            // Nobody is cut off then: this pass comes again and counts.
            until_ms = until_ms.min(at_us.div_ceil(1000));
        }
        if let Some(since_ms) = self.held_since_ms {
            if now_ms >= since_ms + EXPECT_MS_MAX {
                self.stop_holding();
                cx.waker().wake_by_ref();
            }
            until_ms = until_ms.min(since_ms + EXPECT_MS_MAX);
        }
        client.deadline.set_ms(until_ms);
        if client.deadline.poll(cx).is_ready() {
            // The next pass sees what has passed, and whose it was.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Ends a tunnel in which nothing is said, as either of its ends would.
    fn end_idle(&mut self, client: &mut Client, cx: &mut Context<'_>) -> Verdict {
        self.attempt.trail.failed(Failure::Idle.answer().1);
        shut(&mut client.stream, cx);
        if let Some(upstream) = &mut self.upstream {
            shut(upstream, cx);
        }
        Verdict::Ended(Next::Close)
    }

    /// When nothing may go on any more with a version that has no traffic. What began after it had lost it,
    /// by a pin, has as long from there.
    fn leave_ms(&self, retired_ms: u64) -> u64 {
        let since_ms = retired_ms.max(self.attempt.began_us() / 1000);
        self.job.spec.timeouts.drain.map_or(u64::MAX, |it| since_ms.saturating_add(it.as_millis() as u64))
    }

    /// The body waits for nobody's word any more. What was waited so far is nothing that the version has to
    /// answer for.
    fn let_go_on(&mut self) {
        (self.job.upload.held, self.held_since_ms) = (false, None);
        self.patience.held_for_nobody();
    }

    /// The upstream keeps silent about the body, and the client would wait for ever.
    fn stop_holding(&mut self) {
        self.let_go_on();
        if !self.job.request.http10 {
            self.download.front.extend_from_slice(h1::CONTINUE);
            self.download.load_front();
        }
    }

    fn next(&mut self, client: &Client) -> Next {
        self.now_us = self.worker.deadlines.now_us();
        if !self.tunnel {
            let counted = self.job.spec.error_status;
            let call = self.call.status(self.download.reader.trailers());
            let bad = self.attempt.status.is_some_and(|it| counted.counts(it))
                || call.is_some_and(|it| counted.counts_grpc(it));
            self.attempt.complete(bad);
            if self.upload_done && self.reads == 1 && self.job.upload.content == 0 {
                self.attempt.was_plain();
            }
        }
        if !self.close_client {
            return Next::Again;
        }
        let unread = client.buffer.as_ref().is_some_and(|it| !it.is_empty());
        if self.tunnel || (self.upload_done && !unread) { Next::Close } else { Next::Linger }
    }

    /// Ends an exchange whose answer was passed on; the upstream's connection is kept if it may be.
    pub fn finish(mut self, endpoint: &Endpoint, next: Next) -> Next {
        self.count();
        let drained = self.buffer.as_ref().is_none_or(Buffer::is_empty);
        if self.keep_upstream
            && self.upload_done
            && drained
            && let Some(upstream) = self.upstream.take()
        {
            endpoint.put_back(&self.peer, upstream, self.now_us / 1000);
        }
        self.give_back();
        next
    }

    /// Ends an exchange whose answer broke off in the middle.
    pub fn cut(mut self) -> Next {
        self.count();
        self.give_back();
        Next::Reset
    }

    fn count(&mut self) {
        self.attempt.request_bytes = self.job.upload.content;
        self.attempt.response_bytes = self.download.content;
    }

    fn give_back(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            self.worker.stock.put_buffer(buffer);
        }
        self.worker.stock.put_head(std::mem::take(&mut self.job.upload.front));
        self.worker.stock.put_head(std::mem::take(&mut self.download.front));
    }
}

/// Tells the other side that no more will come. If that fails, it is gone and the next read says so.
fn shut(stream: &mut Stream, cx: &mut Context<'_>) {
    let _ = tokio::io::AsyncWrite::poll_shutdown(std::pin::Pin::new(stream), cx);
}
