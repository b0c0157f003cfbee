//! Heads as HTTP/2 has them, and the same as the text of HTTP/1.
//!
//! What the text cannot hold, or would hide, is found here: whatever is malformed by RFC 9113 section 8.

use memchr::{memchr, memmem};

use crate::h1::{decimal, is_token_byte, is_value_byte};
use crate::message::{Field, Refusal};

use super::super::grpc;
use super::hpack::{Encoder, Fields};
use super::session::Rules;

/// A message that breaks the rules: its stream is reset, and nobody gets to see it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Malformed;

/// What must be known of a head that is text now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Facts {
    /// How much content is announced, if that is certain.
    pub length: Option<u64>,
    /// Whether the message is gRPC's.
    pub is_call: bool,
    /// Status of an answer.
    pub status: u16,
}

/// Appends a request's head. `ends` says that no content follows.
///
/// What the rules for HTTP/1 cannot see any more in the text is refused here: an authority and a `host`
/// that differ, a scheme that is not ours or not that of a secure connection, more lines than the `rules` allow
/// (crumbs of cookies count one by one before they are joined, RFC 9113 section 8.2.3).
///
/// An extended CONNECT (RFC 8441) becomes the upgrade that it stands for; `bits` are for its key.
pub fn write_request(
    fields: &Fields,
    ends: bool,
    rules: &Rules,
    bits: impl FnMut() -> u64,
    out: &mut Vec<u8>,
) -> Result<Result<Facts, Refusal>, Malformed> {
    if has_blank_ends(fields) {
        return Err(Malformed);
    }
    let first = First::of(fields)?;
    let (method, path) = (first.method.ok_or(Malformed)?, first.path);
    if !method.iter().all(|it| is_token_byte(*it)) || method.is_empty() {
        return Err(Malformed);
    }
    let target = match (method, first.protocol, first.scheme, path) {
        // A plain one names a host and nothing else. It is refused, with an answer.
        (b"CONNECT", None, None, None) => &b"/"[..],
        (b"CONNECT", None, ..) | (_, _, None, _) | (_, _, _, None) => return Err(Malformed),
        (_, Some(_), ..) if method != b"CONNECT" => return Err(Malformed),
        (_, _, _, Some(path)) => path,
    };
    let origin = target.starts_with(b"/") || (target == b"*" && method == b"OPTIONS");
    if !origin || !target.iter().all(|it| (0x21..0x7f).contains(it)) {
        return Err(Malformed);
    }
    let tunnel = first.protocol.filter(|_| !ends);
    let mut facts = Facts::default();
    let put = |parts: &[&[u8]], out: &mut Vec<u8>| parts.iter().for_each(|it| out.extend_from_slice(it));
    put(&[if tunnel.is_some() { b"GET" } else { method }, b" ", target, b" HTTP/1.1\r\n"], out);
    if let Some(authority) = first.authority {
        put(&[b"host: ", authority, b"\r\n"], out);
    }
    let (mut why, mut cookie, mut lengths) = (None, false, 0);
    for index in first.count..fields.count() {
        let (name, value) = fields.get(index);
        check_line(name, value)?;
        match name {
            b"host" => match first.authority {
                Some(named) if named.eq_ignore_ascii_case(value) => continue,
                Some(_) => why = Some(Refusal::BadHost),
                None => {}
            },
            b"cookie" => {
                if !std::mem::replace(&mut cookie, true) {
                    write_cookie(fields, index, out);
                }
                continue;
            }
            b"content-length" => {
                facts.length = decimal(value);
                lengths += 1;
            }
            b"content-type" => facts.is_call |= grpc::is_kind(value),
            _ => {}
        }
        put(&[name, b": ", value, b"\r\n"], out);
    }
    match tunnel {
        Some(protocol) => {
            put(&[b"connection: upgrade\r\nupgrade: ", protocol, b"\r\n"], out);
            put(&[b"sec-websocket-key: ", &websocket_key(bits), b"\r\n"], out);
        }
        None if !ends && lengths == 0 => put(&[b"transfer-encoding: chunked\r\n"], out),
        // What anticipates content says that there is none (RFC 9110 section 8.6).
        None if lengths == 0 && matches!(method, b"POST" | b"PUT" | b"PATCH") => {
            put(&[b"content-length: 0\r\n"], out);
        }
        None => {}
    }
    put(&[b"\r\n"], out);
    if lengths > 1 {
        // Which one counts is for nobody to guess: the reader of the text refuses.
        facts.length = None;
    }
    // Whoever ends TLS in front of us may say `https` in clear text; nobody says `http` inside of it.
    let ours =
        |it: &[u8]| it.eq_ignore_ascii_case(b"https") || (it.eq_ignore_ascii_case(b"http") && !rules.secure);
    if first.scheme.is_some_and(|it| !ours(it)) {
        why = Some(Refusal::BadTarget);
    }
    if fields.count() - first.count > rules.lines {
        why = Some(Refusal::TooManyHeaders);
    }
    Ok(why.map_or(Ok(facts), Err))
}

