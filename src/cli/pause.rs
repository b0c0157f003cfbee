//! `tidegate pause`: stop a release from moving on.

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use crate::admin::wire::CommandAsk;

use super::arguments::Global;
use super::command::MeantFor;
use super::terminal::Terminal;
use super::{Outcome, command, live};

/// Arguments of `pause`.
#[derive(Args, Clone, Debug)]
pub struct PauseArgs {
    /// The service
    #[arg(add = ArgValueCandidates::new(live::services))]
    pub service: String,
    /// Go on by itself after this time: 30m [default: when somebody resumes it]
    #[arg(long = "for", value_name = "TIME")]
    pub lasts: Option<String>,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// What it was decided on.
    #[command(flatten)]
    pub meant: MeantFor,
}

/// Pauses a release. Guards stay armed.
pub fn pause(global: &Global, args: &PauseArgs, terminal: &mut Terminal) -> Outcome {
    let ask = CommandAsk {
        lasts: args.lasts.clone(),
        reason: args.reason.clone(),
        step: args.meant.step,
        ..CommandAsk::default()
    };
    command::send(global, &args.service, "pause", &ask, terminal)
}
