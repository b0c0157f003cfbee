//! `queries`: guards that are asked of a Prometheus.

use std::time::Duration;

use super::code::Code;
use super::domain::Query;
use super::fields::{self, Fields, Shape};
use super::node::{Node, Value};
use super::problem::{Problems, Report};
use super::text;
use super::yaml::shown;

pub(super) const QUERY: Shape = Shape {
    name: "Query",
    what: "a query",
    keys: &["name", "prometheus", "query", "min", "max", "every", "timeout"],
};

pub(super) fn queries(node: &Node, problems: &mut Problems) -> Option<Vec<Query>> {
    let what =
        "`queries` is a list: [{name: queue, prometheus: http://10.0.5.1:9090, query: sum(x), max: 9}]";
    let items = fields::items(node, what, problems)?;
    let queries: Vec<_> = items.into_iter().map(|it| query(it, problems)).collect();
    queries.into_iter().collect()
}

fn query(node: &Node, problems: &mut Problems) -> Option<Query> {
    let fields = Fields::of(node, node.at, &QUERY, problems)?;
    let required = |key, example: &str, most, problems: &mut Problems| {
        let entry = fields.required(key, example, problems)?;
        line(&entry.value, most, problems)
    };
    let name = required("name", "for example name: queue", NAME_BYTES_MAX, problems);
    let written =
        required("query", "PromQL, for example query: sum(queue_length)", QUERY_BYTES_MAX, problems);
    let place = fields.required("prometheus", "for example prometheus: http://10.0.5.1:9090", problems);
    let prometheus = place.and_then(|it| address(&it.value, problems));
    let min = fields.read("min", problems, number);
    let max = fields.read("max", problems, number);
    if fields.entry("min").is_none() && fields.entry("max").is_none() {
        let report = Report::error(Code::Query, node.at, "a query that nothing is compared with");
        problems.push(report.help("add `min`, `max` or both"));
        return None;
    }
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        let message = format!("nothing is at least {min} and at most {max}");
        problems.push(Report::error(Code::Query, node.at, message));
        return None;
    }
    let mut every = EVERY;
    fields.set("every", &mut every, problems, |node, problems| time(node, EVERY_MIN, problems));
    let mut timeout = TIMEOUT;
    fields.set("timeout", &mut timeout, problems, |node, problems| time(node, TIMEOUT_MIN, problems));
    Some(Query { name: name?, prometheus: prometheus?, query: written?, min, max, every, timeout })
}

/// A text of one line.
fn line(node: &Node, most: usize, problems: &mut Problems) -> Option<String> {
    let written = fields::text(node, problems)?;
    if written.is_empty() || written.len() > most || written.chars().any(char::is_control) {
        let report =
            Report::error(Code::Query, node.at, format!("one line of at most {most} bytes is wanted"));
        problems.push(report);
        return None;
    }
    Some(written.to_owned())
}

/// `http://host:port`, with the path before `/api/v1` if there is one.
fn address(node: &Node, problems: &mut Problems) -> Option<String> {
    let written = fields::text(node, problems)?;
    let rest = written.strip_prefix("http://").unwrap_or_default();
    let plain = rest.bytes().all(|it| it.is_ascii_graphic() && !matches!(it, b'?' | b'#' | b'@'));
    if plain && !rest.is_empty() && !rest.starts_with('/') {
        return Some(written.to_owned());
    }
    let message = format!("`{}` is no Prometheus that can be asked", shown(written));
    problems.push(
        Report::error(Code::Query, node.at, message).help("plain http:// with a host: http://10.0.5.1:9090"),
    );
    None
}

fn number(node: &Node, problems: &mut Problems) -> Option<f64> {
    let Value::Scalar { text, plain: true } = &node.value else {
        return fields::wrong_kind(node, "a number is wanted here, without quotes", problems);
    };
    let digits = text.bytes().all(|it| it.is_ascii_digit() || matches!(it, b'.' | b'-' | b'+' | b'e' | b'E'));
    match text.parse::<f64>() {
        Ok(it) if digits && it.is_finite() => Some(it),
        _ => fields::bad_value(node, format!("a number is wanted here, not `{}`", shown(text)), problems),
    }
}

fn time(node: &Node, least: Duration, problems: &mut Problems) -> Option<Duration> {
    let time = fields::parsed(node, text::duration, problems)?;
    if (least..=TIME_MAX).contains(&time) {
        return Some(time);
    }
    let report = Report::error(Code::Limit, node.at, "a time that is out of range");
    problems.push(report.help(format!("from {least:?} to an hour")));
    None
}

const EVERY: Duration = Duration::from_secs(10);
const EVERY_MIN: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_secs(3);
const TIMEOUT_MIN: Duration = Duration::from_millis(1);
const TIME_MAX: Duration = Duration::from_secs(3600);
const NAME_BYTES_MAX: usize = 100;
const QUERY_BYTES_MAX: usize = 4096;
