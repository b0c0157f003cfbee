//! The ways of one request through the endpoints: where it is tried, where it is tried again, and what is
//! passed on when nothing better comes.
//!
//! What is allowed is said by [`super::retry`] and [`super::shield`]; here it is done.

mod in_flight;

pub use in_flight::InFlight;

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use crate::routing::{Injected, Key, RetryReason};
use crate::telemetry::Trouble;

use super::attempt::Attempt;
use super::choice::{Choice, Line};
use super::connection::{Client, Next};
use super::exchange::{Aside, Exchange, Spared, Verdict};
use super::failure::Failure;
use super::forward::Job;
use super::h2::{Outbound, Tunnel};
use super::retry::{self, Loss, Tried};
use super::shield::{self, Cover};
use super::upstream::{Checkout, ConnectError, Endpoint};
use super::view::VersionView;

/// Where a request stands: what it has been through, and what is still possible.
#[derive(Default)]
pub struct Course {
    /// The endpoint that has it.
    pub at: Option<InFlight>,
    /// Those that had it.
    pub line: Line,
    /// Whether kept connections are not to be trusted.
    pub fresh_only: bool,
    /// Further tries so far.
    again: u32,
    /// How often an endpoint has said that it never began.
    unbegun: u32,
    /// Whether what comes is passed on, whatever it is.
    pub last: bool,
    /// A real answer, for want of a better one.
    pub aside: Option<(Aside, InFlight)>,
}

impl Course {
    /// Has been nowhere. Requests with equal keys go the same way.
    pub fn new(key: Option<Key>) -> Self {
        Self { line: Line::new(key), ..Self::default() }
    }

    /// Leaves the endpoint.
    pub fn leave(&mut self) {
        self.at = None;
    }
}

/// What is done about a try that came to nothing.
pub enum Recourse {
    /// This version answers instead.
    Stable(Rc<VersionView>),
    /// Another endpoint is asked, or the same one again.
    Elsewhere,
    /// Nothing better can be had.
    None,
}

