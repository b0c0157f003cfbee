//! `tidegate completions`: for shells.
//!
//! What is printed is a small script that calls this program again, with [`ASKED_BY`] set, whenever somebody
//! presses tab: so verbs and flags are never out of date, and services and versions are those of now
//! ([`super::live`]).

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

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

/// A shell that can be completed in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Shell {
    /// Bash.
    Bash,
    /// Z shell.
    Zsh,
    /// Fish.
    Fish,
}

/// Prints a script that a shell reads: `source <(tidegate completions bash)`.
pub fn completions(args: &CompletionsArgs, terminal: &mut Terminal) -> Outcome {
    let shell: &dyn EnvCompleter = match args.shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    let mut script = Vec::new();
    shell.write_registration(ASKED_BY, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
    terminal.print(&String::from_utf8_lossy(&script))?;
    Ok(exit::DONE)
}

/// Whether a shell was asking what could come next, and has been told.
pub fn answered() -> bool {
    let asked = CompleteEnv::with_factory(Arguments::command).var(ASKED_BY);
    let directory = std::env::current_dir().ok();
    // Whatever is wrong, a message in the middle of somebody's line would make it worse.
    asked.try_complete(std::env::args_os(), directory.as_deref()).unwrap_or(true)
}

/// Set by the script, to the name of the shell.
const ASKED_BY: &str = "TIDEGATE_COMPLETE";
const PROGRAM: &str = "tidegate";
