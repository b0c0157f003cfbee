//! Whom the gate believes: what clients say of themselves, of others and of the gate, and what the
//! version behind it can rely on.

mod support;

use support::{Gate, Request, Setup, Upstream};

const BELIEVED: &str = "trust: [127.0.0.0/8]";

/// What the version gets of a request with these lines.
fn passed_on(listener: &str, lines: &str) -> Request {
    let upstream = Upstream::answering("fine");
    let setup = Setup::to(&upstream);
    let gate = if listener.is_empty() { setup.start() } else { setup.listener(listener).start() };
    let answer = gate.answer_to(support::message::bytes_of(&format!(
        "GET / HTTP/1.1\r\nHost: shop.test:81\r\n{lines}\r\n"
    )));
    assert_eq!(answer.status, 200, "{lines}");
    upstream.only_request()
}

#[test]
fn a_stranger_is_who_the_connection_says() {
    let lines = "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 7.7.7.7\r\nX-Forwarded-Proto: https\r\n\
                 X-Forwarded-Host: evil.test\r\nX-Forwarded-Port: 666\r\nX-Real-IP: 6.6.6.6\r\n\
                 X-Forwarded-Server: evil.test\r\nForwarded: for=6.6.6.6;proto=https;host=evil.test\r\n";
    let head = passed_on("", lines).head;
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "shop.test:81"),
        ("x-forwarded-port", "81"),
        ("x-real-ip", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1;host=\"shop.test:81\";proto=http"),
    ] {
        assert_eq!(head.one(name), Some(value), "{head:?}");
    }
    let said = format!("{head:?}");
    assert!(!["6.6.6.6", "7.7.7.7", "evil", "666"].iter().any(|it| said.contains(it)), "{said}");
}

