//! `health`, `eject`, `slow_start` and `panic`: how endpoints are looked after.

use std::sync::Arc;
use std::time::Duration;

use crate::routing::{Care, Checkup, CheckupKind, Eject};

use super::code::Code;
use super::fields::{self, Fields, Shape};
use super::listen::timeout;
use super::node::Node;
use super::problem::{Problems, Report};
use super::text;

pub(super) const HEALTH: Shape = Shape {
    name: "Health",
    what: "`health`",
    keys: &[
        "kind",
        "path",
        "host",
        "status",
        "body",
        "service",
        "every",
        "timeout",
        "fail_after",
        "pass_after",
    ],
};

pub(super) const EJECT: Shape = Shape {
    name: "Eject",
    what: "`eject`",
    keys: &["connect", "failures", "success", "requests", "for", "most"],
};

/// What the endpoints of a version are asked; `off` is nothing.
pub(super) fn health(node: &Node, problems: &mut Problems) -> Option<Option<Arc<Checkup>>> {
    if node.is_word("off") {
        return Some(None);
    }
    let fields = Fields::of(node, node.at, &HEALTH, problems)?;
    let mut it = Checkup {
        kind: CheckupKind::Tcp,
        every: Duration::from_secs(2),
        timeout: Duration::from_secs(1),
        fail_after: 3,
        pass_after: 1,
    };
    let kind = kind(&fields, problems);
    fields.set("every", &mut it.every, problems, every);
    fields.set("timeout", &mut it.timeout, problems, timeout);
    fields.set("fail_after", &mut it.fail_after, problems, |node, problems| in_a_row(node, 1, problems));
    fields.set("pass_after", &mut it.pass_after, problems, |node, problems| in_a_row(node, 1, problems));
    it.kind = kind?;
    Some(Some(Arc::new(it)))
}

fn kind(fields: &Fields<'_>, problems: &mut Problems) -> Option<CheckupKind> {
    #[derive(Clone, Copy, Eq, PartialEq)]
    enum Kind {
        Http,
        Tcp,
        Grpc,
    }
    let choices = [("http", Kind::Http), ("tcp", Kind::Tcp), ("grpc", Kind::Grpc)];
    let mut kind = Kind::Http;
    fields.set("kind", &mut kind, problems, |node, problems| fields::choice(node, &choices, problems));
    let owned = [("path", Kind::Http), ("host", Kind::Http), ("status", Kind::Http), ("body", Kind::Http)];
    for (key, owner) in owned.into_iter().chain([("service", Kind::Grpc)]) {
        if let Some(entry) = fields.entry(key).filter(|_| kind != owner) {
            let word = if owner == Kind::Http { "http" } else { "grpc" };
            let message = format!("`{key}` belongs to `kind: {word}`");
            problems.push(Report::error(Code::Value, entry.key.at, message));
        }
    }
    Some(match kind {
        Kind::Tcp => CheckupKind::Tcp,
        Kind::Grpc => CheckupKind::Grpc {
            service: fields.read("service", problems, fields::text).unwrap_or_default().to_owned(),
        },
        Kind::Http => {
            let (mut url, mut status, mut host, mut body) = ("/".to_owned(), vec![(200, 299)], None, None);
            fields.set("path", &mut url, problems, path);
            fields.set("status", &mut status, problems, statuses);
            fields.set("host", &mut host, problems, |node, problems| header(node, problems).map(Some));
            fields.set("body", &mut body, problems, |node, problems| {
                fields::text(node, problems).map(|it| Some(it.to_owned()))
            });
            CheckupKind::Http { path: url, host, status, body }
        }
    })
}

fn every(node: &Node, problems: &mut Problems) -> Option<Duration> {
    let span = fields::parsed(node, text::duration, problems)?;
    if span < EVERY_LEAST {
        let report = Report::error(Code::Limit, node.at, "endpoints would do little else");
        problems.push(report.help(format!("at least {}ms", EVERY_LEAST.as_millis())));
        return None;
    }
    Some(span)
}

fn in_a_row(node: &Node, least: u64, problems: &mut Problems) -> Option<u32> {
    fields::integer(node, least, 1000, problems).and_then(|it| u32::try_from(it).ok())
}

fn path(node: &Node, problems: &mut Problems) -> Option<String> {
    let written = fields::text(node, problems)?;
    if !written.starts_with('/') || written.contains('#') || !written.bytes().all(|it| it.is_ascii_graphic())
    {
        let report = Report::error(Code::Path, node.at, "a path begins with `/` and has no spaces");
        problems.push(report.help("for example /healthz"));
        return None;
    }
    Some(written.to_owned())
}

