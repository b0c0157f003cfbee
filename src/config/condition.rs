//! What a request can be asked for: hosts, paths, methods, headers and query parameters.

use crate::routing::{
    HeaderCondition, HostPattern, PathCondition, PathPattern, QueryCondition, TextCondition,
};

use super::code::Code;
use super::endpoint::is_host_name;
use super::fields::{self, Fields, Shape};
use super::node::{Entry, Node, Value, Word};
use super::problem::{Problems, Report};
use super::source::At;
use super::yaml::{is_invisible, shown};

pub(super) const PATH: Shape = Shape { name: "PathForm", what: "`path`", keys: &["exact", "regex"] };

pub(super) const PRESENT: Shape = Shape { name: "Present", what: "a condition", keys: &["present"] };

/// Longest header value that the file may ask for or set, in bytes.
const VALUE_BYTES_MAX: usize = 4096;

/// Most conditions on headers, and on the query, of one route. Requests have 100 headers by default, so more
/// are a slip; and each is looked at for each request of the route's path.
const CONDITIONS_MAX: usize = 100;

/// One host or a list of hosts.
pub(super) fn hosts(node: &Node, problems: &mut Problems) -> Option<Vec<(HostPattern, At)>> {
    let items = fields::one_or_more(node, "a host or a list of hosts", problems)?;
    if items.is_empty() {
        let report = Report::error(Code::Missing, node.at, "a list of no hosts");
        problems.push(report.help("leave the key out, or write \"*\" for any host"));
        return None;
    }
    let hosts: Vec<_> = items.into_iter().map(|it| host(it, problems).map(|host| (host, it.at))).collect();
    hosts.into_iter().collect()
}

fn host(node: &Node, problems: &mut Problems) -> Option<HostPattern> {
    let written = fields::text(node, problems)?;
    let lower = written.to_ascii_lowercase();
    if lower == "*" {
        return Some(HostPattern::Any);
    }
    let suffix = lower.strip_prefix("*.");
    let name = suffix.unwrap_or(&lower);
    let address = suffix.is_none() && is_address(name);
    if address || is_host_name(name) {
        return Some(match suffix {
            Some(suffix) => HostPattern::Wildcard(suffix.to_owned()),
            None => HostPattern::Exact(lower),
        });
    }
    let help = if written.contains("://") || written.contains('/') {
        "only the name, without scheme and path: shop.example.com"
    } else if written.contains(':') {
        "leave out the port: hosts are compared without it"
    } else if !written.is_ascii() {
        "write the name as it travels, in Punycode: xn--…"
    } else if written.contains('*') {
        "the star stands for whole labels in front: \"*.example.com\""
    } else {
        "a name such as shop.example.com or \"*.example.com\""
    };
    let message = format!("`{}` is not a host", shown(written));
    problems.push(Report::error(Code::Host, node.at, message).help(help));
    None
}

fn is_address(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    inner.map_or_else(
        || host.parse::<std::net::Ipv4Addr>().is_ok(),
        |it| it.parse::<std::net::Ipv6Addr>().is_ok(),
    )
}

/// A text is a prefix; `{exact: …}` and `{regex: …}` are the other forms.
pub(super) fn path_condition(node: &Node, problems: &mut Problems) -> Option<PathCondition> {
    let Value::Map(_) = &node.value else {
        let path = path(node, problems)?;
        let trimmed = path.trim_end_matches('/');
        return Some(PathCondition::Prefix(if trimmed.is_empty() { "/".into() } else { trimmed.into() }));
    };
    let fields = Fields::of(node, node.at, &PATH, problems)?;
    match (fields.get("exact"), fields.get("regex")) {
        (Some(node), None) => path(node, problems).map(PathCondition::Exact),
        (None, Some(node)) => regex(node, problems),
        (Some(_), Some(_)) => {
            problems.push(Report::error(Code::Path, node.at, "either `exact` or `regex`"));
            None
        }
        (None, None) => {
            let report = Report::error(Code::Path, node.at, "`path` says nothing");
            problems
                .push(report.help("a prefix: path: /api; or {exact: /login}, or {regex: \"^/v[0-9]+/\"}"));
            None
        }
    }
}

