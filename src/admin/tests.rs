//! Everything that can be asked for, asked for in every wrong way. The list is the one that the server itself
//! goes by, so that a path that is new is tried as well.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::config::{AdminAccess, Role, SecretSource, TokenHash, TokenSpec};
use crate::model::Timestamp;
use crate::runtime::{own_user, user_name};

use super::paths::{PATHS, Path};
use super::script::Running;

mod promised;

fn named(name: &str, role: Role, expires: Option<Timestamp>) -> TokenSpec {
    TokenSpec {
        name: name.parse().unwrap(),
        role,
        hash: TokenHash::of(token(name).as_bytes()),
        source: SecretSource::Variable(name.to_owned()),
        expires,
    }
}

/// Nothing is open; there is a token for each role, and one that has expired.
fn closed() -> Running {
    let mut tokens: Vec<TokenSpec> = Role::ALL.into_iter().map(|it| named(it.as_str(), it, None)).collect();
    tokens.push(named("late", Role::Admin, Some(Timestamp(1_700_000_000_000_000))));
    Running::start_with(AdminAccess { anonymous: None, tokens, ..AdminAccess::default() })
}

fn token(name: &str) -> String {
    format!("2b7e151628aed2a6abf7158809cf4f3c-{name}")
}

/// What came back.
#[derive(Debug)]
struct Said {
    status: u16,
    head: String,
    body: String,
}

