//! `tidegate upgrade`: the running server hands over to a new process, without a gap.

use crate::admin::wire::{NothingAsk, UpgradeReply};

use super::arguments::Global;
use super::client::{Client, block_on};
use super::terminal::Terminal;
use super::{Outcome, exit};

/// Has the server start its program again and hand over; prints the number of the new process.
pub fn upgrade(global: &Global, terminal: &mut Terminal) -> Outcome {
    block_on(async {
        let client = Client::find(global, terminal).await?;
        let text = client.post("/api/v1/upgrade", &NothingAsk {}).await?;
        if terminal.json {
            terminal.print_line(&text)?;
            return Ok(exit::DONE);
        }
        let done: UpgradeReply = client.parse(&text)?;
        terminal.print_line(&format!("process {} has taken over", done.process))?;
        terminal.next(&["tidegate status".into()]);
        Ok(exit::DONE)
    })
}
