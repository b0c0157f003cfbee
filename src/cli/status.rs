//! `tidegate status`: what is going on.

use std::time::Duration;

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use crate::admin::wire::{ServiceWire, StatusWire, TargetWire};
use crate::config::closest;

use super::arguments::Global;
use super::client::{Client, block_on};
use super::terminal::Terminal;
use super::text::{parse_span, time_of_day};
use super::{Failure, Outcome, exit, live, tree, wait};

/// Arguments of `status`.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// Only this service
    #[arg(add = ArgValueCandidates::new(live::services))]
    pub service: Option<String>,
    /// Show every change until interrupted
    #[arg(long, conflicts_with = "wait")]
    pub watch: bool,
    /// Block until the release has ended; the exit code says how
    #[arg(long)]
    pub wait: bool,
    /// Longest time to wait, such as 30m [default: for ever]
    #[arg(long, value_name = "DURATION", value_parser = parse_span, requires = "wait")]
    pub timeout: Option<Duration>,
}

/// Shows the status once, or at every change, or waits for its end.
pub fn status(global: &Global, args: &StatusArgs, terminal: &mut Terminal) -> Outcome {
    let service = args.service.as_deref();
    block_on(async {
        let client = Client::find(global, terminal).await?;
        if args.wait {
            return wait::wait(&client, service, args.timeout, terminal).await;
        }
        if args.watch {
            return watch(&client, service, terminal).await;
        }
        let text = client.get_text("/api/v1/status").await?;
        let status: StatusWire = client.parse(&text)?;
        if terminal.json {
            let text = json(&status, service, &text)?;
            terminal.print_line(&text)?;
            return Ok(exit::DONE);
        }
        let shown = render(&status, service, terminal)?;
        terminal.print(&shown)?;
        terminal.next(&next_commands(&status, service));
        Ok(exit::DONE)
    })
}

async fn watch(client: &Client, service: Option<&str>, terminal: &mut Terminal) -> Outcome {
    let mut path = "/api/v1/status".to_owned();
    let mut last = String::new();
    if terminal.interactive && !terminal.json {
        terminal.print("\x1b[2J")?;
    }
    loop {
        let text = client.get_text(&path).await?;
        let status: StatusWire = client.parse(&text)?;
        path = format!("/api/v1/status?after={}&timeout=30", status.revision);
        if terminal.json {
            let text = json(&status, service, &text)?;
            terminal.print_line(&text)?;
            continue;
        }
        let shown = render(&status, service, terminal)?;
        if terminal.interactive {
            // Drawn over line by line rather than cleared first, so that nothing flickers.
            let drawn = shown.replace('\n', "\x1b[K\n");
            terminal.print(&format!("\x1b[H{drawn}\x1b[J"))?;
        } else if shown != last {
            terminal.print(&format!("{shown}\n"))?;
        }
        last = shown;
    }
}

/// The whole answer as it came, or the service alone.
fn json(status: &StatusWire, service: Option<&str>, text: &str) -> Result<String, Failure> {
    let Some(name) = service else { return Ok(text.to_owned()) };
    let found = find(status, name)?;
    Ok(serde_json::to_string(found).expect("wire types have string keys and finite depth"))
}

fn render(status: &StatusWire, service: Option<&str>, terminal: &Terminal) -> Result<String, Failure> {
    let paint = terminal.paint;
    if let Some(name) = service {
        return Ok(format!("{}{}", warnings(status, terminal), tree::of_service(find(status, name)?, paint)));
    }
    let mut parts = vec![format!("{}{}", summary(status), warnings(status, terminal))];
    parts.extend(status.services.iter().map(|it| tree::of_service(it, paint)));
    Ok(parts.join("\n"))
}

fn summary(status: &StatusWire) -> String {
    let connections: u64 = status.listeners.iter().map(|it| it.open).sum();
    let noun = if connections == 1 { "connection" } else { "connections" };
    let mut line =
        format!("tidegate {} · generation {} of {}", status.version, status.generation, status.source);
    if status.generation == 0 {
        line = format!("tidegate {} · no configuration serves yet", status.version);
    }
    if status.phase != "serving" {
        line.push_str(&format!(" · {}", status.phase));
    }
    format!("{line} · {connections} {noun}\n")
}

/// What somebody should know before anything else.
fn warnings(status: &StatusWire, terminal: &Terminal) -> String {
    let mut lines = String::new();
    if status.authority == "git" {
        let text = "authority: git · only the file changes what is released; pause, rollback and freeze are free to all";
        lines.push_str(&format!("{}\n", terminal.paint.dim(text)));
    }
    if let Some(refused) = &status.refused {
        let text = format!(
            "! the configuration of {} was refused; generation {} keeps serving: tidegate check",
            time_of_day(&refused.at),
            status.generation
        );
        lines.push_str(&format!("{}\n", terminal.paint.red(&text)));
    }
    if let Some(freeze) = &status.freeze {
        let reason = freeze.reason.as_ref().map_or(String::new(), |it| format!(": {it}"));
        let until =
            freeze.until.as_ref().map_or("until `tidegate unfreeze`".into(), |it| format!("until {it}"));
        let text =
            format!("! frozen by {} {until}{reason}; nothing advances, rollbacks go on", freeze.by.name);
        lines.push_str(&format!("{}\n", terminal.paint.yellow(&text)));
    }
    if let Some(problem) = &status.journal.problem {
        let text = format!("! decisions are not written down, so no weight rises: {problem}");
        lines.push_str(&format!("{}\n", terminal.paint.red(&text)));
    }
    for it in &status.notify {
        if let Some(text) = unheard(it) {
            lines.push_str(&format!("{}\n", terminal.paint.yellow(&text)));
        }
    }
    lines
}

/// What is wrong with a target, if anything is.
fn unheard(it: &TargetWire) -> Option<String> {
    let last = it.last.as_ref().filter(|last| last.problem.is_some())?;
    let why = last.problem.as_deref().unwrap_or_default();
    let then = match (&it.next, it.disabled) {
        (_, true) => "it is not called any more until the file is loaded again".into(),
        (Some(next), false) => format!("{} waiting, next attempt {}", it.waiting, time_of_day(next)),
        (None, false) => format!("event {} was given up", last.event),
    };
    Some(format!("! {} ({}) was not notified at {}: {why}; {then}", it.name, it.place, time_of_day(&last.at)))
}

fn next_commands(status: &StatusWire, service: Option<&str>) -> Vec<String> {
    let busy = status.services.iter().find(|it| it.state != "LIVE");
    match service.and_then(|name| status.services.iter().find(|it| it.name == name)).or(busy) {
        Some(it) => tree::next_commands(it),
        None => vec!["tidegate status --watch".into(), "tidegate events".into()],
    }
}

fn find<'a>(status: &'a StatusWire, name: &str) -> Result<&'a ServiceWire, Failure> {
    let found = status.services.iter().find(|it| it.name == name);
    found.ok_or_else(|| unknown_service(name, &status.services))
}

/// No service has that name; perhaps a similar one was meant.
pub fn unknown_service(name: &str, services: &[ServiceWire]) -> Failure {
    let known: Vec<&str> = services.iter().map(|it| it.name.as_str()).collect();
    let failure = Failure::new(exit::FAILED, format!("no service `{name}`"));
    match closest(name, known.iter().copied()) {
        Some(similar) => failure.hint(format!("did you mean `{similar}`?")),
        None if known.is_empty() => failure,
        None => failure.hint(format!("there are: {}", known.join(", "))),
    }
}
