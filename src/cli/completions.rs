//! `tidegate completions`: for shells.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::arguments::Arguments;
use super::terminal::Terminal;
use super::{Outcome, exit};

/// Arguments of `completions`.
#[derive(Args, Clone, Debug)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints a script that a shell reads: `source <(tidegate completions bash)`.
pub fn completions(args: &CompletionsArgs, terminal: &mut Terminal) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Arguments::command(), "tidegate", &mut script);
    terminal.print(&String::from_utf8_lossy(&script))?;
    Ok(exit::DONE)
}
