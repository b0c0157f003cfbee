//! One request, from its head to the end of its answer: routed, given to a version, sent to an
//! endpoint, and sent again elsewhere where that is safe.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use crate::h1::Answer;
use crate::message::{Framing, MethodKind};
use crate::model::ClientShard;
use crate::routing::{HeaderEdits, Injected, Key, ServiceSpec};
use crate::runtime::mishap;
use crate::telemetry::{ErrorKind, RejectReason, Trouble};

use super::attempt::Attempt;
use super::connection::{Client, Next, base};
use super::course::{Course, Recourse};
use super::exchange::{Exchange, Verdict};
use super::failure::Failure;
use super::listener::Local;
use super::mirror::Copy;
use super::plan::{Planned, plan};
use super::pump::Pump;
use super::retry::{self, Loss};
use super::trail::Trail;
use super::view::VersionView;
use super::worker::Worker;

/// What must be known of a request after its head was consumed.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Method.
    pub kind: MethodKind,
    /// Whether the client speaks HTTP/1.0.
    pub http10: bool,
    /// Whether the client lets the connection be used again.
    pub keep_alive: bool,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the client waits for a 100.
    pub expect_continue: bool,
    /// Whether it asks for another protocol.
    pub upgrade: bool,
    /// Whether it takes trailers.
    pub te_trailers: bool,
}

impl Request {
    /// Whether it makes no difference how often it is sent. That goes for a handshake too: before it is answered
    /// there is nothing that could be lost.
    pub fn is_idempotent(&self) -> bool {
        retry::is_idempotent(self.kind) && !self.is_begun_tunnel()
    }

    /// Whether something follows a question for another protocol before it is answered: that may be lost.
    pub fn is_begun_tunnel(&self) -> bool {
        self.upgrade && !self.framing.is_empty()
    }
}

/// A request that has a version.
pub struct Job {
    /// What it asks.
    pub request: Request,
    /// The service's settings.
    pub spec: Arc<ServiceSpec>,
    /// The version that was chosen.
    pub version: Rc<VersionView>,
    /// The version that answers if this one, which is on trial, does not.
    pub cover: Option<Rc<VersionView>>,
    /// What chooses the endpoint, if the service's balance goes by something.
    pub key: Option<Key>,
    /// What is made to befall it.
    pub fault: Injected,
    /// Whether the answer says where the time went.
    pub server_timing: bool,
    /// Header changes towards the client.
    pub response_headers: HeaderEdits,
    /// The head for the endpoint, written, and the body to come.
    pub upload: Pump,
    /// A copy for a version that answers nobody.
    pub copy: Option<Box<Copy>>,
    /// The shard it is evidence of; `None` if the split did not choose.
    pub evidence: Option<ClientShard>,
}

/// Answers the request whose head is the first `len` bytes of the client's buffer.
pub async fn exchange(worker: &Rc<Worker>, local: &Rc<Local>, client: &mut Client, len: usize) -> Next {
    mishap("request");
    // What follows counts from here.
    worker.deadlines.now_us();
    client.trail = Trail::begin(worker, client);
    let next = answered(worker, local, client, len).await;
    client.trail = Trail::default();
    next
}

/// On the heap: all of this is large, and a connection that rests between two requests would keep its place.
async fn answered(worker: &Rc<Worker>, local: &Rc<Local>, client: &mut Client, len: usize) -> Next {
    match plan(worker, local, client, len) {
        Planned::Answered { status, error, text, line, close, head, http10 } => {
            let date = worker.date();
            let extra = line.as_ref().map(|it| (it.0, it.1.as_str()));
            let answer = Answer {
                status,
                error,
                text,
                close,
                head,
                client_http10: http10,
                extra: extra.as_slice(),
                ..base(&date)
            };
            on_heap(|| client.answer(worker, &answer)).await
        }
        Planned::Refused(why) => on_heap(|| client.refused(worker, local, why)).await,
        Planned::Forward(job) => on_heap(|| forward(worker, local, client, job)).await,
    }
}

/// Makes a future where it is to stay: the room is there before what is put into it, so that only what a
/// future begins with is written, and not all that it may ever hold is moved.
pub fn on_heap<F>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    let room = Box::new_uninit();
    Box::into_pin(Box::write(room, make()))
}