impl Exchange<'_> {
    /// Sends the request, unless it has been, and passes the answer on.
    pub async fn go_on(&mut self, client: &mut Client, course: &mut Course) -> Verdict {
        if course.at.is_none() {
            if let Err(failure) = self.enter(client).await {
                return Verdict::Failed(failure);
            }
            if let Some(failure) = self.suffer(client).await {
                return Verdict::Failed(failure);
            }
            let before_us = self.attempt.busy_us(self.worker.deadlines.recent_us());
            match self.connect(client, course).await {
                Ok((endpoint, mut checkout)) => {
                    if self.job.request.upgrade
                        && let Some(end) = checkout.stream.outbound()
                        && let Err(failure) = self.ask_for_tunnel(client, end).await
                    {
                        return Verdict::Failed(failure);
                    }
                    self.attempt.trail.sent_to(&endpoint.name);
                    course.at = Some(InFlight::at(endpoint));
                    self.start(checkout, before_us);
                }
                Err(failure) => return Verdict::Failed(failure),
            }
        }
        let verdict = poll_fn(|cx| {
            let was_tunnel = self.is_tunnel();
            let polled = self.poll(client, cx);
            if self.is_tunnel()
                && !was_tunnel
                && let Some(at) = &course.at
            {
                at.heard(self.worker.index, true);
            }
            polled
        })
        .await;
        if let (Some(good), Some(at)) = (self.was_good(&verdict), &course.at) {
            at.heard(self.worker.index, good);
        }
        verdict
    }

    /// Lets what the route asks for befall the request: a wait, a failure.
    async fn suffer(&mut self, client: &mut Client) -> Option<Failure> {
        if let Some(delay) = self.job.fault.delay.take() {
            client.deadline.set(delay);
            let lost = poll_fn(|cx| match client.deadline.poll(cx) {
                Poll::Ready(()) => Poll::Ready(false),
                Poll::Pending => client.poll_lost(self.worker, cx).map(|()| true),
            });
            if lost.await {
                return Some(Failure::ClientGone);
            }
            self.lag(delay);
        }
        self.job.fault.abort.map(Failure::Injected)
    }

    /// Has a WebSocket asked for as HTTP/2 does. That must not be tried with an endpoint that has not said that
    /// it can be (RFC 8441 section 3), and it says so in its first frame.
    async fn ask_for_tunnel(&self, client: &mut Client, end: &mut Outbound) -> Result<(), Failure> {
        let Some(tunnel) = Tunnel::asked_by(&self.job.upload.front) else { return Ok(()) };
        client.deadline.set(self.job.spec.timeouts.connect);
        let takes = poll_fn(|cx| match end.poll_tunnels(cx) {
            Poll::Ready(it) => Poll::Ready(it.map_err(|_| Failure::Connect)),
            Poll::Pending if client.poll_lost(self.worker, cx).is_ready() => {
                Poll::Ready(Err(Failure::ClientGone))
            }
            Poll::Pending => client.deadline.poll(cx).map(|()| Err(Failure::ConnectTimeout)),
        });
        if !takes.await? {
            return Err(Failure::NoUpgrade);
        }
        end.set_tunnel(tunnel);
        Ok(())
    }

    /// What an attempt says about its endpoint, if anything. A tunnel has said it when it was opened.
    fn was_good(&self, verdict: &Verdict) -> Option<bool> {
        match verdict {
            _ if self.is_tunnel() => None,
            Verdict::Ended(_) => self.attempt.status.map(|it| it < 500),
            Verdict::Spared(status) => Some(*status < 500),
            Verdict::Failed(Failure::Reset | Failure::Protocol | Failure::Timeout) => Some(false),
            Verdict::Failed(_) | Verdict::Stale | Verdict::Unbegun => None,
        }
    }

    /// A connection to the first endpoint that gives one. Endpoints that refuse are passed over: nothing
    /// was sent to them.
    async fn connect(
        &mut self,
        client: &mut Client,
        course: &mut Course,
    ) -> Result<(Rc<Endpoint>, Checkout), Failure> {
        let (worker, version) = (Rc::clone(self.worker), Rc::clone(&self.job.version));
        let spec = Arc::clone(&self.job.spec);
        let mut last = None;
        loop {
            let endpoint = match version.endpoint(&spec.balance, &mut course.line, || worker.bits()) {
                Choice::Endpoint(it) => it,
                Choice::NoneReady => return Err(last.unwrap_or(Failure::NoneReady)),
                // Either one failed above or all were tried before; then the first one is as good as any.
                Choice::Exhausted => match last {
                    Some(failure) => return Err(failure),
                    None => {
                        course.line.restart();
                        continue;
                    }
                },
            };
            let reached = {
                let reaching = pin!(self.reach(endpoint, course.fresh_only));
                client.while_it_waits(&worker, reaching).await?
            };
            let reached = match reached {
                Err(ConnectError::Full) => {
                    self.wait_for_connection(client, endpoint, course.fresh_only).await?
                }
                reached => reached.map(|it| (Rc::clone(endpoint), it)),
            };
            match reached {
                Ok((endpoint, Checkout { stream, reused })) => {
                    // Whoever wants a fresh one has been disappointed once, and is not twice.
                    let reused = reused && !course.fresh_only;
                    return Ok((endpoint, Checkout { stream, reused }));
                }
                // Other endpoints would need one too.
                Err(ConnectError::NoDescriptor { .. }) => return Err(Failure::NoDescriptor),
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "passed over an endpoint");
                    let failure = failure_of(&error);
                    if !version.has_more(&course.line) || !spec.retry.on.has(RetryReason::Connect) {
                        return Err(failure);
                    }
                    // Ports are taken towards one address at a time, and are not the endpoint's.
                    if failure != Failure::NoPort {
                        self.blame(failure);
                        self.attempt.lost();
                    }
                    self.attempt.cells().recourse.retry(Trouble::Connect);
                    last = Some(failure);
                }
            }
        }
    }

    /// Answers that are not passed on while there is something better to try.
    pub fn spared(&self, course: &Course) -> Spared {
        let Job { request, spec, version, cover, .. } = &self.job;
        if course.last || request.is_begun_tunnel() {
            return Spared::default();
        }
        if cover.is_some() && shield::covers(&spec.shield, request.kind) {
            return Spared::failures();
        }
        let retries = course.again < spec.retry.attempts && version.endpoints.len() > 1;
        if !retries || !request.is_idempotent() {
            return Spared::default();
        }
        Spared::by(|status| spec.retry.on.has_status(status))
    }

    /// What is done about a try that came to nothing.
    pub fn recourse(&self, course: &Course, loss: Loss) -> Recourse {
        let Job { request, spec, version, cover, upload, .. } = &self.job;
        if course.last || (request.is_begun_tunnel() && !upload.is_untouched()) {
            return Recourse::None;
        }
        let unbegun = loss == Loss::Failed(Failure::Unbegun);
        let tried = Tried {
            kind: request.kind,
            unsent: upload.is_untouched(),
            whole: if unbegun { upload.can_begin_anew() } else { upload.can_rewind() },
            waits: self.still_waits(),
            elsewhere: version.has_more(&course.line),
            again: course.again,
        };
        let cells = self.attempt.cells();
        let (requests, now_ms) = (cells.requests(), self.worker.deadlines.recent_ms());
        if let Some(cover) = cover {
            let paid = match shield::cover(&spec.shield, &tried, loss) {
                Cover::No => false,
                Cover::Free => true,
                Cover::Budgeted => {
                    let paid = version.budgets.shield.pay(spec.shield.budget, requests, now_ms);
                    if !paid {
                        cells.recourse.shield_denied();
                    }
                    paid
                }
            };
            if paid {
                return Recourse::Stable(Rc::clone(cover));
            }
        }
        if !retry::may_retry(&spec.retry, &tried, loss) {
            return Recourse::None;
        }
        if !version.budgets.retry.pay(spec.retry.budget, requests, now_ms) {
            cells.recourse.retry_denied();
            return Recourse::None;
        }
        Recourse::Elsewhere
    }

    /// Sends it again, if that can be, when its endpoint says that it never began with it: to the same one
    /// over another connection, or else to others. Whatever it asks for, nothing of that was done, so nobody is
    /// charged. The first time is free; an endpoint that refuses because it has too much to do gets the rest as
    /// far as the budget for further tries goes.
    pub fn begin_anew(&mut self, course: &mut Course) -> bool {
        if course.unbegun == UNBEGUN_MAX || !self.still_waits() || !self.job.upload.can_begin_anew() {
            return false;
        }
        let (version, now_ms) = (&self.job.version, self.worker.deadlines.recent_ms());
        let cells = self.attempt.cells();
        if course.unbegun > 0
            && !version.budgets.retry.pay(self.job.spec.retry.budget, cells.requests(), now_ms)
        {
            cells.recourse.retry_denied();
            return false;
        }
        cells.recourse.retry(Trouble::Closed);
        self.again();
        course.leave();
        if course.unbegun == 0 {
            course.line.step_back();
        }
        course.unbegun += 1;
        true
    }

    /// Has it tried again within its version.
    pub fn go_elsewhere(&mut self, course: &mut Course, loss: Loss) {
        if let Some(why) = loss.trouble() {
            self.attempt.cells().recourse.retry(why);
        }
        self.charge(course, loss);
        self.again();
        course.leave();
        course.again += 1;
        // What was kept may be as dead as the connection that was just lost.
        course.fresh_only = true;
    }

    /// Has it answered by the stable version. The one on trial has had its try, and is charged with it now.
    pub fn go_to_stable(&mut self, course: &mut Course, loss: Loss, stable: Rc<VersionView>) {
        if let Some(why) = loss.trouble() {
            self.attempt.cells().recourse.shielded(why);
        }
        if let Loss::Failed(failure) = loss {
            // What its user would have been told.
            self.attempt.status = Some(failure.answer().0);
        }
        self.charge(course, loss);
        let trail = self.attempt.trail.clone();
        (self.place, self.queued_until_ms) = (None, None);
        self.attempt = Attempt::begin(self.worker, self.local, &stable, None);
        self.attempt.trail = trail;
        self.job.version = stable;
        self.job.cover = None;
        // It befell the other version.
        self.job.fault = Injected::default();
        self.again();
        course.leave();
        (course.line, course.fresh_only) = (Line::new(self.job.key), false);
    }

    /// Nothing better can be had: goes on with a real answer, if there is one. Otherwise returns what the
    /// client has to be told.
    pub fn settle(&mut self, course: &mut Course, loss: Loss) -> Option<Failure> {
        if let Loss::Failed(failure) = loss {
            let Some((aside, at)) = course.aside.take() else { return Some(failure) };
            self.blame(failure);
            self.take_back(aside);
            course.at = Some(at);
        }
        course.last = true;
        None
    }

    /// Holds a try that came to nothing against its version, and puts a real answer by.
    fn charge(&mut self, course: &mut Course, loss: Loss) {
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
    }

    /// Ends an exchange whose answer was passed on.
    pub fn arrive(self, mut course: Course, next: Next) -> Next {
        self.forget(course.aside.take());
        match course.at {
            Some(ref at) => self.finish(at.endpoint(), next),
            None => self.cut(),
        }
    }

    fn forget(&self, aside: Option<(Aside, InFlight)>) {
        if let Some((aside, at)) = aside {
            self.drop_aside(aside, at.endpoint());
        }
    }
}

/// Most times that a request is sent again which nobody has begun with. Connections are replaced one at a time,
/// so that more in a row are no coincidence.
const UNBEGUN_MAX: u32 = 3;

fn failure_of(error: &ConnectError) -> Failure {
    match error {
        ConnectError::Failed { .. } => Failure::Connect,
        ConnectError::Tls { .. } => Failure::Tls,
        ConnectError::TimedOut { .. } => Failure::ConnectTimeout,
        ConnectError::NoDescriptor { .. } => Failure::NoDescriptor,
        ConnectError::NoPort { .. } => Failure::NoPort,
        ConnectError::Full => Failure::Limited,
    }
}
