//! What only whole simulated releases can show: how soon a bad canary is found at irregular ticks, and
//! that a healthy one is left alone. `benches/verdicts.rs` plays more and longer ones.

#[path = "verdicts/simulator.rs"]
mod simulator;

use simulator::{Scenario, USUAL, medians};

#[test]
fn a_dead_canary_is_found_at_once() {
    let (seconds, failures, missed) = medians(Scenario { canary: 1.0, seconds: 60.0, ..USUAL }, 100);
    assert!(
        missed == 0 && seconds <= 0.2 && failures <= 20,
        "{seconds} s, {failures} failures, {missed} missed"
    );
}

#[test]
fn fifty_points_more_are_found_at_once() {
    let (seconds, failures, missed) = medians(Scenario { canary: 0.501, seconds: 60.0, ..USUAL }, 100);
    assert!(missed == 0 && seconds <= 0.2 * 1.15, "{seconds} s, {failures} failures, {missed} missed");
}

#[test]
fn five_points_more_are_found_in_two_seconds() {
    let (seconds, failures, missed) = medians(Scenario { canary: 0.051, seconds: 60.0, ..USUAL }, 100);
    assert!(missed == 0 && seconds <= 1.9 * 1.15, "{seconds} s, {failures} failures, {missed} missed");
}

#[test]
fn healthy_hours_are_left_alone() {
    for (seed, stable) in [(1, 0.001), (2, 0.01), (3, 0.2)] {
        // Fewer requests and coarser ticks than usual: many hours in little time.
        let hours =
            Scenario { rate: 50.0, stable, canary: stable, tick: 4.0, seconds: 4.0 * 3_600.0, ..USUAL };
        assert!(Scenario { wake: None, ..hours }.run(seed).is_none(), "seed {seed}, rate {stable}");
    }
}
