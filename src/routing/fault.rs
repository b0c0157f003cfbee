//! Failures on purpose, so that operators can rehearse a rollback before they need one.

use std::time::Duration;

use crate::model::{Draw, VersionName, Weight};

/// What is made to fail on a route, and how often.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The version takes so much longer for this share of the requests.
    pub delay: Option<(Duration, Weight)>,
    /// The version answers this share of the requests with this status.
    pub abort: Option<(u16, Weight)>,
    /// The version that seems to fail; `None` is every one.
    pub to: Option<VersionName>,
}

/// What befalls one request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Injected {
    /// How much longer its version takes.
    pub delay: Option<Duration>,
    /// What its version answers.
    pub abort: Option<u16>,
}

impl Fault {
    /// What befalls a request to `version`. `bits` are 64 uniform random bits, asked for once for each of
    /// the two, so that they meet independently.
    pub fn draw(&self, version: &VersionName, mut bits: impl FnMut() -> u64) -> Injected {
        if self.to.as_ref().is_some_and(|it| it != version) {
            return Injected::default();
        }
        let mut falls = |share: Weight| share.admits(Draw::from_bits(bits()));
        Injected {
            delay: self.delay.filter(|it| falls(it.1)).map(|it| it.0),
            abort: self.abort.filter(|it| falls(it.1)).map(|it| it.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_named_version_suffers() {
        let (v1, v2): (VersionName, VersionName) = ("v1".parse().unwrap(), "v2".parse().unwrap());
        let half = Weight::from_basis_points(5_000).unwrap();
        let delay = Duration::from_secs(1);
        let fault =
            Fault { delay: Some((delay, Weight::ALL)), abort: Some((503, half)), to: Some(v2.clone()) };
        assert_eq!(fault.draw(&v1, || 0), Injected::default());
        assert_eq!(fault.draw(&v2, || 0), Injected { delay: Some(delay), abort: Some(503) });
        assert_eq!(fault.draw(&v2, || u64::MAX), Injected { delay: Some(delay), abort: None });
        let any = Fault { to: None, ..fault };
        assert_eq!(any.draw(&v1, || 0).abort, Some(503));
    }
}
