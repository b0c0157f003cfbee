//! Why a service gives a request the version that it does: the same answer as [`Service::assign`], with its
//! reason. For people, not for requests.

use crate::model::Weight;

use super::matcher::HeaderLookup;
use super::table::{Service, VersionIndex};

/// The version of a request, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Choice {
    /// The version; `None` where chance decides.
    pub version: Option<VersionIndex>,
    /// Why that one.
    pub reason: Reason,
    /// Whether the request is held for or against the version.
    pub judged: bool,
}

/// Why a version is chosen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reason {
    /// A tester asks for what is being released.
    Preview,
    /// The pin of this number, from 0.
    Pin(usize),
    /// Nobody else has a share.
    Alone,
    /// The caller's unit falls on this point, which lies in the stretch of the version.
    Unit {
        /// From 0 to 9 999.
        point: u16,
        /// The first of the version's points, and the one after the last.
        stretch: (u16, u16),
    },
    /// Each request is drawn, with these shares.
    Chance(Vec<(VersionIndex, Weight)>),
}

impl Service {
    /// The version for a request of the caller with this unit, and why.
    pub fn choice(&self, host: &str, header: HeaderLookup<'_>, unit: Option<&[u8]>) -> Choice {
        let tester = self.spec.preview.as_ref().is_some_and(|it| it.holds(host, header));
        if let Some(version) = self.preview.filter(|_| tester) {
            return Choice { version: Some(version), reason: Reason::Preview, judged: false };
        }
        let pinned = self.spec.pins.iter().position(|pin| pin.when.iter().all(|it| it.holds(header)));
        if let Some(number) = pinned {
            let version = Some(self.spec.pins[number].to);
            return Choice { version, reason: Reason::Pin(number), judged: false };
        }
        let judged = !tester;
        match unit {
            _ if !self.split.is_shared() => {
                Choice { version: Some(self.split.drawn(0)), reason: Reason::Alone, judged }
            }
            Some(unit) if self.spec.sticky.is_some() => {
                let version = self.split.keyed(unit);
                let reason =
                    Reason::Unit { point: self.split.point(unit), stretch: self.split.stretch(version) };
                Choice { version: Some(version), reason, judged }
            }
            _ => Choice { version: None, reason: Reason::Chance(self.shares()), judged },
        }
    }

    /// Who has how much; versions without a share are left out.
    pub fn shares(&self) -> Vec<(VersionIndex, Weight)> {
        let all = (0..self.spec.versions.len()).map(VersionIndex);
        all.map(|it| (it, self.split.weight(it))).filter(|it| it.1 > Weight::NONE).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Split;
    use super::*;
    use crate::model::Salt;

    proptest! {
        #[test]
        fn the_stretch_holds_the_point(a in 0_u32..6_000, b in 0_u32..4_000, salt: u64, unit: [u8; 8]) {
            let weight = |it| Weight::from_basis_points(it).unwrap();
            let arms = [(VersionIndex(0), weight(a)), (VersionIndex(1), weight(b))];
            let split = Split::new(&arms, VersionIndex(2), Salt(salt)).unwrap();
            let (first, end) = split.stretch(split.keyed(&unit));
            let point = split.point(&unit);
            prop_assert!(first <= point && point < end, "{point} in {first}..{end}");
        }
    }
}
