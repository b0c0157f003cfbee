//! One bet against "the canary is no worse", and what a block of counts makes of it.
//!
//! A bet is fixed before the block it is used on. Its factor has mean at most one as long as the canary
//! is no worse than stable by more than the margin, whatever the rates are; so a factor well above one is
//! evidence. A bad guess of the rates costs speed, never validity.

use crate::model::Tally;

/// What both lanes answered in one block.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Block {
    /// The version being tried.
    pub canary: Tally,
    /// The version that has proven itself.
    pub stable: Tally,
}

impl Block {
    /// The block without what one group of clients contributed.
    pub fn without(self, part: Self) -> Self {
        Self { canary: self.canary.since(part.canary), stable: self.stable.since(part.stable) }
    }

    /// Whether both lanes answered at all.
    pub fn compares(self) -> bool {
        self.canary.requests > 0 && self.stable.requests > 0
    }

    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// A stake on the canary's rate, around the least favourable healthy explanation.
///
/// A positive stake gains by canary failures (rollback), a negative one by canary successes (PASS).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bet {
    /// Stable's rate in the healthy explanation closest to the alternative.
    pub theta: f64,
    /// How much worse the canary may be.
    pub margin: f64,
    /// Signed size of the bet.
    pub stake: f64,
    // Logarithms of what one canary failure and one success are worth while the stake is not capped.
    ln_bad: f64,
    ln_good: f64,
}

impl Bet {
    /// The best bet if stable fails at rate `stable` and the canary at `canary`, where the canary gets
    /// `share` of the traffic.
    pub fn on(stable: f64, canary: f64, margin: f64, share: f64) -> Self {
        let theta = project(stable, canary, margin, share);
        let edge = theta + margin;
        Self::of(theta, margin, (canary - edge) / (edge * (1.0 - edge)))
    }

    /// A bet of given numbers, as after a restart.
    pub(super) fn of(theta: f64, margin: f64, stake: f64) -> Self {
        let edge = theta + margin;
        let (ln_bad, ln_good) = ((stake * (1.0 - edge)).ln_1p(), (-stake * edge).ln_1p());
        Self { theta, margin, stake, ln_bad, ln_good }
    }

    /// Logarithm of the factor of one block. A block in which one lane is silent says nothing.
    pub fn log_e(&self, block: Block) -> f64 {
        if !block.compares() {
            return 0.0;
        }
        let ratio = block.canary.requests as f64 / block.stable.requests as f64;
        let cap =
            if self.stake > 0.0 { CAP / (ratio * (1.0 - self.theta)) } else { CAP / (ratio * self.theta) };
        // Uncapped is the common case, and it saves half of the logarithms.
        let (stake, ln_bad, ln_good) = if self.stake.abs() <= cap {
            (self.stake, self.ln_bad, self.ln_good)
        } else {
            let capped = Self::of(self.theta, self.margin, cap.copysign(self.stake));
            (capped.stake, capped.ln_bad, capped.ln_good)
        };
        times(block.canary.bad, || ln_bad)
            + times(good(block.canary), || ln_good)
            + times(block.stable.bad, || (-stake * ratio * (1.0 - self.theta)).ln_1p())
            + times(good(block.stable), || (stake * ratio * self.theta).ln_1p())
    }
}

/// The point on the line "canary = stable + margin" that is closest to the alternative in the sense of
/// Kullback and Leibler: its stable rate.
fn project(stable: f64, canary: f64, margin: f64, share: f64) -> f64 {
    let edge = canary - margin;
    let (mut low, mut high) = if edge > stable { (stable, edge) } else { (edge.max(0.0), stable) };
    for _ in 0..BISECTIONS {
        let theta = (low + high) / 2.0;
        let beside = theta + margin;
        let slope = share * (canary - beside) / (beside * (1.0 - beside))
            + (1.0 - share) * (stable - theta) / (theta * (1.0 - theta));
        if slope > 0.0 {
            low = theta;
        } else {
            high = theta;
        }
    }
    (low + high) / 2.0
}

fn good(tally: Tally) -> u64 {
    tally.requests.saturating_sub(tally.bad)
}

/// `count · value`, where no count makes nothing even of an infinite value.
fn times(count: u64, value: impl FnOnce() -> f64) -> f64 {
    if count == 0 { 0.0 } else { count as f64 * value() }
}

/// Keeps every factor positive: no block, however lopsided, can take all.
const CAP: f64 = 0.999;

/// Halvings of an interval shorter than one: the rest is far below what a bet can tell apart.
const BISECTIONS: u32 = 40;
