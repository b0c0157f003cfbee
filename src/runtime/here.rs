//! Which addresses are this machine's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Whether an address is one of this machine's at the moment. Nothing is sent to find out.
pub fn is_here(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let nobodys = if address.is_ipv4() { IpAddr::V4(NOBODYS_V4) } else { IpAddr::V6(NOBODYS_V6) };
    // Nothing can be opened at another's, but where the system has been told not to look (`ip_nonlocal_bind`, for
    // an address that moves from machine to machine).
    match can_open(nobodys) {
        false => can_open(address),
        true => is_called_from_itself(address),
    }
}

fn can_open(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// Whoever calls an address of their own calls from it.
fn is_called_from_itself(address: IpAddr) -> bool {
    let anywhere =
        if address.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let called = UdpSocket::bind((anywhere, 0)).and_then(|it| {
        it.connect(SocketAddr::new(address, PORT))?;
        it.local_addr()
    });
    address.is_loopback() || called.is_ok_and(|it| it.ip() == address)
}

/// Addresses that are for books (RFC 5737 and 3849), and nobody's.
const NOBODYS_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 237);
const NOBODYS_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xed);
/// Any: nothing is sent there.
const PORT: u16 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_and_not_ours() {
        // From where the world would be called: an address of this machine that is no loopback, if it has one.
        let own = UdpSocket::bind("0.0.0.0:0").and_then(|it| {
            it.connect((NOBODYS_V4, PORT))?;
            it.local_addr()
        });
        let own = own.ok().map(|it| (it.ip(), true));
        let fixed =
            [("127.0.0.1", true), ("127.9.9.9", true), ("::ffff:127.0.0.1", true), ("198.51.100.7", false)];
        for (address, expected) in fixed.map(|(it, here)| (it.parse().unwrap(), here)).into_iter().chain(own)
        {
            assert_eq!(is_here(address), expected, "{address}");
            assert_eq!(is_called_from_itself(address.to_canonical()), expected, "{address}");
        }
    }
}
