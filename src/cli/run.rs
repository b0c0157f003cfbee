//! `tidegate run`: the server, in the foreground.

use std::io;
use std::time::Duration;

use clap::Args;
use tracing_subscriber::EnvFilter;

use crate::app::{self, Options, RunError, Times, Wanted};

use super::arguments::Global;
use super::check::no_file;
use super::terminal::Terminal;
use super::text::parse_span;
use super::{Failure, Outcome, exit, locate};

/// Arguments of `run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Do not watch the files; reload only on SIGHUP and `tidegate reload`
    #[arg(long)]
    pub no_watch: bool,
    /// After SIGTERM, how long connections are still accepted, for load balancers to notice
    #[arg(long, value_name = "DURATION", value_parser = parse_span, default_value = "5s")]
    pub lame_duck: Duration,
    /// After that, how long requests may take to finish
    #[arg(long, value_name = "DURATION", value_parser = parse_span, default_value = "30s")]
    pub drain: Duration,
    /// In an upgrade, how long the new process may take to get ready
    #[arg(long, value_name = "DURATION", value_parser = parse_span, default_value = "30s")]
    pub upgrade_timeout: Duration,
    /// If the files are wrong at the start, serve the last configuration that was good, and say so
    #[arg(long)]
    pub last_good: bool,
}

/// Serves until it is told to stop.
pub fn run(global: &Global, args: &RunArgs, terminal: &mut Terminal) -> Outcome {
    let config = locate::config_file(global).ok_or_else(no_file)?;
    log_to_stderr(global, terminal);
    let times = Times { lame_duck: args.lame_duck, drain: args.drain };
    let options = Options {
        config,
        watch: !args.no_watch,
        times,
        upgrade: args.upgrade_timeout,
        last_good: args.last_good,
    };
    match app::run(&options) {
        Ok(()) => Ok(exit::DONE),
        Err(RunError::Configuration(report)) => {
            terminal.complain("error", &format!("the configuration is invalid\n{report}"));
            Err(Failure::silent(exit::CONFIG).hint("check it without starting: tidegate check"))
        }
        Err(error) => Err(Failure::of(code_of(&error), &error)),
    }
}

fn code_of(error: &RunError) -> u8 {
    match error {
        RunError::Configuration(_) => exit::CONFIG,
        RunError::Start { wanted: Wanted::Address, .. } => exit::ADDRESS,
        RunError::Start { wanted: Wanted::State, .. } => exit::STATE,
        RunError::Start { wanted: Wanted::Other, .. } => exit::FAILED,
        RunError::Cut(_) => exit::CUT,
    }
}

/// Log lines go to standard error. `RUST_LOG` decides, else `-v` and `-q`.
fn log_to_stderr(global: &Global, terminal: &Terminal) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "warn",
        (false, 0) => "info",
        (false, 1) => "debug",
        (false, _) => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt().with_writer(io::stderr).with_env_filter(filter);
    // Somebody who embeds us may have set up a log of their own; then that one stays.
    let _ = match global.json {
        true => log.json().try_init(),
        false => log.with_ansi(terminal.colors_err()).try_init(),
    };
}
