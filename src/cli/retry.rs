//! `tidegate retry`: lift a quarantine.

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use crate::admin::wire::CommandAsk;

use super::arguments::Global;
use super::command::MeantFor;
use super::terminal::Terminal;
use super::{Outcome, command, live};

/// Arguments of `retry`.
#[derive(Args, Clone, Debug)]
pub struct RetryArgs {
    /// The service
    #[arg(add = ArgValueCandidates::new(live::services))]
    pub service: String,
    /// What it was decided on.
    #[command(flatten)]
    pub meant: MeantFor,
}

/// Lets the version that the file wants be tried again.
pub fn retry(global: &Global, args: &RetryArgs, terminal: &mut Terminal) -> Outcome {
    let ask = CommandAsk { step: args.meant.step, ..CommandAsk::default() };
    command::send(global, &args.service, "retry", &ask, terminal)
}
