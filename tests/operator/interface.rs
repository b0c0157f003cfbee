//! The interface for programs: what is meant for which state, what is sent twice, pages, and bodies that are
//! not what they should be.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, Gate, Response, Setup, Upstream, until};

const PROMOTE: &str = "/api/v1/services/shop/promote";

/// A request over TCP, with the token of the gate.
#[track_caller]
pub fn ask(gate: &Gate, method: &str, path: &str, headers: &str, body: &str) -> Response {
    let mut client = Client::connect(gate.admin_address());
    client.send(request(gate, method, path, headers, body));
    client.try_response(method).unwrap_or_else(|it| panic!("{method} {path}: {it:?}"))
}

pub fn request(gate: &Gate, method: &str, path: &str, headers: &str, body: &str) -> String {
    let token = std::fs::read_to_string(gate.state_dir().join("admin-token")).expect("a token");
    let token = token.trim();
    let own = gate.admin_address();
    let content = match (method, body) {
        ("GET" | "HEAD", "") => String::new(),
        (_, body) => format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()),
    };
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {own}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n{headers}{content}\r\n{body}"
    )
}

pub fn parsed(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|it| panic!("{it}: {}", response.text()))
}

/// A problem, whole.
#[track_caller]
pub fn problem(response: &Response) -> Value {
    assert_eq!(response.header("content-type"), Some("application/problem+json"), "{response:?}");
    let it = parsed(response);
    assert_eq!(it["status"], response.status, "{it}");
    for member in ["type", "title", "detail", "code"] {
        assert!(it[member].as_str().is_some_and(|it| !it.is_empty()), "{member}: {it}");
    }
    it
}

/// In the middle of a release that waits.
fn canary() -> (Upstream, Upstream, Gate) {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let mut gate = Setup::to(&one)
        .version("v2", &[two.address()])
        .service("rollout: {steps: [10% for 1h, 20% for 1h, 30% for 1h]}")
        .start();
    gate.edit(|setup| setup.live("v2"));
    gate.reaches("CANARY");
    (one, two, gate)
}

fn tag(gate: &Gate, path: &str) -> String {
    let answer = ask(gate, "GET", path, "", "");
    assert_eq!(answer.status, 200, "{path}");
    answer.header("etag").unwrap_or_else(|| panic!("{path} has no tag")).to_owned()
}

#[test]
fn whoever_has_the_newest_answer_is_told_so() {
    let (_one, _two, gate) = canary();
    for path in [
        "/api/v1/config",
        "/api/v1/config?effective=true",
        "/api/v1/events",
        "/api/v1/services/shop/history",
        "/api/v1/services/shop",
        "/api/v1/services",
        "/api/v1/status",
    ] {
        // Counts may move between two questions.
        let known = until("the answer stays the same", || {
            let known = tag(&gate, path);
            let again = ask(&gate, "GET", path, &format!("If-None-Match: \"other\", {known}\r\n"), "");
            (again.status == 304).then_some((known, again))
        });
        assert_eq!(known.1.header("etag"), Some(known.0.as_str()));
        assert!(known.1.body.is_empty());
        assert_eq!(ask(&gate, "GET", path, "If-None-Match: \"other\"\r\n", "").status, 200, "{path}");
    }
}

