//! Names that exist now, for completions: services and versions from the running server, or from the file if
//! none answers.
//!
//! Somebody is waiting with a finger on the tab key: whatever is slow or wrong, there are just no names.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap_complete::engine::CompletionCandidate;

use crate::admin::wire::ServicesPage;
use crate::app::Disk;
use crate::config::{self, Code};

use super::arguments::Global;
use super::client::{Client, block_on};
use super::locate;
use super::terminal::Terminal;

/// A service and its versions.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Known {
    service: String,
    versions: Vec<String>,
}

/// Every service.
pub fn services() -> Vec<CompletionCandidate> {
    known(&Typed::so_far()).into_iter().map(|it| CompletionCandidate::new(it.service)).collect()
}

/// The versions of the service that was typed; of all services if that says nothing.
pub fn versions() -> Vec<CompletionCandidate> {
    version_names().into_iter().map(CompletionCandidate::new).collect()
}

/// The same with an equals sign: `v42=`.
pub fn shares() -> Vec<CompletionCandidate> {
    version_names().into_iter().map(|it| CompletionCandidate::new(format!("{it}="))).collect()
}

/// Every error code.
pub fn codes() -> Vec<CompletionCandidate> {
    Code::ALL.iter().map(|it| CompletionCandidate::new(it.as_str())).collect()
}

fn version_names() -> Vec<String> {
    let typed = Typed::so_far();
    let known = known(&typed);
    let meant: Vec<&Known> = known.iter().filter(|it| Some(&it.service) == typed.service.as_ref()).collect();
    let meant = if meant.is_empty() { known.iter().collect() } else { meant };
    let mut names: Vec<String> = meant.into_iter().flat_map(|it| it.versions.clone()).collect();
    names.sort();
    names.dedup();
    names
}

fn known(typed: &Typed) -> Vec<Known> {
    from_server(&typed.global).or_else(|| from_file(&typed.global)).unwrap_or_default()
}

fn from_server(global: &Global) -> Option<Vec<Known>> {
    // What the search has to say would land in the middle of the line.
    let mut nowhere = Terminal::onto(Box::new(io::sink()), Box::new(io::sink()), global);
    let asked = block_on(async {
        let asking = async {
            let client = Client::find(global, &mut nowhere).await?;
            client.get::<ServicesPage>("/api/v1/services").await
        };
        Ok(tokio::time::timeout(PATIENCE, asking).await)
    });
    let page = asked.ok()?.ok()?.ok()?;
    let services = page.services.into_iter();
    let versions =
        |lanes: Vec<crate::admin::wire::LaneWire>| lanes.into_iter().map(|it| it.version).collect();
    Some(services.map(|it| Known { service: it.name, versions: versions(it.lanes) }).collect())
}

fn from_file(global: &Global) -> Option<Vec<Known>> {
    let config = config::load(&locate::config_file(global)?, &Disk).config?;
    let known = |it: &config::ServiceConfig| Known {
        service: it.spec.name.to_string(),
        versions: it.spec.versions.iter().map(|it| it.name.to_string()).collect(),
    };
    Some(config.services.iter().map(known).collect())
}

/// What stands on the line already. It is not complete, so nothing else can parse it.
#[derive(Debug, Default)]
struct Typed {
    global: Global,
    service: Option<String>,
}

impl Typed {
    fn so_far() -> Self {
        // The shell's script puts the line behind two dashes.
        Self::of(std::env::args_os().skip_while(|it| it != "--").skip(2))
    }

    fn of(words: impl Iterator<Item = OsString>) -> Self {
        let mut typed = Self::default();
        let mut names = Vec::new();
        let mut words = words.map(|it| it.to_string_lossy().into_owned());
        while let Some(word) = words.next() {
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => (flag.to_owned(), Some(value.to_owned())),
                _ => (word, None),
            };
            match flag.as_str() {
                "-c" | "--config" => typed.global.config = value.or_else(|| words.next()).map(PathBuf::from),
                "--server" => typed.global.server = value.or_else(|| words.next()),
                name if !name.starts_with('-') => names.push(flag),
                _ => {}
            }
        }
        // The verb comes first.
        typed.service = names.into_iter().nth(1);
        typed
    }
}

/// Longest wait for a server. What takes longer feels broken.
const PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed() {
        for (line, config, server, service) in [
            ("rollback shop --to", None, None, Some("shop")),
            ("-c a.yaml rollback shop", Some("a.yaml"), None, Some("shop")),
            (
                "rollback --config=a.yaml --server unix:/s shop -q",
                Some("a.yaml"),
                Some("unix:/s"),
                Some("shop"),
            ),
            ("status", None, None, None),
            ("status -c", None, None, None),
        ] {
            let typed = Typed::of(line.split(' ').map(OsString::from));
            let found = (
                typed.global.config.as_ref().and_then(|it| it.to_str()),
                typed.global.server.as_deref(),
                typed.service.as_deref(),
            );
            assert_eq!(found, (config, server, service), "{line}");
        }
    }
}
