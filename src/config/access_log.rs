//! `access_log`: where a line about each request goes.

use std::path::PathBuf;

use crate::model::Weight;

use super::code::Code;
use super::fields::{self, Fields, Shape};
use super::node::{Node, Value};
use super::problem::{Problems, Report};
use super::text;
use super::yaml::shown;

pub(super) const ACCESS_LOG: Shape =
    Shape { name: "AccessLog", what: "`access_log`", keys: &["to", "format", "only", "sample"] };

/// What is written about requests, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessLogSpec {
    /// Where the lines go.
    pub to: LogTarget,
    /// How they look.
    pub format: LogFormat,
    /// Whether only requests that failed are written down.
    pub only_errors: bool,
    /// The share of the others that is.
    pub sample: Weight,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// The end of a file.
    File(PathBuf),
}

/// How lines look.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    /// One JSON object.
    #[default]
    Json,
    /// Apache's combined format.
    Combined,
}

/// `off`, a target, or a map.
pub(super) fn access_log(node: &Node, problems: &mut Problems) -> Option<Option<AccessLogSpec>> {
    if node.is_word("off") {
        return Some(None);
    }
    if !matches!(node.value, Value::Map(_)) {
        let to = target(node, problems)?;
        return Some(Some(AccessLogSpec {
            to,
            format: LogFormat::default(),
            only_errors: false,
            sample: Weight::ALL,
        }));
    }
    let fields = Fields::of(node, node.at, &ACCESS_LOG, problems)?;
    let to = fields.required("to", "for example to: stdout", problems);
    let to = to.and_then(|it| target(&it.value, problems));
    let mut format = LogFormat::default();
    fields.set("format", &mut format, problems, |node, problems| {
        fields::choice(node, &[("json", LogFormat::Json), ("combined", LogFormat::Combined)], problems)
    });
    let only =
        fields.read("only", problems, |node, problems| fields::choice(node, &[("errors", ())], problems));
    let sample =
        fields.read("sample", problems, |node, problems| fields::parsed(node, text::weight, problems));
    if let (Some(()), Some(entry)) = (only, fields.entry("sample")) {
        let report = Report::error(Code::Value, entry.key.at, "`only: errors` leaves nothing to sample");
        problems.push(report.help("errors are always written; `sample` is the share of the other requests"));
    }
    let sample = sample.unwrap_or(Weight::ALL);
    Some(Some(AccessLogSpec { to: to?, format, only_errors: only.is_some(), sample }))
}

fn target(node: &Node, problems: &mut Problems) -> Option<LogTarget> {
    match fields::text(node, problems)? {
        "stdout" => Some(LogTarget::Stdout),
        "stderr" => Some(LogTarget::Stderr),
        written if written.contains('/') => fields::path(node, problems).map(LogTarget::File),
        written => {
            let message = format!("`{}` is neither stdout, nor stderr, nor a path", shown(written));
            let report = Report::error(Code::Value, node.at, message);
            problems.push(report.help("a path has a slash: ./access.log"));
            None
        }
    }
}
