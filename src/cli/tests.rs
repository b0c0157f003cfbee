//! Verbs from the typed line to what is printed, against a scripted house behind a real socket.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use clap::{CommandFactory, Parser};
use tokio::sync::oneshot;

use super::*;
use crate::admin::ReloadFailed;
use crate::admin::script::{Running, Scripted, advanced, refused};
use crate::controller::{RefusalCode, WithdrawnStatus};
use crate::model::Timestamp;
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
    let code = ended.unwrap_or_else(|failure| failure.report(&mut terminal));
    Said { code, out: out.text(), err: err.text() }
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
    for code in [
        exit::DONE,
        exit::USAGE,
        exit::CONFIG,
        exit::UNREACHABLE,
        exit::OVERTAKEN,
        exit::DIFFERENCES,
        exit::IN_PROGRESS,
    ] {
        assert!(page.contains(&format!("\n| {code} |")), "{code}");
    }
}

#[test]
fn next_commands_name_the_file_that_was_named() {
    let house = House::start();
    let said = house.run("resume blog -c /dev/null");
    assert!(said.err.ends_with("Next: tidegate events blog -c /dev/null\n"), "{}", said.err);
}

#[test]
fn status_is_a_tree() {
    let house = House::start();
    let said = house.run("status");
    assert_eq!(said.code, exit::DONE);
    insta::assert_snapshot!(format!("{}{}", said.out, said.err));
}

#[test]
fn status_of_a_withdrawn_version() {
    let house = House::start();
    house.script.change(|status| {
        let shop = &mut status.services[0];
        shop.word = "ROLLED BACK";
        shop.weight = crate::model::Weight::NONE;
        (shop.step, shop.left) = (None, None);
        shop.guards.clear();
        shop.lanes[0].weight = crate::model::Weight::ALL;
        shop.lanes[1].weight = crate::model::Weight::NONE;
        shop.lanes[1].per_second = 0.0;
        let why = "31 of 40 responses failed".to_owned();
        let at = Timestamp(1_700_000_000_000_000);
        shop.quarantined.push(WithdrawnStatus { version: "v2".parse().unwrap(), at, why });
    });
    let said = house.run("status shop");
    insta::assert_snapshot!(format!("{}{}", said.out, said.err));
}

#[test]
fn status_of_a_held_release_says_what_is_missing() {
    let house = House::start();
    house.script.change(|status| {
        let shop = &mut status.services[0];
        shop.word = "HELD";
        shop.held = Some("too little traffic to tell".into());
        shop.requests_missing = Some(1_250);
    });
    let said = house.run("status shop");
    assert!(
        said.out.contains("too little traffic to tell; 1,250 more canary requests needed"),
        "{}",
        said.out
    );
}

#[test]
fn status_as_json_is_what_the_server_says() {
    let house = House::start();
    let all: serde_json::Value = serde_json::from_str(&house.run("status --json").out).unwrap();
    assert_eq!(all["services"][0]["state"], "CANARY");
    let shop: serde_json::Value = serde_json::from_str(&house.run("status shop --json").out).unwrap();
    assert_eq!(shop, all["services"][0]);
    assert!(house.run("status --json").err.is_empty(), "nothing but data");
}

#[test]
fn a_misspelled_service_is_recognised() {
    let house = House::start();
    for line in ["status shpo", "promote shpo", "status shpo --wait"] {
        let said = house.run(line);
        assert_eq!(said.code, exit::FAILED, "{line}");
        assert_eq!(said.err, "error: no service `shpo`\nhint: did you mean `shop`?\n", "{line}");
    }
    assert_eq!(house.run("promote ../x").code, exit::USAGE);
}

