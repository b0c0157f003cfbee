//! The Unix socket: made private before anybody can connect, and put in its place whole.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::runtime::{Directory, Trespasser, own_user, user_name};

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The system does not allow it.
    #[error("failed to {doing} the admin socket `{}`", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else's directory: they could put their own socket there.
    #[error("`{}` belongs to {owner}, who could put another socket where the admin socket should be: chown it, or set admin.socket", .path.display())]
    ForeignDirectory {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: String,
    },
    /// Others may write above the directory, and so could put their own in its place.
    #[error("{who} may write in `{}` (mode {mode:04o}), which leads to the admin socket `{}`: chmod {mend} it, or set admin.socket", .path.display(), .socket.display())]
    OpenAbove {
        /// Who may.
        who: &'static str,
        /// The directory on the way.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// What to take away.
        mend: &'static str,
        /// Where the socket should be.
        socket: PathBuf,
    },
    /// Somebody else owns a directory above, and so could put their own in the place of what lies in it.
    #[error("`{}` belongs to {owner}, and leads to the admin socket `{}`: they could put their own in its place; chown it, or set admin.socket", .path.display(), .socket.display())]
    ForeignAbove {
        /// The directory on the way.
        path: PathBuf,
        /// Whose it is.
        owner: String,
        /// Where the socket should be.
        socket: PathBuf,
    },
    /// Others may write in the directory, and so could put their own socket there.
    #[error("others may write in `{}` (mode {mode:04o}), where the admin socket should be: chmod go-w it, or set admin.socket", .path.display())]
    OpenDirectory {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Something that is no socket has the name.
    #[error("`{}` is there and is no socket: remove it, or set admin.socket", .path.display())]
    Occupied {
        /// The name.
        path: PathBuf,
    },
    /// Another process answers there.
    #[error("another server answers at `{}`: stop it, or give this one a state directory of its own", .path.display())]
    InUse {
        /// The name.
        path: PathBuf,
    },
    /// Longer than the kernel takes.
    #[error("the path of the admin socket is too long ({bytes} bytes, at most {PATH_BYTES_MAX}): set admin.socket to a shorter one (`{}`)", .path.display())]
    TooLong {
        /// The name.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
}

/// A listening socket that takes its name along when it goes.
#[derive(Debug)]
pub(super) struct OwnSocket {
    listener: Option<UnixListener>,
    path: PathBuf,
    inode: u64,
    /// Whether the file goes with it.
    ours: Arc<AtomicBool>,
}

impl OwnSocket {
    /// Makes the socket. A stale one is replaced; a living one, or anything else, is left alone.
    pub(super) fn bind(path: &Path, ours: Arc<AtomicBool>) -> Result<Self, SocketError> {
        let bytes = path.as_os_str().len() + SUFFIX.len();
        if bytes > PATH_BYTES_MAX {
            return Err(SocketError::TooLong { path: path.to_owned(), bytes });
        }
        prepare_directory(path)?;
        refuse_what_is_there(path)?;
        let mut new = path.as_os_str().to_owned();
        new.push(SUFFIX);
        let new = PathBuf::from(new);
        let failed = |source| SocketError::Io { doing: "make", path: path.to_owned(), source };
        let _ = fs::remove_file(&new);
        let listener = listen_privately(&new).map_err(failed)?;
        let inode = fs::symlink_metadata(&new).map_err(failed)?.ino();
        // Nobody ever finds the name without a socket behind it that listens.
        fs::rename(&new, path).map_err(failed)?;
        ours.store(true, Ordering::Release);
        Ok(Self { listener: Some(listener), path: path.to_owned(), inode, ours })
    }

    /// Takes a socket that listens at `path` already. The file there stays, unless `ours` says otherwise
    /// in the end.
    pub(super) fn adopt(
        listener: UnixListener,
        path: &Path,
        ours: Arc<AtomicBool>,
    ) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Io { doing: "take over", path: path.to_owned(), source };
        listener.set_nonblocking(true).map_err(failed)?;
        let inode = fs::symlink_metadata(path).map_err(failed)?.ino();
        Ok(Self { listener: Some(listener), path: path.to_owned(), inode, ours })
    }

    /// The listener once more.
    pub(super) fn copy(&self) -> Option<io::Result<UnixListener>> {
        self.listener.as_ref().map(UnixListener::try_clone)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The listener, once.
    pub(super) fn take(&mut self) -> Option<UnixListener> {
        self.listener.take()
    }
}

impl Drop for OwnSocket {
    fn drop(&mut self) {
        // A successor may have put its own there already.
        if self.ours.load(Ordering::Acquire)
            && fs::symlink_metadata(&self.path).is_ok_and(|it| it.ino() == self.inode)
        {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds, closes the socket to others, and only then listens: until then a connection is refused,
/// whatever the umask left open.
fn listen_privately(path: &Path) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    fs::set_permissions(path, Permissions::from_mode(0o660))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn prepare_directory(path: &Path) -> Result<(), SocketError> {
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |source| SocketError::Io { doing: "make the directory of", path: path.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let found = Directory::at(directory).map_err(failed)?;
    if !found.is_own() {
        let owner = user_name(found.owner);
        return Err(SocketError::ForeignDirectory { path: directory.to_owned(), owner });
    }
    if !found.is_private() {
        return Err(SocketError::OpenDirectory { path: directory.to_owned(), mode: found.mode });
    }
    let Some((above, trespasser)) = found.trespassed(&[own_user()]) else { return Ok(()) };
    let (path, mode, socket) = (above.path.clone(), above.mode, path.to_owned());
    Err(match trespasser {
        Trespasser::Everybody => SocketError::OpenAbove { who: "everybody", path, mode, mend: "o-w", socket },
        Trespasser::Group => SocketError::OpenAbove { who: "a group", path, mode, mend: "g-w", socket },
        Trespasser::Owner(owner) => SocketError::ForeignAbove { path, owner: user_name(owner), socket },
    })
}

fn refuse_what_is_there(path: &Path) -> Result<(), SocketError> {
    let failed = |source| SocketError::Io { doing: "look at", path: path.to_owned(), source };
    // Not followed: a symbolic link is not a socket, wherever it leads.
    let there = match fs::symlink_metadata(path) {
        Ok(it) => it,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !there.file_type().is_socket() {
        return Err(SocketError::Occupied { path: path.to_owned() });
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) => Err(SocketError::InUse { path: path.to_owned() }),
        Err(error) => Err(failed(error)),
    }
}

/// What the kernel takes, less the zero at the end.
const PATH_BYTES_MAX: usize = 107;
/// Beside the final name, so that the rename stays within one directory.
const SUFFIX: &str = ".new";
/// Connections that may wait; each is an operator or a scraper.
const BACKLOG: i32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn private() -> tempfile::TempDir {
        tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap()
    }

    #[test]
    fn private_and_gone_afterwards() {
        let directory = private();
        let path = directory.path().join("run/admin.sock");
        let socket = OwnSocket::bind(&path, Arc::default()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(matches!(OwnSocket::bind(&path, Arc::default()), Err(SocketError::InUse { .. })));
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced_and_nothing_else_is() {
        let directory = private();
        let path = directory.path().join("admin.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a dead server leaves its socket");
        let socket = OwnSocket::bind(&path, Arc::default()).unwrap();
        drop(socket);
        fs::write(&path, "data").unwrap();
        assert!(matches!(OwnSocket::bind(&path, Arc::default()), Err(SocketError::Occupied { .. })));
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(directory.path().join("elsewhere"), &path).unwrap();
        assert!(matches!(OwnSocket::bind(&path, Arc::default()), Err(SocketError::Occupied { .. })));
    }

    #[test]
    fn a_directory_that_others_write_is_refused() {
        let directory = private();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o777)).unwrap();
        let error = OwnSocket::bind(&directory.path().join("admin.sock"), Arc::default()).unwrap_err();
        assert!(matches!(error, SocketError::OpenDirectory { mode: 0o777, .. }), "{error}");
    }

    #[test]
    fn a_directory_that_others_can_exchange_is_refused() {
        let directory = private();
        let mode = |it| fs::set_permissions(directory.path(), Permissions::from_mode(it)).unwrap();
        let path = directory.path().join("deep/admin.sock");
        mode(0o777);
        let error = OwnSocket::bind(&path, Arc::default()).unwrap_err();
        assert!(matches!(error, SocketError::OpenAbove { mode: 0o777, .. }), "{error}");
        mode(0o1777);
        drop(OwnSocket::bind(&path, Arc::default()).unwrap());
        // Only root can give something away.
        if std::os::unix::fs::chown(directory.path(), Some(65_533), Some(65_533)).is_err() {
            return;
        }
        let error = OwnSocket::bind(&path, Arc::default()).unwrap_err();
        let said = format!("`{}` belongs to uid 65533, and leads to", directory.path().display());
        assert!(error.to_string().starts_with(&said), "{error}");
        std::os::unix::fs::chown(directory.path(), Some(0), None).unwrap();
        mode(0o770);
        let error = OwnSocket::bind(&path, Arc::default()).unwrap_err();
        let said = format!("a group may write in `{}` (mode 0770)", directory.path().display());
        assert!(error.to_string().starts_with(&said) && error.to_string().contains("chmod g-w"), "{error}");
        mode(0o750);
        drop(OwnSocket::bind(&path, Arc::default()).unwrap());
    }

    #[test]
    fn a_directory_of_somebody_else_is_refused() {
        let directory = private();
        // Only root can give something away.
        if std::os::unix::fs::chown(directory.path(), Some(65_534), None).is_err() {
            return;
        }
        let error = OwnSocket::bind(&directory.path().join("admin.sock"), Arc::default()).unwrap_err();
        assert!(matches!(error, SocketError::ForeignDirectory { .. }), "{error}");
    }

    #[test]
    fn a_successor_keeps_its_socket() {
        let directory = private();
        let path = directory.path().join("admin.sock");
        let mut first = OwnSocket::bind(&path, Arc::default()).unwrap();
        drop(first.take());
        let second = OwnSocket::bind(&path, Arc::default()).unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
    }

    #[test]
    fn a_long_path_says_so() {
        let path = PathBuf::from(format!("/tmp/{}/admin.sock", "x".repeat(120)));
        assert!(matches!(OwnSocket::bind(&path, Arc::default()), Err(SocketError::TooLong { .. })));
    }
}
