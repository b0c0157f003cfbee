//! Accepting connections: one `SO_REUSEPORT` socket for each listener and worker, caps, and the order
//! in which a socket may be closed.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::ProtocolVersion;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::spawn_local;

use crate::config::ListenerSpec;
use crate::model::ListenerName;
use crate::runtime::{contained, mishap};
use crate::telemetry::{ListenerCells, RejectReason};

use super::admission::{Place, Shared};
use super::connection::{self, Begun, Ends};
use super::preface::{self, Source};
use super::stream::Stream;
use super::tls::{self, Acceptor, Authority, TlsStream};
use super::worker::{Order, Worker};

/// How long accepting pauses when the process is out of file descriptors. Trying again at once would
/// spin: the connection stays in the queue and the event loop reports it for ever.
const PAUSE_WITHOUT_DESCRIPTORS: Duration = Duration::from_millis(50);

/// What changes about a listener on one worker.
pub enum Change {
    /// Accept on this socket.
    Open {
        /// What is known about it on all workers.
        shared: Arc<Shared>,
        /// This worker's sockets: one, or more when a process with more workers handed over its own.
        sockets: Vec<std::net::TcpListener>,
    },
    /// Other settings from the next connection on.
    Update(Arc<ListenerSpec>),
    /// Accept what is queued, then close. Answers when that is done.
    Close {
        /// Which one.
        name: ListenerName,
        /// Told when the socket is closed.
        done: oneshot::Sender<()>,
    },
}

/// An accepted connection on its way to the worker that serves it.
pub struct Arrival {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    listener: ListenerName,
    place: Place,
}

/// The listeners of one worker.
#[derive(Default)]
pub struct Listeners(HashMap<ListenerName, Rc<Local>>);

/// A listener on one worker.
pub struct Local {
    spec: RefCell<Arc<ListenerSpec>>,
    /// How often it has changed who may be a client, and how it speaks with them.
    policy: Cell<u32>,
    shared: Arc<Shared>,
    closing: Notify,
    leaving: Cell<bool>,
    /// Sockets that are accepted from.
    open: Cell<usize>,
    closed: RefCell<Option<oneshot::Sender<()>>>,
    worker: usize,
}

impl Local {
    fn new(shared: Arc<Shared>, worker: usize) -> Self {
        Self {
            spec: RefCell::new(Arc::clone(&shared.spec)),
            policy: Cell::new(0),
            shared,
            closing: Notify::new(),
            leaving: Cell::new(false),
            open: Cell::new(0),
            closed: RefCell::new(None),
            worker,
        }
    }

    fn closed_if_none_is_open(&self) {
        if self.open.get() == 0
            && let Some(done) = self.closed.borrow_mut().take()
        {
            // Nobody waits any more when the process is ending.
            let _ = done.send(());
        }
    }

    /// The settings for a connection that begins now.
    pub fn spec(&self) -> Arc<ListenerSpec> {
        Arc::clone(&self.spec.borrow())
    }

    /// Which policy a connection that begins now is let in by. Once it is another one, the connection ends as if
    /// the listener was closed: it would perhaps not be let in any more.
    pub fn policy(&self) -> u32 {
        self.policy.get()
    }

    /// Whether it was closed: what is open on it ends with its next answer.
    pub fn is_leaving(&self) -> bool {
        self.leaving.get()
    }

    /// Where this worker counts it.
    pub fn cells(&self) -> &ListenerCells {
        self.shared.series.worker(self.worker)
    }
}

impl Listeners {
    /// Carries out a change.
    pub fn change(&mut self, worker: &Rc<Worker>, change: Change) {
        match change {
            Change::Open { shared, sockets } => self.open(worker, shared, sockets),
            Change::Update(spec) => {
                if let Some(local) = self.0.get(&spec.name) {
                    let before = local.spec.replace(spec);
                    if !local.spec.borrow().lets_in_as(&before) {
                        local.policy.set(local.policy.get().wrapping_add(1));
                        worker.deadlines.wake_all();
                    }
                }
            }
            Change::Close { name, done } => match self.0.remove(&name) {
                Some(local) => {
                    local.leaving.set(true);
                    // Answers when the last socket's task lets go of it.
                    *local.closed.borrow_mut() = Some(done);
                    local.closing.notify_waiters();
                    local.closed_if_none_is_open();
                    // Its HTTP/2 connections tell their clients at once.
                    worker.deadlines.wake_all();
                }
                // Never opened here, so there is nothing to wait for; nobody may be listening either.
                None => drop(done.send(())),
            },
        }
    }

