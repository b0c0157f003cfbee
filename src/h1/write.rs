//! Writes heads for the other side: one pass over the lines, straight into the buffer that is sent.
//!
//! Lines keep their order and case; what speaks of one connection ends here; what frames the body is
//! written from what was decided. Neighbouring lines that go on unchanged are copied as one stretch.

mod shared;

use crate::message::{
    Field, Framing, HeaderEdit, Line, MethodKind, OwnLine, RequestHead, ResponseHead, Span, is_replaced,
};

use super::forwarded::{self, ForwardedInfo};
use super::syntax::push_decimal;

/// How a request is written to an upstream.
#[derive(Clone, Copy, Debug)]
pub struct RequestWriting<'a> {
    /// The path; the query follows as the client sent it.
    pub path: &'a str,
    /// Framing of the body that will follow.
    pub framing: Framing,
    /// The route's changes.
    pub edits: &'a [HeaderEdit],
    /// Who asks.
    pub forwarded: ForwardedInfo<'a>,
    /// What else we say; the route's changes go before it.
    pub own: &'a [OwnLine<'a>],
    /// The `Host` of an HTTP/1.0 request that has none: the endpoint's name and port.
    pub fallback_host: &'a str,
    /// Whether the change of protocol that the client asks for is passed on.
    pub upgrade: bool,
    /// Whether the upstream is asked for a 100 before the body.
    pub expect: bool,
    /// Whether the upstream may send trailers.
    pub te_trailers: bool,
    /// Whether the upstream is asked to close after its response.
    pub close: bool,
}

/// How a response is written to a client.
#[derive(Clone, Copy, Debug)]
pub struct ResponseWriting<'a> {
    /// Framing of the body that will follow. `None` keeps the upstream's length for HEAD and 304;
    /// `UntilClose` implies `close`.
    pub framing: Framing,
    /// Whether the connection is closed afterwards.
    pub close: bool,
    /// Whether the client speaks HTTP/1.0, which must be told that the connection stays.
    pub client_http10: bool,
    /// The route's changes.
    pub edits: &'a [HeaderEdit],
    /// What we say; the route's changes go before it.
    pub own: &'a [OwnLine<'a>],
    /// Added when the upstream sent none.
    pub date: &'a [u8; 29],
    /// Whether trailers are passed on, so that the `Trailer` line stays.
    pub trailers: bool,
}

