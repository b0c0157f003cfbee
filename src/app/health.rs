//! Tells the controller what the data plane knows of endpoints.

use crate::controller::{EndpointState, EndpointStatus, Endpoints};
use crate::model::{ServiceName, VersionName};
use crate::proxy::{Board, Word};

/// What the workers and their doctor know.
pub struct Known(pub Board);

impl Endpoints for Known {
    fn of(&self, service: &ServiceName, version: &VersionName) -> Vec<EndpointStatus> {
        let all = self.0.of(service, version).into_iter();
        let status = all.map(|(endpoint, health)| EndpointStatus {
            endpoint,
            state: match health.word() {
                Word::Up => EndpointState::Up,
                Word::Warming => EndpointState::Warming,
                Word::Waiting => EndpointState::Waiting,
                Word::Down => EndpointState::Down,
                Word::Ejected => EndpointState::Ejected,
            },
            why: health.why(),
            ejections: health.ejections(),
        });
        status.collect()
    }
}
