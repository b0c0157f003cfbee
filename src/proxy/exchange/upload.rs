//! The request's way: from the client to the endpoint, and an eye on the client meanwhile.

use std::task::{Context, Poll};

use super::{Client, Exchange, Failure, Flow, Next, Step, Verdict, Wait, shut};

impl Exchange<'_> {
    /// Passes the request on.
    pub(super) fn upload(&mut self, client: &mut Client, cx: &mut Context<'_>) -> Step {
        client.buffer(self.worker);
        loop {
            let (Some(upstream), Some(buffer)) = (&mut self.upstream, &mut client.buffer) else {
                return Ok(());
            };
            let before = self.job.upload.moved;
            let flow = self.job.upload.poll(buffer, upstream, cx);
            let moved = self.job.upload.moved - before;
            if moved > 0 {
                self.patience.upload_moved(moved, self.now_us / 1000);
            }
            match flow {
                Flow::Done => {
                    self.upload_done = true;
                    self.patience.sent(self.now_us / 1000);
                    self.attempt.handed(self.now_us);
                    if let Some(copy) = self.job.copy.take() {
                        copy.send(self.worker, self.job.upload.replay.body());
                    }
                    if let Some(end) = upstream.outbound() {
                        // If that fails, so does the answer.
                        let _ = end.finish();
                    }
                    if self.tunnel {
                        shut(upstream, cx);
                        return Ok(());
                    }
                    return self.watch_client(client, cx);
                }
                Flow::Hungry if self.job.upload.held => {
                    self.watch_client(client, cx)?;
                    if client.has_unread() {
                        // Whoever has begun with its body does not wait for a 100 (RFC 9110 section 10.1.1).
                        self.let_go_on();
                        continue;
                    }
                    self.held_since_ms = Some(self.now_ms());
                    self.patience.sent(self.now_ms());
                    return Ok(());
                }
                Flow::Hungry => {
                    if !self.read_body(client, cx)? {
                        return Ok(());
                    }
                }
                Flow::Blocked => {
                    self.patience.wait(Wait::UpstreamTakes);
                    return Ok(());
                }
                Flow::Sink if self.tunnel => return Err(Verdict::Ended(Next::Close)),
                // It may have answered before it closed: that answer is worth more than our error.
                Flow::Sink => {
                    self.upload_lost = true;
                    return Ok(());
                }
                Flow::Source => return Err(Verdict::Failed(Failure::BadBody)),
                Flow::TooLarge => return Err(Verdict::Failed(Failure::BodyTooLarge)),
            }
        }
    }

    /// Whether the client may be silent as long as the version may: a gRPC call whose messages come when
    /// there is something to say.
    fn is_talk(&self, client: &Client) -> bool {
        self.job.request.te_trailers && client.stream.is_end()
    }

    /// Reads more of the client's body. False if there is nothing now.
    pub(super) fn read_body(&mut self, client: &mut Client, cx: &mut Context<'_>) -> Result<bool, Verdict> {
        let Some(buffer) = &mut client.buffer else { return Ok(false) };
        let read = if client.eof { Poll::Ready(Ok(0)) } else { buffer.poll_fill(&mut client.stream, cx) };
        match read {
            Poll::Pending => {
                self.patience.wait(match self.tunnel {
                    true => Wait::Tunnel,
                    false if self.is_talk(client) => Wait::Talk,
                    false => Wait::ClientSends,
                });
                Ok(false)
            }
            Poll::Ready(Err(_)) => Err(Verdict::Failed(Failure::ClientGone)),
            Poll::Ready(Ok(0)) => {
                client.eof = true;
                match self.job.upload.source_ended() {
                    Ok(()) => Ok(true),
                    Err(_) => Err(Verdict::Failed(Failure::BadBody)),
                }
            }
            Poll::Ready(Ok(_)) => Ok(true),
        }
    }

    /// Nothing is read from the client, but for what shows whether it is still there.
    pub(super) fn watch_client(&self, client: &mut Client, cx: &mut Context<'_>) -> Step {
        match client.poll_lost(self.worker, cx) {
            Poll::Ready(()) => Err(Verdict::Failed(Failure::ClientGone)),
            Poll::Pending => Ok(()),
        }
    }
}
