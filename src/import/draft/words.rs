//! Names, hosts, addresses and values that may stand in a file of ours.

use crate::config::{Line, Written};

/// A text; quotes are put around it where it needs them.
pub(in crate::import) fn text(it: impl Into<String>) -> Written {
    let it = it.into();
    // What is no word of YAML may stand bare, and the writer quotes what could be read in another way.
    let plain = !matches!(
        it.to_ascii_lowercase().as_str(),
        "" | "~" | "null" | "true" | "false" | "yes" | "no" | "on" | "off"
    ) && it.parse::<f64>().is_err();
    Written::Text { text: it, plain }
}

/// A word or number that stands bare.
pub(in crate::import) fn word(it: impl ToString) -> Written {
    Written::Text { text: it.to_string(), plain: true }
}

pub(in crate::import) fn map<K: Into<String>>(lines: impl IntoIterator<Item = (K, Written)>) -> Written {
    Written::Map(lines.into_iter().map(|(key, value)| line(key, value)).collect())
}

pub(in crate::import) fn list(items: impl IntoIterator<Item = Written>) -> Written {
    Written::List(items.into_iter().collect())
}

pub(super) fn line(key: impl Into<String>, value: Written) -> Line {
    Line { notes: Vec::new(), key: key.into(), value }
}

/// Our names are letters, digits and `._-`, and begin with a letter or digit.
pub(in crate::import) fn name(text: &str) -> String {
    let fits = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
    let kept: String = text.chars().map(|it| if fits(it) { it } else { '-' }).take(NAME_CHARS_MAX).collect();
    let kept = kept.trim_matches(|it: char| !it.is_ascii_alphanumeric());
    if kept.is_empty() { "unnamed".into() } else { kept.into() }
}

/// As long as our names may be.
pub(super) const NAME_CHARS_MAX: usize = 63;

/// Whether it can stand under `hosts`.
pub(in crate::import) fn is_host(text: &str) -> bool {
    let bare = text.strip_prefix("*.").unwrap_or(text);
    let fits = |it: &str| {
        (1..=63).contains(&it.len())
            && it.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-' || it == b'_')
            && !it.starts_with('-')
            && !it.ends_with('-')
    };
    bare.len() <= 253 && bare.split('.').all(fits)
}

/// An address of an endpoint without a scheme: a name or an address, and perhaps a port.
pub(in crate::import) fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port_fits = port.is_none_or(|it| it.parse::<u16>().is_ok_and(|it| it > 0));
    let bracketed = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let host_fits = match bracketed {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_host(host) && !host.starts_with("*."),
    };
    // A name whose last part is digits is an address that went wrong.
    let numeric = host.rsplit('.').next().is_some_and(|it| it.bytes().all(|it| it.is_ascii_digit()));
    port_fits && host_fits && (bracketed.is_some() || !numeric || host.parse::<std::net::Ipv4Addr>().is_ok())
}

/// A path without escapes and without elements that requests are compared without.
pub(in crate::import) fn is_path(text: &str) -> bool {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"/._~-!$&'()*+,;=:@".contains(&it);
    text.starts_with('/')
        && text.bytes().all(plain)
        && !text.contains("..;")
        && text.split('/').all(|it| it != "." && it != "..")
}

/// A value that is a text whatever it looks like.
pub(in crate::import) fn quoted(it: &str) -> Written {
    Written::Text { text: it.into(), plain: false }
}
