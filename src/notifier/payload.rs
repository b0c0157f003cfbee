//! What a webhook gets: one JSON object for each event, with the words of the admin interface.

use serde_json::{Value, json};

use crate::model::{EvidenceLine, Tally, TargetName, Timestamp, Weight};

use crate::release::News;

/// The body.
pub(super) fn body(news: &News, link: Option<&str>) -> Vec<u8> {
    let evidence = news.evidence.as_ref().map(evidence);
    let body = json!({
        "type": format!("release.{}", news.what),
        "timestamp": news.at.to_string(),
        "data": {
            "id": news.id,
            "service": news.service.as_str(),
            "version": news.version.as_str(),
            "what": news.what.as_str(),
            "from_percent": percent(news.from),
            "to_percent": percent(news.to),
            "text": news.text,
            "by": {"name": news.by.name, "via": news.by.via.as_str()},
            "generation": news.generation.0,
            "evidence": evidence,
            "link": link,
        },
    });
    body.to_string().into_bytes()
}

/// The body of a test.
pub(super) fn test(target: &TargetName, now: Timestamp) -> Vec<u8> {
    let data = json!({"target": target.as_str(), "text": "a test: nothing has happened"});
    json!({"type": "test", "timestamp": now.to_string(), "data": data}).to_string().into_bytes()
}

fn evidence(it: &EvidenceLine) -> Value {
    let tally = |it: Tally| json!({"requests": it.requests, "bad": it.bad});
    json!({
        "canary": tally(it.canary),
        "stable": tally(it.stable),
        "difference": it.difference,
        "low": it.low,
        "high": it.high,
        "limit": it.limit,
    })
}

/// A weight as the file writes it.
fn percent(weight: Weight) -> f64 {
    f64::from(weight.basis_points()) / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifier::news::tests::rollback;

    #[test]
    fn shape() {
        let body: Value = serde_json::from_slice(&body(&rollback(7), Some("https://x/shop"))).unwrap();
        let expected = json!({
            "type": "release.rolled_back",
            "timestamp": "2026-01-01T00:00:00.125Z",
            "data": {
                "id": 7,
                "service": "shop",
                "version": "v42",
                "what": "rolled_back",
                "from_percent": 5.0,
                "to_percent": 0.0,
                "text": "canary failed 8 of 160 (5%), stable 0 of 1409 (0%)",
                "by": {"name": "tidegate", "via": "policy"},
                "generation": 3,
                "evidence": {
                    "canary": {"requests": 160, "bad": 8},
                    "stable": {"requests": 1409, "bad": 0},
                    "difference": 0.05,
                    "low": 0.02,
                    "high": 0.09,
                    "limit": 0.001,
                },
                "link": "https://x/shop",
            },
        });
        assert_eq!(body, expected);
    }
}
