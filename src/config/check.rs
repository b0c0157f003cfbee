//! Checks: commands and URLs that must say yes, before a version gets users or between two steps.

use std::time::Duration;

use crate::release::{Check, CheckKind};

use super::code::Code;
use super::fields::{self, Fields, Shape};
use super::node::{Node, Value};
use super::problem::{Problems, Report};
use super::text;
use super::yaml::shown;

pub(super) const CHECK: Shape =
    Shape { name: "Check", what: "a check", keys: &["name", "run", "url", "status", "timeout"] };

/// One check or a list of them.
pub(super) fn checks(node: &Node, problems: &mut Problems) -> Option<Vec<Check>> {
    if let Value::Map(_) = &node.value {
        return check(node, problems).map(|it| vec![it]);
    }
    let items = fields::items(node, "checks are a list: [{run: [./smoke.sh, \"{endpoint}\"]}]", problems)?;
    let checks: Vec<_> = items.into_iter().map(|it| check(it, problems)).collect();
    checks.into_iter().collect()
}

fn check(node: &Node, problems: &mut Problems) -> Option<Check> {
    let fields = Fields::of(node, node.at, &CHECK, problems)?;
    let run = fields.get("run").map(|it| run(it, problems));
    let url = fields.get("url").map(|it| url(it, problems));
    let status = fields.read("status", problems, |node, problems| fields::integer(node, 100, 599, problems));
    if let (Some(status), Some(_)) = (fields.entry("status"), &run) {
        problems.push(Report::error(Code::Check, status.key.at, "a command has no `status`: 0 is a pass"));
    }
    let name = fields.read("name", problems, name);
    let timeout = fields.read("timeout", problems, timeout);
    let (what, usual) = match (run, url) {
        (Some(argv), None) => (CheckKind::Run { argv: argv? }, RUN_WITHIN),
        (None, Some(url)) => {
            let status = status.and_then(|it| u16::try_from(it).ok()).unwrap_or(200);
            (CheckKind::Url { url: url?, status }, URL_WITHIN)
        }
        (run, _) => {
            let message =
                if run.is_some() { "a check has either `run` or `url`" } else { "a check of nothing" };
            let report = Report::error(Code::Check, node.at, message);
            problems
                .push(report.help("{run: [./smoke.sh, \"{endpoint}\"]} or {url: \"{endpoint}/selftest\"}"));
            return None;
        }
    };
    let name = name.unwrap_or_else(|| match &what {
        CheckKind::Run { argv } => {
            argv.first().map_or("", |it| it.rsplit('/').next().unwrap_or(it)).to_owned()
        }
        CheckKind::Url { url, .. } => url.clone(),
    });
    Some(Check { name, what, timeout: timeout.unwrap_or(usual) })
}

/// What people read in the status and the history: one short line.
fn name(node: &Node, problems: &mut Problems) -> Option<String> {
    let written = fields::text(node, problems)?;
    if written.is_empty() || written.len() > NAME_BYTES_MAX || written.chars().any(char::is_control) {
        let message = format!("the name of a check is one line of at most {NAME_BYTES_MAX} bytes");
        return fields::bad_value(node, message, problems);
    }
    Some(written.to_owned())
}

/// A program and its arguments. A program that is a path is found from the file that names it.
fn run(node: &Node, problems: &mut Problems) -> Option<Vec<String>> {
    let items = fields::one_or_more(node, "a command is a list: [./smoke.sh, \"{endpoint}\"]", problems)?;
    let words: Option<Vec<&str>> = items.iter().map(|it| fields::text(it, problems)).collect();
    let words = words?;
    for (word, item) in words.iter().zip(&items) {
        placeholders(word, item, problems);
    }
    let Some((program, arguments)) = words.split_first().filter(|it| !it.0.is_empty()) else {
        let report = Report::error(Code::Check, node.at, "a command of nothing");
        problems.push(report.help("the program, then its arguments: [./smoke.sh, \"{endpoint}\"]"));
        return None;
    };
    if let (true, [item]) = (program.contains(char::is_whitespace), &items[..]) {
        let report = Report::error(Code::Check, item.at, "no shell takes this command apart");
        problems.push(report.help("write its words as a list: [./smoke.sh, \"{endpoint}\"]"));
        return None;
    }
    let program = if program.contains('/') {
        fields::path(items[0], problems)?.to_string_lossy().into_owned()
    } else {
        (*program).to_owned()
    };
    Some(std::iter::once(program).chain(arguments.iter().map(|it| (*it).to_owned())).collect())
}

fn url(node: &Node, problems: &mut Problems) -> Option<String> {
    let written = fields::text(node, problems)?;
    placeholders(written, node, problems);
    let rest = written.strip_prefix("{endpoint}").map(|it| it.is_empty() || it.starts_with(['/', '?']));
    let there = written.strip_prefix("http://").map(|it| !it.is_empty() && !it.starts_with('/'));
    let plain = written.bytes().all(|it| it.is_ascii_graphic());
    if plain && rest.or(there).unwrap_or(false) {
        return Some(written.to_owned());
    }
    let report =
        Report::error(Code::Check, node.at, format!("`{}` is no URL that can be asked", shown(written)));
    problems.push(report.help("\"{endpoint}/selftest\", or plain http:// with a host"));
    None
}

/// A misspelled placeholder would be taken at its word.
fn placeholders(written: &str, node: &Node, problems: &mut Problems) {
    for part in written.split('{').skip(1) {
        let Some((name, _)) = part.split_once('}') else { continue };
        let word = !name.is_empty() && name.bytes().all(|it| it.is_ascii_alphabetic() || it == b'_');
        if word && name != "endpoint" {
            let message = format!("`{{{}}}` stands for nothing", shown(name));
            problems.push(
                Report::error(Code::Check, node.at, message)
                    .help("`{endpoint}` is the address of the version"),
            );
        }
    }
}

fn timeout(node: &Node, problems: &mut Problems) -> Option<Duration> {
    let time: Duration = fields::parsed(node, text::duration, problems)?;
    if time > Duration::ZERO && time <= TIMEOUT_MAX {
        return Some(time);
    }
    let report = Report::error(Code::Limit, node.at, "a check takes some time, and at most a day");
    problems.push(report.help("for example timeout: 5m"));
    None
}

/// Acceptance tests take their time.
const RUN_WITHIN: Duration = Duration::from_secs(5 * 60);
/// An answer does not.
const URL_WITHIN: Duration = Duration::from_secs(10);
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);
const NAME_BYTES_MAX: usize = 100;
