//! `tidegate version`.

use super::printed::VersionJson;
use super::terminal::Terminal;
use super::{Outcome, exit};

/// Prints the version of the program.
pub fn version(terminal: &mut Terminal) -> Outcome {
    let it = VersionJson {
        version: env!("CARGO_PKG_VERSION"),
        os: std::env::consts::OS,
        arch: std::env::consts::ARCH,
    };
    let text = match terminal.json {
        true => serde_json::to_string(&it).expect("three texts"),
        false => format!("tidegate {} ({}-{})", it.version, it.arch, it.os),
    };
    terminal.print_line(&text)?;
    terminal.next(&["tidegate status".into()]);
    Ok(exit::DONE)
}
