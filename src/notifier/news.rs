//! What is told.

use xxhash_rust::xxh3::xxh3_64;

use crate::model::{Generation, ServiceName, Tally, Timestamp, VersionName, Weight};
use crate::release::{Actor, What};

/// Something that happened to a release.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// Rises with each event.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// The service.
    pub service: ServiceName,
    /// What happened.
    pub what: What,
    /// Who did it.
    pub by: Actor,
    /// The version it is about.
    pub version: VersionName,
    /// The canary's weight before.
    pub from: Weight,
    /// The canary's weight after.
    pub to: Weight,
    /// One sentence for people. It may quote what a backend or a check has said.
    pub text: String,
    /// The configuration that was loaded.
    pub generation: Generation,
    /// What was known when it was decided.
    pub evidence: Option<Evidence>,
}

/// The evidence behind a decision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// The canary's judged responses.
    pub canary: Tally,
    /// Stable's, over the same time.
    pub stable: Tally,
    /// Canary's error rate less stable's, as a share.
    pub difference: Option<f64>,
    /// Where the true difference lies: from here …
    pub low: Option<f64>,
    /// … to here.
    pub high: Option<f64>,
    /// The largest that still counts as fine.
    pub limit: Option<f64>,
}

impl News {
    /// What tells it from all others, of other houses too: the same each time that it is sent.
    pub fn key(&self) -> String {
        let said = format!("{} {} {} {} {}", self.at.0, self.service, self.version, self.what, self.text);
        format!("tg_{}_{:016x}", self.id, xxh3_64(said.as_bytes()))
    }

    /// A template with its words replaced.
    pub fn filled(&self, template: &str) -> String {
        template
            .replace("{service}", self.service.as_str())
            .replace("{version}", self.version.as_str())
            .replace("{event}", self.what.as_str())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A rollback with evidence.
    pub fn rollback(id: u64) -> News {
        News {
            id,
            at: Timestamp(1_767_225_600_125_000),
            service: "shop".parse().unwrap(),
            what: What::RolledBack,
            by: Actor::policy(),
            version: "v42".parse().unwrap(),
            from: Weight::from_basis_points(500).unwrap(),
            to: Weight::NONE,
            text: "canary failed 8 of 160 (5%), stable 0 of 1409 (0%)".into(),
            generation: Generation(3),
            evidence: Some(Evidence {
                canary: Tally { requests: 160, bad: 8 },
                stable: Tally { requests: 1409, bad: 0 },
                difference: Some(0.05),
                low: Some(0.02),
                high: Some(0.09),
                limit: Some(0.001),
            }),
        }
    }

    #[test]
    fn a_key_is_the_same_each_time_and_for_nothing_else() {
        let one = rollback(7);
        assert_eq!(one.key(), rollback(7).key());
        assert!(!one.key().contains('.') && one.key().starts_with("tg_7_"), "{}", one.key());
        let other = News { service: "blog".parse().unwrap(), ..one.clone() };
        assert_ne!(one.key(), other.key());
        assert_eq!(one.filled("https://x/{service}/{version}#{event}"), "https://x/shop/v42#rolled_back");
    }
}
