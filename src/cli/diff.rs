//! `tidegate diff`: what a reload would change, in words and consequences.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::admin;
use crate::admin::wire::{ConfigAsk, DiffReply};
use crate::app::Disk;
use crate::config::{self, Config, Situation};

use super::arguments::Global;
use super::client::{Client, block_on};
use super::terminal::{Paint, Terminal};
use super::{Failure, Outcome, exit};

/// Arguments of `diff`.
#[derive(Args, Clone, Debug)]
pub struct DiffArgs {
    /// Nothing: the server's files with what it runs. One file: that one with what the server runs. Two files:
    /// the first with the second, without a server
    #[arg(num_args = 0..=2, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Exit code 6 if there is any difference
    #[arg(long)]
    pub exit_code: bool,
}

/// Prints what would change.
pub fn diff(global: &Global, args: &DiffArgs, terminal: &mut Terminal) -> Outcome {
    let told = match args.files.as_slice() {
        [old, new] => {
            let (old, new) = (loaded(old, terminal)?, loaded(new, terminal)?);
            admin::compare(0, &old, &new, &Situation::default())
        }
        files => {
            let yaml = files.first().map(|it| loaded(it, terminal)).transpose()?.map(|it| it.written.yaml());
            block_on(async {
                let client = Client::find(global, terminal).await?;
                let text = client.post("/api/v1/config/diff", &ConfigAsk { yaml }).await?;
                client.parse(&text)
            })?
        }
    };
    if terminal.json {
        terminal.print_line(&serde_json::to_string(&told).expect("wire types have string keys"))?;
    } else {
        let text = shown(&told, terminal.paint);
        terminal.print(&text)?;
        let offline = args.files.len() == 2;
        terminal.next(&match (told.changes.is_empty() || offline, told.accepted) {
            (true, _) => vec!["tidegate status".into()],
            (false, true) => vec!["tidegate reload".into()],
            (false, false) => vec!["tidegate explain GET URL".into(), "tidegate status".into()],
        });
    }
    Ok(if args.exit_code && !told.changes.is_empty() { exit::DIFFERENCES } else { exit::DONE })
}

fn loaded(path: &Path, terminal: &mut Terminal) -> Result<Config, Failure> {
    let loaded = config::load(path, &Disk);
    if let Some(config) = loaded.config {
        return Ok(config);
    }
    let report = loaded.problems.render_human(terminal.colors_err());
    Err(Failure::new(exit::CONFIG, format!("`{}` is invalid", path.display())).report(report))
}

/// Each subject once, what differs below it, and what comes of it below that.
fn shown(told: &DiffReply, paint: Paint) -> String {
    if told.changes.is_empty() {
        return "nothing would change\n".into();
    }
    let (mut text, mut subject) = (String::new(), "");
    for it in &told.changes {
        if it.subject != subject {
            subject = &it.subject;
            text.push_str(&format!("{}\n", paint.bold(subject)));
        }
        let mark = match it.kind.as_str() {
            "added" => paint.green("+"),
            "removed" => paint.red("-"),
            "refused" => paint.red("!"),
            _ => paint.yellow("~"),
        };
        text.push_str(&format!("  {mark} {}\n      {}\n", it.what, it.consequence));
    }
    if !told.accepted {
        text.push_str(&format!("{}\n", paint.red("A reload would be refused, and nothing would change.")));
    }
    text
}
