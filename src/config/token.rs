//! Tokens: what is kept in their place, and when one is too easy to guess.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};

/// SHA-256 of a token. A token is never kept: whoever reads this process's memory, or a file that holds the
/// hash, cannot use it. No salt and no slow hash: there is no list of likely values of 128 random bits.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

/// Why a token could be guessed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Weak {
    /// Not a word of printable characters.
    #[error("a token is one word of printable ASCII characters")]
    Unprintable,
    /// Fewer characters than 128 bits need.
    #[error("a token has at least {CHARACTERS_MIN} characters")]
    Short,
    /// Hardly any different characters.
    #[error("a token is made of random characters, and these are {0} different ones")]
    Uniform(usize),
}

impl TokenHash {
    /// Of a token.
    pub fn of(token: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, token).as_ref());
        Self(bytes)
    }

    /// Of its written form, `sha256:` and 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX).filter(|it| it.len() == 64 && it.is_ascii())?;
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            let pair = &digits[at..at + 2];
            // A sign in front would be taken too.
            *byte = u8::from_str_radix(pair, 16).ok().filter(|_| !pair.starts_with('+'))?;
        }
        Some(Self(bytes))
    }
}

/// Takes as long whether the first byte differs or the last. That hashes are compared, and not tokens, makes
/// even the bytes that differ worth nothing to whoever measures.
impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for TokenHash {}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|it| write!(f, "{it:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Enough to tell two apart.
        write!(f, "TokenHash({:02x}{:02x}{:02x}{:02x}…)", self.0[0], self.0[1], self.0[2], self.0[3])
    }
}

/// Whether a token is long and mixed enough. Chance itself cannot be seen; slips can.
pub fn token_strength(token: &str) -> Result<(), Weak> {
    if !token.bytes().all(|it| it.is_ascii_graphic()) {
        return Err(Weak::Unprintable);
    }
    if token.len() < CHARACTERS_MIN {
        return Err(Weak::Short);
    }
    let mut seen: Vec<u8> = token.bytes().collect();
    seen.sort_unstable();
    seen.dedup();
    if seen.len() < DISTINCT_MIN { Err(Weak::Uniform(seen.len())) } else { Ok(()) }
}

const PREFIX: &str = "sha256:";
/// 22 characters of base 64 are 128 bits.
const CHARACTERS_MIN: usize = 22;
/// Of 32 random hexadecimal digits, fewer than six are different once in 10^13 times.
const DISTINCT_MIN: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn hashes_are_written_and_read() {
        // The first of the test vectors of FIPS 180-4.
        let written = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hash = TokenHash::of(b"abc");
        assert_eq!(hash.to_string(), written);
        assert!(TokenHash::parse(written) == Some(hash));
        assert!(hash != TokenHash::of(b"abd"));
        for bad in ["", "sha256:", &written[7..], &written[..70], &written.replace("ba", "+a")] {
            assert!(TokenHash::parse(bad).is_none(), "{bad}");
        }
        assert!(!format!("{hash:?}").contains("8f01cfea4141"), "not all of it");
    }

    #[test]
    fn what_could_be_guessed_is_refused() {
        for (token, strength) in [
            (TOKEN, Ok(())),
            ("AbCdEf+/09AbCdEf+/09Az", Ok(())),
            ("", Err(Weak::Short)),
            ("hunter2", Err(Weak::Short)),
            (&TOKEN[..21], Err(Weak::Short)),
            ("correct horse battery staple", Err(Weak::Unprintable)),
            ("ababababababababababababab", Err(Weak::Uniform(2))),
        ] {
            assert_eq!(token_strength(token), strength, "{token}");
        }
    }
}
