//! `tidegate retry`: lift a quarantine.

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use crate::admin::wire::CommandAsk;

use super::arguments::Global;
use super::terminal::Terminal;
use super::{Outcome, command, live};

/// Arguments of `retry`.
#[derive(Args, Clone, Debug)]
pub struct RetryArgs {
    /// The service
    #[arg(add = ArgValueCandidates::new(live::services))]
    pub service: String,
}

/// Lets the version that the file wants be tried again.
pub fn retry(global: &Global, args: &RetryArgs, terminal: &mut Terminal) -> Outcome {
    command::send(global, &args.service, "retry", &CommandAsk::default(), terminal)
}
