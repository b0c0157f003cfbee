//! How much may be asked twice: tokens that requests earn and further tries cost, one account for each
//! worker and version.
//!
//! Nothing is done when a request begins. An account is brought up to date when somebody asks it, from the
//! number of requests that is counted anyway.

use std::cell::Cell;

use crate::model::Weight;

/// What one further try costs. A request earns its share in basis points.
const PRICE: u64 = 10_000;

/// Most tries that can be saved up.
const SAVED_MAX: u64 = 100 * PRICE;

/// A version without traffic to speak of earns a try each second, up to ten, so that a budget in percent
/// does not mean never.
const FLOOR_MAX: u64 = 10 * PRICE;

/// An account of one version.
#[derive(Debug)]
pub struct Budget {
    balance: Cell<u64>,
    /// Requests that have earned their share.
    requests: Cell<u64>,
    at_ms: Cell<u64>,
}

impl Budget {
    /// Has enough for ten tries.
    pub fn small() -> Self {
        Self { balance: Cell::new(FLOOR_MAX), requests: Cell::new(0), at_ms: Cell::new(0) }
    }

    /// Has enough for a hundred tries.
    pub fn large() -> Self {
        Self { balance: Cell::new(SAVED_MAX), ..Self::small() }
    }

    /// Pays for one further try, if there is enough. Each of the version's `requests` so far has earned
    /// `share` of one.
    pub fn pay(&self, share: Weight, requests: u64, now_ms: u64) -> bool {
        let new = requests.saturating_sub(self.requests.replace(requests));
        let waited_ms = now_ms.saturating_sub(self.at_ms.replace(now_ms));
        if share == Weight::NONE {
            return false;
        }
        let earned = new.saturating_mul(u64::from(share.basis_points()));
        let mut balance = self.balance.get().saturating_add(earned).min(SAVED_MAX);
        if balance < FLOOR_MAX {
            balance = balance.saturating_add(waited_ms.saturating_mul(PRICE / 1000)).min(FLOOR_MAX);
        }
        let paid = balance >= PRICE;
        self.balance.set(if paid { balance - PRICE } else { balance });
        paid
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIFTH: u32 = 2_000;

    fn share(basis_points: u32) -> Weight {
        Weight::from_basis_points(basis_points).unwrap()
    }

    #[test]
    fn one_in_five_may_be_asked_twice() {
        let it = Budget::small();
        let paid = (1..=10_000).filter(|requests| it.pay(share(FIFTH), *requests, 0)).count();
        assert!((2_000..=2_010).contains(&paid), "{paid}");
    }

    #[test]
    fn little_traffic_may_be_asked_twice_now_and_then() {
        let it = Budget::small();
        let paid_at = |now_ms| it.pay(share(1), 0, now_ms);
        assert_eq!((0..20).filter(|_| paid_at(0)).count(), 10);
        assert!(!paid_at(999) && paid_at(1_000) && !paid_at(1_001));
        assert_eq!((0..20).filter(|_| paid_at(60_000)).count(), 10, "it does not pile up");
    }

    #[test]
    fn a_budget_of_nothing_is_nothing() {
        let it = Budget::small();
        assert!(!it.pay(Weight::NONE, 1_000, 1_000));
    }

    proptest! {
        /// Whatever happens, no more is asked twice than the share, the floor and what it began with.
        #[test]
        fn it_is_never_overdrawn(steps in prop::collection::vec((0u64..50, 0u64..500), 1..500), points in 1u32..=10_000) {
            let it = Budget::small();
            let (mut requests, mut now_ms, mut paid) = (0, 0, 0);
            for (more, wait_ms) in steps {
                requests += more;
                now_ms += wait_ms;
                paid += u64::from(it.pay(share(points), requests, now_ms));
            }
            prop_assert!(paid * PRICE <= requests * u64::from(points) + FLOOR_MAX + now_ms * (PRICE / 1000));
        }
    }
}
