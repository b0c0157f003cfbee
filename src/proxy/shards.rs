//! Whether one client is most of the traffic.

use std::cell::Cell;

use crate::model::{CLIENT_SHARDS, ClientShard};

/// Notices a client shard that carries over half of the traffic, as when everybody comes through one
/// gateway. "No single client decides" would then mean that nobody decides, so the requests of such
/// a shard are spread over all shards instead.
#[derive(Default)]
pub struct ShardMeter {
    seen: [Cell<u32>; CLIENT_SHARDS],
    total: Cell<u32>,
}

impl ShardMeter {
    /// Counts are halved when they reach this, so that old traffic is forgotten.
    const FORGET_AT: u32 = 4096;

    /// Counts a request of `shard`, and says whether that shard has most of them.
    pub fn dominates(&self, shard: ClientShard) -> bool {
        let seen = &self.seen[shard.index()];
        seen.set(seen.get() + 1);
        self.total.set(self.total.get() + 1);
        if self.total.get() >= Self::FORGET_AT {
            self.seen.iter().for_each(|it| it.set(it.get() / 2));
            self.total.set(self.seen.iter().map(Cell::get).sum());
        }
        seen.get() * 2 > self.total.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_dominant_shard_is_spread() {
        let (gateway, other) = (ClientShard::of(b"gateway"), ClientShard::of(b"somebody"));
        assert_ne!(gateway, other);
        let meter = ShardMeter::default();
        let spread = (0..10_000).filter(|_| meter.dominates(gateway)).count();
        assert_eq!(spread, 10_000);
        assert!(!(0..100).any(|_| meter.dominates(other)));

        let even = ShardMeter::default();
        let shards: Vec<ClientShard> = (0..64u8).map(|it| ClientShard::of(&[it])).collect();
        for request in 0..10_000 {
            even.dominates(shards[request % 64]);
        }
        assert!(!shards.iter().any(|it| even.dominates(*it)));
    }
}
