//! What is under way on a configuration, or with a version, that is not the present one any more.

use std::time::Duration;

use super::support::wait::took;
use super::support::{Client, Gate, Peer, Setup, Upstream, until};

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

const CHAT: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Echoes on `/chat`, streams without end on `/events`, answers with its name elsewhere.
fn version(name: &'static str) -> Upstream {
    Upstream::start(move |peer: &mut Peer| {
        while let Some(request) = peer.request() {
            match request.target() {
                "/chat" => {
                    peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
                    while let Ok(bytes) = peer.wire().exactly(4) {
                        peer.send(bytes);
                    }
                    return;
                }
                "/events" => {
                    peer.send(format!(
                        "HTTP/1.1 200 OK\r\nX-Version: {name}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"
                    ));
                    peer.hold();
                    return;
                }
                _ => drop(peer.answer("200 OK", name)),
            }
        }
    })
}

fn chat(gate: &Gate) -> Client {
    let mut client = gate.connect();
    client.send(CHAT);
    assert_eq!(client.wire().head().expect("the switch").status(), Some(101));
    client
}

fn echoes(client: &mut Client) -> bool {
    client.offer("ping").is_ok() && client.wire().exactly(4).is_ok_and(|it| it == b"ping")
}

/// Fifty configurations later a tunnel of the first one still works, and nothing has piled up.
#[test]
fn an_old_generation_costs_no_more_than_its_tunnel() {
    let one = version("v1");
    let mut gate = Setup::to(&one).workers(2).start();
    let mut tunnel = chat(&gate);
    let load = |gate: &mut Gate, number: usize| {
        gate.reload(|it| it.service(format!("timeouts: {{head: {}s}}", 10 + number)));
        assert_eq!(gate.get("/").text(), "v1");
    };
    for number in 0..5 {
        load(&mut gate, number);
    }
    let (memory, files, threads) = (gate.memory(), gate.descriptors(), gate.threads());
    for number in 5..50 {
        load(&mut gate, number);
    }
    assert!(echoes(&mut tunnel), "an old generation's tunnel goes on");
    assert!(gate.memory() < memory + (8 << 20), "{memory} bytes grew to {}", gate.memory());
    assert!(gate.descriptors() <= files + 12, "{files} descriptors grew to {}", gate.descriptors());
    // A thread for what may block comes and goes; one for each generation would be forty-five.
    assert!(gate.threads() <= threads + 10, "{threads} threads grew to {}", gate.threads());
}

/// Asks until the watch has seen enough.
fn until_proven(gate: &Gate) {
    until("the version has proven itself", || {
        for _ in 0..20 {
            gate.get("/");
        }
        (gate.state() == "LIVE").then_some(())
    });
}

/// What is with a version when it loses its traffic stays with it, for so long and no longer; what is with
/// another one is left alone.
#[test]
fn a_version_without_traffic_is_left_in_time() {
    let (one, two) = (version("v1"), version("v2"));
    let mut gate = Setup::to(&one)
        .version("v2", &[two.address()])
        .service("timeouts: {drain: 1s}")
        .service("rollout: {watch: 100ms}")
        .workers(2)
        .start();
    let mut old = chat(&gate);
    gate.edit(|it| it.live("v2"));
    until("all traffic moves", || (gate.get("/").text() == "v2").then_some(()));
    until_proven(&gate);
    let mut new = chat(&gate);
    took(ms(300), Duration::from_secs(15), || {
        while echoes(&mut old) {
            std::thread::sleep(ms(20))
        }
    });
    assert!(echoes(&mut new));
    // Taken out of the file, it is left in the same way.
    let third = version("v3");
    gate.reload(|it| it.version("v3", &[third.address()]).live("v3"));
    until("all traffic moves", || (gate.get("/").text() == "v3").then_some(()));
    until_proven(&gate);
    gate.reload(|it| it.without("v2").without("v1"));
    took(Duration::ZERO, Duration::from_secs(15), || {
        while echoes(&mut new) {
            std::thread::sleep(ms(20))
        }
    });
    assert!(echoes(&mut chat(&gate)));
}

/// A stream of events stays on its version across a promotion, and is cut visibly after a rollback.
#[test]
fn a_stream_of_a_bad_version_ends_after_its_rollback() {
    let (one, two) = (version("v1"), version("v2"));
    let mut gate = Setup::to(&one)
        .version("v2", &[two.address()])
        .service("timeouts: {drain: 1s}")
        .service("rollout: {steps: [50% for 1h, 60% for 1h]}")
        .start();
    gate.edit(|it| it.live("v2"));
    gate.reaches("CANARY");
    let open = || {
        let mut client = gate.connect();
        client.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = client.wire().head().expect("a head");
        (client, head.one("x-version").expect("a name").to_owned())
    };
    let streams: Vec<(Client, String)> = (0..20).map(|_| open()).collect();
    let canary = |it: &(Client, String)| it.1 == "v2";
    assert!(streams.iter().any(canary) && !streams.iter().all(canary), "a split of even shares");
    assert_eq!(gate.command("promote shop").code, 0);
    until("the next step", || (gate.weight("v2") == 0.6).then_some(()));
    assert_eq!(gate.command("rollback shop").code, 0);
    for (mut client, version) in streams {
        if version == "v2" {
            assert!(client.wire().chunked().is_err(), "a cut stream looked whole");
        } else {
            assert_eq!(client.wire().exactly(10).expect("the first event"), b"5\r\nfirst\r\n");
            assert_eq!(client.end_within(ms(50)), super::support::End::Open, "stable's streams go on");
        }
    }
}
