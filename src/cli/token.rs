//! `tidegate token`: a token that nobody guesses, and what a server needs to know of it.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use clap::Args;

use crate::admin::Token;

use super::printed::TokenJson;
use super::terminal::Terminal;
use super::{Failure, Outcome, exit};

/// What `token` is told.
#[derive(Args, Clone, Debug)]
pub struct TokenArgs {
    /// A new file for it, which only you can read; without one it is printed
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Makes a token of 128 random bits.
pub fn token(asked: &TokenArgs, terminal: &mut Terminal) -> Outcome {
    let token = Token::random();
    let token =
        token.map_err(|it| Failure::new(exit::FAILED, format!("there is no chance to be had: {it}")))?;
    let hash = token.hash().to_string();
    if let Some(path) = &asked.file {
        // One that is there may be somebody's.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let written = file.and_then(|mut it| writeln!(it, "{}", token.reveal()).and_then(|()| it.sync_all()));
        written.map_err(|it| {
            Failure::new(exit::FAILED, format!("failed to make `{}`: {it}", path.display()))
                .hint("an existing file is left alone")
        })?;
    }
    let shown = asked.file.is_none().then(|| token.reveal().to_owned());
    if terminal.json {
        terminal.print_json(&TokenJson { token: shown, hash })?;
        return Ok(exit::DONE);
    }
    if let Some(token) = shown {
        terminal.print_line(&token)?;
    }
    terminal.note(&format!("a server may keep this in its place: {hash}"));
    terminal.next(&["tidegate check".into()]);
    Ok(exit::DONE)
}