impl Said {
    fn code(&self) -> String {
        let problem: Value = serde_json::from_str(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Asks from an address of this machine, with header lines.
async fn ask(it: &Running, from: [u8; 4], method: &str, path: &Path, headers: &[&str]) -> Said {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((Ipv4Addr::from(from), 0))).unwrap();
    let mut stream = socket.connect(it.address).await.unwrap();
    let target = path.template.replace("{name}", "shop").replace("{file}", "app.js");
    let body = if matches!(method, "GET" | "HEAD") { "" } else { "{}" };
    let mut head = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|it| it.starts_with("Host:")) {
        head += "Host: localhost\r\n";
    }
    headers.iter().for_each(|it| head += &format!("{it}\r\n"));
    stream.write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    // A stream has no end of its own: its head is what counts.
    let mut part = [0; 4096];
    loop {
        let count = stream.read(&mut part).await.unwrap();
        bytes.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let endless = text.contains("text/event-stream") && text.contains("\r\n\r\n");
        if count == 0 || endless {
            let (head, body) =
                text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{method} {target}: {text}"));
            let (status, head) = (head[9..12].parse().unwrap(), head.to_lowercase());
            if method != "HEAD" && head.contains("application/problem+json") {
                promised::check(path.template, method, status, body);
            }
            return Said { status, head, body: body.to_owned() };
        }
    }
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

const JSON: &str = "Content-Type: application/json";

fn method(path: &Path) -> &'static str {
    if path.writes { "POST" } else { "GET" }
}

/// What anybody got the house to do.
fn done(it: &Running) -> Vec<String> {
    let asked = it.house.asked.lock().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
    [it.house.commanded.lock().unwrap().clone(), asked].concat()
}

#[tokio::test]
async fn no_path_opens_to_no_wrong_old_cut_or_lesser_token() {
    let it = closed();
    let wrong = [
        None,
        Some(bearer("2b7e151628aed2a6abf7158809cf4f3d-admin")),
        Some(bearer(&token("late"))),
        Some(bearer(&token("admin")[..37])),
        Some(bearer("")),
        Some(format!("Authorization: Basic {}", token("admin"))),
        Some(format!("Cookie: token={}", token("admin"))),
    ];
    for (number, path) in (1..).zip(PATHS) {
        let from = [127, 1, 0, number];
        let Some(role) = path.needs else {
            assert_ne!(ask(&it, from, "GET", path, &[]).await.status, 401, "{}", path.template);
            continue;
        };
        let mut bodies = Vec::new();
        for shown in &wrong {
            let headers: Vec<&str> = [Some(JSON), shown.as_deref()].into_iter().flatten().collect();
            let said = ask(&it, from, method(path), path, &headers).await;
            assert_eq!(said.status, 401, "{} {shown:?}: {}", path.template, said.body);
            assert!(said.head.contains("www-authenticate: bearer"), "{}", said.head);
            bodies.push(said.body);
        }
        assert!(bodies.iter().all(|it| *it == bodies[0]), "{bodies:#?}");
        let lesser = Role::ALL.into_iter().filter(|it| *it < role);
        let mut bodies = Vec::new();
        for lesser in lesser {
            let shown = bearer(&token(lesser.as_str()));
            let said = ask(&it, from, method(path), path, &[JSON, &shown]).await;
            assert_eq!((said.status, said.code().as_str()), (403, "role_needed"), "{}", path.template);
            let problem: Value = serde_json::from_str(&said.body).unwrap();
            assert_eq!(problem["role"], role.as_str());
            bodies.push(said.body);
        }
    }
    assert_eq!(done(&it), [""; 0], "nothing was done");
}

#[tokio::test]
async fn every_path_opens_to_its_role_and_to_those_above() {
    let it = closed();
    for path in PATHS {
        for role in Role::ALL.into_iter().filter(|it| Some(*it) >= path.needs) {
            let shown = bearer(&token(role.as_str()));
            let said = ask(&it, [127, 1, 1, 1], method(path), path, &[JSON, &shown]).await;
            let refused = [401, 403, 404, 405, 415, 421, 429].contains(&said.status);
            assert!(!refused, "{} {said:?}", path.template);
        }
    }
}

#[tokio::test]
async fn other_methods_do_nothing_whatever_header_claims_otherwise() {
    let it = closed();
    let shown = bearer(&token("admin"));
    for path in PATHS {
        let allow = if path.writes { "allow: post" } else { "allow: get, head" };
        let known: &[&str] = if path.writes { &["POST"] } else { &["GET", "HEAD"] };
        for method in ["GET", "HEAD", "POST", "OPTIONS", "TRACE", "PUT", "PATCH", "DELETE"] {
            if known.contains(&method) {
                continue;
            }
            let claim = known[0];
            let headers = [
                JSON,
                &shown,
                &format!("X-HTTP-Method-Override: {claim}"),
                &format!("X-HTTP-Method: {claim}"),
                &format!("X-Method-Override: {claim}"),
            ];
            let said = ask(&it, [127, 1, 2, 1], method, path, &headers).await;
            assert_eq!(said.status, 405, "{method} {}", path.template);
            // What no path takes is refused before anybody looks which one it is.
            let taken = ["GET", "HEAD", "POST"].contains(&method);
            let allow = if taken { allow } else { "allow: " };
            assert!(said.head.contains(allow), "{}", said.head);
        }
    }
    assert_eq!(done(&it), [""; 0]);
}

#[tokio::test]
async fn pages_of_others_get_nothing_and_no_word_about_cors() {
    let it = closed();
    let shown = bearer(&token("admin"));
    let form = "Content-Type: application/x-www-form-urlencoded";
    let text = "Content-Type: text/plain";
    let (origin, site) = ("Origin: http://evil.test", "Sec-Fetch-Site: cross-site");
    for path in PATHS {
        let asked = [
            // A form, a script without and with questions before, a stream, a rebound name, another port.
            (
                method(path),
                vec![origin, site, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", form],
                403,
            ),
            (method(path), vec![origin, site, "Sec-Fetch-Mode: no-cors", text], 403),
            ("OPTIONS", vec![origin, site, "Access-Control-Request-Method: POST"], 403),
            (method(path), vec![site, "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image", JSON], 403),
            (method(path), vec![origin, "Accept: text/event-stream", JSON], 403),
            (method(path), vec!["Origin: null", JSON], 403),
            (method(path), vec!["Host: evil.test", JSON], 421),
            ("OPTIONS", vec!["Host: evil.test"], 421),
            (method(path), vec!["Origin: http://localhost:3000", "Sec-Fetch-Site: same-site", JSON], 403),
        ];
        for (method, mut headers, expected) in asked {
            headers.push(&shown);
            let said = ask(&it, [127, 1, 3, 1], method, path, &headers).await;
            assert_eq!(said.status, expected, "{method} {} {headers:?}", path.template);
            assert!(!said.head.contains("access-control-"), "{}", said.head);
            assert!(!said.head.contains("set-cookie"), "{}", said.head);
        }
        // Our own page may ask, and is not told anything about others either.
        let own = format!("Host: localhost:{}", it.address.port());
        let page = format!("Origin: http://localhost:{}", it.address.port());
        let said = ask(&it, [127, 1, 3, 1], "OPTIONS", path, &[&own, &page, &shown]).await;
        assert_eq!(said.status, 405, "{}", path.template);
        assert!(!said.head.contains("access-control-"), "{}", said.head);
        if path.writes {
            for kind in [form, text, "Content-Type: multipart/form-data; boundary=a", "Accept: */*"] {
                let said = ask(&it, [127, 1, 3, 1], "POST", path, &[&own, &page, kind, &shown]).await;
                assert_eq!((said.status, said.code().as_str()), (415, "json_only"), "{}", path.template);
            }
        }
    }
    assert_eq!(done(&it), [""; 0]);
}

#[tokio::test]
async fn guesses_lock_out_their_own_address_and_no_door() {
    let it = closed();
    let status = PATHS.iter().find(|it| it.template == "/api/v1/status").unwrap();
    let livez = PATHS.iter().find(|it| it.template == "/livez").unwrap();
    let (eve, ann) = ([127, 1, 4, 1], [127, 1, 4, 2]);
    let good = bearer(&token("admin"));
    let mut said = Vec::new();
    for number in 0..40 {
        let shown = bearer(&format!("2b7e151628aed2a6abf7158809cf4f3c-{number}"));
        said.push(ask(&it, eve, "GET", status, &[&shown]).await.status);
    }
    assert_eq!(said, [[401; 10].as_slice(), &[429; 30]].concat());
    let locked = ask(&it, eve, "GET", status, &[&good]).await;
    assert_eq!((locked.status, locked.code().as_str()), (429, "locked_out"));
    assert!(locked.head.contains("retry-after: "), "{}", locked.head);
    assert_eq!(ask(&it, eve, "GET", livez, &[&good]).await.status, 200, "what stands open stays open");
    assert_eq!(ask(&it, ann, "GET", status, &[&good]).await.status, 200);
    let mut socket = tokio::net::UnixStream::connect(&it.socket).await.unwrap();
    socket.write_all(b"GET /api/v1/status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
}

/// A token may have the name of a user. Both choose their keys themselves, and neither gets the other's answer.
#[tokio::test]
async fn a_token_and_a_user_of_one_name_have_keys_of_their_own() {
    let user = user_name(own_user());
    if user.contains(' ') {
        // Nobody's name: no token can be called like that.
        return;
    }
    let tokens = vec![named(&user, Role::Operate, None)];
    let it = Running::start_with(AdminAccess { anonymous: None, tokens, ..AdminAccess::default() });
    let path = PATHS.iter().find(|it| it.template.ends_with("/promote")).unwrap();
    let key = "Idempotency-Key: one";
    let by_token = ask(&it, [127, 1, 5, 1], "POST", path, &[JSON, key, &bearer(&token(&user))]).await;
    let mut socket = tokio::net::UnixStream::connect(&it.socket).await.unwrap();
    let head = "POST /api/v1/services/shop/promote HTTP/1.1\r\nHost: a\r\nConnection: close";
    let asked = format!("{head}\r\n{JSON}\r\n{key}\r\nContent-Length: 2\r\n\r\n{{}}");
    socket.write_all(asked.as_bytes()).await.unwrap();
    let mut by_user = String::new();
    socket.read_to_string(&mut by_user).await.unwrap();
    assert!(by_token.status == 200 && by_user.starts_with("HTTP/1.1 200"), "{by_token:?} {by_user}");
    assert!(!by_user.contains("idempotency-replayed"), "{by_user}");
    assert_eq!(done(&it).len(), 2);
}
