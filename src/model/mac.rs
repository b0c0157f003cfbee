//! A keyed code over a few bytes: who does not have the key cannot make one that fits.
//!
//! SipHash-2-4 (Aumasson and Bernstein, 2012), a keyed function made for short inputs. 64 bits are enough
//! where a guess costs a request and wins nothing but a place in a split.

/// A key of 128 secret bits. Never printed.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct MacKey {
    low: u64,
    high: u64,
}

impl MacKey {
    /// A key made of these bytes.
    pub fn new(bytes: [u8; 16]) -> Self {
        let bits = u128::from_le_bytes(bytes);
        // The halves of 128 bits fit 64 each.
        Self { low: bits as u64, high: (bits >> 64) as u64 }
    }

    /// The code of `parts`, as if they were one. Where they could be cut otherwise and mean something
    /// else, the caller separates them.
    pub fn code(self, parts: &[&[u8]]) -> u64 {
        let mut state = Rounds([
            self.low ^ 0x736f_6d65_7073_6575,
            self.high ^ 0x646f_7261_6e64_6f6d,
            self.low ^ 0x6c79_6765_6e65_7261,
            self.high ^ 0x7465_6462_7974_6573,
        ]);
        let (mut word, mut length) = (0, 0_usize);
        for byte in parts.iter().copied().flatten() {
            word |= u64::from(*byte) << (8 * (length % 8));
            length += 1;
            if length % 8 == 0 {
                state.absorb(word);
                word = 0;
            }
        }
        state.absorb(word | (length as u64) << 56);
        state.finish()
    }
}

impl std::fmt::Debug for MacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MacKey(…)")
    }
}

struct Rounds([u64; 4]);

impl Rounds {
    fn absorb(&mut self, word: u64) {
        self.0[3] ^= word;
        self.round();
        self.round();
        self.0[0] ^= word;
    }

    fn finish(mut self) -> u64 {
        self.0[2] ^= 0xff;
        (0..4).for_each(|_| self.round());
        self.0[0] ^ self.0[1] ^ self.0[2] ^ self.0[3]
    }

    fn round(&mut self) {
        let [a, b, c, d] = &mut self.0;
        *a = a.wrapping_add(*b);
        *b = b.rotate_left(13) ^ *a;
        *a = a.rotate_left(32);
        *c = c.wrapping_add(*d);
        *d = d.rotate_left(16) ^ *c;
        *a = a.wrapping_add(*d);
        *d = d.rotate_left(21) ^ *a;
        *c = c.wrapping_add(*b);
        *b = b.rotate_left(17) ^ *c;
        *c = c.rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    /// From the paper, appendix A, and its reference implementation.
    #[test]
    fn vectors() {
        let key = MacKey::new(BYTES);
        assert_eq!(key.code(&[&BYTES[..15]]), 0xa129_ca61_49be_45e5);
        assert_eq!(key.code(&[]), 0x726f_db47_dd0e_0e31);
    }

    #[test]
    #[expect(deprecated, reason = "another implementation to compare with")]
    fn agrees_with_the_standard_library() {
        use std::hash::Hasher;
        let text: Vec<u8> = (0..100).collect();
        for end in 0..text.len() {
            let mut other = std::hash::SipHasher::new_with_keys(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
            other.write(&text[..end]);
            let key = MacKey::new(BYTES);
            assert_eq!(key.code(&[&text[..end]]), other.finish(), "{end}");
            assert_eq!(key.code(&[&text[..end / 3], &text[end / 3..end]]), other.finish(), "{end}");
        }
    }

    #[test]
    fn a_key_is_not_printed() {
        assert_eq!(format!("{:?}", MacKey::new(BYTES)), "MacKey(…)");
    }
}
