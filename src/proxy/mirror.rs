//! Copies of requests: sent to a version that answers nobody, to see how it does.
//!
//! A copy is made whole before it leaves, within bounds, and leaves when the request itself has been sent:
//! the request never waits for it. Few are under way at once; when their version is slow, further ones are
//! dropped. What it answers is read up to a bound and thrown away. Copies are never judged, and counted
//! apart.

use std::borrow::Cow;
use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use tokio::task::spawn_local;

use crate::h1::{self, Asked, BodyReader, HeadScanner, ResponseLimits};
use crate::message::{Field, Framing, HeaderEdit, MethodKind, OwnLine};
use crate::routing::{HeaderEdits, Key, ServiceSpec};
use crate::telemetry::Mirrored;

use super::buffer::Buffer;
use super::choice::{Choice, Line};
use super::connection::Peer;
use super::pump::{Flow, Pump};
use super::stream::Stream;
use super::upstream::{Checkout, ConnectError};
use super::view::VersionView;
use super::worker::Worker;

/// Copies under way at once, for each version and worker. One more is dropped.
const UNDER_WAY_MAX: usize = 32;

/// What is read of an answer. Whoever says more is cut off.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Says what it is.
pub const MARK: OwnLine<'static> = OwnLine { field: Field::Other, name: "x-tidegate-mirror", value: b"1" };

/// The changes of its head.
pub fn edits(of_route: &HeaderEdits, credentials: bool) -> Cow<'_, [HeaderEdit]> {
    if credentials {
        return Cow::Borrowed(of_route);
    }
    let dropped = ["cookie", "authorization"].map(|it| HeaderEdit::Remove(it.to_owned()));
    Cow::Owned(of_route.iter().cloned().chain(dropped).collect())
}

/// A copy in the making.
pub struct Copy {
    /// Who gets it.
    pub to: Rc<VersionView>,
    /// Whose request it is a copy of.
    pub client: Rc<Peer>,
    /// The service's settings.
    pub spec: Arc<ServiceSpec>,
    /// What chooses the endpoint, if the service's balance goes by something.
    pub key: Option<Key>,
    /// Its method.
    pub kind: MethodKind,
    /// Its head.
    pub head: Vec<u8>,
    /// How its body arrives, and how it goes on.
    pub framing: (Framing, Framing),
}

impl Copy {
    /// Sends it with this body; `None` is one that was too large.
    pub fn send(self, worker: &Rc<Worker>, body: Option<&[u8]>) {
        let cells = &self.to.series.worker(worker.index).recourse;
        let under_way = &self.to.budgets.mirrored;
        let Some(body) = body else { return cells.mirrored(Mirrored::TooLarge) };
        if under_way.get() >= UNDER_WAY_MAX {
            return cells.mirrored(Mirrored::Dropped);
        }
        let mut permit = None;
        if self.spec.limits.in_flight.is_some() {
            permit = self.to.quotas.in_flight.take();
            if permit.is_none() {
                return cells.mirrored(Mirrored::Dropped);
            }
        }
        let input = if body.is_empty() { None } else { Some(Buffer::holding(body)) };
        let (worker, counted) = (Rc::clone(worker), UnderWay::begin(&self.to));
        spawn_local(async move {
            let limit = self.spec.timeouts.connect + self.spec.timeouts.head;
            let asking = self.ask(&worker, input);
            let outcome = match tokio::time::timeout(limit, asking).await {
                Ok(Ok(status)) if status < 500 => Mirrored::Answered,
                Ok(Ok(_)) => Mirrored::Failed,
                Ok(Err(error)) if error.kind() == io::ErrorKind::QuotaExceeded => Mirrored::Dropped,
                Ok(Err(_)) | Err(_) => Mirrored::NoAnswer,
            };
            drop(permit);
            counted.0.series.worker(worker.index).recourse.mirrored(outcome);
        });
    }

