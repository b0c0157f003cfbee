//! The answer's way: interim heads, the head, the body, from the endpoint to the client.

use std::task::{Context, Poll};

use crate::h1::{self, Asked, BodyReader, ResponseLimits, ResponseWriting};
use crate::message::Framing;
use crate::runtime::mishap;

use super::super::buffer::{BUFFER_BYTES, Buffer};
use super::super::grpc::Call;
use super::super::returned::Returned;
use super::{Answer, Client, Exchange, Failure, Flow, Step, Stream, Verdict, Wait, shut};

impl Exchange<'_> {
    /// Passes the answer on.
    pub(super) fn download(&mut self, client: &mut Client, cx: &mut Context<'_>) -> Step {
        if self.upstream.is_none() {
            return Ok(());
        }
        let mut buffer = self.buffer.take().unwrap_or_else(|| self.worker.stock.buffer());
        let step = self.download_with(&mut buffer, client, cx);
        if buffer.is_empty() {
            // A long wait for an answer, or for more of it, holds no memory.
            self.worker.stock.put_buffer(buffer);
        } else {
            if self.answer == Answer::Body {
                buffer.shrink(&self.worker.stock);
            }
            self.buffer = Some(buffer);
        }
        step
    }

    pub(super) fn download_with(
        &mut self,
        buffer: &mut Buffer,
        client: &mut Client,
        cx: &mut Context<'_>,
    ) -> Step {
        while self.answer == Answer::Head {
            if !self.flush_interim(buffer, client, cx)? {
                return Ok(());
            }
            if !self.read_head(buffer, client, cx)? {
                return Ok(());
            }
        }
        while self.answer == Answer::Body {
            mishap("body");
            let before = self.download.moved;
            let flow = self.download.poll(buffer, &mut client.stream, cx);
            if self.download.moved > before {
                self.response_begun = true;
                self.patience.answer_moved(self.download.moved - before, self.now_us / 1000);
            }
            match flow {
                Flow::Done => {
                    self.answer = Answer::Done;
                    if let Some(end) = client.stream.inbound() {
                        end.finish(self.download.reader.trailers()).map_err(client_gone)?;
                    } else if self.tunnel {
                        shut(&mut client.stream, cx);
                    }
                }
                Flow::Hungry => {
                    if !self.read_answer(buffer, cx)? {
                        return Ok(());
                    }
                }
                Flow::Blocked => {
                    self.patience.wait(Wait::ClientTakes);
                    return Ok(());
                }
                Flow::Sink => return Err(Verdict::Failed(Failure::ClientGone)),
                Flow::Source | Flow::TooLarge => return Err(Verdict::Failed(Failure::Protocol)),
            }
        }
        Ok(())
    }

    /// Sends interim answers on. False while the client does not take them.
    pub(super) fn flush_interim(
        &mut self,
        buffer: &mut Buffer,
        client: &mut Client,
        cx: &mut Context<'_>,
    ) -> Result<bool, Verdict> {
        if self.download.front.is_empty() {
            return Ok(true);
        }
        if let Some(end) = client.stream.inbound() {
            end.send_heads(&self.download.front, false).map_err(client_gone)?;
            self.download.restart();
            return Ok(true);
        }
        self.download.held = true;
        let flow = self.download.poll(buffer, &mut client.stream, cx);
        self.download.held = false;
        match flow {
            Flow::Blocked => {
                self.patience.wait(Wait::ClientTakes);
                Ok(false)
            }
            Flow::Sink => Err(Verdict::Failed(Failure::ClientGone)),
            Flow::Done | Flow::Hungry | Flow::Source | Flow::TooLarge => {
                self.download.restart();
                self.interim_bytes = self.download.moved;
                Ok(true)
            }
        }
    }

    /// Reads the answer's head. False if more must arrive first.
    pub(super) fn read_head(
        &mut self,
        buffer: &mut Buffer,
        client: &mut Client,
        cx: &mut Context<'_>,
    ) -> Result<bool, Verdict> {
        let limits = self.response_limits();
        loop {
            if !buffer.is_empty() {
                match self.scanner.scan_response(buffer.filled(), &limits) {
                    Ok(Some(len)) => {
                        self.scanner.reset();
                        return self.take_head(buffer, client, len).map(|()| true);
                    }
                    Ok(None) => {}
                    Err(_) => return Err(Verdict::Failed(Failure::Protocol)),
                }
            }
            let Some(upstream) = &mut self.upstream else { return Ok(false) };
            match upstream.poll_head(buffer, cx) {
                Poll::Pending => {
                    // Before the request has been sent, whoever holds it up is waited for instead.
                    if self.upload_done || self.upload_lost || self.held_since_ms.is_some() {
                        self.patience.wait(Wait::Head);
                    }
                    return Ok(false);
                }
                Poll::Ready(Ok(0) | Err(_)) => return Err(self.no_answer()),
                Poll::Ready(Ok(_)) => {
                    self.heard = true;
                    self.reads += 1;
                }
            }
        }
    }

    /// The connection ended without an answer.
    pub(super) fn no_answer(&self) -> Verdict {
        if !self.heard
            && let Some(Stream::Outbound(end)) = self.upstream.as_deref()
            && end.is_unprocessed()
        {
            return Verdict::Unbegun;
        }
        let upload = &self.job.upload;
        match self.reused && !self.heard {
            true if upload.is_untouched() => Verdict::Stale,
            true if self.job.request.is_idempotent() && upload.can_rewind() => Verdict::Stale,
            true => Verdict::Failed(Failure::Race),
            false => Verdict::Failed(Failure::Reset),
        }
    }

    pub(super) fn response_limits(&self) -> ResponseLimits {
        let limits = &self.job.spec.limits;
        ResponseLimits { head: limits.response_head.min(BUFFER_BYTES), headers: limits.response_headers }
    }

    /// Turns the upstream's head into ours.
    pub(super) fn take_head(&mut self, buffer: &mut Buffer, client: &mut Client, len: usize) -> Step {
        let protocol = |_| Verdict::Failed(Failure::Protocol);
        let mut scratch = self.worker.scratch.borrow_mut();
        let head = &mut scratch.response;
        let request = self.job.request;
        let asked = Asked { kind: request.kind, upgrade: request.upgrade };
        let buf = &buffer.filled()[..len];
        h1::parse_response(buf, &self.response_limits(), asked, head).map_err(protocol)?;
        let from_end = self.upstream.as_deref().is_some_and(Stream::is_end);
        if from_end && head.framing == Framing::UntilClose {
            // Content without a length is announced as chunks; so there is none.
            head.framing = Framing::Length(0);
        }
        if head.is_interim() {
            self.interim += 1;
            if self.interim > self.job.spec.limits.interim {
                return Err(Verdict::Failed(Failure::Protocol));
            }
            let wanted = !request.http10 && (head.status != 100 || self.job.upload.held);
            if wanted {
                h1::write_interim(head, buf, &mut self.download.front);
                self.download.load_front();
            }
            if head.status == 100 {
                (self.job.upload.held, self.held_since_ms) = (false, None);
            }
            buffer.consume(len);
            return Ok(());
        }
        let unchanged = request.upgrade && !head.upgraded;
        if unchanged && client.stream.is_end() && (200..300).contains(&head.status) {
            // RFC 8441 section 5: whoever asked on a stream would take this for the tunnel.
            return Err(Verdict::Failed(Failure::NoUpgrade));
        }
        if self.spares(head.status) {
            return Err(Verdict::Spared(head.status));
        }
        if self.job.copy.is_none() {
            self.job.upload.replay.let_go();
        }
        self.attempt.answered(head.status, self.now_us);
        self.call = Call::of(head, buf);
        self.patience.answered(self.now_us / 1000);
        self.tunnel = head.upgraded;
        let apart = client.stream.is_end();
        let framing = framing_out(head.framing, request.http10 || apart, self.tunnel);
        self.close_client = !request.keep_alive
            || !self.upload_done
            || self.tunnel
            || framing == Framing::UntilClose
            || client.is_spent(self.worker, self.now_us / 1000);
        self.keep_upstream = head.keep_alive && !self.tunnel && head.framing != Framing::UntilClose;
        let trailers = (head.framing == Framing::Chunked || from_end)
            && (apart || (request.te_trailers && framing == Framing::Chunked));
        let spent = self.job.server_timing.then(|| self.attempt.spent(self.now_us));
        let returned = Returned::to(client, spent);
        let own = returned.as_ref().map(Returned::lines);
        let how = ResponseWriting {
            framing,
            close: self.close_client,
            client_http10: request.http10,
            edits: &self.job.response_headers,
            own: own.as_ref().map_or(&[], |it| it),
            date: &self.worker.date(),
            trailers,
        };
        h1::write_response(head, buf, &how, &mut self.download.front);
        match client.stream.inbound() {
            Some(end) => {
                let ends = framing.is_empty() && !self.tunnel;
                end.send_heads(&self.download.front, ends).map_err(client_gone)?;
                self.response_begun = true;
                self.download.restart();
            }
            None => self.download.load_front(),
        }
        self.download.reader = match self.tunnel {
            true => BodyReader::new(Framing::UntilClose, Framing::UntilClose),
            false if from_end && head.framing != Framing::None => {
                BodyReader::new(Framing::UntilClose, framing)
            }
            false => BodyReader::new(head.framing, framing),
        };
        if trailers {
            self.download.reader.keep_trailers();
        }
        if self.tunnel {
            self.open_tunnel();
        }
        drop(scratch);
        buffer.consume(len);
        self.answer = Answer::Body;
        Ok(())
    }

    /// From here on, bytes pass both ways until both sides have finished.
    pub(super) fn open_tunnel(&mut self) {
        self.job.upload.reader = BodyReader::new(Framing::UntilClose, Framing::UntilClose);
        self.job.upload.content_max = None;
        self.upload_done = false;
        self.patience.open_end();
        self.attempt.complete(false);
    }

    /// Reads more of the answer's body. False if there is nothing now.
    pub(super) fn read_answer(&mut self, buffer: &mut Buffer, cx: &mut Context<'_>) -> Result<bool, Verdict> {
        let Some(upstream) = &mut self.upstream else { return Ok(false) };
        buffer.grow(&self.worker.stock);
        match buffer.poll_fill(upstream, cx) {
            Poll::Pending => {
                self.patience.wait(if self.tunnel { Wait::Tunnel } else { Wait::Body });
                Ok(false)
            }
            Poll::Ready(Err(_)) => Err(Verdict::Failed(Failure::Reset)),
            Poll::Ready(Ok(0)) => {
                if let Some(lines) = upstream.outbound().and_then(|it| it.trailers()) {
                    let taken = self.download.reader.take_trailers(&lines);
                    taken.map_err(|_| Verdict::Failed(Failure::Protocol))?;
                }
                match self.download.source_ended() {
                    Ok(()) => Ok(true),
                    Err(_) => Err(Verdict::Failed(Failure::Reset)),
                }
            }
            Poll::Ready(Ok(_)) => {
                self.reads += 1;
                Ok(true)
            }
        }
    }
}

/// How a body goes on. Chunks are not for HTTP/1.0, and a body without an end in sight gets chunks,
/// so that its end can be told from a break.
fn framing_out(framing: Framing, http10: bool, tunnel: bool) -> Framing {
    match framing {
        _ if tunnel => Framing::None,
        Framing::Chunked | Framing::UntilClose if http10 => Framing::UntilClose,
        Framing::Chunked | Framing::UntilClose => Framing::Chunked,
        Framing::None | Framing::Length(_) => framing,
    }
}

fn client_gone(_: std::io::Error) -> Verdict {
    Verdict::Failed(Failure::ClientGone)
}
