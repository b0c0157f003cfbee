//! `tidegate explain`: the long text of an error code.

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use crate::config::{self, Code, closest};

use super::terminal::Terminal;
use super::{Failure, Outcome, exit, live};

/// Arguments of `explain`.
#[derive(Args, Clone, Debug)]
pub struct ExplainArgs {
    /// The code, such as TG0203
    #[arg(add = ArgValueCandidates::new(live::codes))]
    pub code: String,
}

/// Prints what a rule checks and why.
pub fn explain(args: &ExplainArgs, terminal: &mut Terminal) -> Outcome {
    if let Some(text) = config::explain(&args.code) {
        terminal.print(text)?;
        return Ok(exit::DONE);
    }
    let failure = Failure::new(exit::USAGE, format!("there is no error code `{}`", args.code));
    Err(match closest(&args.code, Code::ALL.iter().map(|it| it.as_str())) {
        Some(similar) => failure.hint(format!("did you mean `{similar}`?")),
        None => failure.hint("codes are printed by `tidegate check`: error[TG0203]"),
    })
}
