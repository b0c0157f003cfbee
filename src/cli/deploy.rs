//! `tidegate deploy`: add a version at run time and release it.

use std::time::Duration;

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use crate::admin::wire::{CommandAsk, CommandDone};

use super::arguments::Global;
use super::client::{Client, block_on};
use super::terminal::Terminal;
use super::text::parse_span;
use super::{Failure, Outcome, command, exit, live, printable, wait};

/// Arguments of `deploy`.
#[derive(Args, Clone, Debug)]
pub struct DeployArgs {
    /// The service
    #[arg(add = ArgValueCandidates::new(live::services))]
    pub service: String,
    /// The new version and where it can be reached: v42=http://10.0.2.10:3000,http://10.0.2.11:3000
    #[arg(value_name = "VERSION=URL[,URL]")]
    pub version: String,
    /// Block until the release has ended; the exit code says how
    #[arg(long)]
    pub wait: bool,
    /// Longest time to wait, such as 30m [default: for ever]
    #[arg(long, value_name = "DURATION", value_parser = parse_span, requires = "wait")]
    pub timeout: Option<Duration>,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Adds the version and starts its release, by the plan of the service.
pub fn deploy(global: &Global, args: &DeployArgs, terminal: &mut Terminal) -> Outcome {
    let Some((version, urls)) = args.version.split_once('=').filter(|it| !it.1.is_empty()) else {
        let failure = Failure::new(exit::USAGE, format!("`{}` is no version and URL", args.version));
        return Err(failure.hint("for example v42=http://10.0.2.10:3000"));
    };
    let ask = CommandAsk {
        version: Some(version.to_owned()),
        endpoints: Some(urls.split(',').map(str::to_owned).collect()),
        reason: args.reason.clone(),
        ..CommandAsk::default()
    };
    if !args.wait {
        return command::send(global, &args.service, "deploy", &ask, terminal);
    }
    let path = format!("{}/deploy", command::service_path(&args.service)?);
    block_on(async {
        let client = Client::find(global, terminal).await?;
        let done: CommandDone = client.parse(&client.post(&path, &ask).await?)?;
        terminal.note(&format!("{}: {}", args.service, printable::line(&done.text)));
        command::warn_unless_durable(&done, terminal);
        wait::wait_for(&client, Some(&args.service), Some(version), args.timeout, terminal).await
    })
}