async fn forward(worker: &Rc<Worker>, local: &Rc<Local>, client: &mut Client, job: Box<Job>) -> Next {
    let mut attempt = Attempt::begin(worker, local, &job.version, job.evidence);
    attempt.trail = client.trail.clone();
    let mut exchange = Exchange::new(worker, local, client, *job, attempt);
    let mut course = Course::new(exchange.job.key);
    loop {
        exchange.spared = exchange.spared(&course);
        let loss = match exchange.go_on(client, &mut course).await {
            Verdict::Ended(next) => return exchange.arrive(course, next),
            // A connection that was kept may have been closed by its endpoint just now. That is found out
            // by using it, and says nothing about the version: one more try, on a fresh one.
            Verdict::Stale => {
                exchange.attempt.cells().recourse.retry(Trouble::Closed);
                exchange.again();
                course.leave();
                course.line.step_back();
                course.fresh_only = true;
                continue;
            }
            Verdict::Unbegun if exchange.begin_anew(&mut course) => continue,
            Verdict::Unbegun => Loss::Failed(Failure::Unbegun),
            Verdict::Failed(failure) => Loss::Failed(failure),
            Verdict::Spared(status) => Loss::Answered(status),
        };
        match exchange.recourse(&course, loss) {
            Recourse::Stable(cover) => exchange.go_to_stable(&mut course, loss, cover),
            Recourse::Elsewhere => exchange.go_elsewhere(&mut course, loss),
            Recourse::None => {
                if let Some(failure) = exchange.settle(&mut course, loss) {
                    return exchange.give_up(client, failure).await;
                }
            }
        }
    }
}

impl Exchange<'_> {
    /// Answers for a version that did not.
    async fn give_up(mut self, client: &mut Client, failure: Failure) -> Next {
        self.blame(failure);
        client.trail.failed(failure.answer().1);
        let nobody_there = matches!(failure, Failure::ClientGone | Failure::WriteTimeout);
        if self.response_begun || nobody_there {
            return self.cut();
        }
        let (status, error, text) = failure.answer();
        self.attempt.status = Some(status);
        // A reader that was stopped by a fault may still stand at an end.
        let stopped = matches!(failure, Failure::BadBody | Failure::BodyTooLarge);
        let close = !self.job.request.keep_alive
            || stopped
            || !self.job.upload.reader.is_done()
            || client.is_spent(self.worker, self.worker.deadlines.recent_ms());
        if failure == Failure::Limited {
            self.local.cells().rejected(RejectReason::Overloaded);
        }
        // What is lacking here is there again soon.
        let lacks = matches!(failure, Failure::Limited | Failure::NoDescriptor | Failure::NoPort);
        let later: &[(&str, &str)] = if lacks { &[("retry-after", "1")] } else { &[] };
        let date = self.worker.date();
        let answer = Answer {
            status,
            error: Some(error),
            text,
            close,
            extra: later,
            head: self.job.request.kind == MethodKind::Head,
            client_http10: self.job.request.http10,
            ..base(&date)
        };
        let worker = Rc::clone(self.worker);
        drop(self);
        client.answer(&worker, &answer).await
    }

    /// Counts a failure where it belongs.
    pub(super) fn blame(&mut self, failure: Failure) {
        match failure {
            // The answer was the change of protocol. What comes of the tunnel is between its ends.
            Failure::Reset | Failure::Protocol | Failure::Timeout if self.is_tunnel() => {
                self.attempt.not_judged()
            }
            Failure::Connect | Failure::ConnectTimeout | Failure::NoneReady => {
                self.attempt.failed(ErrorKind::Connect);
            }
            Failure::Tls => self.attempt.failed(ErrorKind::Tls),
            Failure::Injected(status) => {
                self.attempt.status = Some(status);
                self.attempt.complete(self.job.spec.error_status.counts(status));
            }
            Failure::Reset => self.attempt.failed(ErrorKind::Reset),
            Failure::Race | Failure::Unbegun => self.attempt.excused(ErrorKind::Reset),
            Failure::Protocol => self.attempt.failed(ErrorKind::Protocol),
            Failure::Timeout => self.attempt.failed(ErrorKind::Timeout),
            Failure::Late => self.attempt.excused(ErrorKind::Timeout),
            Failure::Idle
            | Failure::BadBody
            | Failure::ClientGone
            | Failure::Retired
            | Failure::Ending
            | Failure::Limited => {
                self.attempt.not_judged();
            }
            Failure::NoPort => self.reject(RejectReason::Ports),
            Failure::NoDescriptor => self.reject(RejectReason::Descriptors),
            // Whoever asks may ask anywhere: that says nothing about the version.
            Failure::NoUpgrade => self.reject(RejectReason::Upgrade),
            Failure::BodyTooLarge => self.reject(RejectReason::BodyTooLarge),
            Failure::BodyTimeout => self.reject(RejectReason::BodyTimeout),
            Failure::BodyRate => self.reject(RejectReason::BodyRate),
            Failure::WriteTimeout => self.reject(RejectReason::WriteTimeout),
        }
    }

    fn reject(&mut self, reason: RejectReason) {
        self.attempt.not_judged();
        self.local.cells().rejected(reason);
    }
}
