//! `tidegate retry`: lift a quarantine.

use clap::Args;

use crate::admin::wire::CommandAsk;

use super::arguments::Global;
use super::terminal::Terminal;
use super::{Outcome, command};

/// Arguments of `retry`.
#[derive(Args, Clone, Debug)]
pub struct RetryArgs {
    /// The service
    pub service: String,
}

/// Lets the version that the file wants be tried again.
pub fn retry(global: &Global, args: &RetryArgs, terminal: &mut Terminal) -> Outcome {
    command::send(global, &args.service, "retry", &CommandAsk::default(), terminal)
}
