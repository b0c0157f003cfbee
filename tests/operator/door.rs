//! Who may do what at the admin address: roles and names, tokens that change, TLS, and no way in through a
//! listener for users.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;

use crate::support::command::{Outcome, run, run_with};
use crate::support::tls::{Ca, Hello, put};
use crate::support::{Client, Gate, Response, Setup, Upstream, admin, gate, h2client, until};

fn token(name: &str) -> String {
    format!("2b7e151628aed2a6abf7158809cf4f3c-{name}")
}

/// A gate with nothing open, and the tokens of some people beside its file.
#[track_caller]
fn guarded(setup: Setup) -> Gate {
    let tokens = "tokens: {wall: {secret: file:wall.token, role: read}, \
        ann: {secret: file:ann.token, role: operate}, ci: {secret: file:ci.token, role: deploy}, \
        root: {secret: file:root.token, role: admin}}";
    Gate::start_laid_out(setup.admin(tokens).admin("anonymous: off"), |file, text| {
        for name in ["wall", "ann", "ci", "root"] {
            give(file.parent().expect("a file lies somewhere"), name, &token(name));
        }
        gate::put(file, text);
    })
}

/// Puts somebody's token in place, as an operator does.
fn give(conf: &Path, name: &str, token: &str) {
    put(&conf.join(format!("{name}.token")), format!("{token}\n"), 0o600);
}

fn request(line: &str, host: impl std::fmt::Display, token: &str) -> String {
    let head = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    format!(
        "{head}Content-Type: application/json\r\nContent-Length: 2\r\nAuthorization: Bearer {token}\r\n\r\n{{}}"
    )
}

#[track_caller]
fn ask(gate: &Gate, line: &str, token: &str) -> Response {
    let to = gate.admin_address();
    Client::connect(to).send(request(line, to, token)).response()
}

const STATUS: &str = "GET /api/v1/status";
const FREEZE: &str = "POST /api/v1/freeze";
const RELOAD: &str = "POST /api/v1/config/reload";

#[test]
fn roles_say_what_and_the_journal_says_who() {
    let upstream = Upstream::answering("fine");
    let gate = guarded(Setup::to(&upstream).version("v2", &[upstream.address()]));
    assert_eq!(gate.admin("/livez").status, 200);
    assert_eq!(gate.admin("/metrics").status, 401);
    for (name, answers) in [
        ("wall", [200, 403, 403]),
        ("ann", [200, 200, 403]),
        ("ci", [200, 200, 200]),
        ("root", [200, 200, 200]),
    ] {
        let said = [STATUS, FREEZE, RELOAD].map(|line| ask(&gate, line, &token(name)).status);
        assert_eq!(said, answers, "{name}");
    }
    // A pipeline releases, and has nothing to do with the process.
    assert_eq!(ask(&gate, "POST /api/v1/upgrade", &token("ci")).status, 403);
    let status: serde_json::Value = serde_json::from_slice(&ask(&gate, STATUS, &token("wall")).body).unwrap();
    // It was frozen by ann first, and anew by whoever did it last.
    assert_eq!(status["freeze"]["by"], serde_json::json!({"name": "root", "via": "api"}));
    let by_user: serde_json::Value =
        serde_json::from_slice(&gate.ask("POST", "/api/v1/unfreeze", "{}").body).unwrap();
    assert_eq!(by_user["changed"], true);
    // What is decided about a service is in its history with the name.
    assert_eq!(ask(&gate, "POST /api/v1/services/shop/pause", &token("ann")).status, 409, "nothing to pause");
    let text = gate.text();
    gate.write(&text.replace("live: v1", "live: v2"));
    until("the guards watch v2", || {
        let page = gate.ask("GET", "/api/v1/services/shop", "");
        page.text().contains("\"WATCHING\"").then_some(())
    });
    assert_eq!(ask(&gate, "POST /api/v1/services/shop/rollback", &token("ann")).status, 200);
    let history = gate.ask("GET", "/api/v1/services/shop/history", "").text();
    let history: serde_json::Value = serde_json::from_str(&history).unwrap();
    let last = &history["events"][0];
    assert_eq!((&last["by"]["name"], &last["by"]["via"]), (&"ann".into(), &"api".into()), "{history:#}");
    assert!(!gate.log().contains(&token("ann")), "no token in the log");
}

