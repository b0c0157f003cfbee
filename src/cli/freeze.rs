//! `tidegate freeze` and `unfreeze`: nothing advances anywhere; rollbacks do.

use clap::Args;

use crate::admin::wire::{CommandDone, FreezeAsk, NothingAsk};

use super::arguments::Global;
use super::client::{Client, block_on};
use super::terminal::Terminal;
use super::{Outcome, exit, printable};

/// Arguments of `freeze`.
#[derive(Args, Clone, Debug)]
pub struct FreezeArgs {
    /// Ends by itself at this moment: 2026-01-31T18:00:00Z [default: with `unfreeze`]
    #[arg(long, value_name = "MOMENT", conflicts_with = "lasts")]
    pub until: Option<String>,
    /// Ends by itself after this time: 2h
    #[arg(long = "for", value_name = "TIME")]
    pub lasts: Option<String>,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Freezes all releases. Guards stay armed, and a rollback is always possible.
pub fn freeze(global: &Global, args: &FreezeArgs, terminal: &mut Terminal) -> Outcome {
    let FreezeArgs { until, lasts, reason } = args.clone();
    let ask = FreezeAsk { until, lasts, reason };
    send(global, "/api/v1/freeze", &ask, &["tidegate status", "tidegate unfreeze"], terminal)
}

/// Lets releases go on.
pub fn unfreeze(global: &Global, terminal: &mut Terminal) -> Outcome {
    send(global, "/api/v1/unfreeze", &NothingAsk {}, &["tidegate status"], terminal)
}

fn send(
    global: &Global,
    path: &str,
    ask: &impl serde::Serialize,
    next: &[&str],
    terminal: &mut Terminal,
) -> Outcome {
    block_on(async {
        let client = Client::find(global, terminal).await?;
        let text = client.post(path, ask).await?;
        if terminal.json {
            terminal.print_line(&text)?;
            return Ok(exit::DONE);
        }
        let done: CommandDone = client.parse(&text)?;
        terminal.print_line(&printable::line(&done.text))?;
        if !done.durable {
            terminal.complain("warning", "the disk does not take records; a restart would not know of this");
        }
        terminal.next(&next.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
        Ok(exit::DONE)
    })
}
