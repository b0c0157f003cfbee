//! What lives longer than a hand-over: tunnels.

use super::super::support::{Setup, Unit, Upstream};

/// A tunnel outlives the hand-over, and is cut when the old process has waited long enough.
#[test]
fn a_tunnel_lives_until_the_deadline() {
    let upstream = Upstream::start(|peer| {
        let Some(request) = peer.request() else { return };
        if request.target() != "/chat" {
            peer.answer("200 OK", "fine");
            return peer.serve("200 OK", "fine");
        }
        peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        while let Ok(bytes) = peer.wire().exactly(4) {
            peer.send(bytes);
        }
    });
    let mut unit = Unit::start(Setup::to(&upstream).run_with("--lame-duck 500ms --drain 2s"));
    let mut chat = unit.connect();
    chat.send(
        "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert_eq!(chat.wire().head().unwrap().status(), Some(101));
    let mut say = |text: &str| {
        chat.offer(text).ok()?;
        chat.wire().exactly(text.len()).ok()
    };
    assert_eq!(say("ping").unwrap(), b"ping");
    unit.hand_over();
    assert_eq!(say("pong").unwrap(), b"pong", "through the old process");
    assert_eq!(unit.connect().get("/").text(), "fine", "through the new one");
    assert_eq!(unit.exit_status().code(), Some(22), "{}", unit.log());
    assert!(unit.log().contains("1 connections were cut"), "{}", unit.log());
    assert!(say("more").is_none());
    assert_eq!(unit.connect().get("/").text(), "fine");
}
