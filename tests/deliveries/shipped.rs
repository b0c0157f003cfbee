//! The other shipped files: each is run as it is, but for its addresses, and does what its comments say.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::load::Load;
use crate::support::tls::{Ca, Hello, put};
use crate::support::{Client, Gate, Response, Setup, Upstream, gate, until};

/// A shipped file, running, with somebody behind every port that it names.
struct Shipped {
    gate: Gate,
    /// By the port in the file.
    behind: BTreeMap<u16, Upstream>,
}

fn config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

impl Shipped {
    /// Runs `file`. Each port of `behind` answers with its own number; `lay` puts other files beside the file
    /// and changes the text once more.
    #[track_caller]
    fn run(file: &str, behind: &[u16], lay: impl FnOnce(&Path, String) -> String) -> Self {
        let text = fs::read_to_string(config().join(file)).expect("a shipped file");
        let answer = |port: u16| {
            let body: &'static str = port.to_string().leak();
            (port, Upstream::answering(body))
        };
        let behind: BTreeMap<u16, Upstream> = behind.iter().map(|it| answer(*it)).collect();
        let place = |text: String| {
            behind.iter().fold(text, |text, (port, upstream)| {
                text.replace(&format!("127.0.0.1:{port}"), &upstream.address().to_string())
            })
        };
        let gate = Gate::start_laid_out(Setup::default(), |file, own| {
            let (own, _) = own.split_once("services:").expect("where it listens comes first");
            let directory = file.parent().expect("a directory");
            let parts = directory.join("conf.d");
            fs::create_dir_all(&parts).expect("a directory");
            for entry in fs::read_dir(config().join("conf.d")).expect("it is shipped") {
                let path = entry.expect("an entry").path();
                let name = path.file_name().expect("a name");
                fs::write(parts.join(name), place(fs::read_to_string(&path).expect("text"))).expect("write");
            }
            // Where it listens, keeps its state and as whom is ours; what else it says is its own.
            let kept =
                ["admin:", "state:", "user:", "group:", "workers:", "  listen: 127.0.0.1:9900", "  socket:"];
            let lines = text.lines().filter(|it| !kept.iter().any(|kept| it.starts_with(kept)));
            let text: String = lines.map(|it| format!("{it}\n")).collect();
            let text = match text.contains("listen: 8080\n") {
                true => text.replace("listen: 8080\n", own),
                false => {
                    let (listeners, rest) =
                        own.split_once("admin:").expect("where operators ask comes second");
                    let http = listeners.split_once("http: ").expect("a listener").1.trim_end();
                    lay_out(text, http) + "admin:" + rest
                }
            };
            gate::put(file, &lay(directory, place(text)));
        });
        Self { gate, behind }
    }

    /// The answer to a request with these header lines.
    #[track_caller]
    fn ask(&self, line: &str, host: &str, headers: &str) -> Response {
        let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n");
        self.gate.answer_to(request)
    }

    /// The last request that reached a port.
    #[track_caller]
    fn seen(&self, port: u16) -> String {
        let last = self.behind[&port].last_request();
        last.target().to_owned()
    }

    /// Saves the file with another text in it.
    fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.gate.file()).expect("the file");
        assert_eq!(text.matches(from).count(), 1, "`{from}` in\n{text}");
        self.gate.write(&text.replace(from, to));
    }
}

/// The listener of the tests in place of the file's first one, which is called `http` as well.
fn lay_out(text: String, http: &str) -> String {
    let inside = http.trim_matches(['{', '}']);
    text.replace("  http: 8080\n", &format!("  http: {http}\n"))
        .replace("  http: {port: 8080,", &format!("  http: {{{inside},"))
}

fn as_it_is(_: &Path, text: String) -> String {
    text
}

#[test]
fn every_example_is_played() {
    let here = [include_str!("shipped.rs"), include_str!("../deliveries.rs")].concat();
    for entry in fs::read_dir(config()).expect("it is shipped") {
        let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
        assert!(
            !name.ends_with(".yaml") || here.contains(&format!("\"{name}\"")),
            "nobody plays config/{name}"
        );
    }
}

#[test]
fn blue_green_flips_and_flips_back() {
    let it = Shipped::run("blue-green.yaml", &[3001, 3002], as_it_is);
    assert_eq!(it.gate.get("/").text(), "3001");
    it.edit("live: blue\n", "live: green\n");
    until("green has all traffic", || (it.gate.weight("green") == 1.0).then_some(()));
    it.gate.reaches("WATCHING");
    assert_eq!(it.gate.get("/").text(), "3002");
    it.edit("live: green\n", "live: blue\n");
    until("blue has all traffic", || (it.gate.weight("blue") == 1.0).then_some(()));
    assert_eq!(it.gate.get("/").text(), "3001");
}

