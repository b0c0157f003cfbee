//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::h1::{RequestLimits, Underscores};

use super::door::Door;
use super::patience::Patient;
use super::places::Place;
use super::reply::Problem;
use super::route;
use super::server::House;
use super::stream;
use super::strict::Strict;

/// Answers until the peer has had enough, or its time is over, or its place is needed.
pub(super) async fn serve<S>(stream: S, door: Door, house: Arc<House>, place: Place)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let stream = Patient::new(stream, STALL_MAX);
    let place = Arc::new(place);
    let streaming = Arc::new(AtomicBool::new(false));
    let service = service_fn(|mut request: Request<Incoming>| {
        let (house, door) = (Arc::clone(&house), door.clone());
        let (place, streaming) = (Arc::clone(&place), Arc::clone(&streaming));
        // Whoever answers may have to wait for news.
        request.extensions_mut().insert(Arc::downgrade(&place));
        // From here on, and not from when it is first looked at: what comes behind this request must wait.
        place.set_busy(true);
        Box::pin(async move {
            let reply = route::answer(&house, &door, request).await;
            house.registry.admin_answered(reply.status().as_u16());
            streaming.store(stream::is_endless(&reply), Ordering::Relaxed);
            // A stream keeps its place: it is an answer that goes on.
            place.set_busy(stream::is_endless(&reply));
            Ok::<_, Infallible>(reply)
        })
    });
    let strict = Strict::new(stream, LIMITS, place.busy());
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_headers(LIMITS.headers)
        .max_buf_size(LIMITS.head)
        .serve_connection(TokioIo::new(strict), service);
    let until_done = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx));
    let ended = tokio::select! {
        ended = timeout(AGE_MAX, until_done) => ended,
        () = place.is_needed() => return,
    };
    let ended = match ended {
        Ok(ended) => ended,
        Err(_) => {
            Pin::new(&mut connection).graceful_shutdown();
            let until_done = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx));
            // A stream has an end of its own.
            if streaming.load(Ordering::Relaxed) {
                until_done.await
            } else {
                match timeout(LAST_WORDS_MAX, until_done).await {
                    Ok(ended) => ended,
                    Err(_) => return,
                }
            }
        }
    };
    let strict = connection.into_parts().io.into_inner();
    let problem = match ended {
        Err(error) if error.is_timeout() && strict.is_in_head() => {
            Some(Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the head did not come in time"))
        }
        // Other errors are the peer's: it went away.
        _ => strict.refusal().filter(|_| !streaming.load(Ordering::Relaxed)),
    };
    if let Some(problem) = &problem {
        house.registry.admin_answered(problem.status.as_u16());
    }
    let _ = timeout(GOODBYE_MAX, say_goodbye(strict.into_stream(), problem)).await;
}

/// The last answer, and the end. What still comes is read for a moment: a connection that is closed with
/// something unread is reset, and the peer may lose the answer that it was sent.
async fn say_goodbye<S>(mut stream: S, problem: Option<Problem>) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Some(problem) = problem {
        stream.write_all(&problem.into_bytes()).await?;
    }
    stream.shutdown().await?;
    let mut unread = [0; 8 * 1024];
    let mut left = UNREAD_BYTES_MAX;
    while left > 0 {
        match stream.read(&mut unread).await? {
            0 => break,
            count => left = left.saturating_sub(count),
        }
    }
    Ok(())
}

/// What a head may have. Commands and scrapes have a few hundred bytes.
const LIMITS: RequestLimits =
    RequestLimits { head: 16 * 1024, headers: 64, uri: 8 * 1024, underscores: Underscores::Drop };
/// Longest time for a request head to come, and for a connection to be idle.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);
/// Age at which a connection is ended after its current answer.
const AGE_MAX: Duration = Duration::from_secs(300);
/// Time for that answer.
const LAST_WORDS_MAX: Duration = Duration::from_secs(65);
/// Longest time for a peer to take nothing of what it is sent.
const STALL_MAX: Duration = Duration::from_secs(30);
/// Time and bytes for the end of a connection.
const GOODBYE_MAX: Duration = Duration::from_secs(1);
const UNREAD_BYTES_MAX: usize = 4 * 1024 * 1024;