/// A new token counts from the reload on and an old one no longer; where one is missing, nothing changes.
#[test]
fn tokens_change_with_a_reload_and_a_missing_one_refuses_it() {
    let upstream = Upstream::answering("fine");
    let gate = guarded(Setup::to(&upstream));
    let is = |name: &str, status| until(name, || (ask(&gate, STATUS, name).status == status).then_some(()));
    give(&gate.conf_dir(), "ann", &token("another"));
    is(&token("another"), 200);
    assert_eq!(ask(&gate, STATUS, &token("ann")).status, 401);
    fs::remove_file(gate.conf_dir().join("ann.token")).unwrap();
    let refused = gate.ask("POST", "/api/v1/config/reload", "{}");
    assert_eq!((refused.status, refused.text().contains("TG0115")), (422, true), "{}", refused.text());
    assert_eq!(ask(&gate, STATUS, &token("another")).status, 200, "the last good one counts");
    // Only the hash of it lies there.
    let hash = run(&["token", "--json", gate.dir().join("new.token").to_str().unwrap()]).json();
    give(&gate.conf_dir(), "ann", hash["hash"].as_str().unwrap());
    let new = fs::read_to_string(gate.dir().join("new.token")).unwrap();
    is(new.trim(), 200);
    // The role is the file's to change, and so is who there is; the address is not.
    let text = gate.text();
    gate.write(&text.replace("role: operate", "role: metrics"));
    until("ann may see the metrics alone", || (ask(&gate, STATUS, new.trim()).status == 403).then_some(()));
    gate.write(&text.replace("anonymous: off", "anonymous: read"));
    until("everybody may read", || (gate.admin("/api/v1/status").status == 200).then_some(()));
    let elsewhere = text.replace(&format!(":{}\"", gate.admin_address().port()), ":1\"");
    assert_ne!(elsewhere, text);
    gate.write(&elsewhere);
    let refused = gate.ask("POST", "/api/v1/config/reload", "{}");
    assert!(refused.status == 422 && refused.text().contains("admin.listen"), "{}", refused.text());
}

/// The token that is made counts only as long as the file names nobody.
#[test]
fn the_token_of_the_state_directory_counts_where_the_file_names_nobody() {
    let upstream = Upstream::answering("fine");
    let mut gate = Setup::to(&upstream).start();
    let made = fs::read_to_string(gate.state_dir().join("admin-token")).unwrap();
    assert_eq!(ask(&gate, FREEZE, made.trim()).status, 200);
    give(&gate.conf_dir(), "own", &token("own"));
    gate.reload(|it| it.admin("token: file:own.token"));
    assert_eq!(ask(&gate, FREEZE, made.trim()).status, 401);
    assert_eq!(ask(&gate, FREEZE, &token("own")).status, 200);
    // The verbs find it by the file.
    let address = format!("http://{}", gate.admin_address());
    let said = gate.command(&format!("unfreeze --server {address}"));
    assert_eq!(said.code, 0, "{}", said.err);
}

fn by_tls(gate: &Gate, variables: &[(&str, &str)], line: &str) -> Outcome {
    let server = format!("https://{}", gate.admin_address());
    let arguments: Vec<&str> = line.split(' ').chain(["--server", &server]).collect();
    run_with(variables, &arguments)
}

