//! A map from names to values that is quick for short names.
//!
//! The standard hasher guards against keys that somebody chose to collide. These keys come from the
//! configuration file; a request can look names up but never adds one, so a plain hash will do.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Values by name.
pub(super) type ByName<T> = HashMap<Box<str>, T, BuildHasherDefault<NameHasher>>;

/// XXH3-64 over each piece of the key, seeded with what came before.
#[derive(Default)]
pub(super) struct NameHasher(u64);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// The mark that a string puts at its end. A key is one string, so it tells nothing apart.
    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