#[test]
fn the_canary_begins_with_a_twentieth_and_goes_back_on_demand() {
    let it = Shipped::run("canary.yaml", &[3001, 3002], as_it_is);
    let users = Load::start(it.gate.address(), 4, std::time::Duration::from_millis(1));
    it.edit("live: v1\n", "live: v2\n");
    it.gate.reaches("CANARY");
    until("a twentieth", || ((it.gate.weight("v1"), it.gate.weight("v2")) == (0.95, 0.05)).then_some(()));
    until("some see it", || (it.behind[&3002].count() > 0).then_some(()));
    assert_eq!(it.gate.command("rollback shop --reason enough").code, 0);
    until("nobody is on v2", || (it.gate.weight("v2") == 0.0).then_some(()));
    assert_eq!(it.gate.get("/").text(), "3001");
    users.stop().assert_all("200");
}

#[test]
fn a_split_stays_and_everybody_keeps_their_side() {
    let it = Shipped::run("split.yaml", &[3001, 3002], as_it_is);
    let mut sides = BTreeMap::<String, u32>::new();
    for _ in 0..300 {
        let first = it.ask("GET /", "a", "");
        let cookie =
            first.header("set-cookie").expect("a unit").split(';').next().unwrap_or_default().to_owned();
        let again = it.ask("GET /", "a", &format!("Cookie: {cookie}\r\n"));
        assert_eq!(first.text(), again.text(), "{cookie}");
        *sides.entry(first.text()).or_default() += 1;
    }
    // Six standard deviations on both sides.
    assert!((20..=110).contains(&sides["3002"]), "{sides:?}");
    for (variant, port) in [("a", "3001"), ("b", "3002")] {
        assert_eq!(it.ask("GET /", "a", &format!("X-Variant: {variant}\r\n")).text(), port);
    }
}

#[test]
fn the_most_specific_route_wins() {
    let it = Shipped::run("routes.yaml", &[3001, 3002, 3003], as_it_is);
    assert_eq!(it.ask("GET /apix", "localhost", "").text(), "3001");
    assert_eq!(it.ask("GET /api/x", "localhost", "").text(), "3002");
    assert_eq!(it.seen(3002), "/x");
    assert_eq!(
        it.ask("POST /login?step=2", "localhost", "X-Beta: 1\r\nContent-Length: 0\r\n").text(),
        "3003"
    );
    assert_eq!(it.seen(3003), "/v2/login?step=2");
    assert_eq!(it.ask("GET /login?step=2", "localhost", "X-Beta: 1\r\n").text(), "3001", "no POST");
    let answer = it.ask("GET /v3/status", "shop.example.com", "X-Debug: 1\r\n");
    assert_eq!((answer.text().as_str(), answer.header("cache-control")), ("3002", Some("no-store")));
    let head = it.behind[&3002].last_request().head;
    assert_eq!((head.one("x-edge"), head.has("x-debug")), (Some("tidegate"), false));
    let to = |line, host| it.ask(line, host, "").header("location").map(str::to_owned);
    assert_eq!(to("GET /a?b", "www.example.com").as_deref(), Some("https://shop.example.com/a?b"));
    assert!(to("GET /old/x", "localhost").is_some_and(|it| it.ends_with("/new/x")));
    assert!(to("GET /favicon.png", "localhost").is_some_and(|it| it.ends_with("/static/favicon.png")));
}

#[test]
fn each_team_has_its_file() {
    let it = Shipped::run("include.yaml", &[3001, 3002], as_it_is);
    assert_eq!(it.ask("GET /", "shop.example.com", "").text(), "3001");
    assert_eq!(it.ask("GET /blog/x", "shop.example.com", "").text(), "3002");
    assert_eq!(it.seen(3002), "/x");
    // A new file is noticed like a changed one.
    let part = it.gate.conf_dir().join("conf.d/new.yaml");
    let to = it.behind[&3001].address();
    gate::put(
        &part,
        &format!("services: {{new: {{hosts: new.test, live: a, versions: {{a: \"http://{to}\"}}}}}}\n"),
    );
    until("the new file is in force", || (it.ask("GET /", "new.test", "").status == 200).then_some(()));
}

