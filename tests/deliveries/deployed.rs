//! Two layers of state: the file is intent, the journal is progress. What people did survives an unchanged file,
//! restarts and kills; what changes in the file wins.

use serde_json::Value;

use super::*;

/// A service whose release of a new version stays at 10 %.
const SLOW: &str = "rollout: {steps: [10% for 1h, 30% for 1h]}";
/// One that is over in a moment.
const QUICK: &str = "rollout: {steps: [], watch: 200ms}";

fn two() -> (Upstream, Upstream) {
    (Upstream::answering("one"), Upstream::answering("two"))
}

fn url(upstream: &Upstream) -> String {
    format!("http://{}", upstream.address())
}

fn gate_of(one: &Upstream, rollout: &str) -> Gate {
    Setup::to(one).service(rollout).start()
}

#[track_caller]
fn deploys(gate: &Gate, what: &str) {
    let outcome = gate.command(&format!("deploy shop {what}"));
    assert_eq!(outcome.code, 0, "{outcome:?}");
}

/// Loads the same file once more: only a comment is new.
#[track_caller]
fn load_the_same(gate: &Gate) {
    let before = gate.generation();
    gate.write(&format!("{}# {before}\n", fs::read_to_string(gate.file()).expect("the file")));
    until("a newer generation", || (gate.generation() > before).then_some(()));
}

/// `live: v1 → v2`, one for each field that drifted.
fn drift(gate: &Gate) -> Vec<String> {
    let release = gate.release();
    let drift = release["drift"].as_array().expect("a list");
    let text = |it: &Value| it.as_str().unwrap_or("nothing").to_owned();
    drift
        .iter()
        .map(|it| format!("{}: {} → {}", text(&it["field"]), text(&it["file"]), text(&it["running"])))
        .collect()
}

#[track_caller]
fn is_at(gate: &Gate, version: &str, weight: f64) {
    until("its weight", || (gate.weight(version) == weight).then_some(()));
}

/// The whole life: deployed, stable, still there after loads and a kill, exported, taken over by the file.
#[test]
fn a_deployed_version_serves_until_the_file_says_otherwise() {
    let (one, two) = two();
    let mut gate = gate_of(&one, QUICK);
    let users = load(&gate);
    let outcome =
        gate.command(&format!("deploy shop v2={} --wait --timeout 60s --reason pipeline", url(&two)));
    users.stop().assert_all("200");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(gate.get("/").text(), "two");
    let expected = ["live: v1 → v2".to_owned(), format!("versions.v2: nothing → {}", url(&two))];
    assert_eq!(drift(&gate), expected);
    let release = gate.release();
    assert_eq!(
        (&release["stable"], &release["filed"], &release["in_sync"]),
        (&"v2".into(), &"v1".into(), &false.into())
    );
    assert_eq!(release["drift"][0]["by"]["via"], "cli");
    assert_eq!(gate.metric("tidegate_config_drift", &[("service", "shop")]), 2.0);
    let told = gate.command("status shop").out;
    assert!(told.contains("file says v1, drifted: live is v2"), "{told}");
    let told = gate.command("history shop --limit 100").out;
    for word in ["pipeline", "drifted", "live: the file says v1, and it is v2"] {
        assert!(told.contains(word), "{word} in\n{told}");
    }

    load_the_same(&gate);
    assert_eq!((drift(&gate).as_slice(), gate.get("/").text().as_str()), (&expected[..], "two"));
    gate.kill();
    gate.start_again();
    assert_eq!((drift(&gate).as_slice(), gate.get("/").text().as_str()), (&expected[..], "two"));
    load_the_same(&gate);
    assert_eq!(gate.get("/").text(), "two");

    // What is exported is what to paste; with it nothing has drifted, and nothing is released anew.
    let exported = gate.command("export --effective");
    assert_eq!(exported.code, 0, "{exported:?}");
    let number = gate.release()["release"].clone();
    let before = gate.generation();
    gate.write(&exported.out);
    until("a newer generation", || (gate.generation() > before).then_some(()));
    let release = gate.release();
    assert_eq!(
        (&release["release"], &release["state"], &release["in_sync"]),
        (&number, &"LIVE".into(), &true.into())
    );
    assert_eq!((drift(&gate).len(), gate.metric("tidegate_config_drift", &[])), (0, 0.0));
    assert!(gate.command("history shop").out.contains("what runs is what the file says"));
    gate.kill();
    gate.start_again();
    assert_eq!((drift(&gate).len(), gate.get("/").text().as_str()), (0, "two"));
}

