//! Started by root, and root no longer.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::process::{Pid, Signal, geteuid};

use super::handover::ended;
use super::support::gate::{program, put};
use super::support::{Client, Setup, Unit, Upstream, admin, until};

/// An account that every system has, and its group.
const NOBODY: &str = "user: nobody\ngroup: 65534";
const NUMBER: u32 = 65_534;

/// The right to open ports below 1024, as the kernel counts them.
const PORTS: u64 = 1 << 10;

/// Only root can become somebody else.
fn is_root() -> bool {
    let root = geteuid().is_root();
    if !root {
        eprintln!("skipped: only root can give up the rights of root");
    }
    root
}

/// What the kernel says of a process or thread: the line of /proc/PID/status behind `Uid:`, and so on.
fn said(status: &str, key: &str) -> String {
    let line = status.lines().find_map(|it| it.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("{key} in {status}")).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn bits(status: &str, key: &str) -> u64 {
    u64::from_str_radix(&said(status, key), 16).expect("a set of capabilities")
}

/// What this process could pass on: in a container less than everything.
fn passable() -> u64 {
    bits(&fs::read_to_string("/proc/self/status").unwrap(), "CapEff") & PORTS
}

/// Every thread is nobody's, may open ports, and can never get more.
#[track_caller]
fn is_nobody(process: Pid) {
    let tasks = format!("/proc/{}/task", process.as_raw_nonzero());
    let mut threads = 0;
    for task in fs::read_dir(tasks).unwrap() {
        // A thread of the pool may end by itself.
        let Ok(status) = fs::read_to_string(task.unwrap().path().join("status")) else { continue };
        threads += 1;
        let all = [NUMBER.to_string().as_str(); 4].join(" ");
        assert_eq!((said(&status, "Uid"), said(&status, "Gid")), (all.clone(), all), "{status}");
        assert_eq!(said(&status, "Groups"), NUMBER.to_string(), "{status}");
        for key in ["CapEff", "CapPrm", "CapInh"] {
            assert_eq!(bits(&status, key), passable(), "{key}: {status}");
        }
        assert_eq!(bits(&status, "CapAmb"), 0, "{status}");
        assert_eq!(bits(&status, "CapBnd") & !PORTS, 0, "{status}");
        assert_eq!((said(&status, "NoNewPrivs"), said(&status, "Umask")), ("1".into(), "0077".into()));
    }
    assert!(threads > 3, "workers, the controller and the rest: {threads}");
}

/// A place that nobody can enter, with a file that nobody can read, and a program that nobody can run.
fn place(setup: Setup) -> Unit {
    let unit = Unit::new(setup);
    fs::set_permissions(unit.dir(), fs::Permissions::from_mode(0o711)).unwrap();
    fs::set_permissions(unit.dir().join("notify"), fs::Permissions::from_mode(0o666)).unwrap();
    fs::copy(program(), unit.dir().join("tidegate")).unwrap();
    unit
}

/// The admin socket in a directory of its own, which is not there.
fn lay(unit: &Unit) {
    let text = fs::read_to_string(unit.file()).unwrap();
    put(&unit.file(), &text.replace("/admin.sock", "/run/admin.sock"));
}

fn start(unit: &mut Unit) {
    let command = unit.command(&unit.dir().join("tidegate"));
    unit.spawn(command);
}

/// A port that only a privileged process could open.
fn low_port(unit: &Unit) -> u16 {
    let free = |port: &u16| TcpListener::bind((unit.ip(), *port)).is_ok();
    (512..1024).rev().find(free).expect("a port below 1024")
}

fn owner(path: &Path) -> (u32, u32) {
    let about = fs::symlink_metadata(path).unwrap();
    (about.uid(), about.mode() & 0o777)
}

/// Loads the file anew and waits for it to serve.
#[track_caller]
fn reload(unit: &mut Unit, generation: u32, change: impl FnOnce(Setup) -> Setup) {
    unit.edit(change);
    lay(unit);
    unit.signal(Signal::HUP);
    let said = unit.hear("READY=1");
    assert!(said.contains(&format!("serving generation {generation}")), "{said}\n{}", unit.log());
}

/// All rights of root go, in every thread and for good, but for that to open ports; and everything works
/// that worked before: the state, a reload that opens a low port, checks, a hand-over, a restart.
#[test]
fn root_becomes_the_account_for_good() {
    if !is_root() {
        return;
    }
    let (upstream, new) = (Upstream::answering("fine"), Upstream::answering("fine"));
    let mut unit = place(Setup::to(&upstream).workers(2).run_with("--no-watch --lame-duck 0s").top(NOBODY));
    lay(&unit);
    start(&mut unit);
    unit.hear("READY=1");
    is_nobody(unit.pid());
    assert_eq!(unit.connect().get("/").text(), "fine");
    let state = unit.dir().join("state");
    assert_eq!(owner(&state), (NUMBER, 0o700));
    assert_eq!(owner(&state.join("journal")), (NUMBER, 0o600));
    assert_eq!(owner(&unit.dir().join("run/admin.sock")), (NUMBER, 0o660));

    // A reload opens a port that only root could, and what is run for a check has not even that right.
    let (ip, first) = (unit.ip(), low_port(&unit));
    let seen = state.join("seen");
    let look = format!("cat /proc/self/status >{0}.new; mv {0}.new {0}", seen.display());
    let verify = format!("verify: [{{name: look, run: [sh, -c, '{look}']}}]");
    reload(&mut unit, 2, |it| {
        it.version("v2", &[new.address()])
            .live("v2")
            .service(format!("rollout: {{{verify}, steps: [50% for 1h]}}"))
            .add_listener(format!("first: {{port: {first}, bind: {ip}}}"))
    });
    assert_eq!(Client::connect((ip, first).into()).get("/").status, 200);
    let status = until("the check has looked", || fs::read_to_string(&seen).ok());
    assert_eq!(said(&status, "Uid"), [NUMBER.to_string().as_str(); 4].join(" "));
    assert_eq!((bits(&status, "CapEff"), bits(&status, "CapPrm"), bits(&status, "CapAmb")), (0, 0, 0));

    // The new process may do what the old one might: it opens a port of its own, and the release goes on.
    let before = unit.release()["release"].clone();
    let second = low_port(&unit);
    unit.edit(|it| it.add_listener(format!("second: {{port: {second}, bind: {ip}}}")));
    lay(&unit);
    unit.signal(Signal::USR2);
    unit.hear("MAINPID=");
    unit.hear("serving generation");
    assert_ne!(unit.main(), unit.pid());
    is_nobody(unit.main());
    assert_eq!(unit.release()["release"], before);
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
    for port in [first, second] {
        assert_eq!(Client::connect((ip, port).into()).get("/").status, 200);
    }
    let asked = admin::by_socket(&unit.dir().join("run/admin.sock"), "GET", "/api/v1/status", "");
    assert_eq!(asked.status, 200, "{}", asked.text());

    // What it is cannot be changed under way; and the next start, by root again, finds everything.
    unit.edit(|it| it.top("user: tidegate-of-nowhere"));
    lay(&unit);
    unit.signal(Signal::HUP);
    unit.hear("refused");
    assert!(unit.log().contains("this system has no user `tidegate-of-nowhere`"), "{}", unit.log());
    let status = admin::get(unit.admin_address(), "/api/v1/status");
    assert!(status.text().contains("TG0509"), "{}", status.text());
    let last = unit.main();
    unit.signal(Signal::TERM);
    until("it ends", || ended(last));
    unit.edit(|it| it.top(NOBODY));
    lay(&unit);
    start(&mut unit);
    unit.hear("READY=1");
    is_nobody(unit.pid());
    assert_eq!(unit.release()["release"], before);
    assert!(!unit.log().contains("EPHEMERAL"), "{}", unit.log());
}

/// What the account could not read at a later reload, or write to, is said at the start.
#[test]
fn what_the_account_cannot_use_stops_the_start() {
    if !is_root() {
        return;
    }
    let upstream = Upstream::answering("fine");
    let setup = || Setup::to(&upstream).top(NOBODY);
    let refused = |unit: &mut Unit, code: i32, why: &str| {
        lay(unit);
        start(unit);
        assert_eq!(unit.exit_status().code(), Some(code), "{}", unit.log());
        assert!(unit.log().contains(why), "{why} in {}", unit.log());
    };
    let mut unit = place(setup());
    fs::write(unit.dir().join("token"), "0123456789abcdef0123456789abcdef").unwrap();
    fs::set_permissions(unit.dir().join("token"), fs::Permissions::from_mode(0o600)).unwrap();
    unit.edit(|it| it.admin("token: file:token"));
    refused(&mut unit, 3, "these are the files as user `nobody` sees them");

    let mut unit = place(setup());
    fs::create_dir(unit.dir().join("state")).unwrap();
    let state = unit.dir().join("state");
    refused(
        &mut unit,
        21,
        &format!(
            "`{0}` belongs to user 0, and `nobody` could not use it: chown -R nobody: {0}",
            state.display()
        ),
    );
    std::os::unix::fs::chown(&state, Some(NUMBER), None).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(state.join("journal"), "").unwrap();
    refused(&mut unit, 21, "journal` belongs to user 0");

    let mut unit = place(setup());
    unit.edit(|it| it.top("user: root"));
    refused(&mut unit, 3, "`root` is root, which gives up nothing");

    // Somebody else than root can be nobody else.
    let mut unit = place(setup());
    lay(&unit);
    let mut command = unit.command(&unit.dir().join("tidegate"));
    std::os::unix::process::CommandExt::uid(&mut command, 4_242);
    unit.spawn(command);
    assert_eq!(unit.exit_status().code(), Some(1), "{}", unit.log());
    assert!(
        unit.log().contains("only root can become another user, and this process is user 4242"),
        "{}",
        unit.log()
    );
    let mut command = unit.command(&unit.dir().join("tidegate"));
    // Whoever is that account already needs nobody.
    std::os::unix::process::CommandExt::uid(&mut command, NUMBER);
    std::os::unix::process::CommandExt::gid(&mut command, NUMBER);
    std::os::unix::fs::chown(unit.dir(), Some(NUMBER), None).unwrap();
    unit.spawn(command);
    unit.hear("READY=1");
}