#[test]
fn tls_asks_partners_who_they_are_and_leads_plain_http_there() {
    let (ca, partners) = (Ca::new("ca"), Ca::new("partners"));
    let mut ports = [0; 2];
    let it = Shipped::run("tls.yaml", &[3001], |directory, text| {
        let certs = directory.join("certs");
        fs::create_dir(&certs).expect("a directory");
        ca.issue(&["shop.example.com"]).put(&certs, "shop");
        fs::write(certs.join("clients.pem"), partners.pem()).expect("write");
        fs::write(certs.join("revoked.pem"), partners.revocations(false, 2090)).expect("write");
        let ip = text.split_once("bind: ").expect("an address").1;
        let ip = ip.split([',', '}']).next().expect("an address").to_owned();
        ports = [0, 1].map(|_| gate::free_port(ip.parse().expect("an address")));
        text.replace("port: 8443\n", &format!("port: {}\n    bind: {ip}\n", ports[0]))
            .replace("port: 9443\n", &format!("port: {}\n    bind: {ip}\n", ports[1]))
            .replace("https:8443", &format!("https:{}", ports[0]))
    });
    let [https, inner] = ports.map(|port| (it.gate.ip(), port).into());
    let plain = it.ask("GET /a", "shop.example.com", "");
    let there = format!("https://shop.example.com:{}/a", ports[0]);
    assert_eq!((plain.status, plain.header("location")), (308, Some(there.as_str())));
    let hello = |mut client: Client| client.get("/").text();
    assert_eq!(hello(Hello::to("shop.example.com", &ca).connect(https)), "3001");
    let partner = Hello::from(&partners.issue(&["partner"]), "shop.example.com", &ca);
    assert_eq!(hello(partner.connect(inner)), "3001");
    let refused = |name: &str| it.gate.metric("tidegate_tls_handshake_errors_total", &[("reason", name)]);
    // In TLS 1.3 a client learns of it after its own part is done.
    let _ = Hello::to("shop.example.com", &ca).try_connect(inner);
    until("a stranger is refused", || (refused("certificate_missing") >= 1.0).then_some(()));
}

#[test]
fn operators_come_over_tls_each_with_their_token() {
    let (ca, clients) = (Ca::new("ca"), Ca::new("clients"));
    let it = Shipped::run("admin.yaml", &[3001, 3002], |directory, text| {
        let certs = directory.join("certs");
        fs::create_dir(&certs).expect("a directory");
        ca.issue(&["ops.example.com"]).put(&certs, "ops");
        fs::write(certs.join("clients.pem"), clients.pem()).expect("write");
        for name in ["admin", "ann", "wall", "prometheus"] {
            put(&certs.join(format!("{name}.token")), token(name) + "\n", 0o600);
        }
        // The address and the socket of the tests in the place of the file's.
        let own = text.lines().find(|it| it.starts_with("admin: {")).expect("where it listens").to_owned();
        let doors = own.trim_start_matches("admin: {").trim_end_matches('}').replace(", ", "\n  ");
        text.replace(&format!("{own}\n"), "")
            .replace("  listen: 0.0.0.0:9900\n", &format!("admin:\n  {doors}\n"))
    });
    let hello = Hello::from(&clients.issue(&["client"]), "ops.example.com", &ca);
    let ask = |line: &str, name: &str| {
        let json = "Content-Type: application/json\r\nContent-Length: 2\r\n";
        let head = format!("{line} HTTP/1.1\r\nHost: ops.example.com\r\nConnection: close\r\n{json}");
        let request = format!("{head}Authorization: Bearer {}\r\n\r\n{{}}", token(name));
        hello.connect(it.gate.admin_address()).send(request).response().status
    };
    let (metrics, status) = ("GET /metrics", "GET /api/v1/status");
    let (freeze, reload) = ("POST /api/v1/freeze", "POST /api/v1/config/reload");
    for (name, answers) in [
        ("prometheus", [200, 403, 403, 403]),
        ("wall", [200, 200, 403, 403]),
        ("ann", [200, 200, 200, 403]),
        ("admin", [200, 200, 200, 200]),
        ("eve", [401, 401, 401, 401]),
    ] {
        assert_eq!([metrics, status, freeze, reload].map(|line| ask(line, name)), answers, "{name}");
    }
    let frozen: serde_json::Value =
        serde_json::from_str(&it.gate.ask("GET", "/api/v1/status", "").text()).expect("JSON");
    assert!(["ann", "token"].contains(&frozen["freeze"]["by"]["name"].as_str().expect("somebody")));
    // Without a certificate nobody gets as far as a token.
    let stranger = Hello::to("ops.example.com", &ca).try_connect(it.gate.admin_address());
    let answered = stranger.ok().and_then(|it| {
        let mut client = it.client();
        client.offer("GET /livez HTTP/1.1\r\nHost: ops.example.com\r\n\r\n").ok()?;
        client.try_response("GET").ok()
    });
    assert!(answered.is_none(), "{answered:?}");
}