/// Whoever was told that it is done finds it done after the worst.
#[test]
fn an_acknowledged_deploy_survives_a_kill() {
    let (one, two) = two();
    let mut gate = gate_of(&one, SLOW);
    for number in 0..5 {
        let body = format!("{{\"version\": \"v{}\", \"endpoints\": [\"{}/\"]}}", number + 2, url(&two));
        let answer = gate.ask("POST", "/api/v1/services/shop/deploy", &body);
        gate.kill();
        assert_eq!(answer.status, 200, "{}", answer.text());
        gate.start_again();
        let version = format!("v{}", number + 2);
        is_at(&gate, &version, 0.1);
        assert_eq!(gate.release()["wanted"], version.as_str());
        // The next one has the same endpoints: whoever was not rolled back may have them again.
        let body = format!(
            "{{\"version\": \"away{number}\", \"endpoints\": [\"{}\"]}}",
            url(&Upstream::answering("x"))
        );
        assert_eq!(gate.ask("POST", "/api/v1/services/shop/deploy", &body).status, 200);
    }
}

#[test]
fn a_deployed_version_is_rolled_back_and_quarantined_like_any_other() {
    let (one, two) = two();
    let mut gate = gate_of(&one, SLOW);
    deploys(&gate, &format!("v2={}", url(&two)));
    is_at(&gate, "v2", 0.1);
    // The same again is the same.
    let again = gate.command(&format!("deploy shop v2={}", url(&two)));
    assert!(again.code == 0 && again.out.contains("wanted already"), "{again:?}");
    assert_eq!(gate.command("rollback shop --reason slow").code, 0);
    gate.reaches("ROLLED BACK");
    assert_eq!(drift(&gate), [] as [String; 0], "v1 runs, as the file says");
    let barred = gate.command(&format!("deploy shop v2={}", url(&two)));
    assert!(barred.code == 11 && barred.err.contains("slow"), "{barred:?}");
    let renamed = gate.command(&format!("deploy shop v3={}", url(&two)));
    assert!(renamed.code == 11, "another name does not help: {renamed:?}");
    gate.kill();
    gate.start_again();
    assert_eq!(gate.command("status shop --wait --timeout 10s").code, 11);
    assert_eq!(gate.command("retry shop").code, 0);
    is_at(&gate, "v2", 0.1);
    // Once stable it is kept for a rollback while another is, and comes back.
    for _ in 0..2 {
        assert_eq!(gate.command("promote shop --full --yes").code, 0);
    }
    gate.reaches("LIVE");
    assert_eq!(gate.command("rollback shop").code, 0);
    until("v1 is back", || (gate.get("/").text() == "one").then_some(()));
}

#[test]
fn what_changes_in_the_file_wins() {
    let (one, two) = two();
    let three = Upstream::answering("three");
    let mut gate = gate_of(&one, SLOW);
    deploys(&gate, &format!("v2={}", url(&two)));
    is_at(&gate, "v2", 0.1);
    assert_eq!(gate.command("weight shop v2=20%").code, 0);
    let number = gate.release()["release"].clone();
    // The file learns of it, first as a version, then as what should be live: no bump.
    for live in ["v1", "v2"] {
        gate.reload(|setup| setup.version("v2", &[two.address()]).live(live));
        is_at(&gate, "v2", 0.2);
        assert_eq!((&gate.release()["release"], gate.state().as_str()), (&number, "PAUSED"), "{live}");
    }
    assert_eq!(drift(&gate), ["rollout.steps: 10%, 30% → 20%"]);
    // One that the file does not know has to make room when the file wants another.
    deploys(&gate, &format!("v3={}", url(&three)));
    is_at(&gate, "v3", 0.1);
    gate.reload(|setup| setup.live("v1"));
    until("v3 is gone", || (gate.weight("v1") == 1.0).then_some(()));
    assert_eq!((drift(&gate).len(), &gate.release()["wanted"]), (0, &"v1".into()));
    let lanes = gate.release()["lanes"].to_string();
    assert!(!lanes.contains("v3"), "{lanes}");
    // Its name means something else in the file by then.
    deploys(&gate, &format!("v3={}", url(&three)));
    is_at(&gate, "v3", 0.1);
    gate.reload(|setup| setup.version("v3", &[two.address(), three.address()]));
    until("the file's v3", || {
        let lanes = gate.release()["lanes"].clone();
        let of = lanes.as_array()?.iter().find(|it| it["version"] == "v3")?;
        (of["endpoints"].as_array()?.len() == 2 && of["weight_percent"] == 10.0).then_some(())
    });
}

