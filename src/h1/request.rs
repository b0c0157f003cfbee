//! Reads a request head.
//!
//! Where the line between two requests runs must be beyond doubt for every reader down the road. So a
//! request has one `Host`, at most one `Content-Length` (a number) or one `Transfer-Encoding` (exactly
//! `chunked`), never both, and a target of the form that its method may have.

use std::mem::MaybeUninit;

use httparse::{Error, Header, ParserConfig};

use crate::message::{Authority, Field, Framing, Line, MethodKind, Refusal, RequestHead, Span, TargetForm};

use super::limits::{HEADERS_MAX, RequestLimits, Underscores};
use super::lines::{self, Connection, Length};
use super::scan::METHOD_MAX;
use super::syntax::{authority, decimal, list};

/// Reads `buf`, exactly the head that [`super::HeadScanner::scan`] found, into `into`. What `into` holds
/// after a refusal means nothing.
pub fn parse_request(buf: &[u8], limits: &RequestLimits, into: &mut RequestHead) -> Result<(), Refusal> {
    if limits.headers <= USUAL {
        let mut headers = [const { MaybeUninit::uninit() }; USUAL];
        parse_with(buf, limits, &mut headers[..limits.headers], into)
    } else {
        let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        parse_with(buf, limits, &mut headers[..limits.headers.min(HEADERS_MAX)], into)
    }
}

/// Space on the stack for this many headers is enough with the usual limit.
const USUAL: usize = 128;

fn parse_with<'b>(
    buf: &'b [u8],
    limits: &RequestLimits,
    headers: &mut [MaybeUninit<Header<'b>>],
    into: &mut RequestHead,
) -> Result<(), Refusal> {
    let mut parsed = httparse::Request::new(&mut []);
    let status = ParserConfig::default()
        .parse_request_with_uninit_headers(&mut parsed, buf, headers)
        .map_err(refusal_of)?;
    into.len = if status.is_partial() { return Err(Refusal::BadHeader) } else { buf.len() };
    let method = parsed.method.unwrap_or_default().as_bytes();
    let target = parsed.path.unwrap_or_default().as_bytes();
    into.http10 = parsed.version == Some(0);
    into.method = Span::of_part(buf, method);
    into.kind = MethodKind::of(method);
    into.target = Span::of_part(buf, target);
    if method.len() > METHOD_MAX {
        return Err(Refusal::MethodTooLong);
    }
    if matches!(into.kind, MethodKind::Connect | MethodKind::Trace) {
        return Err(Refusal::MethodNotAllowed);
    }
    if target.len() > limits.uri {
        return Err(Refusal::UriTooLong);
    }
    let named = split_target(buf, into)?;
    let facts = read_lines(buf, parsed.headers, limits.underscores, into)?;
    into.host = agree_on_host(buf, &facts, named, into.http10)?;
    into.framing = framing(&facts, into)?;
    decide_hops(&facts, buf, into)
}

fn refusal_of(error: Error) -> Refusal {
    match error {
        Error::HeaderName | Error::HeaderValue | Error::Status => Refusal::BadHeader,
        Error::NewLine => Refusal::BadLineEnd,
        Error::Token => Refusal::BadRequestLine,
        Error::TooManyHeaders => Refusal::TooManyHeaders,
        Error::Version => Refusal::BadVersion,
    }
}

/// The authority of an absolute form, and the port that its scheme implies.
struct Named {
    authority: Authority,
    port: u16,
}

