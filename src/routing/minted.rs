//! Cookies that give a caller an identity where the application gives none.
//!
//! A value is 16 hexadecimal digits of identity and 16 of a keyed code over the cookie's name and the
//! identity. Whoever invents or alters one does not know the code that fits, and a value that was made
//! for a cookie of another name does not fit either: both count as absent.

use std::time::Duration;

use crate::model::MacKey;

use super::unit;

/// A cookie that is given to callers who bring none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MintedCookie {
    /// Its name.
    pub name: String,
    /// How long callers keep it.
    pub ttl: Duration,
}

/// Digits of the identity, and as many of the code.
const DIGITS: usize = 16;

impl MintedCookie {
    /// The identity in a `Cookie` line, if one was made with `key`. Of several values the first that
    /// fits counts: another one cannot push it aside.
    pub fn unit<'a>(&self, line: &'a [u8], key: MacKey) -> Option<&'a [u8]> {
        unit::cookies(line, &self.name).find_map(|value| {
            let (identity, code) = value.split_at_checked(DIGITS)?;
            (number(code)? == self.code(identity, key) && number(identity).is_some()).then_some(identity)
        })
    }

    /// An identity made of 64 random bits.
    pub fn mint(&self, bits: u64, key: MacKey) -> Minted {
        let identity = digits(bits);
        Minted { identity, code: self.code(&identity, key) }
    }

    /// The value of a `Set-Cookie` line. `secure` keeps the cookie from being sent without TLS.
    pub fn set(&self, minted: &Minted, secure: bool) -> String {
        let Self { name, ttl } = self;
        let identity = str::from_utf8(&minted.identity).expect("hexadecimal digits");
        let (code, seconds) = (minted.code, ttl.as_secs());
        let secure = if secure { "; Secure" } else { "" };
        format!("{name}={identity}{code:016x}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
    }

    fn code(&self, identity: &[u8], key: MacKey) -> u64 {
        // The identity is of one length, so no other name and identity make the same bytes.
        key.code(&[self.name.as_bytes(), b"=", identity])
    }
}

/// A new identity with its code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Minted {
    identity: [u8; DIGITS],
    code: u64,
}

impl Minted {
    /// What later requests with this cookie will be known by.
    pub fn unit(&self) -> &[u8] {
        &self.identity
    }
}

/// 16 lower-case hexadecimal digits, as they are written here and in no other way.
fn number(text: &[u8]) -> Option<u64> {
    if text.len() != DIGITS {
        return None;
    }
    text.iter().try_fold(0, |sum: u64, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(sum << 4 | u64::from(digit))
    })
}

fn digits(bits: u64) -> [u8; DIGITS] {
    std::array::from_fn(|at| {
        let nibble = (bits >> (60 - 4 * at)) & 0xf;
        b"0123456789abcdef"[nibble as usize]
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cookie(name: &str) -> MintedCookie {
        MintedCookie { name: name.into(), ttl: Duration::from_secs(7 * 86_400) }
    }

    fn key(seed: u8) -> MacKey {
        MacKey::new([seed; 16])
    }

    fn pair(it: &MintedCookie, bits: u64, key: MacKey) -> String {
        let set = it.set(&it.mint(bits, key), false);
        set.split(';').next().unwrap().to_owned()
    }

    /// Frozen: a change here forgets every caller of every installation.
    #[test]
    fn what_is_set() {
        let it = cookie("tg_unit");
        let minted = it.mint(0x0123_4567_89ab_cdef, MacKey::new(*b"0123456789abcdef"));
        assert_eq!(minted.unit(), b"0123456789abcdef");
        let code = minted.code;
        let common =
            format!("tg_unit=0123456789abcdef{code:016x}; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax");
        assert_eq!(it.set(&minted, false), common);
        assert_eq!(it.set(&minted, true), format!("{common}; Secure"));
        assert_eq!(code, FROZEN_CODE);
    }

    const FROZEN_CODE: u64 = 0x16ad_528e_4092_d164;

    #[test]
    fn what_is_absent() {
        let it = cookie("u");
        let good = pair(&it, 7, key(1));
        assert_eq!(it.unit(good.as_bytes(), key(1)), Some(&b"0000000000000007"[..]));
        let value = &good[2..];
        let foreign = pair(&cookie("v"), 7, key(1));
        for bad in [
            String::new(),
            "u=".into(),
            format!("u={}", &value[1..]),
            format!("u={}", &value[..31]),
            format!("u={value}0"),
            format!("u={}", value.to_uppercase().replace("U=", "u=")),
            format!("u={}", "a".repeat(8192)),
            format!("u={}", foreign.split_once('=').unwrap().1),
            format!("v={value}"),
            format!("u={}{}", &value[16..], &value[..16]),
            "u=session-of-the-application".into(),
        ] {
            assert_eq!(it.unit(bad.as_bytes(), key(1)), None, "{bad}");
        }
        let mut bytes = good.clone().into_bytes();
        bytes[5] = 0xe9;
        assert_eq!(it.unit(&bytes, key(1)), None);
        // A key that was replaced.
        assert_eq!(it.unit(good.as_bytes(), key(2)), None);
    }

    #[test]
    fn a_bad_one_does_not_push_a_good_one_aside() {
        let it = cookie("u");
        let line = format!("u=1; {}; u=2", pair(&it, 7, key(1)));
        assert_eq!(it.unit(line.as_bytes(), key(1)), Some(&b"0000000000000007"[..]));
    }

    proptest! {
        #[test]
        fn what_is_minted_is_recognised(bits: u64, seed: u8) {
            let it = cookie("tg_unit");
            let line = format!("a=b; {}", pair(&it, bits, key(seed)));
            let minted = it.mint(bits, key(seed));
            prop_assert_eq!(it.unit(line.as_bytes(), key(seed)), Some(minted.unit()));
        }

        #[test]
        fn one_changed_byte_is_noticed(bits: u64, at in 2_usize..34, to: u8) {
            let it = cookie("u");
            let good = pair(&it, bits, key(3)).into_bytes();
            let mut bad = good.clone();
            bad[at] = to;
            prop_assert_eq!(it.unit(&bad, key(3)).is_some(), bad == good);
        }
    }
}
