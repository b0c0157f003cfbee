//! How long others wait while somebody misbehaves, and how long in peace.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::support::frames::{Frames, GET, WHOLE, block, frame, kind};
use super::support::wait::PATIENCE;
use super::support::{Client, Setup, Upstream, size, until};

/// How long answers take, in order.
struct Waits(Vec<Duration>);

impl Waits {
    /// Of requests one after the other, for so long.
    fn of(client: &mut Client, time: Duration) -> Self {
        let (begun, mut each) = (Instant::now(), Vec::new());
        while begun.elapsed() < time {
            let began = Instant::now();
            assert_eq!(client.get("/").text(), "fine");
            each.push(began.elapsed());
        }
        each.sort_unstable();
        Self(each)
    }

    fn below(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }
}

/// Every so often a connection sends its resets until it is cut off. How many there were.
fn flood(to: SocketAddr, bytes: &[u8], every: Duration, over: &AtomicBool) -> u32 {
    let (begun, mut connections) = (Instant::now(), 0);
    while !over.load(Ordering::SeqCst) && begun.elapsed() < PATIENCE {
        let came = Frames::connect(to).bytes(bytes).end();
        assert!(came.goaway.is_none_or(|it| it == super::hostile::CALM), "{came:?}");
        connections += 1;
        std::thread::sleep((every * connections).saturating_sub(begun.elapsed()));
    }
    connections
}

/// Row b02: ten times a second a connection floods with a hundred thousand requests and their resets. Of another
/// client's answers by the one worker that there is, 99 of 100 take less than twice as long as in peace.
#[test]
fn others_wait_no_longer_while_resets_flood() {
    let upstream = Upstream::quick("fine");
    let gate = Setup::to(&upstream).listener("h2c: true, limits: {requests: 1000000}").start();
    let (rounds, time, resets) = size::of((1, 200, 2_000), (5, 1_000, 100_000_u32));
    let (time, every) = (Duration::from_millis(time), Duration::from_millis(100));
    let mut bytes = Vec::new();
    for number in 0..resets {
        bytes.extend(frame(kind::HEADERS, WHOLE, number * 2 + 1, &block(&GET)));
        bytes.extend(frame(kind::RST_STREAM, 0, number * 2 + 1, &8_u32.to_be_bytes()));
    }
    let mut other = gate.connect();
    Waits::of(&mut other, time / 4);
    let round = |_| {
        let peace = Waits::of(&mut other, time);
        let (over, to) = (AtomicBool::new(false), gate.address());
        let (flooded, connections) = std::thread::scope(|scope| {
            let flooding = scope.spawn(|| flood(to, &bytes, every, &over));
            let flooded = Waits::of(&mut other, time);
            over.store(true, Ordering::SeqCst);
            (flooded, flooding.join().unwrap())
        });
        let ratio = flooded.below(99).as_secs_f64() / peace.below(99).as_secs_f64();
        eprintln!(
            "p50 {:?} and p99 {:?} in peace; {:?} and {:?} while {connections} connections flooded: {ratio:.2}",
            peace.below(50),
            peace.below(99),
            flooded.below(50),
            flooded.below(99),
        );
        assert!(connections > 0);
        ratio
    };
    let mut ratios: Vec<f64> = (0..rounds).map(round).collect();
    ratios.sort_by(f64::total_cmp);
    // A program that was built to be debugged says nothing about how long anything takes.
    if size::is_whole() {
        assert!(ratios[rounds / 2] < 2.0, "{ratios:?}");
    }
    let in_flight = || gate.metric("tidegate_requests_in_flight", &[("service", "shop")]);
    until("nothing is left under way", || (in_flight() == 0.0).then_some(()));
}
