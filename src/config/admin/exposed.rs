//! A service whose endpoint is the admin interface of this very server would hand it to everybody.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use crate::routing::{EndpointHost, EndpointSpec};

use super::super::code::Code;
use super::super::problem::{Problems, Report};
use super::super::service::Placed;
use super::AdminSpec;

/// Refuses services that lead to the admin doors, as far as the file shows where they are.
pub(in super::super) fn exposed(services: &[Placed], admin: &AdminSpec, problems: &mut Problems) {
    for placed in services {
        let versions = placed.config.iter().flat_map(|it| &it.spec.versions);
        let endpoints = versions.flat_map(|it| &it.endpoints);
        if let Some(endpoint) = endpoints.into_iter().find(|it| leads_to(it, admin)) {
            let message = format!("service `{}` leads to the admin interface: {endpoint}", placed.name);
            let report = Report::error(Code::AdminExposed, placed.at, message);
            problems.push(report.help("give operators an address of their own: admin: {listen: …, tls: …}"));
        }
    }
}

fn leads_to(endpoint: &EndpointSpec, admin: &AdminSpec) -> bool {
    let same_port = admin.listen.filter(|it| it.port() == endpoint.port);
    match (&endpoint.host, same_port) {
        (EndpointHost::Unix(path), _) => admin.socket.as_deref() == Some(Path::new(path)),
        (EndpointHost::Address(ip), Some(listen)) => reaches(ip.to_canonical(), listen),
        (EndpointHost::Name(name), Some(listen)) => {
            name.eq_ignore_ascii_case("localhost") && is_of_this_machine(listen.ip())
        }
        (EndpointHost::Address(_) | EndpointHost::Name(_), None) => false,
    }
}

/// Whether whoever calls `ip` gets to `listen`. Calling no address in particular is calling this machine.
fn reaches(ip: IpAddr, listen: SocketAddr) -> bool {
    let own = listen.ip().to_canonical();
    let here = |it: IpAddr| it.is_loopback() || it.is_unspecified();
    ip == own || (own.is_unspecified() && here(ip)) || (ip.is_unspecified() && here(own))
}

fn is_of_this_machine(ip: IpAddr) -> bool {
    ip.is_unspecified() || ip.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calling_the_door_in_other_words() {
        for (ip, listen, found) in [
            ("127.0.0.1", "127.0.0.1:9900", true),
            ("::ffff:127.0.0.1", "127.0.0.1:9900", true),
            ("0.0.0.0", "127.0.0.1:9900", true),
            ("127.0.0.2", "127.0.0.1:9900", false),
            ("10.0.0.5", "10.0.0.5:9900", true),
            ("10.0.0.6", "10.0.0.5:9900", false),
            ("127.0.0.1", "10.0.0.5:9900", false),
            ("127.0.0.9", "0.0.0.0:9900", true),
            ("::1", "[::]:9900", true),
        ] {
            let address = ip.parse::<IpAddr>().unwrap().to_canonical();
            assert_eq!(reaches(address, listen.parse().unwrap()), found, "{ip} {listen}");
        }
    }
}
