//! Listening sockets that somebody else opened: a service manager, or the process before this one.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::SockRef;

use crate::config::ListenerSpec;
use crate::model::ListenerName;

use super::{BindError, bind_silent};

/// A listening socket that was opened for us.
#[derive(Debug)]
pub struct GivenSocket {
    /// What it was called by whoever opened it.
    pub name: Option<String>,
    /// Where it listens.
    pub address: SocketAddr,
    /// The socket.
    pub socket: TcpListener,
}

impl GivenSocket {
    /// Whether it is meant for this listener: by its name, or, if it has none that means anything here,
    /// by its address.
    fn fits(&self, spec: &ListenerSpec, wanted: &[ListenerSpec]) -> Result<bool, BindError> {
        let agrees = agree(self.address, spec.address);
        if self.name.as_deref() == Some(spec.name.as_str()) {
            let (listener, address, given) = (spec.name.clone(), spec.address, self.address);
            return if agrees { Ok(true) } else { Err(BindError::Elsewhere { listener, address, given }) };
        }
        let anothers = wanted.iter().any(|it| self.name.as_deref() == Some(it.name.as_str()));
        Ok(agrees && !anothers)
    }
}

/// What is given for a listener, a copy of each.
pub(super) fn for_listener(
    given: &[GivenSocket],
    spec: &ListenerSpec,
    wanted: &[ListenerSpec],
) -> Result<Vec<TcpListener>, BindError> {
    let mut sockets = Vec::new();
    for it in given {
        if it.fits(spec, wanted)? {
            sockets.push(it.socket.try_clone().map_err(|error| BindError::of(spec, error))?);
        }
    }
    Ok(sockets)
}

/// Whether every socket is wanted by a listener of the configuration.
pub(super) fn refuse_strangers(given: &[GivenSocket], wanted: &[ListenerSpec]) -> Result<(), BindError> {
    let mut strangers = Vec::new();
    for it in given {
        let fits: Result<Vec<bool>, BindError> = wanted.iter().map(|spec| it.fits(spec, wanted)).collect();
        if !fits?.contains(&true) {
            strangers.push(it.to_string());
        }
    }
    if strangers.is_empty() { Ok(()) } else { Err(BindError::Strange(strangers.join(", "))) }
}

/// Whether somebody who asked for `wanted` gets what was meant. A service manager that is given a port
/// alone listens on `[::]`, which is what a file means that names no address.
fn agree(given: SocketAddr, wanted: SocketAddr) -> bool {
    let everywhere = given.ip().is_unspecified() && wanted.ip().is_unspecified();
    given.port() == wanted.port() && (everywhere || given.ip() == wanted.ip())
}

/// Gives each worker its sockets. All of them are accepted from, so that no queue is lost; a worker
/// that would have none gets one more of the same group or, where that cannot be had, a share in
/// another's. One more of the group does not listen yet: the kernel would deal it connections at once, which
/// would be reset if what is being started fails.
pub(super) fn shared_out(sockets: Vec<TcpListener>, workers: usize) -> io::Result<Vec<Vec<TcpListener>>> {
    let mut all = sockets;
    let count = all.len();
    let group = all.first().is_some_and(|it| SockRef::from(it).reuse_port().unwrap_or(false));
    for worker in count..workers {
        let another = &all[worker % count];
        let own = if group { bind_silent(another.local_addr()?, true).ok() } else { None };
        let socket = own.map_or_else(|| another.try_clone(), Ok)?;
        all.push(socket);
    }
    let mut shares: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
    for (number, socket) in all.into_iter().enumerate() {
        socket.set_nonblocking(true)?;
        shares[number % workers].push(socket);
    }
    Ok(shares)
}

/// Names the socket for an operator.
impl std::fmt::Display for GivenSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            Some(name) => write!(f, "`{name}` ({})", self.address),
            None => write!(f, "{}", self.address),
        }
    }
}

impl BindError {
    pub(super) fn of(spec: &ListenerSpec, source: io::Error) -> Self {
        let (listener, address): (ListenerName, SocketAddr) = (spec.name.clone(), spec.address);
        Self::Failed { listener, address, source }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bind_one;
    use super::*;

    #[test]
    fn addresses_agree_when_the_same_is_meant() {
        for (given, wanted, agrees) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("[::]:80", "0.0.0.0:80", true),
            ("0.0.0.0:80", "127.0.0.1:80", false),
        ] {
            assert_eq!(agree(given.parse().unwrap(), wanted.parse().unwrap()), agrees, "{given} {wanted}");
        }
    }

    #[test]
    fn every_socket_is_accepted_from_and_every_worker_has_one() {
        for (count, workers, shares) in
            [(1, 1, vec![1]), (1, 3, vec![1, 1, 1]), (3, 3, vec![1, 1, 1]), (5, 2, vec![3, 2])]
        {
            let address = "127.0.0.1:0".parse().unwrap();
            let first = bind_one(address, true).unwrap();
            let address = first.local_addr().unwrap();
            let mut sockets = vec![first];
            sockets.extend((1..count).map(|_| bind_one(address, true).unwrap()));
            let shared = shared_out(sockets, workers).unwrap();
            let listen = shared.iter().flatten().filter(|it| SockRef::from(*it).is_listener().unwrap());
            assert_eq!(listen.count(), count, "none that was not given takes connections yet");
            assert_eq!(shared.iter().map(Vec::len).collect::<Vec<_>>(), shares, "{count} {workers}");
        }
        // Without the group, a share in another's.
        let alone = bind_one("127.0.0.1:0".parse().unwrap(), false).unwrap();
        assert_eq!(shared_out(vec![alone], 2).unwrap().len(), 2);
    }
}
