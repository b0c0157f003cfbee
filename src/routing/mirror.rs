//! Copies of requests for a version that answers nobody, as the file describes them.

use crate::model::{Draw, Weight};

use super::table::VersionIndex;

/// Which requests a version gets a copy of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mirror {
    /// The version that gets them.
    pub to: VersionIndex,
    /// The share of the requests that are copied.
    pub sample: Weight,
    /// Their methods.
    pub methods: Vec<String>,
    /// Largest body in bytes that is copied; a request with more is not.
    pub body: usize,
    /// Whether cookies and credentials go along.
    pub credentials: bool,
}

impl Mirror {
    /// Largest body that can be copied.
    pub const BODY_MAX: usize = 64 * 1024;

    /// Whether a request with this `method`, that goes to this `version`, is copied.
    pub fn takes(&self, method: &str, version: VersionIndex, bits: impl FnOnce() -> u64) -> bool {
        version != self.to
            && self.methods.iter().any(|it| it == method)
            && self.sample.admits(Draw::from_bits(bits()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_gets_its_share_and_never_a_copy_of_its_own() {
        let sample = Weight::from_basis_points(2_500).unwrap();
        let methods = vec!["GET".to_owned()];
        let it = Mirror { to: VersionIndex(1), sample, methods, body: 0, credentials: true };
        let taken = |method, version| {
            (0..10_000u64)
                .filter(|at| it.takes(method, VersionIndex(version), || at * (u64::MAX / 10_000)))
                .count()
        };
        assert!(taken("GET", 0) > 2_000 && taken("GET", 0) < 3_000, "{}", taken("GET", 0));
        assert_eq!((taken("GET", 1), taken("POST", 0), taken("get", 0)), (0, 0, 0));
    }
}
