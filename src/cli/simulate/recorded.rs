//! A recorded load: an access log of one JSON object a line.

use std::io::{self, BufRead};

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use crate::analysis::History;
use crate::model::{CLIENT_SHARDS, Histogram, Tally};

/// A request of the recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// Seconds since the first one.
    at: f32,
    /// The group of its client, if the log names clients.
    pub shard: Option<u8>,
    /// Whether it failed.
    pub bad: bool,
    /// How long its answer took, in microseconds, if the log says so.
    pub took_us: Option<u32>,
}

/// Everything that was recorded, by time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    requests: Vec<Request>,
    /// Lines that are no requests.
    pub skipped: usize,
}

impl Recording {
    /// Reads a log. A line needs a time and a status:
    ///
    /// - time: `at`, `time`, `timestamp`, `@timestamp` or `ts`; RFC 3339, or seconds since 1970;
    /// - status: `status` or `http.response.status_code`; 500 and above is a failure;
    /// - client, if there is one: `client`, `remote_addr` or `client.address`;
    /// - duration, if there is one: `duration_ms`, or in seconds `duration`, `request_time` or
    ///   `http.server.request.duration`.
    pub fn read(log: impl BufRead) -> io::Result<Self> {
        let (mut found, mut skipped) = (Vec::new(), 0);
        for line in log.lines() {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            let value = serde_json::from_str(&line).unwrap_or(Value::Null);
            match request(&value) {
                Some(it) if found.len() < REQUESTS_MAX => found.push(it),
                _ => skipped += 1,
            }
        }
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        let first = found.first().map_or(0.0, |it| it.0);
        // Relative to the first, so that a small number keeps its digits.
        let requests = found.into_iter().map(|(at, it)| Request { at: (at - first) as f32, ..it });
        Ok(Self { requests: requests.collect(), skipped })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// From the first to the last, in seconds.
    pub fn seconds(&self) -> f64 {
        self.requests.last().map_or(0.0, |it| f64::from(it.at))
    }

    /// Requests a second, and the share of them that failed.
    pub fn rates(&self) -> (f64, f64) {
        let bad = self.requests.iter().filter(|it| it.bad).count();
        let count = self.requests.len().max(1) as f64;
        (count / self.seconds().max(1.0), bad as f64 / count)
    }

    /// Requests before the release begins: two minutes or a tenth of the recording, from which the
    /// usual rate of failures is known.
    pub fn warm_up(&self) -> usize {
        let span = f64::min(History::HALF_LIFE.as_secs_f64(), self.seconds() / 10.0);
        self.requests.partition_point(|it| f64::from(it.at) < span)
    }

    /// What is remembered after the first `count`.
    pub fn history(&self, count: usize) -> History {
        let bad = self.requests[..count].iter().filter(|it| it.bad).count() as u64;
        let mut history = History::default();
        history.remember(std::time::Duration::ZERO, Tally { requests: count as u64, bad });
        history
    }

    /// How long the first `count` answers took.
    pub fn times(&self, count: usize) -> Histogram {
        let mut known = Histogram::default();
        let took = self.requests[..count].iter().filter_map(|it| it.took_us);
        took.for_each(|us| known.record_us(us.into()));
        known
    }

    /// What came after the first `answered` and before `seconds` of the release; `None` at the end.
    pub fn until(&self, answered: usize, seconds: f64) -> Option<&[Request]> {
        let rest = self.requests.get(answered..).filter(|it| !it.is_empty())?;
        let began = self.requests.get(self.warm_up()).map_or(0.0, |it| f64::from(it.at));
        let count = rest.iter().take_while(|it| f64::from(it.at) - began < seconds).count();
        Some(&rest[..count])
    }
}

fn request(line: &Value) -> Option<(f64, Request)> {
    let member = |names: &[&str]| names.iter().find_map(|name| line.get(*name)).cloned();
    let at = seconds(&member(&["at", "time", "timestamp", "@timestamp", "ts"])?)?;
    let status = member(&["status", "http.response.status_code"])?;
    let status = status.as_u64().or_else(|| status.as_str()?.parse().ok())?;
    let client = member(&["client", "remote_addr", "client.address"]);
    let shard = client.and_then(|it| {
        let hash = xxh3_64(it.as_str()?.as_bytes());
        u8::try_from(hash % CLIENT_SHARDS as u64).ok()
    });
    let number =
        |names: &[&str]| member(names).and_then(|it| it.as_f64().or_else(|| it.as_str()?.parse().ok()));
    let ms = number(&["duration_ms"]);
    let ms =
        ms.or_else(|| Some(number(&["duration", "request_time", "http.server.request.duration"])? * 1e3));
    let took_us = ms.filter(|it| it.is_finite() && *it >= 0.0).map(|it| (it * 1e3) as u32);
    Some((at, Request { at: 0.0, shard, bad: status >= 500, took_us }))
}

fn seconds(at: &Value) -> Option<f64> {
    match at {
        Value::Number(it) => it.as_f64().filter(|it| it.is_finite()),
        Value::String(it) => it.parse().ok().filter(|it: &f64| it.is_finite()).or_else(|| of_rfc_3339(it)),
        _ => None,
    }
}

/// `2026-01-31T09:30:04.125Z`, `2026-01-31T10:30:04+01:00`.
fn of_rfc_3339(text: &str) -> Option<f64> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(at.as_microsecond() as f64 / 1e6)
}

/// More are left out: some hours of a busy service, below a quarter of a gigabyte.
const REQUESTS_MAX: usize = 20_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_several_dialects_are_read() {
        let log = r#"
{"at": "2026-01-31T09:30:04.500Z", "status": 200, "client": "10.0.0.1"}
{"@timestamp": "2026-01-31T10:30:05+01:00", "http.response.status_code": "503"}
not JSON
{"ts": 1769851804.0, "status": 404, "request_time": "0.125"}
"#;
        let it = Recording::read(log.as_bytes()).unwrap();
        assert_eq!((it.len(), it.skipped, it.seconds()), (3, 1, 1.0));
        assert_eq!(it.requests.iter().map(|it| it.bad).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!(it.requests[0].took_us, Some(125_000));
        assert_eq!(it.requests[0].shard, None);
        assert!(it.requests[1].shard.is_some());
    }

    #[test]
    fn times_are_seconds_since_1970() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0.0)),
            ("2026-01-31T09:30:04Z", Some(1_769_851_804.0)),
            ("2024-02-29T23:59:59.5Z", Some(1_709_251_199.5)),
            ("2026-01-31", None),
            ("soon", None),
        ] {
            assert_eq!(of_rfc_3339(text), expected, "{text}");
        }
    }
}
