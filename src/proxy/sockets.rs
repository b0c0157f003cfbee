//! The listening sockets of the process: opened all or nothing, kept across reloads by name and
//! address, closed without a reset for anybody in their queues.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::oneshot;

use crate::config::ListenerSpec;
use crate::model::ListenerName;
use crate::telemetry::Registry;

use super::Proxy;
use super::admission::Shared;
use super::listener::Change;
use super::worker::Order;

/// Connections that may wait to be accepted, for each worker. The kernel caps it at `somaxconn`.
const BACKLOG: i32 = 4096;

/// The listeners that are open.
pub struct Sockets {
    registry: Arc<Registry>,
    open: BTreeMap<ListenerName, Open>,
}

struct Open {
    spec: Arc<ListenerSpec>,
    shared: Arc<Shared>,
    /// Where it really listens: the kernel chooses the port if the file says 0.
    address: SocketAddr,
}

/// A socket that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on {address} for listener `{listener}`")]
pub struct BindError {
    /// Whose.
    pub listener: ListenerName,
    /// Where.
    pub address: SocketAddr,
    source: io::Error,
}

/// New sockets that are open and not yet accepted from.
pub struct Bound {
    wanted: Vec<ListenerSpec>,
    fresh: BTreeMap<ListenerName, (SocketAddr, Vec<std::net::TcpListener>)>,
}

impl Sockets {
    /// None yet.
    pub fn new(registry: &Arc<Registry>) -> Self {
        Self { registry: Arc::clone(registry), open: BTreeMap::new() }
    }

    /// Opens the sockets that `wanted` needs and that are not open yet. If one cannot be had, none is
    /// kept and nothing changes.
    pub fn bind(&self, wanted: &[ListenerSpec]) -> Result<Bound, BindError> {
        let mut fresh = BTreeMap::new();
        for spec in wanted {
            let stays = self.open.get(&spec.name).is_some_and(|it| it.spec.address == spec.address);
            if !stays {
                let ours = self.open.values().any(|it| it.address == spec.address);
                let sockets = bind_all(spec.address, self.registry.workers(), ours).map_err(|source| {
                    BindError { listener: spec.name.clone(), address: spec.address, source }
                })?;
                fresh.insert(spec.name.clone(), sockets);
            }
        }
        Ok(Bound { wanted: wanted.to_vec(), fresh })
    }

    /// Has the workers accept from what was bound, use the new settings of what stays, and close what
    /// is no longer wanted. Ends when the last of those sockets is closed.
    pub async fn apply(&mut self, proxy: &Proxy, bound: Bound) {
        let Bound { wanted, mut fresh } = bound;
        let mut closing = Vec::new();
        let gone: Vec<ListenerName> = self
            .open
            .keys()
            .filter(|name| fresh.contains_key(*name) || !wanted.iter().any(|it| it.name == **name))
            .cloned()
            .collect();
        for name in gone {
            self.open.remove(&name);
            closing.extend(close(proxy, &name));
        }
        for spec in wanted {
            let spec = Arc::new(spec);
            match fresh.remove(&spec.name) {
                Some((address, sockets)) => self.open(proxy, spec, address, sockets),
                None => self.update(proxy, spec),
            }
        }
        for closed in closing {
            // A worker that is gone has closed its sockets too.
            let _ = closed.await;
        }
    }

    /// Stops accepting everywhere.
    pub async fn close_all(&mut self, proxy: &Proxy) {
        let nothing = Bound { wanted: Vec::new(), fresh: BTreeMap::new() };
        self.apply(proxy, nothing).await;
    }

    /// Names and real addresses of what is open.
    pub fn addresses(&self) -> Vec<(ListenerName, SocketAddr)> {
        self.open.iter().map(|(name, it)| (name.clone(), it.address)).collect()
    }

    fn open(
        &mut self,
        proxy: &Proxy,
        spec: Arc<ListenerSpec>,
        address: SocketAddr,
        sockets: Vec<std::net::TcpListener>,
    ) {
        let series = self.registry.listener(&spec.name);
        let shared = Arc::new(Shared::new(Arc::clone(&spec), series, Arc::clone(&proxy.admission)));
        for (worker, socket) in proxy.orders().iter().zip(sockets) {
            // A worker that is gone accepts nothing; the others go on.
            let change = Change::Open { shared: Arc::clone(&shared), sockets: vec![socket] };
            let _ = worker.send(Order::Listen(change));
        }
        self.open.insert(spec.name.clone(), Open { spec, shared, address });
    }

    fn update(&mut self, proxy: &Proxy, spec: Arc<ListenerSpec>) {
        let Some(open) = self.open.get_mut(&spec.name) else { return };
        if *open.spec != *spec {
            if open.spec.tls != spec.tls {
                open.shared.secure(&spec);
            }
            open.spec = Arc::clone(&spec);
            proxy.tell(|| Order::Listen(Change::Update(Arc::clone(&spec))));
        }
    }
}

fn close(proxy: &Proxy, name: &ListenerName) -> Vec<oneshot::Receiver<()>> {
    let told = proxy.orders().iter().map(|worker| {
        let (done, closed) = oneshot::channel();
        let _ = worker.send(Order::Listen(Change::Close { name: name.clone(), done }));
        closed
    });
    told.collect()
}

/// One socket for each worker on the same address, all open before any is accepted from, so that the
/// kernel spreads connections over all of them from the first on.
fn bind_all(
    address: SocketAddr,
    workers: usize,
    ours: bool,
) -> io::Result<(SocketAddr, Vec<std::net::TcpListener>)> {
    if !ours {
        // `SO_REUSEPORT` would share the port with any other process of this user that set it too.
        // Without it the kernel says whether somebody is there.
        drop(bind_one(address, false)?);
    }
    let first = bind_one(address, true)?;
    let address = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(bind_one(address, true)?);
    }
    Ok((address, sockets))
}

fn bind_one(address: SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
