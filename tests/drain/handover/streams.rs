//! Hand-over under the eyes of clients that speak HTTP/2: two steps, spread, and nothing lost on the way, whatever
//! the client makes of it.

use std::time::{Duration, Instant};

use super::super::ends_are_spread;
use super::super::support::frames::{END_STREAM, Frames, GET, POST, WHOLE, block, kind};
use super::super::support::upstream::Latch;
use super::super::support::{Setup, Unit, Upstream, until};
use super::ms;

/// Every stream that may still be opened.
const ALL: u32 = 0x7fff_ffff;

fn ask(client: &mut Frames, stream: u32, path: &'static str) {
    let mut fields = GET.to_vec();
    fields.iter_mut().filter(|it| it.0 == ":path").for_each(|it| it.1 = path);
    client.send(kind::HEADERS, WHOLE, stream, &block(&fields));
}

#[expect(clippy::disallowed_methods, reason = "how long it took is what is tested")]
/// Whoever waits is told in the second half of the time, not all at once; whoever asks is told with the answer;
/// whoever has only just come gets to ask once.
#[test]
fn idle_connections_are_let_go_spread_over_the_window() {
    let upstream = Upstream::answering("fine");
    let setup = Setup::to(&upstream).listener("h2c: true");
    let mut unit = Unit::start(setup.run_with("--lame-duck 2s --drain 10s"));
    let mut plain = unit.connect();
    plain.get("/");
    let mut idle: Vec<Frames> = (0..30).map(|_| Frames::connect(unit.address())).collect();
    idle.iter_mut().for_each(|it| it.works(1));
    let (mut asking, mut young) = (Frames::connect(unit.address()), Frames::connect(unit.address()));
    asking.works(1);
    young.ping();
    let began = Instant::now();
    unit.hand_over();
    until("the leave begins", || plain.get("/").closes().then_some(()));
    for (client, stream) in [(&mut asking, 3), (&mut young, 1)] {
        let came = client.get(stream).answer(stream);
        assert_eq!((came.status, came.whole), (Some(200), true), "{came:?}");
        let said = [came.last, client.end().last].concat();
        assert_eq!(said, [ALL, stream], "told by the answer");
    }
    ends_are_spread(&mut idle, began, |client| {
        let came = client.end();
        assert_eq!((came.goaway, came.last.as_slice()), (Some(0), &[ALL, 1][..]), "{came:?}");
    });
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
}

/// A client that reads slowly opens its windows long after we have written the last byte: the end of the
/// connection does not destroy what it has not read yet.
#[test]
fn an_answer_that_is_read_slowly_is_whole() {
    let content: &'static str = Box::leak("0123456789abcdef".repeat(512 * 1024).into_boxed_str());
    let upstream = Upstream::answering(content);
    let setup = Setup::to(&upstream).listener("h2c: true");
    let mut unit = Unit::start(setup.run_with("--lame-duck 200ms --drain 60s"));
    let mut client = Frames::connect_narrow_with(unit.address(), &[(4, 16 << 20)]);
    client.window(0, 16 << 20);
    ask(&mut client, 1, "/");
    until("it is under way", || (upstream.count() == 1).then_some(()));
    unit.hand_over();
    let (mut read, mut whole) = (0, false);
    while !whole {
        let frame = client.next_within(Duration::from_secs(60)).unwrap_or_else(|closed| {
            panic!("{read} of {} bytes, closed: {closed}\n{}", content.len(), unit.log())
        });
        if frame.kind == kind::DATA {
            read += frame.payload.len();
            whole = frame.flags & END_STREAM != 0;
            // As every client does; one that is busy takes its time.
            client.window(0, 16_384).window(1, 16_384);
            std::thread::sleep(ms(1));
        }
    }
    assert_eq!(read, content.len());
    assert!(client.end().closed);
    // It has closed, so nobody waits for it any more.
    drop(client);
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
}

