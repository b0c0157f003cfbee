//! Endpoints that come, go, fall ill and recover.
#![allow(clippy::disallowed_methods, reason = "real programs in real time")]

#[path = "health/homes.rs"]
mod homes;
mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::dns::{NameServer, Says};
use support::gate::{self, own_ip};
use support::load::Load;
use support::tls::{Ca, Pair, put, server};
use support::upstream::{BlackHole, Latch, refusing};
use support::wait::took;
use support::{Gate, Peer, Setup, Upstream, until};

fn ms(it: u64) -> Duration {
    Duration::from_millis(it)
}

/// A server whose checkup at `/healthz` passes as long as it is told to be well; all else is answered.
struct Patient {
    upstream: Upstream,
    well: Arc<AtomicBool>,
}

impl Patient {
    fn new(is_well: bool, body: &'static str) -> Self {
        let well = Arc::new(AtomicBool::new(is_well));
        let told = well.clone();
        let upstream = Upstream::start(move |peer| {
            while let Some(request) = peer.request() {
                let (status, body) = match request.target() {
                    "/healthz" if told.load(Ordering::SeqCst) => ("200 OK", "I am well"),
                    "/healthz" => ("503 Ill", "I am ill"),
                    _ => ("200 OK", body),
                };
                if !peer.answer(status, body) {
                    return;
                }
            }
        });
        Self { upstream, well }
    }

    fn is_well(&self, well: bool) {
        self.well.store(well, Ordering::SeqCst);
    }

    /// Requests other than checkups.
    fn users(&self) -> usize {
        self.upstream.requests().iter().filter(|it| it.target() != "/healthz").count()
    }

    fn checkups(&self) -> usize {
        self.upstream.requests().iter().filter(|it| it.target() == "/healthz").count()
    }
}

/// A version with these endpoints and checkups twenty times a second.
fn checked(endpoints: &[&Upstream], health: &str) -> String {
    let endpoints: Vec<String> = endpoints.iter().map(|it| format!("\"http://{}\"", it.address())).collect();
    format!("{{endpoints: [{}], health: {{{health}, every: 50ms, timeout: 500ms}}}}", endpoints.join(", "))
}

const HEALTHZ: &str = "path: /healthz, fail_after: 2";

/// Words of a version's endpoints, in the order of their addresses.
fn words(gate: &Gate, version: &str) -> Vec<String> {
    let release = gate.release();
    let lanes = release["lanes"].as_array().expect("lanes");
    let lane = lanes.iter().find(|it| it["version"] == version).expect("a lane");
    let endpoints = lane["endpoints"].as_array().expect("endpoints");
    endpoints.iter().map(|it| it["state"].as_str().unwrap_or_default().to_owned()).collect()
}

fn becomes(gate: &Gate, version: &str, expected: &[&str]) {
    let mut expected: Vec<&str> = expected.to_vec();
    expected.sort_unstable();
    until(&format!("{version} is {expected:?}"), || {
        let mut seen = words(gate, version);
        seen.sort_unstable();
        (seen == expected).then_some(())
    });
}

/// A server on a Unix socket that answers every connection's requests with one body.
struct SocketServer {
    path: PathBuf,
    stopped: Arc<AtomicBool>,
}

impl SocketServer {
    fn start(path: &Path, body: &'static str) -> Self {
        let listener = UnixListener::bind(path).expect("bind");
        let stopped = Arc::new(AtomicBool::new(false));
        let told = stopped.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if told.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(mut stream), told) = (stream, told.clone()) else { continue };
                std::thread::spawn(move || {
                    let mut seen = Vec::new();
                    let mut bytes = [0; 4096];
                    while let Ok(count @ 1..) = stream.read(&mut bytes) {
                        seen.extend_from_slice(&bytes[..count]);
                        if told.load(Ordering::SeqCst) {
                            return;
                        }
                        if seen.ends_with(b"\r\n\r\n") {
                            let host = String::from_utf8_lossy(&seen).contains("ost: localhost\r\n");
                            let body = if host { "by name" } else { body };
                            let length = body.len();
                            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
                            if stream.write_all(answer.as_bytes()).is_err() {
                                return;
                            }
                            seen.clear();
                        }
                    }
                });
            }
        });
        Self { path: path.to_owned(), stopped }
    }
}

