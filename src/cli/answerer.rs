//! Whose server it is that answers on a Unix socket.
//!
//! Whoever opens a socket by its name is answered by whatever listens there. What a command says, and what it is
//! told, is only worth something if that is the server that is meant: one of root, of whoever asks, or of whom
//! the directory of the socket belongs to, if nobody else could have put either there.

use std::io;
use std::path::{Path, PathBuf};

use tokio::net::UnixStream;

use crate::runtime::{Directory, own_user, user_name};

/// Somebody else's server answers.
#[derive(Debug, thiserror::Error)]
#[error("a server of {user} answers at `{}`, and that is neither you, nor root, nor {expected}", .path.display())]
pub struct Stranger {
    user: String,
    path: PathBuf,
    expected: &'static str,
}

/// Connects to a socket, and looks who answers. `vouched`: whether the socket was named by somebody who may be
/// believed about whom its directory belongs to.
pub async fn connect(path: &Path, vouched: bool) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(path).await?;
    let peer = stream.peer_cred()?.uid();
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if is_expected(peer, own_user(), || Directory::at(directory).ok().filter(|_| vouched)) {
        return Ok(stream);
    }
    let expected = match vouched {
        true => "the owner of a directory in which nobody else can put a socket",
        false => "named by a file of yours",
    };
    Err(io::Error::other(Stranger { user: user_name(peer), path: path.to_owned(), expected }))
}

/// The stranger that is behind an error.
pub fn stranger(error: &io::Error) -> Option<&Stranger> {
    error.get_ref()?.downcast_ref()
}

fn is_expected(peer: u32, me: u32, directory: impl FnOnce() -> Option<Directory>) -> bool {
    // Root could be anybody, and so needs not pretend.
    peer == 0
        || peer == me
        || directory().is_some_and(|it| it.owner == peer && it.is_private() && it.is_reserved_to(&[me, peer]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Above;

    #[test]
    fn root_oneself_and_the_owner_of_the_place() {
        let directory = |owner, mode, above: &[(u32, u32)]| {
            let above = above.iter().map(|it| Above {
                path: "/x".into(),
                owner: Some(it.0),
                mode: it.1,
                group_of_one: false,
            });
            Some(Directory { owner, mode, above: above.collect() })
        };
        let tmp = (0, 0o1777);
        for (peer, me, place, expected) in [
            (0, 7, None, true),
            (7, 7, None, true),
            (7, 7, directory(8, 0o777, &[tmp]), true),
            (8, 7, directory(8, 0o750, &[]), true),
            (8, 0, directory(8, 0o750, &[]), true),
            (8, 7, directory(0, 0o755, &[]), false),
            (8, 7, directory(7, 0o700, &[]), false),
            (8, 7, directory(8, 0o770, &[]), false),
            (8, 7, directory(8, 0o757, &[]), false),
            // In `/tmp` everybody may make a directory of their own.
            (8, 7, directory(8, 0o700, &[tmp]), false),
            (8, 0, directory(8, 0o700, &[tmp]), false),
            (8, 7, directory(8, 0o700, &[(0, 0o755), (8, 0o755), (7, 0o755)]), true),
            (8, 7, directory(8, 0o700, &[(9, 0o755)]), false),
            (8, 7, directory(8, 0o700, &[(0, 0o775)]), false),
            (8, 7, None, false),
            (8, 0, None, false),
        ] {
            assert_eq!(is_expected(peer, me, || place.clone()), expected, "{peer} {me} {place:?}");
        }
    }
}
