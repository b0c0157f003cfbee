//! `tidegate check`: everything `run` would find wrong with a file, without a server.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::app::Disk;
use crate::config::{self, Loaded};

use super::arguments::Global;
use super::locate;
use super::terminal::Terminal;
use super::{Failure, Outcome, exit};

/// Arguments of `check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// The files [default: the one that `run` would take]
    pub files: Vec<PathBuf>,
    /// How problems are printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Let warnings count as errors
    #[arg(long)]
    pub deny_warnings: bool,
}

/// How problems are printed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// For people: with the lines they are about.
    #[default]
    Human,
    /// For programs.
    Json,
    /// As annotations of a GitHub workflow.
    Github,
}

/// Checks each file and reports all problems.
pub fn check(global: &Global, args: &CheckArgs, terminal: &mut Terminal) -> Outcome {
    let files = match args.files.is_empty() {
        false => args.files.clone(),
        true => vec![locate::config_file(global).ok_or_else(no_file)?],
    };
    let loaded: Vec<(PathBuf, Loaded)> =
        files.into_iter().map(|it| (it.clone(), config::load(&it, &Disk))).collect();
    let format = if terminal.json { Format::Json } else { args.format };
    match format {
        Format::Human => print_human(&loaded, terminal)?,
        Format::Json => print_json(&loaded, terminal)?,
        Format::Github => {
            for (_, it) in &loaded {
                terminal.print(&it.problems.render_github())?;
            }
        }
    }
    let (errors, warnings) = loaded.iter().fold((0, 0), |sum, (_, it)| {
        let (errors, warnings) = it.problems.counts();
        (sum.0 + errors, sum.1 + warnings)
    });
    if errors > 0 || (args.deny_warnings && warnings > 0) {
        return Ok(exit::CONFIG);
    }
    if let [(only, _)] = loaded.as_slice() {
        terminal.next(&[format!("tidegate run -c {}", only.display()), "tidegate reload".into()]);
    }
    Ok(exit::DONE)
}

fn print_human(loaded: &[(PathBuf, Loaded)], terminal: &mut Terminal) -> Result<(), Failure> {
    for (path, it) in loaded {
        let (errors, warnings) = it.problems.counts();
        if errors + warnings > 0 {
            let text = it.problems.render_human(terminal.colors());
            terminal.print(&text)?;
        }
        let ok = terminal.paint.green("ok");
        if let Some(config) = &it.config {
            let (services, listeners) = (config.services.len(), config.listeners.len());
            let plural = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
            let (services, listeners) = (plural(services, "service"), plural(listeners, "listener"));
            terminal.print_line(&format!("{ok}: {}: {services}, {listeners}", path.display()))?;
        }
    }
    Ok(())
}

/// One object for one file, a list for several.
fn print_json(loaded: &[(PathBuf, Loaded)], terminal: &mut Terminal) -> Result<(), Failure> {
    let with_name = |(path, it): &(PathBuf, Loaded)| {
        let mut value = it.problems.render_json();
        value["file"] = path.display().to_string().into();
        value
    };
    let values: Vec<Value> = loaded.iter().map(with_name).collect();
    let text = match values.as_slice() {
        [only] => only.to_string(),
        several => Value::from(several.to_vec()).to_string(),
    };
    terminal.print_line(&text)?;
    Ok(())
}

/// Nothing was named and nothing is there.
pub fn no_file() -> Failure {
    let failure = Failure::new(exit::CONFIG, "there is no tidegate.yaml here, and none in /etc/tidegate");
    failure.hint("name one with -c FILE, or write one with `tidegate init`")
}
