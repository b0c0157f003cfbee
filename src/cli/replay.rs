//! `tidegate replay`: decides everything that was decided once more, and compares.

use std::path::PathBuf;

use clap::Args;

use crate::controller::Replay;
use crate::model::Tally;
use crate::store::{read_trace, traces_in};

use super::printable;
use super::printed::ReplayedJson;
use super::terminal::Terminal;
use super::text::grouped;
use super::{Failure, Outcome, exit};

/// Arguments of `replay`.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// A trace, or a directory of them: `traces` in the state directory
    pub path: PathBuf,
}

/// Plays traces again and ends with a failure at the first difference.
pub fn replay(args: &ReplayArgs, terminal: &mut Terminal) -> Outcome {
    let path = &args.path;
    let failed =
        |it: std::io::Error| Failure::new(exit::FAILED, format!("failed to read `{}`: {it}", path.display()));
    let inside = path.join("traces");
    let directory = if inside.is_dir() { &inside } else { path };
    let files = if path.is_dir() { traces_in(directory).map_err(failed)? } else { vec![path.clone()] };
    if files.is_empty() {
        let failure = Failure::new(exit::FAILED, format!("there are no traces in `{}`", path.display()));
        return Err(failure.hint("they are in the directory `traces` of the state directory"));
    }
    let (mut looks, mut decisions) = (0, 0);
    for file in &files {
        let notes = read_trace(file).map_err(|it| Failure::of(exit::FAILED, &it))?;
        if let Some(bytes) = notes.torn {
            terminal.note(&format!("note: {} ends in the middle of a note ({bytes} bytes)", file.display()));
        }
        terminal.note(&format!("{}", file.display()));
        let mut replay = Replay::default();
        for noted in notes.notes {
            let again = replay.play(noted).map_err(|it| {
                Failure::new(exit::FAILED, format!("{}: first difference: {it}", file.display()))
            })?;
            let Some(again) = again else { continue };
            for line in &again.lines {
                let (canary, stable) = again.evidence;
                if terminal.json {
                    terminal.print_json(&ReplayedJson {
                        at: again.at.to_string(),
                        line: line.to_string(),
                        canary: canary.into(),
                        stable: stable.into(),
                    })?;
                    continue;
                }
                let (canary, stable) = (lane(canary), lane(stable));
                terminal.print_line(&format!(
                    "{}  {}  [canary {canary}, stable {stable}]",
                    again.at,
                    printable::line(&line.to_string())
                ))?;
            }
        }
        let (seen, made) = replay.end();
        (looks, decisions) = (looks + seen, decisions + made);
    }
    terminal.note(&format!(
        "{} looks judged again, {} decisions the same, bit for bit",
        grouped(looks),
        grouped(decisions)
    ));
    Ok(exit::DONE)
}

fn lane(it: Tally) -> String {
    format!("{} of {} failed", grouped(it.bad), grouped(it.requests))
}
