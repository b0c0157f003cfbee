//! A connection to an endpoint, or a place on one, when none lies ready.

use std::rc::Rc;
use std::time::Duration;

use crate::routing::Protocol;

use super::super::connection::Peer;
use super::super::quota::Permit;
use super::super::worker::Worker;
use super::shelf::Shelf;
use super::{Checkout, ConnectError, Endpoint, Link};

impl Endpoint {
    /// Opens a connection for a request of `client` within `limit`; with HTTP/2, only if those that are open
    /// have no place. `permit` is asked before anything is opened.
    pub async fn reach(
        &self,
        worker: &Rc<Worker>,
        client: &Rc<Peer>,
        limit: Duration,
        permit: impl FnOnce() -> Option<Permit>,
    ) -> Result<Checkout, ConnectError> {
        self.reach_by(worker, &self.shelf(client), Some(client), limit, permit).await
    }

    /// Opens a connection ahead of the first request. If that fails, the first request will say so.
    pub async fn warm(&self, worker: &Rc<Worker>, limit: Duration) {
        worker.deadlines.now_ms();
        if let Ok(Checkout { stream, .. }) =
            self.reach_by(worker, &self.shared, None, limit, || self.quota.take()).await
        {
            // A place on a connection is given up again; the connection stays.
            self.shared.put(stream, worker.deadlines.now_ms());
        }
    }

    #[allow(
        clippy::result_large_err,
        reason = "made once for a connection that fails, never for one that does not"
    )]
    async fn reach_by(
        &self,
        worker: &Rc<Worker>,
        shelf: &Shelf,
        client: Option<&Rc<Peer>>,
        limit: Duration,
        permit: impl FnOnce() -> Option<Permit>,
    ) -> Result<Checkout, ConnectError> {
        let client = client.map(|it| &**it);
        let permit = || permit().ok_or(ConnectError::Full);
        let opening = async |permit| {
            let opened = self.open(client, limit, &worker.names, worker.deadlines.recent_ms()).await;
            opened.map(|it| Link::new(it, permit))
        };
        match self.site.spec.protocol {
            Protocol::Http1 => Ok(Checkout { stream: opening(permit()?).await?, reused: false }),
            Protocol::Http2 => {
                let failed = |source| ConnectError::Failed { endpoint: self.site.spec.clone(), source };
                let taken = shelf.streams.take_or_open(worker, permit, opening, failed);
                taken.await.map(|(it, reused)| Checkout { stream: Link::of_stream(it), reused })
            }
        }
    }
}
