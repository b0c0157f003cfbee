//! TLS with endpoints: whom they must prove to be, and that connections never serve other rules.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustls::{ServerConfig, ServerConnection};
use tempfile::TempDir;

use crate::support::command::run;
use crate::support::tls::{Ca, Pair, put, server};
use crate::support::wire::Wire;
use crate::support::{Gate, Setup, Upstream};

/// An endpoint that speaks TLS and answers every request.
struct Endpoint {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    handshakes: Arc<AtomicUsize>,
}

/// What an endpoint does with a request.
type Answer = fn(&mut Wire) -> bool;

fn hello(wire: &mut Wire) -> bool {
    wire.try_send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").is_ok()
}

impl Endpoint {
    fn start(config: Arc<ServerConfig>, answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, handshakes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (seen, done) = (connections.clone(), handshakes.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                seen.fetch_add(1, Ordering::SeqCst);
                let (config, done) = (config.clone(), done.clone());
                thread::spawn(move || {
                    let mut tls = ServerConnection::new(config).unwrap();
                    while tls.is_handshaking() {
                        if tls.complete_io(&mut stream).is_err() {
                            // What was to be said is said, as far as anybody listens.
                            let _ = tls.write_tls(&mut stream);
                            let _ = stream.flush();
                            return;
                        }
                    }
                    done.fetch_add(1, Ordering::SeqCst);
                    play(stream, tls, answer);
                });
            }
        });
        Self { address, connections, handshakes }
    }
}

fn play(stream: TcpStream, tls: ServerConnection, answer: Answer) {
    let mut wire = Wire::secure(stream, tls.into());
    while wire.head().is_ok() && answer(&mut wire) {}
}

/// A gate whose only version is `url`, with these settings.
#[track_caller]
fn gate(url: &str, tls: &str) -> Gate {
    let tls = if tls.is_empty() { String::new() } else { format!(", tls: {{{tls}}}") };
    Setup::default().service(format!("versions: {{v1: {{endpoints: [\"{url}\"]{tls}}}}}")).start()
}

fn file(dir: &TempDir, name: &str, text: &str) -> String {
    put(&dir.path().join(name), text, 0o644).display().to_string()
}

fn own(dir: &Path, pair: &Pair, name: &str) -> String {
    pair.put(dir, name);
    format!("cert: {0}/{name}.pem, key: {0}/{name}.key", dir.display())
}

#[test]
fn an_endpoint_that_proves_itself_is_called() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let authority = file(&dir, "ca.pem", &ca.pem());
    let by_address = Endpoint::start(server(&ca.issue(&["127.0.0.1"]), None), hello);
    let named = Endpoint::start(server(&ca.issue(&["shop.internal"]), None), hello);
    let port = |it: &Endpoint| it.address.port();
    for (endpoint, url, tls) in [
        (&by_address, format!("https://127.0.0.1:{}", port(&by_address)), format!("ca: {authority}")),
        (
            &named,
            format!("https://localhost:{}", port(&named)),
            format!("ca: {authority}, server_name: shop.internal"),
        ),
    ] {
        let gate = gate(&url, &tls);
        let mut client = gate.connect();
        for _ in 0..20 {
            assert_eq!(client.get("/").text(), "hello", "{url}");
        }
        assert!(endpoint.connections.load(Ordering::SeqCst) < 10, "connections are kept");
    }
}

#[test]
fn an_endpoint_can_be_its_own_authority() {
    let (key, dir) = (rcgen::KeyPair::generate().unwrap(), TempDir::new().unwrap());
    let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let pair = Pair { cert: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() };
    let authority = file(&dir, "ca.pem", &pair.cert);
    let endpoint = Endpoint::start(server(&pair, None), hello);
    let gate = gate(&format!("https://{}", endpoint.address), &format!("ca: {authority}"));
    assert_eq!(gate.get("/").text(), "hello");
}

#[test]
fn an_endpoint_that_does_not_is_no_endpoint() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let authority = file(&dir, "ca.pem", &ca.pem());
    let revoked = file(&dir, "revoked.pem", &ca.revocations(true, 2090));
    let stale = file(&dir, "stale.pem", &ca.revocations(false, 2023));
    let good = ca.issue(&["127.0.0.1"]);
    for (what, pair, tls) in [
        ("another name", ca.issue(&["other.test"]), String::new()),
        ("expired", ca.issue_expired(&["127.0.0.1"]), String::new()),
        ("not yet", ca.issue_for_later(&["127.0.0.1"]), String::new()),
        ("another authority", Ca::new("ca").issue(&["127.0.0.1"]), String::new()),
        ("revoked", good.clone(), format!(", crl: {revoked}")),
        ("a stale list", good, format!(", crl: {stale}")),
    ] {
        let endpoint = Endpoint::start(server(&pair, None), hello);
        let gate = gate(&format!("https://{}", endpoint.address), &format!("ca: {authority}{tls}"));
        let response = gate.get("/");
        assert_eq!(response.status, 502, "{what}");
        assert_eq!(response.head.all("x-tidegate-error"), ["upstream_connect"], "{what}");
        assert_eq!(endpoint.handshakes.load(Ordering::SeqCst), 0, "{what}");
        assert!(gate.log().contains("no TLS with an endpoint"), "{what}: {}", gate.log());
        let counted = |kind| gate.metric("tidegate_upstream_errors_total", &[("kind", kind)]);
        assert!(counted("tls") >= 1.0 && counted("connect") == 0.0, "{what}: {}", gate.metrics());
    }
}

