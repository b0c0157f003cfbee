//! What a version *is*, apart from its name: a hash of its definition.

use std::fmt;

/// A hash of a version's definition. Quarantine is by fingerprint: the same definition under the
/// same name stays withdrawn, a changed definition is a new artifact.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// The fingerprint of a canonical text of the definition.
    pub fn of(definition: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_64(definition))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