    fn open(&mut self, worker: &Rc<Worker>, shared: Arc<Shared>, sockets: Vec<std::net::TcpListener>) {
        let name = shared.spec.name.clone();
        let local = Rc::new(Local::new(shared, worker.index));
        for socket in sockets {
            match TcpListener::from_std(socket) {
                Ok(listener) => {
                    local.open.set(local.open.get() + 1);
                    spawn_local(accept(Rc::clone(worker), Rc::clone(&local), listener));
                }
                Err(error) => tracing::error!(listener = %name, %error, "failed to watch a listening socket"),
            }
        }
        self.0.insert(name, local);
    }

    /// Serves a connection that another worker accepted.
    pub fn adopt(&self, worker: &Rc<Worker>, arrival: Arrival) {
        let local = match self.0.get(&arrival.listener) {
            Some(local) => Rc::clone(local),
            // Closed here a moment ago; the other worker did not know yet when it accepted.
            None => {
                let local = Local::new(Arc::clone(&arrival.place.shared), worker.index);
                local.leaving.set(true);
                Rc::new(local)
            }
        };
        match TcpStream::from_std(arrival.stream) {
            Ok(stream) => begin(worker, &local, stream, arrival.peer, arrival.place),
            Err(error) => tracing::warn!(%error, "failed to take over a connection"),
        }
    }
}

async fn accept(worker: Rc<Worker>, local: Rc<Local>, listener: TcpListener) {
    while !local.is_leaving() {
        let accepted = tokio::select! {
            biased;
            () = local.closing.notified() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => arrive_if_it_can(&worker, &local, stream, peer),
            Err(error) => pause_after(&error, &local).await,
        }
    }
    // Whoever is in the queue was promised a connection: closing first would reset them.
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    while let std::task::Poll::Ready(Ok((stream, peer))) = listener.poll_accept(&mut context) {
        arrive_if_it_can(&worker, &local, stream, peer);
    }
    drop(listener);
    local.open.set(local.open.get() - 1);
    local.closed_if_none_is_open();
}

/// A failed accept is either about the connection, which is gone, or about this process, which must
/// let other things happen before it tries again.
async fn pause_after(error: &io::Error, local: &Local) {
    let about_the_connection = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    );
    if !about_the_connection {
        local.cells().rejected(RejectReason::Descriptors);
        tokio::time::sleep(PAUSE_WITHOUT_DESCRIPTORS).await;
    }
}

/// One connection that cannot be taken is no reason to take no more.
fn arrive_if_it_can(worker: &Rc<Worker>, local: &Rc<Local>, stream: TcpStream, peer: SocketAddr) {
    let _ = contained(|| arrive(worker, local, stream, peer));
}

fn arrive(worker: &Rc<Worker>, local: &Rc<Local>, stream: TcpStream, peer: SocketAddr) {
    mishap("accept");
    local.cells().accepted();
    let place = match admit(worker, local, &stream, peer) {
        Ok(place) => place,
        Err(reason) => {
            local.cells().rejected(reason);
            local.cells().closed();
            return;
        }
    };
    let Some(other) = worker.less_busy() else {
        return begin(worker, local, stream, peer, place);
    };
    if let Ok(stream) = stream.into_std() {
        let listener = local.shared.spec.name.clone();
        // A worker that is gone drops the connection with it: the process is ending.
        let _ = other.send(Order::Adopt(Arrival { stream, peer, listener, place }));
    }
}

