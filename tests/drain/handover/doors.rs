//! Operators and scrapers, who come through other doors.

use std::sync::atomic::{AtomicBool, Ordering};

use super::super::support::load::Load;
use super::super::support::{Client, Setup, Unit, Upstream, admin, until};
use super::{ended, ms};

/// Whoever asks at the admin doors is answered by the one process or the other, and numbers begin again.
#[test]
fn operators_and_scrapers_are_answered_all_the_time() {
    let upstream = Upstream::answering("fine");
    let setup = Setup::to(&upstream).workers(2).run_with("--lame-duck 300ms --drain 10s");
    let mut unit = Unit::start(setup);
    let load = Load::start(unit.address(), 2, ms(1));
    let (stop, socket, address) = (AtomicBool::new(false), unit.admin_socket(), unit.admin_address());
    let count = |text: &str| admin::sum(text, "tidegate_requests_total", &[("service", "shop")]);
    std::thread::scope(|scope| {
        let (stop, socket) = (&stop, &socket);
        let by_tcp = scope.spawn(move || {
            let mut falls = 0;
            let (mut before, mut scrapes) = (0.0, 0);
            while !stop.load(Ordering::SeqCst) {
                let page = admin::get(address, "/metrics");
                assert_eq!(page.status, 200);
                let now = count(&page.text());
                falls += u64::from(now < before);
                (before, scrapes) = (now, scrapes + 1);
            }
            (falls, scrapes)
        });
        let by_socket = scope.spawn(move || {
            let mut answers = 0;
            while !stop.load(Ordering::SeqCst) {
                let page = admin::by_socket(socket, "GET", "/api/v1/status", "");
                assert_eq!(page.status, 200);
                answers += 1;
            }
            answers
        });
        for round in 1..=3 {
            let before = unit.main();
            unit.hand_over();
            if round == 1 {
                assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
            }
            until("the old process ends", || ended(before));
        }
        stop.store(true, Ordering::SeqCst);
        let (falls, scrapes) = by_tcp.join().unwrap();
        assert_eq!(
            falls, 3,
            "each process counts from 0, and only one is asked at a time: {scrapes} scrapes"
        );
        assert!(by_socket.join().unwrap() > 3);
    });
    load.stop().assert_all("200 fine");
}

/// An endpoint that is ill is not tried by users again because another process has come, and one that is well is
/// used at once.
#[test]
fn the_ill_stay_out() {
    // Its checkups take their time.
    let well = Upstream::start(|peer| {
        while let Some(request) = peer.request() {
            if request.target() == "/healthz" {
                std::thread::sleep(ms(300));
            }
            peer.answer("200 OK", "fine");
        }
    });
    let ill = Upstream::start(|peer| peer.serve("503 Ill", "ill"));
    let endpoints = [&well, &ill].map(|it| format!("\"http://{}\"", it.address())).join(", ");
    let health = "{path: /healthz, every: 1s, timeout: 500ms, fail_after: 2}";
    let version = format!("{{endpoints: [{endpoints}], health: {health}}}");
    let setup = Setup::default().version_as("v1", version).workers(2);
    let mut unit = Unit::start(setup.run_with("--lame-duck 300ms --drain 10s"));
    until("one is known to be ill", || {
        let release = unit.release();
        let endpoints = release["lanes"][0]["endpoints"].as_array()?;
        let states: Vec<&str> = endpoints.iter().filter_map(|it| it["state"].as_str()).collect();
        (states.contains(&"down") && states.contains(&"up")).then_some(())
    });
    let load = Load::start(unit.address(), 2, ms(1));
    for _ in 0..3 {
        let before = unit.main();
        unit.hand_over();
        until("the old process ends", || ended(before));
        let sent = load.sent();
        until("traffic goes on", || (load.sent() > sent + 100).then_some(()));
    }
    load.stop().assert_all("200 fine");
}

/// A reader of the stream of events comes to its end, and finds the next event at the new process.
#[test]
fn a_stream_of_events_ends_and_is_taken_up() {
    let upstream = Upstream::answering("fine");
    let mut unit = Unit::start(Setup::to(&upstream).run_with("--lame-duck 200ms --drain 10s"));
    let mut reader = Client::connect(unit.admin_address());
    reader.send(format!("GET /api/v1/events/stream HTTP/1.1\r\nHost: {}\r\n\r\n", unit.admin_address()));
    let head = reader.wire().head().expect("a head");
    assert_eq!(head.status(), Some(200), "{head:?}");
    unit.hand_over();
    assert!(reader.wire().chunked().is_ok(), "an end that is said");
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
}
