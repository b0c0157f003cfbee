//! URLs: one request, the status that comes back, and a little of the body. Redirects are not followed:
//! whoever answers elsewhere has not answered the question.

use std::io;
use std::time::Duration;

use http::Request;
use http::header::{CONNECTION, HOST, USER_AGENT};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::output::Output;
use super::{Finding, Report};

/// How a connection is opened.
#[derive(Clone, Copy, Default)]
pub(super) struct Opening<'a> {
    /// Where, whatever the host in the URL.
    pub socket: Option<&'a str>,
    /// What is sent ahead of everything else.
    pub first: &'static [u8],
}

/// Asks once and says how it went.
pub(super) async fn ask(to: Opening<'_>, url: &str, expected: u16, limit: Duration) -> Report {
    let mut output = Output::default();
    let fetched = fetch(to, url, BODY_BYTES_MAX, |piece| output.push(piece));
    let finding = match timeout(limit, fetched).await {
        Ok(Ok(status)) if status == expected => Finding::Passed,
        Ok(Ok(status)) if (300..400).contains(&status) => {
            Finding::Failed(format!("answered {status}, not {expected}; redirects are not followed"))
        }
        Ok(Ok(status)) => Finding::Failed(format!("answered {status}, not {expected}")),
        Ok(Err(why)) => Finding::Unknown(why),
        Err(_) => Finding::Unknown(format!("no answer within {limit:?}")),
    };
    Report { finding, output: output.text() }
}

/// The status of the answer to `GET url`; of its body at most `most` bytes are handed over, piece by piece.
pub(super) async fn fetch(
    to: Opening<'_>,
    url: &str,
    most: usize,
    take: impl FnMut(&[u8]),
) -> Result<u16, String> {
    let uri: http::Uri = url.parse().map_err(|it| format!("`{url}` is no URL: {it}"))?;
    let authority = uri.authority().ok_or_else(|| format!("`{url}` has no host"))?;
    if uri.scheme_str() != Some("http") {
        return Err(format!("`{url}`: only http:// is spoken here"));
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    match to.socket {
        Some(path) => {
            let stream = begun(UnixStream::connect(path).await, to.first).await;
            talk(stream.map_err(|it| format!("cannot connect to unix:{path}: {it}"))?, &uri, most, take).await
        }
        None => {
            let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await;
            let stream = begun(stream, to.first).await;
            talk(stream.map_err(|it| format!("cannot connect to {authority}: {it}"))?, &uri, most, take).await
        }
    }
}

async fn begun<S: AsyncWrite + Unpin>(stream: io::Result<S>, first: &[u8]) -> io::Result<S> {
    let mut stream = stream?;
    stream.write_all(first).await?;
    Ok(stream)
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    uri: &http::Uri,
    most: usize,
    mut take: impl FnMut(&[u8]),
) -> Result<u16, String> {
    let authority = uri.authority().map_or("localhost", |it| it.as_str());
    let mut client = http1::Builder::new();
    client.max_buf_size(HEAD_BYTES_MAX);
    let client = client.handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await;
    let (mut sender, connection) = client.map_err(|it| it.to_string())?;
    let request = Request::get(uri.path_and_query().map_or("/", |it| it.as_str()))
        .header(HOST, authority)
        .header(USER_AGENT, concat!("tidegate/", env!("CARGO_PKG_VERSION"), " (check)"))
        .header(CONNECTION, "close")
        .body(Empty::new())
        .map_err(|it| it.to_string())?;
    let asked = async {
        let response = sender.send_request(request).await.map_err(|it| described(&it))?;
        let status = response.status().as_u16();
        // The status is what counts here. A body that breaks off is shorter, and of a large one the first
        // part will do.
        let (mut body, mut left) = (response.into_body(), most);
        while left > 0
            && let Some(Ok(frame)) = body.frame().await
        {
            let Some(data) = frame.data_ref() else { continue };
            let piece = &data[..data.len().min(left)];
            take(piece);
            left -= piece.len();
        }
        Ok(status)
    };
    // The connection moves only while it is driven. Its end is seen by who asked, after the last byte.
    let driven = async {
        let _ = connection.await;
        std::future::pending::<()>().await
    };
    tokio::select! {
        status = asked => status,
        () = driven => Err("no answer".into()),
    }
}

fn described(error: &hyper::Error) -> String {
    use std::error::Error;
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Most of a body that is read; what is kept of it is less.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Largest head of an answer; hyper wants room for at least this much.
const HEAD_BYTES_MAX: usize = 16 * 1024;
