//! `tidegate reload`: check the files of the running server, then swap them in.

use clap::Args;

use crate::admin::wire::{NothingAsk, ReloadReply};

use super::arguments::Global;
use super::client::{Client, block_on};
use super::terminal::Terminal;
use super::{Outcome, exit};

/// Arguments of `reload`.
#[derive(Args, Clone, Debug)]
pub struct ReloadArgs {
    /// Wait until the new configuration serves; the answer always comes only then
    #[arg(long)]
    pub wait: bool,
}

/// Reloads and prints the generation that serves.
pub fn reload(global: &Global, _args: &ReloadArgs, terminal: &mut Terminal) -> Outcome {
    block_on(async {
        let client = Client::find(global, terminal).await?;
        let text = client.post("/api/v1/config/reload", &NothingAsk {}).await?;
        if terminal.json {
            terminal.print_line(&text)?;
            return Ok(exit::DONE);
        }
        let done: ReloadReply = client.parse(&text)?;
        let what = if done.changed { "serves now" } else { "keeps serving: nothing has changed" };
        terminal.print_line(&format!("generation {} {what}", done.generation))?;
        terminal.next(&["tidegate status".into()]);
        Ok(exit::DONE)
    })
}
