//! The live stream: the whole status, then what changes and what is decided, as it happens.
//!
//! Nothing is queued for a reader. The connection asks for the next event when it has room for one, and
//! what it gets then is the difference between what this reader was sent last and what is so now: a slow
//! reader gets fewer and larger events, and costs no more than a quick one. The status is rendered once
//! for all of them ([`picture`]); what each has seen is a [`feed`].

mod feed;
mod picture;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::Either;
use hyper::body::{Body, Bytes, Frame};
use tokio::sync::{Mutex, Semaphore};

use crate::runtime::Phase;

use super::ask::Query;
use super::reply::{Problem, Reply, dressed};
use super::server::House;

use feed::Feed;
use picture::Picture;

/// What all streams share.
#[derive(Debug)]
pub(super) struct Streams {
    free: Arc<Semaphore>,
    /// The newest picture, as long as a reader has it.
    newest: Mutex<Weak<Picture>>,
}

impl Default for Streams {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(STREAMS_MAX)), newest: Mutex::default() }
    }
}

/// Marks an answer that ends when it likes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endless;

/// `GET /api/v1/events/stream`.
pub(super) fn open(house: &Arc<House>, head: &Parts) -> Result<Reply, Problem> {
    let query = Query::parse(head.uri.query(), &["since", "notified"])?;
    // Whoever comes back knows better where it was than the address it once began with.
    let since = match head.headers.get(LAST_EVENT_ID) {
        Some(it) => Some(last_event_id(it)?),
        None => query.number("since")?,
    };
    if house.shutdown.phase() != Phase::Serving {
        let detail = "tidegate is stopping, and no stream is begun";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", detail));
    }
    let Ok(permit) = Arc::clone(&house.streams.free).try_acquire_owned() else {
        let detail = format!("{STREAMS_MAX} streams are open already");
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", detail);
        return Err(problem.header(RETRY_AFTER, HeaderValue::from_static("5")));
    };
    let feed = Feed::new(Arc::clone(house), since, query.number("notified")?, permit);
    let mut reply = dressed(StatusCode::OK, "text/event-stream", Either::Right(Live::of(feed)));
    reply.headers_mut().insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    reply.extensions_mut().insert(Endless);
    Ok(reply)
}

/// Whether this answer is a stream.
pub(super) fn is_endless<T>(reply: &Response<T>) -> bool {
    reply.extensions().get::<Endless>().is_some()
}

fn last_event_id(value: &HeaderValue) -> Result<u64, Problem> {
    let number = value.to_str().ok().and_then(|it| it.trim().parse().ok());
    number.ok_or_else(|| Problem::bad_request("`Last-Event-ID` is the number of an event"))
}

/// The body of a stream.
pub(super) struct Live(Option<Next>);

type Next = Pin<Box<dyn Future<Output = Option<(Feed, Bytes)>> + Send>>;

impl Live {
    fn of(feed: Feed) -> Self {
        Self(Some(Box::pin(feed.next())))
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Live({})", if self.0.is_some() { "going on" } else { "ended" })
    }
}

impl Body for Live {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(next) = &mut self.0 else { return Poll::Ready(None) };
        let Poll::Ready(came) = next.as_mut().poll(cx) else { return Poll::Pending };
        Poll::Ready(match came {
            Some((feed, bytes)) => {
                *self = Self::of(feed);
                Some(Ok(Frame::data(bytes)))
            }
            None => {
                self.0 = None;
                None
            }
        })
    }
}

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Asks a proxy between us and the reader to pass on what comes at once.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// Streams at once: half the connections of a door, so that pages left open never keep a command out.
const STREAMS_MAX: usize = 32;