#[test]
fn the_command_line_comes_over_tls_and_says_which_role_is_missing() {
    let (upstream, ca) = (Upstream::answering("fine"), Ca::new("ca"));
    let setup = Setup::to(&upstream).admin("tls: {cert: ops.pem, key: ops.key}").admin("names: ops.test");
    let tokens = "tokens: {wall: {secret: file:wall.token, role: read}, \
        root: {secret: file:root.token, role: admin}}";
    let gate = Gate::start_laid_out(setup.admin(tokens).admin("anonymous: off"), |file, text| {
        let conf = file.parent().expect("a file lies somewhere");
        let ip = text.split_once("bind: ").unwrap().1.split(['}', ',']).next().unwrap();
        ca.issue(&[ip, "ops.test"]).put(conf, "ops");
        give(conf, "wall", &token("wall"));
        give(conf, "root", &token("root"));
        gate::put(file, text);
    });
    let authority = gate.dir().join("ca.pem");
    put(&authority, ca.pem(), 0o644);
    let believed = ("TIDEGATE_CA", authority.to_str().unwrap());
    let said = by_tls(&gate, &[], "status");
    assert_eq!(said.code, 4, "{}", said.err);
    assert!(said.err.contains("--ca"), "{}", said.err);
    let said = by_tls(&gate, &[believed], "status");
    assert_eq!(said.code, 4, "{}", said.err);
    assert!(said.err.contains("role `read`"), "{}", said.err);
    let (wall, root) = (token("wall"), token("root"));
    let wall = ("TIDEGATE_TOKEN", wall.as_str());
    let said = by_tls(&gate, &[wall], &format!("status --ca {}", authority.display()));
    assert_eq!(said.code, 0, "{}", said.err);
    let said = by_tls(&gate, &[believed, wall], "freeze");
    assert_eq!(said.code, 4, "{}", said.err);
    assert!(said.err.contains("a token of the role `operate`"), "{}", said.err);
    let said = by_tls(&gate, &[believed, ("TIDEGATE_TOKEN", root.as_str())], "freeze");
    assert_eq!(said.code, 0, "{}", said.err);
    let said = by_tls(&gate, &[believed, ("TIDEGATE_TOKEN", "hunter2")], "freeze");
    assert_eq!((said.code, said.err.contains("hunter2")), (2, false), "{}", said.err);
    // The certificate is renewed like any other.
    let to = gate.admin_address();
    let shown = || Hello::to("ops.test", &ca).try_connect(to).map(|it| it.certificate());
    let before = shown().unwrap();
    ca.issue(&["ops.test"]).put(&gate.conf_dir(), "ops");
    until("the new certificate", || shown().is_ok_and(|it| it != before).then_some(()));
    // Without TLS nobody gets an answer.
    assert!(admin::try_get(to, "/livez").is_none());
}

/// Whatever is asked of a listener for users, the admin interface does not answer.
#[test]
fn users_never_reach_the_admin_interface() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener("h2c: true").start();
    let own = gate.admin_address();
    for (target, host) in [
        ("/metrics".to_owned(), own.to_string()),
        ("/api/v1/status".to_owned(), "localhost".to_owned()),
        (format!("http://{own}/api/v1/status"), own.to_string()),
        (format!("http://{own}/metrics"), "shop.test".to_owned()),
        ("//api/v1/status".to_owned(), own.to_string()),
        ("/api/openapi.json".to_owned(), "admin".to_owned()),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = gate.answer_to(request);
        assert!(answer.text() == "fine" || answer.status == 400, "{target} {host}: {answer:?}");
    }
    for uri in [format!("http://{own}/api/v1/status"), "http://localhost/metrics".to_owned()] {
        let request = http::Request::get(uri.as_str()).header("host", own.to_string()).body(()).unwrap();
        let answer = h2client::ask(gate.address(), request, &[]);
        assert!(answer.as_ref().is_ok_and(|it| it.text() == "fine" || it.status == 400), "{answer:?}");
    }
    let request = format!("CONNECT {own} HTTP/1.1\r\nHost: {own}\r\n\r\n");
    assert!(gate.answer_to(request).status >= 400);
    // A service that leads there is refused where the file shows it, and shut out where it does not.
    for endpoint in [format!("http://{own}"), format!("unix:{}", gate.socket().display())] {
        let text = gate.text_of(&gate.setup().version_as("v1", &endpoint));
        let file = gate.dir().join("exposed.yaml");
        fs::write(&file, text).unwrap();
        let said = run(&["check", file.to_str().unwrap()]);
        assert!(said.code == 3 && format!("{}{}", said.out, said.err).contains("TG0508"), "{said:?}");
    }
    let alias = gate.dir().join("alias.sock");
    std::os::unix::fs::symlink(gate.socket(), &alias).unwrap();
    let mut gate = gate;
    gate.reload(|it| {
        it.add_service(format!(
            "ops: {{hosts: ops.test, live: a, versions: {{a: \"unix:{}\"}}}}",
            alias.display()
        ))
    });
    for line in ["GET /api/v1/status", "POST /api/v1/upgrade"] {
        let answer = gate.answer_to(request_of_user(line));
        assert!([502, 503].contains(&answer.status), "{line}: {answer:?}");
    }
    assert!(gate.log().contains("its endpoint leads here"), "{}", gate.log());
    assert_eq!(gate.ask("GET", "/readyz", "").status, 200);
}

