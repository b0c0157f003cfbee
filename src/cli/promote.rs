//! `tidegate promote`: yes to a gate, to the next step now, or to 100 %.

use std::io::BufRead;

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use crate::admin::wire::{CommandAsk, ServiceWire};

use super::arguments::Global;
use super::client::{Client, block_on};
use super::command::MeantFor;
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
    /// What it was decided on.
    #[command(flatten)]
    pub meant: MeantFor,
}

/// Moves a release on.
pub fn promote(global: &Global, args: &PromoteArgs, terminal: &mut Terminal) -> Outcome {
    promote_asking(global, args, terminal, &mut std::io::stdin().lock())
}

/// The same, with the person whose answers these are.
pub(super) fn promote_asking(
    global: &Global,
    args: &PromoteArgs,
    terminal: &mut Terminal,
    answers: &mut dyn BufRead,
) -> Outcome {
    let mut step = args.meant.step;
    if args.full && !global.yes {
        // Whoever says yes means what was shown: what is decided while the question stands makes it another one.
        let shown = confirm(global, &args.service, terminal, answers)?;
        step = step.or(Some(shown));
    }
    let ask = CommandAsk {
        full: args.full.then_some(true),
        to: args.to.clone(),
        insist: args.insist.then_some(true),
        reason: args.reason.clone(),
        step,
        ..CommandAsk::default()
    };
    command::send(global, &args.service, "promote", &ask, terminal)
}

/// All traffic at once, without the evidence of the steps between: worth typing a name. The mark of what was
/// shown.
fn confirm(
    global: &Global,
    service: &str,
    terminal: &mut Terminal,
    answers: &mut dyn BufRead,
) -> Result<u64, Failure> {
    if !terminal.can_ask {
        let failure = Failure::new(exit::USAGE, "`--full` gives the new version all traffic at once");
        return Err(failure.hint("add --yes if that is meant"));
    }
    let path = command::service_path(service)?;
    let shown: ServiceWire = block_on(async { Client::find(global, terminal).await?.get(&path).await })?;
    terminal.ask(&format!(
        "{service}: {} · {}\nThis gives the new version all traffic at once. Type `{service}` to go on: ",
        shown.state, shown.why
    ));
    let mut typed = String::new();
    answers.read_line(&mut typed)?;
    if typed.trim() == service {
        Ok(shown.mark)
    } else {
        Err(Failure::new(exit::FAILED, "not confirmed; nothing has changed"))
    }
}