#[test]
fn what_cannot_be_deployed_is_refused_with_the_way_out() {
    let (one, two) = two();
    let gate = Setup::to(&one).version("v2", &[two.address()]).service(SLOW).start();
    for (what, code, said) in [
        ("shop v9", 2, "v42=http://"),
        ("shop v9=", 2, "v42=http://"),
        ("shop v9=10.0.0.1:80", 2, "has no scheme: write http://10.0.0.1:80"),
        ("shop v9=ftp://10.0.0.1", 2, "unknown scheme"),
        ("shop v9=http://10.0.0.1/path", 2, "leave out what follows the port"),
        ("shop v9=http://10.0.0.1,", 2, "has no scheme"),
        ("shop a/b=http://10.0.0.1", 2, "`version`"),
        ("shp v9=http://10.0.0.1", 1, "did you mean `shop`"),
        (&format!("shop v2={}", url(&two)), 1, "name it as `live` there"),
        ("shop v2=http://10.0.0.1", 1, "with other endpoints"),
        (&format!("shop v9={}", url(&one)), 1, "has the endpoints of v1"),
    ] {
        let outcome = gate.command(&format!("deploy {what}"));
        assert!(outcome.code == code && outcome.err.contains(said), "{what}: {outcome:?}");
    }
    assert_eq!(gate.release()["lanes"].as_array().map(Vec::len), Some(2));
    deploys(&gate, "v9=http://127.0.0.1:1");
    let other = gate.command("deploy shop v9=http://127.0.0.1:2");
    assert!(other.code == 1 && other.err.contains("another build another name"), "{other:?}");
    // Nobody is there, so nobody is sent there.
    held(&gate, "v9 has no ready endpoint");
    let late = gate.command("deploy shop v10=http://127.0.0.1:2 --wait --timeout 300ms");
    assert_eq!(late.code, 12, "held at the timeout: {late:?}");
}

/// The new version is like the stable one in all but its endpoints.
#[test]
fn a_deployed_version_is_asked_for_its_health_like_the_stable_one() {
    let two = Upstream::start(|peer| {
        while let Some(request) = peer.request() {
            let status = if request.target() == "/healthz" { "503 No" } else { "200 OK" };
            peer.answer(status, "two");
        }
    });
    let one = Upstream::answering("one");
    let v1 = format!("{{endpoints: [\"{}\"], health: {{path: /healthz, every: 100ms}}}}", url(&one));
    let mut gate = Setup::to(&one).version_as("v1", v1).service(SLOW).start();
    deploys(&gate, &format!("v2={}", url(&two)));
    until("its health is asked", || two.requests().iter().any(|it| it.target() == "/healthz").then_some(()));
    held(&gate, "v2 has no ready endpoint");
    let definition = format!("{{endpoints: {}, health: {{path: /healthz, every: 100ms}}}}", url(&two));
    let expected = ["live: v1 → v2".to_owned(), format!("versions.v2: nothing → {definition}")];
    assert_eq!(drift(&gate), expected);
    gate.kill();
    gate.start_again();
    assert_eq!(drift(&gate), expected);
}

