//! The PROXY protocol ahead of requests: who is believed, and what is not a header.

use std::time::Duration;

use super::support::{Client, End, Gate, Setup, Upstream, until};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const LINE: &str = "PROXY TCP4 192.0.2.7 192.0.2.99 5000 443\r\n";

fn behind_balancer(upstream: &Upstream) -> Setup {
    Setup::to(upstream).listener("proxy_protocol: true, trust: [127.0.0.0/8], timeouts: {head: 1s}")
}

/// Version 2: the signature, what it is about, its length, and the rest.
fn block(about: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[about, family][..], &length, rest].concat()
}

fn four(last: u8, more: &[u8]) -> Vec<u8> {
    block(0x21, 0x11, &[&[192, 0, 2, last, 192, 0, 2, 99, 0x13, 0x88, 1, 0xbb], more].concat())
}

fn refusals(gate: &Gate) -> f64 {
    gate.metric("tidegate_rejected_total", &[("reason", "proxy_protocol")])
}

#[track_caller]
fn asks_as(gate: &Gate, upstream: &Upstream, header: impl AsRef<[u8]>, client: &str) {
    let mut connection = gate.connect();
    connection.send([header.as_ref(), REQUEST.as_bytes()].concat());
    assert_eq!(connection.response().status, 200);
    assert_eq!(upstream.last_request().head.all("x-forwarded-for"), [client]);
    // It is said once for the connection.
    assert_eq!(connection.get("/again").status, 200);
    assert_eq!(upstream.last_request().head.all("x-forwarded-for"), [client]);
}

#[test]
fn the_client_is_who_the_balancer_says() {
    let upstream = Upstream::answering("fine");
    let gate = behind_balancer(&upstream).start();
    asks_as(&gate, &upstream, LINE, "192.0.2.7");
    asks_as(&gate, &upstream, "PROXY TCP6 2001:db8::7 2001:db8::99 5000 443\r\n", "2001:db8::7");
    asks_as(&gate, &upstream, four(8, &[]), "192.0.2.8");
    asks_as(&gate, &upstream, four(9, &[4, 0, 3, 0, 0, 0]), "192.0.2.9");
    let mut six = vec![0; 36];
    six[..4].copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
    six[15] = 0x42;
    asks_as(&gate, &upstream, block(0x21, 0x21, &six), "2001:db8::42");
    // The balancer speaks for itself.
    let own = gate.connect().wire().local_address().ip().to_string();
    asks_as(&gate, &upstream, "PROXY UNKNOWN\r\n", &own);
    asks_as(&gate, &upstream, format!("PROXY UNKNOWN {}\r\n", "f".repeat(107 - 16)), &own);
    asks_as(&gate, &upstream, block(0x20, 0, &[]), &own);
    asks_as(&gate, &upstream, block(0x20, 0x11, &[1; 300]), &own);
    asks_as(&gate, &upstream, block(0x21, 0, &[]), &own);
    // The connection that only asked for its own address.
    until("it is counted", || (refusals(&gate) == 1.0).then_some(()));
}

/// What a client writes about itself behind a balancer that only passes bytes on is not believed.
#[test]
fn only_the_header_is_believed() {
    let upstream = Upstream::answering("fine");
    let gate = behind_balancer(&upstream).start();
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.9.9.9\r\n\r\n";
    assert_eq!(gate.answer_to(format!("{LINE}{request}")).status, 200);
    assert_eq!(upstream.last_request().head.all("x-forwarded-for"), ["192.0.2.7"]);
}

#[test]
fn a_header_may_come_in_pieces() {
    let upstream = Upstream::answering("fine");
    let gate = behind_balancer(&upstream).start();
    for header in [LINE.as_bytes().to_vec(), four(7, &[4, 0, 1, 0])] {
        let mut client = gate.connect();
        client.send_bytewise(&header).send_bytewise(REQUEST);
        assert_eq!(client.response().status, 200);
        assert_eq!(upstream.last_request().head.all("x-forwarded-for"), ["192.0.2.7"]);
    }
}