#[test]
fn a_change_that_was_meant_for_another_state_is_refused() {
    let (_one, _two, gate) = canary();
    let meant =
        |path: &str, tag: &str, body: &str| ask(&gate, "POST", path, &format!("If-Match: {tag}\r\n"), body);
    let seen = tag(&gate, "/api/v1/services/shop");
    assert_eq!(meant(PROMOTE, &seen, "{}").status, 200);
    let late = meant(PROMOTE, &seen, "{}");
    assert_eq!((late.status, problem(&late)["code"].clone()), (412, json!("stale")));
    let now = problem(&late)["service"].clone();
    assert_eq!(now["step"]["number"], 2, "{now:#}");
    // As the mark in the body says it.
    let late =
        ask(&gate, "POST", PROMOTE, "", &format!("{{\"step\": {}}}", now["mark"].as_u64().unwrap() - 1));
    assert_eq!((late.status, problem(&late)["code"].clone()), (412, json!("stale")));
    assert_eq!(meant(PROMOTE, &format!("W/{}", tag(&gate, "/api/v1/services/shop")), "{}").status, 412);
    assert_eq!(meant(PROMOTE, "shop", "{}").status, 400, "no tag at all");
    assert_eq!(meant("/api/v1/services/shp/promote", "*", "{}").status, 404);
    assert_eq!(gate.weight("v2"), 0.2, "one step and no more");
    assert_eq!(meant(PROMOTE, "*", "{}").status, 200);

    let loaded = tag(&gate, "/api/v1/config");
    assert_eq!(meant("/api/v1/config/reload", "\"g999-0\"", "{}").status, 412);
    assert_eq!(meant("/api/v1/config/check", &loaded, "{}").status, 200);
    assert_eq!(meant("/api/v1/config/reload", &loaded, "{}").status, 200);

    let house = tag(&gate, "/api/v1/status");
    assert_eq!(meant("/api/v1/freeze", &house, "{\"reason\": \"night\"}").status, 200);
    let late = meant("/api/v1/unfreeze", &house, "{}");
    assert_eq!(late.status, 412, "{late:?}");
    assert_eq!(meant("/api/v1/unfreeze", &tag(&gate, "/api/v1/status"), "{}").status, 200);
}

#[test]
fn the_same_key_acts_once() {
    let (_one, _two, gate) = canary();
    let keyed =
        |key: &str, body: &str| ask(&gate, "POST", PROMOTE, &format!("Idempotency-Key: {key}\r\n"), body);
    let first = keyed("a", "{}");
    assert_eq!((first.status, first.header("idempotency-replayed")), (200, None));
    let again = keyed("\"a\"", "{}");
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")));
    assert_eq!(again.body, first.body);
    let other = keyed("a", "{\"full\": true}");
    assert_eq!((other.status, problem(&other)["code"].clone()), (422, json!("key_reused")));
    assert_eq!(gate.weight("v2"), 0.2, "one step");
    assert_eq!(keyed(&"k".repeat(256), "{}").status, 400);
    // A refusal is the same again too, though it would not be one any more.
    let early = ask(&gate, "POST", "/api/v1/services/shop/resume", "Idempotency-Key: r\r\n", "{}");
    assert_eq!(ask(&gate, "POST", "/api/v1/services/shop/pause", "", "{}").status, 200);
    let again = ask(&gate, "POST", "/api/v1/services/shop/resume", "Idempotency-Key: r\r\n", "{}");
    assert_eq!((again.status, &again.body), (early.status, &early.body));
    assert_eq!(gate.state(), "PAUSED");
}

#[test]
fn the_same_key_at_the_same_time_acts_once() {
    let (_one, _two, gate) = canary();
    let answers: Vec<Response> = std::thread::scope(|scope| {
        let ask = || ask(&gate, "POST", PROMOTE, "Idempotency-Key: once\r\n", "{}");
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|it| it.join().expect("an answer")).collect()
    });
    assert!(answers.iter().all(|it| it.status == 200 && it.body == answers[0].body), "{answers:?}");
    assert_eq!(answers.iter().filter(|it| it.header("idempotency-replayed").is_none()).count(), 1);
    assert_eq!(gate.weight("v2"), 0.2, "one step");

    // Whoever went away before the answer gets it the next time.
    let mut gone = Client::connect(gate.admin_address());
    gone.send(request(&gate, "POST", PROMOTE, "Idempotency-Key: gone\r\n", "{}"));
    drop(gone);
    until("it is done all the same", || (gate.weight("v2") == 0.3).then_some(()));
    let again = ask(&gate, "POST", PROMOTE, "Idempotency-Key: gone\r\n", "{}");
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")));
    assert_eq!(parsed(&again)["service"]["weight_percent"], 30.0, "{}", again.text());
}

