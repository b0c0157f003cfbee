//! `tidegate version`.

use serde_json::json;

use super::terminal::Terminal;
use super::{Outcome, exit};

/// Prints the version of the program.
pub fn version(terminal: &mut Terminal) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
    let text = match terminal.json {
        true => json!({"version": version, "os": system, "arch": machine}).to_string(),
        false => format!("tidegate {version} ({machine}-{system})"),
    };
    terminal.print_line(&text)?;
    Ok(exit::DONE)
}
