//! What a reload cannot change.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::Config;

/// What only a new process can change.
#[derive(PartialEq)]
pub(super) struct Fixed {
    workers: Option<usize>,
    state: Option<PathBuf>,
    /// User and group; what else the account belongs to is nobody's wish here.
    account: Option<(u32, u32)>,
    /// The doors themselves, and not who is let in.
    admin: (Option<SocketAddr>, Option<PathBuf>),
}

impl Fixed {
    pub(super) fn of(config: &Config) -> Self {
        let admin = (config.admin.listen, config.admin.socket.clone());
        let account = config.account.as_ref().map(|it| (it.user, it.group));
        Self { workers: config.workers, state: config.state.clone(), account, admin }
    }

    pub(super) fn difference(&self, other: &Self) -> Option<&'static str> {
        if self.workers != other.workers {
            return Some("workers");
        }
        if self.state != other.state {
            return Some("state");
        }
        if self.account != other.account {
            return Some("user");
        }
        if self.admin.0 != other.admin.0 {
            return Some("admin.listen");
        }
        (self.admin != other.admin).then_some("admin.socket")
    }
}
