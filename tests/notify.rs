//! Who is notified of releases, end to end: receivers over real sockets, good ones and bad ones.
#![allow(clippy::disallowed_methods, reason = "real programs in real time")]

mod support;

#[path = "notify/github.rs"]
mod github;
#[path = "notify/secrets.rs"]
mod secrets;
#[path = "notify/told.rs"]
mod told;
#[path = "config/validator.rs"]
mod validator;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use serde_json::{Value, json};
use support::{Gate, Request, Setup, Upstream, outside, tls, until};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// v1 is live, v2 waits in the file, and these are notified.
fn gate(targets: &str) -> (Gate, [Upstream; 2]) {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let setup = Setup::to(&one)
        .version("v2", &[two.address()])
        .service("rollout: {steps: [50% for 1h]}")
        .top(format!("notify: [{targets}]"));
    (setup.start(), [one, two])
}

/// Answers each call with the next of these statuses, the last one for ever.
fn answering(statuses: &'static [&'static str]) -> Upstream {
    let calls = AtomicUsize::new(0);
    Upstream::start(move |peer| {
        while peer.request().is_some() {
            let call = calls.fetch_add(1, Ordering::SeqCst).min(statuses.len() - 1);
            peer.answer(statuses[call], "");
        }
    })
}

/// A target that takes plain webhooks at `receiver`.
fn webhook(receiver: &Upstream, more: &str) -> String {
    format!("{{webhook: 'http://{}/hook', local: allow{more}}}", receiver.address())
}

/// What a receiver was told, in one word each; but for whether file and fact differ, which says nothing about
/// the release.
fn told(receiver: &Upstream) -> Vec<String> {
    let told = receiver.requests();
    told.iter().map(word).filter(|it| !["drifted", "in_sync"].contains(&it.as_str())).collect()
}

fn word(request: &Request) -> String {
    body(request)["data"]["what"].as_str().expect("a word").to_owned()
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).expect("JSON")
}

/// A target as the status has it.
fn target(gate: &Gate, name: &str) -> Value {
    let status = gate.json("/api/v1/status");
    let all = status["notify"].as_array().expect("a list").clone();
    all.into_iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("{name} in {status:#}"))
}

fn count(gate: &Gate, target: &str, result: &str) -> f64 {
    gate.metric("tidegate_notifications_total", &[("target", target), ("result", result)])
}

/// What a library of others says about the signature of a webhook.
fn verified(secret: &str, request: &Request) -> Option<bool> {
    let python = outside::python(&["standardwebhooks"])?;
    let mut child = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/notify/verify.py"))
        .arg(secret)
        .args(
            ["webhook-id", "webhook-timestamp", "webhook-signature"]
                .map(|it| request.head.one(it).expect(it)),
        )
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("start python");
    child.stdin.take().expect("piped").write_all(&request.body).expect("it reads");
    Some(child.wait().expect("it ends").success())
}

