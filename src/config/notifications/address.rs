//! URLs that may be called.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::super::code::Code;
use super::super::endpoint::{is_host_name, split_port};
use super::super::node::Node;
use super::super::problem::{Problems, Report};
use super::local::is_local_address;

/// Where a notification goes. Its path may be a secret, so it is never printed.
#[derive(Clone, Eq, PartialEq)]
pub struct NotifyUrl {
    /// Whether it is spoken to over TLS.
    pub secure: bool,
    /// Who.
    pub host: NotifyHost,
    /// At which port.
    pub port: u16,
    /// Both, as a request names them.
    pub authority: String,
    /// Path and query; begins with `/`.
    pub path: String,
}

/// Who is called.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NotifyHost {
    /// An address.
    Address(IpAddr),
    /// A name that is looked up.
    Name(String),
}

impl fmt::Display for NotifyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.secure { "https" } else { "http" }, self.authority)
    }
}

impl fmt::Debug for NotifyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NotifyUrl({self}/…)")
    }
}

/// What the file allows by name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lenient {
    /// Addresses of this machine and its network.
    pub local: bool,
    /// Plain text to other machines.
    pub plain: bool,
}

/// Reads a URL that `node` says or refers to. Reports have nothing of it: it may be a secret.
pub(super) fn parsed(
    written: &str,
    node: &Node,
    lenient: Lenient,
    problems: &mut Problems,
) -> Option<NotifyUrl> {
    match parse(written, lenient) {
        Ok(it) => Some(it),
        Err(Wrong { message, help, secret }) => {
            if secret {
                problems.hide(node.at);
            }
            problems.push(Report::error(Code::NotifyAddress, node.at, message).help(help));
            None
        }
    }
}

/// What is wrong, what to write instead, and whether the text has a secret in it.
#[derive(Debug)]
struct Wrong {
    message: &'static str,
    help: &'static str,
    secret: bool,
}

fn wrong<T>(message: &'static str, help: &'static str) -> Result<T, Wrong> {
    Err(Wrong { message, help, secret: false })
}

const EXAMPLE: &str = "for example https://ci.example.com/hook";

fn parse(written: &str, lenient: Lenient) -> Result<NotifyUrl, Wrong> {
    let Some((scheme, rest)) = written.split_once("://") else {
        return wrong("this is no URL that can be called", EXAMPLE);
    };
    let secure = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" => false,
        _ => return wrong("notifications go over https:// or http://", EXAMPLE),
    };
    if written.len() > URL_BYTES_MAX
        || !rest.bytes().all(|it| it.is_ascii_graphic())
        || rest.contains(['#', '\\'])
    {
        return wrong("this is no URL that can be called", EXAMPLE);
    }
    let (authority, path) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
    if authority.contains('@') {
        let help = "leave them out; a webhook is signed with its `secret`";
        return Err(Wrong { message: "a user and a password do not stand in a URL", help, secret: true });
    }
    let Some((host, port)) = split_port(authority, if secure { 443 } else { 80 }) else {
        return wrong("the port of the URL cannot be used", EXAMPLE);
    };
    let Some(host) = host_of(host) else {
        return wrong(
            "the host of the URL cannot be used: neither a name nor an address as it is usually written",
            EXAMPLE,
        );
    };
    let (near, loopback) = match &host {
        NotifyHost::Address(it) => (is_local_address(*it), it.to_canonical().is_loopback()),
        NotifyHost::Name(it) => {
            let here = it == "localhost" || it.ends_with(".localhost");
            (here, here)
        }
    };
    if near && !lenient.local {
        return wrong(
            "this address belongs to this machine or its network, where notifications do not go",
            "if it is meant: local: allow",
        );
    }
    if !secure && !loopback && !lenient.plain {
        return wrong(
            "whoever is on the way can read and change this",
            "write https://, or if it is meant: plain: allow",
        );
    }
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok(NotifyUrl { secure, host, port, authority: authority.to_ascii_lowercase(), path })
}