impl Drop for SocketServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = std::os::unix::net::UnixStream::connect(&self.path);
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Row f22.
#[test]
fn a_unix_socket_that_is_deleted_and_made_again_is_found() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("shop.sock");
    let gate = Setup::default().version_as("v1", format!("\"unix:{}\"", path.display())).start();
    assert_eq!(gate.get("/").status, 502, "nobody has made it yet");
    let first = SocketServer::start(&path, "first");
    assert_eq!(gate.get("/").text(), "first");
    let without_host = gate.answer_to("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(without_host.text(), "by name", "a path is no host");
    drop(first);
    until("it is gone", || (gate.get("/").status == 502).then_some(()));
    let second = SocketServer::start(&path, "second");
    assert_eq!(gate.get("/").text(), "second");
    drop(second);
}

/// What is asked of a version before its first user is asked at its socket.
#[test]
fn a_version_on_a_socket_is_verified_there() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("shop.sock");
    let one = Upstream::answering("one");
    let mut gate = Setup::to(&one)
        .version_as("v2", format!("\"unix:{}\"", path.display()))
        .service("rollout: {verify: {url: \"{endpoint}/selftest\"}, steps: [50% for 1h]}")
        .start();
    gate.edit(|setup| setup.live("v2"));
    gate.reaches("HELD");
    let held = gate.release()["held"].as_str().unwrap_or_default().to_owned();
    assert!(held.contains("no ready endpoint"), "{held}");
    let two = SocketServer::start(&path, "two");
    gate.reaches("CANARY");
    until("both answer", || (gate.get("/").text() == "two").then_some(()));
    drop(two);
}

/// An endpoint that is added gets users after its first pass; the others keep theirs, and a reload changes
/// nothing for anybody.
#[test]
fn a_new_endpoint_waits_for_its_first_pass() {
    let (one, two) = (Patient::new(true, "one"), Patient::new(false, "two"));
    let mut gate = Setup::default().version_as("v1", checked(&[&one.upstream], HEALTHZ)).start();
    assert_eq!(gate.get("/").text(), "one");
    becomes(&gate, "v1", &["up"]);
    gate.reload(|it| it.version_as("v1", checked(&[&one.upstream, &two.upstream], HEALTHZ)));
    for _ in 0..20 {
        assert_eq!(gate.get("/").text(), "one");
    }
    becomes(&gate, "v1", &["up", "down"]);
    let shown = gate.command("status shop").out;
    assert!(shown.contains("1/2 up") && shown.contains("down: answered 503"), "{shown}");
    let up = |gate: &Gate, it: &Patient| {
        let endpoint = format!("http://{}", it.upstream.address());
        gate.metric("tidegate_endpoint_up", &[("version", "v1"), ("endpoint", &endpoint)])
    };
    until("the metrics know", || (up(&gate, &one) == 1.0 && up(&gate, &two) == 0.0).then_some(()));
    gate.reload(|it| it.service("timeouts: {head: 59s}"));
    assert_eq!(words(&gate, "v1").len(), 2);
    assert_eq!(two.users(), 0, "still down after a reload");
    two.is_well(true);
    until("it gets users", || (gate.get("/").text() == "two").then_some(()));
    becomes(&gate, "v1", &["up", "up"]);
    one.is_well(false);
    becomes(&gate, "v1", &["down", "up"]);
    for _ in 0..20 {
        assert_eq!(gate.get("/").text(), "two");
    }
}

