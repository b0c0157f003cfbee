//! Which endpoint a caller comes back to: highest random weight (Thaler and Ravishankar, "Using name-based
//! mappings to increase hit rates", 1998).
//!
//! Each endpoint has a rank for each key, by a hash of both, and the highest one gets the request. An endpoint
//! that leaves moves only its own keys, each to its second choice; one that comes takes its share from all
//! others and moves nothing else. There is no ring to build, and nothing to agree upon: equal names give equal
//! choices on every worker and replica, and after a restart.
//!
//! With a [`Bound`] an endpoint that has enough to do is passed over, so that a key that everybody asks for does not
//! take down its endpoint (Mirrokni, Thorup and Zadimoghaddam, "Consistent hashing with bounded loads", 2018):
//! what is too much for it goes to the key's next endpoint, and comes back when it is not.
//!
//! Not here: what keys are made of ([`crate::proxy`]), and which endpoints are fit for requests.

use xxhash_rust::xxh3::xxh3_64;

/// Who or what a request is for, as a number. Frozen by test vectors: another hash would send everybody to
/// another endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Key(u64);

/// An endpoint, as a number that is made once of its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Anchor(u64);

/// Where an endpoint stands for a key; the highest comes first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Rank(u64, usize);

/// How much an endpoint may have under way, as a percentage of an even share.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bound(u32);

impl Bound {
    /// Least and greatest percentage. At 100 % exactly nobody would keep an endpoint of their own.
    pub const RANGE: (u32, u32) = (101, 1_000);

    /// A percentage of an even share.
    pub fn from_percent(percent: u32) -> Option<Self> {
        let (least, most) = Self::RANGE;
        (least..=most).contains(&percent).then_some(Self(percent))
    }

    /// The percentage.
    pub fn percent(self) -> u32 {
        self.0
    }

    /// Whether an endpoint with so much under way may have one more, of `total` that all `endpoints` have. However
    /// it is spread, at least one may.
    pub fn has_room(self, under_way: usize, total: usize, endpoints: usize) -> bool {
        let share =
            (total as u64 + 1).saturating_mul(u64::from(self.0)).div_ceil(100 * endpoints.max(1) as u64);
        (under_way as u64) < share
    }
}

impl Key {
    /// Of whatever identifies it.
    pub fn of(bytes: &[u8]) -> Self {
        Self(xxh3_64(bytes))
    }

    /// The rank of an endpoint. Equal hashes, which hardly occur, are told apart by its place in the list.
    pub fn rank(self, anchor: Anchor, index: usize) -> Rank {
        Rank(mixed(self.0 ^ anchor.0), index)
    }
}

impl Anchor {
    /// Of an endpoint's name: `10.0.1.10:3000`.
    pub fn of(name: &str) -> Self {
        Self(xxh3_64(name.as_bytes()))
    }
}

impl Rank {
    /// Its place in the list.
    pub fn index(self) -> usize {
        self.1
    }

    /// Bits that are the same for the same key and endpoint: what an endpoint that warms up admits by. The
    /// highest rank has high bits, so these are the low ones.
    pub fn bits(self) -> u64 {
        self.0 & u64::from(u32::MAX)
    }
}

/// Every bit of the result depends on every bit of `it` (the finalizer of MurmurHash3, by Appleby).
fn mixed(it: u64) -> u64 {
    let it = (it ^ (it >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let it = (it ^ (it >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    it ^ (it >> 33)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn anchors(names: &[String]) -> Vec<Anchor> {
        names.iter().map(|it| Anchor::of(it)).collect()
    }

    /// The name that a key goes to.
    fn home<'a>(key: &[u8], names: &'a [String]) -> &'a str {
        let key = Key::of(key);
        let best = anchors(names).into_iter().enumerate().map(|(index, it)| key.rank(it, index)).max();
        &names[best.expect("names").index()]
    }

    fn named(count: usize) -> Vec<String> {
        (1..=count).map(|it| format!("10.0.1.{it}:3000")).collect()
    }

    /// Frozen: a change here sends the users of every installation to other endpoints.
    #[test]
    fn vectors() {
        let names = named(5);
        let homes: Vec<&str> = ["", "a", "alice", "10.0.0.1", "/img/logo.svg"]
            .iter()
            .map(|it| home(it.as_bytes(), &names))
            .collect();
        assert_eq!(homes, FROZEN);
        assert_eq!(Key::of(b"alice").rank(Anchor::of("10.0.1.1:3000"), 7), Rank(FROZEN_RANK, 7));
    }

    const FROZEN: [&str; 5] =
        ["10.0.1.5:3000", "10.0.1.4:3000", "10.0.1.3:3000", "10.0.1.5:3000", "10.0.1.2:3000"];
    const FROZEN_RANK: u64 = 16_155_710_499_176_491_110;

    #[test]
    fn keys_are_spread_evenly() {
        let names = named(8);
        let mut counts = [0_u32; 8];
        for key in 0..80_000_u32 {
            let home = home(&key.to_le_bytes(), &names);
            counts[names.iter().position(|it| it == home).expect("a name")] += 1;
        }
        // Six standard deviations of a fair draw.
        assert!(counts.iter().all(|it| it.abs_diff(10_000) < 570), "{counts:?}");
    }

    #[test]
    fn a_bound_is_of_an_even_share() {
        assert_eq!(
            [100, 101, 1_000, 1_001].map(|it| Bound::from_percent(it).is_some()),
            [false, true, true, false]
        );
        let bound = Bound::from_percent(150).expect("in range");
        // Of 12 with the new one each of three would have 4, and half as much again is 6.
        assert!(bound.has_room(5, 11, 3) && !bound.has_room(6, 11, 3));
        // One that is alone has everything.
        assert!(bound.has_room(1_000_000, 1_000_000, 1));
        // The first is always its endpoint's own.
        assert!(bound.has_room(0, 0, 100));
    }

    proptest! {
        /// There is always an endpoint with room, and none gets more than its share.
        #[test]
        fn there_is_always_room(under_way in prop::collection::vec(0_usize..50, 1..20), percent in 101_u32..=1_000) {
            let bound = Bound::from_percent(percent).expect("in range");
            let (total, count) = (under_way.iter().sum::<usize>(), under_way.len());
            prop_assert!(under_way.iter().any(|it| bound.has_room(*it, total, count)));
            for it in under_way.iter().filter(|it| bound.has_room(**it, total, count)) {
                let even = (total + 1) as f64 / count as f64;
                prop_assert!((*it as f64) < even * f64::from(percent) / 100.0 + 1e-9, "{it} of {even}");
            }
        }

        /// An endpoint that leaves moves nobody else, wherever it stood in the list; nor does one that comes.
        #[test]
        fn only_those_of_whoever_leaves_are_moved(
            count in 2_usize..40, gone: prop::sample::Index, turn in 0_usize..40, keys: Vec<[u8; 6]>,
        ) {
            let all = named(count);
            let mut left = all.clone();
            let gone = left.remove(gone.index(count));
            // The order in which they are listed says nothing.
            left.rotate_left(turn % (count - 1));
            for key in &keys {
                let (before, after) = (home(key, &all), home(key, &left));
                prop_assert!(before == after || before == gone, "{before} {after} {gone}");
            }
        }
    }
}
