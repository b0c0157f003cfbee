//! `tidegate resume`: let a paused release move on.

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use crate::admin::wire::CommandAsk;

use super::arguments::Global;
use super::command::MeantFor;
use super::terminal::Terminal;
use super::{Outcome, command, live};

/// Arguments of `resume`.
#[derive(Args, Clone, Debug)]
pub struct ResumeArgs {
    /// The service
    #[arg(add = ArgValueCandidates::new(live::services))]
    pub service: String,
    /// What it was decided on.
    #[command(flatten)]
    pub meant: MeantFor,
}

/// Resumes a release.
pub fn resume(global: &Global, args: &ResumeArgs, terminal: &mut Terminal) -> Outcome {
    let ask = CommandAsk { step: args.meant.step, ..CommandAsk::default() };
    command::send(global, &args.service, "resume", &ask, terminal)
}