/// Row f15: the answer is 503, at once, and nobody is moved to the canary. With `panic` all are used.
#[test]
fn without_a_healthy_endpoint_users_hear_so_and_are_not_moved() {
    let (one, two) = (Patient::new(true, "one"), Patient::new(true, "two"));
    let mut gate = Setup::default()
        .version_as("v1", checked(&[&one.upstream], HEALTHZ))
        .version_as("v2", checked(&[&two.upstream], HEALTHZ))
        .service("rollout: {steps: [10% for 1h], guard: off}")
        .start();
    gate.edit(|it| it.live("v2"));
    gate.reaches("CANARY");
    one.is_well(false);
    becomes(&gate, "v1", &["down"]);
    let before = one.users();
    let answers: Vec<u16> = (0..100).map(|_| gate.get("/").status).collect();
    let moved = answers.iter().filter(|it| **it == 200).count();
    assert!(moved < 40, "the canary has its own 10 % and no more: {moved} of 100");
    assert_eq!(one.users(), before);
    let answer = until("a 503", || Some(gate.get("/")).filter(|it| it.status == 503));
    assert_eq!(answer.error(), Some("no_healthy"));
    let release = gate.release();
    assert_eq!(release["weight_percent"], 10.0, "{release:#}");
    gate.reload(|it| it.service("panic: 50%"));
    until("all are used", || (gate.get("/").text() == "one").then_some(()));
}

/// A canary whose endpoints fail their checkups goes back, and nobody is answered an error for it.
#[test]
fn a_canary_whose_checkups_fail_goes_back_and_costs_nobody_anything() {
    let (one, two) = (Patient::new(true, "one"), Patient::new(false, "two"));
    let mut gate = Setup::default()
        .version_as("v1", checked(&[&one.upstream], HEALTHZ))
        .version_as("v2", checked(&[&two.upstream], HEALTHZ))
        .service("rollout: {steps: [50% for 1h]}")
        .start();
    let load = Load::start(gate.address(), 4, ms(2));
    gate.edit(|it| it.live("v2"));
    gate.reaches("HELD");
    assert_eq!(two.users(), 0, "no user before its first pass");
    two.is_well(true);
    gate.reaches("CANARY");
    until("it has users", || (two.users() > 20).then_some(()));
    two.is_well(false);
    gate.reaches("ROLLED BACK");
    load.stop().assert_all("200");
    let history = gate.command("history shop --limit 100").out;
    assert!(history.contains("no endpoint of v2 is ready"), "{history}");
}

/// Row f19: whatever is not the answer that is wanted is a failure, and none of it is felt by users.
#[test]
fn every_other_answer_is_a_failure_and_nobody_waits_for_it() {
    type Script = fn(&mut Peer);
    let latch = Latch::default();
    let opened = latch.clone();
    let hang = Upstream::start(move |peer| {
        peer.request();
        opened.pass();
    });
    let scripts: [(&str, Script); 8] = [
        ("answered 302; redirects", |peer| {
            peer.request();
            peer.send("HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n");
        }),
        ("answered 204", |peer| peer.serve("204 No Content", "")),
        ("does not hold `I am well`", |peer| peer.serve("200 OK", "I am ill")),
        ("does not hold `I am well`", |peer| peer.serve("200 OK", "")),
        ("no answer", |peer| {
            peer.request();
            peer.send("SSH-2.0-OpenSSH_9.6\r\n\r\n");
        }),
        ("no answer", |peer| {
            peer.request();
            peer.reset();
        }),
        ("broke off", |peer| {
            peer.request();
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nI am");
        }),
        ("no answer within", |peer| {
            peer.request();
            while peer.send("H") {
                std::thread::sleep(ms(20));
            }
        }),
    ];
    let ill: Vec<Upstream> = scripts.iter().map(|it| Upstream::start(it.1)).collect();
    let (well, hole) = (Patient::new(true, "fine"), BlackHole::open());
    let mut endpoints: Vec<String> = ill.iter().map(|it| format!("\"http://{}\"", it.address())).collect();
    endpoints.extend([hole.address(), refusing(), hang.address()].map(|it| format!("\"http://{it}\"")));
    endpoints.push(format!("\"http://{}\"", well.upstream.address()));
    // Speaks TLS, by a certificate that nobody here believes; and nothing of the kind where TLS is wanted.
    let (believed, dir) = (Ca::new("believed"), tempfile::tempdir().expect("a directory"));
    let stranger = tls_server(&Ca::new("stranger").issue(&["127.0.0.1"]));
    endpoints.extend([stranger, ill[1].address()].map(|it| format!("\"https://{it}\"")));
    let authority = put(&dir.path().join("ca.pem"), believed.pem(), 0o644);
    let health = "{path: /healthz, status: 200, body: I am well, every: 50ms, timeout: 200ms, fail_after: 1}";
    let gate = Setup::default()
        .version_as(
            "v1",
            format!(
                "{{endpoints: [{}], health: {health}, tls: {{ca: {}}}}}",
                endpoints.join(", "),
                authority.display()
            ),
        )
        .start();
    until("thirteen are down", || {
        (words(&gate, "v1").iter().filter(|it| *it == "down").count() == 13).then_some(())
    });
    took(Duration::ZERO, Duration::from_secs(15), || {
        for _ in 0..50 {
            assert_eq!(gate.get("/").text(), "fine");
        }
    });
    let release = gate.release();
    let shown = release["lanes"][0]["endpoints"].to_string();
    for (why, _) in scripts {
        assert!(shown.contains(why), "{why}: {shown}");
    }
    assert!(shown.contains("cannot connect: Connection refused"), "{shown}");
    assert!(shown.contains("invalid peer certificate"), "{shown}");
    latch.open();
}

