//! What stands between a version and its users, end to end: previews, acceptance tests, approvals,
//! checks, freezes.
#![allow(clippy::disallowed_methods, reason = "real programs in real time")]

mod support;

use support::{Gate, Setup, Upstream, until};

/// What a request with this header line is answered.
fn with_header(gate: &Gate, line: &str) -> String {
    gate.answer_to(format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\nConnection: close\r\n\r\n")).text()
}

/// Testers reach the canary as long as there is one; what they see is never held against it.
#[test]
fn testers_reach_the_canary_by_header_and_by_host() {
    let (one, two) = (Upstream::answering("one"), Upstream::with_status("500 No", "two"));
    let mut gate = Setup::to(&one)
        .version("v2", &[two.address()])
        .service("rollout: {preview: {header: {x-preview: v2}, host: next.example}, steps: [0.01% for 1h]}")
        .start();
    assert_eq!(with_header(&gate, "X-Preview: v2"), "one", "nothing is being released");
    gate.edit(|setup| setup.live("v2"));
    gate.reaches("CANARY");
    for _ in 0..50 {
        assert_eq!(with_header(&gate, "X-Preview: v2"), "two");
        assert_eq!(with_header(&gate, "X-Preview: v3"), "one");
    }
    let by_host = gate.answer_to("GET / HTTP/1.1\r\nHost: next.example\r\nConnection: close\r\n\r\n");
    assert_eq!(by_host.text(), "two");
    let release = gate.release();
    assert_eq!(release["state"], "CANARY", "{release:#}");
    assert_eq!(gate.command("rollback shop").code, 0);
    until("it is out", || (with_header(&gate, "X-Preview: v2") == "one").then_some(()));
}
