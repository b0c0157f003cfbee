//! What a request carries so that it is known again further on: its id, its trace, and how many gates it has
//! passed.
//!
//! An id is believed only from whom the listener believes, and only if no log, terminal or shell could
//! take it for more than a word. The hops are believed from everybody: whoever makes them up is only
//! refused earlier.

use crate::config::{KeepIds, RequestIds};
use crate::message::{Field, OwnLine, RequestHead};
use crate::telemetry::TraceContext;

use super::traceparent::{self, TraceRule};

/// Longest id that is kept.
const ID_BYTES_MAX: usize = 128;

/// Gates that a request may pass. A chain of so many is a circle.
const HOPS_MAX: u8 = 9;

/// Name of the line that counts the gates.
const HOPS: &str = "x-tidegate-hops";

/// What is added to one request.
pub struct Marks<'a> {
    id: Option<Id<'a>>,
    trace: Option<Traced>,
    /// With the gate that adds it.
    hops: u8,
}

struct Traced {
    context: TraceContext,
    line: [u8; traceparent::LEN],
    /// Whether the trace came along; what its vendors noted goes on with it.
    follows: bool,
}

/// What a listener and the configuration say about marks.
#[derive(Clone, Copy, Debug)]
pub struct MarkRules {
    /// What becomes of ids.
    pub ids: Option<RequestIds>,
    /// Whether the peer is believed.
    pub trusted: bool,
    /// Whether requests take part in traces, and how.
    pub trace: Option<TraceRule>,
}

enum Id<'a> {
    Kept(&'a [u8]),
    Fresh([u8; 32]),
}

/// The request has passed too many gates.
#[derive(Debug, Eq, PartialEq)]
pub struct Looped;

impl<'a> Marks<'a> {
    /// Reads what `head` brings, and draws what it lacks from `bits`.
    pub fn of(
        head: &RequestHead,
        buf: &'a [u8],
        rules: MarkRules,
        mut bits: impl FnMut() -> u64,
    ) -> Result<Self, Looped> {
        let (mut hops, mut given, mut parent) = (0, Given::Nothing, Given::Nothing);
        for line in &head.lines {
            match line.field {
                Field::XRequestId => given = given.and(line.value.of(buf)),
                Field::Traceparent => parent = parent.and(line.value.of(buf)),
                Field::Tidegate if line.name.of(buf).eq_ignore_ascii_case(HOPS.as_bytes()) => {
                    hops = hops.max(passed(line.value.of(buf)));
                }
                _ => {}
            }
        }
        if hops >= HOPS_MAX {
            return Err(Looped);
        }
        let trace = rules.trace.map(|rule| {
            let (context, follows) = traceparent::follow(parent.only(), rule, &mut bits);
            Traced { context, line: traceparent::write(&context), follows }
        });
        let id = rules.ids.map(|ids| {
            let believed = match ids.keep {
                KeepIds::Trusted => rules.trusted,
                KeepIds::Any => true,
                KeepIds::None => false,
            };
            match given.only() {
                Some(id) if believed && is_safe(id) => Id::Kept(id),
                _ => Id::Fresh(hex(&[bits(), bits()])),
            }
        });
        Ok(Self { id, trace, hops: hops + 1 })
    }

    /// The id; empty if there is none.
    pub fn id(&self) -> &[u8] {
        match &self.id {
            None => b"",
            Some(Id::Kept(id)) => id,
            Some(Id::Fresh(id)) => id,
        }
    }

    /// The place in a trace, if requests have one.
    pub fn trace(&self) -> Option<TraceContext> {
        self.trace.as_ref().map(|it| it.context)
    }

    /// The lines that the version gets.
    pub fn lines(&self) -> [OwnLine<'_>; 4] {
        let id = match &self.id {
            None => OwnLine::NONE,
            Some(_) => OwnLine { field: Field::XRequestId, name: "x-request-id", value: self.id() },
        };
        let hops = &DIGITS[usize::from(self.hops)..][..1];
        let (parent, state) = match &self.trace {
            None => (OwnLine::NONE, OwnLine::NONE),
            Some(it) => (
                OwnLine { field: Field::Traceparent, name: "traceparent", value: &it.line },
                // Of another trace it would be a lie.
                OwnLine { field: if it.follows { Field::Other } else { Field::Tracestate }, ..OwnLine::NONE },
            ),
        };
        [id, parent, state, OwnLine { field: Field::Tidegate, name: HOPS, value: hops }]
    }
}

