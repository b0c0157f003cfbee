//! A cookie for one client on an answer that others may get from a cache (RFC 9111 section 3).

use crate::message::{HeaderEdit, ResponseHead};

use super::super::syntax::{list, trim};
use super::Edits;

/// What keeps shared caches from handing the cookie to everybody: they may store the answer, without that line
/// (RFC 9111 section 5.2.2.7); those that do not read it so closely do not store it. `no-cache="set-cookie"` would
/// not do: after a validation that somebody else asked for, the stored line may be used again.
pub const FOR_ONE: &[u8] = b"private=\"set-cookie\"";

/// Statuses that caches may store although nothing says so (RFC 9110 section 15.1).
const STORED_UNASKED: [u16; 12] = [200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501];

/// Whether a shared cache may store the answer as it goes out. What is asked for is not looked at: it can only
/// forbid more.
pub fn may_be_stored(head: &ResponseHead, buf: &[u8], edits: &Edits<'_>) -> bool {
    let came = |name: &'static str| {
        let lines = head.values(buf, name);
        lines.filter(move |_| !edits.replace(name.as_bytes()))
    };
    let mut stored = STORED_UNASKED.contains(&head.status) || came("expires").next().is_some();
    let added = edits.0.iter().filter_map(|it| match it {
        HeaderEdit::Set(name, value) | HeaderEdit::Add(name, value)
            if name.eq_ignore_ascii_case("cache-control") =>
        {
            Some(value.as_bytes())
        }
        _ => None,
    });
    for directive in came("cache-control").chain(added).flat_map(list) {
        let (name, argument) = match directive.iter().position(|it| *it == b'=') {
            Some(at) => (trim(&directive[..at]), true),
            None => (directive, false),
        };
        let is = |it: &str| name.eq_ignore_ascii_case(it.as_bytes());
        if is("no-store") || is("private") && !argument {
            return false;
        }
        stored |= is("public") || is("max-age") || is("s-maxage");
    }
    stored
}
