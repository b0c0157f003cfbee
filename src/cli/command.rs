//! What the verbs that change a release have in common.

use clap::Args;

use crate::admin::wire::{CommandAsk, CommandDone, ServiceWire};
use crate::config::closest;
use crate::model::ServiceName;

use super::arguments::Global;
use super::client::{Client, block_on};
use super::terminal::Terminal;
use super::{Failure, Outcome, exit, printable, tree};

/// What a command was decided on.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct MeantFor {
    /// Only if nobody has acted since `status` showed this mark; else exit code 5
    #[arg(long, value_name = "MARK")]
    pub step: Option<u64>,
}

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
        let text = match client.post(&path, ask).await {
            Ok(it) => it,
            Err(failure) => return Err(with_version(failure, &client, service, ask).await),
        };
        if terminal.json {
            terminal.print_line(&text)?;
            return Ok(exit::DONE);
        }
        let done: CommandDone = client.parse(&text)?;
        terminal.print_line(&format!("{service}: {}", printable::line(&done.text)))?;
        warn_unless_durable(&done, terminal);
        if let Some(service) = &done.service {
            terminal.next(&tree::next_commands(service));
        }
        Ok(exit::DONE)
    })
}

/// Says so if a restart would not know of what was done.
pub fn warn_unless_durable(done: &CommandDone, terminal: &mut Terminal) {
    if !done.durable {
        terminal.complain("warning", "the disk does not take records; a restart would not know of this");
    }
}

/// If a version was named that the service does not have, that is the reason, and perhaps a similar one was
/// meant.
async fn with_version(failure: Failure, client: &Client, service: &str, ask: &CommandAsk) -> Failure {
    // `to` of a promotion is a share.
    let named = ask.version.as_ref().or(ask.to.as_ref().filter(|it| !it.ends_with('%')));
    let named = named.filter(|_| ask.endpoints.is_none());
    let (Some(named), None, exit::FAILED) = (named, &failure.hint, failure.code) else { return failure };
    let Ok(path) = service_path(service) else { return failure };
    let Ok(found) = client.get::<ServiceWire>(&path).await else { return failure };
    let versions = || found.lanes.iter().map(|it| it.version.as_str());
    if versions().any(|it| it == named) {
        return failure;
    }
    let failure = Failure::new(failure.code, format!("{service} has no version `{named}`"));
    match closest(named, versions()) {
        Some(similar) => failure.hint(format!("did you mean `{similar}`?")),
        None => failure.hint(format!("there are: {}", versions().collect::<Vec<_>>().join(", "))),
    }
}
