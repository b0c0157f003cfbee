//! `tidegate run`: the server, in the foreground.

use clap::Args;

use super::arguments::Global;
use super::terminal::Terminal;
use super::{Failure, Outcome, exit};

/// Arguments of `run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Do not watch the files; reload only on SIGHUP and `tidegate reload`
    #[arg(long)]
    pub no_watch: bool,
}

/// Serves until it is told to stop.
pub fn run(_global: &Global, _args: &RunArgs, _terminal: &mut Terminal) -> Outcome {
    Err(Failure::new(exit::FAILED, "the parts of the server are not joined in this build"))
}
