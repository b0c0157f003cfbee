//! Giving up the rights of root for those of the account that the file names.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::{Account, Config};
use crate::runtime::{become_account, is_account, is_root, make_for};

use super::places::{admin_socket, state_directory};
use super::run::{RunError, Wanted, start_error, want_error};

/// The state is somebody else's.
#[derive(Debug, thiserror::Error)]
#[error("`{}` belongs to user {owner}, and `{account}` could not use it: chown -R {account}: {}", .path.display(), .state.display())]
struct Foreign {
    /// The directory, or a file in it.
    path: PathBuf,
    owner: u32,
    account: String,
    state: PathBuf,
}

/// Takes on the account of `config`, if it names one. Whether this process was another one before: then what it
/// has read it must be able to read again.
pub(super) fn take_on(config: &Config) -> Result<bool, RunError> {
    let Some(account) = &config.account else { return Ok(false) };
    let was_there = is_account(account.user, account.group);
    if is_root() {
        let state = state_directory(config.state.as_deref(), true);
        let socket = admin_socket(config.admin.socket.as_deref(), &state);
        for directory in [Some(state.as_path()), socket.parent()].into_iter().flatten() {
            make_for(directory, account.user, account.group)
                .map_err(start_error("make the directories of the account"))?;
        }
        let foreign =
            foreign(&state, account).map_err(want_error(Wanted::State, "look at the state directory"))?;
        // Without this it would be taken for one that can be read at most, and no weight would rise.
        if let Some(foreign) = foreign {
            return Err(want_error(Wanted::State, "use the state directory")(foreign));
        }
    }
    become_account(account.user, account.group, &account.groups)
        .map_err(start_error("take on the account under `user`"))?;
    if !was_there {
        let Account { name, user, group, .. } = account;
        tracing::info!(%name, user, group, "the rights of root are given up");
    }
    Ok(!was_there)
}

/// What of the state directory is not the account's. It is not given to it here: in a directory that the account
/// could write to before, names may lead anywhere.
fn foreign(state: &Path, account: &Account) -> io::Result<Option<Foreign>> {
    let about = match std::fs::metadata(state) {
        // The account makes it, or says why it cannot.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        about => about?,
    };
    let foreign = |path: &Path, owner: u32| {
        let (path, state) = (path.to_owned(), state.to_owned());
        (owner != account.user).then(|| Foreign { path, owner, account: account.name.clone(), state })
    };
    if let Some(it) = foreign(state, about.uid()) {
        return Ok(Some(it));
    }
    for entry in std::fs::read_dir(state)? {
        let entry = entry?;
        if let Some(it) = foreign(&entry.path(), entry.metadata()?.uid()) {
            return Ok(Some(it));
        }
    }
    Ok(None)
}
