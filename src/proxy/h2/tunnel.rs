//! A WebSocket towards an endpoint that speaks HTTP/2: an upgrade as HTTP/1 has it (RFC 6455), asked for by an
//! extended CONNECT (RFC 8441). The key of HTTP/1's handshake is answered here, because HTTP/2 has none.

use aws_lc_rs::digest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::text;

/// What the answer to a key is made of (RFC 6455 section 1.3).
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A WebSocket that is asked for.
#[derive(Debug)]
pub struct Tunnel {
    /// The lines that HTTP/1 has in the answer that accepts it, and HTTP/2 has not.
    accepted: Vec<u8>,
}

impl Tunnel {
    /// What the head asks for, which HTTP/1 would write as `head`. Other protocols than this one have no
    /// counterpart that we know, and RFC 9110 section 7.8 has an endpoint that does not know them go on
    /// without.
    pub fn asked_by(head: &[u8]) -> Option<Self> {
        if !head.starts_with(b"GET ") || !text::line(head, b"upgrade")?.eq_ignore_ascii_case(text::WEBSOCKET)
        {
            return None;
        }
        let mut accepted = b"connection: upgrade\r\nupgrade: websocket\r\n".to_vec();
        if let Some(key) = text::line(head, b"sec-websocket-key") {
            accepted.extend_from_slice(b"sec-websocket-accept: ");
            accepted.extend_from_slice(answer(key).as_bytes());
            accepted.extend_from_slice(b"\r\n");
        }
        Some(Self { accepted })
    }

    /// The lines of an answer that accepts it.
    pub(super) fn into_lines(self) -> Box<[u8]> {
        self.accepted.into()
    }
}

/// RFC 6455 section 4.2.2: it proves that a key was read, and to nobody who somebody is.
fn answer(key: &[u8]) -> String {
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key);
    hash.update(KEY_SUFFIX);
    BASE64_STANDARD.encode(hash.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_answered_as_the_standard_has_it() {
        assert_eq!(answer(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn only_a_websocket_is_asked_for() {
        let asked = |head: &str| Tunnel::asked_by(head.as_bytes()).map(|it| it.accepted);
        let head = "GET /x HTTP/1.1\r\nhost: a\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let lines = asked(&format!("{head}upgrade: WebSocket\r\nconnection: upgrade\r\n\r\n")).unwrap();
        assert!(lines.ends_with(b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert_eq!(asked(&format!("{head}upgrade: chat\r\nconnection: upgrade\r\n\r\n")), None);
        assert_eq!(asked(&format!("{head}\r\n")), None);
        assert_eq!(asked("POST /x HTTP/1.1\r\nupgrade: websocket\r\n\r\n"), None);
    }
}
