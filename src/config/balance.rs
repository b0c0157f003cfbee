//! `balance`: how an endpoint is chosen within a version.

use crate::routing::{Balance, Bound, HashBy, Hashing};

use super::code::Code;
use super::condition;
use super::fields::{self, Fields, Shape};
use super::node::{Node, Value};
use super::problem::{Problems, Report};
use super::yaml::shown;

pub(super) const BALANCE: Shape = Shape { name: "Balance", what: "`balance`", keys: &["hash"] };

pub(super) const HASH: Shape = Shape { name: "Hash", what: "`hash`", keys: &["by", "name", "bound"] };

/// A word, or a map that says what is hashed.
pub(super) fn balance(node: &Node, problems: &mut Problems) -> Option<Balance> {
    #[derive(Clone, Copy)]
    enum Is {
        RoundRobin,
        LeastRequest,
        Hash,
    }
    let Value::Map(_) = &node.value else {
        let choices =
            [("round_robin", Is::RoundRobin), ("least_request", Is::LeastRequest), ("hash", Is::Hash)];
        return Some(match fields::choice(node, &choices, problems)? {
            Is::RoundRobin => Balance::RoundRobin,
            Is::LeastRequest => Balance::LeastRequest,
            Is::Hash => Balance::Hash(Hashing::default()),
        });
    };
    let fields = Fields::of(node, node.at, &BALANCE, problems)?;
    let hash =
        fields.required("hash", "for example balance: {hash: {by: header, name: x-user}}", problems)?;
    hashing(&hash.value, problems).map(Balance::Hash)
}

fn hashing(node: &Node, problems: &mut Problems) -> Option<Hashing> {
    let fields = Fields::of(node, node.at, &HASH, problems)?;
    let by = hash_by(node, &fields, problems);
    let bound = match fields.get("bound") {
        None => None,
        Some(it) if it.is_word("off") => None,
        Some(it) => Some(bound(it, problems)?),
    };
    Some(Hashing { by: by?, bound })
}

/// More than an even share.
fn bound(node: &Node, problems: &mut Problems) -> Option<Bound> {
    let written = fields::text(node, problems)?;
    let percent = written.strip_suffix('%').map(str::trim_end).and_then(|it| it.parse::<u32>().ok());
    let found = percent.and_then(Bound::from_percent);
    if found.is_none() {
        let (least, most) = Bound::RANGE;
        let message = format!("`{}` is no bound for an endpoint", shown(written));
        let report = Report::error(Code::Balance, node.at, message);
        problems.push(report.help(format!(
            "whole percents of an even share, from {least}% to {most}%; 150% is a good one; or off"
        )));
    }
    found
}

fn hash_by(node: &Node, fields: &Fields<'_>, problems: &mut Problems) -> Option<HashBy> {
    #[derive(Clone, Copy)]
    enum By {
        Unit,
        Address,
        Header,
        Cookie,
        Path,
    }
    let choices = [
        ("unit", By::Unit),
        ("address", By::Address),
        ("header", By::Header),
        ("cookie", By::Cookie),
        ("path", By::Path),
    ];
    let by = match fields.get("by") {
        Some(it) => fields::choice(it, &choices, problems)?,
        None => By::Unit,
    };
    match (by, fields.entry("name")) {
        (By::Unit, None) => Some(HashBy::Unit),
        (By::Address, None) => Some(HashBy::Address),
        (By::Path, None) => Some(HashBy::Path),
        (By::Unit | By::Address | By::Path, Some(name)) => {
            let report = Report::error(Code::Balance, name.key.at, "only a header or a cookie has a name");
            problems.push(report.help("with `name`, say `by: header` or `by: cookie`"));
            None
        }
        (By::Header | By::Cookie, None) => {
            let report = Report::error(Code::Balance, node.at, "which cookie or header?");
            problems.push(report.help("add its name: balance: {hash: {by: header, name: x-user}}"));
            None
        }
        (By::Header, Some(name)) => {
            condition::token(&name.value, problems).map(|it| HashBy::Header(it.to_ascii_lowercase()))
        }
        (By::Cookie, Some(name)) => condition::token(&name.value, problems).map(HashBy::Cookie),
    }
}
