//! The listening sockets of the process: opened all or nothing, kept across reloads by name and
//! address, closed without a reset for anybody in their queues.

mod given;

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::sync::oneshot;

use crate::config::ListenerSpec;
use crate::model::ListenerName;
use crate::telemetry::Registry;

use super::Proxy;
use super::admission::Shared;
use super::listener::Change;
use super::worker::Order;

pub use given::GivenSocket;

/// Connections that may wait to be accepted, for each worker. The kernel caps it at `somaxconn`.
const BACKLOG: i32 = 4096;

/// The listeners that are open.
pub struct Sockets {
    registry: Arc<Registry>,
    open: BTreeMap<ListenerName, Open>,
    /// Opened by somebody else. They are kept, so that a listener that leaves can come back: whoever
    /// opened them would not let us open them again.
    given: Vec<GivenSocket>,
}

struct Open {
    spec: Arc<ListenerSpec>,
    shared: Arc<Shared>,
    /// Where it really listens: the kernel chooses the port if the file says 0.
    address: SocketAddr,
    /// All its sockets once more, for a process that takes over: with a queue of its own for each, no
    /// connection is lost only if every one is handed on.
    sockets: Vec<TcpListener>,
}

/// A socket that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The system does not give it.
    #[error("failed to listen on {address} for listener `{listener}`")]
    Failed {
        /// Whose.
        listener: ListenerName,
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// One that was given by this name listens somewhere else.
    #[error(
        "the socket that was given for listener `{listener}` listens on {given}, but the file says {address}: change one of the two"
    )]
    Elsewhere {
        /// Whose.
        listener: ListenerName,
        /// What the file says.
        address: SocketAddr,
        /// Where it listens.
        given: SocketAddr,
    },
    /// Some that were given belong to no listener.
    #[error(
        "{0} was given and fits no listener: name the socket after a listener (FileDescriptorName=), or let one listen on its address"
    )]
    Strange(String),
}

/// New sockets that are open and not yet accepted from.
pub struct Bound {
    wanted: Vec<ListenerSpec>,
    fresh: BTreeMap<ListenerName, (SocketAddr, Shares)>,
}

/// The sockets of each worker.
type Shares = Vec<Vec<TcpListener>>;

impl Sockets {
    /// None yet; those in `given` need not be opened.
    pub fn new(registry: &Arc<Registry>, given: Vec<GivenSocket>) -> Self {
        Self { registry: Arc::clone(registry), open: BTreeMap::new(), given }
    }

    /// Whether every socket that was given is wanted.
    pub fn refuse_strangers(&self, wanted: &[ListenerSpec]) -> Result<(), BindError> {
        given::refuse_strangers(&self.given, wanted)
    }

    /// Lets go of what was given and is not in use: its owner looks after it.
    pub fn forget_given(&mut self) {
        self.given.clear();
    }

    /// Every socket that is accepted from once more, under its listener's name.
    pub fn copies(&self) -> io::Result<Vec<GivenSocket>> {
        let mut copies = Vec::new();
        for (name, open) in &self.open {
            for socket in &open.sockets {
                let name = Some(name.as_str().to_owned());
                copies.push(GivenSocket { name, address: open.address, socket: socket.try_clone()? });
            }
        }
        Ok(copies)
    }

    /// Opens the sockets that `wanted` needs and that are not open yet. If one cannot be had, none is
    /// kept and nothing changes.
    pub fn bind(&self, wanted: &[ListenerSpec]) -> Result<Bound, BindError> {
        let mut fresh = BTreeMap::new();
        for spec in wanted {
            let stays = self.open.get(&spec.name).is_some_and(|it| it.spec.address == spec.address);
            if !stays {
                let ours = self.open.values().any(|it| it.address == spec.address);
                let given = given::for_listener(&self.given, spec, wanted)?;
                let workers = self.registry.workers();
                let sockets = match given.first().map(TcpListener::local_addr) {
                    None => bind_all(spec.address, workers, ours),
                    Some(address) => {
                        address.and_then(|it| given::shared_out(given, workers).map(|shares| (it, shares)))
                    }
                };
                fresh.insert(spec.name.clone(), sockets.map_err(|error| BindError::of(spec, error))?);
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
            // The copies go first: a queue must not outlive the workers' look at it.
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

    fn open(&mut self, proxy: &Proxy, spec: Arc<ListenerSpec>, address: SocketAddr, shares: Shares) {
        let series = self.registry.listener(&spec.name);
        let shared = Arc::new(Shared::new(Arc::clone(&spec), series, Arc::clone(&proxy.admission)));
        for silent in shares.iter().flatten().filter(|it| !SockRef::from(*it).is_listener().unwrap_or(true)) {
            if let Err(error) = listen(silent) {
                // The others of its address go on, and its worker is handed connections by theirs.
                tracing::error!(listener = %spec.name, %error, "a socket does not listen");
            }
        }
        // One that cannot be copied is still accepted from; only nobody can take it over.
        let sockets = shares.iter().flatten().filter_map(|it| it.try_clone().ok()).collect();
        for (worker, sockets) in proxy.orders().iter().zip(shares) {
            // A worker that is gone accepts nothing; the others go on.
            let change = Change::Open { shared: Arc::clone(&shared), sockets };
            let _ = worker.send(Order::Listen(change));
        }
        self.open.insert(spec.name.clone(), Open { spec, shared, address, sockets });
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
fn bind_all(address: SocketAddr, workers: usize, ours: bool) -> io::Result<(SocketAddr, Shares)> {
    if !ours {
        // `SO_REUSEPORT` would share the port with any other process of this user that set it too.
        // Without it the kernel says whether somebody is there.
        drop(bind_one(address, false)?);
    }
    let first = bind_one(address, true)?;
    let address = first.local_addr()?;
    Ok((address, given::shared_out(vec![first], workers)?))
}

/// Listens on an address.
fn bind_one(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = bind_silent(address, shared)?;
    listen(&socket)?;
    Ok(socket)
}

/// Has an address without listening yet: nobody is put into a queue that might go away again.
fn bind_silent(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn listen(socket: &TcpListener) -> io::Result<()> {
    SockRef::from(socket).listen(BACKLOG)
}
