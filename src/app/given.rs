//! Sockets that were open when the process began, sorted by who wants them.

use std::path::Path;

use crate::admin::{GivenDoors, GivenSocket as AdminSocket};
use crate::config::Config;
use crate::proxy::GivenSocket;
use crate::runtime::{Inherited, InheritedSocket};

/// Where they came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum From {
    /// A service manager, whose idea of what is needed must be the file's.
    Manager,
    /// The process before this one, whose file may have been another.
    Predecessor,
}

/// Sorted.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// For listeners.
    pub listeners: Vec<GivenSocket>,
    /// For operators.
    pub doors: GivenDoors,
}

/// A socket that fits nothing.
#[derive(Debug, thiserror::Error)]
pub enum Misfit {
    /// Listeners speak TCP, and the admin socket is elsewhere.
    #[error(
        "the Unix socket `{given}` was given, but the admin socket of this configuration is `{wanted}`: set admin.socket, or change ListenStream="
    )]
    Unix {
        /// Where it is.
        given: String,
        /// Where it should be.
        wanted: String,
    },
    /// The admin address is another one.
    #[error(
        "the socket that was given for admin requests listens on {given}, but the file says {wanted}: change one of the two"
    )]
    Tcp {
        /// Where it listens.
        given: String,
        /// What the file says.
        wanted: String,
    },
}

/// The name of the admin doors, unless a listener has it.
pub(super) const ADMIN: &str = "admin";

impl Sorted {
    /// Sorts.
    pub fn sort(
        inherited: Vec<Inherited>,
        from: From,
        config: &Config,
        admin: &Path,
    ) -> Result<Self, Misfit> {
        let mut sorted = Self::default();
        for Inherited { name, socket } in inherited {
            match socket {
                InheritedSocket::Tcp(socket) => sorted.tcp(name, socket, from, config)?,
                InheritedSocket::Unix(listener, path) if same(&path, admin) => {
                    let ours = from == From::Predecessor && name.as_deref() == Some(ADMIN);
                    sorted.doors.socket = Some(AdminSocket { listener, path: admin.to_owned(), ours });
                }
                // The file has changed: a new one is made.
                InheritedSocket::Unix(..) if from == From::Predecessor => {}
                InheritedSocket::Unix(_, path) => {
                    let (given, wanted) = (path.display().to_string(), admin.display().to_string());
                    return Err(Misfit::Unix { given, wanted });
                }
            }
        }
        Ok(sorted)
    }

    fn tcp(
        &mut self,
        name: Option<String>,
        socket: std::net::TcpListener,
        from: From,
        config: &Config,
    ) -> Result<(), Misfit> {
        // A socket that does not know where it listens was never bound.
        let Ok(address) = socket.local_addr() else { return Ok(()) };
        let a_listeners = config.listeners.iter().any(|it| it.name.as_str() == ADMIN);
        if name.as_deref() != Some(ADMIN) || a_listeners {
            // The address alone says what is meant: the file may have given the name to another one.
            let name = name.filter(|_| from == From::Manager);
            self.listeners.push(GivenSocket { name, address, socket });
            return Ok(());
        }
        match config.admin.listen {
            Some(wanted) if wanted == address || (wanted.port() == 0 && wanted.ip() == address.ip()) => {
                self.doors.tcp = Some(socket);
            }
            _ if from == From::Predecessor => {}
            wanted => {
                let wanted = wanted.map_or("nothing of them".to_owned(), |it| it.to_string());
                return Err(Misfit::Tcp { given: address.to_string(), wanted });
            }
        }
        Ok(())
    }
}

/// Whether two paths name one file, as far as that can be seen.
fn same(one: &Path, other: &Path) -> bool {
    one == other || one.canonicalize().is_ok_and(|it| other.canonicalize().is_ok_and(|other| it == other))
}
