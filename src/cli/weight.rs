//! `tidegate weight`: a share by hand.

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use crate::admin::wire::CommandAsk;

use super::arguments::Global;
use super::command::MeantFor;
use super::terminal::Terminal;
use super::{Failure, Outcome, command, exit, live};

/// Arguments of `weight`.
#[derive(Args, Clone, Debug)]
pub struct WeightArgs {
    /// The service
    #[arg(add = ArgValueCandidates::new(live::services))]
    pub service: String,
    /// The version that is being released, and its share: v42=10%
    #[arg(value_name = "VERSION=SHARE", add = ArgValueCandidates::new(live::shares))]
    pub share: String,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// What it was decided on.
    #[command(flatten)]
    pub meant: MeantFor,
}

/// Gives the version that is being released a share. It stays there until `resume`; guards stay armed.
pub fn weight(global: &Global, args: &WeightArgs, terminal: &mut Terminal) -> Outcome {
    let Some((version, weight)) = args.share.split_once('=') else {
        let failure = Failure::new(exit::USAGE, format!("`{}` is no version and share", args.share));
        return Err(failure.hint("for example v42=10%"));
    };
    let ask = CommandAsk {
        version: Some(version.to_owned()),
        weight: Some(weight.to_owned()),
        reason: args.reason.clone(),
        step: args.meant.step,
        ..CommandAsk::default()
    };
    command::send(global, &args.service, "weight", &ask, terminal)
}
