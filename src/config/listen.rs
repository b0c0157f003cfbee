//! `listen`: where connections are accepted.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::h1::Underscores;
use crate::message::EscapedSlashes;

use super::admin::AdminSpec;
use super::code::Code;
use super::domain::{IpNetwork, ListenerLimits, ListenerSpec, ListenerTimeouts, RequestIds};
use super::fields::{self, Fields, Shape};
use super::node::{Node, Value, Word};
use super::problem::{Problems, Report};
use super::request_id::request_id;
use super::source::At;
use super::text;
use super::tls::{self, Credentials};
use super::yaml::shown;

pub(super) const LISTENER: Shape = Shape {
    name: "Listener",
    what: "a listener",
    keys: &[
        "port",
        "bind",
        "h2c",
        "tls",
        "redirect",
        "trust",
        "timeouts",
        "limits",
        "underscores",
        "escaped_slashes",
        "merge_slashes",
        "request_id",
        "server_timing",
        "proxy_protocol",
    ],
};

pub(super) const LISTENER_TIMEOUTS: Shape = Shape {
    name: "ListenerTimeouts",
    what: "the timeouts of a listener",
    keys: &["handshake", "head", "idle", "body", "write"],
};

pub(super) const LISTENER_LIMITS: Shape = Shape {
    name: "ListenerLimits",
    what: "the limits of a listener",
    keys: &[
        "head",
        "headers",
        "uri",
        "requests",
        "streams",
        "age",
        "body_rate",
        "connections",
        "connections_per_address",
    ],
};

/// Name of the listener that is written without one: `listen: 8080`.
const LISTENER_NAME_DEFAULT: &str = "http";

/// A listener and where it is written.
pub(super) struct Placed {
    pub(super) spec: ListenerSpec,
    pub(super) at: At,
}

/// `listen`: a port, an address, or named listeners.
pub(super) fn listen(node: &Node, credentials: &mut Credentials<'_>, problems: &mut Problems) -> Vec<Placed> {
    if !matches!(node.value, Value::Map(_)) {
        let name = Word { at: node.at, text: LISTENER_NAME_DEFAULT.into() };
        return listener(&name, node, credentials, problems).into_iter().collect();
    }
    let Some(entries) = fields::entries(node, "`listen`", problems) else { return Vec::new() };
    if let Some(entry) = entries.iter().find(|it| LISTENER.keys.contains(&it.key.text.as_str())) {
        let message = format!("`{}` is a setting of a listener, not the name of one", entry.key.text);
        problems.push(
            Report::error(Code::Kind, entry.key.at, message)
                .help("give the listener a name: listen: {http: {port: 8080}}"),
        );
        return Vec::new();
    }
    if entries.is_empty() {
        problems.push(no_listener(node.at));
    }
    let written = entries.iter().filter(|it| !it.value.is_null());
    written.filter_map(|it| listener(&it.key, &it.value, credentials, problems)).collect()
}

pub(super) fn no_listener(at: At) -> Report {
    Report::error(Code::NoListener, at, "nothing listens").help("add a port: listen: 8080")
}

