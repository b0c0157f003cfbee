//! The PROXY protocol (HAProxy, 2020) towards an endpoint: the few bytes ahead of everything else that say for
//! whom a connection was opened.
//!
//! It is part of an endpoint's identity. A connection that begins so speaks for one client's connection and
//! never for another's: who keeps connections sees to that.

use std::net::{IpAddr, SocketAddr};

/// Which form of the header an endpoint wants.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ProxyProtocol {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// What version 2 begins with, and its version.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Somebody else's connection, and one's own.
const PROXY: u8 = 0x21;

/// A stream of IPv4, and of IPv6.
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

impl ProxyProtocol {
    /// Says that the connection is nobody's but ours, as in a checkup.
    pub fn own(self) -> &'static [u8] {
        match self {
            Self::V1 => b"PROXY UNKNOWN\r\n",
            Self::V2 => b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
        }
    }

    /// Says that the connection is for a client at `from`, which has connected to `to`.
    pub fn of(self, from: SocketAddr, to: SocketAddr) -> Vec<u8> {
        match self {
            Self::V1 => line(from, to),
            Self::V2 => block(from, to),
        }
    }
}

fn line(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let (family, source, destination) = match (from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            ("TCP4", source.to_string(), destination.to_string())
        }
        (source, destination) => ("TCP6", six(source).to_string(), six(destination).to_string()),
    };
    format!("PROXY {family} {source} {destination} {} {}\r\n", from.port(), to.port()).into_bytes()
}

fn block(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let (family, addresses) = match (from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            (TCP4, [source.octets(), destination.octets()].concat())
        }
        (source, destination) => (TCP6, [six(source).octets(), six(destination).octets()].concat()),
    };
    let ports = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
    let length = u16::try_from(addresses.len() + ports.len()).expect("36 at most");
    [SIGNATURE, &[PROXY, family], &length.to_be_bytes(), &addresses, &ports].concat()
}

/// Both are told in one family, so an IPv4 address beside an IPv6 one is told as it is mapped.
fn six(address: IpAddr) -> std::net::Ipv6Addr {
    match address {
        IpAddr::V4(it) => it.to_ipv6_mapped(),
        IpAddr::V6(it) => it,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_in_either_form() {
        for (from, to, text, family, length) in [
            ("192.0.2.1:5000", "192.0.2.2:443", "TCP4 192.0.2.1 192.0.2.2 5000 443", 0x11, 12),
            ("[2001:db8::1]:1", "[::1]:65535", "TCP6 2001:db8::1 ::1 1 65535", 0x21, 36),
            ("192.0.2.1:5000", "[::1]:443", "TCP6 ::ffff:192.0.2.1 ::1 5000 443", 0x21, 36),
        ] {
            let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
            assert_eq!(ProxyProtocol::V1.of(from, to), format!("PROXY {text}\r\n").into_bytes());
            let two = ProxyProtocol::V2.of(from, to);
            assert!(two.starts_with(b"\r\n\r\n\0\r\nQUIT\n\x21"), "{two:?}");
            assert_eq!(
                (two[13], &two[14..16], two.len()),
                (family, &[0, length][..], 16 + usize::from(length))
            );
            assert_eq!(two[two.len() - 4..], [from.port().to_be_bytes(), to.port().to_be_bytes()].concat());
        }
        let longest = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().unwrap();
        assert!(ProxyProtocol::V1.of(longest, longest).len() <= 107, "as long as it may be");
    }
}