#[test]
fn pages_follow_each_other() {
    let (_one, _two, gate) = canary();
    for verb in ["pause", "resume", "pause", "resume", "rollback", "retry"] {
        assert_eq!(
            ask(&gate, "POST", &format!("/api/v1/services/shop/{verb}"), "", "{}").status,
            200,
            "{verb}"
        );
    }
    gate.reaches("CANARY");
    let ids = |page: &Value| -> Vec<u64> {
        page["events"]
            .as_array()
            .expect("events")
            .iter()
            .map(|it| it["id"].as_u64().expect("an id"))
            .collect()
    };
    let all = ids(&gate.json("/api/v1/events?limit=2000"));
    assert!(all.len() >= 7, "{all:?}");
    let walk = |first: &str, separator: char| {
        let (mut pages, mut path) = (Vec::new(), first.to_owned());
        loop {
            let page = gate.json(&path);
            pages.push(ids(&page));
            let Some(next) = page["next"].as_str() else { return pages };
            assert!(pages.last().is_some_and(|it| it.len() == 3), "{pages:?}");
            let bare = first.split(separator).next().expect("a path");
            path = format!("{bare}{separator}limit=3&cursor={next}");
        }
    };
    let mut backwards = walk("/api/v1/events?limit=3", '?');
    backwards.reverse();
    assert_eq!(backwards.concat(), all);
    assert_eq!(walk("/api/v1/events?limit=3&since=0", '?').concat(), all);
    let mut history = walk("/api/v1/services/shop/history?limit=3", '?').concat();
    history.reverse();
    assert_eq!(history, all);
    for wrong in ["limit=0", "limit=2001", "limit=x", "cursor=x", "cursor=b1&since=1"] {
        let refused = gate.admin(&format!("/api/v1/events?{wrong}"));
        assert_eq!(refused.status, 400, "{wrong}");
        problem(&refused);
    }
}

/// Bodies that try what a parser does: a clear refusal each, and the next request is answered.
#[test]
fn hostile_bodies_are_refused() {
    let (_one, _two, gate) = canary();
    let before = gate.memory();
    let pause = "/api/v1/services/shop/pause";
    let deep = format!("{{\"reason\":{}", "[".repeat(10_000));
    for (body, status) in [
        (deep.as_str(), 400),
        (&"{".repeat(10_000), 400),
        ("{\"reason\":\"a\",\"reason\":\"b\"}", 400),
        ("{\"step\":1e999}", 400),
        ("{\"step\":-1}", 400),
        ("{\"step\":18446744073709551616}", 400),
        ("{\"reason\":\"\\ud800\"}", 400),
        ("{\"reason\":1}", 400),
        ("{\"reason\":\"a\"} x", 400),
        ("[]", 400),
        ("null", 400),
        ("\u{feff}{}", 400),
        ("{\"__proto__\":{}}", 400),
    ] {
        let refused = ask(&gate, "POST", pause, "", body);
        assert_eq!(refused.status, status, "{}: {}", &body[..body.len().min(60)], refused.text());
        assert_eq!(problem(&refused)["code"], "bad_request");
    }
    // One character for each byte: 0xff is no UTF-8.
    let head = request(&gate, "POST", pause, "", "{\"reason\":\"xx\"}");
    let mut bytes = head.into_bytes();
    let at = bytes.len() - 4;
    bytes[at] = 0xff;
    let mut client = Client::connect(gate.admin_address());
    assert_eq!(problem(&client.send(&bytes).response())["code"], "bad_request");

    // A body without an end is cut where a long one is.
    let token = std::fs::read_to_string(gate.state_dir().join("admin-token")).expect("a token");
    let mut endless = Client::connect(gate.admin_address());
    endless.send(format!(
        "POST {pause} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        gate.admin_address(),
        token.trim()
    ));
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    let sent = (0..4_096).take_while(|_| endless.offer(&chunk).is_ok()).count();
    assert!(sent < 4_096, "64 MiB were taken");
    if let Ok(refused) = endless.try_response("POST") {
        assert_eq!(refused.status, 413);
        problem(&refused);
    }
    assert!(gate.memory().saturating_sub(before) < 32 << 20);
    assert_eq!(gate.state(), "CANARY", "nothing of all that paused it");
    assert_eq!(ask(&gate, "POST", pause, "", "{}").status, 200);
}

