//! Tells the service manager that the house is alive: its control, by sending at all, and every worker,
//! which must have answered since the last time.

use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::proxy::Proxy;
use crate::runtime::ServiceManager;

/// Reports for as long as it is not aborted. A worker that stands still keeps silent for all.
#[expect(clippy::disallowed_methods, reason = "the composition root starts the tasks")]
pub(super) fn start(manager: ServiceManager, proxy: Arc<Proxy>) -> JoinHandle<()> {
    tokio::task::spawn(async move {
        let Some(every) = manager.ping_every() else { return };
        let mut every = tokio::time::interval(every);
        loop {
            every.tick().await;
            proxy.answers().await;
            manager.ping();
        }
    })
}