/// A place for a connection. Behind a load balancer it counts for nobody yet: all come from one address.
fn admit(
    worker: &Worker,
    local: &Local,
    stream: &TcpStream,
    peer: SocketAddr,
) -> Result<Place, RejectReason> {
    if worker.common.memory.refuses_arrivals() {
        return Err(RejectReason::Memory);
    }
    let spec = local.spec.borrow();
    if spec.proxy_protocol {
        let trusted = spec.trust.iter().any(|it| it.contains(peer.ip()));
        return if trusted { local.shared.enter(stream, &spec) } else { Err(RejectReason::ProxyProtocol) };
    }
    let mut place = local.shared.enter(stream, &spec)?;
    place.count_for(peer.ip(), &spec).map(|()| place)
}

fn begin(worker: &Rc<Worker>, local: &Rc<Local>, stream: TcpStream, peer: SocketAddr, place: Place) {
    let mut open = Open { worker: Rc::clone(worker), local: Rc::clone(local), place };
    worker.opened();
    // Before the handshake: by the old rules it may still be done.
    let (spec, policy) = (local.spec(), local.policy());
    let (worker, local) = (Rc::clone(worker), Rc::clone(local));
    spawn_local(async move {
        let mut tcp = stream;
        // A socket that cannot say it has been closed by its client.
        let mut ends = Ends { from: peer, to: tcp.local_addr().unwrap_or(local.shared.spec.address) };
        if spec.proxy_protocol {
            // On the heap, so that other connections need no room for it.
            let introduced = Box::pin(open.introduce(&spec, &mut tcp, ends));
            match worker.leave.unless_over(introduced).await {
                Some(Ok(told)) => ends = told,
                Some(Err(reason)) => return local.cells().rejected(reason),
                None => return,
            }
        }
        let (stream, authority) = match local.shared.tls.load_full() {
            None => (Stream::Tcp(tcp), None),
            // On the heap: a connection does not keep the place of its handshake.
            Some(acceptor) => {
                let shaken = Box::pin(shake_hands(&worker, &local, &spec, &acceptor, tcp));
                match worker.leave.unless_over(shaken).await {
                    Some(Some((stream, authority))) => (Stream::Tls(Box::new(stream)), authority),
                    Some(None) | None => return,
                }
            }
        };
        connection::serve(&worker, &local, spec, Begun { stream, ends, authority, policy }).await;
        drop(open);
    });
}

/// A client's handshake, counted.
async fn shake_hands(
    worker: &Rc<Worker>,
    local: &Local,
    spec: &ListenerSpec,
    acceptor: &Acceptor,
    stream: TcpStream,
) -> Option<(TlsStream, Option<Authority>)> {
    // A socket that refuses this has already been closed by its client.
    let _ = stream.set_nodelay(true);
    worker.deadlines.now_us();
    let deadline = worker.deadlines.slot();
    deadline.set(spec.timeouts.handshake);
    match tls::accept(acceptor, stream, &deadline, &worker.turns).await {
        Ok((stream, authority)) => {
            let (version, resumed) = stream.version();
            local.cells().handshake(version == Some(ProtocolVersion::TLSv1_3), resumed);
            Some((stream, authority))
        }
        Err(why) => {
            local.cells().handshake_failed(why);
            None
        }
    }
}

/// An open connection, counted until it is dropped, by a panic too.
struct Open {
    worker: Rc<Worker>,
    local: Rc<Local>,
    place: Place,
}

impl Open {
    /// Who the client is, by what the load balancer says first.
    async fn introduce(
        &mut self,
        spec: &ListenerSpec,
        stream: &mut TcpStream,
        ends: Ends,
    ) -> Result<Ends, RejectReason> {
        let deadline = self.worker.deadlines.slot();
        deadline.set(spec.timeouts.head);
        match preface::receive(stream, &deadline).await {
            Ok(Source::Own) => Ok(ends),
            Ok(Source::Client { from, to }) => {
                self.place.count_for(from.ip(), spec).map(|()| Ends { from, to })
            }
            Err(preface::NoHeader) => Err(RejectReason::ProxyProtocol),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.worker.closed();
        self.local.cells().closed();
    }
}