/// Only the file moves things; everybody may stop them.
#[test]
fn where_git_decides_people_can_only_stop_things() {
    let (one, two) = two();
    let mut gate =
        Setup::to(&one).version("v2", &[two.address()]).service(SLOW).top("authority: git").start();
    gate.reload(|setup| setup.live("v2"));
    is_at(&gate, "v2", 0.1);
    for verb in [
        "deploy shop v3=http://127.0.0.1:1",
        "promote shop",
        "promote shop --full --yes",
        "promote shop --override --reason now",
        "weight shop v2=20%",
        "retry shop",
    ] {
        let outcome = gate.command(verb);
        assert!(outcome.code == 4 && outcome.err.contains("authority: git"), "{verb}: {outcome:?}");
        assert!(outcome.err.contains("change the file"), "{verb}: {outcome:?}");
    }
    let answer = gate.ask("POST", "/api/v1/services/shop/promote", "{}");
    assert!(answer.status == 403 && answer.text().contains("file_decides"), "{}", answer.text());
    for verb in ["pause shop", "resume shop", "freeze", "unfreeze", "rollback shop"] {
        let outcome = gate.command(verb);
        assert_eq!(outcome.code, 0, "{verb}: {outcome:?}");
    }
    gate.reaches("ROLLED BACK");
    assert_eq!(gate.json("/api/v1/status")["authority"], "git");
    assert!(gate.command("status").out.contains("authority: git"));
    assert_eq!(drift(&gate), ["live: v2 → v1"]);
    // The file can say who decides, and that something else is live.
    gate.reload(|setup| setup.top("authority: anyone"));
    assert_eq!(gate.json("/api/v1/status")["authority"], "anyone");
    assert_eq!(gate.command("retry shop").code, 0);
    is_at(&gate, "v2", 0.1);
}

/// Shares by hand, pauses and freezes stay what they are, whatever is loaded that says nothing of them.
#[test]
fn what_people_did_survives_unchanged_files_and_restarts() {
    let (one, two) = two();
    let mut gate = Setup::to(&one).version("v2", &[two.address()]).service(SLOW).start();
    gate.reload(|setup| setup.live("v2"));
    is_at(&gate, "v2", 0.1);
    assert_eq!(gate.command("weight shop v2=7% --reason gently").code, 0);
    assert_eq!(gate.command("freeze --reason friday").code, 0);
    for round in 0..2 {
        load_the_same(&gate);
        is_at(&gate, "v2", 0.07);
        assert_eq!(gate.state(), "PAUSED", "{round}");
        assert_eq!(drift(&gate), ["rollout.steps: 10%, 30% → 7%"], "{round}");
        assert_eq!(gate.json("/api/v1/status")["freeze"]["reason"], "friday", "{round}");
        gate.kill();
        gate.start_again();
        is_at(&gate, "v2", 0.07);
    }
    // A plan that changes never makes it jump; it goes on from where it is.
    gate.reload(|setup| setup.service("rollout: {steps: [15% for 1h, 60% for 1h]}"));
    is_at(&gate, "v2", 0.07);
    assert_eq!(gate.command("unfreeze").code, 0);
    assert_eq!(gate.command("promote shop").code, 0);
    is_at(&gate, "v2", 0.15);
    until("no drift", || drift(&gate).is_empty().then_some(()));
}

/// A file that is loaded over and over while a release climbs, and while one is taken back, moves nothing.
#[test]
fn loads_in_the_middle_of_a_release_neither_hurry_nor_stop_it() {
    let (one, two) = two();
    let step = |it: &str| format!("{{weight: {it}, for: 300ms, requests: 20}}");
    let rollout = format!("rollout: {{steps: [{}, {}], watch: 300ms}}", step("20%"), step("50%"));
    let gate = gate_of(&one, &rollout);
    let users = load(&gate);
    deploys(&gate, &format!("v2={}", url(&two)));
    for _ in 0..5 {
        load_the_same(&gate);
    }
    let outcome = gate.command("status shop --wait --timeout 60s");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let release = gate.release();
    assert_eq!((&release["stable"], &release["release"]), (&"v2".into(), &1.into()), "{release:#}");
    let told = gate.command("history shop --limit 100").out;
    for word in ["  v2 0% → 20%", "  v2 20% → 50%", "  v2 50% → 100%"] {
        assert_eq!(told.matches(word).count(), 1, "{word} in\n{told}");
    }
    assert_eq!(gate.command("rollback shop").code, 0);
    for _ in 0..3 {
        load_the_same(&gate);
        assert_eq!((gate.state().as_str(), gate.weight("v1")), ("ROLLED BACK", 1.0));
    }
    users.stop().assert_all("200");
}
