//! How much traffic it takes to find a difference: a forecast for people, before a release begins. It
//! decides nothing.

use super::policy::Tolerance;

/// Canary responses until a canary that fails with `canary` beside a stable version that fails with
/// `stable` is found worse, in the middle of all cases; `None` when it is within the tolerance and never
/// found. `weight` is the canary's share and `false_rollback` the allowed chance of a mistake.
pub fn responses_until_found(
    stable: f64,
    canary: f64,
    weight: f64,
    tolerance: Tolerance,
    false_rollback: f64,
) -> Option<f64> {
    if canary <= stable + margin(stable, tolerance) || weight <= 0.0 {
        return None;
    }
    let others = (1.0 - weight) / weight;
    // The healthy pair that looks most like this one: what the test has to argue against.
    let information =
        |rate: f64| divergence(canary, rate + margin(rate, tolerance)) + others * divergence(stable, rate);
    let (mut low, mut high) = (stable.max(RATE_MIN), canary);
    for _ in 0..BISECTIONS {
        let (left, right) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
        if information(left) < information(right) {
            high = right;
        } else {
            low = left;
        }
    }
    let information = information(f64::midpoint(low, high));
    let evidence = (1.0 / (false_rollback * ERRORS_SHARE)).ln() + 11f64.ln() + 2f64.ln();
    (information > 0.0).then(|| CLUSTERS_COST * evidence / information)
}

/// The smallest difference that is found in the middle of all cases within so many canary responses, as
/// a share; `None` when not even a dead canary is.
pub fn smallest_found(
    stable: f64,
    weight: f64,
    responses: f64,
    tolerance: Tolerance,
    false_rollback: f64,
) -> Option<f64> {
    let found = |worse: f64| {
        responses_until_found(stable, f64::min(stable + worse, 1.0), weight, tolerance, false_rollback)
            .is_some_and(|it| it <= responses)
    };
    let (mut low, mut high) = (0.0, 1.0 - stable);
    if !found(high) {
        return None;
    }
    for _ in 0..BISECTIONS {
        let middle = f64::midpoint(low, high);
        if found(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

fn margin(rate: f64, tolerance: Tolerance) -> f64 {
    f64::max(tolerance.absolute, tolerance.relative * rate)
}

/// What one response says for `truth` and against `claim`, in nats.
fn divergence(truth: f64, claim: f64) -> f64 {
    let term = |a: f64, b: f64| if a > 0.0 { a * (a / b.max(f64::MIN_POSITIVE)).ln() } else { 0.0 };
    term(truth, claim.min(1.0)) + term(1.0 - truth, 1.0 - claim.min(1.0))
}

/// The part of the allowed chance of a mistake that the comparison of error rates has.
const ERRORS_SHARE: f64 = 0.5;
/// That no client alone decides costs about a quarter more.
const CLUSTERS_COST: f64 = 1.25;
/// A rate of exactly zero has no logarithm.
const RATE_MIN: f64 = 1e-9;
const BISECTIONS: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the design, which is without the cost of clusters.
    #[test]
    fn forecasts_agree_with_the_table() {
        for (stable, worse, expected) in [
            (0.0001, 0.005, 3_500.0),
            (0.001, 0.005, 5_500.0),
            (0.001, 0.01, 1_500.0),
            (0.001, 0.05, 150.0),
            (0.01, 0.005, 22_000.0),
            (0.01, 0.01, 4_900.0),
            (0.01, 0.1, 100.0),
        ] {
            let found = responses_until_found(stable, stable + worse, 0.1, Tolerance::default(), 1e-4);
            let found = found.unwrap() / CLUSTERS_COST;
            assert!((found / expected - 1.0).abs() < 0.1, "{stable} {worse}: {found} {expected}");
        }
    }

    #[test]
    fn what_is_tolerated_is_never_found() {
        assert_eq!(responses_until_found(0.001, 0.002, 0.1, Tolerance::default(), 1e-4), None);
        assert_eq!(responses_until_found(0.1, 0.105, 0.1, Tolerance::default(), 1e-4), None);
    }

    #[test]
    fn the_smallest_difference_shrinks_with_traffic() {
        let found = |responses| smallest_found(0.001, 0.1, responses, Tolerance::default(), 1e-4);
        assert_eq!(found(1.0), None);
        let (few, many) = (found(300.0).unwrap(), found(30_000.0).unwrap());
        assert!(many < few && many > 0.001, "{few} {many}");
    }
}
