//! How a gRPC call ended: its answers are `200 OK`, and what went wrong stands in `grpc-status`, in the head
//! of an answer without content or in the trailers of one with. What we have to say to such a client is
//! said in the same way.

use crate::h1::Answer;
use crate::message::ResponseHead;

/// Whether a message with this content type is gRPC's.
pub fn is_kind(content_type: &[u8]) -> bool {
    content_type.get(..KIND.len()).is_some_and(|it| it.eq_ignore_ascii_case(KIND))
}

/// Appends an answer of our own, in a head without content.
pub fn write_answer(answer: &Answer<'_>, out: &mut Vec<u8>) {
    let status = code(answer.status).to_string();
    out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    let mut line = |name: &str, value: &[u8]| {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    };
    line("date", answer.date);
    line("content-type", KIND);
    line("grpc-status", status.as_bytes());
    line("grpc-message", answer.text.trim_end().as_bytes());
    if let Some(error) = answer.error {
        line("x-tidegate-error", error.as_bytes());
    }
    for (name, value) in answer.extra {
        line(name, value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// What a client would make of a status of HTTP, by the table that all gRPC clients share.
fn code(status: u16) -> u16 {
    match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        413 | 431 => 8,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

/// What is known of the answer that is being passed on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Call {
    /// Whether it is gRPC's at all.
    is_grpc: bool,
    status: Option<u16>,
}

impl Call {
    /// From the head of an answer.
    pub fn of(head: &ResponseHead, buf: &[u8]) -> Self {
        let kind = head.values(buf, "content-type").next();
        let is_grpc = kind.is_some_and(is_kind);
        if !is_grpc {
            return Self::default();
        }
        Self { is_grpc, status: head.values(buf, "grpc-status").next().and_then(number) }
    }

    /// How the call ended, if that was said: in the head, or in these trailer lines.
    pub fn status(self, trailers: &[u8]) -> Option<u16> {
        if !self.is_grpc || self.status.is_some() {
            return self.status;
        }
        trailers.split(|it| *it == b'\n').find_map(|line| {
            let (name, value) = line.split_at(line.iter().position(|it| *it == b':')?);
            name.eq_ignore_ascii_case(b"grpc-status").then(|| number(value[1..].trim_ascii()))?
        })
    }
}

fn number(text: &[u8]) -> Option<u16> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `application/grpc`, `application/grpc+proto`, `application/grpc-web`, …
const KIND: &[u8] = b"application/grpc";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_from_head_or_trailers() {
        let call = |is_grpc, status| Call { is_grpc, status };
        assert_eq!(call(true, Some(14)).status(b""), Some(14));
        assert_eq!(call(true, None).status(b"x: y\r\nGrpc-Status: 13\r\n\r\n"), Some(13));
        assert_eq!(call(true, None).status(b"grpc-status:0\r\n\r\n"), Some(0));
        assert_eq!(call(true, None).status(b"grpc-message: grpc-status: 2\r\n\r\n"), None);
        assert_eq!(call(true, None).status(b"grpc-status: many\r\n\r\n"), None);
        assert_eq!(call(false, None).status(b"grpc-status: 13\r\n\r\n"), None);
    }
}
