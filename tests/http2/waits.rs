//! How long others wait while somebody misbehaves, and how long in peace.

use std::time::{Duration, Instant};

use super::support::frames::{Frames, GET, WHOLE, block, frame, kind};
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

/// The one in the middle.
fn median<T: Copy + PartialOrd>(all: impl Iterator<Item = T>) -> T {
    let mut all: Vec<T> = all.collect();
    all.sort_by(|one, other| one.partial_cmp(other).expect("numbers"));
    all[all.len() / 2]
}

/// Row b02: ten times a second a connection floods with a hundred thousand requests and their resets. Of another
/// client's answers by the one worker that there is, 99 of 100 take less than twice as long as in peace.
///
/// Peace and floods take short turns, and each is held against the one beside it: whatever else the machine does
/// falls on both.
#[test]
fn others_wait_no_longer_while_resets_flood() {
    let upstream = Upstream::quick("fine");
    let gate = Setup::to(&upstream).listener("h2c: true, limits: {requests: 1000000}").start();
    let (rounds, resets) = size::of((3, 2_000), (51, 100_000_u32));
    let turn = Duration::from_millis(100);
    let mut bytes = Vec::new();
    for number in 0..resets {
        bytes.extend(frame(kind::HEADERS, WHOLE, number * 2 + 1, &block(&GET)));
        bytes.extend(frame(kind::RST_STREAM, 0, number * 2 + 1, &8_u32.to_be_bytes()));
    }
    let (mut other, to) = (gate.connect(), gate.address());
    Waits::of(&mut other, turn);
    let round = |_| {
        let peace = Waits::of(&mut other, turn);
        let flooded = std::thread::scope(|scope| {
            let flood = scope.spawn(|| Frames::connect(to).bytes(&bytes).end());
            let flooded = Waits::of(&mut other, turn);
            let came = flood.join().unwrap();
            assert!(came.goaway.is_none_or(|it| it == super::hostile::CALM), "{came:?}");
            flooded
        });
        (peace, flooded)
    };
    let rounds: Vec<(Waits, Waits)> = (0..rounds).map(round).collect();
    let ratio = |it: &(Waits, Waits)| it.1.below(99).as_secs_f64() / it.0.below(99).as_secs_f64();
    let ratio = median(rounds.iter().map(ratio));
    for percent in [50, 99] {
        let peace = median(rounds.iter().map(|it| it.0.below(percent)));
        let flooded = median(rounds.iter().map(|it| it.1.below(percent)));
        eprintln!("p{percent} {peace:?} in peace, {flooded:?} during floods");
    }
    eprintln!("p99 of a flood by that of the peace before it: {ratio:.2}");
    // A program that was built to be debugged says nothing about how long anything takes.
    assert!(ratio < 2.0 || !size::is_whole(), "{ratio}");
    let in_flight = || gate.metric("tidegate_requests_in_flight", &[("service", "shop")]);
    until("nothing is left under way", || (in_flight() == 0.0).then_some(()));
}
