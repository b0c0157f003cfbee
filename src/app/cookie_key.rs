//! The key that sticky cookies are sealed with: a file beside the journal, made at the first start.
//!
//! Several servers that stand for each other are given the same file: then a cookie of one is good at
//! all of them. Without the file all callers are met anew.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rand::TryRng;
use rand::rngs::SysRng;

use crate::model::MacKey;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or made.
    #[error("failed to {doing} the key of sticky cookies `{}`", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than the owner can read the file.
    #[error("the key of sticky cookies `{}` can be read by others (mode {mode:04o}): chmod 600 it, or remove it to get a new one", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file holds something else.
    #[error("`{}` holds no key of 32 hexadecimal digits: remove it to get a new one", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
    },
}

/// The key in `state`. Where there is none it is made in `own`, which is the same directory unless that
/// cannot be written to.
pub fn load_or_make(state: &Path, own: &Path) -> Result<MacKey, KeyError> {
    match load(&state.join(FILE)) {
        Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => make(own),
        other => other,
    }
}

fn load(path: &Path) -> Result<MacKey, KeyError> {
    let failed = |source| KeyError::Io { doing: "read", path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.to_owned(), mode });
    }
    let unusable = || KeyError::Unusable { path: path.to_owned() };
    let mut text = String::new();
    file.take(256).read_to_string(&mut text).map_err(|_| unusable())?;
    let text = text.trim_ascii_end();
    let digits = text.len() == 32 && text.bytes().all(|it| it.is_ascii_hexdigit());
    let bits = u128::from_str_radix(text, 16).ok().filter(|_| digits).ok_or_else(unusable)?;
    Ok(MacKey::new(bits.to_be_bytes()))
}

fn make(directory: &Path) -> Result<MacKey, KeyError> {
    let path = directory.join(FILE);
    let failed = |source| KeyError::Io { doing: "make", path: path.clone(), source };
    let mut bytes = [0; 16];
    SysRng.try_fill_bytes(&mut bytes).map_err(|it| failed(io::Error::other(it)))?;
    // Whole or not at all: a crash leaves no half key under the name.
    let new = directory.join(format!("{FILE}.new"));
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).map_err(failed)?;
    let text = format!("{:032x}\n", u128::from_be_bytes(bytes));
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&new, &path).map_err(failed)?;
    Ok(MacKey::new(bytes))
}

/// Name of the file in the state directory.
const FILE: &str = "cookie-key";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_once_and_kept_private() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let first = load_or_make(at, at).unwrap();
        assert!(first == load_or_make(at, at).unwrap());
        let path = at.join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // What another server was given is the same key.
        let other = tempfile::tempdir().unwrap();
        fs::copy(&path, other.path().join(FILE)).unwrap();
        assert!(first == load_or_make(other.path(), at).unwrap());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(load_or_make(at, at), Err(KeyError::Exposed { mode: 0o640, .. })));
    }

    #[test]
    fn a_directory_that_cannot_be_written_to_is_only_read() {
        let (state, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let made = load_or_make(state.path(), own.path()).unwrap();
        assert!(!state.path().join(FILE).exists());
        assert!(made == load(&own.path().join(FILE)).unwrap());
    }

    #[test]
    fn something_else_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        for text in ["", "0", "0123456789abcdef0123456789abcde", "+123456789abcdef0123456789abcdef", "\u{e9}"]
        {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let error = load_or_make(directory.path(), directory.path()).unwrap_err();
            assert!(matches!(error, KeyError::Unusable { .. }), "{text}: {error}");
        }
    }
}