#[test]
fn a_webhook_hears_of_everything_signed_and_in_order() {
    let receiver = answering(&["204 No Content"]);
    let dir = tempfile::tempdir().unwrap();
    let secret = tls::put(&dir.path().join("secret"), format!("{SECRET}\n"), 0o600);
    let more = format!(
        ", name: ci, secret: 'file:{}', link: 'https://wiki/{{service}}/{{version}}'",
        secret.display()
    );
    let (mut gate, _upstreams) = gate(&webhook(&receiver, &more));
    gate.edit(|it| it.live("v2"));
    gate.reaches("CANARY");
    assert_eq!(gate.command("rollback shop --reason enough").code, 0);
    until("all of it is told", || (told(&receiver).len() >= 3).then_some(()));
    assert_eq!(told(&receiver), ["adopted", "began", "rolled_back"]);
    for (request, event) in
        receiver.requests().iter().zip(gate.json("/api/v1/events")["events"].as_array().unwrap())
    {
        assert_eq!((request.method(), request.target()), ("POST", "/hook"));
        assert_eq!(request.head.one("content-type"), Some("application/json"));
        assert_eq!(request.head.one("host"), Some(receiver.address().to_string().as_str()));
        assert!(request.head.one("user-agent").is_some_and(|it| it.starts_with("tidegate/")));
        // The words are those of the admin interface.
        let body = body(request);
        assert_eq!(body["type"], format!("release.{}", event["what"].as_str().unwrap()));
        assert_eq!(body["timestamp"], event["at"]);
        for key in [
            "id",
            "service",
            "version",
            "what",
            "from_percent",
            "to_percent",
            "text",
            "by",
            "generation",
            "evidence",
        ] {
            assert_eq!(body["data"][key], event[key], "{key} of {body:#}");
        }
        let link = format!("https://wiki/shop/{}", event["version"].as_str().unwrap());
        assert_eq!(body["data"]["link"], link);
        if verified(SECRET, request).is_some_and(|it| !it) {
            panic!("another implementation refuses the signature of {request:?}");
        }
        assert_ne!(verified("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", request), Some(true));
    }
    until("it is counted", || (count(&gate, "ci", "delivered") >= 3.0).then_some(()));
    let target = target(&gate, "ci");
    assert!(target["delivered"].as_u64() >= Some(3) && target["failed"] == 0, "{target:#}");
    assert_eq!(target["place"], format!("http://{}", receiver.address()));
}

#[test]
fn what_was_not_taken_is_sent_again_under_the_same_id_and_in_order() {
    let receiver = answering(&["503 Busy", "429 Slowly", "200 OK"]);
    let (mut gate, _upstreams) = gate(&webhook(&receiver, ""));
    gate.edit(|it| it.live("v2"));
    gate.reaches("CANARY");
    until("both are told", || (told(&receiver).len() >= 4).then_some(()));
    assert_eq!(told(&receiver), ["adopted", "adopted", "adopted", "began"]);
    let ids: Vec<_> =
        receiver.requests().iter().map(|it| it.head.one("webhook-id").unwrap().to_owned()).collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3], "{ids:?}");
    assert_eq!((count(&gate, "webhook", "retried"), count(&gate, "webhook", "failed")), (2.0, 0.0));
    // Unsigned, because no secret was named.
    assert!(!receiver.last_request().head.has("webhook-signature"));
}

#[test]
fn a_target_that_hangs_delays_nothing() {
    let (hangs, good) = (Upstream::start(|peer| drop((peer.request(), peer.hold()))), answering(&["200 OK"]));
    let (mut gate, _upstreams) =
        gate(&[webhook(&hangs, ", name: hangs"), webhook(&good, ", name: good")].join(", "));
    until("it hangs", || (hangs.count() == 1).then_some(()));
    gate.edit(|it| it.live("v2"));
    gate.reaches("CANARY");
    assert_eq!(gate.command("rollback shop --reason enough").code, 0);
    assert_eq!(gate.weight("v2"), 0.0);
    until("the other one hears of it", || {
        (told(&good).last().is_some_and(|it| it == "rolled_back")).then_some(())
    });
    let hanging = target(&gate, "hangs");
    assert!(hanging["delivered"] == 0 && hanging["waiting"].as_u64() >= Some(3), "{hanging:#}");
    // It is told that nobody answered, and that is seen.
    until("nobody answered", || target(&gate, "hangs")["last"]["problem"].as_str().map(str::to_owned));
    assert!(
        gate.command("status").out.contains("! hangs (http://127.0.0.1:"),
        "{}",
        gate.command("status").out
    );
    // Nor does it delay the end.
    gate.signal(rustix::process::Signal::TERM);
    assert!(gate.exit_status().success());
}

