//! How a verdict is reached: sequential tests on plain counts, valid however often one looks.
//!
//! The one to call is [`Judge`]: all evidence of one release. Behind it stand a [`Comparison`] of the
//! canary with stable, a [`Ceiling`] on one lane, and a [`Breaker`]; latency is judged by the same two
//! tests, with "slower than" for "failed". A test is a fortune that a gambler
//! makes by betting against "the canary is fine"; if it is fine, the fortune hardly ever grows
//! twenty-thousandfold, however long the game and however often one looks.
//!
//! Pure: counts in, verdict out; elapsed time is an argument.

mod bet;
mod breaker;
mod ceiling;
mod clusters;
mod comparison;
mod evidence;
#[cfg(test)]
mod golden;
mod history;
mod interval;
mod judge;
mod mixture;
mod numerics;
mod planner;
mod policy;
mod proof;
mod saved;
mod shown;
mod slowness;
mod verdict;

pub use bet::{Bet, Block};
pub use breaker::Breaker;
pub use ceiling::{Ceiling, Side};
pub use clusters::{Clustering, Clusters, client_spread, design_effect};
pub use comparison::{Aim, Comparison, Stakes};
pub use evidence::{Evidence, Guard, GuardEvidence, LaneEvidence};
pub use history::History;
pub use interval::Interval;
pub use judge::{Judge, StepEvidence};
pub use planner::{responses_until_found, smallest_found};
pub use policy::{ErrorGuard, GuardPolicy, LatencyGuard, Pass, Quantile, Slack, Tolerance};
pub use saved::{RestoreError, Saved};
pub use verdict::{Breach, Doubt, Verdict};
