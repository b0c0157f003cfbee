//! Who is asking, as a number: the sticky identity of a caller, and the client shard that the guards
//! use to see whether one client alone decides.
//!
//! Both are XXH3-64 with a seed. The hash is frozen by test vectors: if a library update changed it,
//! every sticky user would move at once.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::observation::CLIENT_SHARDS;
use super::weight::Draw;

/// Seed of a service's bucket hash. It changes with each release, so that the same people are not
/// always the first to meet a canary.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Salt(pub u64);

impl Salt {
    /// The salt of release number `release` of `service`.
    pub fn of(service: &str, release: u64) -> Self {
        Self(xxh3_64_with_seed(service.as_bytes(), release))
    }
}

/// Where a unit falls among the 10 000 basis points: the same for the same salt and unit, on every
/// replica and after a restart.
pub fn draw_of_unit(salt: Salt, unit: &[u8]) -> Draw {
    Draw::from_bits(xxh3_64_with_seed(unit, salt.0))
}

/// One of [`CLIENT_SHARDS`] groups of clients.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ClientShard(u8);

impl ClientShard {
    /// The shard of a client key (by default its address).
    pub fn of(key: &[u8]) -> Self {
        // The modulus keeps it below CLIENT_SHARDS, which fits a byte.
        Self((xxh3_64_with_seed(key, 0) % CLIENT_SHARDS as u64) as u8)
    }

    /// Index into [`super::LaneTally::shards`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frozen: a change here moves every sticky user of every installation.
    #[test]
    fn hash_vectors() {
        assert_eq!(Salt::of("shop", 1).0, xxh3_64_with_seed(b"shop", 1));
        let salt = Salt(7);
        let draws: Vec<u16> = ["", "a", "alice", "10.0.0.1"]
            .map(|it| draw_of_unit(salt, it.as_bytes()).basis_points())
            .to_vec();
        assert_eq!(draws, FROZEN_DRAWS);
        let shards: Vec<usize> =
            ["", "a", "alice", "10.0.0.1"].map(|it| ClientShard::of(it.as_bytes()).index()).to_vec();
        assert_eq!(shards, FROZEN_SHARDS);
    }

    const FROZEN_DRAWS: [u16; 4] = [5_673, 6_204, 3_584, 8_248];
    const FROZEN_SHARDS: [usize; 4] = [2, 31, 16, 6];
}
