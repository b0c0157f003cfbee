//! The HTTP/1 codec, both sides: bytes in, decisions and bytes out. No sockets, no clock, no allocation
//! once the buffers are warm.
//!
//! [`HeadScanner`] finds the end of a head as bytes arrive. [`parse_request`] and [`parse_response`] read
//! it: `httparse` finds the spans, our rules decide. [`write_request`] and [`write_response`] write it
//! anew for the other side, with its edits; framing is always written from what was decided, never copied
//! from the sender's text. [`BodyReader`] says which bytes of a body go on as they are.
//!
//! Strict: whatever two implementations could read in two ways is refused.
//!
//! Not here: when to read and write, timeouts, connections (the driver), paths and hosts as routes see
//! them ([`crate::message::Target`]).

mod answer;
mod body;
mod chunk;
mod date;
mod forwarded;
mod limits;
mod lines;
mod request;
mod response;
mod scan;
mod syntax;
mod write;

pub use answer::{Answer, CONTINUE, write_answer};
pub use body::{BodyError, BodyReader, Piece, Snippet};
pub use date::http_date;
pub use forwarded::{ForwardedInfo, Said, said_client};
pub use limits::{Asked, RequestLimits, ResponseLimits, Underscores};
pub use request::parse_request;
pub use response::parse_response;
pub use scan::HeadScanner;
pub use syntax::{decimal, is_token_byte, is_value_byte};
pub use write::{RequestWriting, ResponseWriting, write_interim, write_request, write_response};

#[cfg(test)]
mod tests;