/// Finds form, path and query, and the authority if the target has one.
fn split_target(buf: &[u8], into: &mut RequestHead) -> Result<Option<Named>, Refusal> {
    let target = into.target.of(buf);
    if target.iter().any(|&byte| byte == b'#' || !(0x21..0x7f).contains(&byte)) {
        return Err(Refusal::BadTarget);
    }
    let start = into.target.start as usize;
    let (at, named) = match target {
        b"*" if into.kind == MethodKind::Options => {
            (into.form, into.path, into.query) = (TargetForm::Asterisk, into.target, None);
            return Ok(None);
        }
        [b'/', ..] => (0, None),
        _ => {
            let (at, named) = split_absolute(target, start)?;
            (at, Some(named))
        }
    };
    let rest = &target[at..];
    let path = rest.iter().position(|&byte| byte == b'?').unwrap_or(rest.len());
    into.path = Span::new(start + at..start + at + path);
    into.query = (path < rest.len()).then(|| Span::new(start + at + path + 1..start + target.len()));
    into.form = match named {
        None => TargetForm::Origin,
        // RFC 9112 section 3.2.4: this is how a client of a proxy writes `OPTIONS *`.
        Some(_) if rest.is_empty() && into.kind == MethodKind::Options => TargetForm::Asterisk,
        Some(_) => TargetForm::Absolute,
    };
    Ok(named)
}

fn split_absolute(target: &[u8], start: usize) -> Result<(usize, Named), Refusal> {
    let begins = |scheme: &[u8]| {
        target.get(..scheme.len()).is_some_and(|it| it.eq_ignore_ascii_case(scheme)).then_some(scheme.len())
    };
    let (at, port) = match (begins(b"http://"), begins(b"https://")) {
        (Some(at), _) => (at, 80),
        (_, Some(at)) => (at, 443),
        (None, None) => return Err(Refusal::BadTarget),
    };
    let rest = &target[at..];
    let len = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let authority = read_authority(&rest[..len], start + at).ok_or(Refusal::BadHost)?;
    Ok((at + len, Named { authority, port }))
}

fn read_authority(text: &[u8], start: usize) -> Option<Authority> {
    let (name, port) = authority(text)?;
    Some(Authority {
        whole: Span::new(start..start + text.len()),
        name: Span::new(start..start + name),
        port,
    })
}

/// What the lines say, before it is weighed.
#[derive(Default)]
struct Facts {
    host: Option<Span>,
    hosts: u32,
    length: Length,
    codings: u32,
    chunked: bool,
    connection: Connection,
    upgrade: Option<Span>,
    upgrades: u32,
    expects: bool,
    te_trailers: bool,
}

