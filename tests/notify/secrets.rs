//! Secrets: where they come from, when they are read again, and where they never show up. And who is believed.

use serde_json::json;

use super::support::command::run;
use super::support::tls::{Ca, put, server};
use super::support::{Setup, Upstream, until};
use super::{SECRET, answering, count, gate, target, told, verified, webhook};

const OTHER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[test]
fn a_secret_that_changes_is_read_again_and_both_can_sign() {
    let receiver = answering(&["200 OK"]);
    let dir = tempfile::tempdir().unwrap();
    let path = put(&dir.path().join("secret"), SECRET, 0o600);
    let named = format!("file:{}", path.display());
    let (mut gate, _upstreams) = gate(&webhook(&receiver, &format!(", secret: '{named}'")));
    until("one is told", || (receiver.count() == 1).then_some(()));
    let before = gate.generation();
    put(&path, OTHER, 0o600);
    until("it is read again", || (gate.generation() > before).then_some(()));
    assert_eq!(gate.ask("POST", "/api/v1/freeze", "{}").status, 200);
    until("another is told", || (receiver.count() == 2).then_some(()));
    let requests = receiver.requests();
    assert_ne!(verified(SECRET, &requests[0]), Some(false));
    assert_ne!(verified(OTHER, &requests[1]), Some(false));
    assert_ne!(verified(SECRET, &requests[1]), Some(true));
    // While receivers change over.
    let old = put(&dir.path().join("old"), SECRET, 0o600);
    let both = format!(
        "notify: [{}]",
        webhook(&receiver, &format!(", secret: ['{named}', 'file:{}']", old.display()))
    );
    gate.reload(|it| it.top(both));
    assert_eq!(gate.ask("POST", "/api/v1/unfreeze", "{}").status, 200);
    until("a third is told", || (receiver.count() == 3).then_some(()));
    let last = receiver.last_request();
    assert_eq!(last.head.one("webhook-signature").unwrap().matches("v1,").count(), 2);
    assert_ne!(verified(SECRET, &last), Some(false));
    assert_ne!(verified(OTHER, &last), Some(false));
}

#[test]
fn a_secret_that_is_missing_refuses_the_file_and_the_last_one_serves() {
    let receiver = answering(&["200 OK"]);
    let (mut gate, _upstreams) = gate(&webhook(&receiver, ""));
    until("one is told", || (receiver.count() == 1).then_some(()));
    gate.edit(|it| it.top("notify: [{slack: env:TIDEGATE_TEST_NO_SUCH_VARIABLE}]"));
    let refused = until("it is refused", || {
        let refused = gate.json("/api/v1/status")["refused"].clone();
        refused["report"].as_str().map(str::to_owned)
    });
    assert!(refused.contains("TG0115") && refused.contains("is not in the environment"), "{refused}");
    assert_eq!(gate.ask("POST", "/api/v1/freeze", "{}").status, 200);
    until("who was notified still is", || (receiver.count() == 2).then_some(()));
    assert_eq!(told(&receiver), ["adopted", "frozen"]);
}

#[test]
fn no_secret_shows_up_anywhere() {
    // Each of them is called, and fails.
    let refuses = answering(&["404 Not Found"]);
    let dir = tempfile::tempdir().unwrap();
    let (key, url, token) = ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "T0SECRETPATH", "ghp_hushhushhush");
    let file = |name: &str, text: String| put(&dir.path().join(name), text, 0o600).display().to_string();
    let (key_file, token_file) = (file("key", format!("whsec_{key}")), file("token", token.into()));
    let url_file = file("url", format!("http://{}/services/{url}", refuses.address()));
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let targets = [
        format!(
            "{{webhook: 'http://{}/hook?key={url}', secret: 'file:{key_file}', local: allow}}",
            refuses.address()
        ),
        format!("{{slack: 'file:{url_file}', local: allow, events: [adopted, began]}}"),
        format!(
            "{{github: {{repository: a/b, token: 'file:{token_file}', api: 'http://{}'}}, local: allow}}",
            refuses.address()
        ),
    ];
    let mut gate = Setup::to(&one)
        .version("v2", &[two.address()])
        .service("rollout: {steps: [50% for 1h]}")
        .top(format!("notify: [{}]", targets.join(", ")))
        .start();
    gate.edit(|it| it.live("v2"));
    for name in ["webhook", "slack", "github"] {
        until("it was called", || (count(&gate, name, "failed") >= 1.0).then_some(()));
    }
    // A file with the secrets themselves in it is refused without repeating them.
    let literal = format!(
        "notify: [{{webhook: 'http://{}/x', local: allow, secret: whsec_{key}}}, {{slack: 'https://h/{url}', nmae: x}}, \
         {{github: {{repository: a/b, token: {token}}}}}]",
        refuses.address()
    );
    let good = gate.setup();
    gate.edit(|it| it.top(literal));
    until("it is refused", || gate.json("/api/v1/status")["refused"].as_object().map(drop));
    let check = gate.command("check");
    assert!(check.err.contains("TG0115") || check.out.contains("TG0115"), "{check:?}");
    gate.edit(|_| good);
    let shown = [
        gate.log(),
        gate.metrics(),
        gate.command("export").out,
        gate.command("status --json").out,
        gate.command("events --json").out,
        check.out + &check.err,
        gate.json("/api/v1/config").to_string(),
        gate.json("/api/v1/config?effective=true").to_string(),
        std::fs::read_to_string(gate.state_dir().join("notifications.json"))
            .expect("what was told is written down"),
    ];
    for text in &shown {
        for secret in [key, url, token] {
            assert!(!text.contains(secret), "{secret} in\n{text}");
        }
    }
    assert!(shown[2].contains("webhook: "), "{}", shown[2]);
}

