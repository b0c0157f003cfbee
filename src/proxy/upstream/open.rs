//! A connection to an endpoint, or a place on one, when none lies ready.

use std::rc::Rc;
use std::time::Duration;

use crate::routing::Protocol;

use super::super::connection::Peer;
use super::super::worker::Worker;
use super::shelf::Shelf;
use super::{Checkout, ConnectError, Endpoint};

impl Endpoint {
    /// Opens a connection for a request of `client` within `limit`; with HTTP/2, only if those that are open
    /// have no place.
    pub async fn reach(
        &self,
        worker: &Rc<Worker>,
        client: &Rc<Peer>,
        limit: Duration,
    ) -> Result<Checkout, ConnectError> {
        self.reach_by(worker, &self.shelf(client), Some(client), limit).await
    }

    /// Opens a connection ahead of the first request. If that fails, the first request will say so.
    pub async fn warm(&self, worker: &Rc<Worker>, limit: Duration) {
        worker.deadlines.now_ms();
        if let Ok(Checkout { stream, .. }) = self.reach_by(worker, &self.shared, None, limit).await {
            // A place on a connection is given up again; the connection stays.
            self.shared.put(stream, worker.deadlines.now_ms());
        }
    }

    async fn reach_by(
        &self,
        worker: &Rc<Worker>,
        shelf: &Shelf,
        client: Option<&Rc<Peer>>,
        limit: Duration,
    ) -> Result<Checkout, ConnectError> {
        let client = client.map(|it| &**it);
        let opening = || self.open(client, limit, &worker.names, worker.deadlines.recent_ms());
        match self.site.spec.protocol {
            Protocol::Http1 => Ok(Checkout { stream: opening().await?, reused: false }),
            Protocol::Http2 => {
                let failed = |source| ConnectError::Failed { endpoint: self.site.spec.clone(), source };
                let taken = shelf.streams.take_or_open(worker, async || opening().await, failed);
                taken.await.map(|(stream, reused)| Checkout { stream, reused })
            }
        }
    }
}