fn listener(
    name: &Word,
    node: &Node,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<Placed> {
    let mut spec = ListenerSpec {
        name: fields::name(name, "listener", problems)?,
        address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        h2c: false,
        tls: None,
        redirect: None,
        trust: Vec::new(),
        timeouts: ListenerTimeouts::default(),
        limits: ListenerLimits::default(),
        underscores: Underscores::default(),
        escaped_slashes: EscapedSlashes::default(),
        merge_slashes: false,
        server_timing: false,
        request_id: Some(RequestIds::default()),
        proxy_protocol: false,
    };
    let at = node.at;
    let Value::Map(_) = &node.value else {
        spec.address = port_or_address(node, problems)?;
        return Some(Placed { spec, at });
    };
    let fields = Fields::of(node, name.at, &LISTENER, problems)?;
    let port = fields.required("port", "for example port: 8080", problems);
    let port = port.and_then(|it| port_number(&it.value, problems));
    let mut ip = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    fields.set("bind", &mut ip, problems, bind);
    fields.set("h2c", &mut spec.h2c, problems, fields::boolean);
    let tls = fields.get("tls").map(|node| tls::listener(node, credentials, problems));
    fields.set("redirect", &mut spec.redirect, problems, |node, problems| {
        tls::redirect(node, problems).map(Some)
    });
    if let (Some(entry), Some(_)) = (fields.entry("redirect"), &tls) {
        let message = "a listener with `tls` would redirect to itself";
        problems.push(Report::error(Code::Tls, entry.key.at, message));
    }
    fields.set("trust", &mut spec.trust, problems, trust);
    fields.set("timeouts", &mut spec.timeouts, problems, timeouts);
    fields.set("limits", &mut spec.limits, problems, limits);
    fields.set("underscores", &mut spec.underscores, problems, |node, problems| {
        let choices =
            [("drop", Underscores::Drop), ("keep", Underscores::Keep), ("refuse", Underscores::Refuse)];
        fields::choice(node, &choices, problems)
    });
    fields.set("escaped_slashes", &mut spec.escaped_slashes, problems, |node, problems| {
        let choices = [
            ("keep", EscapedSlashes::Keep),
            ("reject", EscapedSlashes::Reject),
            ("decode", EscapedSlashes::Decode),
        ];
        fields::choice(node, &choices, problems)
    });
    fields.set("merge_slashes", &mut spec.merge_slashes, problems, fields::boolean);
    fields.set("server_timing", &mut spec.server_timing, problems, fields::boolean);
    fields.set("request_id", &mut spec.request_id, problems, request_id);
    fields.set("proxy_protocol", &mut spec.proxy_protocol, problems, fields::boolean);
    if let Some(asked) = fields.get("proxy_protocol")
        && spec.proxy_protocol
        && spec.trust.is_empty()
    {
        let report = Report::error(Code::Network, asked.at, "nobody may send the header that is asked for");
        problems.push(report.help("say who may: trust: [10.0.0.0/8]"));
    }
    // A listener that was to be secret is never opened without.
    spec.tls = tls.map(|it| it.map(Arc::new).ok_or(())).transpose().ok()?;
    spec.address = SocketAddr::new(ip, port?);
    Some(Placed { spec, at: name.at })
}

fn port_number(node: &Node, problems: &mut Problems) -> Option<u16> {
    fields::integer(node, 0, 65_535, problems).and_then(|it| u16::try_from(it).ok())
}

/// `8080` or `127.0.0.1:8080`.
fn port_or_address(node: &Node, problems: &mut Problems) -> Option<SocketAddr> {
    let written = fields::text(node, problems)?;
    if !written.is_empty() && written.bytes().all(|b| b.is_ascii_digit()) {
        return port_number(node, problems).map(|it| SocketAddr::from((Ipv4Addr::UNSPECIFIED, it)));
    }
    address(node, problems)
}

pub(super) fn address(node: &Node, problems: &mut Problems) -> Option<SocketAddr> {
    let written = fields::text(node, problems)?;
    if let Ok(address) = written.parse() {
        return Some(address);
    }
    let port = written.rsplit_once(':').and_then(|it| it.1.parse::<u16>().ok());
    let help = match (written.split_once(':').map_or(written, |it| it.0), port) {
        ("" | "*", Some(port)) => format!("for every IPv4 address write {port} or 0.0.0.0:{port}"),
        ("localhost", Some(port)) => format!("write the address: 127.0.0.1:{port}"),
        (_, None) if written.parse::<IpAddr>().is_ok() => format!("a port is missing: {written}:8080"),
        _ => "an IP address and a port: 127.0.0.1:8080 or [::1]:8080".into(),
    };
    let message = format!("`{}` is not an address", shown(written));
    problems.push(Report::error(Code::Address, node.at, message).help(help));
    None
}

fn bind(node: &Node, problems: &mut Problems) -> Option<IpAddr> {
    let written = fields::text(node, problems)?;
    let bare = written.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(written);
    bare.parse().ok().or_else(|| {
        let message = format!("`{}` is not an IP address", shown(written));
        problems.push(
            Report::error(Code::Address, node.at, message)
                .help("0.0.0.0 is every IPv4 address, \"::\" every IPv6 address, 127.0.0.1 this machine"),
        );
        None
    })
}

fn trust(node: &Node, problems: &mut Problems) -> Option<Vec<IpNetwork>> {
    let items = fields::one_or_more(node, "`trust` is a list of networks", problems)?;
    let networks: Vec<_> = items.into_iter().map(|it| network(it, problems)).collect();
    networks.into_iter().collect()
}

fn network(node: &Node, problems: &mut Problems) -> Option<IpNetwork> {
    let written = fields::text(node, problems)?;
    let (address, prefix) = written.split_once('/').map_or((written, None), |it| (it.0, Some(it.1)));
    let parsed = address.parse::<IpAddr>().ok().and_then(|address| {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(bits), |it| it.parse().ok().filter(|it| *it <= bits))?;
        Some(IpNetwork { address, prefix })
    });
    let Some(network) = parsed else {
        let message = format!("`{}` is not a network", shown(written));
        problems
            .push(Report::error(Code::Network, node.at, message).help("for example 10.0.0.0/8 or fd00::/8"));
        return None;
    };
    let first = first_address(network);
    if first != network.address {
        let message = format!("`{written}` has bits behind its prefix");
        let help = format!("the network is {first}/{}", network.prefix);
        problems.push(Report::error(Code::Network, node.at, message).help(help));
    }
    Some(network)
}

fn first_address(network: IpNetwork) -> IpAddr {
    match network.address {
        IpAddr::V4(it) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(network.prefix)).unwrap_or(0);
            IpAddr::V4((u32::from(it) & mask).into())
        }
        IpAddr::V6(it) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(network.prefix)).unwrap_or(0);
            IpAddr::V6((u128::from(it) & mask).into())
        }
    }
}

