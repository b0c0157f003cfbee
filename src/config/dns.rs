//! `dns`: how names of endpoints are looked up.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::routing::Dns;

use super::code::Code;
use super::fields::{self, Fields, Shape};
use super::listen::timeout;
use super::node::Node;
use super::problem::{Problems, Report};

pub(super) const DNS: Shape =
    Shape { name: "Dns", what: "`dns`", keys: &["servers", "ttl_min", "ttl_max", "timeout", "local"] };

/// Port of a server when none is written.
const DNS_PORT: u16 = 53;

/// A name is not asked for more often than this, whatever happens.
const TTL_LEAST: Duration = Duration::from_millis(100);

pub(super) fn dns(node: &Node, problems: &mut Problems) -> Option<Dns> {
    let fields = Fields::of(node, node.at, &DNS, problems)?;
    let mut it = Dns::default();
    fields.set("servers", &mut it.servers, problems, servers);
    fields.set("ttl_min", &mut it.ttl_min, problems, ttl);
    fields.set("ttl_max", &mut it.ttl_max, problems, ttl);
    fields.set("timeout", &mut it.timeout, problems, timeout);
    let words = [("refuse", false), ("allow", true)];
    fields
        .set("local", &mut it.allow_local, problems, |node, problems| fields::choice(node, &words, problems));
    if it.ttl_min > it.ttl_max {
        problems.push(Report::error(Code::Limit, node.at, "`ttl_min` is above `ttl_max`"));
        return None;
    }
    Some(it)
}

fn ttl(node: &Node, problems: &mut Problems) -> Option<Duration> {
    let span = timeout(node, problems)?;
    if span < TTL_LEAST {
        let report = Report::error(Code::Limit, node.at, "that would flood the server");
        problems.push(report.help(format!("at least {}ms", TTL_LEAST.as_millis())));
        return None;
    }
    Some(span)
}

fn servers(node: &Node, problems: &mut Problems) -> Option<Vec<SocketAddr>> {
    let items = fields::one_or_more(node, "an address or a list of them", problems)?;
    let servers: Vec<_> = items.into_iter().map(|it| fields::parsed(it, server, problems)).collect();
    servers.into_iter().collect()
}

fn server(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse::<IpAddr>().map(|it| SocketAddr::new(it, DNS_PORT));
    let address = address.or_else(|_| text.parse::<SocketAddr>());
    address.map_err(|_| format!("`{text}` is no address: write 10.0.0.2 or 10.0.0.2:53"))
}
