//! `tidegate promote`: yes to a gate, to the next step now, or to 100 %.

use std::io::BufRead;

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use crate::admin::wire::CommandAsk;

use super::arguments::Global;
use super::terminal::Terminal;
use super::{Failure, Outcome, command, exit, live};

/// Arguments of `promote`.
#[derive(Args, Clone, Debug)]
pub struct PromoteArgs {
    /// The service
    #[arg(add = ArgValueCandidates::new(live::services))]
    pub service: String,
    /// Straight to 100 %, or out of the watch; asks for the name of the service unless --yes
    #[arg(long)]
    pub full: bool,
    /// To this share, past the steps below it: 50%
    #[arg(long, value_name = "SHARE", conflicts_with = "full")]
    pub to: Option<String>,
    /// Past a freeze, a closed window, checks or a quarantine; wants --reason
    #[arg(long = "override", requires = "reason")]
    pub insist: bool,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Moves a release on.
pub fn promote(global: &Global, args: &PromoteArgs, terminal: &mut Terminal) -> Outcome {
    if args.full && !global.yes {
        confirm(&args.service, terminal)?;
    }
    let ask = CommandAsk {
        full: args.full.then_some(true),
        to: args.to.clone(),
        insist: args.insist.then_some(true),
        reason: args.reason.clone(),
        ..CommandAsk::default()
    };
    command::send(global, &args.service, "promote", &ask, terminal)
}

/// All traffic at once, without the evidence of the steps between: worth typing a name.
fn confirm(service: &str, terminal: &mut Terminal) -> Result<(), Failure> {
    if !terminal.can_ask {
        let failure = Failure::new(exit::USAGE, "`--full` gives the new version all traffic at once");
        return Err(failure.hint("add --yes if that is meant"));
    }
    terminal.ask(&format!("This gives the new version all traffic at once. Type `{service}` to go on: "));
    let mut typed = String::new();
    std::io::stdin().lock().read_line(&mut typed)?;
    if typed.trim() == service {
        Ok(())
    } else {
        Err(Failure::new(exit::FAILED, "not confirmed; nothing has changed"))
    }
}
