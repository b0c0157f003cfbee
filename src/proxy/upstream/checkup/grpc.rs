//! `grpc.health.v1.Health/Check` over HTTP/2: one call, whose answer must say SERVING.
//!
//! The two messages have one field each, so that they are written and read here by hand.

use ::http::{HeaderMap, Method, Request};
use bytes::Bytes;
use h2::client;

use super::super::super::stream::Stream;
use super::over;

pub(super) async fn ask(stream: Stream, authority: &str, service: &str) -> Result<(), String> {
    let mut builder = client::Builder::new();
    builder.max_header_list_size(16 * 1024).initial_window_size(ANSWER_BYTES_MAX as u32).enable_push(false);
    let (sender, connection) = builder.handshake::<_, Bytes>(stream).await.map_err(described)?;
    let asked = async {
        let mut sender = sender.ready().await.map_err(described)?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://{authority}/grpc.health.v1.Health/Check"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("user-agent", concat!("tidegate/", env!("CARGO_PKG_VERSION"), " (health)"))
            .body(())
            .map_err(|it| it.to_string())?;
        let (response, mut body) = sender.send_request(request, false).map_err(described)?;
        body.send_data(question(service), true).map_err(described)?;
        answer(response.await.map_err(described)?).await
    };
    over(connection, asked).await
}

async fn answer(response: ::http::Response<h2::RecvStream>) -> Result<(), String> {
    let (head, mut body) = response.into_parts();
    if head.status != 200 {
        return Err(format!("answered {} over HTTP/2", head.status.as_u16()));
    }
    // A call that fails at once ends with its head.
    ended_well(&head.headers)?;
    let mut message = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(described)?;
        // A window that is full is not given back; what is longer than it is no answer to this question.
        message.extend_from_slice(&data);
        if message.len() >= ANSWER_BYTES_MAX {
            return Err("an answer that is too large".into());
        }
    }
    if let Some(trailers) = body.trailers().await.map_err(described)? {
        ended_well(&trailers)?;
    }
    match status(&message) {
        Some(SERVING) => Ok(()),
        Some(2) => Err("says NOT_SERVING".into()),
        Some(3) => Err("says SERVICE_UNKNOWN".into()),
        Some(0) => Err("says UNKNOWN".into()),
        Some(other) => Err(format!("says {other}, which is no known state")),
        None => Err("an answer that is not understood".into()),
    }
}

fn ended_well(headers: &HeaderMap) -> Result<(), String> {
    match headers.get("grpc-status").map(|it| it.as_bytes()) {
        None | Some(b"0") => Ok(()),
        Some(b"12") => Err("has no health service (UNIMPLEMENTED)".into()),
        Some(b"5") => Err("does not know this service (NOT_FOUND)".into()),
        Some(other) => Err(format!("the call ended with status {}", String::from_utf8_lossy(other))),
    }
}

/// `HealthCheckRequest { string service = 1; }` in its frame.
fn question(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0A);
        let mut length = service.len();
        while length >= 0x80 {
            message.push(length as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend_from_slice(service.as_bytes());
    }
    let mut framed = vec![0];
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(&message);
    framed.into()
}

/// `HealthCheckResponse { ServingStatus status = 1; }` in its frame. A field with its default value is not
/// written, so that an empty message says UNKNOWN.
fn status(framed: &[u8]) -> Option<u64> {
    let (head, message) = framed.split_at_checked(5)?;
    let length = u32::from_be_bytes(head[1..].try_into().ok()?);
    // A compressed one was not asked for.
    if head[0] != 0 || length as usize != message.len() {
        return None;
    }
    match message {
        [] => Some(0),
        [0x08, value] if *value < 0x80 => Some(u64::from(*value)),
        _ => None,
    }
}

fn described(error: h2::Error) -> String {
    format!("no HTTP/2: {error}")
}

const SERVING: u64 = 1;
const ANSWER_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        assert_eq!(&question("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&question("a.B")[..], [0, 0, 0, 0, 5, 0x0A, 3, b'a', b'.', b'B']);
        assert_eq!(&question(&"x".repeat(200))[5..8], [0x0A, 0xC8, 0x01]);
        assert_eq!(status(&[0, 0, 0, 0, 2, 8, 1]), Some(SERVING));
        assert_eq!(status(&[0, 0, 0, 0, 0]), Some(0));
        for wrong in
            [&[][..], &[0, 0, 0, 0], &[1, 0, 0, 0, 2, 8, 1], &[0, 0, 0, 0, 3, 8, 1], &[0, 0, 0, 0, 1, 8]]
        {
            assert_eq!(status(wrong), None, "{wrong:?}");
        }
    }
}
