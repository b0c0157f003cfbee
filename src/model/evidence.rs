//! The evidence behind a decision, for people: rounded, and enough to agree or to object.

use super::Tally;

/// What was known of both lanes when something was decided.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EvidenceLine {
    /// The canary's judged responses since the release began.
    pub canary: Tally,
    /// Stable's, over the same time.
    pub stable: Tally,
    /// Canary's error rate less stable's, as a share.
    pub difference: Option<f64>,
    /// Where the true difference lies: from here …
    pub low: Option<f64>,
    /// … to here.
    pub high: Option<f64>,
    /// The largest difference (or, alone at 100 %, error rate) that still counts as fine.
    pub limit: Option<f64>,
}
