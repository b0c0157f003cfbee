//! Whoever wants something else of the admin interface than it is for.

use serde_json::Value;

use crate::interface::{ask, parsed, problem, request};
use crate::support::message::bytes_of;
use crate::support::{Broken, Client, Gate, Setup, Upstream, admin};

/// Statuses of all answers on one connection, and how it ended.
fn answers(client: &mut Client) -> (Vec<u16>, Result<(), Broken>) {
    let mut statuses = Vec::new();
    loop {
        match client.try_response("GET") {
            Ok(response) => {
                statuses.push(response.status);
                if response.closes() {
                    return (statuses, client.wire().read_to_end().map(|rest| assert!(rest.is_empty())));
                }
                client.finish();
            }
            Err(Broken::Ended(rest)) if rest.is_empty() => return (statuses, Ok(())),
            Err(broken) => return (statuses, Err(broken)),
        }
    }
}

/// Requests that two readers could read in two ways: as strict as the listeners.
#[test]
fn ambiguous_requests_are_refused() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let own = gate.admin_address();
    let cases: Value = serde_json::from_str(include_str!("../data/http1.json")).expect("JSON");
    let mut wrong = Vec::new();
    let cases = cases["requests"].as_array().expect("cases");
    for case in cases {
        let (id, text) = (case["id"].as_str().expect("an id"), case["bytes"].as_str().expect("bytes"));
        let bytes = bytes_of(&text.replace("Host: a\r\n", &format!("Host: {own}\r\n")));
        let strict = |list: &str| -> Vec<u16> {
            let list = case["strict"][list].as_array().cloned().unwrap_or_default();
            list.iter().filter_map(|it| u16::try_from(it.as_u64()?).ok()).collect()
        };
        let mut right = [strict("status"), strict("tolerable")].concat();
        if right.contains(&200) || id.starts_with("chunk-") {
            // Sound, and nothing that is here; or refused for that before its body is looked at.
            right.extend([403, 404, 405]);
        }
        let valid = format!("GET /livez HTTP/1.1\r\nHost: {own}\r\n\r\n");
        for manner in ["at once", "bytewise", "behind a valid one"] {
            let mut client = Client::connect(own);
            match manner {
                "at once" => drop(client.offer(&bytes)),
                "bytewise" => drop(client.send_bytewise(&bytes)),
                _ => drop(client.offer([valid.as_bytes(), &bytes].concat())),
            }
            let (mut statuses, end) = answers(&mut client);
            if manner == "behind a valid one" {
                assert_eq!(statuses.first(), Some(&200), "{id}");
                statuses.remove(0);
            }
            if id == "pipeline-then-garbage" && statuses.len() == 2 {
                statuses.remove(0);
            }
            if statuses.len() != 1 || !right.contains(&statuses[0]) || end.is_err() {
                wrong.push(format!("{id} {manner}: {statuses:?} {end:?}, not {right:?}"));
            }
        }
    }
    assert!(cases.len() > 30 && wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is not even HTTP is answered as a problem like everything else.
#[test]
fn problems_of_heads_are_problems_too() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let own = gate.admin_address();
    for (bytes, status) in [
        ("nonsense\r\n\r\n".to_owned(), 400),
        (format!("GET /livez HTTP/1.1\nHost: {own}\n\n"), 400),
        (format!("GET /{} HTTP/1.1\r\nHost: {own}\r\n\r\n", "x".repeat(9_000)), 414),
        (format!("GET /livez HTTP/1.1\r\nHost: {own}\r\n{}\r\n", "X: y\r\n".repeat(70)), 431),
        (format!("GET /livez HTTP/1.1\r\nHost: {own}\r\nX: {}\r\n\r\n", "y".repeat(20_000)), 431),
        (format!("GET /livez HTTP/7.0\r\nHost: {own}\r\n\r\n"), 505),
        (format!("GET /livez HTTP/1.1\r\nHost: {own}\r\nTransfer-Encoding: gzip\r\n\r\n"), 501),
    ] {
        let mut client = Client::connect(own);
        let _ = client.offer(&bytes);
        let refused = client.response();
        assert_eq!(refused.status, status, "{bytes:.60}");
        assert_eq!(problem(&refused)["code"], "malformed");
        assert!(refused.closes());
    }
    // A head that does not come is told so, and one that never began is not.
    let mut slow = Client::connect(own);
    slow.send(format!("GET /livez HTTP/1.1\r\nHost: {own}\r\nX-Slow"));
    let mut idle = Client::connect(own);
    let refused = slow.response();
    assert_eq!((refused.status, problem(&refused)["code"].as_str()), (408, Some("timeout")));
    assert!(idle.wire().read_to_end().expect("an end").is_empty());
}