/// The fields that stand for the first line, which come before all others.
#[derive(Default)]
struct First<'a> {
    method: Option<&'a [u8]>,
    scheme: Option<&'a [u8]>,
    authority: Option<&'a [u8]>,
    path: Option<&'a [u8]>,
    protocol: Option<&'a [u8]>,
    status: Option<&'a [u8]>,
    count: usize,
}

impl<'a> First<'a> {
    /// Of a request; an answer's are found too, and are malformed there.
    fn of(fields: &'a Fields) -> Result<Self, Malformed> {
        let first = Self::any(fields)?;
        if first.status.is_some() { Err(Malformed) } else { Ok(first) }
    }

    fn any(fields: &'a Fields) -> Result<Self, Malformed> {
        let mut it = Self::default();
        for (name, value) in fields.iter() {
            if !name.starts_with(b":") {
                break;
            }
            let place = match name {
                b":method" => &mut it.method,
                b":scheme" => &mut it.scheme,
                b":authority" => &mut it.authority,
                b":path" => &mut it.path,
                b":protocol" => &mut it.protocol,
                b":status" => &mut it.status,
                _ => return Err(Malformed),
            };
            if !value.iter().all(|it| is_value_byte(*it)) || place.replace(value).is_some() {
                return Err(Malformed);
            }
            it.count += 1;
        }
        Ok(it)
    }
}

/// RFC 9113 sections 8.2.1 and 8.2.2. A name that begins with a colon comes too late.
fn check_line(name: &[u8], value: &[u8]) -> Result<(), Malformed> {
    let sound = !name.is_empty()
        && name.iter().all(|it| NAME_BYTES[usize::from(*it)])
        && value.iter().all(|it| is_value_byte(*it));
    let of_http1 = match name {
        b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => true,
        b"te" => !value.eq_ignore_ascii_case(b"trailers"),
        _ => false,
    };
    if sound && !of_http1 { Ok(()) } else { Err(Malformed) }
}

/// Whether a value begins or ends with a blank, which HTTP/1 would drop without a word (RFC 9113 section 8.2.1).
pub fn has_blank_ends(fields: &Fields) -> bool {
    let blank = |it: Option<&u8>| matches!(it, Some(b' ' | b'\t'));
    fields.iter().any(|(_, value)| blank(value.first()) || blank(value.last()))
}

/// Sixteen bytes of chance in base64 (RFC 6455 section 4.1), which HTTP/2 has no need of.
fn websocket_key(mut bits: impl FnMut() -> u64) -> [u8; 24] {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut key, mut chance) = ([b'='; 24], (u128::from(bits()) << 64) | u128::from(bits()));
    for digit in &mut key[..22] {
        *digit = DIGITS[(chance & 63) as usize];
        chance >>= 6;
    }
    // The last digit stands for two bits only.
    key[21] = DIGITS[(DIGITS.iter().position(|it| *it == key[21]).unwrap_or(0) & 3) << 4];
    key
}