#[test]
fn a_trusted_peer_speaks_for_its_clients() {
    let lines = "X-Forwarded-For: 6.6.6.6, 2001:db8::6\r\nX-Forwarded-Proto: https\r\n\
                 X-Forwarded-Host: www.test\r\nX-Forwarded-Port: 443\r\nX-Real-IP: 6.6.6.6\r\n\
                 Forwarded: for=6.6.6.6;proto=https\r\n";
    let head = passed_on(BELIEVED, lines).head;
    for (name, value) in [
        ("x-forwarded-for", "6.6.6.6, 2001:db8::6, 127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "www.test"),
        ("x-forwarded-port", "443"),
        // Not the line of that name, which who appends to the chain may have from anybody.
        ("x-real-ip", "2001:db8::6"),
        ("forwarded", "for=6.6.6.6;proto=https, for=127.0.0.1;host=\"shop.test:81\";proto=http"),
    ] {
        assert_eq!(head.one(name), Some(value), "{head:?}");
    }
    let head = passed_on(BELIEVED, "X-Real-IP: 6.6.6.6\r\n").head;
    assert_eq!(head.all("x-real-ip"), ["6.6.6.6"], "{head:?}");
    // What it leaves out is filled in from what it does say.
    let head = passed_on(BELIEVED, "X-Forwarded-For: 6.6.6.6, [2001:db8::6]:99\r\n").head;
    assert_eq!(head.one("x-real-ip"), Some("2001:db8::6"), "{head:?}");
    assert_eq!(head.one("x-forwarded-port"), Some("81"), "{head:?}");
}

/// Behind a load balancer, sticky by address means the address of who asks it.
#[test]
fn a_trusted_peers_clients_are_told_apart() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let start = |listener: &str| {
        let setup = Setup::to(&one)
            .version("v2", &[two.address()])
            .service("sticky: {by: address}")
            .service("split: {v2: 50%}");
        if listener.is_empty() { setup.start() } else { setup.listener(listener).start() }
    };
    let get =
        |gate: &Gate, lines: &str| gate.answer_to(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).text();
    let gate = start(BELIEVED);
    let own = get(&gate, "");
    let mut seen = std::collections::BTreeSet::new();
    for it in 1..=24 {
        let by = get(&gate, &format!("X-Forwarded-For: 198.51.100.{it}\r\n"));
        // However it is written, and whatever others say before.
        for lines in [
            format!("X-Forwarded-For: 6.6.6.6, 198.51.100.{it}:4711\r\n"),
            format!("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: ::ffff:198.51.100.{it}\r\n"),
            format!("X-Forwarded-For: [::ffff:198.51.100.{it}]:4711\r\nX-Real-IP: 6.6.6.6\r\n"),
            format!("X-Real-IP: 198.51.100.{it}\r\n"),
        ] {
            assert_eq!(get(&gate, &lines), by, "{lines}");
        }
        // What is no address speaks for nobody.
        assert_eq!(get(&gate, &format!("X-Forwarded-For: 198.51.100.{it}, unknown\r\n")), own);
        seen.insert(by);
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
    let gate = start("");
    for it in 1..=24 {
        assert_eq!(get(&gate, &format!("X-Forwarded-For: 198.51.100.{it}\r\n")), own, "a stranger");
    }
}

#[test]
fn a_trusted_chain_is_cleaned_and_cut() {
    let chain: Vec<String> = (1..=60).map(|it| format!("10.0.0.{it}")).collect();
    let head = passed_on(BELIEVED, &format!("X-Forwarded-For: {}\r\n", chain.join(", "))).head;
    let got = head.one("x-forwarded-for").unwrap();
    assert_eq!(got.split(", ").count(), 50, "{got}");
    assert!(got.starts_with("10.0.0.12, ") && got.ends_with(", 10.0.0.60, 127.0.0.1"), "{got}");

    let junk = "X-Forwarded-For: unknown, fe80::1%eth0, , 300.1.1.1, 1.2.3.4, \"x\r\nX-Forwarded-Proto: gopher\r\n\
                X-Forwarded-Host: a b\r\nX-Forwarded-Port: 70000\r\nX-Real-IP: me\r\nForwarded: for=\"open\r\n";
    let head = passed_on(BELIEVED, junk).head;
    for (name, value) in [
        ("x-forwarded-for", "1.2.3.4, 127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "shop.test:81"),
        ("x-forwarded-port", "81"),
        ("x-real-ip", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1;host=\"shop.test:81\";proto=http"),
    ] {
        assert_eq!(head.one(name), Some(value), "{head:?}");
    }
}

/// Spellings that some backend takes for the same name.
#[test]
fn no_spelling_of_a_name_slips_past() {
    let lines = "x_forwarded_for: 6.6.6.6\r\nX_Real_IP: 6.6.6.6\r\nX-FORWARDED-FOR: 6.6.6.6\r\n\
                 x-Forwarded-foR: 6.6.6.6\r\nX-Forwarded_For: 6.6.6.6\r\nx_request_id: 6.6.6.6\r\n";
    for policy in ["", "underscores: keep"] {
        let head = passed_on(policy, lines).head;
        assert!(!format!("{head:?}").contains("6.6.6.6"), "{policy}: {head:?}");
        assert_eq!(head.all("x-forwarded-for"), ["127.0.0.1"]);
    }
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    for line in ["X-Forwarded-For\t: 6.6.6.6", "X-Forwarded-For : 6.6.6.6", " X-Forwarded-For: 6.6.6.6"] {
        assert_eq!(
            gate.answer_to(format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n")).status,
            400,
            "{line:?}"
        );
    }
    assert_eq!(upstream.count(), 0);
}

#[test]
fn connection_removes_nothing_that_the_gate_adds() {
    let lines = "Authorization: b\r\nCookie: c=d\r\nConnection: X-Forwarded-For, Authorization, Cookie\r\n\
                 Connection: X-Forwarded-Proto, X-Real-IP, Forwarded, X-Request-Id, X-Tidegate-Hops\r\n";
    let head = passed_on("", lines).head;
    for name in [
        "authorization",
        "cookie",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-real-ip",
        "forwarded",
        "x-request-id",
        "x-tidegate-hops",
    ] {
        assert!(head.one(name).is_some_and(|it| !it.is_empty()), "{name}: {head:?}");
    }
}

/// Nobody chooses a version by a header or cookie that no route speaks of.
#[test]
fn a_client_cannot_choose_its_version() {
    let (stable, other) = (Upstream::answering("stable"), Upstream::answering("other"));
    let gate = Setup::to(&stable).version("v2", &[other.address()]).start();
    let lines = [
        "X-Tidegate-Version: v2",
        "X-Tidegate-Lane: canary",
        "x-tidegate-preview: v2",
        "X_Tidegate_Version: v2",
        "Cookie: tidegate=v2; tg_unit=v2; tidegate_version=v2",
    ];
    let asked = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", lines.join("\r\n"));
    for _ in 0..20 {
        assert_eq!(gate.answer_to(&asked).text(), "stable");
    }
    assert_eq!(other.count(), 0);
    let head = stable.last_request().head;
    assert_eq!(head.all("x-tidegate-hops"), ["1"]);
    let ours =
        head.fields.iter().filter(|it| it.0.to_ascii_lowercase().replace('_', "-").starts_with("x-tidegate"));
    assert_eq!(ours.count(), 1, "{head:?}");
}

#[test]
fn a_route_that_leads_back_here_ends() {
    let upstream = Upstream::answering("fine");
    let mut gate = Setup::to(&upstream).start();
    let own = gate.address();
    gate.reload(|setup| setup.version("v1", &[own]));
    assert_eq!(gate.get("/").status, 508);
    assert_eq!(gate.metric("tidegate_rejected_total", &[("reason", "loop")]), 1.0);
    // A gate before a gate is no circle.
    let inner = Setup::to(&upstream).start();
    let outer = Setup::default().version("v1", &[inner.address()]).start();
    assert_eq!(outer.get("/").text(), "fine");
    assert_eq!(upstream.last_request().head.one("x-tidegate-hops"), Some("2"));
    let many = inner.answer_to("GET / HTTP/1.1\r\nHost: a\r\nX-Tidegate-Hops: 9\r\n\r\n");
    assert_eq!((many.status, many.error()), (508, Some("loop")));
}

#[test]
fn what_an_upstream_says_of_its_connection_ends_here() {
    let lines = "Connection: X-Mine, close\r\nX-Mine: 1\r\nKeep-Alive: timeout=1\r\nUpgrade: h2c\r\n\
                 Proxy-Authenticate: Basic\r\nProxy-Connection: close\r\nProxy-Authentication-Info: a\r\nX-End: 1\r\n";
    let upstream = Upstream::raw(format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 2\r\n\r\nok"));
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    for _ in 0..2 {
        let answer = client.get("/");
        let hop = ["connection", "x-mine", "keep-alive", "upgrade", "proxy-authenticate", "proxy-connection"];
        assert!(hop.iter().all(|it| !answer.head.has(it)), "{answer:?}");
        assert_eq!(answer.header("x-end"), Some("1"));
    }
    let upstream = Upstream::raw(
        "HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
    );
    let answer = Setup::to(&upstream).start().get("/");
    assert_eq!((answer.status, answer.header("upgrade")), (426, Some("websocket")));
}

#[test]
fn sixty_cookies_arrive_byte_for_byte() {
    let cookies: Vec<String> =
        (0..60).map(|it| format!("Set-Cookie: c{}=v\u{e9}\u{ff}{it}; Path=/\r\n", it % 7)).collect();
    let text = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\nok", cookies.concat());
    let upstream = Upstream::raw(support::message::bytes_of(&text));
    let answer = Setup::to(&upstream).start().get("/");
    let got: Vec<String> =
        answer.head.all("set-cookie").iter().map(|it| format!("Set-Cookie: {it}\r\n")).collect();
    assert_eq!(got, cookies);
}

#[test]
fn every_request_has_one_id_that_is_a_word() {
    let fresh =
        |it: Option<&str>| it.is_some_and(|it| it.len() == 32 && it.bytes().all(|b| b.is_ascii_hexdigit()));
    let id = |listener: &str, line: &str| {
        let head = passed_on(listener, line).head;
        head.one("x-request-id").map(str::to_owned)
    };
    let good = "X-Request-Id: req-1.2:a/b\r\n";
    assert!(fresh(id("", "").as_deref()));
    assert!(fresh(id("", good).as_deref()), "nobody is trusted");
    assert_eq!(id(BELIEVED, good).as_deref(), Some("req-1.2:a/b"));
    assert_eq!(id("request_id: {keep: any}", good).as_deref(), Some("req-1.2:a/b"));
    let never = format!("request_id: {{keep: none}}, {BELIEVED}");
    assert!(fresh(id(&never, good).as_deref()));
    assert_eq!(id("request_id: off", good).as_deref(), Some("req-1.2:a/b"));
    assert_eq!(id("request_id: off", ""), None);
    for bad in
        ["a".repeat(129), "a".repeat(10_000), "a\"b".into(), "a b".into(), "caf\u{e9}".into(), "a\\b".into()]
    {
        assert!(fresh(id(BELIEVED, &format!("X-Request-Id: {bad}\r\n")).as_deref()), "{bad}");
    }
    assert!(fresh(id(BELIEVED, &format!("{good}{good}")).as_deref()), "two are none");
    let longest = "a".repeat(128);
    assert_eq!(id(BELIEVED, &format!("X-Request-Id: {longest}\r\n")), Some(longest));
    // An escape character never gets as far as that.
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener(BELIEVED).start();
    assert_eq!(gate.answer_to("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: a\x1b[2J\r\n\r\n").status, 400);
    let (first, second) = (id("", ""), id("", ""));
    assert_ne!(first, second);
}

/// The path by which a request was routed is the path that its version reads.
#[test]
fn the_path_that_is_matched_is_the_path_that_is_forwarded() {
    let (public, secret) = (Upstream::answering("public"), Upstream::answering("secret"));
    let gate = Setup::to(&public)
        .add_service(format!(
            "guarded: {{live: a, hosts: [none.test], versions: {{a: \"http://{}\"}}}}",
            secret.address()
        ))
        .top("routes: [{match: {path: /admin}, to: guarded}, {match: {path: /}, to: shop}]")
        .start();
    for (path, by, read) in [
        ("//admin", "public", "//admin"),
        ("/.//admin", "public", "//admin"),
        ("/./admin", "secret", "/admin"),
        ("/x/%2e%2e/admin", "secret", "/admin"),
        ("/x/%2E./admin/y", "secret", "/admin/y"),
        ("/%61dmin", "secret", "/%61dmin"),
        ("/%41dmin", "public", "/%41dmin"),
        ("/x%2fadmin", "public", "/x%2fadmin"),
        ("/x%2F..%2fadmin", "public", "/x%2F..%2fadmin"),
        ("/admin;x=1", "public", "/admin;x=1"),
        ("/;/admin", "public", "/;/admin"),
        ("/admin/%7e%7E", "secret", "/admin/%7e%7E"),
    ] {
        assert_eq!(gate.get(path).text(), by, "{path}");
        let got = if by == "public" { public.last_request() } else { secret.last_request() };
        assert_eq!(got.target(), read, "{path}");
    }
    let before = public.count() + secret.count();
    for path in ["/%00", "/admin%00", "/a%0", "/%zz", "/../admin", "/x\\admin", "/%2e%2e/admin"] {
        assert_eq!(gate.get(path).status, 400, "{path}");
    }
    assert_eq!(public.count() + secret.count(), before);
}

/// Of several lines with the name that a pin asks for one is enough; of several units the first counts.
#[test]
fn headers_that_are_sent_twice_mean_the_same_every_time() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let gate = Setup::to(&one)
        .version("v2", &[two.address()])
        .service("pin: [{when: {header: {x-group: beta}}, to: v2}]")
        .start();
    for groups in ["x-group: beta\r\nx-group: all", "x-group: all\r\nX-Group: beta"] {
        for _ in 0..5 {
            let asked = format!("GET / HTTP/1.1\r\nHost: a\r\n{groups}\r\n\r\n");
            assert_eq!(gate.answer_to(asked).text(), "two", "{groups}");
        }
    }
    let gate = Setup::to(&one)
        .version("v2", &[two.address()])
        .service("sticky: {by: header, name: x-user}")
        .service("split: {v2: 50%}")
        .start();
    let of = |gate: &Gate, users: &[&str]| {
        let lines: String = users.iter().map(|it| format!("x-user: {it}\r\n")).collect();
        gate.answer_to(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).text()
    };
    let users: Vec<String> = (0..16).map(|it| format!("user-{it}")).collect();
    for pair in users.windows(2) {
        assert_eq!(of(&gate, &[&pair[0], &pair[1]]), of(&gate, &[&pair[0]]), "{pair:?}");
    }
}
