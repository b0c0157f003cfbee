//! `tidegate rollback`: back to the stable version at once.

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use crate::admin::wire::CommandAsk;

use super::arguments::Global;
use super::command::MeantFor;
use super::terminal::Terminal;
use super::{Outcome, command, live};

/// Arguments of `rollback`.
#[derive(Args, Clone, Debug)]
pub struct RollbackArgs {
    /// The service
    #[arg(add = ArgValueCandidates::new(live::services))]
    pub service: String,
    /// The version to return to, if it matters which
    #[arg(long, value_name = "VERSION", add = ArgValueCandidates::new(live::versions))]
    pub to: Option<String>,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// What it was decided on.
    #[command(flatten)]
    pub meant: MeantFor,
}

/// Rolls back. Never asks: going back must be the cheapest thing to do.
pub fn roll_back(global: &Global, args: &RollbackArgs, terminal: &mut Terminal) -> Outcome {
    let ask = CommandAsk {
        to: args.to.clone(),
        reason: args.reason.clone(),
        step: args.meant.step,
        ..CommandAsk::default()
    };
    command::send(global, &args.service, "rollback", &ask, terminal)
}
