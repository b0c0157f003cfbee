//! One request and its answer on two connections, driven by one task in both directions at once.
//!
//! No channel and no second task: the task is woken by either connection or by its deadline, moves
//! what can be moved, and says what it waits for.

use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::net::TcpStream;

use crate::config::ListenerSpec;

use super::attempt::Attempt;
use super::buffer::Buffer;
use super::connection::{Client, Next};
use super::forward::Job;
use super::h1::{self, Asked, BodyReader, HeadScanner, ResponseLimits, ResponseWriting};
use super::listener::Local;
use super::message::Framing;
use super::patience::{Patience, Wait};
use super::pump::{Flow, Pump};
use super::upstream::{Checkout, Endpoint};
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
}

/// Why there is no whole answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// No endpoint could be reached.
    Connect,
    /// No endpoint could be reached in time.
    ConnectTimeout,
    /// The version ended the connection early.
    Reset,
    /// The same, on a kept connection that may have been closing already.
    Race,
    /// The answer is not HTTP/1, or exceeds a limit.
    Protocol,
    /// The version was silent for too long.
    Timeout,
    /// The client's body breaks the rules of its framing.
    BadBody,
    /// The client's body exceeds the service's limit.
    BodyTooLarge,
    /// The client fell silent in the middle of its body.
    BodyTimeout,
    /// The client sent its body too slowly.
    BodyRate,
    /// The client did not take the answer.
    WriteTimeout,
    /// The client went away.
    ClientGone,
}

