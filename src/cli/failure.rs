//! What went wrong, and what to do about it.

use std::error::Error;
use std::fmt::Write as _;
use std::io;

use super::exit;
use super::terminal::Terminal;

/// A failure as the user sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// One of [`exit`].
    pub code: u8,
    /// One sentence; empty if everything has been said.
    pub message: String,
    /// Lines below it, as they are to be seen, colours included.
    pub report: Option<String>,
    /// The way out.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with that exit code.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), report: None, hint: None }
    }

    /// Everything has been said already.
    pub fn silent(code: u8) -> Self {
        Self::new(code, "")
    }

    /// An error with all its causes.
    pub fn of(code: u8, error: &dyn Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(it) = cause {
            let _ = write!(message, ": {it}");
            cause = it.source();
        }
        Self::new(code, message)
    }

    /// Adds what was drawn for a terminal.
    pub fn report(mut self, drawn: impl Into<String>) -> Self {
        self.report = Some(drawn.into());
        self
    }

    /// Adds the way out.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Tells the user and returns the exit code.
    pub fn tell(&self, terminal: &mut Terminal) -> u8 {
        if !self.message.is_empty() {
            terminal.complain("error", &self.message);
        }
        if let Some(report) = &self.report {
            terminal.illustrate(report);
        }
        if let Some(hint) = &self.hint {
            terminal.complain("hint", hint);
        }
        self.code
    }
}

/// Output that cannot be written. Whoever closed the pipe has seen enough: that is no failure.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::silent(exit::DONE),
            _ => Self::new(exit::FAILED, format!("cannot write the output: {error}")),
        }
    }
}
