//! A message as both codecs read and write it: one buffer, spans into it, and what was decided about it.
//!
//! A head is never taken apart into owned strings. [`Span`]s point into the buffer that the bytes
//! arrived in; [`Field`] says once, while parsing, what a header line means to a proxy; [`Framing`] is
//! the only truth about where a body ends. [`Target`] is the one place where a path and a host become
//! text that is compared with routes.
//!
//! Not here: bytes on the wire ([`crate::h1`]), routes, sockets.

mod edit;
mod field;
mod head;
mod own;
mod refusal;
mod span;
mod target;

pub use edit::HeaderEdit;
pub use field::{Field, MethodKind};
pub use head::{Authority, Framing, Line, RequestHead, ResponseHead, TargetForm};
pub use own::{OwnLine, is_replaced};
pub use refusal::{Malformed, Refusal};
pub use span::Span;
pub use target::{EscapedSlashes, Target, TargetRules};
