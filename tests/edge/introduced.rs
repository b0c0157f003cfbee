//! The PROXY protocol towards endpoints: each learns who the client is, and no connection ever speaks for two.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::support::frames::{Frames, GET, WHOLE, block, kind};
use super::support::tls::{Ca, put, server};
use super::support::wire::Wire;
use super::support::{Client, Gate, Peer, Setup, Upstream, until};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// What a connection begins with, in words: `v1 192.0.2.1:5000 192.0.2.2:443`, or `v2 own`.
fn introduction(wire: &mut Wire) -> Option<String> {
    introduction_by(|count| wire.exactly(count).ok())
}

/// The same, read by `exactly`.
fn introduction_by(mut exactly: impl FnMut(usize) -> Option<Vec<u8>>) -> Option<String> {
    let mut first = exactly(12)?;
    if first != b"\r\n\r\n\0\r\nQUIT\n" {
        while first.last() != Some(&b'\n') {
            first.extend(exactly(1)?);
        }
        let line = String::from_utf8(first).ok()?;
        let words: Vec<&str> = line.strip_suffix("\r\n")?.split(' ').collect();
        return match words[..] {
            ["PROXY", "UNKNOWN"] => Some("v1 own".into()),
            ["PROXY", family, from, to, of, at] => {
                let end = |ip: &str, port: &str| {
                    let ip: IpAddr =
                        ip.parse().ok().filter(|it: &IpAddr| it.is_ipv4() == (family == "TCP4"))?;
                    Some(SocketAddr::new(ip, port.parse().ok()?))
                };
                Some(format!("v1 {} {}", end(from, of)?, end(to, at)?))
            }
            _ => None,
        };
    }
    let [about, family, high, low] = exactly(4)?.try_into().ok()?;
    let block = exactly(usize::from(u16::from_be_bytes([high, low])))?;
    let port = |at: usize| u16::from_be_bytes([block[at], block[at + 1]]);
    match (about, family, block.len()) {
        (0x20, 0, 0) => Some("v2 own".into()),
        (0x21, 0x11, 12) => {
            let ip = |at: usize| Ipv4Addr::new(block[at], block[at + 1], block[at + 2], block[at + 3]);
            Some(format!("v2 {}:{} {}:{}", ip(0), port(8), ip(4), port(10)))
        }
        (0x21, 0x21, 36) => {
            let ip = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&block[at..at + 16]).unwrap());
            Some(format!("v2 [{}]:{} [{}]:{}", ip(0), port(32), ip(16), port(34)))
        }
        other => panic!("{other:?}"),
    }
}

/// An endpoint that wants the header, and answers what it was told and on which of its connections.
fn told(of_health: bool) -> Upstream {
    Upstream::start(move |peer: &mut Peer| {
        let Some(who) = introduction(peer.wire()) else { return };
        let number = peer.number;
        while let Some(request) = peer.request() {
            let checkup = request.target() == "/healthz";
            assert_eq!(who.ends_with("own"), checkup && of_health, "{who} asks {}", request.target());
            if !peer.answer("200 OK", &format!("{who} #{number}")) {
                return;
            }
        }
    })
}

fn version(scheme: &str, address: SocketAddr, more: &str) -> String {
    format!("{{endpoints: [\"{scheme}://{address}\"], {more}}}")
}

/// Whom an answer says it was for, and on which connection it was asked.
fn split(text: &str) -> (String, usize) {
    let (who, number) = text.rsplit_once(" #").unwrap_or_else(|| panic!("{text}"));
    (who.to_owned(), number.parse().unwrap())
}

fn expected(form: &str, client: &mut Client, gate: &Gate) -> String {
    format!("{form} {} {}", client.wire().local_address(), gate.address())
}

#[test]
fn an_endpoint_is_told_who_the_client_is_once_for_each_connection() {
    for form in ["v1", "v2"] {
        let upstream = told(false);
        let gate = Setup::default()
            .version_as("v1", version("http", upstream.address(), &format!("proxy_protocol: {form}")))
            .start();
        assert_eq!(upstream.connections(), 0, "nobody is called before there is a client");
        let mut clients: Vec<Client> = (0..4).map(|_| gate.connect()).collect();
        let mut of: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        for _ in 0..5 {
            for client in &mut clients {
                let (who, number) = split(&client.get("/").text());
                assert_eq!(who, expected(form, client, &gate));
                of.entry(who).or_default().insert(number);
            }
        }
        // Each has one, which is kept, and which no other has used.
        assert_eq!(of.len(), 4);
        assert!(of.values().all(|it| it.len() == 1), "{of:?}");
        assert_eq!(upstream.connections(), 4);
        // It ends with its client and not when it has been unused for long.
        clients.truncate(1);
        until("three are closed", || (upstream.busy() == 1).then_some(()));
        let (_, number) = split(&clients[0].get("/").text());
        assert!(of.values().any(|it| it.contains(&number)), "the last one is kept");
    }
}

