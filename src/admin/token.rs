//! A token as whoever shows it has it, and the one that is made where the file names nobody.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rand::TryRng;
use rand::rngs::SysRng;

use crate::config::{TokenHash, Weak, token_strength};

/// A secret that is never printed.
#[derive(Clone)]
pub struct Token(String);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or made.
    #[error("failed to {doing} the admin token `{}`", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than the owner can read the file.
    #[error("the admin token `{}` can be read by others (mode {mode:04o}): chmod 600 it, or remove it to get a new one", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file holds something else.
    #[error("`{}` holds no admin token: remove it to get a new one", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with what is there.
        source: Weak,
    },
}

impl Token {
    /// The token in `directory`, made at the first call.
    pub fn load_or_make(directory: &Path) -> Result<Self, TokenError> {
        match Self::load(directory) {
            Err(TokenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Self::make(directory)
            }
            other => other,
        }
    }

    /// The token in `directory`.
    pub fn load(directory: &Path) -> Result<Self, TokenError> {
        let path = directory.join(FILE);
        let failed = |source| TokenError::Io { doing: "read", path: path.clone(), source };
        let file = File::open(&path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(TokenError::Exposed { path, mode });
        }
        let mut text = String::new();
        file.take(BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        Self::parse(text.trim_end()).map_err(|source| TokenError::Unusable { path, source })
    }

    /// A token as somebody wrote it: printable, without spaces, and long enough not to be guessed.
    pub fn parse(text: &str) -> Result<Self, Weak> {
        token_strength(text).map(|()| Self(text.to_owned()))
    }

    /// A new one.
    pub fn random() -> io::Result<Self> {
        let mut bytes = [0; RANDOM_BYTES];
        SysRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
        Ok(Self(bytes.iter().map(|it| format!("{it:02x}")).collect()))
    }

    /// What a server keeps of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.0.as_bytes())
    }

    /// The text, to be sent to a server.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn make(directory: &Path) -> Result<Self, TokenError> {
        let path = directory.join(FILE);
        let failed = |source| TokenError::Io { doing: "make", path: path.clone(), source };
        let token = Self::random().map_err(failed)?;
        // Whole or not at all: a crash leaves no half token under the name.
        let new = directory.join(format!("{FILE}.new"));
        let _ = fs::remove_file(&new);
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).map_err(failed)?;
        writeln!(file, "{}", token.reveal()).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&new, &path).map_err(failed)?;
        Ok(token)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Name of the file in the state directory.
const FILE: &str = "admin-token";
/// 128 bits, as hexadecimal digits.
const RANDOM_BYTES: usize = 16;
/// Nobody's token is longer.
const BYTES_MAX: u64 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_once_and_kept_private() {
        let directory = tempfile::tempdir().unwrap();
        let first = Token::load_or_make(directory.path()).unwrap();
        let second = Token::load_or_make(directory.path()).unwrap();
        assert!(first.hash() == second.hash());
        assert_eq!(first.reveal().len(), 32);
        let path = directory.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Token::load(directory.path()), Err(TokenError::Exposed { mode: 0o640, .. })));
    }

    #[test]
    fn a_short_or_broken_one_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        for text in ["", "short", "with spaces in the middle of it all"] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let error = Token::load_or_make(directory.path()).unwrap_err();
            assert!(matches!(error, TokenError::Unusable { .. }), "{text}: {error}");
        }
    }

    #[test]
    fn new_ones_are_new_and_never_printed() {
        let (one, other) = (Token::random().unwrap(), Token::random().unwrap());
        assert!(one.hash() != other.hash());
        assert!(Token::parse(one.reveal()).is_ok());
        assert_eq!(format!("{one:?}"), "Token(…)");
    }
}