/// A token that has its owner's name in it.
fn token(name: &str) -> String {
    format!("{name}-2b7e151628aed2a6abf7158809cf4f3c")
}

#[test]
fn whoever_is_listed_is_told() {
    let receiver = Upstream::answering("{\"id\": 7}");
    let at = receiver.address();
    let it = Shipped::run("notifications.yaml", &[3001, 3002], |directory, text| {
        let file = |name: &str, text: &str| put(&directory.join(name), text, 0o600);
        file("hook", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        file("slack", &format!("http://{at}/slack"));
        file("token", "x");
        text.replace("env:HOOK_SECRET", "file:hook, local: allow")
            .replace("slack: env:SLACK_URL", "slack: file:slack\n  local: allow")
            .replace("env:DEPLOY_TOKEN", &format!("file:token\n    api: http://{at}"))
            .replace("- github:", "- local: allow\n  github:")
            .replace("https://ci.example.com", &format!("http://{at}"))
            .replace("http://10.0.0.5:9000/hook", &format!("http://{at}/pager"))
    });
    it.edit("live: v41\n", "live: v42\n");
    it.gate.reaches("CANARY");
    assert_eq!(it.gate.command("rollback shop --reason enough").code, 0);
    let told = |target: &str, count: f64| {
        let told =
            || it.gate.metric("tidegate_notifications_total", &[("target", target), ("result", "delivered")]);
        until(target, || (told() >= count).then_some(()));
    };
    // Adopted, began, rolled back, at least; people and deployments hear of the last two, the pager of the last.
    for (target, count) in [("webhook", 3.0), ("slack", 2.0), ("github", 2.0), ("pager", 1.0)] {
        told(target, count);
    }
    let asked: Vec<String> = receiver.requests().iter().map(|it| it.target().to_owned()).collect();
    for path in [
        "/hook",
        "/slack",
        "/pager",
        "/repos/acme/shop/deployments",
        "/repos/acme/shop/deployments/7/statuses",
    ] {
        assert!(asked.iter().any(|it| it == path), "{path} in {asked:?}");
    }
    let made = receiver.requests().into_iter().find(|it| it.target() == "/repos/acme/shop/deployments");
    let made: serde_json::Value = serde_json::from_slice(&made.expect("found above").body).expect("JSON");
    assert_eq!(made["ref"], "shop-v42");
}

#[test]
fn the_file_with_every_key_does_what_it_says() {
    let ports = [3001, 3002, 3003, 3005, 3006];
    let it = Shipped::run("full.yaml", &ports, |_, text| {
        let ip =
            text.split_once("bind: ").expect("an address").1.split([',', '}']).next().expect("an address");
        let inner = gate::free_port(ip.parse().expect("an address"));
        // Whoever is slow gets no more than whoever is fast.
        let rate = "requests: 100/s, burst: 200";
        assert_eq!(text.matches(rate).count(), 1, "{text}");
        text.replace("port: 8081", &format!("port: {inner}")).replace(rate, "requests: 1/h, burst: 2")
    });
    let store = |line, headers| it.ask(line, "store.example.com", headers);
    assert_eq!(store("GET /", "X-User: 1\r\n").status, 200);
    // One user, one version: v41 is live.
    let bodies = ["3001", "3002"];
    assert!((0..8).all(|_| bodies.contains(&store("GET /", "X-User: 1\r\n").text().as_str())));
    let helped = store("GET /help/a?v=2", "Accept-Language: de\r\n");
    assert_eq!((helped.status, helped.header("vary")), (200, Some("accept-language")));
    let seen = it.behind.values().flat_map(Upstream::requests);
    let seen: Vec<String> = seen.map(|it| it.target().to_owned()).collect();
    assert!(seen.iter().any(|it| it == "/hilfe/a?v=2"), "{seen:?}");
    // A host comes before a path, and these routes name none.
    let elsewhere = |line, headers| it.ask(line, "elsewhere.example.com", headers);
    let moved = elsewhere("GET /de/old/x", "");
    assert_eq!(
        (moved.status, moved.header("location").is_some_and(|it| it.starts_with("https://store"))),
        (308, true)
    );
    let experiment = it.ask("GET /", "experiment.example.com", "").text();
    assert!(
        (0..20).all(|_| it.ask("GET /", "experiment.example.com", "").text() == experiment),
        "by address"
    );
    let asked = [0; 3].map(|_| elsewhere("GET /robots.txt", "X-Api-Key: a\r\n").status);
    assert_eq!(asked, [200, 200, 429]);
}