#[test]
fn targets_can_be_tried_without_a_server() {
    let (good, bad) = (answering(&["204 No Content"]), answering(&["403 Forbidden"]));
    let dir = tempfile::tempdir().unwrap();
    let key = put(&dir.path().join("key"), SECRET, 0o600);
    let token = put(&dir.path().join("token"), "ghp_hush", 0o600);
    let file = dir.path().join("t.yaml");
    let text = format!(
        "listen: 8080\nservices: {{shop: {{live: a, versions: {{a: http://10.0.0.1}}}}}}\nnotify:\n\
         - {}\n- {{github: {{repository: a/b, token: 'file:{}', api: 'http://{}'}}, local: allow}}\n",
        webhook(&good, &format!(", secret: 'file:{}'", key.display())),
        token.display(),
        bad.address()
    );
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let one = run(&["notify", "--test", "webhook", "-c", file]);
    assert_eq!(one.code, 0, "{one:?}");
    assert!(one.out.contains("ok: webhook http://127.0.0.1:"), "{one:?}");
    let request = good.only_request();
    assert_eq!(super::body(&request)["type"], "test");
    assert_ne!(verified(SECRET, &request), Some(false));
    let all = run(&["notify", "--test", "-c", file]);
    assert_eq!((all.code, good.count()), (1, 2), "{all:?}");
    assert!(all.out.contains("no: github") && all.out.contains("answered 403"), "{all:?}");
    assert_eq!(bad.only_request().method(), "GET", "no deployment is made for a test");
    assert!(!(all.out + &all.err).contains("ghp_hush"));
    let typo = run(&["notify", "--test", "webhok", "-c", file]);
    assert!(typo.code == 2 && typo.err.contains("did you mean `webhook`?"), "{typo:?}");
}

/// Takes one request over TLS on each connection.
fn secure(pair: &super::support::tls::Pair) -> Upstream {
    let config = server(pair, None);
    Upstream::start(move |peer| {
        if peer.secure(&config) && peer.request().is_some() {
            peer.answer("200 OK", "");
        }
    })
}

#[test]
fn who_is_called_over_tls_has_to_prove_it() {
    let (ca, stranger) = (Ca::new("ca"), Ca::new("stranger"));
    let (good, bad) = (secure(&ca.issue(&["127.0.0.1"])), secure(&stranger.issue(&["127.0.0.1"])));
    let other = secure(&ca.issue(&["elsewhere.example"]));
    let dir = tempfile::tempdir().unwrap();
    let pem = put(&dir.path().join("ca.pem"), ca.pem(), 0o644);
    let target_at = |name: &str, at: &Upstream| {
        format!(
            "{{name: {name}, webhook: 'https://{}/', ca: '{}', local: allow}}",
            at.address(),
            pem.display()
        )
    };
    let targets = [target_at("good", &good), target_at("bad", &bad), target_at("other", &other)].join(", ");
    let (gate, _upstreams) = gate(&targets);
    until("the good one is told", || (count(&gate, "good", "delivered") == 1.0).then_some(()));
    for name in ["bad", "other"] {
        let problem = until("it is not believed", || {
            target(&gate, name)["last"]["problem"].as_str().map(str::to_owned)
        });
        assert!(problem.starts_with("no TLS: "), "{problem}");
    }
    assert_eq!((bad.count(), other.count()), (0, 0));
}

#[test]
fn addresses_of_this_machine_are_refused_unless_they_are_meant() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.yaml");
    for url in
        ["http://127.0.0.1:9/", "https://localhost/", "https://[::ffff:169.254.169.254]/", "https://0x7f.1/"]
    {
        let text = format!(
            "listen: 8080\nservices: {{shop: {{live: a, versions: {{a: http://10.0.0.1}}}}}}\nnotify: [{{webhook: '{url}'}}]\n"
        );
        std::fs::write(&file, text).unwrap();
        let check = run(&["check", "--format", "json", file.to_str().unwrap()]);
        assert_ne!(check.code, 0, "{url}");
        assert_eq!(check.json()["problems"][0]["code"], json!("TG0702"), "{url}: {check:?}");
    }
}