impl Failure {
    /// Status, `x-tidegate-error` and text of the answer that the client gets for it.
    pub fn answer(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::Connect => (502, "upstream_connect", "no endpoint could be reached\n"),
            Self::ConnectTimeout => (504, "upstream_connect", "no endpoint could be reached in time\n"),
            Self::Reset | Self::Race => (502, "upstream_reset", "the connection ended before the answer\n"),
            Self::Protocol => (502, "upstream_reset", "the answer was malformed\n"),
            Self::Timeout => (504, "upstream_timeout", "there was no answer in time\n"),
            Self::BadBody => (400, "client_abort", "the body is malformed or incomplete\n"),
            Self::BodyTooLarge => (413, "limit", "the body is larger than this service takes\n"),
            Self::BodyTimeout | Self::BodyRate => (408, "limit", "the body did not arrive in time\n"),
            Self::WriteTimeout | Self::ClientGone => (499, "client_abort", ""),
        }
    }
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
    /// What is to be done.
    pub job: Job,
    /// What is counted.
    pub attempt: Attempt,
    /// Whether the client has seen a byte of a final answer.
    pub response_begun: bool,
    upstream: Option<TcpStream>,
    reused: bool,
    buffer: Option<Buffer>,
    scanner: HeadScanner,
    download: Pump,
    answer: Answer,
    upload_done: bool,
    upload_lost: bool,
    heard: bool,
    interim: u32,
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
        listener: &ListenerSpec,
        job: Job,
        attempt: Attempt,
    ) -> Self {
        let download = Pump::new(worker.stock.head());
        let now_us = attempt.began_us();
        let patience = Patience::new(&job.spec.timeouts, listener, now_us / 1000);
        Self {
            held_since_ms: None,
            first_pass: false,
            now_us,
            worker,
            local,
            job,
            attempt,
            response_begun: false,
            upstream: None,
            reused: false,
            buffer: None,
            scanner: HeadScanner::new(),
            download,
            answer: Answer::Head,
            upload_done: false,
            upload_lost: false,
            heard: false,
            interim: 0,
            close_client: true,
            keep_upstream: false,
            tunnel: false,
            reads: 0,
            patience,
        }
    }

    /// Has a connection now.
    pub fn start(&mut self, checkout: Checkout) {
        if !checkout.reused {
            // Opening it took its time.
            self.worker.deadlines.now_us();
        }
        self.reused = checkout.reused;
        self.upstream = Some(checkout.stream);
        self.now_us = self.worker.deadlines.recent_us();
        self.first_pass = true;
        self.attempt.sent(self.now_us);
        self.patience.sent(self.now_ms());
    }

    fn now_ms(&self) -> u64 {
        self.now_us / 1000
    }

    /// Forgets the connection that was found closed.
    pub fn again(&mut self) {
        self.attempt.cells().retry();
        self.upstream = None;
        self.upload_done = false;
        self.upload_lost = false;
        self.job.upload.rewind();
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
        self.patience.quiet();
        if self.upload_done || self.upload_lost || (self.job.upload.held && self.held_since_ms.is_some()) {
            self.watch_client(client, cx)?;
        } else {
            self.upload(client, cx)?;
        }
        if self.upload_done && !self.tunnel {
            client.rest(self.worker);
        }
        self.download(client, cx)
    }

    /// Passes the request on.
    fn upload(&mut self, client: &mut Client, cx: &mut Context<'_>) -> Step {
        client.buffer(self.worker);
        loop {
            let (Some(upstream), Some(buffer)) = (&mut self.upstream, &mut client.buffer) else {
                return Ok(());
            };
            let before = self.job.upload.moved;
            let flow = self.job.upload.poll(buffer, upstream, cx);
            let moved = self.job.upload.moved - before;
            if moved > 0 {
                self.patience.upload_moved(moved, self.now_us / 1000);
            }
            match flow {
                Flow::Done => {
                    self.upload_done = true;
                    self.patience.sent(self.now_us / 1000);
                    // While the answer is awaited, nothing is held for the client: the few buffers in
                    // use stay in the processor's cache however many requests are under way.
                    if buffer.is_empty()
                        && let Some(buffer) = client.buffer.take()
                    {
                        self.worker.stock.put_buffer(buffer);
                    }
                    if self.tunnel {
                        shut(upstream, cx);
                        return Ok(());
                    }
                    return self.watch_client(client, cx);
                }
                Flow::Hungry if self.job.upload.held => {
                    self.held_since_ms = Some(self.now_ms());
                    self.patience.sent(self.now_ms());
                    return self.watch_client(client, cx);
                }
                Flow::Hungry => {
                    if !self.read_body(client, cx)? {
                        return Ok(());
                    }
                }
                Flow::Blocked => {
                    self.patience.wait(Wait::UpstreamTakes);
                    return Ok(());
                }
                Flow::Sink if self.tunnel => return Err(Verdict::Ended(Next::Close)),
                // It may have answered before it closed: that answer is worth more than our error.
                Flow::Sink => {
                    self.upload_lost = true;
                    return Ok(());
                }
                Flow::Source => return Err(Verdict::Failed(Failure::BadBody)),
                Flow::TooLarge => return Err(Verdict::Failed(Failure::BodyTooLarge)),
            }
        }
    }

    /// Reads more of the client's body. False if there is nothing now.
    fn read_body(&mut self, client: &mut Client, cx: &mut Context<'_>) -> Result<bool, Verdict> {
        let Some(buffer) = &mut client.buffer else { return Ok(false) };
        let read = if client.eof { Poll::Ready(Ok(0)) } else { buffer.poll_fill(&mut client.stream, cx) };
        match read {
            Poll::Pending => {
                self.patience.wait(if self.tunnel { Wait::Tunnel } else { Wait::ClientSends });
                Ok(false)
            }
            Poll::Ready(Err(_)) => Err(Verdict::Failed(Failure::ClientGone)),
            Poll::Ready(Ok(0)) => {
                client.eof = true;
                match self.job.upload.source_ended() {
                    Ok(()) => Ok(true),
                    Err(_) => Err(Verdict::Failed(Failure::BadBody)),
                }
            }
            Poll::Ready(Ok(_)) => Ok(true),
        }
    }

    /// While nothing is read from the client, a reset still shows. A client that has only finished
    /// sending still gets its answer.
    fn watch_client(&mut self, client: &mut Client, cx: &mut Context<'_>) -> Step {
        while !client.eof && client.stream.poll_read_ready(cx).is_ready() {
            let buffer = client.buffer.get_or_insert_with(|| self.worker.stock.buffer());
            if buffer.is_full() {
                return Ok(());
            }
            match buffer.poll_fill(&mut client.stream, cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(_)) => return Err(Verdict::Failed(Failure::ClientGone)),
                Poll::Ready(Ok(0)) => client.eof = true,
                Poll::Ready(Ok(_)) => {}
            }
        }
        Ok(())
    }

    /// Passes the answer on.
    fn download(&mut self, client: &mut Client, cx: &mut Context<'_>) -> Step {
        if self.upstream.is_none() {
            return Ok(());
        }
        let mut buffer = self.buffer.take().unwrap_or_else(|| self.worker.stock.buffer());
        let step = self.download_with(&mut buffer, client, cx);
        if buffer.is_empty() && self.answer == Answer::Head {
            // A long wait for an answer holds no memory.
            self.worker.stock.put_buffer(buffer);
        } else {
            self.buffer = Some(buffer);
        }
        step
    }

    fn download_with(&mut self, buffer: &mut Buffer, client: &mut Client, cx: &mut Context<'_>) -> Step {
        while self.answer == Answer::Head {
            if !self.flush_interim(buffer, client, cx)? {
                return Ok(());
            }
            if !self.read_head(buffer, client, cx)? {
                return Ok(());
            }
        }
        while self.answer == Answer::Body {
            let before = self.download.moved;
            let flow = self.download.poll(buffer, &mut client.stream, cx);
            if self.download.moved > before {
                self.response_begun = true;
                self.patience.answer_moved(self.now_us / 1000);
            }
            match flow {
                Flow::Done => {
                    self.answer = Answer::Done;
                    if self.tunnel {
                        shut(&mut client.stream, cx);
                    }
                }
                Flow::Hungry => {
                    if !self.read_answer(buffer, cx)? {
                        return Ok(());
                    }
                }
                Flow::Blocked => {
                    self.patience.wait(Wait::ClientTakes);
                    return Ok(());
                }
                Flow::Sink => return Err(Verdict::Failed(Failure::ClientGone)),
                Flow::Source | Flow::TooLarge => return Err(Verdict::Failed(Failure::Protocol)),
            }
        }
        Ok(())
    }

    /// Sends interim answers on. False while the client does not take them.
    fn flush_interim(
        &mut self,
        buffer: &mut Buffer,
        client: &mut Client,
        cx: &mut Context<'_>,
    ) -> Result<bool, Verdict> {
        if self.download.front.is_empty() {
            return Ok(true);
        }
        self.download.held = true;
        let flow = self.download.poll(buffer, &mut client.stream, cx);
        self.download.held = false;
        match flow {
            Flow::Blocked => {
                self.patience.wait(Wait::ClientTakes);
                Ok(false)
            }
            Flow::Sink => Err(Verdict::Failed(Failure::ClientGone)),
            Flow::Done | Flow::Hungry | Flow::Source | Flow::TooLarge => {
                self.download.restart();
                Ok(true)
            }
        }
    }

    /// Reads the answer's head. False if more must arrive first.
    fn read_head(
        &mut self,
        buffer: &mut Buffer,
        client: &mut Client,
        cx: &mut Context<'_>,
    ) -> Result<bool, Verdict> {
        let limits = self.response_limits();
        loop {
            if !buffer.is_empty() {
                match self.scanner.scan_response(buffer.filled(), &limits) {
                    Ok(Some(len)) => {
                        self.scanner.reset();
                        return self.take_head(buffer, client, len).map(|()| true);
                    }
                    Ok(None) => {}
                    Err(_) => return Err(Verdict::Failed(Failure::Protocol)),
                }
            }
            let Some(upstream) = &mut self.upstream else { return Ok(false) };
            match buffer.poll_fill(upstream, cx) {
                Poll::Pending => {
                    // Before the request has been sent, whoever holds it up is waited for instead.
                    if self.upload_done || self.upload_lost || self.held_since_ms.is_some() {
                        self.patience.wait(Wait::Head);
                    }
                    return Ok(false);
                }
                Poll::Ready(Ok(0) | Err(_)) => return Err(self.no_answer()),
                Poll::Ready(Ok(_)) => {
                    self.heard = true;
                    self.reads += 1;
                }
            }
        }
    }

    /// The connection ended without an answer.
    fn no_answer(&self) -> Verdict {
        let unheard = self.reused && !self.heard;
        match (unheard, self.job.upload.moved > 0) {
            (true, false) => Verdict::Stale,
            (true, true) if self.job.request.is_replayable() => Verdict::Stale,
            (true, true) => Verdict::Failed(Failure::Race),
            (false, _) => Verdict::Failed(Failure::Reset),
        }
    }

    fn response_limits(&self) -> ResponseLimits {
        let limits = &self.job.spec.limits;
        ResponseLimits {
            head: limits.response_head.min(super::buffer::BUFFER_BYTES),
            headers: limits.response_headers,
        }
    }

    /// Turns the upstream's head into ours.
    fn take_head(&mut self, buffer: &mut Buffer, client: &mut Client, len: usize) -> Step {
        let protocol = |_| Verdict::Failed(Failure::Protocol);
        let mut scratch = self.worker.scratch.borrow_mut();
        let head = &mut scratch.response;
        let request = self.job.request;
        let asked = Asked { kind: request.kind, upgrade: request.upgrade };
        let buf = &buffer.filled()[..len];
        h1::parse_response(buf, &self.response_limits(), asked, head).map_err(protocol)?;
        if head.is_interim() {
            self.interim += 1;
            if self.interim > self.job.spec.limits.interim {
                return Err(Verdict::Failed(Failure::Protocol));
            }
            let wanted = !request.http10 && (head.status != 100 || self.job.upload.held);
            if wanted {
                h1::write_interim(head, buf, &mut self.download.front);
                self.download.load_front();
            }
            if head.status == 100 {
                (self.job.upload.held, self.held_since_ms) = (false, None);
            }
            buffer.consume(len);
            return Ok(());
        }
        self.attempt.answered(head.status, self.now_us);
        self.patience.answer_moved(self.now_us / 1000);
        self.tunnel = head.upgraded;
        let framing = framing_out(head.framing, request.http10, self.tunnel);
        self.close_client = !request.keep_alive
            || !self.upload_done
            || self.tunnel
            || framing == Framing::UntilClose
            || client.is_spent(self.worker, self.now_us / 1000);
        self.keep_upstream = head.keep_alive && !self.tunnel && head.framing != Framing::UntilClose;
        let trailers = request.te_trailers && head.framing == Framing::Chunked && framing == Framing::Chunked;
        let how = ResponseWriting {
            framing,
            close: self.close_client,
            client_http10: request.http10,
            edits: &self.job.response_headers,
            date: &self.worker.date(),
            trailers,
        };
        h1::write_response(head, buf, &how, &mut self.download.front);
        self.download.load_front();
        self.download.reader = match self.tunnel {
            true => BodyReader::new(Framing::UntilClose, Framing::UntilClose),
            false => BodyReader::new(head.framing, framing),
        };
        if trailers {
            self.download.reader.keep_trailers();
        }
        if self.tunnel {
            self.open_tunnel();
        }
        drop(scratch);
        buffer.consume(len);
        self.answer = Answer::Body;
        Ok(())
    }

    /// From here on, bytes pass both ways until both sides have finished.
    fn open_tunnel(&mut self) {
        self.job.upload.reader = BodyReader::new(Framing::UntilClose, Framing::UntilClose);
        self.job.upload.content_max = None;
        self.upload_done = false;
        self.patience.open_end();
        self.attempt.complete(false);
    }

    /// Reads more of the answer's body. False if there is nothing now.
    fn read_answer(&mut self, buffer: &mut Buffer, cx: &mut Context<'_>) -> Result<bool, Verdict> {
        let Some(upstream) = &mut self.upstream else { return Ok(false) };
        match buffer.poll_fill(upstream, cx) {
            Poll::Pending => {
                self.patience.wait(if self.tunnel { Wait::Tunnel } else { Wait::Body });
                Ok(false)
            }
            Poll::Ready(Err(_)) => Err(Verdict::Failed(Failure::Reset)),
            Poll::Ready(Ok(0)) => match self.download.source_ended() {
                Ok(()) => Ok(true),
                Err(_) => Err(Verdict::Failed(Failure::Reset)),
            },
            Poll::Ready(Ok(_)) => {
                self.reads += 1;
                Ok(true)
            }
        }
    }

    fn poll_patience(&mut self, client: &mut Client, cx: &mut Context<'_>) -> Poll<Verdict> {
        let now_ms = self.now_ms();
        if let Some(failure) = self.patience.exhausted(now_ms) {
            return Poll::Ready(Verdict::Failed(failure));
        }
        let mut until_ms = self.patience.until_ms();
        if let Some(since_ms) = self.held_since_ms {
            if now_ms >= since_ms + EXPECT_MS_MAX {
                self.stop_holding();
                cx.waker().wake_by_ref();
            }
            until_ms = until_ms.min(since_ms + EXPECT_MS_MAX);
        }
        client.deadline.set_ms(until_ms);
        client.deadline.poll(cx).map(|()| Verdict::Failed(Failure::Timeout))
    }

    /// The upstream keeps silent about the body, and the client would wait for ever.
    fn stop_holding(&mut self) {
        (self.job.upload.held, self.held_since_ms) = (false, None);
        if !self.job.request.http10 {
            self.download.front.extend_from_slice(h1::CONTINUE);
            self.download.load_front();
        }
    }

    fn next(&mut self, client: &Client) -> Next {
        self.now_us = self.worker.deadlines.now_us();
        if !self.tunnel {
            let bad = self.attempt.status.is_some_and(|it| self.job.spec.error_status.counts(it));
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
            endpoint.put_back(upstream, self.now_us / 1000);
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

/// How a body goes on. Chunks are not for HTTP/1.0, and a body without an end in sight gets chunks,
/// so that its end can be told from a break.
fn framing_out(framing: Framing, http10: bool, tunnel: bool) -> Framing {
    match framing {
        _ if tunnel => Framing::None,
        Framing::Chunked | Framing::UntilClose if http10 => Framing::UntilClose,
        Framing::Chunked | Framing::UntilClose => Framing::Chunked,
        Framing::None | Framing::Length(_) => framing,
    }
}

/// Tells the other side that no more will come. If that fails, it is gone and the next read says so.
fn shut(stream: &mut TcpStream, cx: &mut Context<'_>) {
    let _ = tokio::io::AsyncWrite::poll_shutdown(std::pin::Pin::new(stream), cx);
}
