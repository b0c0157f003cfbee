//! One request, from its head to the end of its answer: routed, given to a version, sent to an
//! endpoint, and sent again elsewhere where that is safe.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;

use crate::model::ClientShard;
use crate::routing::{HeaderEdits, RetryReason, ServiceSpec};
use crate::telemetry::{ErrorKind, RejectReason, Trouble};

use super::attempt::Attempt;
use super::choice::{Choice, Line};
use super::connection::{Client, Next, base};
use super::exchange::{Aside, Exchange, Spared, Verdict};
use super::failure::Failure;
use super::h1::Answer;
use super::listener::Local;
use super::message::{Framing, MethodKind};
use super::plan::{Planned, plan};
use super::pump::Pump;
use super::retry::{self, Loss, Tried};
use super::trail::Trail;
use super::upstream::{Checkout, ConnectError, Endpoint};
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
    /// Whether it makes no difference how often it is sent.
    pub fn is_idempotent(&self) -> bool {
        retry::is_idempotent(self.kind) && !self.upgrade
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
    client.trail = Trail::begin(worker, client);
    let next = answered(worker, local, client, len).await;
    client.trail = Trail::default();
    next
}

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
            client.answer(worker, &answer).await
        }
        Planned::Refused(why) => client.refused(worker, local, why).await,
        // On the heap: an exchange is large, and a connection that rests between two of them would
        // keep its place.
        Planned::Forward(job) => Box::pin(forward(worker, local, client, *job)).await,
    }
}

async fn forward(worker: &Rc<Worker>, local: &Rc<Local>, client: &mut Client, job: Job) -> Next {
    let mut attempt = Attempt::begin(worker, local, &job.version, job.evidence);
    attempt.trail = client.trail.clone();
    let mut exchange = Exchange::new(worker, local, &client.spec, job, attempt);
    let mut course = Course::default();
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
            Verdict::Failed(failure) => Loss::Failed(failure),
            Verdict::Spared(status) => Loss::Answered(status),
        };
        if exchange.may_retry(&course, loss) {
            exchange.retry(&mut course, loss);
            continue;
        }
        match (loss, course.aside.take()) {
            (Loss::Answered(_), aside) => (course.aside, course.last) = (aside, true),
            (Loss::Failed(_), Some((aside, at))) => {
                exchange.take_back(aside);
                (course.at, course.last) = (Some(at), true);
            }
            (Loss::Failed(failure), None) => return exchange.give_up(client, failure).await,
        }
    }
}

/// Where a request stands: what it has been through, and what is still possible.
#[derive(Default)]
struct Course {
    /// The endpoint that has it.
    at: Option<InFlight>,
    /// Those that had it.
    line: Line,
    /// Whether kept connections are not to be trusted.
    fresh_only: bool,
    /// Further tries so far.
    again: u32,
    /// Whether what comes is passed on, whatever it is.
    last: bool,
    /// A real answer, for want of a better one.
    aside: Option<(Aside, InFlight)>,
}

impl Course {
    fn leave(&mut self) {
        self.at = None;
    }
}

/// Counts an exchange at its endpoint until it is dropped.
struct InFlight(Rc<Endpoint>);

