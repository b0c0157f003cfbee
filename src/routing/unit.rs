//! Reading the sticky identity of a caller from what a request carries.
//!
//! Anything that is missing, empty or malformed counts as absent: such a request is drawn like one
//! without an identity, rather than sharing one bucket with all others of its kind.

use std::net::IpAddr;

/// The value of a cookie in one `Cookie` line (RFC 6265, section 4.2.1), without the quotes around it.
///
/// The first pair of that name decides; browsers send the most specific one first.
pub fn cookie<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let value = match cookies(line, name).next()? {
        [b'"', inner @ .., b'"'] => inner,
        value => value,
    };
    (!value.is_empty() && value.iter().copied().all(is_cookie_octet)).then_some(value)
}

/// Everything that one `Cookie` line says under a name, as it is written.
pub fn cookies<'a>(line: &'a [u8], name: &str) -> impl Iterator<Item = &'a [u8]> {
    line.split(|it| *it == b';').filter_map(move |pair| {
        let pair = pair.trim_ascii();
        let (found, value) = pair.split_at(pair.iter().position(|it| *it == b'=')?);
        (found == name.as_bytes()).then(|| &value[1..])
    })
}

/// An address as a unit: the same for an IPv4 client on an IPv4 and on a dual-stack listener.
pub fn address(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(it) => it.to_ipv6_mapped().octets(),
        IpAddr::V6(it) => it.octets(),
    }
}

fn is_cookie_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2B | 0x2D..=0x3A | 0x3C..=0x5B | 0x5D..=0x7E)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies() {
        for (line, expected) in [
            ("id=7", Some("7")),
            ("a=b; id=7; c=d", Some("7")),
            ("a=b;id=7;c=d", Some("7")),
            (" id=7 ", Some("7")),
            ("id=\"7\"", Some("7")),
            ("id=a=b==", Some("a=b==")),
            ("id=7; id=8", Some("7")),
            ("flag; id=7", Some("7")),
            ("id=", None),
            ("id=\"\"", None),
            ("id=\"7", None),
            ("id=7 8", None),
            ("id=7,8", None),
            ("id=\\7", None),
            ("id=; id=8", None),
            ("id =7", None),
            ("ID=7", None),
            ("xid=7", None),
            ("idx=7", None),
            ("id", None),
            ("", None),
            (";;=;", None),
            ("id=\u{e9}", None),
        ] {
            assert_eq!(cookie(line.as_bytes(), "id"), expected.map(str::as_bytes), "{line}");
        }
    }

    #[test]
    fn addresses() {
        let of = |text: &str| address(text.parse().unwrap());
        assert_eq!(of("10.0.0.1"), of("::ffff:10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
        assert_ne!(of("::1"), of("127.0.0.1"));
    }
}
