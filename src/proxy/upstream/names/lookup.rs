//! One look-up: the hosts file, then the DNS. What comes back is bounded, sorted, and led nowhere that a
//! name may not lead.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::{Hosts, Resolver, TokioResolver};

use crate::routing::{Dns, leads_to};
use crate::runtime::is_here;

/// An answer that can be used.
#[derive(Debug, Eq, PartialEq)]
pub(in super::super) struct Answer {
    /// Sorted, never empty, at most [`ADDRESSES_MAX`].
    pub addresses: Vec<IpAddr>,
    /// How long it may be used.
    pub ttl: Duration,
}

/// Looks a name up. Addresses are of one family: IPv4 if there are any, because a machine without a way to
/// IPv6 would fail every other request.
///
/// `ports` are those at which whatever the name leads to is called.
pub(super) async fn look_up(name: &str, ports: &BTreeSet<u16>, dns: &Dns) -> Result<Answer, String> {
    if let Some(addresses) = from_hosts(name) {
        // Whoever writes the hosts file may lead to this machine.
        return open(Answer { addresses, ttl: dns.ttl_min }, ports, dns);
    }
    let resolver = resolver(dns).map_err(|it| format!("no resolver: {it}"))?;
    let found = resolver.lookup_ip(name).await.map_err(|it| it.to_string())?;
    let records = asked_for(found.query().name(), found.as_lookup().answers());
    let ttl = records.iter().map(|it| it.ttl).min().unwrap_or_default();
    let ttl = Duration::from_secs(ttl.into()).clamp(dns.ttl_min, dns.ttl_max);
    let addresses = allowed(name, records.iter().filter_map(|it| it.data.ip_addr()), dns)?;
    open(Answer { addresses, ttl }, ports, dns)
}

/// Refuses an answer of which any part leads to the operators' door: a service would hand it to everybody. Whoever
/// gives such an answer is not believed in the rest of it either.
fn open(answer: Answer, ports: &BTreeSet<u16>, dns: &Dns) -> Result<Answer, String> {
    let all = answer.addresses.iter().flat_map(|it| ports.iter().map(|port| SocketAddr::new(*it, *port)));
    let is_door = |it: &SocketAddr| dns.closed.is_some_and(|door| leads_to(*it, door, is_here));
    match all.into_iter().find(is_door) {
        Some(door) => Err(format!("leads to {door}, where operators are answered: that is always refused")),
        None => Ok(answer),
    }
}

/// The records of this name, and of the names that it is an alias of. A server may put others beside them,
/// and whoever could answer for it would answer for all names.
fn asked_for<'a>(name: &Name, records: &'a [Record]) -> Vec<&'a Record> {
    let mut names = vec![name.clone()];
    while names.len() < ALIASES_MAX
        && let Some(target) = names.last().and_then(|it| alias(it, records))
    {
        names.push(target);
    }
    records.iter().filter(|it| names.contains(&it.name)).collect()
}

fn alias(of: &Name, records: &[Record]) -> Option<Name> {
    records.iter().filter(|it| it.name == *of).find_map(|it| match &it.data {
        RData::CNAME(target) => Some(target.0.clone()),
        _ => None,
    })
}

/// Built anew each time, so that a change of the system's configuration is seen; names are looked up
/// seldom, and answers are kept by who asks.
fn resolver(dns: &Dns) -> Result<TokioResolver, hickory_resolver::net::NetError> {
    let mut builder = if dns.servers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let mut config = ResolverConfig::default();
        config.name_servers = dns.servers.iter().map(server).collect();
        Resolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let options = builder.options_mut();
    options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = 0;
    options.timeout = dns.timeout;
    options.attempts = 1;
    builder.build()
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    connections.iter_mut().for_each(|it| it.port = address.port());
    NameServerConfig::new(address.ip(), true, connections)
}

/// What the hosts file says, and that `localhost` is here even if it does not (RFC 6761).
fn from_hosts(name: &str) -> Option<Vec<IpAddr>> {
    let asked = Name::from_utf8(name).ok()?;
    let hosts = Hosts::from_system().unwrap_or_default();
    for family in [RecordType::A, RecordType::AAAA] {
        if let Some(found) = hosts.lookup_static_host(&Query::query(asked.clone(), family)) {
            let data = found.answers().iter().filter_map(|it| it.data.ip_addr());
            let addresses = arranged(data);
            if !addresses.is_empty() {
                return Some(addresses);
            }
        }
    }
    let is_here = name == "localhost" || name.ends_with(".localhost");
    is_here.then(|| vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])
}

