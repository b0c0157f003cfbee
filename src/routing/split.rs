//! The split: which version a request is given, decided once and kept.
//!
//! The 10 000 basis points are a line; each version owns a stretch of it as long as its weight. A
//! request is a point on that line: by the hash of its unit, or by chance. The line has no gaps, so a
//! version with weight 0 gets nothing and one with 100 % gets everything, exactly.
//!
//! Not here: where units come from ([`super::unit`]), pins ([`super::Service::assign`]), and who sets
//! the weights.

use crate::model::{Draw, Salt, Weight, draw_of_unit};

use super::table::VersionIndex;

/// Shares of a service's versions. The shares add up to 10 000 basis points.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Split {
    arms: Vec<Arm>,
    rest: VersionIndex,
    salt: Salt,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Arm {
    version: VersionIndex,
    weight: Weight,
    /// Draws below this point, and not below the arm before, are this arm's.
    end: u16,
}

/// The version for one request, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Assignment {
    /// The version.
    pub version: VersionIndex,
    /// Whether the split chose it: only then does the request count as evidence.
    pub judged: bool,
}

impl Split {
    /// Everything to one version.
    pub fn all(version: VersionIndex) -> Self {
        Self { arms: Vec::new(), rest: version, salt: Salt::default() }
    }

    /// `arms` get their weights, `rest` gets what is left. `None` when the weights exceed 100 % or a
    /// version is named twice.
    ///
    /// The arms take the lowest draws in their order, so raising the first arm's weight only adds
    /// units to it, and lowering it only takes units away.
    pub fn new(arms: &[(VersionIndex, Weight)], rest: VersionIndex, salt: Salt) -> Option<Self> {
        let mut end = 0u16;
        let mut made: Vec<Arm> = Vec::with_capacity(arms.len());
        for &(version, weight) in arms {
            end = end.checked_add(weight.basis_points()).filter(|it| *it <= Weight::ALL.basis_points())?;
            if version == rest || made.iter().any(|it| it.version == version) {
                return None;
            }
            made.push(Arm { version, weight, end });
        }
        Some(Self { arms: made, rest, salt })
    }

    /// The version for a caller with this identity.
    pub fn keyed(&self, unit: &[u8]) -> VersionIndex {
        self.at(draw_of_unit(self.salt, unit))
    }

    /// The version for 64 random bits.
    pub fn drawn(&self, bits: u64) -> VersionIndex {
        self.at(Draw::from_bits(bits))
    }

    /// The weight of a version.
    pub fn weight(&self, version: VersionIndex) -> Weight {
        if version == self.rest {
            let used: u16 = self.arms.iter().map(|it| it.weight.basis_points()).sum();
            return Weight::from_basis_points(u32::from(used)).map(Weight::rest).unwrap_or(Weight::NONE);
        }
        self.arms.iter().find(|it| it.version == version).map_or(Weight::NONE, |it| it.weight)
    }

    /// Where a caller with this identity falls among the 10 000 points.
    pub fn point(&self, unit: &[u8]) -> u16 {
        draw_of_unit(self.salt, unit).basis_points()
    }

    /// The points of a version: the first, and the one after the last.
    pub fn stretch(&self, version: VersionIndex) -> (u16, u16) {
        let of_arm = |it: &Arm| (it.end - it.weight.basis_points(), it.end);
        let last = self.arms.last().map_or(0, |it| it.end);
        let rest = (last, Weight::ALL.basis_points());
        self.arms.iter().find(|it| it.version == version).map_or(rest, of_arm)
    }

    /// The version that has what the others leave.
    pub fn rest(&self) -> VersionIndex {
        self.rest
    }

    /// Whether this version takes part, be it with a weight of 0.
    pub fn names(&self, version: VersionIndex) -> bool {
        version == self.rest || self.arms.iter().any(|it| it.version == version)
    }

    /// Whether more than one version takes part, so that a draw is needed at all.
    pub fn is_shared(&self) -> bool {
        let rest = self.weight(self.rest);
        let weights = self.arms.iter().map(|it| it.weight).chain([rest]);
        weights.filter(|it| *it > Weight::NONE).count() > 1
    }

    fn at(&self, draw: Draw) -> VersionIndex {
        let point = draw.basis_points();
        self.arms.iter().find(|it| point < it.end).map_or(self.rest, |it| it.version)
    }
}

#[cfg(test)]
mod tests;
