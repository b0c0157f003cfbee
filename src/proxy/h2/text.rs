//! Heads as HTTP/2 has them, and the same as the text of HTTP/1.

use bytes::Bytes;
use h2::ext::Protocol;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Response, StatusCode, Uri};
use memchr::{memchr, memchr3, memmem};

use super::super::buffer::Buffer;
use super::super::message::{Field, Refusal};

/// Writes a request's head into an empty `buffer`; its length. `ends` says that no content follows.
///
/// What the rules for HTTP/1 cannot see any more in the text is refused here: an authority and a `host`
/// that differ, a scheme that is not ours, more than `lines_max` lines (crumbs of cookies count one by one
/// before they are joined, RFC 9113 section 8.2.3).
///
/// An extended CONNECT (RFC 8441) becomes the upgrade that it stands for; `bits` are for its key.
pub(super) fn write_request(
    request: &http::request::Parts,
    ends: bool,
    lines_max: usize,
    bits: impl FnMut() -> u64,
    buffer: &mut Buffer,
) -> Result<usize, Refusal> {
    let headers = &request.headers;
    if headers.len() > lines_max {
        return Err(Refusal::TooManyHeaders);
    }
    if request.uri.scheme().is_some_and(|it| *it != Scheme::HTTP && *it != Scheme::HTTPS) {
        return Err(Refusal::BadTarget);
    }
    let authority = request.uri.authority().map(Authority::as_str);
    let mut out = Out(buffer);
    let protocol = request.extensions.get::<Protocol>().filter(|_| !ends);
    let method = if protocol.is_some() { Method::GET.as_str() } else { request.method.as_str() };
    // A plain CONNECT has none; it is refused before that is looked at.
    let target = request.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    out.push(&[method.as_bytes(), b" ", target.as_bytes(), b" HTTP/1.1\r\n"])?;
    if let Some(authority) = authority {
        out.push(&[b"host: ", authority.as_bytes(), b"\r\n"])?;
    }
    let mut crumbs_joined = false;
    for (name, value) in headers {
        if *name == header::HOST {
            match authority {
                Some(named) if named.as_bytes().eq_ignore_ascii_case(value.as_bytes()) => continue,
                Some(_) => return Err(Refusal::BadHost),
                None => {}
            }
        }
        if *name == header::COOKIE {
            if !crumbs_joined {
                crumbs_joined = true;
                write_cookie(headers, &mut out)?;
            }
            continue;
        }
        let value = checked(value)?;
        out.push(&[name.as_str().as_bytes(), b": ", value, b"\r\n"])?;
    }
    match protocol {
        Some(protocol) => {
            out.push(&[b"connection: upgrade\r\nupgrade: ", protocol.as_str().as_bytes(), b"\r\n"])?;
            out.push(&[b"sec-websocket-key: ", &websocket_key(bits), b"\r\n"])?;
        }
        None if !ends && !headers.contains_key(header::CONTENT_LENGTH) => {
            out.push(&[b"transfer-encoding: chunked\r\n"])?;
        }
        None => {}
    }
    out.push(&[b"\r\n"])?;
    Ok(out.0.filled().len())
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

fn write_cookie(headers: &HeaderMap, out: &mut Out<'_>) -> Result<(), Refusal> {
    let mut before: &[u8] = b"cookie: ";
    for crumb in headers.get_all(header::COOKIE) {
        out.push(&[before, checked(crumb)?])?;
        before = b"; ";
    }
    out.push(&[b"\r\n"])
}

/// Writes an answer's head into an empty `buffer`, as far as there is room. `ends` says that no content
/// follows.
pub(super) fn write_response(head: &http::response::Parts, ends: bool, buffer: &mut Buffer) -> Option<()> {
    let mut out = Out(buffer);
    let status = head.status;
    out.push(&[b"HTTP/1.1 ", status.as_str().as_bytes(), b" "]).ok()?;
    out.push(&[status.canonical_reason().unwrap_or_default().as_bytes(), b"\r\n"]).ok()?;
    for (name, value) in &head.headers {
        out.push(&[name.as_str().as_bytes(), b": ", checked(value).ok()?, b"\r\n"]).ok()?;
    }
    if !ends && !head.headers.contains_key(header::CONTENT_LENGTH) {
        out.push(&[b"transfer-encoding: chunked\r\n"]).ok()?;
    }
    out.push(&[b"\r\n"]).ok()
}

/// Trailers as lines, and the empty one.
pub(super) fn write_trailers(trailers: &HeaderMap) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in trailers {
        let Ok(value) = checked(value) else { continue };
        for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// A value that ends no line. The library promises that already; everything rests on it, so we look.
fn checked(value: &HeaderValue) -> Result<&[u8], Refusal> {
    let value = value.as_bytes();
    if memchr3(b'\r', b'\n', 0, value).is_some() { Err(Refusal::BadHeader) } else { Ok(value) }
}

struct Out<'a>(&'a mut Buffer);

impl Out<'_> {
    fn push(&mut self, parts: &[&[u8]]) -> Result<(), Refusal> {
        if parts.iter().all(|it| self.0.push(it)) { Ok(()) } else { Err(Refusal::HeadTooLarge) }
    }
}