const DIGITS: &[u8] = b"0123456789";

/// Ids that a request came with.
#[derive(Clone, Copy)]
enum Given<'a> {
    Nothing,
    One(&'a [u8]),
    /// Nobody knows which one is meant.
    Several,
}

impl<'a> Given<'a> {
    fn only(self) -> Option<&'a [u8]> {
        match self {
            Self::One(it) => Some(it),
            Self::Nothing | Self::Several => None,
        }
    }

    fn and(self, id: &'a [u8]) -> Self {
        match self {
            Self::Nothing => Self::One(id),
            Self::One(_) | Self::Several => Self::Several,
        }
    }
}

/// How many gates a line speaks of. What is no number speaks of none.
fn passed(value: &[u8]) -> u8 {
    match value {
        [digit @ b'0'..=b'9'] => digit - b'0',
        _ if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => HOPS_MAX,
        _ => 0,
    }
}

fn is_safe(id: &[u8]) -> bool {
    let safe = |it: &u8| it.is_ascii_alphanumeric() || b"-._~:+/=@".contains(it);
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.iter().all(safe)
}

/// The numbers as lower case digits, the highest first.
pub fn hex<const N: usize>(numbers: &[u64]) -> [u8; N] {
    let mut text = [b'0'; N];
    for (at, digit) in text.iter_mut().enumerate() {
        let nibble = numbers[at / 16] >> (60 - 4 * (at % 16)) & 0xF;
        *digit = b"0123456789abcdef"[nibble as usize];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::{HeadScanner, RequestLimits, parse_request};

    /// The id and the hops of a request with these lines.
    fn marks(lines: &str, keep: KeepIds, trusted: bool) -> Result<(String, u8), Looped> {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let (buf, limits, mut head) = (text.as_bytes(), RequestLimits::default(), RequestHead::default());
        let len = HeadScanner::new().scan(buf, &limits).unwrap().unwrap();
        parse_request(&buf[..len], &limits, &mut head).unwrap();
        let ids = Some(RequestIds { keep, ..RequestIds::default() });
        let rules = MarkRules { ids, trusted, trace: None };
        let marks = Marks::of(&head, buf, rules, || 0x0123_4567_89ab_cdef)?;
        Ok((String::from_utf8(marks.id().to_vec()).unwrap(), marks.hops))
    }

    const FRESH: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn an_id_is_kept_from_whom_it_is_believed() {
        let line = "X-Request-Id: a.b-c:1\r\n";
        for (keep, trusted, expected) in [
            (KeepIds::Trusted, true, "a.b-c:1"),
            (KeepIds::Trusted, false, FRESH),
            (KeepIds::Any, false, "a.b-c:1"),
            (KeepIds::None, true, FRESH),
        ] {
            assert_eq!(marks(line, keep, trusted), Ok((expected.into(), 1)), "{keep:?}");
        }
    }

    #[test]
    fn an_id_that_is_more_than_a_word_is_replaced() {
        let long = |len: usize| format!("X-Request-Id: {}\r\n", "a".repeat(len));
        assert_eq!(marks(&long(128), KeepIds::Any, false).unwrap().0.len(), 128);
        for line in [
            long(129),
            long(10_000),
            "X-Request-Id:\r\n".into(),
            "X-Request-Id: a b\r\n".into(),
            "X-Request-Id: \"a\"\r\n".into(),
            "X-Request-Id: a\tb\r\n".into(),
            "X-Request-Id: caf\u{e9}\r\n".into(),
            "X-Request-Id: a\r\nx-request-id: a\r\n".into(),
        ] {
            assert_eq!(marks(&line, KeepIds::Any, true).unwrap().0, FRESH, "{line}");
        }
    }

    #[test]
    fn gates_are_counted() {
        for (lines, expected) in [
            ("", Ok(1)),
            ("X-Tidegate-Hops: 8\r\n", Ok(9)),
            ("X-Tidegate-Hops: 1\r\nx-tidegate-hops: 4\r\n", Ok(5)),
            ("X-Tidegate-Hops: many\r\n", Ok(1)),
            ("X-Tidegate-Hops: 9\r\n", Err(Looped)),
            ("X-Tidegate-Hops: 10\r\n", Err(Looped)),
        ] {
            assert_eq!(marks(lines, KeepIds::None, false).map(|it| it.1), expected, "{lines}");
        }
    }
}