/// A name, or an address in its usual form. Resolvers take `0x7f.1`, `017700000001` and `2130706433` for
/// addresses as well, which nobody who reads the file would.
fn host_of(host: &str) -> Option<NotifyHost> {
    if let Some(inner) = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().ok().map(|it| NotifyHost::Address(it.into()));
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.is_ipv4().then_some(NotifyHost::Address(address));
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let is_number = last.strip_prefix("0x").is_some_and(|it| it.bytes().all(|b| b.is_ascii_hexdigit()));
    (is_host_name(host) && !is_number).then(|| NotifyHost::Name(host.to_ascii_lowercase()))
}

const URL_BYTES_MAX: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Lenient = Lenient { local: false, plain: false };

    #[test]
    fn what_may_be_called() {
        for (written, shown, path) in [
            ("https://ci.example.com/hook?a=b", "https://ci.example.com", "/hook?a=b"),
            ("HTTPS://CI.example.com", "https://ci.example.com", "/"),
            ("https://ci.example.com:8443?x", "https://ci.example.com:8443", "/?x"),
            ("https://8.8.8.8/x", "https://8.8.8.8", "/x"),
            ("https://[2606:4700::1111]/x", "https://[2606:4700::1111]", "/x"),
        ] {
            let it = parse(written, STRICT).unwrap();
            assert_eq!((it.to_string().as_str(), it.path.as_str()), (shown, path), "{written}");
            assert!(!format!("{it:?}").contains("hook"), "{it:?}");
        }
    }

    #[test]
    fn what_may_not() {
        for written in [
            "",
            "x",
            "ftp://a.b/c",
            "file:///etc/passwd",
            "unix:/run/x.sock",
            "gopher://a.b",
            "https://",
            "https:///x",
            "https://me:hush@ci.example.com/",
            "https://ci.example.com@127.0.0.1/",
            "https://a b/",
            "https://a.b/#x",
            "https://a.b\\@c.d/",
            "https://a.b:0/",
            "https://a.b:99999/",
            "https://a.b:/",
            // This machine, its link and its network, however they are spelled.
            "https://127.0.0.1/",
            "https://localhost/",
            "https://x.localhost/",
            "https://LOCALHOST./",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://169.254.169.254/latest/meta-data/",
            "https://[fd00:ec2::254]/",
            "https://[fe80::1]/",
            "https://10.0.0.1/",
            "https://0/",
            "https://0.0.0.0/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0x7f.0.0.1/",
            "https://0177.0.0.1/",
            "https://017700000001/",
            "https://127.1/",
            "https://127.0.0.01/",
            "https://0x7F.1/",
            "https://[::1",
            "https://①②⑦.⓪.⓪.①/",
            "https://1.2.3.4.5/",
            "https://1.2.3.0x4/",
            // Plain text.
            "http://ci.example.com/",
            "http://127.0.0.1/",
        ] {
            assert!(parse(written, STRICT).is_err(), "{written}");
        }
        assert!(parse("https://me:hush@ci.example.com/", STRICT).unwrap_err().secret);
    }

    #[test]
    fn what_may_if_it_is_meant() {
        let (local, plain) = (Lenient { local: true, plain: false }, Lenient { local: false, plain: true });
        for (written, lenient, fits) in [
            ("http://127.0.0.1:9000/x", local, true),
            ("http://localhost/x", local, true),
            ("https://10.0.0.1/x", local, true),
            ("http://10.0.0.1/x", local, false),
            ("http://10.0.0.1/x", Lenient { local: true, plain: true }, true),
            ("http://ci.example.com/x", plain, true),
            ("http://127.0.0.1/x", plain, false),
            // No spelling of an address is meant.
            ("https://2130706433/", local, false),
            ("https://0x7f000001/", local, false),
        ] {
            assert_eq!(parse(written, lenient).is_ok(), fits, "{written}");
        }
    }
}
