//! The shipped plans, as they are in `config/`: played from the first user to the last word. Only the
//! addresses, the times and the hours of the day are others. And versions that are added at run time.
#![allow(clippy::disallowed_methods, reason = "real programs in real time")]

#[path = "deliveries/deployed.rs"]
mod deployed;
#[path = "deliveries/shipped.rs"]
mod shipped;
mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::load::Load;
use support::{Gate, Setup, Upstream, gate, until};

/// Two versions of a service that say who they are.
fn versions() -> (Upstream, Upstream) {
    (Upstream::answering("v41"), Upstream::answering("v42"))
}

/// A gate with a shipped file in which each text on the left is replaced by the one on the right.
#[track_caller]
fn shipped(file: &str, versions: &(Upstream, Upstream), replaced: &[(&str, &str)]) -> Gate {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(file);
    let text = fs::read_to_string(path).expect("a shipped file");
    let (one, two) = (versions.0.address().to_string(), versions.1.address().to_string());
    Gate::start_laid_out(Setup::default(), |place, own| {
        let (own, _) = own.split_once("services:").expect("where it listens comes first");
        let ours = [("listen: 8080\n", own), ("127.0.0.1:3001", &one), ("127.0.0.1:3002", &two)];
        let text = ours.iter().chain(replaced).fold(text, |text, (from, to)| {
            assert_eq!(text.matches(from).count(), 1, "`{from}` in\n{text}");
            text.replace(from, to)
        });
        gate::put(place, &text);
    })
}

/// What a person does to release.
fn release(gate: &Gate) {
    let text = fs::read_to_string(gate.file()).expect("the file");
    assert!(text.contains("live: v41\n"), "{text}");
    gate.write(&text.replace("live: v41\n", "live: v42\n"));
}

fn load(gate: &Gate) -> Load {
    Load::start(gate.address(), 4, Duration::from_millis(1))
}

/// Who answers a tester.
fn tester(gate: &Gate) -> String {
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Preview: v42\r\nConnection: close\r\n\r\n";
    gate.answer_to(request).text()
}

fn held(gate: &Gate, why: &str) {
    until(why, || gate.release()["held"].as_str()?.contains(why).then_some(()));
}

#[test]
fn blue_green_is_tested_approved_switched_and_switched_back() {
    let versions = versions();
    let gate = shipped("blue-green-tested.yaml", &versions, &[("watch: 10m", "watch: 500ms")]);
    let users = load(&gate);
    release(&gate);
    gate.reaches("APPROVAL");
    assert_eq!((tester(&gate).as_str(), gate.weight("v42")), ("v42", 0.0));
    let asked = versions.1.requests();
    assert!(asked.iter().any(|it| it.target() == "/selftest"), "{asked:?}");
    let told = gate.command("history shop --limit 100").out;
    assert!(told.contains("smoke test: passed") && told.contains("/selftest"), "{told}");
    users.stop().assert_all("200 v41");
    let users = load(&gate);
    assert_eq!(gate.command("promote shop --reason tested").code, 0);
    // The table comes first; what is shown of it follows.
    until("all users are on v42", || (gate.weight("v42") == 1.0).then_some(()));
    assert_eq!(gate.get("/").text(), "v42");
    gate.reaches("LIVE");
    assert_eq!(gate.release()["stable"], "v42", "{:#}", gate.release());
    // One command, at any time while the version before is kept.
    assert_eq!(gate.command("rollback shop --reason worse").code, 0);
    gate.reaches("ROLLED BACK");
    until("no user is on v42", || (gate.weight("v42") == 0.0).then_some(()));
    assert_eq!(gate.get("/").text(), "v41");
    users.stop().assert_all("200");
}

#[test]
fn a_delivery_waits_for_a_url_and_for_a_person() {
    let versions = versions();
    let may = Arc::new(AtomicBool::new(false));
    let says = may.clone();
    let office = Upstream::start(move |peer| {
        while peer.request().is_some() {
            let yes = says.load(Ordering::SeqCst);
            peer.answer(if yes { "200 OK" } else { "503 No" }, "");
        }
    });
    let gate = shipped(
        "delivery.yaml",
        &versions,
        &[
            ("127.0.0.1:3009", &office.address().to_string()),
            ("5% for 5m", "5% for 300ms"),
            ("{weight: 25%, for: 10m,", "{weight: 25%, for: 300ms,"),
            ("{weight: 50%, for: 10m,", "{weight: 50%, for: 300ms,"),
            ("Mon-Thu 09:00-16:00", "Mon-Sun 00:00-24:00"),
        ],
    );
    let users = load(&gate);
    release(&gate);
    until("the second step", || (gate.weight("v42") == 0.25).then_some(()));
    held(&gate, "answered 503, not 200");
    // It is asked more than once, and stays where it is.
    let before = office.count();
    until("it is asked again", || (office.count() > before + 1).then_some(()));
    assert_eq!(gate.weight("v42"), 0.25);
    assert!(office.requests().iter().all(|it| it.target() == "/may-go-on"));
    may.store(true, Ordering::SeqCst);
    gate.reaches("APPROVAL");
    assert_eq!((gate.weight("v41"), gate.weight("v42")), (0.5, 0.5));
    assert_eq!(gate.command("promote shop --reason reviewed").code, 0);
    gate.reaches("WATCHING");
    assert_eq!((gate.weight("v41"), gate.weight("v42")), (0.01, 0.99), "the holdback stays");
    users.stop().assert_all("200");
    let told = gate.command("history shop --limit 100").out;
    for word in ["  v42 5% → 25%", "  v42 25% → 50%", "  v42 50% → 99%", "reviewed"] {
        assert!(told.contains(word), "{word} in\n{told}");
    }
}