fn read_lines(
    buf: &[u8],
    headers: &[Header<'_>],
    underscores: Underscores,
    into: &mut RequestHead,
) -> Result<Facts, Refusal> {
    into.lines.clear();
    into.dropped = 0;
    into.max_forwards = None;
    let mut facts = Facts::default();
    for header in headers {
        let name = header.name.as_bytes();
        let field = Field::of(name);
        if !field.is_exact() && name.contains(&b'_') {
            match underscores {
                Underscores::Refuse => return Err(Refusal::Underscore),
                Underscores::Keep if !lines::passes_for_another(name) => {}
                Underscores::Drop | Underscores::Keep => {
                    into.dropped += 1;
                    continue;
                }
            }
        }
        let value = Span::of_part(buf, header.value);
        into.lines.push(Line { name: Span::of_part(buf, name), value, field, nominated: false });
        if field != Field::Other {
            note(&mut facts, field, value, header.value, into)?;
        }
    }
    Ok(facts)
}

fn note(
    facts: &mut Facts,
    field: Field,
    span: Span,
    value: &[u8],
    into: &mut RequestHead,
) -> Result<(), Refusal> {
    match field {
        Field::Host => (facts.host, facts.hosts) = (Some(span), facts.hosts + 1),
        Field::ContentLength => facts.length.note(value),
        Field::TransferEncoding => {
            (facts.codings, facts.chunked) = (facts.codings + 1, value.eq_ignore_ascii_case(b"chunked"));
        }
        Field::Connection => facts.connection.note(value),
        Field::Upgrade => (facts.upgrade, facts.upgrades) = (Some(span), facts.upgrades + 1),
        Field::Te => {
            facts.te_trailers |= list(value).any(|it| it.eq_ignore_ascii_case(b"trailers"));
        }
        Field::Expect if value.eq_ignore_ascii_case(b"100-continue") => facts.expects = true,
        Field::Expect => return Err(Refusal::UnknownExpectation),
        Field::MaxForwards if into.kind == MethodKind::Options => {
            into.max_forwards = Some(decimal(value).ok_or(Refusal::BadHeader)?);
        }
        _ => {}
    }
    Ok(())
}

/// One host, whoever names it. The target's authority wins over `Host` (RFC 9112 section 3.2.2), but if
/// they differ somebody is trying something.
fn agree_on_host(
    buf: &[u8],
    facts: &Facts,
    named: Option<Named>,
    http10: bool,
) -> Result<Authority, Refusal> {
    let header = match (facts.host, facts.hosts) {
        (Some(span), 1) => Some(read_authority(span.of(buf), span.start as usize).ok_or(Refusal::BadHost)?),
        (None, _) if http10 => None,
        _ => return Err(Refusal::BadHost),
    };
    match (named, header) {
        (None, header) => Ok(header.unwrap_or_default()),
        (Some(named), None) => Ok(named.authority),
        (Some(Named { authority, port }), Some(header)) => {
            let same_name = authority.name.of(buf).eq_ignore_ascii_case(header.name.of(buf));
            let same_port = authority.port.unwrap_or(port) == header.port.unwrap_or(port);
            if same_name && same_port { Ok(authority) } else { Err(Refusal::BadHost) }
        }
    }
}

/// RFC 9112 section 6.3, without the cases in which it lets a server guess.
fn framing(facts: &Facts, head: &RequestHead) -> Result<Framing, Refusal> {
    let may_have_body = matches!(head.kind, MethodKind::Post | MethodKind::Put | MethodKind::Patch);
    match (facts.codings, facts.length) {
        (0, Length::Absent) if head.http10 && may_have_body => Err(Refusal::LengthRequired),
        (0, Length::Absent) => Ok(Framing::None),
        (0, Length::Once(length)) => Ok(Framing::Length(length)),
        (0, _) => Err(Refusal::BadFraming),
        (1, Length::Absent) if head.http10 => Err(Refusal::BadFraming),
        (1, Length::Absent) if facts.chunked => Ok(Framing::Chunked),
        (1, Length::Absent) => Err(Refusal::UnsupportedCoding),
        _ => Err(Refusal::BadFraming),
    }
}

/// What holds for this connection only.
fn decide_hops(facts: &Facts, buf: &[u8], into: &mut RequestHead) -> Result<(), Refusal> {
    let connection = &facts.connection;
    into.keep_alive = !connection.close && (!into.http10 || connection.keep_alive);
    into.te_trailers = facts.te_trailers && !into.http10;
    // HTTP/1.0 knows no 100, and without a body there is nothing to wait for.
    into.expect_continue = facts.expects && !into.http10 && !into.framing.is_empty();
    // A body would have to be over before the protocol changes; nobody who upgrades sends one.
    let may_upgrade = connection.upgrade && facts.upgrades == 1 && !into.http10 && into.framing.is_empty();
    into.upgrade = facts.upgrade.filter(|it| may_upgrade && is_upgrade_target(it.of(buf)));
    if connection.nominations > lines::NOMINATIONS_MAX {
        return Err(Refusal::BadConnection);
    }
    if connection.nominations > 0 {
        lines::mark_nominated(&mut into.lines, buf);
    }
    Ok(())
}

/// h2c would carry further requests past every rule of ours inside one of this connection (RFC 9113
/// section 3.1 has withdrawn it).
pub(super) fn is_upgrade_target(value: &[u8]) -> bool {
    let mut protocols = list(value).peekable();
    let some = protocols.peek().is_some();
    some && protocols.all(|it| !it.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"h2c")))
}

#[cfg(test)]
mod tests;