impl InFlight {
    fn at(endpoint: Rc<Endpoint>) -> Self {
        endpoint.begin();
        Self(endpoint)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn failure_of(error: &ConnectError) -> Failure {
    match error {
        ConnectError::Failed { .. } => Failure::Connect,
        ConnectError::NoneReady => Failure::NoneReady,
        ConnectError::TimedOut { .. } => Failure::ConnectTimeout,
    }
}

impl Exchange<'_> {
    /// Sends the request, unless it has been, and passes the answer on.
    async fn go_on(&mut self, client: &mut Client, course: &mut Course) -> Verdict {
        if course.at.is_none() {
            match self.connect(course).await {
                Ok((endpoint, checkout)) => {
                    self.attempt.trail.sent_to(&endpoint.name);
                    course.at = Some(InFlight::at(endpoint));
                    self.start(checkout);
                }
                Err(error) => return Verdict::Failed(failure_of(&error)),
            }
        }
        let verdict = poll_fn(|cx| self.poll(client, cx)).await;
        if let (Some(good), Some(at)) = (self.was_good(&verdict), &course.at) {
            at.0.health.answered(self.worker.index, good);
        }
        verdict
    }

    /// What an attempt says about its endpoint, if anything.
    fn was_good(&self, verdict: &Verdict) -> Option<bool> {
        match verdict {
            Verdict::Ended(_) => self.attempt.status.map(|it| it < 500),
            Verdict::Spared(status) => Some(*status < 500),
            Verdict::Failed(Failure::Reset | Failure::Protocol | Failure::Timeout) => Some(false),
            Verdict::Failed(_) | Verdict::Stale => None,
        }
    }

    /// A connection to the first endpoint that gives one. Endpoints that refuse are passed over: nothing
    /// was sent to them.
    async fn connect(&mut self, course: &mut Course) -> Result<(Rc<Endpoint>, Checkout), ConnectError> {
        let (worker, version) = (Rc::clone(self.worker), Rc::clone(&self.job.version));
        let spec = Arc::clone(&self.job.spec);
        let mut last = None;
        loop {
            let endpoint = match version.endpoint(spec.balance, &mut course.line, || worker.bits()) {
                Choice::Endpoint(it) => it,
                Choice::NoneReady => return Err(last.unwrap_or(ConnectError::NoneReady)),
                // Either one failed above or all were tried before; then the first one is as good as any.
                Choice::Exhausted => match last {
                    Some(error) => return Err(error),
                    None => {
                        course.line.restart();
                        continue;
                    }
                },
            };
            let now_ms = worker.deadlines.recent_ms();
            if !course.fresh_only
                && let Some(checkout) = endpoint.checkout(now_ms)
            {
                return Ok((Rc::clone(endpoint), checkout));
            }
            match endpoint.reach(&worker, spec.timeouts.connect).await {
                Ok(Checkout { stream, reused }) => {
                    // Whoever wants a fresh one has been disappointed once, and is not twice.
                    let reused = reused && !course.fresh_only;
                    return Ok((Rc::clone(endpoint), Checkout { stream, reused }));
                }
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "passed over an endpoint");
                    if !version.has_more(&course.line) || !spec.retry.on.has(RetryReason::Connect) {
                        return Err(error);
                    }
                    self.blame(failure_of(&error));
                    self.attempt.lost();
                    self.attempt.cells().recourse.retry(Trouble::Connect);
                    last = Some(error);
                }
            }
        }
    }

    /// Answers that are not passed on while there is something better to try.
    fn spared(&self, course: &Course) -> Spared {
        let Job { request, spec, version, .. } = &self.job;
        let retries = course.again < spec.retry.attempts && version.endpoints.len() > 1;
        if course.last || !retries || !request.is_idempotent() {
            return Spared::default();
        }
        Spared::by(|status| spec.retry.on.has_status(status))
    }

    /// Whether it is tried again within its version.
    fn may_retry(&self, course: &Course, loss: Loss) -> bool {
        let Job { request, spec, version, upload, .. } = &self.job;
        let tried = Tried {
            kind: request.kind,
            unsent: upload.is_untouched(),
            whole: upload.can_rewind(),
            waits: self.may_start_over(),
            elsewhere: version.has_more(&course.line),
            again: course.again,
        };
        if course.last || !retry::may_retry(&spec.retry, &tried, loss) {
            return false;
        }
        let cells = self.attempt.cells();
        let now_ms = self.worker.deadlines.recent_ms();
        let paid = version.budgets.retry.pay(spec.retry.budget, cells.requests(), now_ms);
        if !paid {
            cells.recourse.retry_denied();
        }
        paid
    }

    fn retry(&mut self, course: &mut Course, loss: Loss) {
        if let Some(why) = loss.trouble() {
            self.attempt.cells().recourse.retry(why);
        }
        match loss {
            Loss::Failed(failure) => self.blame(failure),
            Loss::Answered(status) => {
                self.attempt.answered(status, self.worker.deadlines.recent_us());
                let aside = self.put_by();
                self.forget(course.aside.take());
                course.aside = course.at.take().map(|at| (aside, at));
            }
        }
        self.attempt.lost();
        self.again();
        course.leave();
        course.again += 1;
        // What was kept may be as dead as the connection that was just lost.
        course.fresh_only = true;
    }

    /// Ends an exchange whose answer was passed on.
    fn arrive(self, mut course: Course, next: Next) -> Next {
        self.forget(course.aside.take());
        match course.at {
            Some(InFlight(ref endpoint)) => self.finish(endpoint, next),
            None => self.cut(),
        }
    }

    fn forget(&self, aside: Option<(Aside, InFlight)>) {
        if let Some((aside, at)) = aside {
            self.drop_aside(aside, &at.0);
        }
    }

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
            Failure::Connect | Failure::ConnectTimeout | Failure::NoneReady => {
                self.attempt.failed(ErrorKind::Connect);
            }
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
