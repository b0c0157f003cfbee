//! The token that a change over TCP needs.

use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rand::TryRng;
use rand::rngs::SysRng;

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
    #[error("`{}` holds no admin token of at least {BYTES_MIN} printable characters: remove it to get a new one", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
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
        Self::parse(text.trim_end()).ok_or(TokenError::Unusable { path })
    }

    /// A token as somebody wrote it: printable, without spaces, and long enough not to be guessed.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() >= BYTES_MIN && text.bytes().all(|it| it.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// Whether `offered` is this token. Takes as long whether the first byte differs or the last.
    pub fn is(&self, offered: &[u8]) -> bool {
        let own = self.0.as_bytes();
        if own.len() != offered.len() {
            return false;
        }
        let differing = own.iter().zip(offered).fold(0, |sum, (a, b)| black_box(sum | (a ^ b)));
        differing == 0
    }

    /// The text, to be sent to a server.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn make(directory: &Path) -> Result<Self, TokenError> {
        let path = directory.join(FILE);
        let failed = |source| TokenError::Io { doing: "make", path: path.clone(), source };
        let mut bytes = [0; RANDOM_BYTES];
        SysRng.try_fill_bytes(&mut bytes).map_err(|it| failed(io::Error::other(it)))?;
        let text: String = bytes.iter().map(|it| format!("{it:02x}")).collect();
        // Whole or not at all: a crash leaves no half token under the name.
        let new = directory.join(format!("{FILE}.new"));
        let _ = fs::remove_file(&new);
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).map_err(failed)?;
        writeln!(file, "{text}").and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&new, &path).map_err(failed)?;
        Ok(Self(text))
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
/// Shortest token that somebody may put there by hand: 22 characters of base 64 are 128 bits too.
const BYTES_MIN: usize = 22;
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
        assert!(first.is(second.reveal().as_bytes()));
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
    fn only_the_same_token_is_the_token() {
        let token = Token::parse("0123456789abcdef0123456789abcdef").unwrap();
        assert!(token.is(b"0123456789abcdef0123456789abcdef"));
        for wrong in ["", "0123456789abcdef0123456789abcdee", "0123456789abcdef0123456789abcdef0"] {
            assert!(!token.is(wrong.as_bytes()), "{wrong}");
        }
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
