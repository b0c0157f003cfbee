//! What the verbs that change a release have in common.

use crate::admin::wire::{CommandAsk, CommandDone};
use crate::model::ServiceName;

use super::arguments::Global;
use super::client::{Client, block_on};
use super::terminal::Terminal;
use super::{Failure, Outcome, exit, tree};

/// The part of a path that names a service. The name is checked here, so that nothing else can come
/// into the path.
pub fn service_path(service: &str) -> Result<String, Failure> {
    match service.parse::<ServiceName>() {
        Ok(name) => Ok(format!("/api/v1/services/{name}")),
        Err(error) => Err(Failure::new(exit::USAGE, format!("`{service}` is no name of a service: {error}"))),
    }
}

/// Sends a command and says what is so now.
pub fn send(
    global: &Global,
    service: &str,
    verb: &str,
    ask: &CommandAsk,
    terminal: &mut Terminal,
) -> Outcome {
    let path = format!("{}/{verb}", service_path(service)?);
    block_on(async {
        let client = Client::find(global, terminal).await?;
        let text = client.post(&path, ask).await?;
        if terminal.json {
            terminal.print_line(&text)?;
            return Ok(exit::DONE);
        }
        let done: CommandDone = client.parse(&text)?;
        terminal.print_line(&format!("{service}: {}", done.text))?;
        if !done.durable {
            terminal.complain("warning", "the disk does not take records; a restart would not know of this");
        }
        if let Some(service) = &done.service {
            terminal.next(&tree::next_commands(service));
        }
        Ok(exit::DONE)
    })
}