/// Shakes hands with everybody, and no more.
fn tls_server(pair: &Pair) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("bound");
    let config = server(pair, None);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut tls = rustls::ServerConnection::new(config.clone()).expect("a session");
            // Whoever believes nobody says so and leaves.
            while tls.is_handshaking() && tls.complete_io(&mut stream).is_ok() {}
        }
    });
    address
}

/// Checkups are asked at the pace that was asked for, of every endpoint.
#[test]
fn checkups_come_in_time() {
    let one = Patient::new(true, "one");
    let gate = Setup::default().version_as("v1", checked(&[&one.upstream], HEALTHZ)).start();
    until("some checkups", || (one.checkups() >= 5).then_some(()));
    drop(gate);
}

#[test]
fn a_port_that_opens_is_enough_for_tcp() {
    let one = Upstream::answering("one");
    let gate = Setup::default().version_as("v1", checked(&[&one], "kind: tcp, fail_after: 1")).start();
    becomes(&gate, "v1", &["up"]);
    one.stop_listening();
    becomes(&gate, "v1", &["down"]);
}

/// `grpc.health.v1` as a server speaks it.
#[test]
fn grpc_servers_say_how_they_are() {
    let (serving, address) = grpc_server();
    let health = "{kind: grpc, service: shop.Cart, every: 50ms, timeout: 500ms, fail_after: 1}";
    let version = format!("{{endpoints: \"http://{address}\", health: {health}}}");
    let gate = Setup::default().version_as("v1", version).start();
    becomes(&gate, "v1", &["up"]);
    serving.store(2, Ordering::SeqCst);
    becomes(&gate, "v1", &["down"]);
    let why = || gate.release()["lanes"][0]["endpoints"][0]["why"].as_str().unwrap_or_default().to_owned();
    assert_eq!(why(), "says NOT_SERVING");
    serving.store(100, Ordering::SeqCst);
    until("an error is told", || why().contains("NOT_FOUND").then_some(()));
    serving.store(1, Ordering::SeqCst);
    becomes(&gate, "v1", &["up"]);
    // A server that speaks only HTTP/1 is no gRPC server.
    let old = Upstream::answering("old");
    let version = format!("{{endpoints: \"http://{}\", health: {health}}}", old.address());
    let mut gate = gate;
    gate.reload(|it| it.version_as("v1", version));
    becomes(&gate, "v1", &["down"]);
    std::mem::forget(old);
}

