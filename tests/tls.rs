//! TLS with clients and endpoints: who answers, who may call, what is refused, and that nobody notices a new
//! certificate.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "real programs in real time, and a test may fail by panicking"
)]

mod support;

#[path = "tls/files.rs"]
mod files;
#[path = "tls/hostile.rs"]
mod hostile;
#[path = "tls/upstream.rs"]
mod upstream;

use support::outside;
use support::tls::{Ca, Hello, Pair};
use support::{Gate, Setup, Upstream, until};
use tempfile::TempDir;

/// A gate that speaks TLS with these pairs, and what else its listener says.
#[track_caller]
fn secured(upstream: &Upstream, dir: &TempDir, pairs: &[&Pair], more: &str) -> Gate {
    let certs: Vec<String> =
        pairs.iter().enumerate().map(|(at, it)| it.put(dir.path(), &format!("c{at}"))).collect();
    Setup::to(upstream).listener(format!("tls: {{certs: [{}]{more}}}", certs.join(", "))).start()
}

#[test]
fn a_request_over_tls_is_a_request() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let upstream = Upstream::answering("hello");
    let gate = secured(&upstream, &dir, &[&ca.issue(&["shop.test"])], "");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut client = Hello::made("shop.test", &ca, None, &[version]).connect(gate.address());
        for _ in 0..3 {
            let response = client.get("/");
            assert_eq!((response.status, response.text().as_str()), (200, "hello"));
        }
        let request = upstream.last_request();
        assert_eq!(request.head.all("x-forwarded-proto"), ["https"]);
        assert!(request.head.all("forwarded")[0].ends_with(";proto=https"), "{request:?}");
    }
    let handshakes = |version: &str| {
        gate.metric("tidegate_tls_handshakes_total", &[("version", version), ("resumed", "no")])
    };
    assert_eq!((handshakes("1.2"), handshakes("1.3")), (1.0, 1.0));
}

#[test]
fn large_bodies_pass_both_ways() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let body: String = (0..3_000_000_u32).map(|it| char::from(b'a' + (it % 23) as u8)).collect();
    let expected = body.clone();
    let upstream = Upstream::start(move |peer| {
        while let Some(request) = peer.request() {
            let whole = String::from_utf8(request.body).unwrap();
            peer.answer("200 OK", &whole);
        }
    });
    let gate = secured(&upstream, &dir, &[&ca.issue(&["shop.test"])], "");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut client = Hello::made("shop.test", &ca, None, &[version]).connect(gate.address());
        for chunked in [false, true] {
            let (framing, whole) = match chunked {
                false => (format!("Content-Length: {}", body.len()), body.clone()),
                true => {
                    let chunks: Vec<String> = body
                        .as_bytes()
                        .chunks(70_001)
                        .map(|it| format!("{:x}\r\n{}\r\n", it.len(), std::str::from_utf8(it).unwrap()))
                        .collect();
                    ("Transfer-Encoding: chunked".to_owned(), chunks.concat() + "0\r\n\r\n")
                }
            };
            client.send(format!("POST / HTTP/1.1\r\nHost: shop.test\r\n{framing}\r\n\r\n{whole}"));
            assert!(client.response().text() == expected, "chunked: {chunked}");
        }
    }
}

#[test]
fn the_name_chooses_the_certificate() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let first = ca.issue(&["a.test", "under_score.test"]);
    let second = ca.issue(&["b.test", "*.b.test"]);
    let third = ca.issue(&["own.b.test"]);
    let upstream = Upstream::answering("");
    let gate = secured(&upstream, &dir, &[&first, &second, &third], "");
    let shown = |name: &str| {
        let seen = Hello::to(name, &ca).try_connect(gate.address()).map(|it| it.certificate());
        [&first, &second, &third].iter().position(|it| seen.as_ref().is_ok_and(|seen| *seen == it.chain()[0]))
    };
    for (name, expected) in [
        ("a.test", Some(0)),
        ("A.Test", Some(0)),
        ("under_score.test", Some(0)),
        ("b.test", Some(1)),
        ("x.b.test", Some(1)),
        ("X.B.TEST", Some(1)),
        ("own.b.test", Some(2)),
        ("b.test.", Some(1)),
        // The client refuses the first one, which it gets: a star is one label.
        ("x.y.b.test", None),
        ("c.test", None),
    ] {
        assert_eq!(shown(name), expected, "{name}");
    }
    let unnamed = Hello::to("a.test", &ca).unnamed().try_connect(gate.address()).unwrap();
    assert_eq!(unnamed.certificate(), first.chain()[0]);
}

