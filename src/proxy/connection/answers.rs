//! Answers that the proxy makes itself, on their way to a client.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use tokio::io::AsyncWrite;

use crate::h1::{self, Answer};
use crate::message::Refusal;
use crate::telemetry::RejectReason;

use super::super::grpc;
use super::super::listener::Local;
use super::super::returned::Returned;
use super::super::trail::Trail;
use super::super::worker::Worker;
use super::{Client, Next};

impl Client {
    pub(super) async fn timed_out(&mut self, worker: &Worker, local: &Local) -> Next {
        local.cells().rejected(RejectReason::HeadTimeout);
        self.follow_unread(worker);
        let text = "the request head did not arrive in time\n";
        self.answer(worker, &Answer { status: 408, error: Some("limit"), text, ..base(&worker.date()) }).await
    }

    /// Answers a request that breaks a rule.
    pub async fn refused(&mut self, worker: &Worker, local: &Local, why: Refusal) -> Next {
        local.cells().rejected(reject_reason(why));
        self.follow_unread(worker);
        self.trail.failed(reject_reason(why).as_str());
        let text = why.to_string();
        // RFC 9110 section 15.5.6: a 405 names what would be allowed.
        let allowed: &[(&str, &str)] = &[("allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")];
        let extra = if why.status() == 405 { allowed } else { &[] };
        self.answer(worker, &Answer { status: why.status(), text: &text, extra, ..base(&worker.date()) })
            .await
    }

    /// Notes what is there of a request that was not understood.
    fn follow_unread(&mut self, worker: &Worker) {
        if !self.trail.is_followed() {
            self.trail = Trail::begin(worker, self);
        }
        self.trail.asked_raw(self.buffer.as_ref().map_or(&[], |it| it.filled()));
    }

    /// Sends an answer of our own. Closes afterwards if the answer says so.
    pub async fn answer(&mut self, worker: &Worker, answer: &Answer<'_>) -> Next {
        let mut out = worker.stock.head();
        let own = Returned::to(self, None);
        let own = own.as_ref().map(Returned::lines);
        let own = own.as_ref().map_or(&[][..], |it| it);
        let answer = &Answer { own, ..*answer };
        match self.stream.inbound() {
            Some(end) if end.is_call() => grpc::write_answer(answer, &mut out),
            _ => h1::write_answer(answer, &mut out),
        }
        self.trail.answered(answer.status, answer.error, if answer.head { 0 } else { answer.text.len() });
        self.deadline.set(self.spec.timeouts.write);
        let mut written = self.send_head_apart(&out).unwrap_or(0);
        let sent = poll_fn(|cx| {
            while written < out.len() {
                match Pin::new(&mut self.stream).poll_write(cx, &out[written..]) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(false),
                    Poll::Ready(Ok(count)) => written += count,
                    Poll::Pending => return self.deadline.poll(cx).map(|()| false),
                }
            }
            Poll::Ready(true)
        })
        .await;
        worker.stock.put_head(out);
        self.trail = Trail::default();
        match (sent, answer.close) {
            (true, false) => Next::Again,
            (true, true) => Next::Linger,
            (false, _) => Next::Close,
        }
    }

    /// Gives the head of an answer that is all in `out` to a stream; how much of `out` that was.
    fn send_head_apart(&mut self, out: &[u8]) -> Option<usize> {
        let len = out.windows(4).position(|it| it == b"\r\n\r\n").map(|it| it + 4)?;
        let end = self.stream.inbound()?;
        // A stream that is gone takes no content either.
        let _ = end.send_heads(&out[..len], len == out.len());
        end.set_last(true);
        Some(len)
    }
}

/// An answer that closes the connection and has nothing special.
pub fn base(date: &[u8; 29]) -> Answer<'_> {
    Answer {
        status: 500,
        error: None,
        close: true,
        client_http10: false,
        head: false,
        own: &[],
        extra: &[],
        text: "",
        date,
    }
}

/// Where a refusal is counted.
fn reject_reason(why: Refusal) -> RejectReason {
    match why {
        Refusal::NotHttp
        | Refusal::BadRequestLine
        | Refusal::BadLineEnd
        | Refusal::BadHeader
        | Refusal::BadTarget
        | Refusal::BadConnection => RejectReason::Malformed,
        Refusal::BadVersion | Refusal::UnsupportedVersion => RejectReason::HttpVersion,
        Refusal::Underscore => RejectReason::Underscore,
        Refusal::BadFraming | Refusal::LengthRequired => RejectReason::Framing,
        Refusal::UnsupportedCoding => RejectReason::TransferCoding,
        Refusal::BadHost => RejectReason::Host,
        Refusal::BadPath => RejectReason::Path,
        Refusal::UriTooLong => RejectReason::UriTooLong,
        Refusal::HeadTooLarge => RejectReason::HeadTooLarge,
        Refusal::TooManyHeaders => RejectReason::TooManyHeaders,
        Refusal::MethodTooLong | Refusal::MethodNotAllowed => RejectReason::Method,
        Refusal::UnknownExpectation => RejectReason::Expectation,
    }
}
