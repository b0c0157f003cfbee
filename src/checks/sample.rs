//! Prometheus: one number, asked for with an instant query. Whatever is not exactly one fresh, finite number
//! is no answer: an empty result, several series, a partial one, an old sample, a page of somebody else.

use std::time::Duration;

use serde_json::Value;

use super::url::{Opening, fetch};
use super::{Bounds, Finding, Report};

/// Asks once and compares.
pub(super) async fn ask(prometheus: &str, query: &str, bounds: &Bounds, limit: Duration) -> Report {
    let url = format!("{}/api/v1/query?query={}", prometheus.trim_end_matches('/'), encoded(query));
    let mut body = Vec::new();
    let asked = fetch(Opening::default(), &url, BODY_BYTES_MAX, |piece| body.extend_from_slice(piece));
    let finding = match tokio::time::timeout(limit, asked).await {
        // Prometheus says in the body what is wrong with a query.
        Ok(Ok(status)) => match number(&body, bounds) {
            Ok(value) if status == 200 => compared(value, bounds),
            Ok(_) => Finding::Unknown(format!("answered {status}")),
            Err(why) if status == 200 => Finding::Unknown(why),
            Err(why) => Finding::Unknown(format!("answered {status}: {why}")),
        },
        Ok(Err(why)) => Finding::Unknown(why),
        Err(_) => Finding::Unknown(format!("no answer within {limit:?}")),
    };
    Report { finding, output: String::new() }
}

fn compared(value: f64, bounds: &Bounds) -> Finding {
    match (bounds.min, bounds.max) {
        (Some(min), _) if value < min => Finding::Failed(format!("{value} is below {min}")),
        (_, Some(max)) if value > max => Finding::Failed(format!("{value} is above {max}")),
        _ => Finding::Passed,
    }
}

/// The one number in an answer, or why there is none.
fn number(body: &[u8], bounds: &Bounds) -> Result<f64, String> {
    if body.len() >= BODY_BYTES_MAX {
        return Err("an answer that is too large for one number".into());
    }
    let answer: Value = serde_json::from_slice(body).map_err(|_| "no JSON came back".to_owned())?;
    if answer["status"] != "success" {
        let why = answer["error"].as_str().unwrap_or("it does not say why");
        return Err(format!("the query failed: {}", shortened(why)));
    }
    if answer["warnings"].as_array().is_some_and(|it| !it.is_empty()) {
        return Err("a partial answer, with warnings".into());
    }
    let (kind, result) = (&answer["data"]["resultType"], &answer["data"]["result"]);
    let sample = match kind.as_str() {
        Some("scalar") => result,
        Some("vector") => match result.as_array().map(Vec::as_slice) {
            Some([one]) => &one["value"],
            Some([]) => return Err("no series matches".into()),
            Some(many) => return Err(format!("{} series, where one number is wanted", many.len())),
            None => return Err("an answer without a result".into()),
        },
        _ => return Err("neither a vector nor a scalar".into()),
    };
    let at = sample[0].as_f64().ok_or("a sample without a time")?;
    let value: f64 = sample[1].as_str().and_then(|it| it.parse().ok()).ok_or("a sample without a number")?;
    let age = bounds.now.0 as f64 / 1e6 - at;
    if age.abs() > bounds.age_max.as_secs_f64() {
        let when = if age > 0.0 { "old" } else { "ahead of time" };
        return Err(format!("a sample that is {:.0} s {when}", age.abs()));
    }
    if !value.is_finite() {
        return Err(format!("{value} is no number to compare with"));
    }
    Ok(value)
}

/// For people, on one line of a terminal.
fn shortened(text: &str) -> String {
    text.chars().filter(|it| !it.is_control()).take(TEXT_CHARS_MAX).collect()
}

/// Percent-encoded, but for what needs it nowhere.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

/// One number has room in a part of this.
const BODY_BYTES_MAX: usize = 64 * 1024;
const TEXT_CHARS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn bounds() -> Bounds {
        Bounds {
            min: Some(0.1),
            max: Some(0.8),
            now: Timestamp(1_000_000_000),
            age_max: Duration::from_secs(30),
        }
    }

    fn judged(body: &str) -> Finding {
        match number(body.as_bytes(), &bounds()) {
            Ok(value) => compared(value, &bounds()),
            Err(why) => Finding::Unknown(why),
        }
    }

    fn answer(result: &str) -> String {
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":{result}}}}}"#)
    }

    #[test]
    fn one_fresh_number_counts_and_nothing_else() {
        let one = |value: &str| answer(&format!(r#"[{{"metric":{{}},"value":[999.5,"{value}"]}}]"#));
        assert_eq!(judged(&one("0.5")), Finding::Passed);
        assert_eq!(judged(&one("0.8")), Finding::Passed, "a bound is inside");
        assert_eq!(judged(&one("0.9")), Finding::Failed("0.9 is above 0.8".into()));
        assert_eq!(judged(&one("-1")), Finding::Failed("-1 is below 0.1".into()));
        let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1000,"0.2"]}}"#;
        assert_eq!(judged(scalar), Finding::Passed);
        let two = r#"[{"value":[999,"0.5"]},{"value":[999,"0.5"]}]"#;
        for (body, why) in [
            (one("NaN"), "NaN is no number"),
            (one("+Inf"), "inf is no number"),
            (one("many"), "without a number"),
            (answer("[]"), "no series"),
            (answer(two), "2 series"),
            (answer("null"), "without a result"),
            (answer(r#"[{"value":[960,"0.5"]}]"#), "40 s old"),
            (answer(r#"[{"value":[1040,"0.5"]}]"#), "40 s ahead of time"),
            (answer(r#"[{"value":["0.5"]}]"#), "without a time"),
            (answer(r#"[{"values":[[999,"0.5"]]}]"#), "without a time"),
            (one("0.5").replace("vector", "matrix"), "neither"),
            (one("0.5").replace("success", "error"), "failed: it does not say why"),
            (r#"{"status":"error","error":"parse\nerror"}"#.into(), "failed: parseerror"),
            (one("0.5").replace("{\"status\"", "{\"warnings\":[\"a store is away\"],\"status\""), "partial"),
            ("<html>Sign in</html>".into(), "no JSON"),
            (String::new(), "no JSON"),
            ("[".repeat(10_000), "no JSON"),
            (" ".repeat(BODY_BYTES_MAX), "too large"),
        ] {
            let Finding::Unknown(said) = judged(&body) else { panic!("{body} counts") };
            assert!(said.contains(why), "{body}: {said}");
        }
    }

    #[test]
    fn a_query_survives_its_way_into_a_url() {
        assert_eq!(
            encoded(r#"sum(rate(x{a="é b"}[1m]))"#),
            "sum%28rate%28x%7Ba%3D%22%C3%A9%20b%22%7D%5B1m%5D%29%29"
        );
    }
}
