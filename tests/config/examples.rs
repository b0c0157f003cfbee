//! Every file of `config/` is complete: it loads without any problem and follows the schema.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tidegate::config::{
    Account, Config, Files, MemoryFiles, NoAccount, Replaced, load, name_matches, schema,
};

use super::validator::{resolve, violations};

/// The files on the disk.
struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.strip_prefix(super::package("config/certs")) {
            // Made by `config/certs/make` where somebody uses them.
            Ok(name) => Ok(super::certs::made(name)),
            Err(_) => fs::read(path),
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        let value = match name {
            "HOOK_SECRET" => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "SLACK_URL" => "https://hooks.slack.com/services/T0/B0/x",
            "DEPLOY_TOKEN" => "github_pat_x",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn authorities(&self) -> Vec<Vec<u8>> {
        vec![super::certs::authority()]
    }

    fn account(&self, user: &str, group: Option<&str>) -> Result<Account, NoAccount> {
        MemoryFiles::new().account(user, group)
    }

    fn list(&self, pattern: &Path) -> io::Result<Vec<PathBuf>> {
        let directory = pattern.parent().expect("a pattern has a directory");
        let name = pattern.file_name().and_then(|it| it.to_str()).unwrap_or_default();
        let entries: io::Result<Vec<_>> = fs::read_dir(directory)?.map(|it| it.map(|it| it.path())).collect();
        let fits =
            |it: &PathBuf| it.file_name().and_then(|it| it.to_str()).is_some_and(|it| name_matches(name, it));
        let mut paths: Vec<PathBuf> = entries?.into_iter().filter(fits).collect();
        paths.sort();
        Ok(paths)
    }
}

#[test]
fn examples_load_without_a_problem() {
    let examples = super::files_of("config", "yaml");
    assert!(examples.len() >= 6, "{examples:?}");
    for path in examples {
        let loaded = load(&path, &Disk);
        let shown = loaded.problems.render_human(false);
        assert_eq!(loaded.problems.counts(), (0, 0), "{shown}");
        assert!(loaded.config.is_some());
        assert!(loaded.read.contains(&path));
    }
}

#[test]
fn examples_follow_the_schema_and_use_all_of_it() {
    let schema = schema();
    let included = resolve(&schema, "#/definitions/Included");
    let mut used = BTreeSet::new();
    let main = super::files_of("config", "yaml").into_iter().map(|it| (it, &schema));
    let parts = super::files_of("config/conf.d", "yaml").into_iter().map(|it| (it, included));
    for (path, part) in main.chain(parts) {
        let value: Value = yaml(&super::read(&path));
        let found = violations(&schema, part, &value, "");
        assert!(found.is_empty(), "{}:\n{}", path.display(), found.join("\n"));
        keys_of(&value, &mut used);
    }
    let unused: Vec<String> =
        super::reference::keys(&schema).into_iter().filter(|it| !used.contains(it)).collect();
    assert!(unused.is_empty(), "keys that no example shows: {unused:?}");
}

/// YAML 1.2 as another reader sees it.
fn yaml(text: &str) -> Value {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).expect("it is YAML")
}

fn keys_of(value: &Value, used: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            used.insert(key.clone());
            keys_of(value, used);
        }),
        Value::Array(items) => items.iter().for_each(|it| keys_of(it, used)),
        _ => {}
    }
}

/// What the schema refuses, the reader refuses too, and the other way round, for mistakes of form.
#[test]
fn schema_refuses_what_the_reader_refuses() {
    let schema = schema();
    for text in [
        "listen: 8080\nservices: {a: {live: v1, versions: {v1: http://h}, host: x}}",
        "listen: 8080\nservices: {a: {versions: {v1: http://h}}}",
        "listen: 8080\nservices: {a: {live: v1, versions: {v1: http://h}, timeouts: {connect: 5}}}",
        "listen: 8080\nservices: {a: {live: v1, versions: {v1: http://h}, balance: random}}",
        "listen: {http: {port: 8080, merge_slashes: 1}}\nservices: {a: {live: v1, versions: {v1: http://h}}}",
        "services: {a: {live: v1, versions: {v1: http://h}}}",
    ] {
        let value: Value = yaml(text);
        assert!(!violations(&schema, &schema, &value, "").is_empty(), "{text}");
        let files = MemoryFiles::new().with("a.yaml", text);
        assert!(load(Path::new("a.yaml"), &files).problems.has_errors(), "{text}");
    }
}

/// JSON is YAML: every example means the same in both forms.
#[test]
fn examples_mean_the_same_as_json() {
    for path in super::files_of("config", "yaml") {
        let text = super::read(&path);
        let value: Value = yaml(&text);
        let json = serde_json::to_string_pretty(&value).expect("plain values");
        let from_yaml = load(&path, &Disk).config.expect("checked above");
        let from_json = load(&path, &Replaced { path: &path, text: &json, files: &Disk })
            .config
            .expect("the same as JSON");
        assert_eq!(outline(&from_yaml), outline(&from_json), "{}", path.display());
    }
}

/// What does not depend on the order of keys, which the way through JSON does not keep.
fn outline(config: &Config) -> (BTreeSet<String>, BTreeSet<String>) {
    let listeners = config.listeners.iter().map(|it| format!("{it:?}")).collect();
    let services = config.services.iter().map(|it| {
        let spec = &it.spec;
        let mut versions: Vec<String> = spec.versions.iter().map(|it| format!("{it:?}")).collect();
        versions.sort();
        let live = spec.versions[it.live.0].name.clone();
        let rest =
            (&spec.balance, &spec.sticky, spec.timeouts, spec.limits, spec.error_status, &spec.client_key);
        format!("{} {versions:?} {live} {rest:?} {:?} {:?}", spec.name, it.plan, it.split.len())
    });
    (listeners, services.collect())
}

/// What is exported means the same, with and without the defaults: every example, and every fixture of a rule
/// that is only warned about. So the defaults in the reference are those that count.
#[test]
fn exports_mean_the_same() {
    let examples = super::files_of("config", "yaml");
    let mut seen = examples.iter().filter(|it| exports_the_same(it, &Disk)).count();
    for path in super::files_of("tests/config/rules", "txt") {
        let files = super::rules::given(&super::read(&path));
        seen += usize::from(exports_the_same(Path::new("tidegate.yaml"), &files));
    }
    assert!(seen >= examples.len() + 5, "{seen}");
}

/// Whether the file can be loaded at all.
#[track_caller]
fn exports_the_same(path: &Path, files: &dyn Files) -> bool {
    let Some(config) = load(path, files).config else { return false };
    let read_again = |text: &str| {
        let again = load(path, &Replaced { path, text, files });
        let shown = again.problems.render_human(false);
        again.config.unwrap_or_else(|| panic!("{}: {shown}\n{text}", path.display()))
    };
    for text in [config.written.yaml(), config.written.effective(&[]).yaml()] {
        assert_eq!(meaning(&read_again(&text)), meaning(&config), "{}:\n{text}", path.display());
    }
    let text = config.written.yaml();
    assert_eq!(read_again(&text).written.yaml(), text, "{}", path.display());
    true
}

/// Everything but the spelling.
fn meaning(config: &Config) -> String {
    let routes: Vec<_> = config.matcher.routes().collect();
    let Config {
        listeners,
        admin,
        state,
        account,
        workers,
        access_log,
        trace,
        memory,
        notify,
        services,
        dns,
        ..
    } = config;
    format!(
        "{listeners:#?}{admin:#?}{state:?}{account:?}{workers:?}{access_log:?}{trace:?}{memory:?}{notify:#?}{services:#?}{dns:?}{routes:#?}"
    )
}