/// A duration of at least a millisecond: a zero would expire before anything can happen.
pub(super) fn timeout(node: &Node, problems: &mut Problems) -> Option<Duration> {
    let span = fields::parsed(node, text::duration, problems)?;
    if span < Duration::from_millis(1) {
        let report = Report::error(Code::Limit, node.at, "a time limit of zero refuses everything");
        problems.push(report.help("at least 1ms"));
        return None;
    }
    Some(span)
}

/// A size in bytes in a range.
pub(super) fn bytes(node: &Node, least: u64, most: u64, problems: &mut Problems) -> Option<usize> {
    let size = fields::parsed(node, text::size, problems)?;
    if !(least..=most).contains(&size) {
        let message = format!("{size} bytes is out of range");
        problems
            .push(Report::error(Code::Limit, node.at, message).help(format!("from {least} to {most} bytes")));
        return None;
    }
    usize::try_from(size).ok()
}

/// A count in a range.
pub(super) fn count(node: &Node, most: u64, problems: &mut Problems) -> Option<usize> {
    fields::integer(node, 1, most, problems).and_then(|it| usize::try_from(it).ok())
}

fn timeouts(node: &Node, problems: &mut Problems) -> Option<ListenerTimeouts> {
    let fields = Fields::of(node, node.at, &LISTENER_TIMEOUTS, problems)?;
    let mut it = ListenerTimeouts::default();
    fields.set("handshake", &mut it.handshake, problems, timeout);
    fields.set("head", &mut it.head, problems, timeout);
    fields.set("idle", &mut it.idle, problems, timeout);
    fields.set("body", &mut it.body, problems, timeout);
    fields.set("write", &mut it.write, problems, timeout);
    Some(it)
}

fn limits(node: &Node, problems: &mut Problems) -> Option<ListenerLimits> {
    let fields = Fields::of(node, node.at, &LISTENER_LIMITS, problems)?;
    let mut it = ListenerLimits::default();
    fields.set("head", &mut it.head, problems, |node, problems| bytes(node, 1024, 1 << 20, problems));
    fields.set("headers", &mut it.headers, problems, |node, problems| count(node, 1000, problems));
    fields.set("uri", &mut it.uri, problems, |node, problems| bytes(node, 64, 1 << 20, problems));
    fields.set("requests", &mut it.requests, problems, |node, problems| {
        fields::integer(node, 1, u64::MAX, problems)
    });
    fields.set("streams", &mut it.streams, problems, |node, problems| count(node, 1000, problems));
    fields.set("age", &mut it.age, problems, timeout);
    fields.set("body_rate", &mut it.body_rate, problems, |node, problems| {
        if node.is_word("off") { Some(0) } else { fields::parsed(node, text::size, problems) }
    });
    fields.set("connections", &mut it.connections, problems, |node, problems| {
        if node.is_word("auto") { Some(None) } else { count(node, u64::from(u32::MAX), problems).map(Some) }
    });
    fields.set("connections_per_address", &mut it.connections_per_address, problems, |node, problems| {
        count(node, u64::from(u32::MAX), problems)
    });
    if it.uri > it.head {
        let report = Report::warning(Code::Limit, node.at, "`uri` is larger than `head`, which contains it");
        problems.push(report.help(format!("requests are refused above {} bytes of head already", it.head)));
    }
    Some(it)
}

/// Addresses that only one can have.
pub(super) fn clashes(
    listeners: &[Placed],
    admin: &AdminSpec,
    admin_at: Option<At>,
    problems: &mut Problems,
) {
    for (index, it) in listeners.iter().enumerate() {
        let before = &listeners[..index];
        let Some(other) = before.iter().find(|other| same_port(other.spec.address, it.spec.address)) else {
            continue;
        };
        let (name, rival, port) = (&it.spec.name, &other.spec.name, it.spec.address.port());
        let message = format!("listeners `{rival}` and `{name}` both want port {port}");
        let report = Report::error(Code::ListenerTaken, it.at, message).label(it.spec.address.to_string());
        problems.push(report.related(other.at, other.spec.address.to_string()));
    }
    let Some(address) = admin.listen else { return };
    let Some(other) = listeners.iter().find(|it| same_port(it.spec.address, address)) else { return };
    let message = format!("listener `{}` and `admin` both want port {}", other.spec.name, address.port());
    let report = Report::error(Code::ListenerTaken, other.at, message).label(other.spec.address.to_string());
    problems.push(match admin_at {
        Some(at) => report.related(at, address.to_string()),
        None => report.help(format!(
            "`admin` has {address} unless it says otherwise: admin: {{listen: 127.0.0.1:9901}}"
        )),
    });
}

fn same_port(a: SocketAddr, b: SocketAddr) -> bool {
    // An IPv6 wildcard may take the port for IPv4 too, depending on the system.
    let all =
        |it: SocketAddr, other: SocketAddr| it.ip().is_unspecified() && (it.is_ipv6() || other.is_ipv4());
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || all(a, b) || all(b, a))
}