fn header(node: &Node, problems: &mut Problems) -> Option<String> {
    let written = fields::text(node, problems)?;
    if written.is_empty() || !written.bytes().all(|it| it.is_ascii_graphic()) {
        return fields::bad_value(node, "a host is a name, with a port if need be", problems);
    }
    Some(written.to_owned())
}

/// `200`, `2xx`, `200-204`, or a list of them.
fn statuses(node: &Node, problems: &mut Problems) -> Option<Vec<(u16, u16)>> {
    let items = fields::one_or_more(node, "a status or a list of them", problems)?;
    let ranges: Vec<_> = items.into_iter().map(|it| fields::parsed(it, range, problems)).collect();
    let ranges: Option<Vec<_>> = ranges.into_iter().collect();
    if ranges.as_ref().is_some_and(Vec::is_empty) {
        return fields::bad_value(node, "without a status nothing is a pass", problems);
    }
    ranges
}

fn range(text: &str) -> Result<(u16, u16), String> {
    let wrong = || format!("`{text}` is no status: write 200, 2xx or 200-204");
    let number = |it: &str| it.parse().ok().filter(|it| (200..600).contains(it)).ok_or_else(wrong);
    if let Some(class) = text.strip_suffix("xx") {
        let class: u16 = class.parse().ok().filter(|it| (2..6).contains(it)).ok_or_else(wrong)?;
        return Ok((class * 100, class * 100 + 99));
    }
    match text.split_once('-') {
        Some((first, last)) => {
            let range = (number(first.trim())?, number(last.trim())?);
            if range.0 <= range.1 { Ok(range) } else { Err(wrong()) }
        }
        None => number(text).map(|it| (it, it)),
    }
}

/// The keys of a service, or of the defaults, that say how endpoints are looked after.
pub(super) fn care(fields: &Fields<'_>, base: Care, problems: &mut Problems) -> Care {
    let mut it = base;
    fields.set("eject", &mut it.eject, problems, |node, problems| eject(node, base.eject, problems));
    fields.set("slow_start", &mut it.slow_start, problems, |node, problems| {
        if node.is_word("off") { Some(Duration::ZERO) } else { timeout(node, problems) }
    });
    fields.set("panic", &mut it.panic_percent, problems, |node, problems| {
        if node.is_word("off") { Some(0) } else { percent(node, problems) }
    });
    it
}

fn eject(node: &Node, base: Eject, problems: &mut Problems) -> Option<Eject> {
    if node.is_word("off") {
        return Some(Eject::NEVER);
    }
    let fields = Fields::of(node, node.at, &EJECT, problems)?;
    // Who says something about it after it was switched off has switched it on again.
    let mut it = if base == Eject::NEVER { Eject::default() } else { base };
    let count = |node: &Node, problems: &mut Problems| {
        if node.is_word("off") { Some(0) } else { in_a_row(node, 1, problems) }
    };
    fields.set("connect", &mut it.connect, problems, count);
    fields.set("failures", &mut it.failures, problems, count);
    fields.set("success", &mut it.success_percent, problems, |node, problems| {
        if node.is_word("off") { Some(0) } else { percent(node, problems) }
    });
    fields.set("requests", &mut it.requests, problems, |node, problems| {
        fields::integer(node, 1, 1_000_000, problems).and_then(|it| u32::try_from(it).ok())
    });
    fields.set("for", &mut it.time, problems, timeout);
    fields.set("most", &mut it.most_percent, problems, percent);
    Some(it)
}

/// Whole percents are enough: there are not that many endpoints.
fn percent(node: &Node, problems: &mut Problems) -> Option<u8> {
    let weight = fields::parsed(node, text::weight, problems)?;
    let points = weight.basis_points();
    if !points.is_multiple_of(100) {
        return fields::bad_value(node, "whole percents are wanted here", problems);
    }
    u8::try_from(points / 100).ok()
}

/// A question takes a connection and a place among those that are asked at a time.
const EVERY_LEAST: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_as_they_are_written() {
        for (written, expected) in
            [("200", (200, 200)), ("2xx", (200, 299)), ("200-204", (200, 204)), ("302", (302, 302))]
        {
            assert_eq!(range(written), Ok(expected));
        }
        for written in ["", "1xx", "6xx", "xx", "204-200", "99", "600", "2x", "200,204", "-", "200-"] {
            assert!(range(written).is_err(), "{written}");
        }
    }
}