/// An endpoint that speaks only HTTP/2 is asked in HTTP/2.
#[test]
fn endpoints_of_http2_are_asked_in_it() {
    let (serving, address) = grpc_server();
    let health = "{path: /healthz, body: I am well, every: 50ms, timeout: 500ms, fail_after: 1}";
    let version = format!("{{endpoints: \"h2c://{address}\", health: {health}}}");
    let gate = Setup::default().version_as("v1", version).start();
    becomes(&gate, "v1", &["up"]);
    serving.store(2, Ordering::SeqCst);
    becomes(&gate, "v1", &["down"]);
}

/// A server that knows `shop.Cart` and says of it what it is told; 100 is NOT_FOUND.
fn grpc_server() -> (Arc<std::sync::atomic::AtomicU8>, std::net::SocketAddr) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("bound");
    let state = Arc::new(std::sync::atomic::AtomicU8::new(1));
    let told = state.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                tasks.spawn(grpc_connection(stream, told.clone()));
            }
        });
    });
    (state, address)
}

async fn grpc_connection(stream: tokio::net::TcpStream, told: Arc<std::sync::atomic::AtomicU8>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let mut tasks = tokio::task::JoinSet::new();
    // The connection moves while somebody accepts.
    while let Some(Ok((request, respond))) = connection.accept().await {
        tasks.spawn(grpc_call(request, respond, told.load(Ordering::SeqCst)));
    }
}

async fn grpc_call(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<bytes::Bytes>,
    state: u8,
) {
    if request.method() == "GET" {
        let status = if state == 1 { 200 } else { 503 };
        let head = http::Response::builder().status(status).body(()).expect("a head");
        if let Ok(mut send) = respond.send_response(head, false) {
            let _ = send.send_data("I am well".into(), true);
        }
        return;
    }
    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
    assert_eq!(request.headers()["content-type"], "application/grpc");
    let mut body = request.into_body();
    let mut asked = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        asked.extend_from_slice(&data);
    }
    assert_eq!(asked, *b"\0\0\0\0\x0B\x0A\x09shop.Cart");
    let head = http::Response::builder().header("content-type", "application/grpc");
    if state == 100 {
        let _ = respond.send_response(head.header("grpc-status", "5").body(()).expect("a head"), true);
        return;
    }
    let Ok(mut send) = respond.send_response(head.body(()).expect("a head"), false) else { return };
    let _ = send.send_data(vec![0, 0, 0, 0, 2, 8, state].into(), false);
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    let _ = send.send_trailers(trailers);
}

/// An endpoint that takes no connections is left out for a while, and comes back by itself.
#[test]
fn an_endpoint_that_takes_no_connections_is_left_out_for_a_while() {
    let (one, hole) = (Upstream::answering("one"), BlackHole::open());
    let gate = Setup::default()
        .version("v1", &[one.address(), hole.address()])
        .service("timeouts: {connect: 100ms}")
        .service("eject: {connect: 2, for: 1s}")
        .start();
    until("it is left out", || {
        assert_eq!(gate.get("/").text(), "one");
        words(&gate, "v1").contains(&"ejected".to_owned()).then_some(())
    });
    let endpoint = format!("http://{}", hole.address());
    until("it is counted", || {
        (gate.metric("tidegate_ejections_total", &[("endpoint", &endpoint)]) >= 1.0).then_some(())
    });
    until("it is tried again", || (!words(&gate, "v1").contains(&"ejected".to_owned())).then_some(()));
}

/// A version that is a name, looked up again and again at this server.
fn named(server: &NameServer, port: u16, local: &str) -> Setup {
    let (server, ttls) = (server.address(), "ttl_min: 100ms, ttl_max: 1s, timeout: 200ms");
    Setup::default()
        .version_as("v1", format!("\"http://shop.test:{port}\""))
        .top(format!("dns: {{servers: \"{server}\", {ttls}, local: {local}}}"))
}

