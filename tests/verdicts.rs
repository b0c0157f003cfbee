//! What only whole simulated releases can show: how soon a bad canary is found at irregular ticks, and
//! that a healthy one is left alone. `benches/verdicts.rs` plays more and longer ones.

#[path = "verdicts/pinned.rs"]
mod pinned;
#[path = "verdicts/simulator.rs"]
mod simulator;

use pinned::{Failing, Pinned, judge};
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

#[test]
fn pinned_sessions_that_fail_together_roll_nothing_back() {
    let mut fooled = 0;
    for seed in 1..=SEEDS {
        let mut service = Pinned::new(Failing::Sessions, seed);
        let (history, clustering) = service.before();
        assert!(
            clustering.known && (10.0..60.0).contains(&clustering.dispersion),
            "seed {seed}: {clustering:?}"
        );
        let (rolled_back, _) = service.release(judge(history).clustered(Some(clustering)), 0.0, 600);
        assert_eq!(rolled_back, None, "seed {seed}: a healthy canary");
        let (rolled_back, _) = service.release(judge(history).clustered(Some(clustering)), 0.5, 60);
        assert!(rolled_back.is_some_and(|it| it < 10.0), "seed {seed}, 50 points worse: {rolled_back:?}");
        let (rolled_back, _) = service.release(judge(history).clustered(Some(clustering)), 1.0, 60);
        assert!(rolled_back.is_some_and(|it| it < 1.0), "seed {seed}, dead: {rolled_back:?}");
        fooled += u64::from(service.release(judge(history), 0.0, 600).0.is_some());
    }
    assert!(fooled > 0, "the scenario is no trap");
}

#[test]
fn pinned_callers_who_always_fail_widen_the_margin() {
    for seed in 1..=SEEDS {
        let mut service = Pinned::new(Failing::Callers, seed);
        let (history, clustering) = service.before();
        assert!(clustering.known && clustering.spread > 0.001, "seed {seed}: {clustering:?}");
        let (rolled_back, evidence) = service.release(judge(history).clustered(Some(clustering)), 0.0, 300);
        assert_eq!(rolled_back, None, "seed {seed}: a healthy canary");
        let margin = evidence.guards[0].limit;
        assert!((0.003..0.03).contains(&margin), "seed {seed}: margin {margin}");
        let (rolled_back, _) = service.release(judge(history).clustered(Some(clustering)), 1.0, 60);
        assert!(rolled_back.is_some_and(|it| it < 1.0), "seed {seed}, dead: {rolled_back:?}");
    }
}

/// Releases of each kind; more take long without optimisation.
const SEEDS: u64 = 3;