#[test]
fn an_answer_without_end_is_cut_by_size_and_by_time() {
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let receiver = Upstream::start(move |peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
        let piece = vec![b'x'; 1 << 20];
        while peer.send(&piece) {
            counter.fetch_add(1 << 20, Ordering::SeqCst);
        }
    });
    // Says yes, and then nothing for ever.
    let silent = Upstream::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx");
        peer.hold();
    });
    let (gate, _upstreams) = gate(
        &[webhook(&receiver, ", events: adopted"), webhook(&silent, ", name: silent, events: adopted")]
            .join(", "),
    );
    for name in ["webhook", "silent"] {
        until("it counts as taken", || (count(&gate, name, "delivered") == 1.0).then_some(()));
    }
    until("the connection is cut", || (receiver.busy() == 0).then_some(()));
    // What the kernel takes on both sides is all there is beyond 64 KiB.
    let sent = sent.load(Ordering::SeqCst);
    assert!(sent < 64 << 20, "{sent} bytes of the answer were taken");
}

#[test]
fn redirects_are_not_followed_and_refusals_are_final() {
    let elsewhere = answering(&["200 OK"]);
    let to = elsewhere.address();
    let redirects =
        Upstream::raw(format!("HTTP/1.1 307 There\r\nLocation: http://{to}/\r\nContent-Length: 0\r\n\r\n"));
    let refuses = answering(&["404 Not Found"]);
    let (gate, _upstreams) =
        gate(&[webhook(&redirects, ", name: redirects"), webhook(&refuses, ", name: refuses")].join(", "));
    for (name, receiver) in [("redirects", &redirects), ("refuses", &refuses)] {
        until("it is given up", || (count(&gate, name, "failed") >= 1.0).then_some(()));
        assert_eq!((receiver.count(), count(&gate, name, "retried")), (1, 0.0), "{name}");
    }
    assert_eq!(elsewhere.connections(), 0);
    assert!(gate.log().contains("redirects are not followed"), "{}", gate.log());
    let last = target(&gate, "refuses")["last"].clone();
    assert_eq!(last["problem"], "answered 404");
}

#[test]
fn who_wants_to_hear_nothing_is_left_alone_until_the_next_reload() {
    let receiver = answering(&["410 Gone", "200 OK"]);
    let (mut gate, _upstreams) = gate(&webhook(&receiver, ""));
    until("it is given up", || (count(&gate, "webhook", "failed") >= 1.0).then_some(()));
    assert_eq!(target(&gate, "webhook")["disabled"], true);
    assert_eq!(gate.ask("POST", "/api/v1/freeze", "{}").status, 200);
    assert_eq!(target(&gate, "webhook")["waiting"], 0);
    // A reload, whatever it changes.
    gate.reload(|it| it.service("timeouts: {connect: 900ms}"));
    assert_eq!(target(&gate, "webhook")["disabled"], false);
    assert_eq!(gate.ask("POST", "/api/v1/unfreeze", "{}").status, 200);
    until("it hears again", || (count(&gate, "webhook", "delivered") >= 1.0).then_some(()));
    assert_eq!(told(&receiver), ["adopted", "unfrozen"]);
}

#[test]
fn given_up_after_a_time() {
    let receiver = answering(&["500 No"]);
    let (gate, _upstreams) = gate(&webhook(&receiver, ", give_up: 1s"));
    until("it is given up", || (count(&gate, "webhook", "failed") >= 1.0).then_some(()));
    assert!(count(&gate, "webhook", "retried") >= 1.0);
    assert!(gate.log().contains("not notified: answered 500; given up after"), "{}", gate.log());
}

