//! A service whose endpoint is the admin interface of this very server would hand it to everybody.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use crate::routing::{EndpointHost, EndpointSpec, leads_to};

use super::super::code::Code;
use super::super::problem::{Problems, Report};
use super::super::service::Placed;
use super::super::source::Files;
use super::AdminSpec;

/// Refuses services that lead to the admin doors, as far as the file shows where they are.
pub(in super::super) fn exposed(
    services: &[Placed],
    admin: &AdminSpec,
    files: &dyn Files,
    problems: &mut Problems,
) {
    for placed in services {
        let versions = placed.config.iter().flat_map(|it| &it.spec.versions);
        let endpoints = versions.flat_map(|it| &it.endpoints);
        if let Some(endpoint) = endpoints.into_iter().find(|it| is_door(it, admin, files)) {
            let message = format!("service `{}` leads to the admin interface: {endpoint}", placed.name);
            let report = Report::error(Code::AdminExposed, placed.at, message);
            problems.push(report.help("give operators an address of their own: admin: {listen: …, tls: …}"));
        }
    }
}

/// Whether an endpoint is an admin door. What a name leads to is looked at when it is looked up. A door at all
/// addresses is at those that `files` know as this machine's.
pub(in super::super) fn is_door(endpoint: &EndpointSpec, admin: &AdminSpec, files: &dyn Files) -> bool {
    let is_listen = |ip: IpAddr| {
        let address = SocketAddr::new(ip, endpoint.port);
        admin.listen.is_some_and(|it| leads_to(address, it, |ip| files.is_here(ip)))
    };
    match &endpoint.host {
        EndpointHost::Unix(path) => admin.socket.as_deref() == Some(Path::new(path)),
        EndpointHost::Address(ip) => is_listen(*ip),
        EndpointHost::Name(name) => {
            name.eq_ignore_ascii_case("localhost") && is_listen(Ipv4Addr::LOCALHOST.into())
        }
    }
}
