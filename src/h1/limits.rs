//! How much is accepted, and what a response answers.

use crate::message::MethodKind;

/// Most header lines that any limit can allow: their spans stand on the stack while a head is read.
pub(super) const HEADERS_MAX: usize = 1024;

/// Bounds of a request head.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// Bytes of the whole head; more is 431.
    pub head: usize,
    /// Header lines; more is 431. At most 1024.
    pub headers: usize,
    /// Bytes of the target; more is 414.
    pub uri: usize,
    /// What happens to names with an underscore.
    pub underscores: Underscores,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self { head: 16 * 1024, headers: 100, uri: 8 * 1024, underscores: Underscores::default() }
    }
}

/// What happens to header names with an underscore, which some backends take for a dash.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Underscores {
    /// The line is left out and counted.
    #[default]
    Drop,
    /// The line is forwarded.
    Keep,
    /// The request is answered 400.
    Refuse,
}

/// Bounds of a response head.
#[derive(Clone, Copy, Debug)]
pub struct ResponseLimits {
    /// Bytes of the whole head.
    pub head: usize,
    /// Header lines. At most 1024.
    pub headers: usize,
}

impl Default for ResponseLimits {
    fn default() -> Self {
        Self { head: 32 * 1024, headers: 100 }
    }
}

/// What a response answers: it decides where the body ends and whether 101 is an answer at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// The method of the request.
    pub kind: MethodKind,
    /// Whether the request asked for a change of protocol.
    pub upgrade: bool,
}
