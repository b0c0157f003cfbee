//! A real run recorded and decided once more: promoted, killed in the middle, rolled back.
#![allow(clippy::disallowed_methods, reason = "real programs in real time")]

mod support;
#[path = "config/validator.rs"]
mod validator;

use std::time::Duration;

use support::command::run;
use support::load::Load;
use support::{Setup, Upstream, until};

#[test]
fn a_recorded_run_is_decided_the_same_once_more() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let plan = "rollout: {steps: [{weight: 10%, for: 250ms, requests: 5}, 30% for 1h], watch: 1s}";
    let mut gate = Setup::to(&one).version("v2", &[two.address()]).service(plan).start();
    let load = Load::start(gate.address(), 2, Duration::from_millis(2));
    gate.edit(|setup| setup.live("v2"));
    until("a step by evidence", || (gate.weight("v2") == 0.3).then_some(()));
    gate.kill();
    drop(load.stop());
    gate.start_again();
    let load = Load::start(gate.address(), 2, Duration::from_millis(2));
    assert_eq!(gate.command("promote shop").code, 0);
    until("all traffic", || (gate.weight("v2") == 1.0).then_some(()));
    assert_eq!(gate.command("rollback shop --reason test").code, 0);
    drop(load.stop());

    let state = gate.state_dir();
    let traces = state.join("traces").display().to_string();
    // The thread that writes them is a moment behind.
    let outcome = until("the rollback is traced", || {
        let outcome = run(&["replay", &traces]);
        (outcome.code != 0 || outcome.out.contains("rolled_back")).then_some(outcome)
    });
    assert_eq!(outcome.code, 0, "{outcome:?}");
    for what in ["began", "advanced", "restarted", "promoted", "rolled_back"] {
        assert!(outcome.out.contains(what), "{what}: {}", outcome.out);
    }
    assert!(outcome.err.contains("bit for bit"), "{}", outcome.err);
    let printed = run(&["replay", &state.display().to_string(), "--json"]);
    assert!(printed.code == 0 && !printed.out.is_empty(), "{printed:?}");
    let schema = run(&["schema", "replay"]).json();
    for line in printed.out.lines() {
        let value = serde_json::from_str(line).unwrap();
        assert_eq!(validator::violations(&schema, &schema, &value, ""), Vec::<String>::new());
    }

    // Damage has a place, and stops neither a start nor a rollback.
    let mut files: Vec<_> = std::fs::read_dir(&traces).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    let path = files.iter().max_by_key(|it| it.metadata().unwrap().len()).expect("a trace");
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
    let damaged = run(&["replay", &traces]);
    assert_eq!(damaged.code, 1);
    assert!(damaged.err.contains("is damaged in frame"), "{}", damaged.err);
    gate.kill();
    gate.start_again();
    assert_eq!(gate.command("retry shop").code, 0);
    assert_eq!(gate.get("/").status, 200);
}