#[test]
fn an_unknown_name_can_be_refused() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let upstream = Upstream::answering("");
    let gate = secured(&upstream, &dir, &[&ca.issue(&["a.test"])], ", unknown_name: refuse");
    for hello in [Hello::to("c.test", &ca), Hello::to("a.test", &ca).unnamed()] {
        let refused = hello.try_connect(gate.address()).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains("UnrecognisedName"), "{refused}");
    }
    let mut known = Hello::to("a.test", &ca).connect(gate.address());
    assert_eq!(known.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").response().status, 200);
    assert_eq!(gate.metric("tidegate_tls_handshake_errors_total", &[("reason", "name")]), 2.0);
}

/// Row d16, and RFC 9110 section 7.4: nobody reaches a host behind the name of another one.
#[test]
fn a_connection_is_for_the_hosts_of_its_certificate() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let pairs =
        [ca.issue(&["a.test", "also-a.test"]), ca.issue(&["b.test", "*.b.test"]), ca.issue(&["own.b.test"])];
    let upstream = Upstream::answering("fine");
    for (unknown, refused) in [("", false), (", unknown_name: refuse", true)] {
        let gate = secured(&upstream, &dir, &[&pairs[0], &pairs[1], &pairs[2]], unknown);
        let (mut misdirected, mut served, before) = (0.0, 0, upstream.count());
        for (name, host, status) in [
            ("a.test", "a.test", 200),
            ("a.test", "A.Test.:443", 200),
            ("a.test", "also-a.test", 200),
            ("a.test", "b.test", 421),
            ("a.test", "x.b.test", 421),
            ("b.test", "a.test", 421),
            ("x.b.test", "b.test", 200),
            ("x.b.test", "y.b.test", 200),
            // It has a certificate of its own, whatever the wildcard says.
            ("x.b.test", "own.b.test", 421),
            ("own.b.test", "x.b.test", 421),
            ("a.test", "unknown.test", if refused { 421 } else { 200 }),
            ("b.test", "127.0.0.1", if refused { 421 } else { 200 }),
        ] {
            for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
                let hello = Hello::made(name, &ca, None, &[version]);
                // The second one resumes the session of the first.
                for _ in 0..2 {
                    let mut client = hello.connect(gate.address());
                    let ask = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
                    let answer = client.send(ask).response();
                    assert_eq!(answer.status, status, "{name}, {host}{unknown}: {answer:?}");
                    let marked = (status == 421).then_some("misdirected");
                    assert_eq!(answer.error(), marked);
                    misdirected += f64::from(u8::from(status == 421));
                    served += 1 + usize::from(status == 200);
                    // The connection is as good as before for what it was opened for.
                    let own = format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n");
                    assert_eq!(client.send(own).response().status, 200, "{name} after {host}");
                }
            }
        }
        assert_eq!(gate.metric("tidegate_rejected_total", &[("reason", "misdirected")]), misdirected);
        assert_eq!(upstream.count() - before, served);
        if !refused {
            // Whoever asks for a name of none, or for no name, was promised nothing.
            let stranger = Hello::to("a.test", &ca).unnamed().connect(gate.address()).get("/").status;
            assert_eq!(stranger, 200);
        }
        over_http_2(&gate, &ca, &dir);
    }
    // With one certificate for everybody there is nothing to tell apart.
    let gate = secured(&upstream, &dir, &[&pairs[1]], "");
    let mut client = Hello::to("b.test", &ca).connect(gate.address());
    assert_eq!(client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").response().status, 200);
}