#[test]
fn commands_say_what_is_so_now_and_what_comes_next() {
    let house = House::start();
    let said = house.run("promote shop");
    assert_eq!((said.code, said.out.as_str()), (exit::DONE, "shop: v2 gets 25%\n"));
    assert_eq!(said.err, "Next: tidegate promote shop · tidegate pause shop · tidegate rollback shop\n");
    house.run("promote shop --full --yes");
    house.run("pause shop --reason lunch");
    house.run("resume shop");
    house.run("undo shop --to v1");
    house.run("retry shop -q");
    assert_eq!(
        *house.script.commanded.lock().unwrap(),
        [
            "shop Promote { full: false, to: None, reason: None, insist: None } step None via cli",
            "shop Promote { full: true, to: None, reason: None, insist: None } step None via cli",
            "shop Pause { until: None, reason: Some(\"lunch\") } step None via cli",
            "shop Resume step None via cli",
            "shop Rollback { to: Some(\"v1\"), reason: None } step None via cli",
            "shop Retry step None via cli",
        ]
    );
    let said = house.run("promote shop --full");
    assert_eq!((said.code, said.err.contains("--yes")), (exit::USAGE, true), "nobody to ask");
}

#[test]
fn a_misspelled_version_is_recognised() {
    let house = House::start();
    for line in ["weight shop v22=10%", "rollback shop --to v22"] {
        house.script.refusals.lock().unwrap().push(refused(RefusalCode::WrongState, "not like this"));
        let said = house.run(line);
        // The scripted house checks shares itself.
        assert!(
            said.err.contains("shop has no version `v22`\nhint: did you mean `v2`?"),
            "{line}: {}",
            said.err
        );
    }
}

#[test]
fn a_request_is_explained_by_the_server_or_by_the_file() {
    let house = House::start();
    let said = house.run("explain GET http://shop.test/cart");
    assert_eq!(said.code, exit::DONE, "{}", said.err);
    assert!(said.out.starts_with("GET http://shop.test/cart\n") && said.out.contains("shop"), "{}", said.out);
    assert!(said.err.starts_with("Next: tidegate status shop"), "{}", said.err);
    assert_eq!(house.run("explain GET").code, exit::USAGE);
    assert_eq!(house.run("explain Get / -H x").code, exit::DONE, "the scripted house takes everything");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("t.yaml");
    std::fs::write(
        &file,
        "listen: 8080\nservices:\n  shop: {hosts: [shop.test], live: v1, versions: {v1: http://127.0.0.1:1, v2: http://127.0.0.1:2}, split: {v2: 25%}, sticky: {by: address}}\n",
    )
    .unwrap();
    let shown = file.display();
    let said = run(&format!("explain GET http://shop.test/cart --from 10.1.2.3 --offline -c {shown}"));
    insta::assert_snapshot!(said.out);
    let said = run(&format!("explain GET http://nobody.test/ --offline -c {shown}"));
    insta::assert_snapshot!(said.out);
    let json = run(&format!("explain GET http://nobody.test/ --offline --json -c {shown}"));
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["status"], 404);
}

#[test]
fn what_runs_is_exported() {
    let house = House::start();
    let said = house.run("export");
    assert_eq!(said.code, exit::DONE, "{}", said.err);
    assert!(said.out.starts_with("listen: 8080\nservices:\n  shop:\n    live: v2\n"), "{}", said.out);
    assert_eq!(said.err, "Next: tidegate diff\n");
    let said = house.run("export --effective");
    assert!(said.out.contains("  # CANARY: ") && said.out.contains("keep_alive: 55s"), "{}", said.out);
    // What is printed can be checked, and means the same.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("t.yaml");
    std::fs::write(&file, &said.out).unwrap();
    assert_eq!(run(&format!("check {}", file.display())).code, exit::DONE);
    let again = run(&format!("export --effective --offline -c {}", file.display()));
    let bare = |text: &str| text.lines().filter(|it| !it.trim().starts_with('#')).count();
    assert_eq!(bare(&again.out), bare(&said.out), "{}", again.out);
    let json: serde_json::Value = serde_json::from_str(&house.run("export --json").out).unwrap();
    assert_eq!(json["generation"], 17);
}