/// What was begun is taken to its end, however long its content takes.
#[test]
fn a_slow_upload_arrives() {
    let upstream = Upstream::answering("fine");
    let setup = Setup::to(&upstream).listener("h2c: true");
    let mut unit = Unit::start(setup.run_with("--lame-duck 200ms --drain 30s"));
    let mut streams = Frames::connect(unit.address());
    streams.head(1, &POST);
    let mut plain = unit.connect();
    plain.send("POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 300\r\n\r\n");
    streams.send(kind::DATA, 0, 1, &[b'x'; 100]);
    plain.send([b'x'; 100]);
    let requests = |unit: &Unit| unit.metric("tidegate_requests_in_flight", &[]);
    until("both are under way", || (requests(&unit) == 2.0).then_some(()));
    unit.hand_over();
    assert!(unit.runs());
    streams.send(kind::DATA, 0, 1, &[b'y'; 100]);
    plain.send([b'y'; 100]);
    // The client has read that it is to go, and its answer has been heard.
    let told = until("the last stream", || {
        let frame = streams.next_within(Duration::from_secs(60)).expect("a frame");
        (frame.kind == kind::GOAWAY && frame.payload[..4] == 1_u32.to_be_bytes()).then_some(frame)
    });
    assert_eq!(told.payload[4..8], [0; 4]);
    streams.send(kind::DATA, END_STREAM, 1, &[b'z'; 100]);
    plain.send([b'z'; 100]);
    let came = streams.answer(1);
    assert_eq!((came.status, came.whole), (Some(200), true), "{came:?}");
    assert_eq!(plain.response().text(), "fine");
    let expected = ["x", "y", "z"].map(|it| it.repeat(100)).concat();
    for request in upstream.requests() {
        assert_eq!(request.body, expected.as_bytes());
    }
    drop(streams);
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
}

/// A client that ignores that it is to go, and opens streams for as long as it can: what it has opened before it
/// could know is answered, what comes after the last stream that counts is not, and it keeps nobody.
#[test]
fn a_client_that_does_not_listen_keeps_nobody() {
    let latch = Latch::default();
    let upstream = Upstream::slow_behind(&latch);
    let setup = Setup::to(&upstream).listener("h2c: true");
    let mut unit = Unit::start(setup.run_with("--lame-duck 200ms --drain 60s"));
    let mut deaf = Frames::connect(unit.address());
    deaf.works(1);
    deaf.window(0, 16 << 20);
    // From here on nothing that it hears is answered.
    deaf.polite = false;
    ask(&mut deaf, 3, "/slow");
    until("it is under way", || (upstream.count() == 2).then_some(()));
    unit.hand_over();
    let (mut stream, mut answered, mut last) = (3, 0, None);
    let mut next = |deaf: &mut Frames| {
        stream += 2;
        deaf.get(stream);
        stream
    };
    next(&mut deaf);
    loop {
        match deaf.next_within(Duration::from_secs(60)) {
            Ok(frame) if frame.kind == kind::GOAWAY => {
                let said = u32::from_be_bytes(frame.payload[..4].try_into().unwrap());
                if said != ALL {
                    last = Some(said);
                    // It goes on all the same.
                    (0..50).for_each(|_| _ = next(&mut deaf));
                    latch.open();
                }
            }
            Ok(frame) if frame.kind == kind::DATA && frame.flags & END_STREAM != 0 => {
                assert!(last.is_none_or(|it| frame.stream <= it), "stream {} of {last:?}", frame.stream);
                answered += 1;
                next(&mut deaf);
            }
            Ok(_) => {}
            Err(closed) => {
                assert!(closed, "still there: {last:?}");
                break;
            }
        }
    }
    let last = last.expect("the last stream");
    assert!(last >= 5, "{last}");
    assert_eq!(answered, (last - 1) / 2, "all up to the last one");
    drop(deaf);
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
}
