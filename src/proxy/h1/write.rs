//! Writes heads for the other side.

use crate::proxy::message::{Framing, RequestHead, ResponseHead};
use crate::routing::HeaderEdit;

use super::ForwardedInfo;

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
    /// Framing of the body that will follow. `None` keeps the upstream's length for HEAD and 304.
    pub framing: Framing,
    /// Whether the connection is closed afterwards.
    pub close: bool,
    /// Whether the client speaks HTTP/1.0, which must be told that the connection stays.
    pub client_http10: bool,
    /// The route's changes.
    pub edits: &'a [HeaderEdit],
    /// Added when the upstream sent none.
    pub date: &'a [u8; 29],
    /// Whether trailers are passed on, so that the `Trailer` line stays.
    pub trailers: bool,
}

/// Appends the request that `head` came to, whole. `buf` is what it was parsed from.
pub fn write_request(head: &RequestHead, buf: &[u8], how: &RequestWriting<'_>, out: &mut Vec<u8>) {
    let _ = (head, buf, how, out);
}

/// Appends the response that `head` came to, whole; a 101 with its `Upgrade`.
pub fn write_response(head: &ResponseHead, buf: &[u8], how: &ResponseWriting<'_>, out: &mut Vec<u8>) {
    let _ = (head, buf, how, out);
}

/// Appends an interim (1xx, not 101) response.
pub fn write_interim(head: &ResponseHead, buf: &[u8], out: &mut Vec<u8>) {
    let _ = (head, buf, out);
}