#[test]
fn a_reload_is_told_before_it_is_done() {
    let house = House::start();
    let said = house.run("diff");
    assert_eq!(said.code, exit::DONE, "{}", said.err);
    assert_eq!(
        said.out,
        "service shop\n  ~ live: v2 → v1\n      takes v2 back: v1 is stable and has all traffic at once\n"
    );
    assert_eq!(said.err, "Next: tidegate reload\n");
    assert_eq!(house.run("diff --exit-code").code, exit::DIFFERENCES);
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let same = file(
        "same.yaml",
        "listen: 8080\nservices: {shop: {live: v2, versions: {v1: http://h:1, v2: http://h:2}}}\n",
    );
    let said = house.run(&format!("diff {same} --exit-code"));
    assert_eq!((said.code, said.out.as_str()), (exit::DONE, "nothing would change\n"), "{}", said.err);
    let other = file(
        "other.yaml",
        "listen: 8081\nworkers: 2\nservices: {shop: {live: v2, versions: {v2: http://h:2}}}\n",
    );
    let said = run(&format!("diff {same} {other} --exit-code"));
    assert_eq!(said.code, exit::DIFFERENCES, "{}", said.err);
    assert!(said.out.ends_with("A reload would be refused, and nothing would change.\n"), "{}", said.out);
    let json: serde_json::Value =
        serde_json::from_str(&run(&format!("diff {same} {other} --json")).out).unwrap();
    assert_eq!(
        (&json["accepted"], &json["changes"][0]["kind"]),
        (&false.into(), &"removed".into()),
        "{json}"
    );
    let bad = file("bad.yaml", "listen: 8080\n");
    assert_eq!(house.run(&format!("diff {bad}")).code, exit::CONFIG);
}

/// One endpoint takes connections, the other does not.
#[test]
fn check_probes_endpoints() {
    let directory = tempfile::tempdir().unwrap();
    let there = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // The kernel gives port 1 to nobody.
    let (open, shut) = (there.local_addr().unwrap(), "127.0.0.1:1");
    let file = directory.path().join("t.yaml");
    let check = |versions: &str, flags: &str| {
        let text = format!("listen: 8080\nservices: {{shop: {{live: v1, versions: {{{versions}}}}}}}\n");
        std::fs::write(&file, text).unwrap();
        run(&format!("check {} --probe {flags}", file.display()))
    };
    let said = check(&format!("v1: http://{open}"), "");
    assert_eq!(said.code, exit::DONE, "{}", said.err);
    assert!(said.out.contains(&format!("ok: shop v1 http://{open}: takes connections")), "{}", said.out);
    let said = check(&format!("v1: http://{open}, v2: http://{shut}"), "");
    assert_eq!(said.code, exit::FAILED, "{}", said.out);
    assert!(said.out.contains(&format!("no: shop v2 http://{shut}: cannot connect")), "{}", said.out);
    assert!(said.err.contains("1 of 2 endpoints do not answer"), "{}", said.err);
    let json: serde_json::Value =
        serde_json::from_str(&check(&format!("v1: http://{open}"), "--json").out).unwrap();
    assert_eq!(json["endpoints"][0]["ok"], true, "{json}");
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
fn refusals_have_exit_codes() {
    let house = House::start();
    for (code, exit) in [
        (RefusalCode::Stale, exit::OVERTAKEN),
        (RefusalCode::Busy, exit::OVERTAKEN),
        (RefusalCode::Quarantined, exit::ROLLED_BACK),
        (RefusalCode::WrongState, exit::FAILED),
    ] {
        house.script.refusals.lock().unwrap().push(refused(code, "not like this"));
        let said = house.run("promote shop");
        assert_eq!(said.code, exit, "{code:?}");
        assert!(said.err.starts_with("error: not like this\n"), "{}", said.err);
    }
}

#[test]
fn waiting_ends_when_the_release_does() {
    let house = House::start();
    let set = |word: &'static str, in_sync: bool| {
        house.script.change(|status| {
            let service = &mut status.services[0];
            (service.word, service.in_sync) = (word, in_sync);
            service.stable = if in_sync { "v2" } else { "v1" }.parse().unwrap();
        });
    };
    assert_eq!(house.run("status shop --wait --timeout 0s").code, exit::IN_PROGRESS);
    assert_eq!(house.run("status blog --wait").code, exit::DONE);
    for (word, in_sync, code) in [
        ("HELD", false, exit::HELD),
        ("PAUSED", false, exit::HELD),
        ("ROLLED BACK", false, exit::ROLLED_BACK),
        ("LIVE", true, exit::DONE),
    ] {
        set(word, in_sync);
        assert_eq!(house.run("status --wait --timeout 0s").code, code, "{word}");
    }
    set("CANARY", false);
    let waiter = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| house.run("status shop --wait --timeout 1m"));
        set("WATCHING", false);
        set("LIVE", true);
        waiter.join().unwrap()
    });
    assert_eq!(waiter.code, exit::DONE, "{waiter:?}");
}

