//! `GET`, and the status and body that are wanted. Redirects are not followed.

use http::Request;
use http::header::{CONNECTION, HOST, USER_AGENT};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::super::super::stream::Stream;
use super::over;

pub(super) async fn ask(
    stream: Stream,
    authority: &str,
    path: &str,
    statuses: &[(u16, u16)],
    wanted: Option<&str>,
) -> Result<(), String> {
    let mut client = http1::Builder::new();
    client.max_buf_size(HEAD_BYTES_MAX);
    let client = client.handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await;
    let (mut sender, connection) = client.map_err(|it| it.to_string())?;
    let request = Request::get(path)
        .header(HOST, authority)
        .header(USER_AGENT, concat!("tidegate/", env!("CARGO_PKG_VERSION"), " (health)"))
        .header(CONNECTION, "close")
        .body(Empty::new())
        .map_err(|it| it.to_string())?;
    let asked = async {
        let response = sender.send_request(request).await.map_err(|it| format!("no answer: {it}"))?;
        self::status(response.status().as_u16(), statuses)?;
        match wanted {
            Some(wanted) => holds(response.into_body(), wanted).await,
            None => Ok(()),
        }
    };
    over(connection, asked).await
}

/// Whether this status is a pass.
pub(super) fn status(status: u16, wanted: &[(u16, u16)]) -> Result<(), String> {
    if wanted.iter().any(|(first, last)| (*first..=*last).contains(&status)) {
        return Ok(());
    }
    let hint = if (300..400).contains(&status) { "; redirects are not followed" } else { "" };
    Err(format!("answered {status}{hint}"))
}

async fn holds(mut body: Incoming, wanted: &str) -> Result<(), String> {
    let mut seen = Vec::new();
    while seen.len() < BODY_BYTES_MAX
        && let Some(frame) = body.frame().await
    {
        let frame = frame.map_err(|it| format!("the body broke off: {it}"))?;
        let Some(data) = frame.data_ref() else { continue };
        seen.extend_from_slice(&data[..data.len().min(BODY_BYTES_MAX - seen.len())]);
        if memchr::memmem::find(&seen, wanted.as_bytes()).is_some() {
            return Ok(());
        }
    }
    Err(format!("the body does not hold `{wanted}`"))
}

/// Most of a body that is looked through.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Largest head of an answer.
const HEAD_BYTES_MAX: usize = 16 * 1024;
