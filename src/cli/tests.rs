//! Verbs from the typed line to what is printed, against a scripted house behind a real socket.

mod commands;
mod files;
mod hostile;
mod shown;
mod steps;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use clap::{CommandFactory, Parser};
use tokio::sync::oneshot;

use super::*;
use crate::admin::script::{Running, Scripted, advanced, notification};
use crate::admin::wire::{EventWire, EventsPage};
use crate::runtime::spawn_thread;

/// A scripted house on a thread of its own, because verbs bring their own runtime.
pub(super) struct House {
    script: Arc<Scripted>,
    socket: PathBuf,
    address: String,
    token: String,
    thread: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl House {
    pub(super) fn start() -> Self {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = spawn_thread("house", None, move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let it = Running::start();
                let parts = (Arc::clone(&it.house), it.socket.clone(), it.address.to_string(), it.token());
                tell.send(parts).unwrap();
                let _ = stopped.await;
            });
        });
        let (script, socket, address, token) = told.recv().unwrap();
        Self { script, socket, address, token, thread: Some((stop, thread.unwrap())) }
    }

    /// Runs `tidegate LINE` against this house.
    pub(super) fn run(&self, line: &str) -> Said {
        run(&format!("--server unix:{} {line}", self.socket.display()))
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.thread.take() {
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

/// What a verb printed and how it ended.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) code: u8,
    pub(super) out: String,
    pub(super) err: String,
}

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn run(line: &str) -> Said {
    let words = std::iter::once("tidegate").chain(line.split_whitespace());
    let arguments = Arguments::try_parse_from(words).unwrap_or_else(|it| panic!("{it}"));
    let (out, err) = (Paper::default(), Paper::default());
    let mut terminal = Terminal::onto(Box::new(out.clone()), Box::new(err.clone()), &arguments.global);
    let ended = perform(&arguments, &mut terminal);
    let code = ended.unwrap_or_else(|failure| failure.tell(&mut terminal));
    Said { code, out: out.text(), err: err.text() }
}

/// What `events --follow --json --notifications all` prints of a page that has both.
pub(super) fn events_and_notifications() -> String {
    let words = ["tidegate", "--json", "events"];
    let global = Arguments::try_parse_from(words).unwrap().global;
    let out = Paper::default();
    let mut terminal = Terminal::onto(Box::new(out.clone()), Box::new(io::sink()), &global);
    let page = EventsPage {
        events: vec![EventWire::from(&advanced(7))],
        notifications: ["delivered", "retried", "failed"].map(|it| notification(9, 7, it)).to_vec(),
        ..EventsPage::default()
    };
    events::print(&page, events::Which::All, &mut terminal).unwrap();
    out.text()
}

#[test]
fn arguments_are_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn every_verb_and_exit_code_is_documented() {
    let page = include_str!("../../docs/reference/cli.md");
    for verb in Arguments::command().get_subcommands() {
        let row = format!("| `tidegate {}", verb.get_name());
        assert!(page.contains(&row), "{row}");
    }
    // Those of the source and no others; 101 is what a panic ends with.
    let source = include_str!("exit.rs").lines().filter_map(|it| it.strip_prefix("pub const "));
    let known = source.map(|it| it.rsplit_once(' ').unwrap().1.trim_end_matches(';'));
    let known: BTreeSet<u8> = known.map(|it| it.parse().unwrap()).chain([101]).collect();
    let table = page.split_once("## Exit codes").unwrap().1.split_once("\n## ").unwrap().0;
    let rows = table.lines().filter_map(|it| it.strip_prefix("| ")?.split(' ').next()?.parse().ok());
    assert_eq!(rows.collect::<BTreeSet<u8>>(), known);
}

/// Every long flag of a verb stands in its row, and none that it does not know.
#[test]
fn every_flag_is_documented_and_no_other() {
    let page = include_str!("../../docs/reference/cli.md");
    let (verbs, rest) = page.split_once("## Verbs").unwrap().1.split_once("\n## ").unwrap();
    let longs = |it: &clap::Command, global: bool| -> BTreeSet<String> {
        let own = it.get_arguments().filter(|it| it.is_global_set() == global);
        own.filter_map(|it| it.get_long()).filter(|it| *it != "help").map(str::to_owned).collect()
    };
    let said = |text: &str| -> BTreeSet<String> {
        let flags = text.split("--").skip(1);
        let flags = flags.map(|it| {
            let end = it.find(|it: char| !it.is_ascii_lowercase() && it != '-').unwrap_or(it.len());
            it[..end].to_owned()
        });
        // The lines of a table are drawn with dashes.
        flags.filter(|it| !it.trim_matches('-').is_empty()).collect()
    };
    let whole = Arguments::command();
    let of_all = longs(&whole, true);
    let table = rest.split_once("\n## ").unwrap().0;
    assert_eq!(said(table), of_all, "flags of every verb");
    for verb in whole.get_subcommands() {
        let (with, without) =
            (format!("| `tidegate {} ", verb.get_name()), format!("| `tidegate {}`", verb.get_name()));
        let rows = verbs.lines().filter(|it| it.starts_with(&with) || it.starts_with(&without));
        let said = said(&rows.collect::<Vec<_>>().join(" "));
        let own = longs(verb, false);
        let missing: Vec<_> = own.difference(&said).filter(|it| *it != "header").collect();
        let strange: Vec<_> = said.iter().filter(|it| !own.contains(*it) && !of_all.contains(*it)).collect();
        assert!(missing.is_empty() && strange.is_empty(), "{}: {missing:?} {strange:?}", verb.get_name());
    }
}

#[test]
fn misspelled_verbs_and_flags_are_recognised() {
    for (line, meant) in [
        ("statsu", "'status'"),
        ("rolback shop", "'rollback'"),
        ("promote shop --ful", "'--full'"),
        ("diff --exit-cod", "'--exit-code'"),
    ] {
        let words = std::iter::once("tidegate").chain(line.split_whitespace());
        let error = Arguments::try_parse_from(words).unwrap_err();
        let text = error.render().to_string();
        assert!(text.contains(meant) && error.exit_code() == i32::from(exit::USAGE), "{line}: {text}");
    }
    assert!(Arguments::try_parse_from(["tidegate", "init", "--blue-green", "--canary"]).is_err());
}

/// Every code that can be printed has a text that says more than its title.
#[test]
fn every_error_code_is_explained() {
    for code in crate::config::Code::ALL {
        let said = run(&format!("explain {code}"));
        let long = said.out.split_once("\n\n").is_some_and(|it| it.1.trim().len() > 40);
        assert!(said.code == exit::DONE && long, "{code}: {}", said.out);
    }
}

#[test]
fn over_tcp_reading_is_open_and_changing_is_not() {
    let house = House::start();
    let by_tcp = |line: &str| run(&format!("--server http://{} {line}", house.address));
    assert_eq!(by_tcp("status").code, exit::DONE);
    let said = by_tcp("promote shop");
    assert_eq!(said.code, exit::UNREACHABLE);
    assert!(said.err.contains("TIDEGATE_TOKEN to a token of the role `operate`"), "{}", said.err);
    assert!(!said.err.contains(&house.token));
}

#[test]
fn the_server_is_found_by_its_file() {
    let house = House::start();
    let directory = house.socket.parent().unwrap();
    let file = directory.join("tg.yaml");
    let services = "services: {a: {live: b, versions: {b: http://127.0.0.1:2}}}";
    std::fs::write(&file, format!("{{listen: 1, state: {}, {services}}}", directory.display())).unwrap();
    let said = run(&format!("status -c {}", file.display()));
    assert_eq!(said.code, exit::DONE, "{}", said.err);
    // The token lies in the same state directory, so TCP works as well.
    let by_tcp = format!("promote shop -c {} --server http://{}", file.display(), house.address);
    assert_eq!(run(&by_tcp).code, exit::DONE);
    let said = run("status -c /nowhere/tg.yaml");
    assert_eq!((said.code, said.err.contains("/nowhere/tg.yaml")), (exit::CONFIG, true));
}

#[test]
fn nobody_there() {
    let said = run("--server unix:/nowhere/admin.sock status");
    assert_eq!(said.code, exit::UNREACHABLE);
    assert!(said.err.starts_with("error: no server answers\n  unix:/nowhere/admin.sock: "), "{}", said.err);
    assert_eq!(run("--server nonsense status").code, exit::USAGE);
}

#[test]
fn verbs_that_need_no_server() {
    assert!(run("version").out.starts_with(&format!("tidegate {} (", env!("CARGO_PKG_VERSION"))));
    let schema: serde_json::Value = serde_json::from_str(&run("schema").out).unwrap();
    assert!(schema["$schema"].as_str().unwrap().contains("draft-07"));
    let said = run("explain TG0101");
    assert!(said.code == exit::DONE && said.out.starts_with("TG0101: "), "{}", said.out);
    assert_eq!(run("explain TG9999").code, exit::USAGE);
    let version: serde_json::Value = serde_json::from_str(&run("version --json").out).unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    let said = run("man");
    assert!(said.out.contains(".TH tidegate 1"), "{}", said.out);
    let directory = tempfile::tempdir().unwrap();
    let said = run(&format!("man --out {}/man1", directory.path().display()));
    assert_eq!(said.code, exit::DONE, "{}", said.err);
    assert!(said.out.lines().all(|it| std::path::Path::new(it).exists()), "{}", said.out);
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(&format!("completions {shell}")).out.contains("TIDEGATE_COMPLETE"), "{shell}");
    }
}
