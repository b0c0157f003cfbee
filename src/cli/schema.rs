//! `tidegate schema`: the JSON Schema of the configuration file.

use crate::config;

use super::terminal::Terminal;
use super::{Outcome, exit};

/// Prints the schema (draft-07), for editors.
pub fn schema(terminal: &mut Terminal) -> Outcome {
    terminal.print_line(&format!("{:#}", config::schema()))?;
    Ok(exit::DONE)
}
