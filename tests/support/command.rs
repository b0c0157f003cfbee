//! The command line, as a person or a script uses it.

use std::process::{Command, Stdio};

use super::gate::{Gate, program};

/// What a command said and how it ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Outcome {
    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// Runs a verb without a server.
pub fn run(arguments: &[&str]) -> Outcome {
    run_with(&[], arguments)
}

/// The same with variables of the environment.
pub fn run_with(variables: &[(&str, &str)], arguments: &[&str]) -> Outcome {
    let mut command = Command::new(program());
    command.args(arguments).stdin(Stdio::null()).env("NO_COLOR", "1").env_remove("TIDEGATE_URL");
    command.env_remove("TIDEGATE_TOKEN").env_remove("TIDEGATE_CA").envs(variables.iter().copied());
    let output = command.output().expect("run tidegate");
    let text = |it: Vec<u8>| String::from_utf8(it).expect("output is UTF-8");
    Outcome { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

impl Gate {
    /// Runs a verb against this gate: `promote shop`.
    pub fn command(&self, line: &str) -> Outcome {
        let file = self.file();
        let mut arguments: Vec<&str> = line.split(' ').collect();
        arguments.extend(["-c", file.to_str().expect("a path in UTF-8")]);
        run(&arguments)
    }
}