/// What a balancer in front has said goes on to the endpoint.
#[test]
fn who_was_introduced_is_introduced() {
    let upstream = told(false);
    let gate = Setup::default()
        .listener("proxy_protocol: true, trust: [127.0.0.0/8]")
        .version_as("v1", version("http", upstream.address(), "proxy_protocol: v2"))
        .start();
    for (line, who) in [
        ("TCP4 192.0.2.7 192.0.2.99 5000 443", "v2 192.0.2.7:5000 192.0.2.99:443"),
        ("TCP6 2001:db8::7 ::1 5001 444", "v2 [2001:db8::7]:5001 [::1]:444"),
    ] {
        let mut client = gate.connect();
        let text = client.send(format!("PROXY {line}\r\n{REQUEST}")).response().text();
        assert_eq!(split(&text).0, who);
    }
    // A balancer that speaks for itself is the client.
    let mut client = gate.connect();
    let text = client.send(format!("PROXY UNKNOWN\r\n{REQUEST}")).response().text();
    assert_eq!(split(&text).0, expected("v2", &mut client, &gate));
}

/// The streams of one HTTP/2 connection are one client's, whatever is spoken behind.
#[test]
fn streams_are_their_connections() {
    let upstream = told(false);
    let gate = Setup::default()
        .listener("h2c: true")
        .version_as("v1", version("http", upstream.address(), "proxy_protocol: v1"))
        .start();
    let ask = |frames: &mut Frames, stream: u32| {
        frames.send(kind::HEADERS, WHOLE, stream, &block(&GET));
        split(&String::from_utf8(frames.answer(stream).body).unwrap())
    };
    let (mut one, mut other) = (Frames::connect(gate.address()), Frames::connect(gate.address()));
    let (who, first) = ask(&mut one, 1);
    let (stranger, second) = ask(&mut other, 1);
    assert!(who != stranger && first != second);
    for stream in [3, 5, 7] {
        assert_eq!(ask(&mut one, stream), (who.clone(), first));
        assert_eq!(ask(&mut other, stream), (stranger.clone(), second));
    }
    assert_eq!(upstream.connections(), 2);
    drop((one, other));
    until("both are closed", || (upstream.busy() == 0).then_some(()));
}

/// Connections that carry many streams carry those of one client alone.
#[test]
fn http_2_connections_are_one_clients_too() {
    let upstream = Upstream::start(|peer| {
        let mut stream = peer.wire().stream().try_clone().expect("a stream");
        let who = introduction_by(|count| {
            let mut bytes = vec![0; count];
            stream.read_exact(&mut bytes).ok().map(|()| bytes)
        });
        let Some(who) = who else { return };
        let mut frames = Frames::accepted(stream);
        while let Some(stream) = frames.request() {
            frames.respond(stream, &format!("{who} #{}", peer.number));
        }
    });
    let gate =
        Setup::default().version_as("v1", version("h2c", upstream.address(), "proxy_protocol: v2")).start();
    let mut clients: Vec<Client> = (0..3).map(|_| gate.connect()).collect();
    let mut numbers = BTreeSet::new();
    for round in 0..4 {
        for client in &mut clients {
            let (who, number) = split(&client.get("/").text());
            assert_eq!(who, expected("v2", client, &gate));
            assert_eq!(numbers.insert(number), round == 0, "{who}");
        }
    }
    assert_eq!(upstream.connections(), 3);
    drop(clients);
    until("all are closed", || (upstream.busy() == 0).then_some(()));
}

