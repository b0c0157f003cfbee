//! Two files and what is said about them.

use std::path::Path;

use super::super::{MemoryFiles, load};
use super::*;

fn config(text: &str) -> Config {
    let loaded = load(Path::new("t.yaml"), &MemoryFiles::new().with("t.yaml", text));
    loaded.config.unwrap_or_else(|| panic!("{}", loaded.problems.render_human(false)))
}

const BASE: &str = "
listen: {http: 8080, alt: 8081}
services:
  shop:
    live: v1
    versions: {v1: http://h:1, v2: [http://h:2, http://h:3]}
    timeouts: {head: 60s}
    rollout: {steps: [1% for 5m, 25% for 10m], watch: 10m}
";

fn situation() -> Situation {
    let shop = Standing { service: "shop".into(), stable: "v1".into(), ..Standing::default() };
    Situation { connections: vec![("alt".into(), 3)], services: vec![shop] }
}

/// Applies `from => to` to the base and compares what is said: `kind subject | what | consequence`.
#[track_caller]
fn check(edits: &[(&str, &str)], expected: &[&str]) {
    let text = edits.iter().fold(BASE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    let found = differences(&config(BASE), &config(&text), &situation());
    let lines: Vec<String> = found
        .iter()
        .map(|it| format!("{} {} | {} | {}", it.kind.as_str(), it.subject, it.what, it.consequence))
        .collect();
    assert_eq!(lines, expected);
}

#[test]
fn spelling_is_no_difference() {
    check(&[], &[]);
    check(&[("head: 60s", "head: 1m"), ("v1: http://h:1", "v1: [http://h:1]")], &[]);
    check(&[("8080", "{port: 8080}")], &[]);
    check(&[("    timeouts", "    balance: round_robin\n    timeouts")], &[]);
}

#[test]
fn another_live_starts_a_release() {
    let release = "changed service shop | live: v1 → v2 | starts a release of v2: 1% for 5m, then 25% for 10m, \
                   then 100%, watched for 10m; at least 25m";
    check(&[("live: v1", "live: v2")], &[release]);
    let flip = config(&BASE.replace("live: v1", "live: v2"));
    let said = |standing: Standing| {
        let now = Situation { services: vec![standing], ..Situation::default() };
        differences(&config(BASE), &flip, &now)[0].consequence.clone()
    };
    let shop = |stable: &str, canary: Option<&str>, quarantined: &[&str]| Standing {
        service: "shop".into(),
        stable: stable.into(),
        canary: canary.map(str::to_owned),
        quarantined: quarantined.iter().map(|it| (*it).to_owned()).collect(),
    };
    assert_eq!(said(shop("v1", Some("v2"), &[])), "the release of v2 goes on");
    assert_eq!(said(shop("v2", None, &[])), "nothing moves: v2 is stable already");
    assert_eq!(said(shop("v2", Some("v1"), &[])), "takes v1 back: v2 is stable and has all traffic at once");
    assert!(said(shop("v1", None, &["v2"])).contains("in quarantine until `tidegate retry`"));
    assert!(said(shop("v1", Some("v0"), &[])).starts_with("takes v0 back, then starts a release of v2: 1%"));
}

#[test]
fn versions_and_endpoints() {
    check(
        &[(", http://h:3", ""), ("v1: http://h:1", "v1: [http://h:1, http://h:9], v3: http://h:4")],
        &[
            "added service shop | endpoint of v1: http://h:9 | gets its share at once",
            "added service shop | version v3: http://h:4 | gets no traffic until it is live, pinned or has a share",
            "removed service shop | endpoint of v2: http://h:3 | gets no new requests; what is under way there may finish",
        ],
    );
    check(
        &[("live: v1", "live: v2"), ("v1: http://h:1, ", "")],
        &[
            "changed service shop | live: v1 → v2 | starts a release of v2: 1% for 5m, then 25% for 10m, then 100%, watched for 10m; at least 25m",
            "refused service shop | version v1 is removed | v1 is stable and must stay in the file until another one is",
        ],
    );
}

#[test]
fn listeners_and_settings() {
    check(
        &[(", alt: 8081", ""), ("head: 60s", "head: 30s"), ("listen:", "workers: 2\nlisten:")],
        &[
            "changed service shop | timeouts.head: 60s → 30s | from the next request on",
            "removed listener alt | stops listening on 0.0.0.0:8081 | 3 open connections get to drain",
            "refused workers | workers: 2, was not written | cannot be changed by a reload: restart tidegate, or put the old value back",
        ],
    );
    check(
        &[("alt: 8081", "alt: {port: 8082, h2c: true}"), ("watch: 10m", "watch: 5m")],
        &[
            "changed service shop | rollout.watch: 10m → 5m | a release under way goes on by the new plan, the next one starts by it",
            "changed listener alt | listens on 0.0.0.0:8082 instead of 0.0.0.0:8081 | 3 open connections get to drain",
            "changed listener alt | h2c: true, was not written | for new connections",
        ],
    );
}

#[test]
fn services_routes_and_the_rest() {
    check(
        &[(
            "services:",
            "defaults: {timeouts: {idle: 5s}}\nroutes: [{match: {path: /x}, to: shop}]\nservices:\n  blog: {hosts: [b.test], live: a, versions: {a: http://h:7}}",
        )],
        &[
            "added service blog | is new | a gets all of its traffic at once",
            "changed service shop | something that it rests on has changed: `defaults`, a certificate or an authority | from the next request on",
            "added routes | {match: {path: /x}, to: shop} | what it matches goes there from the next request on",
            "changed defaults | defaults: {timeouts: {idle: 5s}}, was not written | for every service that does not say otherwise",
        ],
    );
    let gone = BASE.replace("shop", "shop2");
    let found = differences(&config(BASE), &config(&gone), &Situation::default());
    assert_eq!(found[1].subject, "service shop");
    assert_eq!(found[1].kind, ChangeKind::Removed);
}
