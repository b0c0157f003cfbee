//! `tidegate schema`: the JSON Schema of the configuration file, or of what a verb prints with `--json`.

use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;

use crate::admin::wire::{ConfigState, DiffReply, EventWire, ExplainReply, HistoryPage, StatusWire};
use crate::config;

use super::terminal::Terminal;
use super::{Outcome, exit};

/// Arguments of `schema`.
#[derive(Args, Clone, Debug)]
pub struct SchemaArgs {
    /// A verb: what it prints with --json [default: the configuration file]
    #[arg(value_enum)]
    pub of: Option<Printed>,
}

/// What is printed as JSON for programs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Printed {
    /// `check --json`, of one file; of several, a list of these.
    Check,
    /// `diff --json`.
    Diff,
    /// `events --json`: each line.
    Events,
    /// `explain METHOD URL --json`.
    Explain,
    /// `export --json`.
    Export,
    /// `history --json`.
    History,
    /// `status --json`.
    Status,
    /// `version --json`.
    Version,
}

/// `version --json`.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct VersionJson {
    /// The version of the program.
    pub version: &'static str,
    /// The system that it was built for.
    pub os: &'static str,
    /// The processor that it was built for.
    pub arch: &'static str,
}

/// `check --json`, as far as it does not depend on the rule.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is made of it; the value comes from the check itself")]
struct CheckJson {
    /// The file that was checked.
    file: String,
    /// How many errors there are.
    errors: usize,
    /// How many warnings there are.
    warnings: usize,
    /// Problems that are counted and not listed.
    omitted: usize,
    /// Files that were looked at.
    files: usize,
    /// Each with `severity`, `code`, `file`, `line`, `column` and `message`.
    problems: Vec<Value>,
    /// With `--probe`: what each endpoint answered.
    #[schemars(skip_serializing_if = "Option::is_none")]
    endpoints: Option<Vec<ProbedJson>>,
}

/// What an endpoint answered.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is made of it")]
struct ProbedJson {
    /// The service.
    service: String,
    /// The version of it.
    version: String,
    /// Where it is.
    endpoint: String,
    /// Whether it passed.
    ok: bool,
    /// Why not.
    why: Option<String>,
}

/// Prints a schema (draft-07), for editors and programs.
pub fn schema(args: &SchemaArgs, terminal: &mut Terminal) -> Outcome {
    let schema = args.of.map_or_else(config::schema, of);
    terminal.print_line(&format!("{schema:#}"))?;
    terminal.next(&[match args.of {
        None => "tidegate check".into(),
        Some(it) => format!("tidegate {} --json", word(it)),
    }]);
    Ok(exit::DONE)
}

/// The schema of what a verb prints. Members are only ever added.
pub fn of(it: Printed) -> Value {
    fn made<T: JsonSchema>() -> Value {
        SchemaSettings::draft07().for_serialize().into_generator().into_root_schema_for::<T>().to_value()
    }
    match it {
        Printed::Check => made::<CheckJson>(),
        Printed::Diff => made::<DiffReply>(),
        Printed::Events => made::<EventWire>(),
        Printed::Explain => made::<ExplainReply>(),
        Printed::Export => made::<ConfigState>(),
        Printed::History => made::<HistoryPage>(),
        Printed::Status => made::<StatusWire>(),
        Printed::Version => made::<VersionJson>(),
    }
}

fn word(it: Printed) -> String {
    it.to_possible_value().map_or_else(String::new, |it| it.get_name().to_owned())
}

#[cfg(test)]
#[path = "../../tests/config/validator.rs"]
mod validator;

#[cfg(test)]
mod tests {
    use super::super::tests::{House, run};
    use super::*;

    /// `UPDATE=1` writes them anew; what is taken away or renamed breaks somebody's program.
    #[test]
    fn schemas_are_those_that_are_checked_in() {
        for it in Printed::value_variants() {
            let path = format!("{}/docs/reference/schema/{}.json", env!("CARGO_MANIFEST_DIR"), word(*it));
            let now = format!("{:#}\n", of(*it));
            if std::env::var_os("UPDATE").is_some() {
                std::fs::write(&path, now).unwrap();
                continue;
            }
            let there = std::fs::read_to_string(&path).unwrap_or_else(|it| panic!("{path}: {it}"));
            assert!(there == now, "{path} differs: UPDATE=1 writes it anew");
        }
    }

    #[test]
    fn what_is_printed_follows_its_schema() {
        let house = House::start();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("t.yaml");
        std::fs::write(&file, "listen: 8080\nservices: {a: {live: b, versions: {v: http://127.0.0.1:1}}}\n")
            .unwrap();
        let bad = file.display();
        for (verb, said) in [
            (Printed::Check, run(&format!("check {bad} --json"))),
            (Printed::Diff, house.run("diff --json")),
            (Printed::Events, house.run("events --json")),
            (Printed::Explain, house.run("explain GET http://shop.test/ --json")),
            (Printed::Export, house.run("export --json")),
            (Printed::History, house.run("history shop --json")),
            (Printed::Status, house.run("status --json")),
            (Printed::Version, run("version --json")),
        ] {
            let schema = of(verb);
            assert!(!said.out.is_empty(), "{verb:?}: {}", said.err);
            for line in said.out.lines() {
                let value: Value = serde_json::from_str(line).unwrap();
                let found = validator::violations(&schema, &schema, &value, "");
                assert!(found.is_empty(), "{verb:?}: {}", found.join("\n"));
            }
        }
    }
}
