//! A process that ends again and again, and what it leaves.

use std::fs;

use rustix::process::Signal;

use super::support::gate::{program, put};
use super::support::{Setup, Unit, Upstream, admin, until};

fn start(unit: &mut Unit) {
    let command = unit.command(program().as_ref());
    unit.spawn(command);
}

fn kill(unit: &mut Unit) {
    unit.signal(Signal::KILL);
    assert_eq!(unit.exit_status().code(), None);
}

/// The files are wrong when the machine comes up: with `--last-good` what served last serves again, loudly,
/// every time, until they are mended. Without it the start fails.
#[test]
fn the_last_good_configuration_serves_until_the_files_are_mended() {
    let upstream = Upstream::answering("fine");
    let mut unit = Unit::new(Setup::to(&upstream).run_with("--last-good --lame-duck 0s"));
    let kept = unit.dir().join("state/last-good.json");
    start(&mut unit);
    unit.hear("READY=1");
    until("it is kept", || kept.exists().then_some(()));
    kill(&mut unit);
    let good = fs::read_to_string(unit.file()).unwrap();
    for broken in [good.replace("live: v1", "live: v9"), "listen: [".to_owned(), String::new()] {
        put(&unit.file(), &broken);
        if broken.len() < 100 {
            // Nothing in the file says where the state is; the service manager does.
            let mut command = unit.command(program().as_ref());
            command.env("STATE_DIRECTORY", unit.dir().join("state"));
            unit.spawn(command);
        } else {
            start(&mut unit);
        }
        let ready = unit.hear("READY=1");
        assert!(ready.contains("refused"), "{ready}");
        assert_eq!(unit.connect().get("/").text(), "fine");
        let status = admin::get(unit.admin_address(), "/api/v1/status");
        assert!(status.text().contains("refused"), "{}", status.text());
        assert_eq!(unit.metric("tidegate_config_last_reload_success", &[]), 0.0);
        kill(&mut unit);
    }
    put(&unit.file(), &good.replace("live: v1", "live: v9"));
    start(&mut unit);
    unit.hear("READY=1");
    put(&unit.file(), &good.replace("workers: 1", "workers: 1\ndefaults: {timeouts: {head: 7s}}"));
    unit.hear("serving generation 2");
    unit.signal(Signal::TERM);
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());

    // What nobody can read is not guessed: a version that was withdrawn could come back.
    fs::write(unit.dir().join("state/journal"), "not a journal at all, and long enough to be one").unwrap();
    put(&unit.file(), "listen: [");
    let mut command = unit.command(program().as_ref());
    command.env("STATE_DIRECTORY", unit.dir().join("state"));
    unit.spawn(command);
    assert_eq!(unit.exit_status().code(), Some(21), "{}", unit.log());

    let mut plain = Unit::new(Setup::to(&upstream));
    put(&plain.file(), "listen: [");
    start(&mut plain);
    assert_eq!(plain.exit_status().code(), Some(3), "{}", plain.log());
}

/// What it makes is its owner's alone, whatever it was started with.
#[test]
fn files_are_private_and_root_is_warned() {
    let upstream = Upstream::answering("fine");
    let unit = Unit::start(Setup::to(&upstream));
    let status = fs::read_to_string(format!("/proc/{}/status", unit.pid().as_raw_nonzero())).unwrap();
    assert!(status.contains("Umask:\t0077"), "{status}");
    let root = status.lines().any(|it| it.starts_with("Uid:\t0\t"));
    assert_eq!(unit.log().contains("running as root"), root);
}
