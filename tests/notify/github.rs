//! Deployments on a server that answers as GitHub does.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::support::{Gate, Request, Setup, Upstream, tls, until};
use super::{body, count};

/// A server with deployments.
struct Hub {
    server: Upstream,
    deployments: Arc<Mutex<Vec<Value>>>,
}

impl Hub {
    /// Loses its answers to requests like this, once: the request was carried out, and nobody hears of it.
    fn start(forgetful: &'static str) -> Self {
        let deployments: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (kept, lost) = (Arc::clone(&deployments), Arc::new(Mutex::new(forgetful)));
        let server = Upstream::start(move |peer| {
            while let Some(request) = peer.request() {
                let (status, answer) = answer(&request, &kept);
                let mut lost = lost.lock().expect("nobody panics with it");
                if !lost.is_empty() && request.head.start.starts_with(*lost) {
                    *lost = "";
                    return peer.reset();
                }
                drop(lost);
                peer.answer(status, &answer.to_string());
            }
        });
        Self { server, deployments }
    }

    fn gate(&self, dir: &std::path::Path) -> (Gate, [Upstream; 2]) {
        let token = tls::put(&dir.join("token"), "ghp_hush", 0o600);
        let target = format!(
            "{{name: hub, github: {{repository: acme/shop, token: 'file:{}', api: 'http://{}/api/v3', \
             environment: 'prod {{service}}', ref: '{{service}}/{{version}}', environment_url: 'https://shop'}}, \
             local: allow, link: 'https://wiki/{{service}}'}}",
            token.display(),
            self.server.address()
        );
        let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
        let setup = Setup::to(&one)
            .version("v2", &[two.address()])
            .service("rollout: {steps: [50% for 1h]}")
            .top(format!("notify: [{target}]"));
        (setup.start(), [one, two])
    }

    /// Method, path and what is said of a state.
    fn asked(&self) -> Vec<String> {
        let line = |it: &Request| match body_of(it)["state"].as_str() {
            Some(state) => format!("{} {} {state}", it.method(), it.target()),
            None => format!("{} {}", it.method(), it.target()),
        };
        self.server.requests().iter().map(line).collect()
    }
}

fn body_of(request: &Request) -> Value {
    if request.body.is_empty() { Value::Null } else { body(request) }
}

fn answer(request: &Request, deployments: &Mutex<Vec<Value>>) -> (&'static str, Value) {
    let mut deployments = deployments.lock().expect("nobody panics with it");
    let path = request.target().split('?').next().unwrap_or_default();
    match (request.method(), path.strip_prefix("/api/v3/repos/acme/shop/deployments")) {
        ("GET", Some("")) => ("200 OK", deployments.iter().rev().cloned().collect()),
        ("POST", Some("")) => {
            let mut made = body(request);
            made["id"] = json!(100 + deployments.len());
            deployments.push(made.clone());
            ("201 Created", made)
        }
        ("POST", Some(it)) if it.ends_with("/statuses") => ("201 Created", json!({"id": 1})),
        other => panic!("GitHub has no {other:?}"),
    }
}

const PLACE: &str = "/api/v3/repos/acme/shop/deployments";

#[test]
fn a_release_is_a_deployment_and_its_states() {
    let (hub, dir) = (Hub::start(""), tempfile::tempdir().unwrap());
    let (mut gate, _upstreams) = hub.gate(dir.path());
    gate.edit(|it| it.live("v2"));
    gate.reaches("CANARY");
    until("it has begun", || (count(&gate, "hub", "delivered") == 1.0).then_some(()));
    // What is known survives a crash.
    gate.kill();
    gate.start_again();
    assert_eq!(gate.command("rollback shop --reason enough").code, 0);
    until("it has failed", || (count(&gate, "hub", "delivered") == 1.0).then_some(()));
    let expected = [
        format!("GET {PLACE}?ref=shop%2Fv2&environment=prod%20shop&per_page=5"),
        format!("POST {PLACE}"),
        format!("POST {PLACE}/100/statuses in_progress"),
        format!("POST {PLACE}/100/statuses failure"),
    ];
    assert_eq!(hub.asked(), expected);
    for request in hub.server.requests() {
        let header = |name: &str| request.head.one(name).map(str::to_owned);
        assert_eq!(header("authorization").as_deref(), Some("Bearer ghp_hush"));
        assert_eq!(header("accept").as_deref(), Some("application/vnd.github+json"));
        assert_eq!(header("x-github-api-version").as_deref(), Some("2022-11-28"));
        assert!(header("user-agent").is_some(), "GitHub refuses who has none");
    }
    let requests = hub.server.requests();
    let made = body(&requests[1]);
    assert_eq!((&made["ref"], &made["environment"]), (&json!("shop/v2"), &json!("prod shop")));
    // Without these GitHub would merge, or wait for checks of its own.
    assert_eq!((&made["auto_merge"], &made["required_contexts"]), (&json!(false), &json!([])));
    let status = body(&requests[3]);
    assert!(status["description"].as_str().unwrap().contains("enough"), "{status:#}");
    assert_eq!(
        (&status["log_url"], &status["environment_url"]),
        (&json!("https://wiki/shop"), &json!("https://shop"))
    );
    assert!(!gate.log().contains("ghp_hush"));
}

#[test]
fn an_answer_that_was_lost_makes_no_second_deployment() {
    let (hub, dir) =
        (Hub::start("POST /api/v3/repos/acme/shop/deployments HTTP"), tempfile::tempdir().unwrap());
    let (mut gate, _upstreams) = hub.gate(dir.path());
    gate.edit(|it| it.live("v2"));
    gate.reaches("CANARY");
    until("it has begun", || (count(&gate, "hub", "delivered") == 1.0).then_some(()));
    assert_eq!(hub.deployments.lock().expect("nobody panics with it").len(), 1, "{:?}", hub.asked());
    assert_eq!(hub.asked().last().unwrap(), &format!("POST {PLACE}/100/statuses in_progress"));
}