/// One gate behind another, with HTTP/2 over TLS between them.
#[test]
fn http_2_is_spoken_over_tls() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let authority = file(&dir, "ca.pem", &ca.pem());
    let backend = Upstream::answering("hello");
    let certs = ca.issue(&["inner.test"]).put(dir.path(), "inner");
    let inner = Setup::to(&backend).listener(format!("tls: {{certs: {certs}}}")).start();
    let outer =
        gate(&format!("h2://{}", inner.address()), &format!("ca: {authority}, server_name: inner.test"));
    let mut client = outer.connect();
    for _ in 0..10 {
        assert_eq!(client.get("/").text(), "hello");
    }
    assert_eq!(backend.last_request().head.all("x-forwarded-proto"), ["https"]);
    assert!(inner.metric("tidegate_tls_handshakes_total", &[]) <= 2.0, "streams share a connection");
}

/// Without `ca` the authorities of the system count, and none of them has issued this.
#[test]
fn a_stranger_is_not_believed_by_default() {
    let ca = Ca::new("ca");
    let endpoint = Endpoint::start(server(&ca.issue(&["127.0.0.1"]), None), hello);
    let text = format!(
        "listen: 0\nservices: {{shop: {{live: v1, versions: {{v1: \"https://{}\"}}}}}}\n",
        endpoint.address
    );
    let dir = TempDir::new().unwrap();
    let file = put(&dir.path().join("tidegate.yaml"), &text, 0o644);
    let checked = run(&["check", file.to_str().unwrap()]);
    if checked.out.contains("this system believes no authority") {
        eprintln!("skipped: this system believes no authority");
        return;
    }
    assert_eq!(gate(&format!("https://{}", endpoint.address), "").get("/").status, 502);
}

#[test]
fn an_endpoint_may_ask_who_calls() {
    let (ca, clients, dir) = (Ca::new("ca"), Ca::new("clients"), TempDir::new().unwrap());
    let authority = file(&dir, "ca.pem", &ca.pem());
    let endpoint = Endpoint::start(server(&ca.issue(&["127.0.0.1"]), Some(&clients)), hello);
    let url = format!("https://{}", endpoint.address);
    let with = |pair: &Pair, name| format!("ca: {authority}, {}", own(dir.path(), pair, name));
    assert_eq!(gate(&url, &with(&clients.issue(&["gate"]), "good")).get("/").text(), "hello");
    assert_eq!(gate(&url, &with(&Ca::new("x").issue(&["gate"]), "bad")).get("/").status, 502);
    assert_eq!(gate(&url, &format!("ca: {authority}")).get("/").status, 502);
}

/// Two versions at one address that are called by other rules share no connection.
#[test]
fn connections_never_serve_other_rules() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let authority = file(&dir, "ca.pem", &ca.pem());
    let endpoint = Endpoint::start(server(&ca.issue(&["a.test", "b.test"]), None), hello);
    let version = |name: &str| {
        format!(
            "{{endpoints: [\"https://{}\"], tls: {{ca: {authority}, server_name: {name}.test}}}}",
            endpoint.address
        )
    };
    let gate = Setup::default()
        .service(format!("versions: {{v1: {}, v2: {}, v3: {}}}", version("a"), version("b"), version("c")))
        .service("pin: [{when: {header: {x: b}}, to: v2}, {when: {header: {x: c}}, to: v3}]")
        .start();
    let mut client = gate.connect();
    let ask = |it: &str| format!("GET / HTTP/1.1\r\nHost: shop.test\r\nX: {it}\r\n\r\n");
    for _ in 0..3 {
        assert_eq!(client.send(ask("a")).response().status, 200);
        assert_eq!(client.send(ask("b")).response().status, 200);
        assert_eq!(client.send(ask("c")).response().status, 502, "another name than it has");
    }
}

/// Whoever can cut a connection could otherwise end a message early.
#[test]
fn an_end_that_is_not_said_is_a_cut() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let authority = file(&dir, "ca.pem", &ca.pem());
    let cut = |wire: &mut Wire| {
        let _ = wire.try_send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf");
        false
    };
    let said = |wire: &mut Wire| {
        let _ = wire.try_send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwhole");
        wire.finish();
        false
    };
    for (answer, whole) in [(cut as Answer, false), (said as Answer, true)] {
        let endpoint = Endpoint::start(server(&ca.issue(&["127.0.0.1"]), None), answer);
        let gate = gate(&format!("https://{}", endpoint.address), &format!("ca: {authority}"));
        let mut client = gate.connect();
        client.send("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
        let got = client.try_response("GET");
        assert_eq!(got.as_ref().is_ok_and(|it| it.text() == "whole"), whole, "{got:?}");
        if !whole {
            assert!(got.is_err(), "{got:?}");
        }
    }
}

/// A new authority counts without a restart, and what was connected by the old one serves nobody.
#[test]
fn a_new_authority_counts_at_once() {
    let (old, new, dir) = (Ca::new("old"), Ca::new("new"), TempDir::new().unwrap());
    let authority = file(&dir, "ca.pem", &old.pem());
    let endpoint = Endpoint::start(server(&old.issue(&["127.0.0.1"]), None), hello);
    let gate = gate(&format!("https://{}", endpoint.address), &format!("ca: {authority}"));
    assert_eq!(gate.get("/").status, 200);
    let before = gate.generation();
    file(&dir, "ca.pem", &new.pem());
    crate::support::until("the new authority", || (gate.generation() > before).then_some(()));
    assert_eq!(gate.get("/").status, 502);
    assert!(fs::read_to_string(authority).is_ok());
}
