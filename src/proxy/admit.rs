//! A request's way past the limits of its version: straight through, or by waiting for its turn.
//!
//! It is not its version's fault how long that takes, nor that it may come to nothing. A client that is gone
//! leaves the queue; one that has only finished sending still waits for its answer.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use crate::telemetry::TurnedAway;

use super::connection::{Client, Peer};
use super::exchange::Exchange;
use super::failure::Failure;
use super::quota::{Permit, Quota, Turn};
use super::upstream::{Checkout, ConnectError, Endpoint};
use super::view::{Budgets, VersionView};

/// What somebody who waited for a connection got.
enum Found {
    /// One that was kept.
    Kept(Rc<Endpoint>, Checkout),
    /// A place for another one.
    Permit(Permit),
}

impl Exchange<'_> {
    /// Takes a place among the requests of the version, which is given up with the exchange.
    pub(super) async fn enter(&mut self, client: &mut Client) -> Result<(), Failure> {
        if self.place.is_some() || self.job.spec.limits.in_flight.is_none() {
            return Ok(());
        }
        let quota = Rc::clone(&self.job.version.quotas.in_flight);
        self.place = match quota.take() {
            Some(it) => Some(it),
            None => Some(self.wait_for(client, &quota, Turn::claim).await?),
        };
        Ok(())
    }

    /// A connection to this endpoint: a kept one, or another one if that may be.
    pub(super) async fn reach(
        &self,
        endpoint: &Rc<Endpoint>,
        fresh_only: bool,
    ) -> Result<Checkout, ConnectError> {
        let version = &self.job.version;
        if version.quotas.connections.has_queue() {
            return Err(ConnectError::Full);
        }
        let deadlines = &self.worker.deadlines;
        if !fresh_only && let Some(kept) = endpoint.checkout(&self.peer, deadlines.recent_ms()) {
            return Ok(kept);
        }
        let permit = || version.connection(deadlines.recent_timestamp().0);
        endpoint.reach(self.worker, &self.peer, self.job.spec.timeouts.connect, permit).await
    }

    /// The same, when there are as many connections as may be.
    pub(super) async fn wait_for_connection(
        &mut self,
        client: &mut Client,
        endpoint: &Rc<Endpoint>,
        fresh_only: bool,
    ) -> Result<Result<(Rc<Endpoint>, Checkout), ConnectError>, Failure> {
        let (version, worker) = (Rc::clone(&self.job.version), Rc::clone(self.worker));
        let peer = Rc::clone(&self.peer);
        let (quota, keyed) = (Rc::clone(&version.quotas.connections), self.job.key.is_some());
        let look = |turn: &Turn| {
            let deadlines = &worker.deadlines;
            let kept =
                if fresh_only { None } else { version.kept(endpoint, keyed, &peer, deadlines.recent_ms()) };
            if let Some((endpoint, kept)) = kept {
                return Some(Found::Kept(endpoint, kept));
            }
            let permit = turn.claim().or_else(|| {
                let shed = version.shed(deadlines.recent_timestamp().0);
                if shed { turn.claim() } else { None }
            });
            permit.map(Found::Permit)
        };
        match self.wait_for(client, &quota, look).await? {
            Found::Kept(endpoint, kept) => Ok(Ok((endpoint, kept))),
            Found::Permit(permit) => {
                let limit = self.job.spec.timeouts.connect;
                let reaching = pin!(endpoint.reach(&worker, &peer, limit, || Some(permit)));
                let reached = client.while_it_waits(&worker, reaching).await?;
                Ok(reached.map(|it| (Rc::clone(endpoint), it)))
            }
        }
    }

    /// Waits until `look` finds something once its turn has come.
    async fn wait_for<T>(
        &mut self,
        client: &mut Client,
        quota: &Rc<Quota>,
        look: impl Fn(&Turn) -> Option<T>,
    ) -> Result<T, Failure> {
        let (worker, limits) = (Rc::clone(self.worker), self.job.spec.limits);
        let Some(turn) = quota.queue(&worker, limits.queue) else {
            quota.cells().turned_away(quota.kind(), TurnedAway::QueueFull);
            return Err(Failure::Limited);
        };
        let began_us = worker.deadlines.recent_us();
        let until_ms = began_us / 1000 + limits.queue_wait.as_millis() as u64;
        client.deadline.set_ms(*self.queued_until_ms.get_or_insert(until_ms));
        let found = poll_fn(|cx| {
            worker.deadlines.now_us();
            if turn.has_come(cx)
                && let Some(found) = look(&turn)
            {
                return Poll::Ready(Ok(found));
            }
            if client.poll_lost(&worker, cx).is_ready() {
                return Poll::Ready(Err(Failure::ClientGone));
            }
            // It was rolled back meanwhile: there is somebody else to answer.
            if self.job.cover.is_some() && self.job.version.budgets.retired_ms.get() != Budgets::IN_USE {
                return Poll::Ready(Err(Failure::Limited));
            }
            client.deadline.poll(cx).map(|()| {
                quota.cells().turned_away(quota.kind(), TurnedAway::QueueWait);
                Err(Failure::Limited)
            })
        })
        .await;
        drop(turn);
        self.attempt.queued(worker.deadlines.recent_us().saturating_sub(began_us));
        found
    }
}

impl VersionView {
    /// A connection that is kept: to this endpoint, or to another one that is ready, unless it matters which.
    fn kept(
        &self,
        endpoint: &Rc<Endpoint>,
        keyed: bool,
        peer: &Rc<Peer>,
        now_ms: u64,
    ) -> Option<(Rc<Endpoint>, Checkout)> {
        let others = self.endpoints.iter().filter(|it| !keyed && it.health.is_ready());
        [endpoint].into_iter().chain(others).find_map(|it| Some((Rc::clone(it), it.checkout(peer, now_ms)?)))
    }
}
