//! Chance that comes again, as a simulated release has it.

use crate::model::Seeded;

/// Draws that follow from a seed.
#[derive(Clone, Debug)]
pub struct Chance(Seeded);

impl Chance {
    /// The draws of run number `run` under `seed`. Runs of one seed have nothing in common.
    pub fn of(seed: u64, run: u64) -> Self {
        let first = Seeded::new(seed).next();
        Self(Seeded::new(first ^ run.wrapping_mul(0xd134_2543_de82_ef95)))
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0.next()
    }

    /// From 0 up to, but not including, 1.
    pub fn unit(&mut self) -> f64 {
        self.0.unit()
    }

    /// From the standard normal distribution (Box and Muller, 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// How many of events that come by themselves fall into a span in which `mean` are expected.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        // Products of many draws vanish; parts of a Poisson number are Poisson numbers.
        let (mut left, mut sum) = (mean, 0);
        while left > PART {
            sum += self.poisson_small(PART);
            left -= PART;
        }
        sum + self.poisson_small(left)
    }

    fn poisson_small(&mut self, mean: f64) -> u64 {
        let limit = (-mean).exp();
        let (mut product, mut count) = (self.unit(), 0);
        while product > limit {
            product *= self.unit();
            count += 1;
        }
        count
    }
}

const PART: f64 = 30.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_the_mean_and_the_spread_that_they_should() {
        let mut chance = Chance::of(7, 0);
        for mean in [0.05, 3.0, 80.0] {
            let counts: Vec<f64> = (0..40_000).map(|_| chance.poisson(mean) as f64).collect();
            let found = counts.iter().sum::<f64>() / 40_000.0;
            let spread = counts.iter().map(|it| (it - found).powi(2)).sum::<f64>() / 40_000.0;
            assert!((found / mean - 1.0).abs() < 0.1 && (spread / mean - 1.0).abs() < 0.15, "{mean} {found}");
        }
    }

    #[test]
    fn runs_differ_and_come_again() {
        assert_eq!(Chance::of(1, 2).next(), Chance::of(1, 2).next());
        assert_ne!(Chance::of(1, 2).next(), Chance::of(1, 3).next());
        assert_ne!(Chance::of(1, 2).next(), Chance::of(2, 2).next());
    }
}