/// Compiled here only to say what is wrong with it at the place where it is written.
fn regex(node: &Node, problems: &mut Problems) -> Option<PathCondition> {
    let written = fields::text(node, problems)?;
    if let Err(error) = PathPattern::new(written) {
        let report = Report::error(Code::Regex, node.at, "the regular expression cannot be used");
        problems.push(report.help(error.to_string()));
        return None;
    }
    Some(PathCondition::Regex(written.to_owned()))
}

/// A path in the form in which requests are compared with it and forwarded.
pub(super) fn path(node: &Node, problems: &mut Problems) -> Option<String> {
    let written = fields::text(node, problems)?;
    match normal_path(written) {
        Ok(it) => Some(it),
        Err(help) => {
            let message = format!("`{}` is not a path", shown(written));
            problems.push(Report::error(Code::Path, node.at, message).help(help));
            None
        }
    }
}

/// Percent escapes in upper case; those that requests are compared without are refused.
fn normal_path(written: &str) -> Result<String, String> {
    if !written.starts_with('/') {
        return Err("a path begins with `/`".into());
    }
    if let Some(c) = written.chars().find(|c| matches!(c, '?' | '#') || c.is_ascii_control() || *c == ' ') {
        return Err(match c {
            '?' => "conditions on the query go under `query`".into(),
            c => format!("`{}` cannot stand in a path", c.escape_default()),
        });
    }
    if let Some(c) = written.chars().find(|c| !c.is_ascii()) {
        let mut bytes = [0; 4];
        let escaped: String = c.encode_utf8(&mut bytes).bytes().map(|it| format!("%{it:02X}")).collect();
        return Err(format!("write `{c}` as requests do: {escaped}"));
    }
    if written.split('/').any(|it| matches!(it, "." | "..")) {
        return Err("`.` and `..` are resolved before paths are compared".into());
    }
    let mut normal = String::with_capacity(written.len());
    let mut rest = written;
    while let Some(at) = rest.find('%') {
        let escape = rest.get(at + 1..at + 3).filter(|it| it.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = escape.and_then(|it| u8::from_str_radix(it, 16).ok());
        let Some(byte) = byte else { return Err("`%` is followed by two hexadecimal digits".into()) };
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            return Err(format!(
                "write `{}` instead of %{byte:02X}: requests are compared so",
                char::from(byte)
            ));
        }
        normal.push_str(&rest[..at]);
        normal.push_str(&format!("%{byte:02X}"));
        rest = &rest[at + 3..];
    }
    normal.push_str(rest);
    Ok(normal)
}

/// One method or a list of methods.
pub(super) fn methods(node: &Node, problems: &mut Problems) -> Option<Vec<String>> {
    let items = fields::one_or_more(node, "a method or a list of methods", problems)?;
    let methods: Vec<_> = items.into_iter().map(|it| method(it, problems)).collect();
    methods.into_iter().collect()
}

fn method(node: &Node, problems: &mut Problems) -> Option<String> {
    let written = token(node, problems)?;
    if written.bytes().any(|it| it.is_ascii_lowercase()) {
        let help = format!("methods are compared exactly; did you mean `{}`?", written.to_ascii_uppercase());
        let message = format!("`{}` is not a method that anybody sends", shown(&written));
        problems.push(Report::error(Code::Value, node.at, message).help(help));
        return None;
    }
    Some(written)
}

