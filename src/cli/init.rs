//! `tidegate init`: a first configuration file, commented.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::app::Disk;
use crate::config;

use super::terminal::Terminal;
use super::{Failure, Outcome, exit};

/// Arguments of `init`.
#[derive(Args, Clone, Debug)]
pub struct InitArgs {
    /// The file to write; one that is there is never touched
    #[arg(default_value = "tidegate.yaml")]
    pub file: PathBuf,
    /// The backend that serves now
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000")]
    pub from: String,
    /// Two versions and a flip between them [default]
    #[arg(long, conflicts_with = "canary")]
    pub blue_green: bool,
    /// A new version gets a rising share of the traffic
    #[arg(long)]
    pub canary: bool,
}

/// Writes the file, after checking it as `run` would.
pub fn init(args: &InitArgs, terminal: &mut Terminal) -> Outcome {
    let text = if args.canary { canary(&args.from) } else { blue_green(&args.from) };
    check(&args.file, &text, &args.from)?;
    // 0644, whatever the umask allows beyond: who can write the file decides where the traffic goes.
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&args.file);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    let shown = args.file.display();
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let failure =
                Failure::new(exit::FAILED, format!("`{shown}` is there already; it was not touched"));
            return Err(failure.hint("name another file: tidegate init other.yaml"));
        }
        Err(error) => return Err(Failure::new(exit::FAILED, format!("cannot write `{shown}`: {error}"))),
    }
    terminal.print_line(&format!("wrote {shown}"))?;
    terminal.next(&[format!("tidegate check {shown}"), format!("tidegate run -c {shown}")]);
    Ok(exit::DONE)
}

/// What was put in may be wrong; what is made of it never is.
fn check(path: &Path, text: &str, from: &str) -> Result<(), Failure> {
    let loaded = config::load(path, &config::Replaced { path, text, files: &Disk });
    if loaded.config.is_some() {
        return Ok(());
    }
    let why = loaded.problems.iter().next().map_or_else(String::new, |it| it.message.clone());
    let failure = Failure::new(exit::USAGE, format!("`{from}` is no address of a backend: {why}"));
    Err(failure.hint("for example --from http://10.0.1.10:3000"))
}

fn blue_green(from: &str) -> String {
    let from = quoted(from);
    format!(
        "# Blue/green: two versions of a service, and one of them is live.
# To flip, change `live` to `green` and save. Running connections are kept, the flip is instant,
# and for five minutes the new version is rolled back by itself if it fails more than the old one.
listen: 8080
services:
  web:
    live: blue
    versions:
      blue: {from}
      green: http://127.0.0.1:3001    # the next build goes here
"
    )
}

fn canary(from: &str) -> String {
    let from = quoted(from);
    format!(
        "# Canary: a new version gets a rising share of the traffic, and all of it only if it does well.
# To release, change `live` to `v2` and save. Back to `v1` is a rollback.
listen: 8080
services:
  web:
    live: v1
    versions:
      v1: {from}
      v2: http://127.0.0.1:3001       # the next build goes here
    rollout:
      # Share of the traffic, and how long at least. Without enough traffic to tell, it waits.
      steps: [5% for 5m, 25% for 10m, 50% for 10m]
      # Rolled back by itself above this error rate, and whenever it is worse than v1.
      guard: {{errors: 1%}}
"
    )
}

/// As a YAML text. A JSON text is one, and nothing in it can mean anything else.
fn quoted(text: &str) -> String {
    let is_plain = text.bytes().all(|it| it.is_ascii_alphanumeric() || b":/.-_[]".contains(&it));
    if is_plain && text.starts_with("http") {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}
