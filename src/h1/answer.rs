//! Answers that the proxy makes itself.

use crate::message::OwnLine;

use super::syntax::push_decimal;
use super::write::push_line;

/// Tells a client to send its body.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// An answer of our own.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Its status; the reason phrase follows from it.
    pub status: u16,
    /// For `x-tidegate-error`: who or what failed.
    pub error: Option<&'static str>,
    /// Whether the connection is closed afterwards.
    pub close: bool,
    /// Whether the client speaks HTTP/1.0, which must be told that the connection stays.
    pub client_http10: bool,
    /// Whether the request was HEAD, so that only the length of the text is told.
    pub head: bool,
    /// Lines of our own.
    pub own: &'a [OwnLine<'a>],
    /// Further lines; names and values must be free of control characters.
    pub extra: &'a [(&'a str, &'a str)],
    /// Short plain text.
    pub text: &'a str,
    /// The date.
    pub date: &'a [u8; 29],
}

/// Appends the answer, body included.
pub fn write_answer(answer: &Answer<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    push_decimal(out, u64::from(answer.status));
    out.push(b' ');
    out.extend_from_slice(phrase(answer.status).as_bytes());
    out.extend_from_slice(b"\r\n");
    push_line(out, b"date", answer.date);
    let has_body = answer.status >= 200 && !matches!(answer.status, 204 | 304);
    if has_body {
        if !answer.text.is_empty() {
            push_line(out, b"content-type", b"text/plain; charset=utf-8");
        }
        out.extend_from_slice(b"content-length: ");
        push_decimal(out, answer.text.len() as u64);
        out.extend_from_slice(b"\r\n");
    }
    if let Some(error) = answer.error {
        push_line(out, b"x-tidegate-error", error.as_bytes());
    }
    for line in answer.own.iter().filter(|it| !it.value.is_empty()) {
        push_line(out, line.name.as_bytes(), line.value);
    }
    for (name, value) in answer.extra {
        push_line(out, name.as_bytes(), value.as_bytes());
    }
    if answer.close {
        push_line(out, b"connection", b"close");
    } else if answer.client_http10 {
        push_line(out, b"connection", b"keep-alive");
    }
    out.extend_from_slice(b"\r\n");
    if has_body && !answer.head {
        out.extend_from_slice(answer.text.as_bytes());
    }
}

/// The reason phrases of what we answer.
fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        508 => "Loop Detected",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::http_date;

    #[test]
    fn an_answer_is_short_and_complete() {
        let date = http_date(0);
        let answer = Answer {
            status: 502,
            error: Some("upstream_connect"),
            close: true,
            client_http10: false,
            head: false,
            own: &[],
            extra: &[("retry-after", "1")],
            text: "no",
            date: &date,
        };
        let mut out = Vec::new();
        write_answer(&answer, &mut out);
        let head = "HTTP/1.1 502 Bad Gateway\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
             content-type: text/plain; charset=utf-8\r\ncontent-length: 2\r\n\
             x-tidegate-error: upstream_connect\r\nretry-after: 1\r\nconnection: close\r\n\r\n";
        assert_eq!(String::from_utf8_lossy(&out), format!("{head}no"));
        out.clear();
        write_answer(&Answer { head: true, ..answer }, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), head);
    }
}
