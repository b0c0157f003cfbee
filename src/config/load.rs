//! From a path to a [`Config`]: reads the file and what it includes, and reports all problems at once.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3Default;

use super::access_log::access_log;
use super::account::account;
use super::admin::{self, AdminSpec};
use super::capacity::{memory_of, workers};
use super::code::Code;
use super::domain::{Authority, Config, Memory};
use super::fields::{self, Fields, Shape};
use super::listen;
use super::merged::Merged;
use super::node::Node;
use super::notifications::notifications;
use super::problem::{Problems, Report};
use super::route::{self, Names, Placed as PlacedRoute};
use super::service;
use super::source::{At, Files};
use super::tls::Credentials;
use super::trace::trace;
use super::yaml;
use crate::release::Promote;

pub(super) const FILE: Shape = Shape {
    name: "File",
    what: "the configuration",
    keys: &[
        "listen",
        "admin",
        "state",
        "user",
        "group",
        "workers",
        "memory",
        "authority",
        "access_log",
        "trace",
        "dns",
        "notify",
        "include",
        "defaults",
        "services",
        "routes",
    ],
};

pub(super) const INCLUDED: Shape =
    Shape { name: "Included", what: "an included file", keys: &["services", "routes"] };

/// What came of loading.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration; `None` when there is any error.
    pub config: Option<Config>,
    /// Where its server answers; known even if the rest of the file is wrong, so that an operator who
    /// broke the file still reaches the server that refuses it.
    pub doors: Option<Doors>,
    /// Everything that is wrong with it.
    pub problems: Problems,
    /// Every file that was read or looked for, and every directory that holds one or is searched: what
    /// a watcher has to watch.
    pub read: Vec<PathBuf>,
    /// Hash of the contents of all files: equal when nothing has changed.
    pub digest: u64,
}

/// What leads to the server that runs a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Doors {
    /// Where it answers operators.
    pub admin: AdminSpec,
    /// Its state directory; `None` leaves the choice to the environment.
    pub state: Option<PathBuf>,
    /// Whether it runs under an account of its own.
    pub own_account: bool,
}

/// Loads the file at `path` with everything that it includes. All problems are found in one pass.
pub fn load(path: &Path, files: &dyn Files) -> Loaded {
    let mut loader = Loader {
        files,
        problems: Problems::default(),
        doors: None,
        read: Vec::new(),
        digest: Xxh3Default::new(),
        credentials: Credentials::new(files),
        incomplete: false,
    };
    let config = loader.config(path);
    for path in std::mem::take(&mut loader.credentials.read) {
        loader.watch(&path);
    }
    loader.digest.update(&loader.credentials.digest.digest().to_le_bytes());
    loader.problems.sort();
    loader.problems.redact();
    let config = config.filter(|_| !loader.problems.has_errors());
    loader.read.sort();
    loader.read.dedup();
    let Loader { doors, problems, read, digest, .. } = loader;
    Loaded { config, doors, problems, read, digest: digest.digest() }
}

struct Loader<'a> {
    files: &'a dyn Files,
    problems: Problems,
    doors: Option<Doors>,
    read: Vec<PathBuf>,
    digest: Xxh3Default,
    credentials: Credentials<'a>,
    /// Whether services or routes are missing that somebody has written.
    incomplete: bool,
}