/// Those that a name may lead to: a name that suddenly means this machine, or its link, is how a stranger
/// reaches what only this machine may.
fn allowed(name: &str, found: impl Iterator<Item = IpAddr>, dns: &Dns) -> Result<Vec<IpAddr>, String> {
    let (mut refused, mut good) = (0, Vec::new());
    for address in found {
        if is_local(address) && !dns.allow_local {
            refused += 1;
        } else {
            good.push(address);
        }
    }
    let addresses = arranged(good.into_iter());
    match (addresses.is_empty(), refused) {
        (false, 0) => Ok(addresses),
        (false, _) => {
            tracing::warn!(name, refused, "addresses of this machine or its link are refused");
            Ok(addresses)
        }
        (true, 0) => Err("the answer has no address".into()),
        (true, _) => {
            Err("leads to this machine or its link, which is refused (`dns: {local: allow}`)".into())
        }
    }
}

fn arranged(found: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = found.collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(ADDRESSES_MAX);
    addresses
}

fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(it) => {
            it.is_loopback()
                || it.is_link_local()
                || it.is_unspecified()
                || it.is_multicast()
                || it.is_broadcast()
        }
        IpAddr::V6(it) => {
            it.is_loopback() || it.is_unicast_link_local() || it.is_unspecified() || it.is_multicast()
        }
    }
}

/// Most names in a row of aliases.
const ALIASES_MAX: usize = 16;

/// Most addresses of one name that are used: the lowest, so that the same answer leads to the same ones.
const ADDRESSES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_near() {
        let of = |text: &str| text.split(' ').map(|it| it.parse::<IpAddr>().unwrap()).collect::<Vec<_>>();
        let dns = Dns::default();
        for near in [
            "127.0.0.1",
            "127.8.9.1",
            "169.254.169.254",
            "0.0.0.0",
            "::1",
            "fe80::1",
            "::",
            "::ffff:127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "ff02::1",
        ] {
            assert!(allowed("a", of(near).into_iter(), &dns).is_err(), "{near}");
            let beside = of(&format!("{near} 10.0.0.7"));
            assert_eq!(allowed("a", beside.into_iter(), &dns), Ok(of("10.0.0.7")), "{near}");
            let dns = Dns { allow_local: true, ..dns.clone() };
            assert_eq!(allowed("a", of(near).into_iter(), &dns), Ok(of(near)));
        }
        assert_eq!(
            allowed("a", of("10.0.0.2 10.0.0.1 10.0.0.2").into_iter(), &dns),
            Ok(of("10.0.0.1 10.0.0.2"))
        );
        assert!(allowed("a", std::iter::empty(), &dns).is_err());
        let many = (0..1000u32).map(|it| IpAddr::V4(Ipv4Addr::from(0x0A00_0000 + it)));
        assert_eq!(allowed("a", many, &dns).unwrap().len(), ADDRESSES_MAX);
    }

    #[test]
    fn no_name_leads_to_the_door_of_operators() {
        let answer = |text: &str| Answer {
            addresses: text.split(' ').map(|it| it.parse().unwrap()).collect(),
            ttl: Duration::from_secs(1),
        };
        let said = |door: &str, addresses: &str, ports: &[u16]| {
            let dns = Dns { allow_local: true, closed: door.parse().ok(), ..Dns::default() };
            open(answer(addresses), &ports.iter().copied().collect(), &dns).is_ok()
        };
        assert!(said("127.0.0.1:9900", "127.0.0.1", &[80]));
        assert!(!said("127.0.0.1:9900", "127.0.0.1", &[80, 9900]));
        assert!(!said("127.0.0.1:9900", "10.0.0.7 127.0.0.1", &[9900]));
        assert!(said("127.0.0.1:9900", "127.0.0.2", &[9900]));
        // A door that is open everywhere is at every address of this machine, and nowhere else.
        assert!(!said("0.0.0.0:9900", "127.0.0.2", &[9900]));
        assert!(said("0.0.0.0:9900", "192.0.2.1", &[9900]));
        assert!(said("none", "127.0.0.1", &[9900]));
    }

    #[test]
    fn localhost_is_here() {
        assert!(from_hosts("localhost").unwrap().iter().all(IpAddr::is_loopback));
        assert_eq!(from_hosts("shop.localhost"), Some(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]));
        assert_eq!(from_hosts("shop.example"), None);
    }
}