    /// The status of the answer.
    async fn ask(self, worker: &Rc<Worker>, input: Option<Buffer>) -> io::Result<u16> {
        let nobody = || io::Error::from(io::ErrorKind::NotConnected);
        let Choice::Endpoint(endpoint) =
            self.to.endpoint(&self.spec.balance, &mut Line::new(self.key), || worker.bits())
        else {
            return Err(nobody());
        };
        let checkout = match endpoint.checkout(&self.client, worker.deadlines.recent_ms()) {
            Some(it) => it,
            None => {
                let permit = || self.to.quotas.connections.take();
                let reached = endpoint.reach(worker, &self.client, self.spec.timeouts.connect, permit).await;
                reached.map_err(|it| match it {
                    ConnectError::Full => io::ErrorKind::QuotaExceeded.into(),
                    _ => nobody(),
                })?
            }
        };
        let Checkout { mut stream, .. } = checkout;
        self.put(&mut stream, input).await?;
        let mut buffer = worker.stock.buffer();
        let done = self.read_answer(worker, &mut stream, &mut buffer).await;
        worker.stock.put_buffer(buffer);
        let (status, reusable) = done?;
        if reusable {
            endpoint.put_back(&self.client, stream, worker.deadlines.recent_ms());
        }
        Ok(status)
    }

    async fn put(&self, stream: &mut Stream, input: Option<Buffer>) -> io::Result<()> {
        let (from, to) = self.framing;
        let mut pump = Pump::new(self.head.clone());
        pump.load_front();
        if !to.is_empty() {
            pump.reader = BodyReader::new(from, to);
        }
        if let Some(end) = stream.outbound() {
            end.send_head(&self.head, to.is_empty())?;
            pump.head_went_apart(Framing::UntilClose);
        }
        let mut input = input.unwrap_or_default();
        let broken = || io::Error::from(io::ErrorKind::InvalidData);
        loop {
            let flow = poll_fn(|cx| match pump.poll(&mut input, stream, cx) {
                Flow::Blocked => std::task::Poll::Pending,
                flow => std::task::Poll::Ready(flow),
            });
            match flow.await {
                Flow::Done => break,
                // All of it is here.
                Flow::Hungry => pump.source_ended().map_err(|_| broken())?,
                _ => return Err(broken()),
            }
        }
        stream.outbound().map_or(Ok(()), |it| it.finish())
    }

    /// The status of the answer, and whether the connection can be used again.
    async fn read_answer(
        &self,
        worker: &Worker,
        stream: &mut Stream,
        buffer: &mut Buffer,
    ) -> io::Result<(u16, bool)> {
        let broken = || io::Error::from(io::ErrorKind::InvalidData);
        let bounds = &self.spec.limits;
        let limits = ResponseLimits { head: bounds.response_head, headers: bounds.response_headers };
        let mut scanner = HeadScanner::new();
        let (status, framing, mut reusable) = loop {
            if !buffer.is_empty()
                && let Some(len) = scanner.scan_response(buffer.filled(), &limits).map_err(|_| broken())?
            {
                scanner.reset();
                let mut scratch = worker.scratch.borrow_mut();
                let head = &mut scratch.response;
                let asked = Asked { kind: self.kind, upgrade: false };
                h1::parse_response(&buffer.filled()[..len], &limits, asked, head).map_err(|_| broken())?;
                buffer.consume(len);
                if !head.is_interim() {
                    break (head.status, head.framing, head.keep_alive);
                }
                continue;
            }
            if buffer.is_full() || poll_fn(|cx| stream.poll_head(buffer, cx)).await? == 0 {
                return Err(broken());
            }
        };
        let from = if stream.is_end() { Framing::UntilClose } else { framing };
        let mut body = BodyReader::new(from, Framing::None);
        let mut left = ANSWER_BYTES_MAX;
        while !body.is_done() {
            if buffer.is_empty() {
                let read = poll_fn(|cx| buffer.poll_fill(stream, cx)).await?;
                if read == 0 {
                    return Ok((status, false));
                }
            }
            let len = buffer.filled().len();
            let piece = body.next(buffer.filled()).map_err(|_| broken())?;
            buffer.consume(piece.consumed);
            left = left.saturating_sub(len);
            if left == 0 {
                return Ok((status, false));
            }
        }
        reusable &= buffer.is_empty() && !stream.is_end();
        Ok((status, reusable))
    }
}

/// Counts a copy that is under way, until it is dropped.
struct UnderWay(Rc<VersionView>);

impl UnderWay {
    fn begin(version: &Rc<VersionView>) -> Self {
        let count: &Cell<usize> = &version.budgets.mirrored;
        count.set(count.get() + 1);
        Self(Rc::clone(version))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let count = &self.0.budgets.mirrored;
        count.set(count.get().saturating_sub(1));
    }
}
