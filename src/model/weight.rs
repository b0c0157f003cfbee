//! Shares of traffic in basis points, and the draws that are compared with them.

use std::fmt;

/// A share of traffic in basis points: 0 is none, 10 000 is all.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Weight(u16);

/// A number of basis points above 10 000.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a weight is at most 100% (10000 basis points), not {0}")]
pub struct WeightError(pub u32);

impl Weight {
    /// No traffic at all.
    pub const NONE: Self = Self(0);
    /// All traffic.
    pub const ALL: Self = Self(10_000);

    /// A weight of so many hundredths of a percent.
    pub fn from_basis_points(basis_points: u32) -> Result<Self, WeightError> {
        match u16::try_from(basis_points) {
            Ok(it) if it <= Self::ALL.0 => Ok(Self(it)),
            _ => Err(WeightError(basis_points)),
        }
    }

    /// Hundredths of a percent, 0 to 10 000.
    pub fn basis_points(self) -> u16 {
        self.0
    }

    /// The share as a number from 0 to 1.
    pub fn ratio(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }

    /// What is left of [`Weight::ALL`].
    pub fn rest(self) -> Self {
        Self(Self::ALL.0 - self.0)
    }

    /// Whether `draw` falls inside this share. `NONE` admits no draw and `ALL` admits every draw.
    pub fn admits(self, draw: Draw) -> bool {
        draw.0 < self.0
    }
}

/// As a percentage without needless digits: `5%`, `0.25%`.
impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match (self.0 / 100, self.0 % 100) {
            (whole, 0) => format!("{whole}%"),
            (whole, part) if part % 10 == 0 => format!("{whole}.{}%", part / 10),
            (whole, part) => format!("{whole}.{part:02}%"),
        };
        f.pad(&text)
    }
}

/// A point among the 10 000 basis points, from 0 to 9 999.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Draw(u16);

impl Draw {
    /// Maps 64 uniform bits onto the 10 000 points by multiplication (Lemire, "Fast random integer
    /// generation in an interval"): no division, and a bias below 2⁻⁵⁰.
    pub fn from_bits(bits: u64) -> Self {
        Self(((u128::from(bits) * 10_000) >> 64) as u16)
    }

    /// The point, 0 to 9 999.
    pub fn basis_points(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_admit_nothing_and_everything() {
        for bits in [0, 1, u64::MAX / 2, u64::MAX] {
            let draw = Draw::from_bits(bits);
            assert!(!Weight::NONE.admits(draw));
            assert!(Weight::ALL.admits(draw));
        }
        assert_eq!(Draw::from_bits(u64::MAX).basis_points(), 9_999);
    }

    #[test]
    fn written_as_percentage() {
        for (points, text) in [(0, "0%"), (25, "0.25%"), (50, "0.5%"), (1, "0.01%"), (10_000, "100%")] {
            assert_eq!(Weight::from_basis_points(points).unwrap().to_string(), text);
        }
        assert_eq!(Weight::from_basis_points(10_001), Err(WeightError(10_001)));
    }
}
