//! `tidegate demo`: three releases in one process, with measured numbers.

use clap::Args;

use super::arguments::Global;
use super::terminal::Terminal;
use super::{Failure, Outcome, exit};

/// Arguments of `demo`.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Play it seeded, check the outcomes, print one line of JSON; the exit code is 0 or 1
    #[arg(long)]
    pub ci: bool,
    /// How long it may take
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,
    /// Stay up afterwards
    #[arg(long, conflicts_with = "ci")]
    pub keep: bool,
    /// Where chance begins
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
}

/// Plays the demonstration.
pub fn play(_global: &Global, _args: &DemoArgs, _terminal: &mut Terminal) -> Outcome {
    Err(Failure::new(exit::FAILED, "the parts of the server are not joined in this build"))
}
