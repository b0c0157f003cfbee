//! How a piece of news is known outside, and what a target's own texts make of it.

use xxhash_rust::xxh3::xxh3_64;

use crate::release::News;

/// What tells it from all others, of other houses too: the same each time that it is sent.
pub(super) fn key(it: &News) -> String {
    let said = format!("{} {} {} {} {}", it.at.0, it.service, it.version, it.what, it.text);
    format!("tg_{}_{:016x}", it.id, xxh3_64(said.as_bytes()))
}

/// A template with its words replaced.
pub(super) fn filled(template: &str, it: &News) -> String {
    template
        .replace("{service}", it.service.as_str())
        .replace("{version}", it.version.as_str())
        .replace("{event}", it.what.as_str())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::{EvidenceLine, Generation, Tally, Timestamp, Weight};
    use crate::release::{Actor, What};

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
            evidence: Some(EvidenceLine {
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
        assert_eq!(key(&one), key(&rollback(7)));
        assert!(!key(&one).contains('.') && key(&one).starts_with("tg_7_"), "{}", key(&one));
        let other = News { service: "blog".parse().unwrap(), ..one.clone() };
        assert_ne!(key(&one), key(&other));
        assert_eq!(filled("https://x/{service}/{version}#{event}", &one), "https://x/shop/v42#rolled_back");
    }
}
