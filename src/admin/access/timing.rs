//! Whether the time that a wrong token takes tells how much of it is right.
//!
//! Two kinds of wrong tokens are shown in a random order: one is wrong in its first character, the other only in
//! its last. Times are compared by their ranks (Mann and Whitney): what else the machine does comes between both
//! kinds alike, and one sample that took a thousand times as long counts no more than one that was a little late.
//! That this would see a comparison that stops at the first difference is shown in the same way each time.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::tests::{ANN, NOW};
use super::*;

/// Names, in their order, of what is wrong.
const KINDS: [&[u8; 32]; 2] = [b"x123456789abcdef0123456789abcdef", b"0123456789abcdef0123456789abcdex"];

#[test]
fn how_long_a_wrong_token_takes_tells_nothing_of_the_right_one() {
    let known =
        Known { name: "ann".into(), role: Role::Admin, hash: TokenHash::of(ANN.as_bytes()), expires: None };
    let access = Access { tokens: vec![known], ..Access::default() };
    let headers = |kind: usize| {
        let value = [BEARER, KINDS[kind]].concat();
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_bytes(&value).unwrap())])
    };
    let found = slopes(100_000, headers, |it| shown(it).and_then(|it| access.holder(it, NOW)).is_some());
    assert!(!is_slope(&found), "a token that is right for longer takes another time: {found:?}");
}

/// Even if somebody found texts whose hashes begin as the right one does.
#[test]
fn how_long_a_wrong_hash_takes_tells_nothing_of_the_right_one() {
    let (right, wrong) = (hash(ANN.as_bytes()), KINDS.map(|it| hash(it)));
    let found = slopes(350_000, |kind| wrong[kind], |it| *it == right);
    assert!(!is_slope(&found), "a hash that is right for longer takes another time: {found:?}");
}

#[test]
fn a_comparison_that_stops_at_the_first_difference_would_be_seen() {
    let right: [u8; 32] = ANN.as_bytes().try_into().unwrap();
    let found =
        slopes(100_000, |kind| *KINDS[kind], |it| it.iter().zip(&right).all(|(one, other)| one == other));
    assert!(is_slope(&found) && found.iter().all(|it| *it > 0.0), "{found:?}");
    // Nothing is found where there is nothing: both kinds are the same.
    let found = slopes(100_000, |_| right, |it| it.iter().zip(&right).all(|(one, other)| one == other));
    assert!(!is_slope(&found), "{found:?}");
}

/// A hash that is these bytes, as a file may write it.
fn hash(bytes: &[u8]) -> TokenHash {
    let digits: String = bytes.iter().map(|it| format!("{it:02x}")).collect();
    TokenHash::parse(&format!("sha256:{digits}")).unwrap()
}

/// Whether it takes longer in every round, or shorter in every round, and not by chance.
fn is_slope(rounds: &[f64]) -> bool {
    rounds.iter().all(|it| *it > CHANCE_MAX) || rounds.iter().all(|it| *it < -CHANCE_MAX)
}

/// By how many standard deviations the second kind takes longer than the first, in each of some rounds.
fn slopes<T>(samples: usize, make: impl Fn(usize) -> T, asked: impl Fn(&T) -> bool) -> Vec<f64> {
    let mut chance = 0x9E37_79B9_7F4A_7C15_u64;
    let rounds = (0..ROUNDS).map(|_| {
        let begun = now();
        let mut times: [Vec<Duration>; 2] = Default::default();
        for _ in 0..samples {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let kind = (chance >> 63) as usize;
            // Made anew in the same way for both, so that neither lies warmer than the other.
            let shown = make(black_box(kind));
            let at = now();
            black_box(asked(black_box(&shown)));
            times[kind].push(at.elapsed());
            if begun.elapsed() > ROUND_MAX {
                break;
            }
        }
        distance(&times)
    });
    rounds.collect()
}

/// The statistic of Mann and Whitney in its own standard deviations, with the correction for equal times: a clock
/// that ticks coarsely gives many of those.
fn distance([first, second]: &[Vec<Duration>; 2]) -> f64 {
    let mut all: Vec<(Duration, bool)> = first.iter().map(|it| (*it, false)).collect();
    all.extend(second.iter().map(|it| (*it, true)));
    all.sort_unstable();
    let (mut ranks, mut ties, mut before) = (0.0, 0.0, 0.0);
    for equal in all.chunk_by(|one, other| one.0 == other.0) {
        let count = equal.len() as f64;
        let seconds = equal.iter().filter(|it| it.1).count() as f64;
        ranks += seconds * (before + (count + 1.0) / 2.0);
        ties += count * count * count - count;
        before += count;
    }
    let (n, m) = (first.len() as f64, second.len() as f64);
    let total = n + m;
    let above = ranks - m * (m + 1.0) / 2.0 - n * m / 2.0;
    let variance = n * m / 12.0 * ((total + 1.0) - ties / (total * (total - 1.0)));
    if variance > 0.0 { above / variance.sqrt() } else { 0.0 }
}

#[expect(clippy::disallowed_methods, reason = "what is looked for is in real time alone")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn the_statistic_is_the_one_of_the_textbook() {
    let times = |it: &[u64]| it.iter().map(|it| Duration::from_nanos(*it)).collect::<Vec<_>>();
    let of = |first: &[u64], second: &[u64]| distance(&[times(first), times(second)]);
    // U is 8 of 9, its mean 4.5 and its variance 3 * 3 * 7 / 12.
    assert!((of(&[1, 2, 4], &[3, 5, 6]) - 3.5 / 5.25_f64.sqrt()).abs() < 1e-12);
    assert!((of(&[3, 5, 6], &[1, 2, 4]) + 3.5 / 5.25_f64.sqrt()).abs() < 1e-12);
    assert_eq!((of(&[7, 7], &[7, 7]), of(&[1, 9], &[1, 9])), (0.0, 0.0));
}

/// Each is enough by itself; that something beside us fits to the order of the kinds does not happen in all.
const ROUNDS: usize = 3;
/// Chance gets there once in 10^23 times.
const CHANCE_MAX: f64 = 10.0;
/// Longest time of a round. What there is by then is what is judged.
const ROUND_MAX: Duration = Duration::from_secs(3);
