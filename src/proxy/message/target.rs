//! The path and host of a request as routes see them.

use crate::config::EscapedSlashes;

use super::{Refusal, RequestHead, Span};

/// How freely paths are read; from the listener's configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct TargetRules {
    /// What happens to `%2F`.
    pub escaped_slashes: EscapedSlashes,
    /// Whether `//` counts as `/`.
    pub merge_slashes: bool,
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
    /// Reads the target of `head`.
    pub fn resolve(&mut self, head: &RequestHead, buf: &[u8], rules: &TargetRules) -> Result<(), Refusal> {
        let _ = (head, buf, rules);
        Err(Refusal::BadTarget)
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