/// A door at every address of this machine is at each of them, and a backend beside it is none.
#[test]
fn an_address_of_this_machine_leads_to_a_door_at_all_of_them() {
    // From where the world would be called; nothing is sent. A machine without a network has loopback alone.
    let own = UdpSocket::bind("0.0.0.0:0").and_then(|it| {
        it.connect("192.0.2.1:9")?;
        it.local_addr()
    });
    let dir = tempfile::tempdir().unwrap();
    give(dir.path(), "own", &token("own"));
    let file = dir.path().join("tidegate.yaml");
    let own = own.map_or(Ipv4Addr::LOCALHOST.into(), |it| it.ip());
    for (endpoint, code) in [
        (format!("{own}:9900"), 3),
        (format!("[::ffff:{own}]:9900"), 3),
        (format!("{own}:9901"), 0),
        ("192.0.2.1:9900".to_owned(), 0),
    ] {
        let admin = "admin: {listen: '0.0.0.0:9900', token: file:own.token, unsafe_without_tls: true}";
        let service = format!("services: {{shop: {{live: a, versions: {{a: 'http://{endpoint}'}}}}}}");
        fs::write(&file, format!("listen: 8080\n{admin}\n{service}\n")).unwrap();
        let said = run(&["check", file.to_str().unwrap()]);
        assert_eq!(said.code, code, "{endpoint}: {said:?}");
        assert!(code == 0 || format!("{}{}", said.out, said.err).contains("TG0508"), "{said:?}");
    }
}

fn request_of_user(line: &str) -> String {
    let json = "Content-Type: application/json\r\nContent-Length: 2\r\n";
    format!("{line} HTTP/1.1\r\nHost: ops.test\r\nConnection: close\r\n{json}\r\n{{}}")
}

#[test]
fn an_address_for_others_needs_tls_and_tokens() {
    let upstream = Upstream::answering("fine");
    let dir = tempfile::tempdir().unwrap();
    give(dir.path(), "own", &token("own"));
    let file = dir.path().join("tidegate.yaml");
    for (admin, code) in [
        ("listen: \"0.0.0.0:0\"", 3),
        ("listen: \"0.0.0.0:0\", token: file:own.token", 3),
        ("listen: \"0.0.0.0:0\", tokens: {}, unsafe_without_tls: true", 3),
        ("listen: \"0.0.0.0:0\", token: file:own.token, unsafe_without_tls: true", 0),
    ] {
        let service =
            format!("services: {{shop: {{live: a, versions: {{a: \"http://{}\"}}}}}}", upstream.address());
        fs::write(&file, format!("listen: \"127.0.0.1:0\"\nadmin: {{{admin}}}\n{service}\n")).unwrap();
        let said = run(&["check", file.to_str().unwrap()]);
        assert_eq!(said.code, code, "{admin}: {said:?}");
        assert!(code == 0 || format!("{}{}", said.out, said.err).contains("TG0505"), "{said:?}");
        if code != 0 {
            let said = run(&["run", "-c", file.to_str().unwrap()]);
            assert_eq!(said.code, code, "{admin}: {said:?}");
        }
    }
}

#[test]
fn a_token_is_made_for_its_reader_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ann.token");
    let path = file.to_str().unwrap();
    let said = run(&["token", path]);
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{}", said.err);
    assert!(said.err.contains("sha256:"), "{}", said.err);
    let made = fs::read_to_string(&file).unwrap();
    assert_eq!(made.trim().len(), 32);
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions()) & 0o777,
        0o600
    );
    assert_eq!(run(&["token", path]).code, 1, "an old one stays");
    assert_eq!(fs::read_to_string(&file).unwrap(), made);
    let (one, other) = (run(&["token"]).out, run(&["token"]).out);
    assert!(one.trim().len() == 32 && one != other);
}
