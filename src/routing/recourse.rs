//! What a service does about answers that did not come: where requests may be tried again, which of them
//! the stable version answers for one on trial, and how much of that there may be.
//!
//! Only what the file says. Who decides about one request: [`crate::proxy`].

use crate::model::Weight;

/// When a request is tried again within its version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retry {
    /// How many times at most; 0 is never.
    pub attempts: u32,
    /// Most further tries, as a share of the version's requests.
    pub budget: Weight,
    /// What they are for.
    pub on: RetryOn,
    /// Largest request body that is kept for another try, in bytes.
    pub body: usize,
}

impl Retry {
    /// Largest body that can be kept.
    pub const BODY_MAX: usize = 64 * 1024;
}

impl Default for Retry {
    fn default() -> Self {
        let on = RetryOn::of(&[
            RetryReason::Connect,
            RetryReason::Reset,
            RetryReason::BadGateway,
            RetryReason::Unavailable,
            RetryReason::GatewayTimeout,
        ]);
        Self { attempts: 1, budget: a_fifth(), on, body: Self::BODY_MAX }
    }
}

/// What a further try can be for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RetryReason {
    /// No connection could be made.
    Connect,
    /// The connection ended before the head of the answer.
    Reset,
    /// There was no answer in time.
    Timeout,
    /// The answer is a 502.
    BadGateway,
    /// The answer is a 503.
    Unavailable,
    /// The answer is a 504.
    GatewayTimeout,
}

impl RetryReason {
    /// The reason that an answer with this status is.
    pub fn of_status(status: u16) -> Option<Self> {
        match status {
            502 => Some(Self::BadGateway),
            503 => Some(Self::Unavailable),
            504 => Some(Self::GatewayTimeout),
            _ => None,
        }
    }
}

/// A set of reasons.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RetryOn(u8);

impl RetryOn {
    /// These reasons.
    pub fn of(reasons: &[RetryReason]) -> Self {
        Self(reasons.iter().fold(0, |bits, it| bits | 1 << *it as u8))
    }

    /// Whether it is one of them.
    pub fn has(self, reason: RetryReason) -> bool {
        self.0 & 1 << reason as u8 != 0
    }

    /// Whether an answer with this status is one of them.
    pub fn has_status(self, status: u16) -> bool {
        RetryReason::of_status(status).is_some_and(|it| self.has(it))
    }
}

/// Which failures of a version on trial its users do not see, because the stable version answers instead.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shield {
    /// The requests it is for.
    pub covers: Covers,
    /// Most requests that are answered twice, as a share of those of the version on trial.
    pub budget: Weight,
}

/// The requests that are answered by another version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Covers {
    /// None.
    Nothing,
    /// Those that change nothing: `GET`, `HEAD` and `OPTIONS`.
    Safe,
    /// Those that may be done twice, with a body that is still at hand.
    Idempotent,
}

impl Default for Shield {
    fn default() -> Self {
        Self { covers: Covers::Safe, budget: a_fifth() }
    }
}

/// The usual budget.
fn a_fifth() -> Weight {
    Weight::from_basis_points(2_000).expect("20 % is a share")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_it_was_made_of() {
        let on = Retry::default().on;
        let has = |status| on.has_status(status);
        assert_eq!([500, 501, 502, 503, 504, 505].map(has), [false, false, true, true, true, false]);
        assert!(on.has(RetryReason::Connect) && on.has(RetryReason::Reset) && !on.has(RetryReason::Timeout));
        assert!(!RetryOn::of(&[RetryReason::Timeout]).has_status(504), "somebody else's timeout");
        assert_eq!(Retry::default().budget.basis_points(), 2_000);
    }
}
