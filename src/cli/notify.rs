//! `tidegate notify --test`: tries out who is notified, without a server.

use crate::app::Disk;
use crate::config::{self, NotifySpec, closest};
use crate::notifier::try_out;
use crate::runtime::Clock;
use clap::Args;

use super::arguments::Global;
use super::client::block_on;
use super::printable;
use super::printed::NotifiedJson;
use super::terminal::Terminal;
use super::{Failure, Outcome, exit, locate};

/// Arguments of `notify`.
#[derive(Args, Clone, Debug)]
pub struct NotifyArgs {
    /// Send a test to each; a repository is only asked whether it lets itself be read
    #[arg(long, required = true)]
    pub test: bool,
    /// The targets by name [default: all of the file]
    pub targets: Vec<String>,
}

/// Sends a test to each target and says what came of it.
pub fn notify(global: &Global, args: &NotifyArgs, terminal: &mut Terminal) -> Outcome {
    let no_file = || Failure::new(exit::USAGE, "no configuration file").hint("name it: -c FILE");
    let file = locate::config_file(global).ok_or_else(no_file)?;
    let loaded = config::load(&file, &Disk);
    let Some(config) = loaded.config else {
        let report = loaded.problems.render_human(terminal.colors_err());
        return Err(Failure::new(exit::CONFIG, format!("`{}` is invalid", file.display())).report(report));
    };
    let chosen = chosen(&config.notify, &args.targets)?;
    let clock = Clock::system();
    let mut failed = 0;
    for spec in &chosen {
        let answer = block_on(async { Ok(try_out(spec, clock.clone()).await) })?;
        let place = spec.url();
        failed += usize::from(answer.is_err());
        if terminal.json {
            let problem = answer.err().map(|it| it.to_string());
            let (target, place) = (spec.name.to_string(), place.to_string());
            terminal.print_json(&NotifiedJson { target, place, problem })?;
            continue;
        }
        let line = match &answer {
            Ok(()) => format!("{}: {} {place}", terminal.paint.green("ok"), spec.name),
            Err(why) => {
                // It may be what the target has answered.
                let why = printable::line(why);
                format!("{}: {} {place}: {why}", terminal.paint.red("no"), spec.name)
            }
        };
        terminal.print_line(&line)?;
    }
    match failed {
        0 => Ok(exit::DONE),
        _ => Err(Failure::new(exit::FAILED, format!("{failed} of {} targets did not take it", chosen.len()))),
    }
}

fn chosen<'a>(all: &'a [NotifySpec], names: &[String]) -> Result<Vec<&'a NotifySpec>, Failure> {
    if all.is_empty() {
        let failure = Failure::new(exit::FAILED, "nobody is notified by this file");
        return Err(failure.hint("say who is: notify: [{slack: env:SLACK_URL}]"));
    }
    if names.is_empty() {
        return Ok(all.iter().collect());
    }
    let find = |name: &String| {
        all.iter().find(|it| it.name.as_str() == name).ok_or_else(|| {
            let known: Vec<&str> = all.iter().map(|it| it.name.as_str()).collect();
            let failure = Failure::new(exit::USAGE, format!("no target `{name}`"));
            match closest(name, known.iter().copied()) {
                Some(similar) => failure.hint(format!("did you mean `{similar}`?")),
                None => failure.hint(format!("there are: {}", known.join(", "))),
            }
        })
    };
    names.iter().map(find).collect()
}
