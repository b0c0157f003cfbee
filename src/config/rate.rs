//! `rate` of a route: how often each caller may ask.

use std::time::Duration;

use crate::routing::{Rate, RateBy, RateLimit};

use super::code::Code;
use super::condition;
use super::fields::{self, Fields, Shape};
use super::node::Node;
use super::problem::{Problems, Report};

pub(super) const RATE: Shape =
    Shape { name: "Rate", what: "`rate`", keys: &["by", "name", "requests", "burst"] };

/// Most requests in a second that are told apart.
const PER_SECOND_MAX: u32 = 100_000;

/// `{by: address, requests: 100/s, burst: 200}`.
pub(super) fn rate(node: &Node, problems: &mut Problems) -> Option<RateLimit> {
    let fields = Fields::of(node, node.at, &RATE, problems)?;
    let by = by(node, &fields, problems);
    let requests = fields.required("requests", "for example requests: 100/s", problems)?;
    let (count, per) = fields::parsed(&requests.value, frequency, problems)?;
    let mut burst = count;
    fields.set("burst", &mut burst, problems, |node, problems| {
        fields::integer(node, 1, u64::from(u32::MAX), problems).and_then(|it| u32::try_from(it).ok())
    });
    let limit = RateLimit { by: by?, interval: per / count, burst };
    if !Rate::is_countable(&limit) {
        let report = Report::error(Code::Rate, node.at, "a burst that takes too long to earn");
        problems.push(report.help("at most 100 days, by the rate under `requests`"));
        return None;
    }
    Some(limit)
}

fn by(node: &Node, fields: &Fields<'_>, problems: &mut Problems) -> Option<RateBy> {
    let by = match fields.get("by") {
        Some(it) => fields::choice(it, &[("address", false), ("header", true)], problems)?,
        None => false,
    };
    match (by, fields.entry("name")) {
        (false, None) => Some(RateBy::Address),
        (true, Some(name)) => {
            condition::token(&name.value, problems).map(|it| RateBy::Header(it.to_ascii_lowercase()))
        }
        (false, Some(name)) => {
            let report = Report::error(Code::Rate, name.key.at, "an address has no name");
            problems.push(report.help("a header has: by: header"));
            None
        }
        (true, None) => {
            let report = Report::error(Code::Rate, node.at, "which header?");
            problems.push(report.help("add its name: rate: {by: header, name: x-api-key, requests: 100/s}"));
            None
        }
    }
}

/// `100/s`, `10/m`, `1000/h`.
fn frequency(text: &str) -> Result<(u32, Duration), String> {
    let wanted = || "a rate is a number for each s, m or h: 100/s, 10/m, 1000/h".to_owned();
    let (count, unit) = text.split_once('/').ok_or_else(wanted)?;
    let seconds = match unit.trim() {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wanted()),
    };
    let count: u32 = count.trim().parse().ok().filter(|it| *it > 0).ok_or_else(wanted)?;
    if count / seconds > PER_SECOND_MAX {
        return Err(format!("a rate is at most {PER_SECOND_MAX}/s"));
    }
    Ok((count, Duration::from_secs(seconds.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies() {
        for (text, count, seconds) in
            [("100/s", 100, 1), ("10/m", 10, 60), ("1/h", 1, 3600), ("7 / s", 7, 1), ("100000/s", 100_000, 1)]
        {
            assert_eq!(frequency(text), Ok((count, Duration::from_secs(seconds))), "{text}");
        }
        for text in ["100", "/s", "0/s", "-1/s", "1.5/s", "100/d", "100/ms", "100/", "100001/s", "1/s/s", ""]
        {
            assert!(frequency(text).is_err(), "{text}");
        }
    }
}