/// A client that uses its connection for whatever its certificate seems to allow.
fn over_http_2(gate: &Gate, ca: &Ca, dir: &TempDir) {
    let Some(curl) = outside::program("curl") else { return };
    let roots = support::tls::put(&dir.path().join("ca.pem"), ca.pem(), 0o644);
    let port = gate.address().port();
    for (name, host, status) in [("x.b.test", "y.b.test", "200"), ("x.b.test", "own.b.test", "421")] {
        let output = std::process::Command::new(&curl)
            .args(["-sS", "--http2", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", "--cacert"])
            .arg(&roots)
            .args(["--resolve", &format!("{name}:{port}:{}", gate.ip()), "-H", &format!("Host: {host}")])
            .arg(format!("https://{name}:{port}/"))
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            format!("2 {status}"),
            "{name}, {host}: {output:?}"
        );
    }
}

#[test]
fn protocols_are_agreed_on() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let upstream = Upstream::answering("");
    let gate = secured(&upstream, &dir, &[&ca.issue(&["shop.test"])], "");
    for (offered, expected) in [
        (&["http/1.1"][..], Some(&b"http/1.1"[..])),
        (&["unheard-of", "http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let it = Hello::to("shop.test", &ca).offering(offered).try_connect(gate.address()).unwrap();
        assert_eq!(it.tls.alpn_protocol(), expected, "{offered:?}");
        assert_eq!(it.client().get("/").status, 200);
    }
    for offered in [&["h2"][..], &["http/1.1", "h2"]] {
        let it = Hello::to("shop.test", &ca).offering(offered).try_connect(gate.address()).unwrap();
        assert_eq!(it.tls.alpn_protocol(), Some(&b"h2"[..]), "{offered:?}");
    }
    let plain = secured(&upstream, &dir, &[&ca.issue(&["shop.test"])], ", http2: false");
    let it = Hello::to("shop.test", &ca).offering(&["h2", "http/1.1"]).try_connect(plain.address()).unwrap();
    assert_eq!(it.tls.alpn_protocol(), Some(&b"http/1.1"[..]), "HTTP/2 is switched off");
    let unknown = Hello::to("shop.test", &ca).offering(&["unheard-of"]).try_connect(gate.address());
    let said = unknown.map(|_| ()).unwrap_err().to_string();
    assert!(said.contains("NoApplicationProtocol"), "{said}");
}

#[test]
fn versions_below_the_least_are_refused() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let upstream = Upstream::answering("");
    let gate = secured(&upstream, &dir, &[&ca.issue(&["shop.test"])], ", min: \"1.3\"");
    let by = |version| Hello::made("shop.test", &ca, None, &[version]).try_connect(gate.address());
    assert!(by(&rustls::version::TLS13).is_ok());
    assert!(by(&rustls::version::TLS12).is_err());
    let counted = || gate.metric("tidegate_tls_handshake_errors_total", &[("reason", "incompatible")]);
    until("it is counted", || (counted() == 1.0).then_some(()));
}

#[test]
fn a_plain_listener_can_send_everybody_to_tls() {
    let upstream = Upstream::answering("secret");
    let gate = Setup::to(&upstream).listener("redirect: https").start();
    let response = gate.get("/a/b?c=d");
    assert_eq!(response.status, 308);
    assert_eq!(response.head.all("location"), ["https://shop.test/a/b?c=d"]);
    let other = gate.spare_port();
    let gate = Setup::to(&upstream)
        .add_listener(format!("second: {{port: {other}, bind: {}, redirect: \"https:8443\"}}", gate.ip()))
        .start();
    assert_eq!(gate.get("/").status, 200, "the other listener serves");
    assert_eq!(upstream.count(), 1);
}

#[test]
fn a_session_is_resumed_by_any_worker() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let upstream = Upstream::answering("");
    let certs = ca.issue(&["shop.test"]).put(dir.path(), "c");
    let gate = Setup::to(&upstream).workers(3).listener(format!("tls: {{certs: {certs}}}")).start();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let hello = Hello::made("shop.test", &ca, None, &[version]);
        assert_eq!(hello.connect(gate.address()).get("/").status, 200);
        for _ in 0..12 {
            let again = hello.try_connect(gate.address()).unwrap();
            assert!(again.resumed(), "{version:?}");
            assert_eq!(again.client().get("/").status, 200);
        }
    }
}

#[test]
fn curl_is_served() {
    let Some(curl) = outside::program("curl") else { return };
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let upstream = Upstream::answering("hello curl");
    let gate = secured(&upstream, &dir, &[&ca.issue(&["shop.test"])], "");
    let roots = support::tls::put(&dir.path().join("ca.pem"), ca.pem(), 0o644);
    let port = gate.address().port();
    for (version, http) in
        [("1.2", "--http1.1"), ("1.3", "--http1.1"), ("1.2", "--http2"), ("1.3", "--http2")]
    {
        let version = format!("--tlsv{version}");
        let output = std::process::Command::new(&curl)
            .args([
                "-sS",
                &version,
                "--tls-max",
                &version[6..],
                http,
                "--resolve",
                &format!("shop.test:{port}:{}", gate.ip()),
                "--cacert",
            ])
            .arg(&roots)
            .arg(format!("https://shop.test:{port}/"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "hello curl", "{version} {http}: {said}");
        assert_eq!(upstream.last_request().head.all("x-forwarded-proto"), ["https"]);
    }
}

/// A connection that waits holds its keys and little else.
#[test]
fn idle_connections_hold_little() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let upstream = Upstream::answering("");
    let certs = ca.issue(&["shop.test"]).put(dir.path(), "c");
    let gate = Setup::to(&upstream)
        .listener(format!("tls: {{certs: {certs}}}, limits: {{connections_per_address: 1000}}"))
        .start();
    let hello = Hello::to("shop.test", &ca);
    let open = |count: usize| -> Vec<_> {
        let mut all: Vec<_> = (0..count).map(|_| hello.connect(gate.address())).collect();
        all.iter_mut().for_each(|it| assert_eq!(it.get("/").status, 200));
        all
    };
    let _first = open(50);
    let before = gate.memory();
    let _more = open(400);
    let each = gate.memory().saturating_sub(before) / 400;
    eprintln!("{each} bytes for an idle connection");
    assert!(each < 24 * 1024, "{each} bytes for an idle connection");
}
