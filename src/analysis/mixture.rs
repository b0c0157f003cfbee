//! A mixture of bets, over the size of the difference and over when it began.
//!
//! Total mass is one: a part is there from the start, the rest is let in as time goes by, so that a
//! change in the tenth minute does not have to pay for nine healthy ones. Mixture plus unspent mass is a
//! nonnegative supermartingale from one, so it ever exceeds `1/α` with chance at most `α`.

use super::numerics::{log_add_exp, log_sum_exp};

/// Logarithms of what each bet holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mixture {
    pub(super) log_weights: Vec<f64>,
}

impl Mixture {
    /// `mass` spread evenly over `bets`.
    pub(super) fn new(bets: usize, mass: f64) -> Self {
        Self { log_weights: vec![(mass / bets as f64).ln(); bets] }
    }

    /// Lets in `e^log_mass` for each bet.
    pub(super) fn inject(&mut self, log_mass: f64) {
        for it in &mut self.log_weights {
            *it = log_add_exp(*it, log_mass);
        }
    }

    /// Multiplies each bet by its factor.
    pub(super) fn add(&mut self, log_factors: impl IntoIterator<Item = f64>) {
        for (it, factor) in self.log_weights.iter_mut().zip(log_factors) {
            *it += factor;
        }
    }

    /// Logarithm of the whole mixture.
    pub(super) fn log_w(&self) -> f64 {
        log_sum_exp(&self.log_weights)
    }
}

/// How the mass of a mixture is let in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Purse {
    /// All that may ever be spent; one, or what was left when the evidence was lost.
    total: f64,
    /// Share of the total that has been let in after the start.
    released: f64,
}

impl Purse {
    /// A purse with `total` to spend, of which [`Purse::start`] is spent at once.
    pub(super) fn new(total: f64) -> Self {
        Self { total, released: 0.0 }
    }

    /// What a mixture starts with.
    pub(super) fn start(&self) -> f64 {
        self.total * START_MASS
    }

    /// The mass that becomes due for each of `bets` at `elapsed` seconds, as a logarithm.
    pub(super) fn due(&mut self, elapsed: f64, bets: usize) -> Option<f64> {
        let released = (1.0 - START_MASS) * elapsed / (elapsed + HORIZON_S);
        let due = released - self.released;
        (due > 0.0).then(|| {
            self.released = released;
            (self.total * due / bets as f64).ln()
        })
    }

    /// What is still unspent after `elapsed` seconds.
    pub(super) fn unspent(elapsed: f64) -> f64 {
        (1.0 - START_MASS) * HORIZON_S / (elapsed + HORIZON_S)
    }

    pub(super) fn as_numbers(&self) -> [f64; 2] {
        [self.total, self.released]
    }

    pub(super) fn from_numbers([total, released]: [f64; 2]) -> Self {
        Self { total, released }
    }
}

/// Differences that are bet on, as a share of the way from the boundary to "everything fails": doubling
/// from a tenth of a percentage point, and one for a canary that is dead.
pub(super) const SIZES: [f64; 11] =
    [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 0.95];

/// Half bets on "broken from the first request".
const START_MASS: f64 = 0.5;

/// Seconds after which half of the rest has been let in.
const HORIZON_S: f64 = 3_600.0;
