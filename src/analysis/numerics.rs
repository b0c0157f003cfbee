//! Sums of exponentials and the gamma function, in logarithms.
//!
//! Evidence spans hundreds of orders of magnitude, so it is never held as a plain number.

/// `ln(eˣ + eʸ)` without overflow.
pub(super) fn log_add_exp(x: f64, y: f64) -> f64 {
    let (large, small) = if x < y { (y, x) } else { (x, y) };
    if small == f64::NEG_INFINITY { large } else { large + (small - large).exp().ln_1p() }
}

/// `ln Σ eˣ` without overflow.
pub(super) fn log_sum_exp(terms: &[f64]) -> f64 {
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest + terms.iter().map(|it| (it - largest).exp()).sum::<f64>().ln()
}

/// `ln B(a, b)` for positive arguments.
pub(super) fn log_beta(a: f64, b: f64) -> f64 {
    log_gamma(a) + log_gamma(b) - log_gamma(a + b)
}

/// `ln Γ(x)` for positive `x`: Stirling's series, after the recurrence has brought `x` to where eight
/// terms are exact to the last bits of a double.
fn log_gamma(x: f64) -> f64 {
    let (mut x, mut product) = (x, 1.0);
    while x < SERIES_FROM {
        product *= x;
        x += 1.0;
    }
    let square = (x * x).recip();
    let series = SERIES.iter().rev().fold(0.0, |sum, it| sum * square + it) / x;
    (x - 0.5) * x.ln() - x + HALF_LN_TAU + series - f64::ln(product)
}

/// Below this the truncated series would lose digits.
const SERIES_FROM: f64 = 12.0;

/// `ln(2π) / 2`.
const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;

/// Bernoulli numbers over `2n(2n−1)`.
const SERIES: [f64; 8] = [
    1.0 / 12.0,
    -1.0 / 360.0,
    1.0 / 1_260.0,
    -1.0 / 1_680.0,
    1.0 / 1_188.0,
    -691.0 / 360_360.0,
    1.0 / 156.0,
    -3_617.0 / 122_400.0,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gamma_of_halves_and_factorials() {
        let ln_pi = std::f64::consts::PI.ln();
        for (x, expected) in [
            (0.5, ln_pi / 2.0),
            (1.0, 0.0),
            (1.5, ln_pi / 2.0 - 2f64.ln()),
            (5.0, 24f64.ln()),
            (11.0, 3_628_800f64.ln()),
            (21.0, 2_432_902_008_176_640_000f64.ln()),
        ] {
            let got = log_gamma(x);
            assert!((got - expected).abs() < 1e-13 * expected.abs().max(1.0), "{x}: {got} {expected}");
        }
    }

    #[test]
    fn sums_keep_what_plain_numbers_lose() {
        assert_eq!(log_add_exp(f64::NEG_INFINITY, 3.0), 3.0);
        assert_eq!(log_add_exp(-2_000.0, -2_000.0), -2_000.0 + 2f64.ln());
        assert!((log_sum_exp(&[900.0, 900.0, -900.0]) - (900.0 + 2f64.ln())).abs() < 1e-12);
        assert_eq!(log_sum_exp(&[f64::NEG_INFINITY]), f64::NEG_INFINITY);
    }
}
