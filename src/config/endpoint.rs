//! Endpoints as they are written: `http://10.0.1.10:3000`, `https://shop.internal`, `h2c://10.0.1.10:50051`,
//! `h2://shop.internal`, `unix:/run/shop.sock`.

use std::net::{IpAddr, Ipv6Addr};

use crate::routing::{EndpointHost, EndpointSpec, Protocol};

use super::code::Code;
use super::fields;
use super::node::Node;
use super::problem::{Problems, Report};
use super::yaml::shown;

/// Longest name that the DNS can hold, in bytes.
pub(super) const HOST_BYTES_MAX: usize = 253;

/// Longest path of a Unix socket, in bytes: `sun_path` less its end.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Ports when none is written.
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// An endpoint, and whether it wants TLS.
pub(super) fn endpoint(node: &Node, problems: &mut Problems) -> Option<(EndpointSpec, bool)> {
    let written = fields::text(node, problems)?;
    match parse(written) {
        Ok(it) => Some(it),
        Err((code, message, help)) => {
            let report = Report::error(code, node.at, format!("endpoint `{}` {message}", shown(written)));
            problems.push(report.help(help));
            None
        }
    }
}

/// An error is a code, what is wrong with the endpoint, and what to write instead.
fn parse(written: &str) -> Result<(EndpointSpec, bool), (Code, &'static str, String)> {
    let example = || "for example http://10.0.1.10:3000".to_string();
    if let Some(path) = written.strip_prefix("unix:") {
        return unix(path).map(|it| (it, false));
    }
    let Some((scheme, rest)) = written.split_once("://") else {
        return Err((Code::Endpoint, "has no scheme", format!("write http://{}", shown(written))));
    };
    let (protocol, secure) = match scheme.to_ascii_lowercase().as_str() {
        "http" => (Protocol::Http1, false),
        "https" => (Protocol::Http1, true),
        "h2c" => (Protocol::Http2, false),
        "h2" => (Protocol::Http2, true),
        _ => return Err((Code::Scheme, "has an unknown scheme", example())),
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#']) {
        let help = "leave out what follows the port; `rewrite` in a route changes paths".into();
        return Err((Code::Endpoint, "has a path or query", help));
    }
    if authority.contains('@') {
        return Err((Code::Endpoint, "has a user name", "set a header in a route instead".into()));
    }
    let usual = if secure { HTTPS_PORT } else { HTTP_PORT };
    let (host, port) =
        split_port(authority, usual).ok_or((Code::Endpoint, "has an unusable port", example()))?;
    let host = endpoint_host(host).ok_or((Code::Endpoint, "has an unusable host", example()))?;
    Ok((EndpointSpec { host, port, protocol, tls: None, proxy_protocol: None }, secure))
}

fn unix(written: &str) -> Result<EndpointSpec, (Code, &'static str, String)> {
    let refused = |message| Err((Code::Endpoint, message, "for example unix:/run/shop.sock".into()));
    // `unix:///run/shop.sock` means the same.
    let path = written.strip_prefix("//").unwrap_or(written);
    if !path.starts_with('/') {
        return refused("has no absolute path");
    }
    if path.ends_with('/') || path.contains('\0') {
        return refused("has an unusable path");
    }
    if path.len() > SOCKET_PATH_BYTES_MAX {
        return refused("has a path of more than 107 bytes, which the kernel refuses");
    }
    let host = EndpointHost::Unix(path.to_owned());
    Ok(EndpointSpec { host, port: 0, protocol: Protocol::Http1, tls: None, proxy_protocol: None })
}

pub(super) fn split_port(authority: &str, usual: u16) -> Option<(&str, u16)> {
    // The last colon outside brackets separates the port.
    let end = authority.rfind(']').map_or(0, |it| it + 1);
    match authority[end..].find(':') {
        None => Some((authority, usual)),
        Some(at) => {
            let (host, port) = (&authority[..end + at], &authority[end + at + 1..]);
            let digits = port.bytes().all(|b| b.is_ascii_digit());
            port.parse().ok().filter(|it| *it != 0 && digits).map(|it| (host, it))
        }
    }
}

fn endpoint_host(host: &str) -> Option<EndpointHost> {
    if let Some(inner) = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().ok().map(|it| EndpointHost::Address(IpAddr::V6(it)));
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        // A bare IPv6 address would swallow the port.
        return address.is_ipv4().then_some(EndpointHost::Address(address));
    }
    is_host_name(host).then(|| EndpointHost::Name(host.to_ascii_lowercase()))
}

/// Whether it is a name of labels that hold letters, digits, `-` and `_`, the last one not all digits:
/// `10.0.1.256` is a slip, not a name.
pub(super) fn is_host_name(host: &str) -> bool {
    let label = |it: &str| {
        !it.is_empty()
            && it.len() <= 63
            && !it.starts_with('-')
            && !it.ends_with('-')
            && it.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    host.len() <= HOST_BYTES_MAX && host.split('.').all(label) && !last.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (written, expected) in [
            ("http://10.0.1.10:3000", "10.0.1.10:3000"),
            ("http://shop", "shop:80"),
            ("http://Shop.Internal:81/", "shop.internal:81"),
            ("HTTP://[::1]:8080", "[::1]:8080"),
            ("http://[fd00::1]", "[fd00::1]:80"),
            ("http://my_service.local", "my_service.local:80"),
            ("https://shop", "shop:443"),
            ("https://[::1]:8443", "[::1]:8443"),
            ("unix:/run/shop.sock", "unix:/run/shop.sock"),
            ("unix:///run/shop.sock", "unix:/run/shop.sock"),
        ] {
            assert_eq!(parse(written).unwrap().0.to_string(), expected);
        }
        assert_eq!(parse("h2c://shop:50051").unwrap().0.url(), "h2c://shop:50051");
        for one in ["http", "https", "h2c", "h2"] {
            for other in ["http", "https", "h2c", "h2"] {
                let same = parse(&format!("{one}://shop:81")) == parse(&format!("{other}://shop:81"));
                assert_eq!(same, one == other, "connections are not shared");
            }
        }
    }

    #[test]
    fn refused() {
        for (written, code) in [
            ("10.0.0.1:3000", Code::Endpoint),
            ("shop", Code::Endpoint),
            ("unix:run/shop.sock", Code::Endpoint),
            ("unix:", Code::Endpoint),
            ("unix:/", Code::Endpoint),
            ("unix:/run/", Code::Endpoint),
            ("ftp://shop", Code::Scheme),
            ("http://shop/path", Code::Endpoint),
            ("http://shop?x", Code::Endpoint),
            ("http://me:secret@shop", Code::Endpoint),
            ("http://", Code::Endpoint),
            ("http://:80", Code::Endpoint),
            ("http://shop:0", Code::Endpoint),
            ("http://shop:65536", Code::Endpoint),
            ("http://shop:+80", Code::Endpoint),
            ("http://shop:", Code::Endpoint),
            ("http://10.0.1.256", Code::Endpoint),
            ("http://::1", Code::Endpoint),
            ("http://[::1", Code::Endpoint),
            ("http://sh op", Code::Endpoint),
            ("http://-shop", Code::Endpoint),
            ("", Code::Endpoint),
        ] {
            assert_eq!(parse(written).unwrap_err().0, code, "{written}");
        }
        let path = format!("unix:/{}", "p".repeat(106));
        assert!(parse(&path).is_ok());
        assert!(parse(&format!("{path}p")).is_err());
    }
}
