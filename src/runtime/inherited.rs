//! Listening sockets that were open when the process began: by a service manager, as `sd_listen_fds(3)`
//! has it.

use std::env;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use listenfd::ListenFd;
use socket2::SockRef;

/// A listening socket that was open already.
#[derive(Debug)]
pub struct Inherited {
    /// What it was called.
    pub name: Option<String>,
    /// The socket.
    pub socket: InheritedSocket,
}

/// The kinds of sockets that can be listened on here.
#[derive(Debug)]
pub enum InheritedSocket {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket and where it can be reached.
    Unix(UnixListener, PathBuf),
}

/// A socket that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InheritedError {
    /// Names and sockets do not belong together.
    #[error("LISTEN_FDNAMES has {names} names for {sockets} sockets")]
    Names {
        /// How many names there are.
        names: usize,
        /// How many sockets.
        sockets: usize,
    },
    /// Something else than a listening stream socket.
    #[error(
        "descriptor {number} (`{name}`), given by the service manager, is no listening TCP or Unix stream socket: in the socket unit, use ListenStream= and Accept=no"
    )]
    Kind {
        /// Its number.
        number: usize,
        /// What it was called.
        name: String,
        /// What the system said.
        source: Option<io::Error>,
    },
}

impl Inherited {
    /// What the service manager opened for this process, in its order; empty without one. To be called
    /// before anything is opened and before there are threads: it takes the environment variables away,
    /// so that no child takes them for its own.
    pub fn take_all() -> Result<Vec<Self>, InheritedError> {
        let names = env::var("LISTEN_FDNAMES").ok();
        let mut given = ListenFd::from_env();
        let count = given.len();
        let names: Vec<&str> =
            names.as_deref().filter(|it| !it.is_empty()).map_or_else(Vec::new, |it| it.split(':').collect());
        if count > 0 && !names.is_empty() && names.len() != count {
            return Err(InheritedError::Names { names: names.len(), sockets: count });
        }
        let take = |index: usize| {
            let name = names.get(index).map(|it| (*it).to_owned());
            let kind = |source| InheritedError::Kind {
                number: FIRST + index,
                name: name.clone().unwrap_or_default(),
                source,
            };
            let socket =
                take_one(&mut given, index).map_err(|it| kind(Some(it)))?.ok_or_else(|| kind(None))?;
            Ok(Self { name, socket })
        };
        (0..count).map(take).collect()
    }
}

fn take_one(given: &mut ListenFd, index: usize) -> io::Result<Option<InheritedSocket>> {
    if let Ok(Some(it)) = given.take_tcp_listener(index) {
        return Ok(SockRef::from(&it).is_listener()?.then_some(InheritedSocket::Tcp(it)));
    }
    let Some(it) = given.take_unix_listener(index)? else { return Ok(None) };
    let path = it.local_addr()?.as_pathname().map(PathBuf::from).unwrap_or_default();
    Ok(SockRef::from(&it).is_listener()?.then_some(InheritedSocket::Unix(it, path)))
}

/// Number of the first descriptor.
const FIRST: usize = 3;
