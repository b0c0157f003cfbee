//! What HTTP/2 asks of a client connection: to be noticed at its first bytes, and to lend its ways to each
//! of its streams, which is served as if it were a connection with one request.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use crate::config::ListenerSpec;
use crate::h1::HeadScanner;

use super::super::h2;
use super::super::listener::Local;
use super::super::stream::Stream;
use super::super::trail::Trail;
use super::super::worker::Worker;
use super::{Client, Next, Peer};

impl Client {
    /// A client for one stream of an HTTP/2 connection, which sees to its own age.
    pub fn of_stream(
        worker: &Worker,
        local: &Rc<Local>,
        spec: Arc<ListenerSpec>,
        stream: Stream,
        peer: Rc<Peer>,
    ) -> Self {
        Self {
            stream,
            buffer: None,
            deadline: worker.deadlines.slot(),
            eof: false,
            local: Rc::clone(local),
            peer,
            served: 0,
            until_ms: u64::MAX,
            scanner: HeadScanner::new(),
            spec,
            trail: Trail::default(),
        }
    }

    /// Reads until it is certain whether the client begins as one that speaks HTTP/2. `None` if it did not
    /// come so far.
    pub(super) async fn begins_with_preface(&mut self, worker: &Worker) -> Option<bool> {
        self.deadline.set(self.spec.timeouts.head);
        loop {
            let (stream, deadline) = (&mut self.stream, &self.deadline);
            poll_fn(|cx| match stream.poll_read_ready(cx) {
                Poll::Ready(_) => Poll::Ready(Some(())),
                Poll::Pending => deadline.poll(cx).map(|()| None),
            })
            .await?;
            let buffer = self.buffer.get_or_insert_with(|| worker.stock.buffer());
            let read = poll_fn(|cx| match buffer.poll_fill(stream, cx) {
                Poll::Pending => deadline.poll(cx).map(|()| None),
                Poll::Ready(read) => Poll::Ready(read.ok()),
            })
            .await?;
            let len = buffer.filled().len().min(h2::PREFACE.len());
            let same = buffer.filled()[..len] == h2::PREFACE[..len];
            match (read, same, len == h2::PREFACE.len()) {
                (0, ..) => return None,
                (_, true, true) => return Some(true),
                (_, true, false) => {}
                (_, false, _) => return Some(false),
            }
        }
    }

    pub(super) fn into_arrived(self) -> h2::Arrived {
        h2::Arrived {
            local: self.local,
            spec: self.spec,
            stream: self.stream,
            early: self.buffer,
            peer: self.peer,
            until_ms: self.until_ms,
        }
    }

    /// Ends a stream.
    pub fn end(mut self, worker: &Worker, next: Next) {
        if next == Next::Reset {
            // If the stream is gone already, so is the client.
            let _ = self.stream.set_zero_linger();
        }
        if let Some(buffer) = self.buffer.take() {
            worker.stock.put_buffer(buffer);
        }
    }
}
