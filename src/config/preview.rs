//! `preview`: how testers reach a version before its users do.

use crate::routing::{HostPattern, Preview};

use super::code::Code;
use super::condition;
use super::fields::{Fields, Shape};
use super::node::{Node, Value};
use super::problem::{Problems, Report};
use super::source::At;

pub(super) const PREVIEW: Shape = Shape { name: "Preview", what: "`preview`", keys: &["host", "header"] };

/// The preview of a `rollout`, if it has one.
pub(super) fn preview(rollout: &Node, problems: &mut Problems) -> Option<Preview> {
    let node = written(rollout)?;
    let fields = Fields::of(node, node.at, &PREVIEW, problems)?;
    let host = fields.read("host", problems, |node, problems| {
        let mut hosts = condition::hosts(node, problems)?;
        match (hosts.pop(), hosts.is_empty()) {
            (Some((HostPattern::Exact(it), _)), true) => Some(it),
            _ => {
                let report = Report::error(Code::Host, node.at, "testers have one host of their own");
                problems.push(report.help("for example preview: {host: next.shop.example.com}"));
                None
            }
        }
    });
    let headers = fields.read("header", problems, condition::headers).unwrap_or_default();
    if fields.get("host").is_none() && fields.get("header").is_none() {
        let report = Report::error(Code::Missing, node.at, "how do testers reach it?");
        problems.push(report.help("for example preview: {header: {x-preview: v42}}"));
    }
    Some(Preview { host, headers })
}

/// The host of the testers and where it is written, if it can be read; what is wrong with it is told by
/// [`preview`].
pub(super) fn place(rollout: &Node) -> Option<(HostPattern, At)> {
    let host = entry(written(rollout)?, "host")?;
    let Value::Scalar { text, .. } = &host.value else { return None };
    Some((HostPattern::Exact(text.to_ascii_lowercase()), host.at))
}

fn written(rollout: &Node) -> Option<&Node> {
    entry(rollout, "preview").filter(|it| !it.is_null())
}

fn entry<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    let Value::Map(entries) = &node.value else { return None };
    entries.iter().find(|it| it.key.text == key).map(|it| &it.value)
}
