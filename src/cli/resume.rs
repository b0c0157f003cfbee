//! `tidegate resume`: let a paused release move on.

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use crate::admin::wire::CommandAsk;

use super::arguments::Global;
use super::terminal::Terminal;
use super::{Outcome, command, live};

/// Arguments of `resume`.
#[derive(Args, Clone, Debug)]
pub struct ResumeArgs {
    /// The service
    #[arg(add = ArgValueCandidates::new(live::services))]
    pub service: String,
}

/// Resumes a release.
pub fn resume(global: &Global, args: &ResumeArgs, terminal: &mut Terminal) -> Outcome {
    command::send(global, &args.service, "resume", &CommandAsk::default(), terminal)
}
