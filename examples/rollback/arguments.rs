//! The command line of the bench.

use std::path::PathBuf;

use clap::Parser;

use crate::scenario::{ALL, Scenario};

/// Releases a bad version again and again and measures what it costs until it is rolled back.
#[derive(Parser)]
#[command(name = "benches/rollback/run")]
struct CommandLine {
    /// Scenarios, separated by commas; all if not given
    #[arg(long, value_delimiter = ',')]
    scenarios: Vec<String>,
    /// Runs of each scenario, instead of its own number
    #[arg(long)]
    runs: Option<usize>,
    /// One run of each scenario: shows that it works, no more
    #[arg(long)]
    quick: bool,
    /// Requests per second
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// The binary under test; the one built beside this program if not given
    #[arg(long)]
    tidegate: Option<PathBuf>,
    /// Where the JSON goes
    #[arg(long, default_value = "target/bench/rollback.json")]
    json: PathBuf,
    /// Where the table goes, beside standard output
    #[arg(long, default_value = "target/bench/rollback.md")]
    markdown: PathBuf,
    /// End with status 1 when a goal is missed
    #[arg(long)]
    check: bool,
}

/// What to run and where to write it.
pub(crate) struct Arguments {
    pub(crate) scenarios: Vec<&'static Scenario>,
    runs: Option<usize>,
    pub(crate) rate: u32,
    pub(crate) tidegate: PathBuf,
    pub(crate) json: PathBuf,
    pub(crate) markdown: PathBuf,
    pub(crate) check: bool,
}

impl Arguments {
    pub(crate) fn from_command_line() -> Result<Self, String> {
        let given = CommandLine::parse();
        let named = |name: &String| {
            ALL.iter().find(|it| it.name == name).ok_or_else(|| {
                let known: Vec<_> = ALL.iter().map(|it| it.name).collect();
                format!("no scenario `{name}`: one of {}", known.join(", "))
            })
        };
        let scenarios = match &given.scenarios[..] {
            [] => ALL.iter().collect(),
            names => names.iter().map(named).collect::<Result<_, _>>()?,
        };
        Ok(Self {
            scenarios,
            runs: given.runs.or(given.quick.then_some(1)),
            rate: given.rate,
            tidegate: given.tidegate.map_or_else(built_beside, Ok)?,
            json: given.json,
            markdown: given.markdown,
            check: given.check,
        })
    }

    pub(crate) fn runs_of(&self, scenario: &Scenario) -> usize {
        self.runs.unwrap_or(scenario.runs)
    }
}

/// `target/release/tidegate`, when this is `target/release/examples/rollback`.
fn built_beside() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("failed to find this program: {error}"))?;
    let folder = own.parent().and_then(|it| it.parent()).ok_or("this program has no folder above it")?;
    Ok(folder.join("tidegate"))
}
