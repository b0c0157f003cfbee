//! The command line: what a person types, and what a script reads.
//!
//! One file for each verb. Data goes to standard output, progress and complaints to standard error;
//! `--json` prints what the admin interface answers. Every success ends with the next useful command,
//! every failure with an exit code of [`exit`] and, where there is one, the way out.

pub mod exit;

mod answerer;
mod arguments;
mod check;
mod client;
mod command;
mod completions;
pub mod demo;
mod deploy;
mod diff;
mod events;
mod explain;
mod export;
mod failure;
mod freeze;
mod history;
mod import;
mod init;
mod live;
mod locate;
mod man;
mod notify;
mod pause;
mod printable;
mod printed;
mod promote;
mod reload;
mod replay;
mod resume;
mod retry;
mod rollback;
pub mod run;
mod schema;
mod secure;
mod simulate;
mod status;
mod terminal;
mod text;
mod token;
mod tree;
mod upgrade;
mod version;
mod wait;
mod weight;

use std::process::ExitCode;

use clap::Parser;

pub use arguments::{Arguments, ColorChoice, Global, Verb};
pub use failure::Failure;
pub use terminal::Terminal;

/// What a verb ends with: an exit code, or a failure that says more.
pub type Outcome = Result<u8, Failure>;

/// Reads the arguments of this process, does what they say, and reports.
pub fn main() -> ExitCode {
    // A shell asks what could stand where the cursor is.
    if completions::answered() {
        return ExitCode::SUCCESS;
    }
    // Wrong usage, `--help` and `--version` end here, with clap's own words.
    let arguments = Arguments::parse();
    let mut terminal = Terminal::of_process(&arguments.global);
    let code = perform(&arguments, &mut terminal).unwrap_or_else(|failure| failure.tell(&mut terminal));
    ExitCode::from(code)
}

/// Does what the arguments say.
pub fn perform(arguments: &Arguments, terminal: &mut Terminal) -> Outcome {
    let global = &arguments.global;
    match &arguments.verb {
        Verb::Demo(it) => demo::play(global, it, terminal),
        Verb::Init(it) => init::init(it, terminal),
        Verb::Import(it) => import::import(global, it, terminal),
        Verb::Run(it) => run::run(global, it, terminal),
        Verb::Check(it) => check::check(global, it, terminal),
        Verb::Reload(it) => reload::reload(global, it, terminal),
        Verb::Upgrade => upgrade::upgrade(global, terminal),
        Verb::Explain(it) => explain::explain(global, it, terminal),
        Verb::Diff(it) => diff::diff(global, it, terminal),
        Verb::Export(it) => export::export(global, it, terminal),
        Verb::Schema(it) => schema::schema(it, terminal),
        Verb::Status(it) => status::status(global, it, terminal),
        Verb::Deploy(it) => deploy::deploy(global, it, terminal),
        Verb::Promote(it) => promote::promote(global, it, terminal),
        Verb::Pause(it) => pause::pause(global, it, terminal),
        Verb::Resume(it) => resume::resume(global, it, terminal),
        Verb::Rollback(it) => rollback::roll_back(global, it, terminal),
        Verb::Retry(it) => retry::retry(global, it, terminal),
        Verb::Weight(it) => weight::weight(global, it, terminal),
        Verb::Freeze(it) => freeze::freeze(global, it, terminal),
        Verb::Unfreeze => freeze::unfreeze(global, terminal),
        Verb::Events(it) => events::events(global, it, terminal),
        Verb::History(it) => history::history(global, it, terminal),
        Verb::Notify(it) => notify::notify(global, it, terminal),
        Verb::Simulate(it) => simulate::simulate(global, it, terminal),
        Verb::Replay(it) => replay::replay(it, terminal),
        Verb::Token(it) => token::token(it, terminal),
        Verb::Completions(it) => completions::completions(it, terminal),
        Verb::Man(it) => man::man(it, terminal),
        Verb::Version => version::version(terminal),
    }
}

#[cfg(test)]
mod tests;
