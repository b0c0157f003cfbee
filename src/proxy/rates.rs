//! Holds callers to the rate of their route.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::routing::{Rate, RateBy, RateCells, unit};

use super::admission::network_of;
use super::caller::Caller;

/// Who has asked how often, for all routes and workers. Found again by the identity of a limit, so that a
/// reload forgets nobody.
pub struct Rates {
    kept: Mutex<HashMap<u64, Weak<RateCells>>>,
    seed: u64,
}

impl Rates {
    /// Nobody has asked. `seed` says where callers are put.
    pub fn new(seed: u64) -> Self {
        Self { kept: Mutex::default(), seed }
    }

    /// Asked once for each limit of a configuration.
    fn of(&self, rate: &Rate) -> Arc<RateCells> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, it| it.strong_count() > 0);
        if let Some(cells) = kept.get(&rate.identity).and_then(Weak::upgrade) {
            return cells;
        }
        let seed = SmallRng::seed_from_u64(self.seed ^ rate.identity).next_u64();
        let cells = Arc::new(RateCells::new(&rate.limit, seed));
        kept.insert(rate.identity, Arc::downgrade(&cells));
        cells
    }
}

impl Caller<'_> {
    /// Counts a request. If it is one too many, says when the next one will not be.
    pub fn pay(&self, rate: &Rate) -> Result<(), Duration> {
        let Self { worker, head, buf, .. } = self;
        let cells = rate.cells(|| worker.common.rates.of(rate));
        let now = worker.deadlines.recent_timestamp();
        let named = match &rate.limit.by {
            RateBy::Address => None,
            RateBy::Header(name) => head.values(buf, name).next().filter(|it| !it.is_empty()),
        };
        if let Some(value) = named {
            return cells.take(value, now);
        }
        cells.take(&unit::address(network_of(self.asker.address)), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::routing::RateLimit;

    fn rate(text: &str) -> Rate {
        let limit = RateLimit { by: RateBy::Address, interval: Duration::from_secs(1), burst: 1000 };
        Rate::new(limit, text)
    }

    #[test]
    fn equal_limits_share_their_callers_as_long_as_one_is_there() {
        let rates = Rates::new(7);
        let (before, after, other) = (rate("/a"), rate("/a"), rate("/b"));
        let cells = |it: &Rate| std::ptr::from_ref(it.cells(|| rates.of(it)));
        assert_eq!(cells(&before), cells(&after));
        assert_ne!(cells(&before), cells(&other));
        drop((before, after));
        cells(&rate("/c"));
        assert_eq!(rates.kept.lock().unwrap().len(), 2, "/a is forgotten");
    }

    #[test]
    fn workers_share_a_burst() {
        let rates = Rates::new(7);
        let cells = rates.of(&rate("/a"));
        let passed: usize = std::thread::scope(|scope| {
            let ask = || (0..1000).filter(|_| cells.take(b"a", Timestamp(1)).is_ok()).count();
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            workers.into_iter().map(|it| it.join().unwrap()).sum()
        });
        assert!((1000..1050).contains(&passed), "{passed}");
    }
}
