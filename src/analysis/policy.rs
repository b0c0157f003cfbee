//! What an operator asked the guards to hold.

/// The guards of one service.
#[derive(Clone, Debug, PartialEq)]
pub struct GuardPolicy {
    /// Error-rate guard; `None` when guards are switched off by name.
    pub errors: Option<ErrorGuard>,
    /// Chance that a healthy release is rolled back, over the whole release (α).
    pub false_rollback: f64,
}

/// The promise on the error rate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ErrorGuard {
    /// Ceiling as a share from 0 to 1; acts while stable has traffic only if stable is better.
    pub ceiling: Option<f64>,
    /// How much worse than stable still counts as fine.
    pub tolerance: Tolerance,
}

/// The larger of an absolute and a relative difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// As a share: 0.001 is 0.1 percentage points.
    pub absolute: f64,
    /// As a share of stable's rate: 0.10 is a tenth of it.
    pub relative: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { absolute: 0.001, relative: 0.10 }
    }
}

impl Default for GuardPolicy {
    fn default() -> Self {
        Self { errors: Some(ErrorGuard::default()), false_rollback: 1e-4 }
    }
}
