//! One request, from its head to the end of its answer: routed, given to a version, sent to an
//! endpoint, and sent again elsewhere where that is safe.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;

use crate::model::ClientShard;
use crate::routing::{HeaderEdits, ServiceSpec};
use crate::telemetry::{ErrorKind, RejectReason};

use super::attempt::Attempt;
use super::connection::{Client, Next, base};
use super::exchange::{Exchange, Verdict};
use super::failure::Failure;
use super::h1::Answer;
use super::listener::Local;
use super::message::{Framing, MethodKind};
use super::plan::{Planned, plan};
use super::pump::Pump;
use super::upstream::{Checkout, ConnectError, Endpoint, connect};
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
    /// Whether it may be sent twice without harm (RFC 9110 section 9.2.2) and nothing of it is lost.
    pub fn is_replayable(&self) -> bool {
        let idempotent = matches!(
            self.kind,
            MethodKind::Get | MethodKind::Head | MethodKind::Options | MethodKind::Put | MethodKind::Delete
        );
        idempotent && self.framing.is_empty() && !self.upgrade
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
    /// Header changes towards the client.
    pub response_headers: HeaderEdits,
    /// The head for the endpoint, written, and the body to come.
    pub upload: Pump,
    /// The shard it is evidence of; `None` if the split did not choose.
    pub evidence: Option<ClientShard>,
}

/// Answers the request whose head is the first `len` bytes of the client's buffer.
pub async fn exchange(worker: &Rc<Worker>, local: &Rc<Local>, client: &mut Client, len: usize) -> Next {
    // What follows counts from here.
    worker.deadlines.now_us();
    match plan(worker, local, client, len) {
        Planned::Answered { status, error, text, location, close, head, http10 } => {
            let date = worker.date();
            let extra = location.as_deref().map(|it| ("location", it));
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
            client.answer(worker, &answer).await
        }
        Planned::Refused(why) => client.refused(worker, local, why).await,
        // On the heap: an exchange is large, and a connection that rests between two of them would
        // keep its place.
        Planned::Forward(job) => Box::pin(forward(worker, local, client, *job)).await,
    }
}

async fn forward(worker: &Rc<Worker>, local: &Rc<Local>, client: &mut Client, job: Job) -> Next {
    let attempt = Attempt::begin(worker, local, &job.version, job.evidence);
    let mut exchange = Exchange::new(worker, local, &client.spec, job, attempt);
    let mut tried = 0;
    // A connection that was kept may have been closed by its endpoint just now. That is found out by
    // using it, and says nothing about the version: one more try, on a fresh one.
    let mut fresh_only = false;
    loop {
        let (endpoint, checkout) = match exchange.connect(&mut tried, fresh_only).await {
            Ok(it) => it,
            Err(error) => return exchange.give_up(client, failure_of(&error)).await,
        };
        endpoint.begin();
        let counted = InFlight(endpoint);
        exchange.start(checkout);
        let verdict = poll_fn(|cx| exchange.poll(client, cx)).await;
        match verdict {
            Verdict::Stale => {
                exchange.again();
                fresh_only = true;
            }
            Verdict::Failed(failure) => return exchange.give_up(client, failure).await,
            Verdict::Ended(next) => return exchange.finish(&counted.0, next),
        }
    }
}

/// Counts an exchange at its endpoint until it is dropped.
struct InFlight(Rc<Endpoint>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn failure_of(error: &ConnectError) -> Failure {
    match error {
        ConnectError::Failed { .. } => Failure::Connect,
        ConnectError::TimedOut { .. } => Failure::ConnectTimeout,
    }
}

impl Exchange<'_> {
    /// A connection to the first endpoint that gives one. Endpoints that refuse are passed over:
    /// nothing was sent to them.
    async fn connect(
        &mut self,
        tried: &mut usize,
        fresh_only: bool,
    ) -> Result<(Rc<Endpoint>, Checkout), ConnectError> {
        let (worker, version) = (Rc::clone(self.worker), Rc::clone(&self.job.version));
        let spec = Arc::clone(&self.job.spec);
        let mut last = None;
        loop {
            let Some(endpoint) = version.endpoint(spec.balance, *tried, || worker.bits()) else {
                // A version always has an endpoint, so either one failed above or all were tried by
                // an earlier call; then the last one is as good as any.
                match last {
                    Some(error) => return Err(error),
                    None => *tried = 0,
                }
                continue;
            };
            let now_ms = worker.deadlines.recent_ms();
            if !fresh_only && let Some(checkout) = endpoint.checkout(now_ms) {
                return Ok((Rc::clone(endpoint), checkout));
            }
            match connect(&endpoint.spec, spec.timeouts.connect, &worker.names, now_ms).await {
                Ok(stream) => return Ok((Rc::clone(endpoint), Checkout { stream, reused: false })),
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "passed over an endpoint");
                    *tried += 1;
                    last = Some(error);
                }
            }
        }
    }

    /// Answers for a version that did not.
    async fn give_up(mut self, client: &mut Client, failure: Failure) -> Next {
        self.blame(failure);
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
        let date = self.worker.date();
        let answer = Answer {
            status,
            error: Some(error),
            text,
            close,
            head: self.job.request.kind == MethodKind::Head,
            client_http10: self.job.request.http10,
            ..base(&date)
        };
        let worker = Rc::clone(self.worker);
        drop(self);
        client.answer(&worker, &answer).await
    }

    fn blame(&mut self, failure: Failure) {
        match failure {
            Failure::Connect | Failure::ConnectTimeout => self.attempt.failed(ErrorKind::Connect),
            Failure::Reset => self.attempt.failed(ErrorKind::Reset),
            Failure::Race => self.attempt.excused(ErrorKind::Reset),
            Failure::Protocol => self.attempt.failed(ErrorKind::Protocol),
            Failure::Timeout => self.attempt.failed(ErrorKind::Timeout),
            Failure::BadBody | Failure::ClientGone => self.attempt.not_judged(),
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