/// `{x-beta: "1"}` or `{x-beta: {present: true}}`; all of them must hold.
pub(super) fn headers(node: &Node, problems: &mut Problems) -> Option<Vec<HeaderCondition>> {
    let entries = not_too_many(fields::entries(node, "`header`", problems)?, node, problems)?;
    let mut conditions = Vec::new();
    for entry in entries.iter().filter(|it| !it.value.is_null()) {
        let name = header_name(&entry.key, problems);
        let value = text_condition(&entry.value, header_value, problems);
        conditions.push(name.zip(value).map(|(name, value)| HeaderCondition { name, value }));
    }
    if conditions.is_empty() {
        problems.push(Report::error(Code::Missing, node.at, "`header` names no header"));
        return None;
    }
    conditions.into_iter().collect()
}

/// `{a: b}` or `{a: {present: true}}`; all of them must hold.
pub(super) fn query(node: &Node, problems: &mut Problems) -> Option<Vec<QueryCondition>> {
    let entries = not_too_many(fields::entries(node, "`query`", problems)?, node, problems)?;
    let mut conditions = Vec::new();
    for entry in entries.iter().filter(|it| !it.value.is_null()) {
        let value = text_condition(
            &entry.value,
            |node, problems| fields::text(node, problems).map(str::to_owned),
            problems,
        );
        conditions.push(value.map(|value| QueryCondition { name: entry.key.text.clone(), value }));
    }
    conditions.into_iter().collect()
}

fn not_too_many<'a>(entries: &'a [Entry], node: &Node, problems: &mut Problems) -> Option<&'a [Entry]> {
    if entries.len() <= CONDITIONS_MAX {
        return Some(entries);
    }
    let message = format!("{} conditions in one route", entries.len());
    problems.push(Report::error(Code::Limit, node.at, message).help(format!("at most {CONDITIONS_MAX}")));
    None
}

fn text_condition(
    node: &Node,
    reader: impl FnOnce(&Node, &mut Problems) -> Option<String>,
    problems: &mut Problems,
) -> Option<TextCondition> {
    let Value::Map(_) = &node.value else {
        return reader(node, problems).map(TextCondition::Exact);
    };
    let fields = Fields::of(node, node.at, &PRESENT, problems)?;
    let present = fields.required("present", "write a value, or {present: true}", problems)?;
    if fields::boolean(&present.value, problems)? {
        return Some(TextCondition::Present);
    }
    let report = Report::error(Code::Value, present.value.at, "a condition cannot ask for absence");
    problems.push(report.help("put a route that asks for presence before this one"));
    None
}

/// A token of RFC 9110 §5.6.2: names of headers, cookies and methods.
pub(super) fn token(node: &Node, problems: &mut Problems) -> Option<String> {
    let word = fields::word(node, problems)?;
    checked_token(&word, problems)
}

fn checked_token(word: &Word, problems: &mut Problems) -> Option<String> {
    if is_token(&word.text) {
        return Some(word.text.clone());
    }
    let message = format!("`{}` has characters that cannot stand here", shown(&word.text));
    let help = "letters, digits and !#$%&'*+-.^_`|~";
    problems.push(Report::error(Code::Header, word.at, message).help(help));
    None
}

/// The name of a header in lower case.
pub(super) fn header_name(word: &Word, problems: &mut Problems) -> Option<String> {
    checked_token(word, problems).map(|it| it.to_ascii_lowercase())
}

fn is_token(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.len() <= 256 && text.bytes().all(legal)
}

/// The value of a header: no control characters, so that no value can begin another line.
pub(super) fn header_value(node: &Node, problems: &mut Problems) -> Option<String> {
    let written = fields::text(node, problems)?;
    let message = if written.chars().any(is_invisible) {
        "a header value has no control characters".to_string()
    } else if written.len() > VALUE_BYTES_MAX {
        format!("a header value has at most {VALUE_BYTES_MAX} bytes")
    } else if written.trim() != written {
        "a header value has no blanks at its ends".to_string()
    } else {
        return Some(written.to_owned());
    };
    problems.push(Report::error(Code::Header, node.at, message));
    None
}
