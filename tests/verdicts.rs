//! What only whole simulated releases can show: how soon a bad canary is found at irregular ticks, and
//! that a healthy one is left alone. `benches/verdicts.rs` plays more and longer ones.

#[path = "verdicts/pinned.rs"]
mod pinned;
#[path = "verdicts/simulator.rs"]
mod simulator;
#[path = "verdicts/slow.rs"]
mod slow;

use std::time::Duration;

use tidegate::analysis::{Breach, Doubt, Verdict};

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

/// Half of everything fails and nearly everything is slow, for both versions alike.
#[test]
fn a_shared_outage_holds_with_every_guard_on() {
    let down = slow::Lane { fails: 0.5, above_p95: 0.9, above_p99: 0.8 };
    for seed in 1..=SEEDS {
        let outage = |at: f64| match at {
            30.0..90.0 => slow::Now { canary: down, stable: down, ..slow::USUAL },
            _ => slow::USUAL,
        };
        let (rolled_back, verdict) = slow::play(seed, TICK, 850, outage);
        assert_eq!(rolled_back, None, "seed {seed}");
        assert!(matches!(verdict, Verdict::Unsure(Doubt::SharedCause { .. })), "seed {seed}: {verdict}");
        // The same of the canary alone is no shared cause.
        let alone = |at: f64| slow::Now { stable: slow::FINE, ..outage(at) };
        let (rolled_back, _) = slow::play(seed, TICK, 850, alone);
        assert!(rolled_back.is_some_and(|it| (30.0..32.0).contains(&it)), "seed {seed}: {rolled_back:?}");
    }
}

#[test]
fn one_looping_client_that_is_slow_and_fails_decides_nothing() {
    for seed in 1..=SEEDS {
        let looping = |many| {
            move |at: f64| {
                let looping = if (10.0..70.0).contains(&at) { 5 } else { 0 };
                slow::Now { looping, many, ..slow::USUAL }
            }
        };
        let (rolled_back, verdict) = slow::play(seed, TICK, 800, looping(false));
        assert_eq!(rolled_back, None, "seed {seed}: {verdict}");
        let (rolled_back, _) = slow::play(seed, TICK, 800, looping(true));
        assert!(rolled_back.is_some_and(|it| it < 15.0), "seed {seed}, many clients: {rolled_back:?}");
    }
}

/// Half an hour is fine, then it gets worse a little every minute.
#[test]
fn a_late_slow_leak_is_found() {
    let grown = |at: f64| ((at - 1_800.0) / 1_800.0).max(0.0);
    for seed in 1..=SEEDS {
        let failing = |at: f64| slow::Lane { fails: 0.001 + 0.02 * grown(at), ..slow::FINE };
        let leak = |at: f64| slow::Now { canary: failing(at), ..slow::USUAL };
        let (rolled_back, verdict) = slow::play(seed, 10 * TICK, 3_600, leak);
        assert!(matches!(verdict, Verdict::Worse(Breach::Relative { .. })), "seed {seed}: {verdict}");
        assert!(
            rolled_back.is_some_and(|it| (1_800.0..3_000.0).contains(&it)),
            "seed {seed}: {rolled_back:?}"
        );

        let slower = |at: f64| slow::Lane { above_p95: 0.05 + 0.2 * grown(at), ..slow::FINE };
        let leak = |at: f64| slow::Now { canary: slower(at), ..slow::USUAL };
        let (rolled_back, verdict) = slow::play(seed, 10 * TICK, 3_600, leak);
        assert!(matches!(verdict, Verdict::Worse(Breach::Slower { .. })), "seed {seed}: {verdict}");
        assert!(
            rolled_back.is_some_and(|it| (1_800.0..3_000.0).contains(&it)),
            "seed {seed}: {rolled_back:?}"
        );
    }
}

const TICK: Duration = Duration::from_millis(100);

/// Releases of each kind; more take long without optimisation.
const SEEDS: u64 = 3;
