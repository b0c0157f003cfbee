//! The path and host of a request as routes see them.
//!
//! Whoever can make the route and the upstream see two different paths can walk past every rule that
//! hangs on a route. So the path is normalised (RFC 3986 section 6.2.2) before it is compared, and what
//! is forwarded means the same:
//!
//! - Escaped unreserved characters are decoded and the digits of other escapes put in upper case. Both
//!   spellings are the same by definition, so the original bytes are forwarded, for upstreams that sign
//!   or log them.
//! - `.` and `..` elements, escaped or not, are resolved; `//` and `%2F` are, where the listener says so.
//!   That changes which elements there are, and an upstream may or may not do it in the same way: then
//!   the normalised path is forwarded.
//! - A path that leads above the root, `%00`, an escape that is none, a backslash (some servers take it
//!   for a slash) and `..;` (some take it for `..`) are refused: there is no honest use for them.
//!
//! The query is not touched; nothing compares it byte by byte.

use super::{Refusal, RequestHead, Span, TargetForm};

/// How freely paths are read; from the listener's configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct TargetRules {
    /// What happens to `%2F`.
    pub escaped_slashes: EscapedSlashes,
    /// Whether `//` counts as `/`.
    pub merge_slashes: bool,
}

/// What happens to `%2F` in a path.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum EscapedSlashes {
    /// Left as it is; it does not separate elements.
    #[default]
    Keep,
    /// The request is answered 400.
    Reject,
    /// Decoded; it separates elements.
    Decode,
}

/// The normalised target of one request. Reused: a warm one allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Target {
    path: String,
    host: String,
    port: Option<u16>,
    query: Option<Span>,
    original: Span,
    changed: bool,
}

impl Target {
    /// Reads the target of `head`, which was parsed from `buf`.
    pub fn resolve(&mut self, head: &RequestHead, buf: &[u8], rules: &TargetRules) -> Result<(), Refusal> {
        self.host.clear();
        let name = head.host.name.text(buf);
        // `shop.test.` is `shop.test`, said with more certainty.
        self.host.push_str(name.strip_suffix('.').unwrap_or(name));
        self.host.make_ascii_lowercase();
        self.port = head.host.port;
        self.query = head.query;
        self.original = head.path;
        self.path.clear();
        self.changed = match (head.form, head.path.text(buf)) {
            (TargetForm::Asterisk, _) => {
                self.path.push('*');
                true
            }
            (_, "") => {
                self.path.push('/');
                true
            }
            (_, path) => normalise(path, rules, &mut self.path)?,
        };
        Ok(())
    }

    /// The path that routes are compared with; starts with `/`, or is `*`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The host in lower case, without port; empty if the request has none.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port that the client named.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The query as sent, without the question mark.
    pub fn query(&self) -> Option<Span> {
        self.query
    }

    /// The path to forward when no route rewrites it: the original bytes, unless normalising changed
    /// which elements there are; then the normalised path, because the upstream must not read
    /// another path than the one that was matched.
    pub fn forwarded<'a>(&'a self, buf: &'a [u8]) -> &'a str {
        if self.changed { &self.path } else { self.original.text(buf) }
    }
}

/// Appends the normal form of `path`, which begins with `/`, to the empty `out`. Whether the elements of
/// the path have changed.
fn normalise(path: &str, rules: &TargetRules, out: &mut String) -> Result<bool, Refusal> {
    let bytes = path.as_bytes();
    let follows_slash = |byte: u8| byte == b'.' || (rules.merge_slashes && byte == b'/');
    let plain = !bytes.iter().any(|byte| matches!(byte, b'%' | b'\\'))
        && !bytes.windows(2).any(|pair| pair[0] == b'/' && follows_slash(pair[1]));
    if plain {
        out.push_str(path);
        return Ok(false);
    }
    let mut changed = false;
    let mut rest = &bytes[1..];
    out.push('/');
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match byte {
            b'/' => changed |= end_element(out, rules, true)?,
            b'\\' => return Err(Refusal::BadPath),
            b'%' => {
                let [high, low, tail @ ..] = rest else { return Err(Refusal::BadPath) };
                rest = tail;
                let digit = |it: u8| char::from(it).to_digit(16).ok_or(Refusal::BadPath);
                let byte = (digit(*high)? * 16 + digit(*low)?) as u8;
                changed |= push_escaped(byte, out, rules)?;
            }
            _ => out.push(char::from(*byte)),
        }
    }
    changed |= end_element(out, rules, false)?;
    Ok(changed)
}

/// Appends what `%XX` stands for, or a canonical escape.
fn push_escaped(byte: u8, out: &mut String, rules: &TargetRules) -> Result<bool, Refusal> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    match (byte, rules.escaped_slashes) {
        (0, _) | (b'/' | b'\\', EscapedSlashes::Reject) => return Err(Refusal::BadPath),
        (b'/', EscapedSlashes::Decode) => {
            end_element(out, rules, true)?;
            return Ok(true);
        }
        _ => {}
    }
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
        out.push(char::from(byte));
    } else {
        out.push('%');
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    Ok(false)
}

/// Ends the last element of `out`, with a slash if one follows. Whether that resolved something.
fn end_element(out: &mut String, rules: &TargetRules, slash: bool) -> Result<bool, Refusal> {
    let start = out.rfind('/').map_or(0, |it| it + 1);
    match &out[start..] {
        "." => out.truncate(start),
        ".." => {
            let parent = out[..start - 1].rfind('/').ok_or(Refusal::BadPath)?;
            out.truncate(parent + 1);
        }
        "" if slash && rules.merge_slashes => {}
        element if element.starts_with("..;") || element.starts_with(".;") => return Err(Refusal::BadPath),
        _ => {
            if slash {
                out.push('/');
            }
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
