//! Heads of requests and responses. Both are reused from message to message and keep their capacity.

use super::{Field, MethodKind, Span};

/// Where a body ends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// After so many bytes. `Length(0)` differs from `None` in that the length is written.
    Length(u64),
    /// Where the chunks end.
    Chunked,
    /// Where the connection ends; responses only.
    UntilClose,
}

impl Framing {
    /// Whether not one byte of body follows the head.
    pub fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Length(0))
    }
}

/// A header line in its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Line {
    /// As written by the sender, case included.
    pub name: Span,
    /// Without the blanks around it.
    pub value: Span,
    /// What it means to us.
    pub field: Field,
    /// Whether a `Connection` line names it, so that it ends here.
    pub nominated: bool,
}

/// How a request names what it wants (RFC 9112 section 3.2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TargetForm {
    /// `/path?query`
    #[default]
    Origin,
    /// `http://host/path?query`
    Absolute,
    /// `*`, for `OPTIONS` only.
    Asterisk,
}

/// A host with an optional port, checked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Authority {
    /// Host and port as written.
    pub whole: Span,
    /// The host alone, an IPv6 address with its brackets.
    pub name: Span,
    /// The port, if one is written.
    pub port: Option<u16>,
}

/// A request head that may be forwarded: whatever is refused never becomes one.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    /// As written.
    pub method: Span,
    /// Which one it is.
    pub kind: MethodKind,
    /// The whole target as written.
    pub target: Span,
    /// Its form.
    pub form: TargetForm,
    /// Path of the target without its query; empty in an absolute form without one.
    pub path: Span,
    /// Query of the target without the question mark.
    pub query: Option<Span>,
    /// Whether the client speaks HTTP/1.0.
    pub http10: bool,
    /// Whom the request is for. Empty only if an HTTP/1.0 client sent no `Host`.
    pub host: Authority,
    /// Header lines in their order.
    pub lines: Vec<Line>,
    /// How many more servers an `OPTIONS` may pass; 0 means that it is for us. `None` for other methods.
    pub max_forwards: Option<u64>,
    /// How many lines were left out because of an underscore in the name.
    pub dropped: u32,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the client lets the connection be used again.
    pub keep_alive: bool,
    /// Whether the client waits for a 100 before it sends the (non-empty) body.
    pub expect_continue: bool,
    /// The protocol that the client asks to change to, if that is meant: `Connection: upgrade` is there,
    /// there is one `Upgrade` line, it does not speak of h2c, and there is no body.
    pub upgrade: Option<Span>,
    /// Whether the client takes trailers.
    pub te_trailers: bool,
    /// Bytes of the head, with the empty line before it, if any, and the one that ends it.
    pub len: usize,
}

impl RequestHead {
    /// Whether this is `OPTIONS *`, which the proxy answers itself.
    pub fn is_options_asterisk(&self) -> bool {
        self.form == TargetForm::Asterisk
    }

    /// Whether the proxy is the one who is asked: `OPTIONS *`, or one that may go no further (RFC 9110
    /// section 7.6.2). The answer is a 200 without content.
    pub fn is_for_proxy(&self) -> bool {
        self.is_options_asterisk() || self.max_forwards == Some(0)
    }

    /// The values of all lines called `name` (any case), in order.
    pub fn values<'a>(&'a self, buf: &'a [u8], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        values(&self.lines, buf, name)
    }
}

/// A response head that may be forwarded.
#[derive(Clone, Debug, Default)]
pub struct ResponseHead {
    /// 100 to 999.
    pub status: u16,
    /// Whether the upstream speaks HTTP/1.0.
    pub http10: bool,
    /// As written, possibly empty.
    pub reason: Span,
    /// Header lines in their order.
    pub lines: Vec<Line>,
    /// The length that the upstream names, which for HEAD and 304 says nothing about this message.
    pub content_length: Option<u64>,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the upstream lets the connection be used again after this response.
    pub keep_alive: bool,
    /// Whether this is the 101 that we asked for: bytes after the head belong to the new protocol.
    pub upgraded: bool,
    /// Bytes of the head with the empty line that ends it.
    pub len: usize,
}

impl ResponseHead {
    /// Whether another response to the same request follows. 101 is final here.
    pub fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }

    /// The values of all lines called `name` (any case), in order.
    pub fn values<'a>(&'a self, buf: &'a [u8], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        values(&self.lines, buf, name)
    }
}

fn values<'a>(lines: &'a [Line], buf: &'a [u8], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let named = move |line: &&Line| line.name.of(buf).eq_ignore_ascii_case(name.as_bytes());
    lines.iter().filter(named).map(|line| line.value.of(buf))
}
