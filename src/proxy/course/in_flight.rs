//! An exchange at its endpoint.

use std::rc::Rc;

use super::Endpoint;

/// Counts an exchange at its endpoint until it is dropped.
pub struct InFlight(Rc<Endpoint>);

impl InFlight {
    pub(super) fn at(endpoint: Rc<Endpoint>) -> Self {
        endpoint.begin();
        Self(endpoint)
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0
    }

    /// The endpoint has answered this worker, or should have.
    pub(super) fn heard(&self, worker: usize, good: bool) {
        self.0.health.answered(worker, good);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.end();
    }
}
