//! `tidegate export`: the YAML of what runs now.

use clap::Args;

use crate::admin::wire::ConfigState;
use crate::app::Disk;
use crate::config;

use super::arguments::Global;
use super::check::no_file;
use super::client::{Client, block_on};
use super::terminal::Terminal;
use super::{Failure, Outcome, exit, locate};

/// Arguments of `export`.
#[derive(Args, Clone, Debug)]
pub struct ExportArgs {
    /// With the defaults of what the file leaves out, and with what people did since
    #[arg(long)]
    pub effective: bool,
    /// The file and what it includes as one, without asking the server that runs it
    #[arg(long, conflicts_with = "server")]
    pub offline: bool,
}

/// Prints one file that says what serves. Secrets in it are redacted.
pub fn export(global: &Global, args: &ExportArgs, terminal: &mut Terminal) -> Outcome {
    let state = if args.offline { of_file(global, args)? } else { of_server(global, args, terminal)? };
    if terminal.json {
        terminal.print_line(&serde_json::to_string(&state).expect("wire types have string keys"))?;
        return Ok(exit::DONE);
    }
    let Some(yaml) = &state.yaml else {
        return Err(Failure::new(exit::FAILED, "the server serves no configuration yet"));
    };
    terminal.print(yaml)?;
    terminal.next(&["tidegate diff".into()]);
    Ok(exit::DONE)
}

fn of_server(global: &Global, args: &ExportArgs, terminal: &mut Terminal) -> Result<ConfigState, Failure> {
    let query = if args.effective { "?effective=true" } else { "" };
    block_on(async {
        let client = Client::find(global, terminal).await?;
        client.get(&format!("/api/v1/config{query}")).await
    })
}

fn of_file(global: &Global, args: &ExportArgs) -> Result<ConfigState, Failure> {
    let file = locate::config_file(global).ok_or_else(no_file)?;
    let Some(config) = config::load(&file, &Disk).config else {
        let failure = Failure::new(exit::CONFIG, format!("`{}` is invalid", file.display()));
        return Err(failure.hint(format!("look at it: tidegate check {}", file.display())));
    };
    let written = config.written.redacted();
    let written = if args.effective { written.effective(&[]) } else { written };
    Ok(ConfigState {
        generation: 0,
        source: file.display().to_string(),
        refused: None,
        yaml: Some(written.yaml()),
    })
}
