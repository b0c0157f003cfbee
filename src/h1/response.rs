//! Reads a response head.
//!
//! An upstream is trusted more than a client, and still its connection is shared: a response whose end is
//! doubtful could hand one user's answer to another. So doubt is a 502 here too. What is forgiven, since it
//! leaves no doubt: a `Content-Length` that is repeated with one value, a status line without a reason and
//! without the blank before it.

use std::mem::MaybeUninit;

use httparse::{Error, Header, ParserConfig};
use memchr::memchr;

use crate::message::{Field, Framing, Line, Malformed, MethodKind, ResponseHead, Span};

use super::limits::HEADERS_MAX;
use super::lines::{self, Connection, Length};
use super::request::is_upgrade_target;
use super::{Asked, ResponseLimits};

/// Reads `buf`, exactly the head that [`super::HeadScanner::scan_response`] found, into `into`.
pub fn parse_response(
    buf: &[u8],
    limits: &ResponseLimits,
    asked: Asked,
    into: &mut ResponseHead,
) -> Result<(), Malformed> {
    if limits.headers <= USUAL {
        let mut headers = [const { MaybeUninit::uninit() }; USUAL];
        parse_with(buf, &mut headers[..limits.headers], asked, into)
    } else {
        let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        parse_with(buf, &mut headers[..limits.headers.min(HEADERS_MAX)], asked, into)
    }
}

/// Space on the stack for this many headers is enough with the usual limit.
const USUAL: usize = 128;

fn parse_with<'b>(
    buf: &'b [u8],
    headers: &mut [MaybeUninit<Header<'b>>],
    asked: Asked,
    into: &mut ResponseHead,
) -> Result<(), Malformed> {
    let mut parsed = httparse::Response::new(&mut []);
    let status = ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, buf, headers)
        .map_err(malformed_of)?;
    into.len = if status.is_partial() { return Err(Malformed::BadHeader) } else { buf.len() };
    into.status = parsed.code.filter(|it| *it >= 100).ok_or(Malformed::BadStatusLine)?;
    into.http10 = parsed.version == Some(0);
    into.reason = find_reason(buf);
    let facts = read_lines(buf, parsed.headers, into);
    into.content_length = match facts.length {
        Length::Absent => None,
        Length::Once(length) | Length::Repeated(length) => Some(length),
        Length::Bad => return Err(Malformed::BadFraming),
    };
    into.upgraded = into.status == 101;
    if into.upgraded && !(asked.upgrade && facts.upgrade && !into.http10) {
        return Err(Malformed::UnaskedUpgrade);
    }
    into.framing = framing(&facts, asked.kind, into)?;
    decide_hops(&facts, asked.kind, buf, into)
}

fn malformed_of(error: Error) -> Malformed {
    match error {
        Error::HeaderName | Error::HeaderValue => Malformed::BadHeader,
        Error::NewLine => Malformed::BadLineEnd,
        Error::Status | Error::Token => Malformed::BadStatusLine,
        Error::TooManyHeaders => Malformed::TooManyHeaders,
        Error::Version => Malformed::NotHttp,
    }
}

/// The rest of the status line, which `httparse` withholds when it is not ASCII.
fn find_reason(buf: &[u8]) -> Span {
    const START: usize = "HTTP/1.1 200 ".len();
    let end = memchr(b'\r', buf).unwrap_or(buf.len());
    if end < START { Span::EMPTY } else { Span::new(START..end) }
}

/// What the lines say, before it is weighed.
#[derive(Default)]
struct Facts {
    length: Length,
    codings: u32,
    chunked: bool,
    connection: Connection,
    upgrade: bool,
}

fn read_lines(buf: &[u8], headers: &[Header<'_>], into: &mut ResponseHead) -> Facts {
    into.lines.clear();
    let mut facts = Facts::default();
    for header in headers {
        let field = Field::of(header.name.as_bytes());
        into.lines.push(Line {
            name: Span::of_part(buf, header.name.as_bytes()),
            value: Span::of_part(buf, header.value),
            field,
            nominated: false,
        });
        match field {
            Field::ContentLength => facts.length.note(header.value),
            Field::TransferEncoding => {
                facts.codings += 1;
                facts.chunked = header.value.eq_ignore_ascii_case(b"chunked");
            }
            Field::Connection => facts.connection.note(header.value),
            Field::Upgrade => facts.upgrade = is_upgrade_target(header.value),
            _ => {}
        }
    }
    facts
}

/// RFC 9112 section 6.3.
fn framing(facts: &Facts, asked: MethodKind, head: &ResponseHead) -> Result<Framing, Malformed> {
    let coded = facts.codings > 0;
    if coded && (head.content_length.is_some() || head.http10 || facts.codings > 1 || !facts.chunked) {
        return Err(Malformed::BadFraming);
    }
    if has_no_body(asked, head.status) {
        return Ok(Framing::None);
    }
    Ok(match head.content_length {
        _ if coded => Framing::Chunked,
        Some(length) => Framing::Length(length),
        None => Framing::UntilClose,
    })
}

fn has_no_body(asked: MethodKind, status: u16) -> bool {
    asked == MethodKind::Head || status < 200 || matches!(status, 204 | 304)
}

/// What holds for this connection only.
fn decide_hops(
    facts: &Facts,
    asked: MethodKind,
    buf: &[u8],
    into: &mut ResponseHead,
) -> Result<(), Malformed> {
    let connection = &facts.connection;
    // An upstream that announces a body where there is none may also send it, after the next request.
    let announced = into.content_length.is_some_and(|it| it > 0) || facts.codings > 0;
    let misled = announced && asked != MethodKind::Head && (into.status < 200 || into.status == 204);
    into.keep_alive = !connection.close
        && (!into.http10 || connection.keep_alive)
        && into.framing != Framing::UntilClose
        && !misled;
    if connection.nominations > lines::NOMINATIONS_MAX {
        return Err(Malformed::BadHeader);
    }
    if connection.nominations > 0 {
        lines::mark_nominated(&mut into.lines, buf);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
