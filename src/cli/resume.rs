//! `tidegate resume`: let a paused release move on.

use clap::Args;

use crate::admin::wire::CommandAsk;

use super::arguments::Global;
use super::terminal::Terminal;
use super::{Outcome, command};

/// Arguments of `resume`.
#[derive(Args, Clone, Debug)]
pub struct ResumeArgs {
    /// The service
    pub service: String,
}

/// Resumes a release.
pub fn resume(global: &Global, args: &ResumeArgs, terminal: &mut Terminal) -> Outcome {
    command::send(global, &args.service, "resume", &CommandAsk::default(), terminal)
}
