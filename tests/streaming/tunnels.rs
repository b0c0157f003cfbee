//! Tunnels: bytes and ends in both directions, and whose fault it is when they end.

use super::*;

pub const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Accepts the upgrade and hands over what comes after.
pub fn accept_upgrade(peer: &mut Peer) -> bool {
    let Some(head) = peer.head() else { return false };
    peer.note(&head);
    if !head.has("upgrade") {
        return peer.answer("200 OK", "plain");
    }
    peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
}

#[test]
fn a_tunnel_carries_every_byte_both_ways() {
    let upstream = Upstream::start(|peer| {
        if accept_upgrade(peer) {
            // Echoes until the client has finished, then says goodbye.
            let mut stream = peer.wire().stream().try_clone().unwrap();
            let left = peer.wire().left().to_vec();
            stream.write_all(&left).unwrap();
            let mut buffer = [0; 65536];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                stream.write_all(&buffer[..count]).unwrap();
            }
            stream.write_all(b"bye").unwrap();
        }
    });
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    client.send(UPGRADE);
    let head = client.wire().head().expect("the switch");
    assert_eq!(head.status(), Some(101));
    assert_eq!(head.one("upgrade").map(str::to_ascii_lowercase).as_deref(), Some("websocket"));
    assert_eq!(head.one("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert!(head.one("connection").is_some_and(|it| it.eq_ignore_ascii_case("upgrade")));
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|it| (it.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut stream = client.wire().stream().try_clone().unwrap();
    let sent = bytes.clone();
    let writing = std::thread::spawn(move || {
        stream.write_all(&sent).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    });
    let got = client.wire().read_to_end().expect("everything and the end");
    writing.join().unwrap();
    assert!(got == [bytes.as_slice(), b"bye"].concat(), "{} bytes came back", got.len());
}

/// Each direction ends by itself: one side may finish and go on listening.
#[test]
fn a_tunnel_ends_one_direction_at_a_time() {
    let (said, heard) = (Latch::default(), Latch::default());
    let (say, hear) = (said.clone(), heard.clone());
    let upstream = Upstream::start(move |peer| {
        if accept_upgrade(peer) {
            peer.send("first");
            peer.finish();
            say.open();
            let rest = peer.wire().read_to_end().expect("what the client says after we finished");
            if rest == b"still talking" {
                hear.open();
            }
        }
    });
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    client.send(UPGRADE);
    client.wire().head().expect("the switch");
    assert!(said.pass());
    assert_eq!(client.wire().read_to_end().expect("the end of the upstream's side"), b"first");
    client.send("still ");
    client.send("talking").finish();
    assert!(heard.pass(), "the client's words were lost after the upstream had finished");
}

#[test]
fn a_tunnel_passes_on_what_came_with_the_handshake() {
    let upstream = Upstream::start(|peer| {
        if accept_upgrade(peer) {
            peer.send("greeting");
            let word = peer.wire().exactly(5).expect("a word");
            peer.send(word);
            peer.hold();
        }
    });
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    client.send(UPGRADE);
    client.wire().head().expect("the switch");
    assert_eq!(client.wire().exactly(8).expect("a greeting"), b"greeting");
    client.send("hello");
    assert_eq!(client.wire().exactly(5).expect("an echo"), b"hello");
}

#[test]
fn an_end_by_reset_is_passed_through_a_tunnel() {
    let upstream = Upstream::start(|peer| {
        if accept_upgrade(peer) && peer.wire().exactly(1).is_ok_and(|it| it == b"r") {
            peer.reset();
        } else {
            peer.hold();
        }
    });
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    client.send(UPGRADE);
    client.wire().head().expect("the switch");
    client.send("r");
    assert!(matches!(client.end(), End::Reset | End::Closed));
    let mut client = gate.connect();
    client.send(UPGRADE);
    client.wire().head().expect("the switch");
    client.send("x").wire();
    client.reset();
    until("the upstream is let go", || upstream.end_of(1));
}

#[test]
fn a_silent_tunnel_is_closed() {
    let upstream = Upstream::start(|peer| {
        accept_upgrade(peer);
        peer.hold();
    });
    let gate = Setup::default()
        .version("v1", &[upstream.address(), upstream.address()])
        .service("timeouts: {idle: 500ms}")
        .service("eject: {failures: 2}")
        .top("access_log: {to: ../access.log}")
        .start();
    for number in 0..3 {
        let mut client = gate.connect();
        client.send(UPGRADE);
        client.wire().head().expect("the switch");
        let end = support::wait::took(ms(400), Duration::from_secs(10), || client.end());
        assert_eq!(end, End::Closed, "nobody has gone wrong");
        until("the upstream is let go as orderly", || {
            let ends = (0..upstream.connections()).filter(|it| upstream.end_of(*it) == Some(End::Closed));
            (ends.count() == number + 1).then_some(())
        });
    }
    let log = until("the log has all", || {
        let log = std::fs::read_to_string(gate.dir().join("access.log")).unwrap_or_default();
        (log.lines().count() == 3).then_some(log)
    });
    assert_eq!(log.matches("\"status\":101,\"error\":\"tunnel_idle\"").count(), 3, "{log}");
    nobody_is_to_blame(&gate);
}

/// What has changed the protocol has answered: what comes of the tunnel fails no endpoint.
#[test]
fn a_tunnel_that_breaks_is_no_failed_answer() {
    let upstream = Upstream::start(|peer| {
        if accept_upgrade(peer) && peer.wire().exactly(1).is_ok() {
            peer.reset();
        }
    });
    let gate = Setup::default()
        .version("v1", &[upstream.address(), upstream.address()])
        .service("eject: {failures: 2}")
        .start();
    for _ in 0..5 {
        let mut client = gate.connect();
        client.send(UPGRADE);
        client.wire().head().expect("the switch");
        client.send("r");
        assert_eq!(client.end(), End::Reset);
    }
    nobody_is_to_blame(&gate);
}

#[track_caller]
fn nobody_is_to_blame(gate: &Gate) {
    assert_eq!(gate.metric("tidegate_upstream_errors_total", &[]), 0.0);
    assert_eq!(gate.metric("tidegate_ejections_total", &[]), 0.0);
}

/// Until the upstream has switched, what follows is HTTP: it passes routing as a request of its own.
#[test]
fn a_request_behind_a_declined_upgrade_is_a_request() {
    let upstream = Upstream::echoing();
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    client.send(format!("{UPGRADE}GET /evil HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"));
    assert_eq!(client.response().text(), "/chat");
    assert_eq!(client.response().text(), "/evil");
    let evil = upstream.last_request();
    assert_eq!(evil.target(), "/evil");
    assert_eq!(evil.head.one("x-forwarded-for"), Some("127.0.0.1"));
}

/// The header alone is not a wish to switch (RFC 9110, 7.8).
#[test]
fn an_upgrade_that_connection_does_not_name_is_dropped() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    assert_eq!(gate.answer_to("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n").text(), "fine");
    assert!(!upstream.only_request().head.has("upgrade"));
}

/// A switch to something that was not asked for is no answer.
#[test]
fn a_switch_to_another_protocol_is_refused() {
    let upstream =
        Upstream::raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
    let gate = Setup::to(&upstream).start();
    assert_eq!(gate.answer_to(UPGRADE).status, 502);
    let missing = Upstream::raw("HTTP/1.1 101 Switching Protocols\r\n\r\n");
    assert_eq!(Setup::to(&missing).start().answer_to(UPGRADE).status, 502);
}
