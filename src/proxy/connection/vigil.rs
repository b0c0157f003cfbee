//! An eye on the client while its request waits: for an endpoint, for its turn, for a time to pass.
//!
//! Whoever has gone away is waited for by nobody: what was begun for it is dropped, and nobody is blamed.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::super::failure::Failure;
use super::super::worker::Worker;
use super::Client;

impl Client {
    /// Ready when the client has given its request up, or is gone. While nothing is read from a connection a
    /// reset still shows; a client that has only finished sending still gets its answer.
    pub fn poll_lost(&mut self, worker: &Worker, cx: &mut Context<'_>) -> Poll<()> {
        if self.stream.poll_gone(cx).is_ready() {
            return Poll::Ready(());
        }
        while !self.eof && self.stream.poll_read_ready(cx).is_ready() {
            let buffer = self.buffer.get_or_insert_with(|| worker.stock.buffer());
            if buffer.is_full() {
                return Poll::Pending;
            }
            match buffer.poll_fill(&mut self.stream, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(0)) => self.eof = true,
                Poll::Ready(Ok(_)) => {}
            }
        }
        Poll::Pending
    }

    /// Whether it has sent more than was read.
    pub fn has_unread(&self) -> bool {
        self.buffer.as_ref().is_some_and(|it| !it.is_empty())
    }

    /// Waits for `what` as long as the client does. What is there at once costs no look at the client.
    pub async fn while_it_waits<T>(
        &mut self,
        worker: &Worker,
        mut what: Pin<&mut impl Future<Output = T>>,
    ) -> Result<T, Failure> {
        poll_fn(|cx| match what.as_mut().poll(cx) {
            Poll::Ready(it) => Poll::Ready(Ok(it)),
            Poll::Pending => self.poll_lost(worker, cx).map(|()| Err(Failure::ClientGone)),
        })
        .await
    }
}
