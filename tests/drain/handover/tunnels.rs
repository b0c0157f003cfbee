//! What lives longer than a hand-over: tunnels.

use std::time::Duration;

use super::super::support::frames::{END_HEADERS, Frames, GET, kind, with};
use super::super::support::tls::{Ca, Hello};
use super::super::support::{Client, Setup, Unit, Upstream, until};

const CHAT: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Repeats what it hears on `/chat`, four bytes at a time.
fn echoing() -> Upstream {
    Upstream::start(|peer| {
        let Some(request) = peer.request() else { return };
        if request.target() != "/chat" {
            peer.answer("200 OK", "fine");
            return peer.serve("200 OK", "fine");
        }
        peer.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        );
        while let Ok(bytes) = peer.wire().exactly(4) {
            peer.send(bytes);
        }
    })
}

fn say(client: &mut Client, text: &str) -> Option<Vec<u8>> {
    client.offer(text).ok()?;
    client.wire().exactly(text.len()).ok()
}

/// A tunnel outlives the hand-over, and is cut when the old process has waited long enough: in the clear and over
/// TLS.
#[test]
fn a_tunnel_lives_until_the_deadline() {
    let upstream = echoing();
    let (ca, dir) = (Ca::new("ca"), tempfile::tempdir().unwrap());
    let tls = format!("tls: {{certs: [{}]}}", ca.issue(&["shop.test"]).put(dir.path(), "shop"));
    let hello = Hello::to("shop.test", &ca);
    for secure in [false, true] {
        let setup = Setup::to(&upstream).run_with("--lame-duck 500ms --drain 2s");
        let mut unit = Unit::start(if secure { setup.listener(&tls) } else { setup });
        let connect = |unit: &Unit| if secure { hello.connect(unit.address()) } else { unit.connect() };
        let mut chat = connect(&unit);
        chat.send(CHAT);
        assert_eq!(chat.wire().head().unwrap().status(), Some(101));
        assert_eq!(say(&mut chat, "ping").unwrap(), b"ping");
        unit.hand_over();
        assert_eq!(say(&mut chat, "pong").unwrap(), b"pong", "through the old process");
        assert_eq!(connect(&unit).get("/").text(), "fine", "through the new one");
        assert_eq!(unit.exit_status().code(), Some(22), "{}", unit.log());
        assert!(unit.log().contains("1 connections were cut"), "{}", unit.log());
        assert!(say(&mut chat, "more").is_none());
        assert_eq!(connect(&unit).get("/").text(), "fine");
    }
}

/// The same on a stream of HTTP/2 (RFC 8441): its connection is told to go, and stays for the tunnel.
#[test]
fn a_tunnel_on_a_stream_lives_until_the_deadline() {
    let upstream = echoing();
    let setup = Setup::to(&upstream).listener("h2c: true").run_with("--lame-duck 500ms --drain 2s");
    let mut unit = Unit::start(setup);
    let mut client = Frames::connect(unit.address());
    let fields: Vec<_> =
        GET.iter().map(|it| if it.0 == ":path" { (":path", "/chat") } else { *it }).collect();
    let asked = with(&[(":method", "CONNECT"), (":protocol", "websocket")], &fields[1..]);
    client.head(1, &with(&asked, &[("sec-websocket-version", "13")]));
    // The last streams of every GOAWAY that was heard on the way to the next content, and that content.
    let heard = |client: &mut Frames| {
        let mut last = Vec::new();
        loop {
            match client.next_within(Duration::from_secs(60)) {
                Ok(frame) if frame.kind == kind::GOAWAY => last.push(frame.payload[..4].to_vec()),
                Ok(frame) if frame.kind == kind::DATA => return Some((last, frame.payload)),
                Ok(frame) => assert!(frame.kind != kind::HEADERS || frame.flags & END_HEADERS != 0),
                Err(_) => return None,
            }
        }
    };
    client.send(kind::DATA, 0, 1, b"ping");
    assert_eq!(heard(&mut client).unwrap().1, b"ping");
    unit.hand_over();
    let mut told = Vec::new();
    until("the last stream is named", || {
        client.send(kind::DATA, 0, 1, b"pong");
        let (last, content) = heard(&mut client).expect("through the old process");
        assert_eq!(content, b"pong");
        told.extend(last);
        (told.last()? == &1_u32.to_be_bytes()).then_some(())
    });
    Frames::connect(unit.address()).works(1);
    assert_eq!(unit.exit_status().code(), Some(22), "{}", unit.log());
    assert!(unit.log().contains("1 connections were cut"), "{}", unit.log());
    client.send(kind::DATA, 0, 1, b"more");
    assert!(heard(&mut client).is_none());
}

/// Whoever does not wait for the 101 is heard as soon as it is there, not when something else happens; also by a
/// process that is only finishing.
#[test]
fn what_is_said_ahead_of_a_switch_goes_on_with_it() {
    let upstream = echoing();
    let mut unit = Unit::start(Setup::to(&upstream).run_with("--lame-duck 500ms --drain 2s"));
    let mut clients: Vec<Client> = (0..2).map(|_| unit.connect()).collect();
    unit.hand_over();
    clients.extend((0..2).map(|_| unit.connect()));
    for (number, client) in clients.iter_mut().enumerate() {
        client.wire().patience(Duration::from_secs(20));
        if number % 2 == 0 {
            client.send(format!("{CHAT}ping"));
        } else {
            client.send(CHAT).send("ping");
        }
        assert_eq!(client.wire().head().expect("the switch").status(), Some(101));
        assert_eq!(client.wire().exactly(4).expect("an echo"), b"ping");
    }
}
