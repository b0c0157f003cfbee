//! Whether anybody is let in, and doors that somebody else opened.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::config::AdminAccess;

use super::access::Access;
use super::token::TokenError;

/// Doors that are open already.
#[derive(Debug, Default)]
pub struct GivenDoors {
    /// Loopback TCP.
    pub tcp: Option<TcpListener>,
    /// The Unix socket.
    pub socket: Option<GivenSocket>,
}

/// A Unix socket that listens already.
#[derive(Debug)]
pub struct GivenSocket {
    /// The socket.
    pub listener: UnixListener,
    /// Where.
    pub path: PathBuf,
    /// Whether whoever gives it would remove the file in the end.
    pub ours: bool,
}

impl GivenDoors {
    /// The same doors once more.
    pub fn copies(&self) -> io::Result<Self> {
        let tcp = self.tcp.as_ref().map(TcpListener::try_clone).transpose()?;
        let socket = self.socket.as_ref().map(|it| {
            let listener = it.listener.try_clone()?;
            Ok::<_, io::Error>(GivenSocket { listener, path: it.path.clone(), ours: it.ours })
        });
        Ok(Self { tcp, socket: socket.transpose()? })
    }
}

/// What happens to whoever knocks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Entry {
    /// Let in.
    #[default]
    Open,
    /// Waits, in the kernel's queue.
    Held,
    /// Another process lets them in. Whoever is in is still answered.
    Given,
}

/// Says who is let in: for whoever hands the doors over, and whoever loads another file.
#[derive(Clone, Debug)]
pub struct Doorman {
    entry: watch::Sender<Entry>,
    /// Whether the file of the Unix socket is to be removed in the end.
    pub(super) ours: Arc<AtomicBool>,
    /// Who may do what over TCP.
    pub(super) access: Arc<ArcSwap<Access>>,
    /// Where the token is that counts when the file names nobody; `None` without TCP.
    state: Option<Arc<Path>>,
}

impl Doorman {
    /// Lets in whom the file names. `state` is where the token is kept that counts when it names nobody.
    pub(super) fn new(spec: &AdminAccess, state: Option<&Path>) -> Result<Self, TokenError> {
        let it = Self {
            entry: watch::Sender::default(),
            ours: Arc::default(),
            access: Arc::default(),
            state: state.map(Into::into),
        };
        it.let_in(it.prepare(spec)?);
        Ok(it)
    }

    /// What the file says about who may do what, ready to be put in place.
    pub fn prepare(&self, spec: &AdminAccess) -> Result<Access, TokenError> {
        self.state.as_deref().map_or_else(|| Ok(Access::default()), |it| Access::new(spec, it))
    }

    /// Whether the TCP door speaks TLS.
    pub fn is_secure(&self) -> bool {
        self.access.load().tls.is_some()
    }

    /// From the next request on, these may do what is theirs.
    pub fn let_in(&self, access: Access) {
        self.access.store(Arc::new(access));
    }

    /// From now on. Who gives the doors away leaves the socket's file where it is.
    pub fn set(&self, entry: Entry) {
        self.entry.send_replace(entry);
        if entry == Entry::Given {
            self.ours.store(false, Ordering::Release);
        }
    }

    /// The file of a socket that was given is to be removed in the end, from now on.
    pub fn own_file(&self) {
        self.ours.store(true, Ordering::Release);
    }

    /// Whether the socket's file is to be removed in the end.
    pub fn owns_file(&self) -> bool {
        self.ours.load(Ordering::Acquire)
    }

    pub(super) fn watch(&self) -> watch::Receiver<Entry> {
        self.entry.subscribe()
    }
}

/// Waits until whoever knocks is, or is not, let in.
pub(super) async fn until(entries: &mut watch::Receiver<Entry>, open: bool) {
    if entries.wait_for(|it| (*it == Entry::Open) == open).await.is_err() {
        // Nobody is there to change it any more.
        std::future::pending::<()>().await;
    }
}