/// Appends the request that `head` came to, whole. `buf` is what it was parsed from.
pub fn write_request(head: &RequestHead, buf: &[u8], how: &RequestWriting<'_>, out: &mut Vec<u8>) {
    out.reserve(head.len + ROOM);
    out.extend_from_slice(head.method.of(buf));
    out.push(b' ');
    out.extend_from_slice(how.path.as_bytes());
    if let Some(query) = head.query {
        out.push(b'?');
        out.extend_from_slice(query.of(buf));
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let edits = Edits(how.edits);
    if !head.lines.iter().any(|it| it.field == Field::Host) && !edits.replace(b"host") {
        let named = head.host.whole.of(buf);
        push_line(out, b"host", if named.is_empty() { how.fallback_host.as_bytes() } else { named });
    }
    let length_told = write_request_lines(head, buf, how, &edits, out);
    write_framing(how.framing, length_told, out);
    if how.te_trailers {
        push_line(out, b"te", b"trailers");
    }
    let upgrade = head.upgrade.filter(|_| how.upgrade);
    if let Some(protocol) = upgrade {
        push_line(out, b"upgrade", protocol.of(buf));
    }
    write_connection([(upgrade.is_some(), "upgrade"), (how.te_trailers, "te"), (how.close, "close")], out);
    let wanted = |name: &str| !edits.replace(name.as_bytes());
    forwarded::write(head, buf, &how.forwarded, wanted, out);
    write_own(how.own, &edits, out);
    edits.write(out);
    out.extend_from_slice(b"\r\n");
}

/// Whether the length of the body was written in the place where the client had it.
fn write_request_lines(
    head: &RequestHead,
    buf: &[u8],
    how: &RequestWriting<'_>,
    edits: &Edits<'_>,
    out: &mut Vec<u8>,
) -> bool {
    let mut length_told = false;
    let mut copier = Copier::default();
    for line in &head.lines {
        if line.nominated || edits.replace_line(line, buf) {
            continue;
        }
        match line.field {
            Field::Other | Field::Authorization | Field::Cookie | Field::Date | Field::SetCookie => {
                copier.copy(line, buf, out);
            }
            Field::Host => copier.replace(line, head.host.whole.of(buf), buf, out),
            Field::ContentLength => {
                if let Framing::Length(length) = how.framing {
                    copier.replace_with_number(line, length, buf, out);
                    length_told = true;
                }
            }
            Field::Expect if how.expect => copier.copy(line, buf, out),
            Field::MaxForwards => match head.max_forwards {
                Some(left) if head.kind == MethodKind::Options => {
                    copier.replace_with_number(line, left.saturating_sub(1), buf, out);
                }
                _ => copier.copy(line, buf, out),
            },
            Field::Forwarded
            | Field::XForwardedFor
            | Field::XForwardedHost
            | Field::XForwardedOther
            | Field::XForwardedPort
            | Field::XForwardedProto
            | Field::XRealIp => {
                if forwarded::passes(line.field, line.value.of(buf), &how.forwarded) {
                    copier.copy(line, buf, out);
                }
            }
            Field::Traceparent | Field::Tracestate | Field::XRequestId => {
                if !is_replaced(how.own, line.field) {
                    copier.copy(line, buf, out);
                }
            }
            // Hop by hop, ours alone, or answered here.
            Field::Connection
            | Field::Expect
            | Field::Http2Settings
            | Field::KeepAlive
            | Field::ProxyAuthenticate
            | Field::ProxyAuthorization
            | Field::ProxyConnection
            | Field::Te
            | Field::Tidegate
            | Field::Trailer
            | Field::TransferEncoding
            | Field::Upgrade => {}
        }
    }
    copier.flush(buf, out);
    length_told
}

/// Appends the response that `head` came to, whole; a 101 with its `Upgrade`.
pub fn write_response(head: &ResponseHead, buf: &[u8], how: &ResponseWriting<'_>, out: &mut Vec<u8>) {
    let edits = Edits(how.edits);
    let framing = match (how.framing, head.content_length) {
        // What a GET would have brought, or what the cached copy has.
        (Framing::None, Some(length)) if head.status >= 200 && head.status != 204 => Framing::Length(length),
        (framing, _) => framing,
    };
    let close = (how.close || framing == Framing::UntilClose) && !head.upgraded;
    // RFC 9110 section 15.5.22: a 426 must say which protocol would do.
    let upgrade = head.upgraded || head.status == 426;
    write_status_line(head, buf, out);
    let kept = Kept { framing, upgrade, trailer: how.trailers, own: how.own };
    let told = write_response_lines(head, buf, &kept, &edits, out);
    write_framing(framing, told.length, out);
    let stays = how.client_http10 && !close && !head.upgraded;
    write_connection([(told.upgrade, "upgrade"), (close, "close"), (stays, "keep-alive")], out);
    if !told.date && !edits.replace(b"date") {
        push_line(out, b"date", how.date);
    }
    write_own(how.own, &edits, out);
    edits.write(out);
    if edits.give_a_cookie() && shared::may_be_stored(head, buf, &edits) {
        push_line(out, b"cache-control", shared::FOR_ONE);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends an interim (1xx, not 101) response.
pub fn write_interim(head: &ResponseHead, buf: &[u8], out: &mut Vec<u8>) {
    write_status_line(head, buf, out);
    let kept = Kept { framing: Framing::None, upgrade: false, trailer: false, own: &[] };
    write_response_lines(head, buf, &kept, &Edits(&[]), out);
    out.extend_from_slice(b"\r\n");
}

fn write_status_line(head: &ResponseHead, buf: &[u8], out: &mut Vec<u8>) {
    out.reserve(head.len + ROOM);
    out.extend_from_slice(b"HTTP/1.1 ");
    push_decimal(out, u64::from(head.status));
    out.push(b' ');
    out.extend_from_slice(head.reason.of(buf));
    out.extend_from_slice(b"\r\n");
}

/// Which of the lines that are usually dropped or replaced stay.
struct Kept<'a> {
    framing: Framing,
    upgrade: bool,
    trailer: bool,
    own: &'a [OwnLine<'a>],
}

/// Which lines were there and need not be added.
#[derive(Default)]
struct Told {
    length: bool,
    upgrade: bool,
    date: bool,
}

fn write_response_lines(
    head: &ResponseHead,
    buf: &[u8],
    kept: &Kept<'_>,
    edits: &Edits<'_>,
    out: &mut Vec<u8>,
) -> Told {
    let mut told = Told::default();
    let mut copier = Copier::default();
    for line in &head.lines {
        // A 101 and a 426 nominate their `Upgrade`, as they must.
        let stays = line.field == Field::Upgrade && kept.upgrade;
        if (line.nominated && !stays) || edits.replace_line(line, buf) {
            continue;
        }
        match line.field {
            Field::ContentLength => {
                if let (Framing::Length(length), false) = (kept.framing, told.length) {
                    copier.replace_with_number(line, length, buf, out);
                    told.length = true;
                }
            }
            Field::Upgrade if stays => {
                copier.copy(line, buf, out);
                told.upgrade = true;
            }
            Field::Trailer if kept.trailer => copier.copy(line, buf, out),
            Field::Tidegate if line.name.of(buf).eq_ignore_ascii_case(b"x-tidegate-error") => {}
            Field::XRequestId if is_replaced(kept.own, Field::XRequestId) => {}
            field if field.is_hop_by_hop() => {}
            field => {
                told.date |= field == Field::Date;
                copier.copy(line, buf, out);
            }
        }
    }
    copier.flush(buf, out);
    told
}

/// What is added to a head, roughly, so that it is written without growing the buffer twice.
const ROOM: usize = 384;

fn write_framing(framing: Framing, length_told: bool, out: &mut Vec<u8>) {
    match framing {
        Framing::Length(length) if !length_told => {
            out.extend_from_slice(b"content-length: ");
            push_decimal(out, length);
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => push_line(out, b"transfer-encoding", b"chunked"),
        Framing::Length(_) | Framing::None | Framing::UntilClose => {}
    }
}

fn write_connection(options: [(bool, &str); 3], out: &mut Vec<u8>) {
    let mut before = "connection: ";
    for (_, option) in options.iter().filter(|it| it.0) {
        out.extend_from_slice(before.as_bytes());
        out.extend_from_slice(option.as_bytes());
        before = ", ";
    }
    if before == ", " {
        out.extend_from_slice(b"\r\n");
    }
}

/// Lines of our own, save those that the route says otherwise about.
fn write_own(own: &[OwnLine<'_>], edits: &Edits<'_>, out: &mut Vec<u8>) {
    for line in own.iter().filter(|it| !it.value.is_empty() && !edits.replace(it.name.as_bytes())) {
        push_line(out, line.name.as_bytes(), line.value);
    }
}

pub(super) fn push_line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// Copies lines, neighbours in one go.
#[derive(Default)]
struct Copier {
    /// Not copied yet; ends behind a line.
    run: Span,
}

impl Copier {
    fn copy(&mut self, line: &Line, buf: &[u8], out: &mut Vec<u8>) {
        let (start, end) = (line.name.start as usize, line.value.end as usize);
        let as_we_write = line.value.start == line.name.end + 2
            && &buf[line.name.end as usize..][..2] == b": "
            && buf.get(end..end + 2) == Some(b"\r\n");
        if !as_we_write {
            self.flush(buf, out);
            push_line(out, line.name.of(buf), line.value.of(buf));
        } else if self.run.end as usize == start {
            self.run.end += (end + 2 - start) as u32;
        } else {
            self.flush(buf, out);
            self.run = Span::new(start..end + 2);
        }
    }

    fn replace(&mut self, line: &Line, value: &[u8], buf: &[u8], out: &mut Vec<u8>) {
        if line.value.of(buf) == value {
            self.copy(line, buf, out);
        } else {
            self.flush(buf, out);
            push_line(out, line.name.of(buf), value);
        }
    }

    fn replace_with_number(&mut self, line: &Line, value: u64, buf: &[u8], out: &mut Vec<u8>) {
        self.flush(buf, out);
        out.extend_from_slice(line.name.of(buf));
        out.extend_from_slice(b": ");
        push_decimal(out, value);
        out.extend_from_slice(b"\r\n");
    }

    fn flush(&mut self, buf: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(self.run.of(buf));
        self.run = Span::EMPTY;
    }
}

/// A route's changes of a head. Usually there are none, and asking costs nothing.
struct Edits<'a>(&'a [HeaderEdit]);

impl Edits<'_> {
    fn replace_line(&self, line: &Line, buf: &[u8]) -> bool {
        !self.0.is_empty() && self.replace(line.name.of(buf))
    }

    /// Whether lines of that name that are there already have to go.
    fn replace(&self, name: &[u8]) -> bool {
        replaces(self.0, name)
    }

    fn give_a_cookie(&self) -> bool {
        self.0.iter().any(|it| matches!(it, HeaderEdit::Cookie(_)))
    }

    /// Appends what was set and added, unless a later change takes it away again.
    fn write(&self, out: &mut Vec<u8>) {
        for (at, edit) in self.0.iter().enumerate() {
            let (name, value) = match edit {
                HeaderEdit::Set(name, value) | HeaderEdit::Add(name, value) => (name.as_str(), value),
                HeaderEdit::Cookie(value) => ("set-cookie", value),
                HeaderEdit::Remove(_) => continue,
            };
            if is_editable(name.as_bytes()) && !replaces(&self.0[at + 1..], name.as_bytes()) {
                push_line(out, name.as_bytes(), value.as_bytes());
            }
        }
    }
}

fn replaces(edits: &[HeaderEdit], name: &[u8]) -> bool {
    edits.iter().any(|edit| match edit {
        HeaderEdit::Set(it, _) | HeaderEdit::Remove(it) => {
            it.as_bytes().eq_ignore_ascii_case(name) && is_editable(name)
        }
        HeaderEdit::Add(..) | HeaderEdit::Cookie(_) => false,
    })
}

/// The configuration refuses these names already; a mistake there must not become a way to smuggle.
fn is_editable(name: &[u8]) -> bool {
    let field = Field::of(name);
    !field.is_hop_by_hop() && field != Field::ContentLength
}

#[cfg(test)]
mod tests;