fn endpoints(gate: &Gate) -> Vec<(String, Option<String>)> {
    let release = gate.release();
    let endpoints = release["lanes"][0]["endpoints"].as_array().expect("endpoints").clone();
    let text = |it: &serde_json::Value| it.as_str().map(str::to_owned);
    endpoints.iter().map(|it| (text(&it["endpoint"]).unwrap_or_default(), text(&it["stale"]))).collect()
}

/// Row f13: whatever the DNS says or does not say, the last good answer serves.
#[test]
fn names_are_followed_and_the_last_good_answer_is_kept() {
    let first = Upstream::start_on(SocketAddr::from(([127, 0, 77, 1], 0)), |it| it.serve("200 OK", "one"));
    let port = first.address().port();
    let _second =
        Upstream::start_on(SocketAddr::from(([127, 0, 77, 2], port)), |it| it.serve("200 OK", "two"));
    let (one, two) = (Ipv4Addr::new(127, 0, 77, 1), Ipv4Addr::new(127, 0, 77, 2));
    let server = NameServer::start(Says::Silence);
    let gate = named(&server, port, "allow").start();
    let status = gate.get("/").status;
    assert!(status == 502 || status == 504, "nobody knows where: {status}");

    server.says(Says::Addresses(vec![one], 0));
    until("the name leads to one", || (gate.get("/").text() == "one").then_some(()));
    server.says(Says::Addresses(vec![two, one], 0));
    until("it leads to both", || (gate.get("/").text() == "two").then_some(()));
    let answers: Vec<String> = (0..20).map(|_| gate.get("/").text()).collect();
    assert_eq!(answers.iter().filter(|it| *it == "one").count(), 10, "{answers:?}");

    for trouble in [Says::Code(3), Says::Code(2), Says::Nothing, Says::Silence] {
        server.says(trouble.clone());
        until(&format!("{trouble:?} is flagged"), || {
            assert_eq!(gate.get("/").status, 200, "{trouble:?}");
            let seen = endpoints(&gate);
            (seen.len() == 2 && seen.iter().all(|it| it.1.is_some())).then_some(())
        });
        server.says(Says::Addresses(vec![one, two], 0));
        until("it is well again", || endpoints(&gate).iter().all(|it| it.1.is_none()).then_some(()));
    }
    until("the metric is there", || {
        (gate.metric("tidegate_endpoint_stale", &[("version", "v1")]) == 0.0).then_some(())
    });

    server.says(Says::Spoofed(vec![two], one));
    until("only two", || (endpoints(&gate).len() == 1).then_some(()));
    (0..10).for_each(|_| assert_eq!(gate.get("/").text(), "two", "what nobody asked for counts for nothing"));

    let many = (0..1000).map(|it| Ipv4Addr::new(127, 1, (it / 250) as u8, (it % 250) as u8)).collect();
    server.says(Says::Addresses(many, 0));
    until("many", || (endpoints(&gate).len() > 2).then_some(()));
    assert_eq!(endpoints(&gate).len(), 64, "a bound");
}

/// The least time between two questions holds even if the answer says 0.
#[test]
fn a_name_without_a_lifetime_does_not_flood_its_server() {
    let one = Upstream::answering("one");
    let server = NameServer::start(Says::Addresses(vec![Ipv4Addr::LOCALHOST], 0));
    let setup = Setup::default()
        .version_as("v1", format!("\"http://shop.test:{}\"", one.address().port()))
        .top(format!("dns: {{servers: \"{}\", ttl_min: 1h, ttl_max: 1h, local: allow}}", server.address()));
    let gate = setup.start();
    until("it is known", || (gate.get("/").text() == "one").then_some(()));
    (0..50).for_each(|_| assert_eq!(gate.get("/").text(), "one"));
    assert_eq!(server.asked(), 1);
}

