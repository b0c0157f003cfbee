//! What a route changes on the way: header lines, the path, or the whole answer.

use crate::message::HeaderEdit;
use crate::routing::{HeaderEdits, PathCondition, PathPattern, PathRewrite, Redirect};

use super::code::Code;
use super::condition::{self, header_name, header_value};
use super::endpoint::is_host_name;
use super::fields::{self, Fields, Shape};
use super::node::{Entry, Node, Value};
use super::problem::{Problems, Report};
use super::yaml::shown;

pub(super) const REWRITE: Shape = Shape { name: "Rewrite", what: "`rewrite`", keys: &["prefix", "path"] };

pub(super) const REDIRECT: Shape =
    Shape { name: "Redirect", what: "`redirect`", keys: &["scheme", "host", "port", "path", "status"] };

pub(super) const REDIRECT_PATH: Shape =
    Shape { name: "Rewrite", what: "the path of a redirect", keys: &["prefix", "path"] };

pub(super) const EDITED: Shape =
    Shape { name: "Edited", what: "a change of headers", keys: &["request", "response"] };

/// Fields that frame the message or belong to one connection; the proxy alone writes them. A message
/// has exactly one `Host`, so that can be set for a version that wants another, but not added or removed.
const UNTOUCHABLE: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Status of a redirect that names none: "moved for now" is the one that can be taken back.
const REDIRECT_STATUS: u16 = 302;

/// Edits towards the version and towards the client. Removed first, then set, then added.
pub(super) fn edits(fields: &Fields<'_>, problems: &mut Problems) -> Option<(HeaderEdits, HeaderEdits)> {
    let mut request = Vec::new();
    let mut response = Vec::new();
    let mut complete = true;
    for key in ["remove_headers", "set_headers", "add_headers"] {
        let Some(entry) = fields.entry(key) else { continue };
        let Some(sides) = Fields::of(&entry.value, entry.key.at, &EDITED, problems) else {
            complete = false;
            continue;
        };
        for (side, list) in [("request", &mut request), ("response", &mut response)] {
            let Some(node) = sides.get(side) else { continue };
            match edits_of(key, side, node, problems) {
                Some(edits) => list.extend(edits),
                None => complete = false,
            }
        }
    }
    complete.then(|| (request.into(), response.into()))
}

fn edits_of(key: &str, side: &str, node: &Node, problems: &mut Problems) -> Option<Vec<HeaderEdit>> {
    if key == "remove_headers" {
        let items = fields::one_or_more(node, "the headers to remove are a list of names", problems)?;
        let edits = items.into_iter().map(|it| {
            let word = fields::word(it, problems)?;
            touchable(&word, problems).map(HeaderEdit::Remove)
        });
        return edits.collect::<Vec<_>>().into_iter().collect();
    }
    let entries = fields::entries(node, "headers are a map of names and values", problems)?;
    let written = entries.iter().filter(|it| !it.value.is_null());
    let edits = written.map(|Entry { key: name, value }| {
        if name.text.eq_ignore_ascii_case("host") && (key, side) == ("set_headers", "request") {
            return authority(value, problems).map(|it| HeaderEdit::Set("host".into(), it));
        }
        let name = touchable(name, problems);
        let value = header_value(value, problems);
        let make = if key == "set_headers" { HeaderEdit::Set } else { HeaderEdit::Add };
        name.zip(value).map(|(name, value)| make(name, value))
    });
    edits.collect::<Vec<_>>().into_iter().collect()
}

fn touchable(word: &super::node::Word, problems: &mut Problems) -> Option<String> {
    let name = header_name(word, problems)?;
    if UNTOUCHABLE.contains(&name.as_str()) {
        let message = format!("`{}` cannot be changed by a route", shown(&word.text));
        let help = "it frames the message or belongs to one connection; the proxy writes it";
        problems.push(Report::error(Code::Header, word.at, message).help(help));
        return None;
    }
    Some(name)
}

