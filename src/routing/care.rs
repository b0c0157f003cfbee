//! How endpoints are looked after: what they are asked, when they are left out for a while, and what
//! happens when too few are left. Plain settings; who acts on them is the data plane.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What every endpoint of a version is asked, again and again, off the request path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkup {
    /// What counts as a pass.
    pub kind: CheckupKind,
    /// Time between two questions to one endpoint, give or take a tenth.
    pub every: Duration,
    /// Time for an answer.
    pub timeout: Duration,
    /// So many failures in a row, and it gets no more requests.
    pub fail_after: u32,
    /// So many passes in a row, and it gets requests again.
    pub pass_after: u32,
}

/// What counts as a pass.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CheckupKind {
    /// `GET` is answered with one of these statuses, and with this text somewhere in the body. A redirect
    /// is no pass unless its status is listed: whoever answers elsewhere has not answered.
    Http {
        /// Path and query.
        path: String,
        /// What stands in `Host`; `None` is the endpoint's own.
        host: Option<String>,
        /// First and last status of each range.
        status: Vec<(u16, u16)>,
        /// Must be there.
        body: Option<String>,
    },
    /// A connection can be opened.
    Tcp,
    /// `grpc.health.v1.Health/Check` says SERVING, over HTTP/2 without TLS.
    Grpc {
        /// Which service is asked about; empty is the server as a whole.
        service: String,
    },
}

/// How the endpoints of a service's versions are looked after.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Care {
    /// When an endpoint is left out for a while because of how it treats requests.
    pub eject: Eject,
    /// How long an endpoint that comes back, or is new, takes to get its full share. Zero: at once.
    pub slow_start: Duration,
    /// With fewer than this share of its endpoints ready, in percent, a version uses all of them.
    pub panic_percent: u8,
}

/// When an endpoint is left out for a while.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Eject {
    /// After so many connect failures in a row; 0 is never.
    pub connect: u32,
    /// After so many failed answers in a row; 0 is never.
    pub failures: u32,
    /// When less than this share of the answers of the last ten seconds was good, in percent; 0 is never.
    pub success_percent: u8,
    /// Fewest answers in ten seconds that such a share is judged by.
    pub requests: u32,
    /// How long the first time; each further time in a row takes twice as long.
    pub time: Duration,
    /// Most endpoints of a version that are left out at a time, in percent.
    pub most_percent: u8,
}

impl Default for Care {
    fn default() -> Self {
        Self { eject: Eject::default(), slow_start: Duration::ZERO, panic_percent: 0 }
    }
}

impl Default for Eject {
    fn default() -> Self {
        Self {
            // A connection that is refused says nothing about the request, so that nobody can have an
            // endpoint ejected by asking for a page that fails. The rest is switched on by name.
            connect: 3,
            failures: 0,
            success_percent: 0,
            requests: 50,
            time: Duration::from_secs(5),
            most_percent: 50,
        }
    }
}

impl Eject {
    /// No endpoint is ever left out.
    pub const NEVER: Self = Self {
        connect: 0,
        failures: 0,
        success_percent: 0,
        requests: 50,
        time: Duration::ZERO,
        most_percent: 0,
    };
}

/// How names of endpoints are looked up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dns {
    /// Who is asked; none: whom the system says.
    pub servers: Vec<SocketAddr>,
    /// An answer is used at least so long, whatever it says.
    pub ttl_min: Duration,
    /// And at most so long.
    pub ttl_max: Duration,
    /// Time for an answer of one server.
    pub timeout: Duration,
    /// Whether a name may lead to this machine or its link.
    pub allow_local: bool,
    /// Where no name may lead, whatever else is allowed: where operators are answered.
    pub closed: Option<SocketAddr>,
}

/// Whether whoever calls `address` gets to `door`. Calling no address in particular is calling this machine, and
/// a door may be open at all addresses of it; `is_here` says which those are.
pub fn leads_to(address: SocketAddr, door: SocketAddr, is_here: impl Fn(IpAddr) -> bool) -> bool {
    if address.port() != door.port() {
        return false;
    }
    let (ip, own) = (address.ip().to_canonical(), door.ip().to_canonical());
    let everywhere = own.is_unspecified() && (ip.is_loopback() || ip.is_unspecified() || is_here(ip));
    ip == own || everywhere || (ip.is_unspecified() && own.is_loopback())
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            ttl_min: Duration::from_secs(5),
            ttl_max: Duration::from_secs(300),
            timeout: Duration::from_secs(2),
            allow_local: false,
            closed: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calling_the_door_in_other_words() {
        // This machine is 10.0.0.5, beside what every machine is.
        let is_here = |it: IpAddr| it == IpAddr::from([10, 0, 0, 5]);
        for (address, door, found) in [
            ("127.0.0.1:9900", "127.0.0.1:9900", true),
            ("127.0.0.1:9901", "127.0.0.1:9900", false),
            ("[::ffff:127.0.0.1]:9900", "127.0.0.1:9900", true),
            ("0.0.0.0:9900", "127.0.0.1:9900", true),
            ("[::]:9900", "127.0.0.1:9900", true),
            ("127.0.0.2:9900", "127.0.0.1:9900", false),
            ("10.0.0.5:9900", "10.0.0.5:9900", true),
            ("10.0.0.6:9900", "10.0.0.5:9900", false),
            ("127.0.0.1:9900", "10.0.0.5:9900", false),
            ("127.0.0.9:9900", "0.0.0.0:9900", true),
            ("10.0.0.5:9900", "0.0.0.0:9900", true),
            ("10.0.0.6:9900", "0.0.0.0:9900", false),
            ("10.0.0.5:9900", "[::]:9900", true),
            ("[::1]:9900", "[::]:9900", true),
            ("0.0.0.0:9900", "[::]:9900", true),
        ] {
            let said = leads_to(address.parse().unwrap(), door.parse().unwrap(), is_here);
            assert_eq!(said, found, "{address} {door}");
        }
    }
}