/// One spelling of each path, and no file of the machine behind any.
#[test]
fn paths_are_compared_as_they_are_sent() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let own = gate.admin_address();
    for path in [
        "//livez",
        "/livez/",
        "/LIVEZ",
        "/%6civez",
        "/./livez",
        "/x/../livez",
        "/livez;x",
        "/api/v1/../v1/status",
        "/api/v1//status",
        "/dashboard/../livez",
        "/dashboard/..%2f..%2fetc%2fpasswd",
        "/dashboard/%2e%2e/etc/passwd",
        "/dashboard//etc/passwd",
        "/etc/passwd",
        "/api/v1/services/%2e%2e",
        "/api/v1/services/shop/..",
    ] {
        let answer = admin::get(own, path);
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
        problem(&answer);
    }
    let absolute = |host: &str| {
        let mut client = Client::connect(own);
        client.send(format!("GET http://{host}/livez HTTP/1.1\r\nHost: {own}\r\nConnection: close\r\n\r\n"));
        client.response().status
    };
    assert_eq!(absolute(&own.to_string()), 200);
    assert!(
        matches!(absolute("evil.test"), 400 | 403 | 421),
        "whom a request is for is what the target says"
    );
}

const SECRETS: [&str; 3] = ["s3cret-of-a-header", "s3cret-of-a-cookie", "s3cret-of-a-token"];

fn gate_with_secrets() -> (Upstream, Gate) {
    let upstream = Upstream::answering("fine");
    let rule = format!(
        "routes: [{{match: {{path: /}}, to: shop, set_headers: {{request: {{authorization: \"Bearer {}\", cookie: {}, x-api-key: {}}}}}}}]",
        SECRETS[0], SECRETS[1], SECRETS[2]
    );
    let gate = Setup::to(&upstream).top(rule).start();
    (upstream, gate)
}

/// Nothing that is read here gives a secret of the file away: not what serves, not metrics, not errors.
#[test]
fn secrets_are_not_told() {
    let (_upstream, gate) = gate_with_secrets();
    gate.get("/");
    let token = std::fs::read_to_string(gate.state_dir().join("admin-token")).expect("a token");
    let mut seen = Vec::new();
    for path in
        ["/api/v1/config", "/api/v1/config?effective=true", "/api/v1/status", "/api/v1/events", "/metrics"]
    {
        let answer = ask(&gate, "GET", path, "", "");
        assert_eq!(answer.status, 200, "{path}");
        seen.push((path, answer.text()));
    }
    let yaml =
        parsed(&ask(&gate, "GET", "/api/v1/config", "", ""))["yaml"].as_str().expect("text").to_owned();
    assert_eq!(yaml.matches("REDACTED").count(), 3, "{yaml}");
    let asked = "{\"method\": \"GET\", \"url\": \"http://shop.test/\"}";
    seen.push(("explain", ask(&gate, "POST", "/api/v1/explain", "", asked).text()));
    seen.push(("diff", ask(&gate, "POST", "/api/v1/config/diff", "", "{}").text()));
    seen.push(("log", gate.log()));
    for (what, text) in seen {
        for secret in SECRETS.iter().chain([&token.trim()]) {
            assert!(!text.contains(*secret), "{what} tells {secret}: {text}");
        }
    }
}

/// A data listener never leads here, whatever it is asked and whatever is said about the host.
#[test]
fn the_interface_is_not_behind_the_traffic() {
    let upstream = Upstream::answering("from upstream");
    let gate = Setup::to(&upstream).start();
    let own = gate.admin_address();
    for host in [own.to_string(), "localhost".to_owned(), "127.0.0.1".to_owned()] {
        for line in [
            "GET /api/v1/status",
            "GET /metrics",
            "POST /api/v1/services/shop/pause",
            "GET /api/openapi.json",
        ] {
            let body = if line.starts_with("POST") { "Content-Length: 2\r\n\r\n{}" } else { "\r\n" };
            let answer = gate.answer_to(format!("{line} HTTP/1.1\r\nHost: {host}\r\n{body}"));
            assert_eq!(answer.text(), "from upstream", "{line} {host}");
        }
    }
    let raw = request(&gate, "GET", "/api/v1/status", "", "");
    assert_eq!(gate.answer_to(raw).text(), "from upstream");
    assert_eq!(gate.state(), "LIVE");
}