impl Loader<'_> {
    fn config(&mut self, path: &Path) -> Option<Config> {
        let (file, root) = self.file(path)?;
        let at = At::file(file);
        let Some(root) = root else {
            // A problem has been reported unless the file is empty.
            if !self.problems.has_errors() {
                let report = Report::error(Code::Missing, at, "the configuration is empty");
                self.problems.push(report.help("the smallest one has `listen` and `services`"));
            }
            return None;
        };
        let fields = Fields::of(&root, at, &FILE, &mut self.problems)?;
        let mut merged = Merged::default();
        self.merge(&fields, &mut merged);
        if let Some(include) = fields.get("include") {
            self.include(include, path, &mut merged);
        }
        self.assemble(&fields, &root, at, merged)
    }

    /// Reads and parses a file. `Some((_, None))` when it holds nothing or is no YAML.
    fn file(&mut self, path: &Path) -> Option<(usize, Option<Node>)> {
        self.watch(path);
        let bytes = self.files.read(path);
        self.content(path, bytes)
    }

    fn content(&mut self, path: &Path, bytes: io::Result<Vec<u8>>) -> Option<(usize, Option<Node>)> {
        let bytes = match bytes {
            Ok(it) => it,
            Err(error) => {
                self.digest.update(b"unreadable");
                let file = self.problems.add_source(path, "");
                let message = format!("cannot read the file: {error}");
                self.problems.push(Report::error(Code::Unreadable, At::file(file), message));
                return None;
            }
        };
        self.digest.update(&(bytes.len() as u64).to_le_bytes());
        self.digest.update(&bytes);
        let file = match self.decode(path, &bytes) {
            Ok(file) => file,
            Err(file) => return Some((file, None)),
        };
        Some((file, yaml::parse(file, &mut self.problems)))
    }

    /// The text of a file as a source. `Err` when it is not a text that can be parsed.
    fn decode(&mut self, path: &Path, bytes: &[u8]) -> Result<usize, usize> {
        if bytes.len() > yaml::FILE_BYTES_MAX {
            let file = self.problems.add_source(path, "");
            let message =
                format!("the file has {} bytes; at most {} are read", bytes.len(), yaml::FILE_BYTES_MAX);
            self.problems.push(Report::error(Code::TooLarge, At::file(file), message));
            return Err(file);
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(it) => it,
            Err(error) => {
                let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
                let file = self.problems.add_source(path, &good);
                let at = At { file, start: good.len(), end: good.len() };
                let message = format!("the file is not UTF-8 from byte {}", error.valid_up_to());
                self.problems.push(Report::error(Code::Encoding, at, message));
                return Err(file);
            }
        };
        // Some editors put a byte order mark in front.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let file = self.problems.add_source(path, text);
        let bad = |c: char| yaml::is_invisible(c) && !matches!(c, '\n' | '\r' | '\t');
        if let Some((start, c)) = text.char_indices().find(|it| bad(it.1)) {
            let at = At { file, start, end: start + c.len_utf8() };
            let message =
                format!("the invisible character {} cannot stand in a configuration", c.escape_unicode());
            self.problems.push(Report::error(Code::Encoding, at, message));
            return Err(file);
        }
        Ok(file)
    }

    fn watch(&mut self, path: &Path) {
        self.read.push(path.to_owned());
        self.watch_directory_of(path);
    }

    fn watch_directory_of(&mut self, path: &Path) {
        let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
        self.read.push(parent.unwrap_or(Path::new(".")).to_owned());
    }

    /// Takes over the services and routes of one file.
    fn merge(&mut self, fields: &Fields<'_>, merged: &mut Merged) {
        if let Some(node) = fields.get("services") {
            let entries = fields::entries(node, "`services`", &mut self.problems);
            self.incomplete |= entries.is_none();
            for entry in entries.unwrap_or_default() {
                if entry.value.is_null() {
                    continue;
                }
                match merged.names.get(&entry.key.text) {
                    Some(first) => {
                        let message = format!("service `{}` is defined twice", yaml::shown(&entry.key.text));
                        let report =
                            Report::error(Code::DefinedTwice, entry.key.at, message).label("again here");
                        self.problems.push(report.related(*first, "first defined here"));
                    }
                    None => {
                        merged.names.insert(entry.key.text.clone(), entry.key.at);
                        merged.services.push(entry.clone());
                    }
                }
            }
        }
        if let Some(node) = fields.get("routes") {
            let items = fields::items(node, "`routes` is a list", &mut self.problems);
            self.incomplete |= items.is_none();
            merged.routes.extend(items.unwrap_or_default().into_iter().cloned());
        }
    }

    /// `include`: a path, a pattern, or a list of them.
    fn include(&mut self, node: &Node, root: &Path, merged: &mut Merged) {
        let items = fields::one_or_more(node, "`include` is a path or a list of paths", &mut self.problems);
        let mut done = vec![root.to_owned()];
        for item in items.unwrap_or_default() {
            let Some(pattern) = fields::path(item, &mut self.problems) else { continue };
            for path in self.included_paths(item, pattern) {
                if done.contains(&path) {
                    continue;
                }
                self.included(&path, item, merged);
                done.push(path);
            }
        }
    }

    fn included_paths(&mut self, item: &Node, pattern: PathBuf) -> Vec<PathBuf> {
        let is_wild = |it: &std::ffi::OsStr| it.to_string_lossy().contains(['*', '?']);
        let parent = pattern.parent().unwrap_or(Path::new(""));
        if parent.iter().any(is_wild) {
            let message = "only the last part of an include can be a pattern";
            self.problems
                .push(Report::error(Code::Include, item.at, message).help("for example conf.d/*.yaml"));
            return Vec::new();
        }
        if !pattern.file_name().is_some_and(is_wild) {
            return vec![pattern];
        }
        self.watch_directory_of(&pattern);
        match self.files.list(&pattern) {
            Ok(paths) if paths.is_empty() => {
                let message = format!("no file matches {}", pattern.display());
                self.problems.push(Report::warning(Code::Include, item.at, message));
                paths
            }
            Ok(paths) => paths,
            Err(error) => {
                let message = format!("cannot list {}: {error}", pattern.display());
                self.problems.push(Report::error(Code::Include, item.at, message));
                Vec::new()
            }
        }
    }

    fn included(&mut self, path: &Path, item: &Node, merged: &mut Merged) {
        self.watch(path);
        let bytes = self.files.read(path);
        if bytes.as_ref().is_err_and(|it| it.kind() == io::ErrorKind::NotFound) {
            self.digest.update(b"missing");
            self.incomplete = true;
            let message = format!("{} does not exist", path.display());
            self.problems.push(
                Report::error(Code::Include, item.at, message)
                    .help("paths are relative to the file that names them; a pattern may match nothing"),
            );
            return;
        }
        let Some((file, Some(root))) = self.content(path, bytes) else {
            self.incomplete = true;
            return;
        };
        match Fields::of(&root, At::file(file), &INCLUDED, &mut self.problems) {
            Some(fields) => self.merge(&fields, merged),
            None => self.incomplete = true,
        }
    }

    fn assemble(&mut self, fields: &Fields<'_>, root: &Node, at: At, merged: Merged) -> Option<Config> {
        let (problems, credentials) = (&mut self.problems, &mut self.credentials);
        let listeners = match fields.required("listen", "for example listen: 8080", problems) {
            Some(it) => listen::listen(&it.value, credentials, problems),
            None => Vec::new(),
        };
        let admin =
            fields.read("admin", problems, |node, problems| admin::admin(node, credentials, problems));
        let (admin, admin_at) = admin.unwrap_or((AdminSpec::default(), None));
        listen::clashes(&listeners, &admin, admin_at, problems);
        let state = fields.read("state", problems, fields::path);
        let own_account = fields.get("user").is_some();
        self.doors = Some(Doors { admin: admin.clone(), state: state.clone(), own_account });
        let account = account(fields, self.files, problems);
        let workers = fields.read("workers", problems, workers).flatten();
        let access_log = fields.read("access_log", problems, access_log).flatten();
        let trace = fields.read("trace", problems, trace).flatten();
        let mut dns = fields.read("dns", problems, super::dns::dns).unwrap_or_default();
        dns.closed = admin.listen;
        let mut memory = Memory::default();
        fields.set("memory", &mut memory, problems, memory_of);
        let defaults = fields.read("defaults", problems, service::defaults).unwrap_or_default();
        let services: Vec<service::Placed> =
            merged.services.iter().map(|it| service::service(it, &defaults, credentials, problems)).collect();
        let notify = fields.read("notify", problems, |node, problems| {
            notifications(node, &merged.services, credentials, problems)
        });
        admin::exposed(&services, &admin, self.files, problems);
        let names = Names::new(merged.services.iter().map(|it| it.key.text.as_str()).collect());
        let routes: Vec<Option<PlacedRoute>> =
            merged.routes.iter().map(|it| route::route(it, &names, problems)).collect();
        if merged.services.is_empty() && merged.routes.is_empty() && !self.incomplete {
            let report =
                Report::error(Code::NoServices, at, "nothing to route to: no services and no routes");
            problems.push(
                report.help(
                    "add a service: services: {shop: {live: v1, versions: {v1: http://10.0.1.10:3000}}}",
                ),
            );
        }
        let authority = authority(fields, &services, problems);
        let matcher = route::matcher(routes, &services, problems);
        let written = merged.written(root, problems);
        Some(Config {
            listeners: listeners.into_iter().map(|it| it.spec).collect(),
            admin,
            state,
            account,
            workers,
            access_log,
            trace,
            health: defaults.health.clone(),
            authority,
            notify: notify.unwrap_or_default(),
            dns: Arc::new(dns),
            memory,
            services: services.into_iter().map(|it| it.config).collect::<Option<_>>()?,
            matcher: Arc::new(matcher?),
            written: Arc::new(written),
        })
    }
}

/// `authority`. Where the file alone decides, nobody can say yes to a gate that asks a person.
fn authority(fields: &Fields<'_>, services: &[service::Placed], problems: &mut Problems) -> Authority {
    let Some(entry) = fields.entry("authority") else { return Authority::default() };
    let choices = [Authority::Anyone, Authority::Git].map(|it| (it.as_str(), it));
    let chosen = fields::choice(&entry.value, &choices, problems).unwrap_or_default();
    let asks = |it: &&service::Placed| {
        let plan = it.config.as_ref().map(|it| &it.plan);
        plan.is_some_and(|it| it.promote == Promote::Manual || it.steps.iter().any(|it| it.approval))
    };
    if let (Authority::Git, Some(asking)) = (chosen, services.iter().find(asks)) {
        let message = "a gate asks a person, and none may say yes";
        problems.push(
            Report::warning(Code::GateUnanswered, entry.key.at, message)
                .related(asking.at, "the rollout of this service waits for a person")
                .help("a release goes on once the file has no such gate; a check can ask elsewhere"),
        );
    }
    chosen
}