/// How many may wait, and what becomes of more, is tested where it is decided.
#[test]
fn a_burst_loses_none() {
    let receiver = answering(&["200 OK"]);
    let one = Upstream::answering("one");
    let mut setup = Setup::to(&one).top(format!("notify: [{}]", webhook(&receiver, ", events: adopted")));
    for n in 1..600 {
        let versions = format!("{{v1: 'http://{}'}}", one.address());
        setup = setup.add_service(format!("s{n}: {{hosts: s{n}.test, live: v1, versions: {versions}}}"));
    }
    let gate = setup.start();
    let mut told = 0;
    while told < 600 {
        told = until("more is told", || Some(receiver.count()).filter(|it| *it > told));
    }
    until("and counted", || (target(&gate, "webhook")["delivered"] == 600).then_some(()));
    assert_eq!(target(&gate, "webhook")["dropped"], 0);
    let ids: std::collections::BTreeSet<String> = receiver
        .requests()
        .iter()
        .map(|it| body(it)["data"]["service"].as_str().expect("a name").to_owned())
        .collect();
    assert_eq!(ids.len(), 600, "each of them once");
}

#[test]
fn a_crash_loses_nothing_and_repeats_only_what_is_told_by_its_id() {
    let receiver = answering(&["200 OK", "503 Busy"]);
    let address = receiver.address();
    let (mut gate, _upstreams) = gate(&webhook(&receiver, ", events: [adopted, began]"));
    until("one is told", || (count(&gate, "webhook", "delivered") == 1.0).then_some(()));
    gate.edit(|it| it.live("v2"));
    gate.reaches("CANARY");
    until("the other one is not", || (count(&gate, "webhook", "retried") >= 1.0).then_some(()));
    gate.kill();
    let before = receiver.last_request();
    drop(receiver);
    let receiver = Upstream::start_on(address, |peer| peer.serve("200 OK", ""));
    gate.start_again();
    until("it is told after all", || (count(&gate, "webhook", "delivered") == 1.0).then_some(()));
    let after = receiver.only_request();
    assert_eq!((word(&before), word(&after)), ("began".to_owned(), "began".to_owned()));
    assert_eq!(before.head.one("webhook-id"), after.head.one("webhook-id"));
    // And never again.
    gate.kill();
    gate.start_again();
    assert_eq!(gate.ask("POST", "/api/v1/freeze", "{}").status, 200);
    assert_eq!(target(&gate, "webhook")["waiting"], 0);
    assert_eq!(receiver.count(), 1);
}

#[test]
fn a_chat_gets_a_message_that_calls_nobody() {
    let receiver = answering(&["200 OK"]);
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let dir = tempfile::tempdir().unwrap();
    let url =
        tls::put(&dir.path().join("url"), format!("http://{}/services/T0/hush", receiver.address()), 0o600);
    let check = "{run: [sh, -c, \"echo '<!channel> @here https://evil.example/ *bold*'; exit 3\"]}";
    let mut gate = Setup::to(&one)
        .version("v2", &[two.address()])
        .service(format!("rollout: {{verify: {check}, steps: [50% for 1h]}}"))
        .top(format!(
            "notify: [{{slack: 'file:{}', local: allow, link: 'https://wiki/{{service}}'}}]",
            url.display()
        ))
        .start();
    gate.edit(|it| it.live("v2"));
    gate.reaches("ROLLED BACK");
    until("it is told", || (receiver.count() >= 1).then_some(()));
    let request = receiver.requests().pop().unwrap();
    assert_eq!(request.target(), "/services/T0/hush");
    let message = body(&request);
    let text = message["text"].as_str().unwrap();
    assert!(text.starts_with("shop v2 rolled back"), "{message:#}");
    let said = message["blocks"][1]["text"].clone();
    assert_eq!((&said["type"], &said["emoji"]), (&json!("plain_text"), &json!(false)));
    for part in [text, said["text"].as_str().unwrap()] {
        assert!(part.contains("evil.example"), "what the check said is there: {part}");
        assert!(!part.contains("://") && !part.contains("@here"), "{part}");
    }
    assert!(!text.contains(['<', '>', '*']), "{text}");
    assert_eq!(message["blocks"][0]["text"]["text"], "🔴 *shop* v2 rolled back  0%");
    assert!(
        message["blocks"][2]["elements"][0]["text"].as_str().unwrap().ends_with("<https://wiki/shop|open>")
    );
}