fn write_cookie(fields: &Fields, first: usize, out: &mut Vec<u8>) {
    let mut before: &[u8] = b"cookie: ";
    for (_, crumb) in (first..fields.count()).map(|it| fields.get(it)).filter(|it| it.0 == b"cookie") {
        out.extend_from_slice(before);
        out.extend_from_slice(crumb);
        before = b"; ";
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends an answer's head. `ends` says that no content follows.
///
/// One that accepts an extended CONNECT (RFC 8441) becomes the change of protocol that it stands for, with the
/// lines that are `accepted` then.
pub fn write_response(
    fields: &Fields,
    ends: bool,
    accepted: Option<&[u8]>,
    out: &mut Vec<u8>,
) -> Result<Facts, Malformed> {
    let first = First::any(fields)?;
    let digits = first.status.filter(|_| first.count == 1).ok_or(Malformed)?;
    let status =
        decimal(digits).filter(|it| digits.len() == 3 && (100..1000).contains(it)).ok_or(Malformed)?;
    let mut facts = Facts { status: status as u16, ..Facts::default() };
    let accepted = accepted.filter(|_| (200..300).contains(&facts.status));
    let reason = http::StatusCode::from_u16(facts.status).ok().and_then(|it| it.canonical_reason());
    let first_line = [b"HTTP/1.1 ", digits, b" ", reason.unwrap_or_default().as_bytes(), b"\r\n"];
    match accepted {
        Some(lines) => {
            out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
            out.extend_from_slice(lines);
        }
        None => first_line.iter().for_each(|it| out.extend_from_slice(it)),
    }
    let mut lengths = 0;
    for index in first.count..fields.count() {
        let (name, value) = fields.get(index);
        check_line(name, value)?;
        // RFC 9110 section 9.3.6: a tunnel has no length, whatever is said.
        if accepted.is_some() && (name == b"content-length" || name == ACCEPTED) {
            continue;
        }
        if name == b"content-length" {
            facts.length = decimal(value);
            lengths += 1;
        }
        for part in [name, b": ", value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    // RFC 9113 section 8.6: there is no change of protocol.
    if facts.status == 101 || (facts.status < 200 && ends) {
        return Err(Malformed);
    }
    if !ends && lengths == 0 && facts.status >= 200 && accepted.is_none() {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    if lengths > 1 {
        facts.length = None;
    }
    out.extend_from_slice(b"\r\n");
    Ok(facts)
}

/// Appends trailers as lines, and the empty one.
pub fn write_trailers(fields: &Fields, out: &mut Vec<u8>) -> Result<(), Malformed> {
    for (name, value) in fields.iter() {
        check_line(name, value)?;
        for part in [name, b": ", value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// The length of the first head in `text`, with the empty line that ends it.
pub fn head_len(text: &[u8]) -> Option<usize> {
    memmem::find(text, b"\r\n\r\n").map(|it| it + 4)
}

/// The status of an answer whose head we have written.
pub fn status(head: &[u8]) -> Option<u16> {
    decimal(head.get(STATUS_AT..STATUS_AT + 3)?).map(|it| it as u16)
}

/// Appends the block of an answer whose head we have written as `head`. One that `accepts` a change of
/// protocol says so as HTTP/2 has it (RFC 8441 section 5): 200, without what belongs to HTTP/1's handshake.
pub fn compress_response(head: &[u8], accepts: bool, encoder: &mut Encoder, out: &mut Vec<u8>) -> Option<()> {
    let lines = memchr(b'\n', head)? + 1;
    let digits = head.get(STATUS_AT..STATUS_AT + 3)?;
    encoder.begin(out);
    encoder.status(if accepts { b"200" } else { digits }, out);
    let dropped = |_, name: &[u8]| accepts && name.eq_ignore_ascii_case(ACCEPTED);
    compress_lines(&head[lines..], dropped, encoder, out);
    Some(())
}

/// Appends the block of a request whose head we have written as `head`. An upgrade to a WebSocket, which is
/// a `tunnel`, is asked for as HTTP/2 has it (RFC 8441).
pub fn compress_request(
    head: &[u8],
    scheme: &str,
    tunnel: bool,
    encoder: &mut Encoder,
    out: &mut Vec<u8>,
) -> Option<()> {
    let line = &head[..memchr(b'\r', head)?];
    let (method, rest) = line.split_at(memchr(b' ', line)?);
    let target = rest[1..].strip_suffix(b" HTTP/1.1")?;
    let lines = &head[line.len() + 2..];
    let host = lines_of(lines).find(|it| Field::of(it.0) == Field::Host)?.1;
    encoder.begin(out);
    encoder.request(if tunnel { b"CONNECT" } else { method }, scheme.as_bytes(), host, target, out);
    if tunnel {
        encoder.field(b":protocol", WEBSOCKET, out);
    }
    let dropped = |field, name: &[u8]| field == Field::Host || (tunnel && name.eq_ignore_ascii_case(KEY));
    compress_lines(lines, dropped, encoder, out);
    if memmem::find(head, b"\r\nte: trailers\r\n").is_some() {
        encoder.field(b"te", b"trailers", out);
    }
    Some(())
}

/// Appends the block of trailer lines, as the reader of an HTTP/1 body keeps them.
pub fn compress_trailers(lines: &[u8], encoder: &mut Encoder, out: &mut Vec<u8>) {
    encoder.begin(out);
    compress_lines(lines, |_, _| false, encoder, out);
}

/// Appends lines that we have written, up to the empty one, without those that speak of an HTTP/1
/// connection and those that are `dropped`.
fn compress_lines(
    lines: &[u8],
    dropped: impl Fn(Field, &[u8]) -> bool,
    encoder: &mut Encoder,
    out: &mut Vec<u8>,
) {
    for (name, value) in lines_of(lines) {
        let field = Field::of(name);
        if (field.is_hop_by_hop() && field != Field::Trailer) || dropped(field, name) {
            continue;
        }
        encoder.field(name, value, out);
    }
}

/// The value of the first line of this name in a head that we have written.
pub fn line<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let lines = memchr(b'\n', head)? + 1;
    lines_of(&head[lines..]).find(|it| it.0.eq_ignore_ascii_case(name)).map(|it| it.1)
}

/// Lines that we have written, up to the empty one.
fn lines_of(lines: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        let len = memchr(b'\r', rest).filter(|len| *len > 0)?;
        let line = &rest[..len];
        rest = rest.get(len + 2..).unwrap_or_default();
        let (name, value) = line.split_at(memchr(b':', line)?);
        Some((name, value.get(2..).unwrap_or_default()))
    })
}

/// Whether a byte may be part of a name: one of a token, and none in upper case.
static NAME_BYTES: [bool; 256] = {
    let (mut may, mut byte) = ([false; 256], 0);
    while byte < 256 {
        may[byte] = is_token_byte(byte as u8) && !(byte as u8).is_ascii_uppercase();
        byte += 1;
    }
    may
};

/// Where the status stands in what we write.
const STATUS_AT: usize = "HTTP/1.1 ".len();

/// The protocol that both have a way to change to.
pub const WEBSOCKET: &[u8] = b"websocket";

/// What belongs to the handshake of HTTP/1 alone.
const KEY: &[u8] = b"sec-websocket-key";
const ACCEPTED: &[u8] = b"sec-websocket-accept";

#[cfg(test)]
mod tests;