/// Row f14.
#[test]
fn a_name_that_moves_to_this_machine_is_not_followed() {
    let inside = Upstream::answering("what only this machine may see");
    let port = inside.address().port();
    let server = NameServer::start(Says::Addresses(vec![Ipv4Addr::LOCALHOST], 0));
    let gate = named(&server, port, "refuse").service("timeouts: {connect: 100ms}").start();
    assert_ne!(gate.get("/").status, 200);
    server.says(Says::Addresses(vec![Ipv4Addr::new(192, 0, 2, 1)], 0));
    until("the first answer that is allowed", || {
        let seen = endpoints(&gate);
        (seen.len() == 1 && seen[0].0.ends_with("(192.0.2.1)")).then_some(())
    });
    for near in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(169, 254, 169, 254)] {
        server.says(Says::Addresses(vec![near], 0));
        until("it is refused", || {
            let seen = endpoints(&gate);
            let why = seen[0].1.clone().unwrap_or_default();
            assert!(seen[0].0.ends_with("(192.0.2.1)"), "{seen:?}");
            why.contains("refused").then_some(())
        });
        assert_ne!(gate.get("/").status, 200);
        server.says(Says::Addresses(vec![Ipv4Addr::new(192, 0, 2, 1)], 0));
        until("it is well again", || endpoints(&gate)[0].1.is_none().then_some(()));
    }
    assert_eq!(inside.count(), 0);
}

/// Row j16: whoever answers for a name does not get to hand the operators' door to everybody.
#[test]
fn a_name_that_moves_to_the_admin_address_is_not_followed() {
    let server = NameServer::start(Says::Silence);
    let setup = named(&server, 1, "allow").version_as("v1", "\"http://shop.test:PORT\"");
    let gate = Gate::start_laid_out(setup, |file, text| {
        let admin = text.split_once("admin: {listen: \"").unwrap().1.split('"').next().unwrap();
        gate::put(file, &text.replace("PORT", admin.rsplit_once(':').unwrap().1));
    });
    let (door, std::net::IpAddr::V4(here)) = (gate.admin_address(), gate.ip()) else {
        panic!("{}", gate.ip())
    };
    let asked = format!("GET /livez HTTP/1.1\r\nHost: {door}\r\n\r\n");
    let std::net::IpAddr::V4(there) = own_ip() else { panic!("a loopback address") };
    // Whether the door is where the name leads first, or later, or among others.
    server.says(Says::Addresses(vec![here], 0));
    until("it is refused", || {
        endpoints(&gate).first()?.1.clone()?.contains("where operators are answered").then_some(())
    });
    assert_ne!(gate.answer_to(&asked).status, 200);
    let upstream =
        Upstream::start_on(SocketAddr::from((there, door.port())), |it| it.serve("200 OK", "a user's"));
    server.says(Says::Addresses(vec![there], 0));
    until("it leads to the service", || (gate.answer_to(&asked).text() == "a user's").then_some(()));
    for answer in [vec![here], vec![there, here]] {
        server.says(Says::Addresses(answer, 0));
        // The last good answer stays the one that is used.
        let kept = format!("({there})");
        until("it is refused", || {
            let seen = endpoints(&gate);
            (seen.len() == 1 && seen[0].0.ends_with(&kept) && seen[0].1.is_some()).then_some(())
        });
        until("the metric says so", || {
            (gate.metric("tidegate_endpoint_stale", &[("version", "v1")]) == 1.0).then_some(())
        });
        (0..4).for_each(|_| {
            assert_eq!(gate.answer_to(&asked).text(), "a user's", "the last good answer serves")
        });
        server.says(Says::Addresses(vec![there], 0));
        until("it is well again", || endpoints(&gate)[0].1.is_none().then_some(()));
    }
    assert!(gate.log().contains("where operators are answered"), "{}", gate.log());
    assert!(upstream.count() > 8);
    // Nor does a version that is added at run time.
    let said = gate.command(&format!("deploy shop v2=http://{door}"));
    assert!(said.code != 0 && said.err.contains("leads to the admin interface"), "{said:?}");
}
