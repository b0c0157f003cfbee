//! Who is let in: how many connections a listener, an address and the whole process may have, and what is
//! kept back so that the rest of the process goes on when clients take all they can get.
//!
//! The kernel always gives out the lowest free file descriptor. So the number of a new one says, without
//! any bookkeeping, that all lower ones are taken: by clients, endpoints, the journal, anything.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use rustix::io::Errno;

use crate::config::ListenerSpec;
use crate::runtime::open_files_max;
use crate::telemetry::{ListenerSeries, RejectReason};

use super::tls::Acceptor;

/// What all connections of clients have together.
pub struct Admission {
    connections: AtomicUsize,
    connections_max: usize,
    /// Clients are refused descriptors from this number on.
    client_descriptor_max: RawFd,
}

/// A listener as all workers see it.
pub struct Shared {
    /// Its settings when it was opened.
    pub spec: Arc<ListenerSpec>,
    /// Where it is counted.
    pub series: Arc<ListenerSeries>,
    /// Shakes hands; `None` while it speaks plain text. A new one serves from the next connection on.
    pub tls: ArcSwapOption<Acceptor>,
    /// Its connections on all workers. Taken when a connection opens or closes, never by a request.
    connections: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    process: Arc<Admission>,
}

/// A connection's place under the caps; given up when dropped.
pub struct Place {
    /// The listener that it came by.
    pub shared: Arc<Shared>,
    address: Option<IpAddr>,
}

impl Admission {
    /// For a process that may have this many files open.
    pub fn new(descriptors: u64) -> Self {
        let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
        let reserve = reserve(descriptors);
        Self {
            connections: AtomicUsize::new(0),
            connections_max: (descriptors / 10 * 8).max(1),
            client_descriptor_max: RawFd::try_from(descriptors.saturating_sub(reserve)).unwrap_or(RawFd::MAX),
        }
    }
}

impl Shared {
    /// No connections yet.
    pub fn new(spec: Arc<ListenerSpec>, series: Arc<ListenerSeries>, process: Arc<Admission>) -> Self {
        let tls = ArcSwapOption::from(acceptor(&spec, None));
        series.speaks_tls(spec.tls.is_some());
        Self { spec, series, tls, connections: AtomicUsize::new(0), by_address: Mutex::default(), process }
    }

    /// Certificates, or the lack of them, from the next connection on.
    pub fn secure(&self, spec: &ListenerSpec) {
        self.tls.store(acceptor(spec, self.tls.load().as_deref()));
        self.series.speaks_tls(spec.tls.is_some());
    }

    /// A place for the connection on `socket`. It counts for no address until [`Place::count_for`] says so.
    pub fn enter(self: &Arc<Self>, socket: impl AsFd, spec: &ListenerSpec) -> Result<Place, RejectReason> {
        let process = &self.process;
        if socket.as_fd().as_raw_fd() >= process.client_descriptor_max {
            return Err(RejectReason::Descriptors);
        }
        let here = self.connections.load(Ordering::Relaxed) >= spec.limits.connections.unwrap_or(usize::MAX);
        if here || process.connections.load(Ordering::Relaxed) >= process.connections_max {
            return Err(RejectReason::Connections);
        }
        self.connections.fetch_add(1, Ordering::Relaxed);
        process.connections.fetch_add(1, Ordering::Relaxed);
        Ok(Place { shared: Arc::clone(self), address: None })
    }
}

fn acceptor(spec: &ListenerSpec, before: Option<&Acceptor>) -> Option<Arc<Acceptor>> {
    spec.tls.as_ref().map(|it| Arc::new(Acceptor::new(it, before)))
}

impl Place {
    /// Counts the connection for its client's address, once that is known.
    pub fn count_for(&mut self, address: IpAddr, spec: &ListenerSpec) -> Result<(), RejectReason> {
        let address = network_of(address);
        let mut by_address = self.shared.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_address.entry(address).or_insert(0);
        if *count >= spec.limits.connections_per_address {
            return Err(RejectReason::ConnectionsPerAddress);
        }
        *count += 1;
        self.address = Some(address);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.connections.fetch_sub(1, Ordering::Relaxed);
        self.shared.process.connections.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address else { return };
        let mut by_address = self.shared.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
            }
        }
    }
}

/// Whether enough descriptors are left behind that of a connection to an endpoint: the last half of the
/// reserve is for admin connections, the journal, and what is read at a reload.
pub fn leave_some(socket: impl AsFd) -> io::Result<()> {
    let descriptors = usize::try_from(open_files_max()).unwrap_or(usize::MAX);
    let max = descriptors.saturating_sub(reserve(descriptors) / 2);
    let taken = usize::try_from(socket.as_fd().as_raw_fd()).is_ok_and(|it| it >= max);
    if taken { Err(Errno::MFILE.into()) } else { Ok(()) }
}

/// What clients leave for everything else.
fn reserve(descriptors: usize) -> usize {
    (descriptors / 10).clamp(16, 1024)
}

/// What stands for one client: its address, or the /64 that an IPv6 client usually has to itself.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(it) => it.into(),
        IpAddr::V6(it) => Ipv6Addr::from_bits(it.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_client_is_its_network() {
        let of = |text: &str| network_of(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("2001:db8:1:2::7"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:3::7"), of("2001:db8:1:2::7"));
        assert_eq!(of("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(of("10.0.0.2"), "10.0.0.2");
    }

    #[test]
    fn something_is_kept_back_whatever_the_limit() {
        for (descriptors, connections, number) in [
            (256, 200, 231),
            (1024, 816, 922),
            (20_000, 16_000, 18_976),
            (1 << 20, 838_856, (1 << 20) - 1024),
        ] {
            let it = Admission::new(descriptors);
            assert_eq!((it.connections_max, it.client_descriptor_max), (connections, number));
        }
        let it = Admission::new(u64::MAX);
        assert_eq!(it.client_descriptor_max, RawFd::MAX);
    }
}