/// Whoever asks how an endpoint is says that it is nobody's request.
#[test]
fn checkups_and_tests_are_nobodys() {
    for form in ["v1", "v2"] {
        let (stable, fresh) = (told(true), told(true));
        let how = format!("health: {{path: /healthz, every: 50ms}}, proxy_protocol: {form}");
        let mut gate = Setup::default()
            .version_as("v1", version("http", stable.address(), &how))
            .version_as("v2", version("http", fresh.address(), &how))
            .service("rollout: {verify: {url: \"{endpoint}/healthz\"}, steps: [50% for 1h]}")
            .start();
        until("it is up", || (gate.release()["lanes"][0]["endpoints"][0]["state"] == "up").then_some(()));
        let mut client = gate.connect();
        let (who, _) = split(&client.get("/").text());
        assert_eq!(who, expected(form, &mut client, &gate));
        gate.edit(|it| it.live("v2"));
        gate.reaches("CANARY");
        until("the new one is told too", || {
            let mut client = gate.connect();
            let (who, _) = split(&client.get("/").text());
            assert_eq!(who, expected(form, &mut client, &gate));
            (fresh.requests().iter().any(|it| it.target() == "/")).then_some(())
        });
    }
}

/// The header is in plain text, ahead of TLS.
#[test]
fn the_header_comes_before_tls() {
    let (ca, dir) = (Ca::new("ca"), tempfile::tempdir().unwrap());
    let authority = put(&dir.path().join("ca.pem"), ca.pem(), 0o644);
    let config = server(&ca.issue(&["127.0.0.1"]), None);
    let upstream = Upstream::start(move |peer| {
        let Some(who) = introduction(peer.wire()) else { return };
        assert!(peer.wire().left().is_empty() || peer.wire().left()[0] == 22, "a greeting follows");
        let begun = peer.wire().left().to_vec();
        let mut tls = rustls::ServerConnection::new(config.clone()).unwrap();
        tls.read_tls(&mut begun.as_slice()).unwrap();
        tls.process_new_packets().unwrap();
        let stream = peer.wire().stream().try_clone().unwrap();
        let mut wire = Wire::secure(stream, tls.into());
        while wire.head().is_ok() {
            let text = format!("{who} #{}", peer.number);
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
            wire.try_send(answer.as_bytes()).unwrap();
        }
    });
    let how = format!("tls: {{ca: {}}}, proxy_protocol: v2", authority.display());
    let gate = Setup::default().version_as("v1", version("https", upstream.address(), &how)).start();
    let mut client = gate.connect();
    for _ in 0..3 {
        let (who, number) = split(&client.get("/").text());
        assert_eq!((who, number), (expected("v2", &mut client, &gate), 0));
    }
}

/// A kept connection that closes is replaced by one for the same client, and a copy of a request is its client's.
#[test]
fn further_tries_and_copies_are_the_clients_too() {
    let flaky = Upstream::start(|peer| {
        let Some(who) = introduction(peer.wire()) else { return };
        let number = peer.number;
        for round in 0.. {
            if peer.request().is_none() || round == 2 {
                return;
            }
            peer.answer("200 OK", &format!("{who} #{number}"));
        }
    });
    let copied = told(false);
    let gate = Setup::default()
        .version_as("v1", version("http", flaky.address(), "proxy_protocol: v1"))
        .version_as("v2", version("http", copied.address(), "proxy_protocol: v2"))
        .service("mirror: {to: v2}")
        .start();
    let mut clients: Vec<Client> = (0..2).map(|_| gate.connect()).collect();
    for _ in 0..9 {
        for client in &mut clients {
            assert_eq!(split(&client.get("/").text()).0, expected("v1", client, &gate));
        }
    }
    // Every answer of the other one was for somebody who is told; whoever that is asserts it.
    until("copies arrive", || (copied.count() >= 10).then_some(()));
    assert!(copied.connections() >= 2);
    drop(clients);
    until("nothing is kept", || (copied.busy() + flaky.busy() == 0).then_some(()));
}

/// An endpoint that takes the header and one that does not are two, though their address is one; a version to
/// which the header is added is another version.
#[test]
fn the_header_is_part_of_what_a_version_is() {
    let upstream = told(false);
    let plain = format!("\"http://{}\"", upstream.address());
    let mut gate = Setup::default().version_as("v1", &plain).start();
    // Without the header it understands nothing.
    assert_eq!(gate.get("/").status, 502);
    let with = version("http", upstream.address(), "proxy_protocol: v1");
    gate.reload(|it| it.version_as("v1", with));
    let mut client = gate.connect();
    assert_eq!(split(&client.get("/").text()).0, expected("v1", &mut client, &gate));
}
