//! The same question over HTTP/2, for endpoints that speak nothing else.

use ::http::Request;
use bytes::Bytes;
use h2::client;

use super::super::super::stream::Stream;
use super::over;

pub(super) async fn ask(
    stream: Stream,
    authority: &str,
    path: &str,
    statuses: &[(u16, u16)],
    wanted: Option<&str>,
) -> Result<(), String> {
    let mut builder = client::Builder::new();
    builder.max_header_list_size(16 * 1024).initial_window_size(BODY_BYTES_MAX as u32).enable_push(false);
    let (sender, connection) = builder.handshake::<_, Bytes>(stream).await.map_err(described)?;
    let asked = async {
        let mut sender = sender.ready().await.map_err(described)?;
        let request = Request::get(format!("http://{authority}{path}"))
            .header("user-agent", concat!("tidegate/", env!("CARGO_PKG_VERSION"), " (health)"))
            .body(())
            .map_err(|it| it.to_string())?;
        let (response, _) = sender.send_request(request, true).map_err(described)?;
        let (head, mut body) = response.await.map_err(described)?.into_parts();
        super::http::status(head.status.as_u16(), statuses)?;
        let Some(wanted) = wanted else { return Ok(()) };
        let mut seen = Vec::new();
        // What is longer than the window is not looked through.
        while seen.len() < BODY_BYTES_MAX
            && let Some(data) = body.data().await
        {
            seen.extend_from_slice(&data.map_err(described)?);
            if memchr::memmem::find(&seen, wanted.as_bytes()).is_some() {
                return Ok(());
            }
        }
        Err(format!("the body does not hold `{wanted}`"))
    };
    over(connection, asked).await
}

fn described(error: h2::Error) -> String {
    format!("no HTTP/2: {error}")
}

/// Most of a body that is looked through.
const BODY_BYTES_MAX: usize = 64 * 1024 - 1;