#[test]
fn what_is_no_header_ends_the_connection() {
    let upstream = Upstream::answering("fine");
    let gate = behind_balancer(&upstream).start();
    let long = format!("PROXY UNKNOWN {}\r\n", "f".repeat(108 - 16));
    let endless = format!("PROXY UNKNOWN {}", "f".repeat(4000));
    let huge = block(0x21, 0x11, &[0; 60_000]);
    let cases: &[&[u8]] = &[
        REQUEST.as_bytes(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS greeting",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 99999 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n",
        b"PROXY TCP5 1.2.3.4 1.2.3.4 1 1\r\n",
        long.as_bytes(),
        endless.as_bytes(),
        // Extensions whose lengths do not add up.
        &four(7, &[4, 0, 9, 0]),
        &four(7, &[4, 0]),
        &four(7, &[4, 0xff, 0xff]),
        &block(0x21, 0x11, &[192, 0, 2]),
        &block(0x21, 0x12, &[0; 12]),
        &block(0x11, 0x11, &[0; 12]),
        &huge,
    ];
    for (number, bad) in cases.iter().enumerate() {
        let mut client = gate.connect();
        let _ = client.offer([bad, REQUEST.as_bytes()].concat());
        let end = client.end();
        assert!(matches!(end, End::Closed | End::Reset), "{number}: {end:?}");
        until("it is counted", || (refusals(&gate) == number as f64 + 1.0).then_some(()));
    }
    assert_eq!(upstream.count(), 0);
    // Half of one, and then nothing, or an end.
    for half in [&LINE.as_bytes()[..9], &LINE.as_bytes()[..30], &four(7, &[])[..14], &four(7, &[])[..20], b""]
    {
        let before = refusals(&gate);
        let mut client = gate.connect();
        client.send(half);
        assert_eq!(client.end_within(Duration::from_secs(5)), End::Closed);
        let mut client = gate.connect();
        client.send(half).finish();
        assert_eq!(client.end(), End::Closed);
        until("both are counted", || (refusals(&gate) == before + 2.0).then_some(()));
    }
}

#[test]
fn who_is_not_trusted_is_not_heard() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener("proxy_protocol: true, trust: [10.0.0.0/8]").start();
    let mut client = gate.connect();
    let _ = client.offer(format!("{LINE}{REQUEST}"));
    assert!(matches!(client.end(), End::Closed | End::Reset));
    assert_eq!((refusals(&gate), upstream.count()), (1.0, 0));
}

/// Off by default: then the line is a broken request.
#[test]
fn nobody_is_believed_who_was_not_asked() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    for header in [LINE.as_bytes().to_vec(), four(7, &[])] {
        let mut client = gate.connect();
        let _ = client.offer([&header, REQUEST.as_bytes()].concat());
        assert_eq!(client.response().status, 400);
    }
    assert_eq!(upstream.count(), 0);
}

/// All come from the balancer's address; caps and stickiness are about the clients.
#[test]
fn limits_and_shares_are_about_the_client() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let gate = Setup::to(&one)
        .version("v2", &[two.address()])
        .service("split: {v2: 50%}")
        .service("sticky: {by: address}")
        .listener("proxy_protocol: true, trust: [127.0.0.0/8], limits: {connections_per_address: 2}")
        .start();
    let ask = |last: u8| -> (Client, String) {
        let mut client = gate.connect();
        let text = client.send([&four(last, &[]), REQUEST.as_bytes()].concat()).response().text();
        (client, text)
    };
    let all: Vec<(Client, String)> = (0..40).map(ask).collect();
    let texts: Vec<&str> = all.iter().map(|it| it.1.as_str()).collect();
    assert!(texts.contains(&"one") && texts.contains(&"two"), "{texts:?}");
    let again: Vec<(Client, String)> = (0..40).map(ask).collect();
    assert_eq!(again.iter().map(|it| it.1.as_str()).collect::<Vec<_>>(), texts);
    // Each has two connections now, and no third.
    let mut third = gate.connect();
    let _ = third.offer([&four(7, &[]), REQUEST.as_bytes()].concat());
    assert!(matches!(third.end(), End::Closed | End::Reset));
    let counted = || gate.metric("tidegate_rejected_total", &[("reason", "connections_per_address")]);
    until("it is counted", || (counted() == 1.0).then_some(()));
    drop((all, again));
    until("their places are free again", || {
        let mut client = gate.connect();
        let _ = client.offer([&four(7, &[]), REQUEST.as_bytes()].concat());
        client.try_response("GET").ok()
    });
}