/// A header that claims another method means nothing, and methods that a path does not know are refused.
#[test]
fn only_the_method_says_what_is_asked() {
    let (_one, _two, gate) = canary();
    for header in ["X-HTTP-Method-Override: POST", "X-HTTP-Method: POST", "X-Method-Override: POST"] {
        let read = ask(&gate, "GET", PROMOTE, &format!("{header}\r\n"), "");
        assert_eq!((read.status, read.header("allow")), (405, Some("POST")), "{header}");
        let write = ask(
            &gate,
            "POST",
            PROMOTE,
            &format!("{}\r\nIf-Match: \"m0\"\r\n", header.replace("POST", "GET")),
            "{}",
        );
        assert_eq!(write.status, 412, "{header}");
    }
    for method in ["HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "PATCH"] {
        let refused = ask(&gate, method, PROMOTE, "", "");
        // The codec refuses a TRACE whatever it is for.
        let allow = if method == "TRACE" { "GET, HEAD, POST" } else { "POST" };
        assert_eq!((refused.status, refused.header("allow")), (405, Some(allow)), "{method}");
        if method != "HEAD" {
            problem(&refused);
        }
    }
    let refused = ask(&gate, "POST", "/api/v1/status", "", "{}");
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(gate.weight("v2"), 0.1);
}

/// Who, what, when, and at which generation: one line for each change, whatever is in it.
#[test]
fn every_change_is_a_line_of_the_log() {
    let (_one, _two, gate) = canary();
    let evil = "x\\n2026-01-01T00:00:00Z  INFO tidegate::audit: by=\\\"root\\\" \\u001b[31m\\u202e";
    for (body, status) in [
        ("{\"reason\": \"lunch\"}".to_owned(), 200),
        (format!("{{\"reason\": \"{evil}\"}}"), 400),
        ("{\"reason\":\r\n \"raw\n\u{1b}[2J lines\"}".to_owned(), 400),
    ] {
        let answer = ask(&gate, "POST", "/api/v1/services/shop/pause", "", &body);
        assert_eq!(answer.status, status, "{body:?}: {}", answer.text());
    }
    assert_eq!(ask(&gate, "GET", "/api/v1/status", "", "").status, 200);
    let lines = until("the lines", || {
        let log = gate.log();
        let lines: Vec<String> =
            log.split('\n').filter(|it| it.contains("tidegate::audit")).map(str::to_owned).collect();
        (lines.len() >= 3).then_some(lines)
    });
    assert_eq!(lines.len(), 3, "{lines:#?}");
    let generation = format!("generation={}", gate.generation());
    for line in &lines {
        assert!(line.contains("by=\"token\"") && line.contains(&generation), "{line}");
        assert!(line.contains("what=\"services/shop/pause\""), "{line}");
        assert!(!line.chars().any(|it| it.is_control() || it == '\u{202e}'), "{line:?}");
        let quoted = line.split_once("tidegate::audit: change asked for by=\"token\" via=\"api\" what=");
        assert!(quoted.is_some_and(|it| !it.0.contains('"')), "{line}");
    }
    assert!(lines[0].contains("status=200 code=\"done\"") && lines[0].contains("lunch"), "{}", lines[0]);
    assert!(lines[1].contains("status=400 code=\"bad_request\""), "{}", lines[1]);
}

/// As many slow clients as like to come: whoever sends a request gets in.
#[test]
fn a_thousand_slow_clients_keep_nobody_out() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let mut slow = Vec::new();
    for number in 0..1_000 {
        let Ok(mut client) = Client::try_connect(gate.admin_address()) else { continue };
        let _ = client.offer(&"GET /livez HTTP/1.1\r\nHo"[..number % 24]);
        slow.push(client);
    }
    assert!(slow.len() > 900, "{}", slow.len());
    let asked = std::time::Instant::now();
    assert_eq!((gate.admin("/livez").status, gate.ask("GET", "/livez", "").status), (200, 200));
    assert!(asked.elapsed() < Duration::from_secs(9), "nobody waited for a slow one to time out");
    let mut client = gate.connect();
    for _ in 0..100 {
        assert_eq!(client.get("/").text(), "fine");
    }
    assert!(gate.descriptors() < 300, "{}", gate.descriptors());
}
