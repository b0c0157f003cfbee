//! Versions that are added at run time: what the file would say of them, and what that means.
//!
//! A definition is kept as the text that one would paste into the file, so that it means the same tomorrow, reads
//! its certificates where they lie, and can be shown. What it does not say comes from `defaults`, as in the file.

use std::path::{Path, PathBuf};

use super::admin::is_door;
use super::code::Code;
use super::domain::Config;
use super::node::{Entry, Node, Value, Word};
use super::problem::{Problems, Report};
use super::source::{At, Files};
use super::tls::Credentials;
use super::version::{Scope, versions};
use super::written::{Line, Written};
use super::yaml;
use crate::model::{ServiceName, VersionName};
use crate::routing::VersionSpec;

/// A version that the file does not name.
#[derive(Clone, Debug)]
pub struct Addition {
    /// Its service.
    pub service: ServiceName,
    /// What it is.
    pub spec: VersionSpec,
    /// What the file would say, as one line of YAML.
    pub definition: String,
    /// Every file that it rests on.
    pub read: Vec<PathBuf>,
    /// Hash of their contents.
    pub digest: u64,
}

/// The version whose settings a new one takes over: all but its endpoints.
#[derive(Clone, Copy, Debug)]
pub enum Template<'a> {
    /// One that the file names.
    Filed(&'a VersionName),
    /// One that was added itself, by its definition.
    Added(&'a str),
}

/// What the file would say of a version with these endpoints that is otherwise like `template`. Settings of
/// TLS are taken over if there is anything that they concern.
pub fn define(
    config: &Config,
    service: &ServiceName,
    template: Template<'_>,
    endpoints: &[String],
) -> String {
    let like = match template {
        Template::Filed(name) => {
            let services = config.written.get("services").and_then(|it| it.get(service.as_str()));
            services.and_then(|it| it.get("versions")?.get(name.as_str())).cloned()
        }
        Template::Added(definition) => written(definition),
    };
    let text = |it: &String| Written::Text { text: it.clone(), plain: true };
    let list = match endpoints {
        [only] => text(only),
        all => Written::List(all.iter().map(text).collect()),
    };
    let secured = endpoints.iter().any(|it| {
        let scheme = it.split("://").next().unwrap_or_default();
        scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("h2")
    });
    let lines = like.as_ref().map_or(&[][..], Written::lines);
    let taken = lines.iter().filter(|it| it.key != "endpoints" && (it.key != "tls" || secured));
    let mut lines: Vec<Line> = taken.cloned().collect();
    if lines.is_empty() {
        return list.one_line();
    }
    lines.insert(0, Line::new("endpoints", list));
    Written::Map(lines).one_line()
}

/// What a definition means, as if it stood in the file at `path`. An error says everything that is wrong.
pub fn addition(
    config: &Config,
    path: &Path,
    (service, name): (&ServiceName, &VersionName),
    definition: &str,
    files: &dyn Files,
) -> Result<Addition, Problems> {
    let (mut problems, _, node) = read(definition, path)?;
    let mut credentials = Credentials::new(files);
    let at = At::file(node.at.file);
    let entry = Entry { key: Word { at, text: name.to_string() }, value: node };
    let map = Node { at, value: Value::Map(vec![entry]) };
    let found = versions(&map, at, config.health.as_ref(), &mut credentials, &mut problems);
    let specs = found.and_then(|versions| Scope { service: service.clone(), versions }.into_specs());
    let spec = specs.and_then(|it| it.into_iter().next()).filter(|_| !problems.has_errors());
    let Some(spec) = spec else { return Err(problems) };
    if let Some(endpoint) = spec.endpoints.iter().find(|it| is_door(it, &config.admin, files)) {
        let message = format!("version `{name}` leads to the admin interface: {endpoint}");
        problems.push(Report::error(Code::AdminExposed, at, message));
        return Err(problems);
    }
    let (read, digest) = (credentials.read, credentials.digest.digest());
    Ok(Addition { service: service.clone(), spec, definition: definition.to_owned(), read, digest })
}

/// A definition as it would be written.
pub(super) fn written(definition: &str) -> Option<Written> {
    read(definition, Path::new("")).ok().map(|it| it.1)
}

/// A definition as a tree, in the place of the file at `path`.
fn read(definition: &str, path: &Path) -> Result<(Problems, Written, Node), Problems> {
    let mut problems = Problems::default();
    let file = problems.add_source(path, definition);
    match yaml::parse(file, &mut problems) {
        Some(node) if !problems.has_errors() => {
            let written = Written::of(&node, &|_| None);
            Ok((problems, written, node))
        }
        _ => {
            if !problems.has_errors() {
                let message = "a version needs at least one endpoint";
                problems.push(Report::error(Code::NoVersions, At::file(file), message));
            }
            Err(problems)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{MemoryFiles, load};
    use super::*;

    const FILE: &str = "listen: 8080\ndefaults: {health: {path: /up}}\nservices:\n  shop:\n    live: v1\n    versions:\n      v1: {endpoints: [http://h:1], health: {path: /healthz, every: 5s}}\n      v2: http://h:2\n";

    fn config() -> Config {
        let loaded = load(Path::new("/etc/t.yaml"), &MemoryFiles::new().with("/etc/t.yaml", FILE));
        loaded.config.unwrap_or_else(|| panic!("{}", loaded.problems.render_human(false)))
    }

    fn defined(template: Template<'_>, endpoints: &[&str]) -> String {
        let endpoints: Vec<String> = endpoints.iter().map(|it| (*it).to_owned()).collect();
        // No certificate is read for what is only written down.
        let text = FILE.replace("every: 5s}", "every: 5s}, tls: {server_name: shop.internal}");
        let config = Config { written: Arc::new(written(&text).unwrap()), ..config() };
        define(&config, &"shop".parse().unwrap(), template, &endpoints)
    }

    fn means(definition: &str) -> Result<Addition, String> {
        means_where(&config(), definition)
    }

    fn means_where(config: &Config, definition: &str) -> Result<Addition, String> {
        let (service, name) = ("shop".parse().unwrap(), "v3".parse().unwrap());
        let files = MemoryFiles::new();
        addition(config, Path::new("/etc/t.yaml"), (&service, &name), definition, &files)
            .map_err(|it| it.iter().next().unwrap().message.clone())
    }

    #[test]
    fn no_version_is_the_door_of_operators() {
        let mut config = config();
        // This machine is 192.0.2.1.
        for (door, endpoint, refused) in [
            ("0.0.0.0:9900", "http://192.0.2.1:9900", true),
            ("[::]:9900", "http://192.0.2.1:9900", true),
            ("0.0.0.0:9900", "http://127.0.0.1:9900", true),
            ("0.0.0.0:9900", "http://192.0.2.1:9901", false),
            ("0.0.0.0:9900", "http://192.0.2.2:9900", false),
            ("127.0.0.1:9900", "http://192.0.2.1:9900", false),
        ] {
            config.admin.listen = Some(door.parse().unwrap());
            let said = means_where(&config, endpoint).map(drop);
            let message = format!("version `v3` leads to the admin interface: {}", &endpoint[7..]);
            assert_eq!(said, if refused { Err(message) } else { Ok(()) }, "{door} {endpoint}");
        }
    }

    #[test]
    fn everything_but_the_endpoints_comes_from_the_template() {
        let (v1, v2) = ("v1".parse().unwrap(), "v2".parse().unwrap());
        for (template, endpoints, expected) in [
            (Template::Filed(&v2), vec!["http://h:3"], "http://h:3"),
            (Template::Filed(&v2), vec!["http://h:3", "http://h:4"], "[http://h:3, http://h:4]"),
            (
                Template::Filed(&v1),
                vec!["http://h:3"],
                "{endpoints: http://h:3, health: {path: /healthz, every: 5s}}",
            ),
            (
                Template::Filed(&v1),
                vec!["https://h:3"],
                "{endpoints: https://h:3, health: {path: /healthz, every: 5s}, tls: {server_name: shop.internal}}",
            ),
            (
                Template::Added("{endpoints: http://h:3, health: {path: /x}}"),
                vec!["http://h:5"],
                "{endpoints: http://h:5, health: {path: /x}}",
            ),
        ] {
            assert_eq!(defined(template, &endpoints), expected);
        }
    }

    #[test]
    fn a_definition_means_what_it_would_in_the_file() {
        let it = means("{endpoints: http://h:3, health: {path: /healthz}}").unwrap();
        assert_eq!((it.spec.name.as_str(), it.spec.endpoints[0].url().as_str()), ("v3", "http://h:3"));
        let filed = config().services[0].spec.versions[1].clone();
        let same = means("http://h:2").unwrap();
        assert_eq!(same.spec.fingerprint, filed.fingerprint);
        assert_eq!(same.spec.health, filed.health, "what it does not say comes from `defaults`");
        for (definition, message) in [
            ("h:3", "endpoint `h:3` has no scheme"),
            ("{endpoints: http://h:3, weight: 5%}", "unknown key `weight`"),
            ("{endpoints: https://h:3, tls: {ca: ca.pem}}", "cannot read /etc/ca.pem: entity not found"),
            ("[]", "a version needs at least one endpoint"),
            ("", "a version needs at least one endpoint"),
        ] {
            let said = means(definition).unwrap_err();
            assert!(said.contains(message), "{definition}: {said}");
        }
    }
}
