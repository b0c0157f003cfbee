//! Tells the controller what the data plane knows of endpoints.

use crate::controller::{EndpointState, EndpointStatus, Endpoints};
use crate::model::{ServiceName, VersionName};
use crate::proxy::{Board, Names, Word};

/// What the workers and their doctor know.
pub struct Known {
    /// How they are.
    pub board: Board,
    /// Where their names lead.
    pub names: Names,
}

impl Endpoints for Known {
    fn of(&self, service: &ServiceName, version: &VersionName) -> Vec<EndpointStatus> {
        let all = self.board.of(service, version).into_iter();
        let status = all.map(|(site, health)| EndpointStatus {
            endpoint: site.to_string(),
            stale: self.names.trouble(&site.spec),
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