/// The length of the first head in `text`, with the empty line that ends it.
pub(super) fn head_len(text: &[u8]) -> Option<usize> {
    memmem::find(text, b"\r\n\r\n").map(|it| it + 4)
}

/// The answer whose head we have written as `head`.
pub(super) fn response(head: &[u8]) -> Option<Response<()>> {
    let status = StatusCode::from_bytes(head.get(STATUS_AT..STATUS_AT + 3)?).ok()?;
    let lines = memchr(b'\n', head)? + 1;
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = fields(&head[lines..])?;
    Some(response)
}

/// The request whose head we have written as `head`.
pub(super) fn request(head: &[u8], scheme: Scheme) -> Option<Request<()>> {
    let line = &head[..memchr(b'\r', head)?];
    let (method, rest) = line.split_at(memchr(b' ', line)?);
    let target = rest[1..].strip_suffix(b" HTTP/1.1")?;
    let mut fields = fields(&head[line.len() + 2..])?;
    let mut uri = http::uri::Parts::default();
    let host = fields.remove(header::HOST)?;
    uri.scheme = Some(scheme);
    uri.authority = Some(Authority::from_maybe_shared(Bytes::copy_from_slice(host.as_bytes())).ok()?);
    uri.path_and_query = Some(PathAndQuery::from_maybe_shared(Bytes::copy_from_slice(target)).ok()?);
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(method).ok()?;
    *request.uri_mut() = Uri::from_parts(uri).ok()?;
    if memmem::find(head, b"\r\nte: trailers\r\n").is_some() {
        fields.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    *request.headers_mut() = fields;
    Some(request)
}

/// Where the status stands in what we write.
const STATUS_AT: usize = "HTTP/1.1 ".len();

/// Trailer lines, as the reader of an HTTP/1 body keeps them.
pub(super) fn trailers(lines: &[u8]) -> Option<HeaderMap> {
    fields(lines)
}

/// Lines that we have written, up to the empty one, without those that speak of an HTTP/1 connection.
/// Values share one copy of the text.
fn fields(lines: &[u8]) -> Option<HeaderMap> {
    let shared = Bytes::copy_from_slice(lines);
    let mut fields = HeaderMap::with_capacity(USUAL);
    let mut at = 0;
    while let Some(len) = memchr(b'\r', &lines[at..]).filter(|len| *len > 0) {
        let line = &lines[at..at + len];
        let colon = memchr(b':', line)?;
        let name = &line[..colon];
        let field = Field::of(name);
        if !field.is_hop_by_hop() || field == Field::Trailer {
            let value = at + (colon + 2).min(len)..at + len;
            let value = HeaderValue::from_maybe_shared(shared.slice(value)).ok()?;
            fields.try_append(HeaderName::from_bytes(name).ok()?, value).ok()?;
        }
        at += len + 2;
    }
    Some(fields)
}

/// Room for the lines of most answers.
const USUAL: usize = 16;

#[cfg(test)]
mod tests;
