//! Clients that take their time: what they hold is little, nobody waits for them, and they cannot stay for ever.

use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::support::frames::{Frames, GET, POST, WHOLE, block, kind};
use super::support::h2client::{ask, get};
use super::support::h2server::H2Upstream;
use super::support::{Setup, Upstream, until};

/// The setting of a client that lets nothing pass.
const NO_WINDOW: (u16, u32) = (4, 0);

/// Waits until so many answers have begun.
fn heads(frames: &mut Frames, wanted: usize) {
    let mut seen = 0;
    while seen < wanted {
        let frame = frames.next_within(Duration::from_secs(30)).expect("an answer begins");
        seen += usize::from(frame.kind == kind::HEADERS);
    }
}

#[test]
fn an_answer_that_nobody_takes_holds_what_is_left_of_it() {
    const CLIENTS: usize = 10;
    const STREAMS: usize = 100;
    let upstream = Upstream::answering("hello");
    let gate = Setup::to(&upstream).listener("h2c: true").start();
    let stall = || {
        let mut frames = Frames::connect_with(gate.address(), &[NO_WINDOW]);
        (0..STREAMS as u32).for_each(|it| {
            frames.get(it * 2 + 1);
        });
        heads(&mut frames, STREAMS);
        frames
    };
    // What a worker keeps for the next one is there after the first.
    let first = stall();
    let before = gate.memory();
    let others: Vec<Frames> = (0..CLIENTS).map(|_| stall()).collect();
    let each = gate.memory().saturating_sub(before) / (CLIENTS * STREAMS) as u64;
    // A buffer alone would be 64 KiB.
    assert!(each < 40_000, "{each} bytes are held for five");
    drop((first, others));
    until("nothing is under way", || {
        (gate.metric("tidegate_requests_in_flight", &[("service", "shop")]) == 0.0).then_some(())
    });
}

#[test]
fn nobody_waits_for_another_who_takes_nothing() {
    let upstream = H2Upstream::start(200, |request, mut respond| {
        Box::pin(async move {
            let large = request.uri().path() == "/large";
            let mut answer = respond.send_response(Response::new(()), false)?;
            answer.send_data(Bytes::from(vec![b'x'; if large { 10_000_000 } else { 5 }]), true)
        })
    });
    let gate = Setup::default()
        .version_as("v1", format!("\"h2c://{}\"", upstream.address()))
        .listener("h2c: true")
        .start();
    let mut frames = Frames::connect_with(gate.address(), &[NO_WINDOW]);
    let large = [(":method", "GET"), (":scheme", "http"), (":authority", "shop.test"), (":path", "/large")];
    // More of them than any window would hold that they shared.
    for number in 0..90 {
        frames.send(kind::HEADERS, WHOLE, number * 2 + 1, &block(&large));
    }
    heads(&mut frames, 90);
    for _ in 0..5 {
        let answer = ask(gate.address(), get("/"), &[]).unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, 5));
    }
    assert_eq!(upstream.connections(), 1, "they all share it");
}

#[test]
fn a_client_that_does_not_listen_is_sent_away_all_the_same() {
    let upstream = Upstream::start(|peer| {
        while let Some(head) = peer.head() {
            if head.start.starts_with("POST") {
                peer.hold();
                return;
            }
            if peer.rest_of(head).is_none() || !peer.answer("200 OK", "hello") {
                return;
            }
        }
    });
    let gate = Setup::to(&upstream).listener("h2c: true, limits: {requests: 10}").start();
    let mut frames = Frames::connect(gate.address());
    // It acknowledges nothing, and never has nothing under way.
    frames.polite = false;
    frames.head(1, &POST);
    let (mut last, mut number) = (Vec::new(), 3);
    while last.len() < 2 {
        frames.send(kind::HEADERS, WHOLE, number, &block(&GET));
        loop {
            let frame = frames.next_within(Duration::from_secs(30)).expect("the connection is there");
            if frame.kind == kind::GOAWAY {
                last.push(u32::from_be_bytes(frame.payload[..4].try_into().unwrap()));
            }
            if last.len() == 2 || (frame.kind == kind::DATA && frame.stream == number) {
                break;
            }
        }
        number += 2;
    }
    assert_eq!(last[0], i32::MAX as u32);
    assert!(last[1] < number, "{last:?}");
    // What is asked from here on is nobody's business.
    let served = upstream.count();
    for late in 0..10 {
        frames.get(number + 2 * late);
    }
    frames.ping();
    assert_eq!(upstream.count(), served);
}
