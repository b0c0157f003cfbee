//! What the controller sees of endpoints: it has never heard of a socket, so somebody tells it.

use crate::model::{ServiceName, VersionName};

use super::status::Status;

/// Whoever knows how endpoints are.
pub trait Endpoints: Send + Sync {
    /// The endpoints of a version, as many as are known.
    fn of(&self, service: &ServiceName, version: &VersionName) -> Vec<EndpointStatus>;
}

/// Nobody knows anything.
impl Endpoints for () {
    fn of(&self, _: &ServiceName, _: &VersionName) -> Vec<EndpointStatus> {
        Vec::new()
    }
}

/// One endpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndpointStatus {
    /// Where it is, as the file has it, with the address if that is a name.
    pub endpoint: String,
    /// How it is.
    pub state: EndpointState,
    /// What its last checkup said, if it was no pass.
    pub why: String,
    /// Why its address may be out of date: its name cannot be looked up, and the last answer is kept.
    pub stale: Option<String>,
    /// How often it was left out because of how it treated requests.
    pub ejections: u64,
}

/// How an endpoint is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EndpointState {
    /// It gets its share.
    Up,
    /// It has come back and gets a growing share.
    Warming,
    /// Its first pass is awaited.
    Waiting,
    /// It fails its checkups.
    Down,
    /// It is left out for a while because of how it treated requests.
    Ejected,
}

impl EndpointState {
    /// The word used on every surface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Warming => "warming",
            Self::Waiting => "waiting",
            Self::Down => "down",
            Self::Ejected => "ejected",
        }
    }

    /// Whether it gets requests.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Up | Self::Warming)
    }
}

/// Puts what is known of endpoints beside their versions.
pub(super) fn tell(status: &mut Status, endpoints: &dyn Endpoints) {
    for service in &mut status.services {
        for lane in &mut service.lanes {
            lane.endpoints = endpoints.of(&service.name, &lane.version);
        }
    }
}

/// Whether a version can be sent users, by what its endpoints' checkups say; `None` if that is not known
/// yet.
pub(super) fn can_serve(endpoints: &[EndpointStatus]) -> Option<bool> {
    let known = endpoints.iter().any(|it| it.state != EndpointState::Waiting);
    known.then(|| endpoints.iter().any(|it| it.state.is_up()))
}