#[test]
fn events_are_lines() {
    let house = House::start();
    insta::assert_snapshot!(house.run("events").out);
    assert_eq!(house.run("events --since 7").out.lines().count(), 1);
    assert_eq!(house.run("events -n 1 shop").out.lines().count(), 1);
    assert_eq!(house.run("events --since 1h").err, "nothing has happened\n");
    let json = house.run("events --json").out;
    let ids: Vec<u64> = json
        .lines()
        .map(|it| serde_json::from_str::<serde_json::Value>(it).unwrap()["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, [advanced(7).id, 8]);
}

#[test]
fn history_goes_back_page_by_page() {
    let house = House::start();
    let said = house.run("history shop");
    assert_eq!(said.code, exit::DONE, "{said:?}");
    let newest = said.out.lines().next().unwrap_or_default();
    assert!(newest.contains("advanced"), "{}", said.out);
    let page: serde_json::Value = serde_json::from_str(&house.run("history shop --all --json").out).unwrap();
    assert!(page["events"].as_array().unwrap().iter().all(|it| it["service"] == "shop"));
    let unknown = house.run("history shpo");
    assert!(unknown.err.contains("did you mean `shop`?"), "{}", unknown.err);
}

#[test]
fn a_reload_prints_the_generation_or_the_problems() {
    let house = House::start();
    let said = house.run("reload --wait");
    assert_eq!((said.code, said.out.as_str()), (exit::DONE, "generation 18 serves now\n"));
    let failed =
        ReloadFailed { report: "error[TG0203]: no such version".into(), problems: serde_json::Value::Null };
    *house.script.reload_fails.lock().unwrap() = Some(failed);
    let said = house.run("reload");
    assert_eq!(said.code, exit::CONFIG);
    assert!(
        said.err.contains("error[TG0203]") && said.err.contains("generation 17 keeps serving"),
        "{}",
        said.err
    );
    assert!(house.run("status").out.contains("was refused; generation 17 keeps serving"));
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
fn init_writes_what_check_accepts_and_never_overwrites() {
    let directory = tempfile::tempdir().unwrap();
    for (name, flags) in [
        ("a.yaml", ""),
        ("b.yaml", "--canary"),
        ("c.yaml", "--from http://10.0.1.10:3000"),
        ("e.yaml", "--blue-green --from http://shop.internal"),
        ("f.yaml", "--canary --from unix:/run/shop.sock"),
    ] {
        let file = directory.path().join(name);
        let shown = file.display();
        let said = run(&format!("init {shown} {flags}"));
        assert_eq!((said.code, said.out), (exit::DONE, format!("wrote {shown}\n")), "{}", said.err);
        let said = run(&format!("check {shown} --deny-warnings"));
        assert_eq!((said.code, said.out), (exit::DONE, format!("ok: {shown}: 1 service, 1 listener\n")));
        let before = std::fs::read(&file).unwrap();
        assert_eq!(run(&format!("init {shown}")).code, exit::FAILED);
        assert_eq!(std::fs::read(&file).unwrap(), before);
    }
    let file = directory.path().join("d.yaml");
    let said = run(&format!("init {} --from ftp://x", file.display()));
    assert_eq!((said.code, file.exists()), (exit::USAGE, false), "{}", said.err);
}

#[test]
fn check_reports_for_people_programs_and_pull_requests() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bad.yaml");
    std::fs::write(
        &file,
        "listen: 8080\nservices:\n  shop:\n    live: v24\n    versions:\n      v42: http://127.0.0.1:1\n",
    )
    .unwrap();
    let shown = file.display();
    let said = run(&format!("check {shown}"));
    assert_eq!(said.code, exit::CONFIG);
    assert!(said.out.contains("did you mean `v42`?") && said.out.contains("bad.yaml:4:11"), "{}", said.out);
    let said = run(&format!("check {shown} --format json"));
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &json["errors"]), (exit::CONFIG, &1.into()));
    let said = run(&format!("check {shown} --format github"));
    assert!(said.out.starts_with("::error file="), "{}", said.out);
    assert_eq!(run("check -c /nowhere/tg.yaml").code, exit::CONFIG);
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
