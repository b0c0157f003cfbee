//! `tidegate schema`: the JSON Schema of the configuration file, or of what a verb prints with `--json`.

use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::admin::wire::{
    CommandDone, ConfigState, DiffReply, ExplainReply, HistoryPage, ReloadReply, ServiceWire, StatusWire,
    UpgradeReply,
};
use crate::config;

use super::printed::{
    CodeJson, EventLineJson, ImportJson, NotifiedJson, ReplayedJson, TokenJson, VersionJson,
};
use super::terminal::Terminal;
use super::{Outcome, demo, exit, simulate};

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
    /// What a verb that changes a release prints with --json.
    #[value(aliases = [
        "deploy", "promote", "pause", "resume", "rollback", "abort", "undo", "weight", "retry", "freeze", "unfreeze",
    ])]
    Command,
    /// `demo --json`.
    Demo,
    /// `diff --json`.
    Diff,
    /// `events --json`: each line, of both kinds.
    Events,
    /// `explain METHOD URL --json`.
    Explain,
    /// `explain CODE --json`.
    ExplainCode,
    /// `export --json`.
    Export,
    /// `history --json`.
    History,
    /// `import --json`.
    Import,
    /// `notify --test --json`: each line.
    Notify,
    /// `reload --json`.
    Reload,
    /// `replay --json`: each line.
    Replay,
    /// `status SERVICE --json`; each line of `status --wait --json` and of `deploy --wait --json`.
    Service,
    /// `simulate --json`.
    Simulate,
    /// `status --json`.
    Status,
    /// `token --json`.
    Token,
    /// `upgrade --json`.
    Upgrade,
    /// `version --json`.
    Version,
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
        Some(Printed::Command) => "tidegate promote SERVICE --json".into(),
        Some(Printed::Service) => "tidegate status SERVICE --json".into(),
        Some(Printed::ExplainCode) => "tidegate explain TG0203 --json".into(),
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
        Printed::Command => made::<CommandDone>(),
        Printed::Demo => made::<demo::Report>(),
        Printed::Diff => made::<DiffReply>(),
        Printed::Events => made::<EventLineJson<'static>>(),
        Printed::Explain => made::<ExplainReply>(),
        Printed::ExplainCode => made::<CodeJson>(),
        Printed::Export => made::<ConfigState>(),
        Printed::History => made::<HistoryPage>(),
        Printed::Import => made::<ImportJson>(),
        Printed::Notify => made::<NotifiedJson>(),
        Printed::Reload => made::<ReloadReply>(),
        Printed::Replay => made::<ReplayedJson>(),
        Printed::Service => made::<ServiceWire>(),
        Printed::Simulate => made::<simulate::Report>(),
        Printed::Status => made::<StatusWire>(),
        Printed::Token => made::<TokenJson>(),
        Printed::Upgrade => made::<UpgradeReply>(),
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
    use clap::CommandFactory;

    use super::super::Arguments;
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

    /// Every verb has a schema, but for those that print no data of their own.
    #[test]
    fn every_verb_that_prints_json_has_a_schema() {
        let without = ["init", "run", "schema", "completions", "man"];
        for verb in Arguments::command().get_subcommands() {
            let known = Printed::from_str(verb.get_name(), false).is_ok();
            assert_ne!(known, without.contains(&verb.get_name()), "{}", verb.get_name());
        }
    }

    /// With `--follow` what becomes of notifications comes as lines of its own.
    #[test]
    fn each_line_of_events_is_of_one_kind() {
        let schema = of(Printed::Events);
        let lines = super::super::tests::events_and_notifications();
        let kinds: Vec<bool> = lines
            .lines()
            .map(|text| {
                let value: Value = serde_json::from_str(text).unwrap();
                let found = validator::violations(&schema, &schema, &value, "");
                assert!(found.is_empty(), "{text}: {}", found.join("\n"));
                let all = schema["anyOf"].as_array().unwrap().iter();
                let fits = all.filter(|it| validator::violations(&schema, it, &value, "").is_empty());
                assert_eq!(fits.count(), 1, "{text}");
                value.get("notification").is_some()
            })
            .collect();
        assert!(kinds.contains(&true) && kinds.contains(&false), "{lines}");
        let neither = serde_json::json!({"id": 1});
        assert!(!validator::violations(&schema, &schema, &neither, "").is_empty());
    }

    #[test]
    fn what_is_printed_follows_its_schema() {
        let house = House::start();
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let bad =
            file("bad.yaml", "listen: 8080\nservices: {a: {live: b, versions: {v: http://127.0.0.1:1}}}\n");
        // The kernel gives port 1 to nobody.
        let good = file(
            "good.yaml",
            "listen: 8080\nnotify: [{webhook: 'http://127.0.0.1:1/', local: allow}]\nservices: {a: {live: v, versions: {v: http://127.0.0.1:1}, rollout: {steps: [10% for 1m]}}}\n",
        );
        let nginx =
            file("nginx.conf", "server { listen 80; gzip on; location / { proxy_pass http://10.0.0.1; } }");
        let by_server = [
            (Printed::Command, "promote shop"),
            (Printed::Command, "pause shop"),
            (Printed::Command, "resume shop"),
            (Printed::Command, "rollback shop"),
            (Printed::Command, "weight shop v2=10%"),
            (Printed::Command, "retry shop"),
            (Printed::Command, "deploy shop v3=http://h:3"),
            (Printed::Command, "freeze --for 1h"),
            (Printed::Command, "unfreeze"),
            (Printed::Diff, "diff"),
            (Printed::Events, "events"),
            (Printed::Explain, "explain GET http://shop.test/"),
            (Printed::Export, "export"),
            (Printed::Export, "export --effective"),
            (Printed::History, "history shop"),
            (Printed::Reload, "reload"),
            (Printed::Service, "status shop"),
            (Printed::Service, "status blog --wait"),
            (Printed::Service, "status --wait --timeout 1ms"),
            (Printed::Service, "deploy shop v3=http://h:3 --wait"),
            (Printed::Status, "status"),
            (Printed::Upgrade, "upgrade"),
        ];
        let alone = [
            (Printed::Check, format!("check {bad}")),
            (Printed::Check, format!("check {good} --probe")),
            (Printed::ExplainCode, "explain TG0203".to_owned()),
            (Printed::Import, format!("import {nginx}")),
            (Printed::Notify, format!("notify --test -c {good}")),
            (Printed::Simulate, format!("simulate -c {good} --runs 1 --limit 10m")),
            (Printed::Token, "token".to_owned()),
            (Printed::Version, "version".to_owned()),
        ];
        let mut tried = vec![
            // `tests/demo.rs` and `tests/replay.rs` look at these, which take a while.
            Printed::Demo,
            Printed::Replay,
        ];
        let said = by_server.map(|(of, line)| (of, line.to_owned(), house.run(&format!("{line} --json"))));
        let more = alone.map(|(of, line)| (of, run(&format!("{line} --json")), line));
        let more = more.map(|(of, said, line)| (of, line, said));
        for (verb, line, said) in said.into_iter().chain(more) {
            let schema = of(verb);
            assert!(!said.out.is_empty(), "{line}: {}", said.err);
            for text in said.out.lines() {
                let value: Value = serde_json::from_str(text).unwrap();
                let found = validator::violations(&schema, &schema, &value, "");
                assert!(found.is_empty(), "{line}: {}", found.join("\n"));
            }
            tried.push(verb);
        }
        for it in Printed::value_variants() {
            assert!(tried.contains(it), "nothing follows the schema of {it:?}");
        }
    }
}
