//! Verbs about configuration files.

use super::*;
use crate::admin::ReloadFailed;

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

/// A warning is no error, unless somebody says so.
#[test]
fn warnings_can_be_denied() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("t.yaml");
    let versions = "v1: http://127.0.0.1:1, v2: http://127.0.0.1:2";
    let rollout = "rollout: {steps: [10% for 1m], guard: off}";
    let text =
        format!("listen: 8080\nservices: {{shop: {{live: v1, versions: {{{versions}}}, {rollout}}}}}\n");
    std::fs::write(&file, text).unwrap();
    let said = run(&format!("check {}", file.display()));
    assert_eq!(said.code, exit::DONE, "{said:?}");
    assert!(said.out.contains("warning[TG") && said.out.contains("these steps are not guarded"), "{said:?}");
    let said = run(&format!("check {} --deny-warnings", file.display()));
    assert_eq!(said.code, exit::CONFIG, "{said:?}");
    let said = run(&format!("check {} --deny-warnings --format github", file.display()));
    assert_eq!((said.code, said.out.starts_with("::warning file=")), (exit::CONFIG, true), "{said:?}");
}