/// A host, perhaps with a port, as `Host` has it.
fn authority(node: &Node, problems: &mut Problems) -> Option<String> {
    let written = fields::text(node, problems)?;
    let (host, port) = written.rsplit_once(':').map_or((written, None), |it| (it.0, Some(it.1)));
    let digits = |it: &str| it.bytes().all(|b| b.is_ascii_digit()) && it.parse::<u16>().is_ok();
    if is_host(host) && port.is_none_or(digits) {
        return Some(written.to_owned());
    }
    let message = format!("`{}` is not a host", shown(written));
    let report = Report::error(Code::Host, node.at, message);
    problems.push(report.help("a name or an IPv4 address, perhaps with a port: shop.internal:8080"));
    None
}

fn is_host(host: &str) -> bool {
    is_host_name(host) || host.parse::<std::net::Ipv4Addr>().is_ok()
}

/// `{prefix: /new}` or `{path: /whole}`.
pub(super) fn rewrite(
    node: &Node,
    matched: Option<&PathCondition>,
    shape: &'static Shape,
    problems: &mut Problems,
) -> Option<PathRewrite> {
    let fields = Fields::of(node, node.at, shape, problems)?;
    match (fields.entry("prefix"), fields.entry("path")) {
        (Some(prefix), None) => {
            let replacement = condition::path(&prefix.value, problems)?;
            match matched? {
                PathCondition::Prefix(matched) => {
                    Some(PathRewrite::Prefix { matched: matched.clone(), replacement })
                }
                PathCondition::Regex(text) => {
                    // One that cannot be compiled has been reported by the condition.
                    let pattern = PathPattern::new(text).ok()?;
                    Some(PathRewrite::Pattern { pattern, replacement })
                }
                PathCondition::Exact(_) => {
                    let message = "there is no prefix to replace: the route matches a whole path";
                    let report = Report::error(Code::Rewrite, prefix.key.at, message);
                    problems.push(report.help("replace the whole path as well: {path: /new}"));
                    None
                }
            }
        }
        (None, Some(path)) => condition::path(&path.value, problems).map(PathRewrite::Full),
        _ => {
            let message = format!("{} has either `prefix` or `path`", shape.what);
            problems.push(Report::error(Code::Rewrite, node.at, message));
            None
        }
    }
}

pub(super) fn redirect(
    node: &Node,
    matched: Option<&PathCondition>,
    problems: &mut Problems,
) -> Option<Redirect> {
    let fields = Fields::of(node, node.at, &REDIRECT, problems)?;
    let mut it = Redirect { status: REDIRECT_STATUS, ..Redirect::default() };
    fields.set("scheme", &mut it.scheme, problems, |node, problems| {
        fields::choice(node, &[("http", "http"), ("https", "https")], problems).map(|it| Some(it.to_owned()))
    });
    fields.set("host", &mut it.host, problems, |node, problems| redirect_host(node, problems).map(Some));
    fields.set("port", &mut it.port, problems, |node, problems| {
        fields::integer(node, 1, 65_535, problems).and_then(|it| u16::try_from(it).ok()).map(Some)
    });
    fields.set("path", &mut it.path, problems, |node, problems| {
        let path = match node.value {
            Value::Map(_) => rewrite(node, matched, &REDIRECT_PATH, problems),
            _ => condition::path(node, problems).map(PathRewrite::Full),
        };
        path.map(Some)
    });
    fields.set("status", &mut it.status, problems, status);
    if ["scheme", "host", "port", "path"].iter().all(|it| fields.get(it).is_none()) {
        let report = Report::error(Code::Rewrite, node.at, "this redirect leads back to itself");
        problems.push(report.help("change at least one of scheme, host, port and path"));
        return None;
    }
    Some(it)
}

fn redirect_host(node: &Node, problems: &mut Problems) -> Option<String> {
    let written = fields::text(node, problems)?;
    if is_host(written) {
        return Some(written.to_ascii_lowercase());
    }
    let message = format!("`{}` is not a host", shown(written));
    problems
        .push(Report::error(Code::Host, node.at, message).help("only the name; `port` and `path` are keys"));
    None
}

fn status(node: &Node, problems: &mut Problems) -> Option<u16> {
    let status = fields::integer(node, 0, 999, problems)?;
    match u16::try_from(status) {
        Ok(it @ (301 | 302 | 303 | 307 | 308)) => Some(it),
        _ => {
            let report = Report::error(Code::Rewrite, node.at, format!("{status} is not a redirect"));
            problems.push(report.help("301, 302, 303, 307 or 308"));
            None
        }
    }
}
