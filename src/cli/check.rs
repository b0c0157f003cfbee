//! `tidegate check`: everything `run` would find wrong with a file, without a server.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::app::{Disk, table_of};
use crate::config::{self, Loaded};
use crate::proxy::{self, Probed};
use crate::runtime::Clock;

use super::arguments::Global;
use super::locate;
use super::printable;
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
    /// Ask every endpoint by its `health`, or whether it takes a connection
    #[arg(long)]
    pub probe: bool,
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
    let probed = if args.probe { probed(&loaded)? } else { Vec::new() };
    let format = if terminal.json { Format::Json } else { args.format };
    match format {
        Format::Human => print_human(&loaded, terminal)?,
        Format::Json => print_json(&loaded, &probed, terminal)?,
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
    if format != Format::Json {
        print_probed(&probed, terminal)?;
    }
    let silent = probed.iter().filter(|it| it.1.answer.is_err()).count();
    if silent > 0 {
        let failure = Failure::new(
            exit::FAILED,
            format!("{silent} of {} endpoints do not answer as they should", probed.len()),
        );
        return Err(failure.hint("the configuration itself is good: a server would start with it"));
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

/// Every endpoint of the files that are good, with the file.
fn probed(loaded: &[(PathBuf, Loaded)]) -> Result<Vec<(PathBuf, Probed)>, Failure> {
    let mut all = Vec::new();
    for (path, config) in loaded.iter().filter_map(|(path, it)| Some((path, it.config.as_ref()?))) {
        let answers = proxy::probe(&table_of(config), &Clock::system());
        let answers = answers.map_err(|it| Failure::of(exit::FAILED, &it))?;
        all.extend(answers.into_iter().map(|it| (path.clone(), it)));
    }
    Ok(all)
}

fn print_probed(probed: &[(PathBuf, Probed)], terminal: &mut Terminal) -> Result<(), Failure> {
    for (_, it) in probed {
        let place = format!("{} {} {}", it.service, it.version, it.endpoint.url());
        let line = match &it.answer {
            Ok(()) if it.by_health => format!("{}: {place}", terminal.paint.green("ok")),
            Ok(()) => {
                format!("{}: {place}: takes connections; it has no `health`", terminal.paint.green("ok"))
            }
            // It may be what the endpoint has answered.
            Err(why) => {
                format!("{}: {place}: {}", terminal.paint.red("no"), printable::line(&why.to_string()))
            }
        };
        terminal.print_line(&line)?;
    }
    Ok(())
}

/// One object for one file, a list for several.
fn print_json(
    loaded: &[(PathBuf, Loaded)],
    probed: &[(PathBuf, Probed)],
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let with_name = |(path, it): &(PathBuf, Loaded)| {
        let mut value = it.problems.render_json();
        value["file"] = path.display().to_string().into();
        let of_file = probed.iter().filter(|probed| probed.0 == *path).map(|it| &it.1);
        let endpoint = |it: &Probed| {
            json!({
                "service": it.service.as_str(),
                "version": it.version.as_str(),
                "endpoint": it.endpoint.url(),
                "ok": it.answer.is_ok(),
                "why": it.answer.as_ref().err(),
            })
        };
        let endpoints: Vec<Value> = of_file.map(endpoint).collect();
        if !endpoints.is_empty() {
            value["endpoints"] = endpoints.into();
        }
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
