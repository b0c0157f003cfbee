//! Finds the end of a head while it arrives.
//!
//! One search for CR, LF or NUL per line: a sound line has its first at its end. Whatever else is wrong
//! with a line is left to the parser, except what is worth refusing before the head is complete.

use std::ops::Range;

use memchr::{memchr, memchr3};

use crate::message::{Malformed, Refusal};

use super::syntax::is_token_byte;
use super::{RequestLimits, ResponseLimits};

/// Remembers how far it has looked, so that a head that arrives byte by byte costs as much as one
/// that arrives whole.
#[derive(Clone, Debug, Default)]
pub struct HeadScanner {
    /// Where the search goes on.
    at: usize,
    /// Where the current line begins.
    line: usize,
    /// Where the first line begins: behind an empty line, if there was one.
    start: usize,
}

impl HeadScanner {
    /// At the start of a head.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts over for the next head.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Looks at `buf`, which begins with the head and holds everything received so far. `Some(len)` when
    /// the head is complete: its bytes, an empty line before it included. Refuses as early as it is certain.
    pub fn scan(&mut self, buf: &[u8], limits: &RequestLimits) -> Result<Option<usize>, Refusal> {
        loop {
            match self.next_line(buf) {
                Err(BadLineEnd { seen }) => return Err(self.refuse_line_end(&buf[..=seen], limits)),
                // Some old clients end a body with a line end too many; one is forgiven, once.
                Ok(Some(line)) if line.is_empty() && line.start == 0 => self.start = line.end + 2,
                Ok(Some(line)) if line.is_empty() && line.start == self.start => {
                    return Err(Refusal::BadRequestLine);
                }
                Ok(Some(line)) if line.is_empty() => {
                    let len = line.end + 2;
                    return if len > limits.head { Err(Refusal::HeadTooLarge) } else { Ok(Some(len)) };
                }
                Ok(Some(line)) if line.start == self.start => {
                    check_request_line(&buf[line.start..=line.end], limits)?
                }
                Ok(Some(_)) => {}
                Ok(None) => {
                    if self.line == self.start {
                        self.not_even_http(buf).map_or(Ok(()), Err)?;
                        check_partial_request_line(&buf[self.start..], limits)?;
                    }
                    return if buf.len() > limits.head { Err(Refusal::HeadTooLarge) } else { Ok(None) };
                }
            }
        }
    }

    /// The same for a response.
    pub fn scan_response(&mut self, buf: &[u8], limits: &ResponseLimits) -> Result<Option<usize>, Malformed> {
        let start = &buf[..buf.len().min(HTTP_1.len())];
        if start != &HTTP_1[..start.len()] {
            return Err(Malformed::NotHttp);
        }
        loop {
            match self.next_line(buf) {
                Err(BadLineEnd { seen }) if seen > limits.head => return Err(Malformed::HeadTooLarge),
                Err(BadLineEnd { .. }) => return Err(Malformed::BadLineEnd),
                Ok(Some(line)) if line.is_empty() => {
                    let len = line.end + 2;
                    return if len > limits.head { Err(Malformed::HeadTooLarge) } else { Ok(Some(len)) };
                }
                Ok(Some(_)) => {}
                Ok(None) if buf.len() > limits.head => return Err(Malformed::HeadTooLarge),
                Ok(None) => return Ok(None),
            }
        }
    }

    /// The next whole line without its end.
    fn next_line(&mut self, buf: &[u8]) -> Result<Option<Range<usize>>, BadLineEnd> {
        let Some(offset) = memchr3(b'\r', b'\n', 0, &buf[self.at..]) else {
            self.at = buf.len();
            return Ok(None);
        };
        let end = self.at + offset;
        match (buf[end], buf.get(end + 1)) {
            (b'\r', Some(b'\n')) => {
                let line = self.line..end;
                (self.at, self.line) = (end + 2, end + 2);
                Ok(Some(line))
            }
            (b'\r', None) => {
                self.at = end;
                Ok(None)
            }
            (b'\r', Some(_)) => Err(BadLineEnd { seen: end + 1 }),
            _ => Err(BadLineEnd { seen: end }),
        }
    }

    /// What a client hears whose bytes, up to the one that shows it, hold a bad line end: the same as if
    /// they had arrived one by one.
    fn refuse_line_end(&self, seen: &[u8], limits: &RequestLimits) -> Refusal {
        let before = &seen[..seen.len() - 1];
        if before.len() > limits.head {
            return Refusal::HeadTooLarge;
        }
        if self.line > self.start {
            return Refusal::BadLineEnd;
        }
        self.not_even_http(seen)
            .or_else(|| check_partial_request_line(before.get(self.start..)?, limits).err())
            .unwrap_or(Refusal::BadLineEnd)
    }

    /// A method begins with a token byte; a TLS handshake, for one, does not.
    fn not_even_http(&self, buf: &[u8]) -> Option<Refusal> {
        let first = *buf.get(self.start)?;
        let may_begin = is_token_byte(first) || first == b'\r' || first == b'\n';
        (self.line == self.start && !may_begin).then_some(Refusal::NotHttp)
    }
}

/// A line that ends in a bare LF, or holds a lone CR or a NUL.
struct BadLineEnd {
    /// The byte that shows it.
    seen: usize,
}

/// What every response we understand begins with.
const HTTP_1: &[u8] = b"HTTP/1.";

/// Longest method. The known ones have at most 17 (`UPDATEREDIRECTREF`); a longer one is no method.
pub(super) const METHOD_MAX: usize = 32;

/// What follows the target in a request line.
const VERSION_LEN: usize = " HTTP/1.1".len();

/// A line that is still arriving grows no longer than a sound one may.
fn check_partial_request_line(line: &[u8], limits: &RequestLimits) -> Result<(), Refusal> {
    match memchr(b' ', &line[..line.len().min(METHOD_MAX + 1)]) {
        None if line.len() > METHOD_MAX => Err(Refusal::MethodTooLong),
        // The version and a CR may stand behind the target already.
        Some(space) if line.len() - space - 1 > limits.uri + VERSION_LEN + 1 => Err(Refusal::UriTooLong),
        _ => Ok(()),
    }
}

/// A whole line with its CR: its lengths, and that it ends in a version we speak. An HTTP/0.9 request,
/// which has no head to wait for, is thereby answered at once.
fn check_request_line(line: &[u8], limits: &RequestLimits) -> Result<(), Refusal> {
    if !is_token_byte(line[0]) {
        return Err(Refusal::NotHttp);
    }
    check_partial_request_line(line, limits)?;
    let line = &line[..line.len() - 1];
    let Some(space) = memchr(b' ', line) else { return Err(Refusal::BadRequestLine) };
    let (start, version) = line.split_at(line.len().saturating_sub(VERSION_LEN));
    match version {
        b" HTTP/1.1" | b" HTTP/1.0" if start.len() <= space => Err(Refusal::BadRequestLine),
        b" HTTP/1.1" | b" HTTP/1.0" if start.len() - space - 1 > limits.uri => Err(Refusal::UriTooLong),
        b" HTTP/1.1" | b" HTTP/1.0" => Ok(()),
        // The connection preface of HTTP/2: a client that did not ask first.
        b" HTTP/2.0" if line.starts_with(b"PRI ") => Err(Refusal::NotHttp),
        [b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(Refusal::UnsupportedVersion)
        }
        _ => Err(Refusal::BadVersion),
    }
}
