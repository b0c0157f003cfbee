//! One HTTP/2 connection without its socket: bytes in, events and bytes out (RFC 9113), for both sides.
//!
//! Whoever has the socket hands over what was read, serves the streams that were opened, and writes what has
//! gathered. Whoever serves a stream names it by its place. Frames of many streams gather in one buffer and
//! leave together; content joins them as far as the other side's windows and the room there allow, so that
//! nothing else has to be held for a stream that is slow to leave.
//!
//! Strict: what breaks a rule of the connection ends it, what breaks a rule of a stream ends that one, and
//! whoever makes us end many loses the connection.
//!
//! Not here: sockets, time, tasks; what a head means (`text`).

mod ending;
mod heads;
mod receive;
mod send;
mod streams;

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use crate::message::Refusal;

use super::frame::{self, Code, WINDOW_USUAL, kind, setting};
use super::hpack::{Decoder, Encoder, Fields};
use super::text::Facts;
use heads::Block;
use streams::Streams;

pub use streams::Cut;

/// What a client that speaks HTTP/2 sends first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frames that wait to be written before content waits for them.
const OUT_MAX: usize = 64 * 1024;

/// The same before nothing more is read. Content alone never comes that far, so a client that reads nothing
/// while it sends is still heard; one that only asks for answers is not.
const STALL_AT: usize = 2 * OUT_MAX;

/// What is kept of that memory between two turns.
const OUT_KEPT: usize = 8 * 1024;

/// Streams that a client may cancel before we have looked at them. More is a rapid reset.
const EARLY_MAX: usize = 20;

/// Streams that the other side may make us reset by breaking rules (MadeYouReset).
const ERRORS_MAX: usize = 128;

/// Streams that we have reset, of which more may be on its way.
const RESETS_KEPT: usize = 128;

/// Says in its answer that all has arrived that was sent before the other side knew that it should stop.
const LEAVE: &[u8] = b"leaving.";

/// Says in its answer that the other side is alive.
const PULSE: &[u8] = b"you well";

/// What one connection is to obey.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Whether we are the one who asks.
    pub asks: bool,
    /// Whether the connection is one that `https` stands for.
    pub secure: bool,
    /// What the other side may send on one stream before we have passed it on.
    pub stream_window: u32,
    /// The same for a stream that is passed on as fast as it comes.
    pub window_max: u32,
    /// What it may send on all streams: as a client, before we have passed it on; as an endpoint, before we have
    /// received it, because there the streams are different people's, and nobody waits for another who is slow.
    pub connection_window: u32,
    /// Streams that a client may have open at once.
    pub streams: usize,
    /// Largest list of fields, as RFC 9113 section 10.5.1 counts them.
    pub list: usize,
    /// Most lines of a request.
    pub lines: usize,
}

/// A stream that a client has opened.
#[derive(Debug)]
pub struct Opened {
    /// Its place.
    pub place: usize,
    /// Its head as HTTP/1 would write it.
    pub text: Vec<u8>,
    /// What is known of it, or why it is refused.
    pub head: Result<Facts, Refusal>,
    /// Whether no content follows.
    pub ends: bool,
}

/// A stream takes no more: it was reset, or its connection has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lost;

/// What is wrong, and whose end it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wrong {
    Connection(Code),
    Stream(u32, Code),
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    rules: Rules,
    decoder: Decoder,
    encoder: Encoder,
    fields: Fields,
    streams: Streams,
    opened: Vec<Opened>,
    /// What is to be written, and how much of it was.
    out: Vec<u8>,
    written: usize,
    /// Whoever has the socket, and whether that one knows that there is something to do.
    keeper: Option<Waker>,
    called: bool,
    /// How much of the preface was there.
    greeted: usize,
    /// Whether the other side's first settings were there.
    settled: bool,
    block: Option<Block>,
    window_in: i64,
    taken: i64,
    window_out: i64,
    /// What the other side gives each of our streams, how many it takes, and whether as tunnels, too (RFC 8441).
    their_window: i64,
    their_streams: usize,
    their_tunnels: bool,
    /// Those who wait for its first settings.
    curious: Vec<Waker>,
    /// Those who wait for room on the connection.
    waiting: VecDeque<(usize, u32)>,
    /// The highest number that a client has used, or that we will use next.
    last: u32,
    next: u32,
    /// Of the last streams that we have reset.
    resets: VecDeque<u32>,
    errors: usize,
    early: usize,
    /// Requests that a client gave up while they were being served.
    cancelled: u64,
    /// Frames with content that were sent.
    pieces: u64,
    /// The last stream that counts, once that was said.
    parted: Option<u32>,
    leaving: bool,
    left: bool,
    /// Whether something was answered since the leave began, and before it while that is not known to be read.
    unread: [bool; 2],
    failed: Option<Code>,
    ended: bool,
    pong: bool,
}

impl Session {
    /// Has said hello, and awaits the other side's.
    pub fn new(rules: Rules) -> Self {
        let mut it = Self {
            rules,
            decoder: Decoder::default(),
            encoder: Encoder::default(),
            fields: Fields::default(),
            streams: Streams::default(),
            opened: Vec::new(),
            out: Vec::new(),
            written: 0,
            keeper: None,
            called: false,
            greeted: if rules.asks { PREFACE.len() } else { 0 },
            settled: false,
            block: None,
            window_in: i64::from(rules.connection_window),
            taken: 0,
            window_out: WINDOW_USUAL,
            their_window: WINDOW_USUAL,
            their_streams: usize::MAX,
            their_tunnels: false,
            curious: Vec::new(),
            waiting: VecDeque::new(),
            last: 0,
            next: 1,
            resets: VecDeque::new(),
            errors: 0,
            early: 0,
            cancelled: 0,
            pieces: 0,
            parted: None,
            leaving: false,
            left: false,
            unread: [false; 2],
            failed: None,
            ended: false,
            pong: false,
        };
        it.say_hello();
        it
    }

    fn say_hello(&mut self) {
        let narrow = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
        let own = [
            (setting::INITIAL_WINDOW_SIZE, self.rules.stream_window),
            (setting::MAX_HEADER_LIST_SIZE, narrow(self.rules.list)),
        ];
        let more: &[(u16, u32)] = match self.rules.asks {
            true => &[(setting::ENABLE_PUSH, 0)],
            false => &[
                (setting::MAX_CONCURRENT_STREAMS, narrow(self.rules.streams)),
                (setting::ENABLE_CONNECT_PROTOCOL, 1),
            ],
        };
        let mut payload = Vec::new();
        for (name, value) in own.iter().chain(more) {
            payload.extend_from_slice(&name.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        if self.rules.asks {
            self.out.extend_from_slice(PREFACE);
        }
        frame::write(kind::SETTINGS, 0, 0, &payload, &mut self.out);
        let more = self.rules.connection_window - WINDOW_USUAL as u32;
        frame::write_number(kind::WINDOW_UPDATE, 0, more, &mut self.out);
    }

    /// Whether the other side has said hello.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Waits until it has; whether it takes requests for a tunnel.
    pub fn poll_tunnels(&mut self, cx: &Context<'_>) -> Poll<Result<bool, Lost>> {
        if self.settled || self.ended {
            return Poll::Ready(if self.ended { Err(Lost) } else { Ok(self.their_tunnels) });
        }
        if !self.curious.iter().any(|it| it.will_wake(cx.waker())) {
            self.curious.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Whoever has the socket looks after it now, and need not be called.
    pub fn attend(&mut self) {
        self.called = true;
    }

    /// Whoever has the socket turns to other things, and is to be called by `keeper`.
    pub fn rest(&mut self, keeper: &Waker) {
        self.called = false;
        if self.streams.count() == 0 && self.out.is_empty() && self.out.capacity() > OUT_KEPT {
            self.out = Vec::new();
        }
        match &mut self.keeper {
            Some(it) if it.will_wake(keeper) => {}
            it => *it = Some(keeper.clone()),
        }
    }

    /// There is something to write.
    fn call(&mut self) {
        if !std::mem::replace(&mut self.called, true)
            && let Some(keeper) = &self.keeper
        {
            keeper.wake_by_ref();
        }
    }

    /// Takes the streams that were opened.
    pub fn take_opened(&mut self) -> Vec<Opened> {
        self.early = 0;
        std::mem::take(&mut self.opened)
    }

    /// How many of them the client has given up since, before their answers were whole. Counted here, as soon
    /// as it is heard: whoever serves a stream may be busy with anything.
    pub fn cancelled(&self) -> u64 {
        self.cancelled
    }

    /// What is to be written.
    pub fn to_write(&self) -> &[u8] {
        &self.out[self.written..]
    }

    /// So much of it was written.
    pub fn wrote(&mut self, count: usize) {
        self.written += count;
        if self.written >= self.out.len() {
            self.written = 0;
            self.out.clear();
        }
    }

    /// Whether what is to be written has to leave before more is read.
    pub fn is_full(&self) -> bool {
        self.to_write().len() >= STALL_AT
    }

    /// Asks whether the other side is alive.
    pub fn ping(&mut self) {
        self.pong = false;
        frame::write(kind::PING, 0, 0, PULSE, &mut self.out);
    }

    /// Whether it has answered since.
    pub fn has_pong(&self) -> bool {
        self.pong
    }

    /// Ends a stream before its time. Whoever serves it hears of it.
    fn cut(&mut self, place: usize, why: Cut) {
        // Nobody has looked at it, and nobody needs to.
        let unseen = self.opened.iter().position(|it| it.place == place);
        let stream = self.streams.at(place);
        if let Some(at) = unseen {
            self.opened.remove(at);
            stream.held = false;
        }
        stream.cut = Some(why);
        stream.wake_reader();
        stream.wake_writer();
        if !stream.held {
            self.forget_content(place);
        }
        self.streams.close(place);
    }

    /// Resets a stream, open or not.
    fn say_reset(&mut self, number: u32, code: Code) {
        frame::write_number(kind::RST_STREAM, number, code.0, &mut self.out);
        if self.resets.len() == RESETS_KEPT {
            self.resets.pop_front();
        }
        self.resets.push_back(number);
        self.call();
    }

    /// A stream breaks a rule.
    fn say_error(&mut self, number: u32, code: Code) {
        self.say_reset(number, code);
        if let Some(place) = self.streams.find(number) {
            self.cut(place, Cut::Ours);
        }
        self.errors += 1;
        if self.errors > ERRORS_MAX {
            if self.rules.asks {
                // What else is under way is not to blame, and may have begun long after the first of them.
                self.left = true;
            } else {
                self.fail(Code::ENHANCE_YOUR_CALM);
            }
        }
    }

    /// So much was received on a stream that somebody looks after.
    fn arrived(&mut self, bytes: usize) {
        if self.rules.asks {
            self.give_back(bytes);
        }
    }

    /// So much of it was taken by whoever that is.
    fn passed_on(&mut self, bytes: usize) {
        if !self.rules.asks {
            self.give_back(bytes);
        }
    }

    /// So much of what was received counts no longer.
    fn give_back(&mut self, bytes: usize) {
        self.taken += bytes as i64;
        if self.taken * 2 >= i64::from(self.rules.connection_window) && !self.ended {
            frame::write_number(kind::WINDOW_UPDATE, 0, self.taken as u32, &mut self.out);
            self.window_in += std::mem::take(&mut self.taken);
            self.call();
        }
    }

    fn forget_content(&mut self, place: usize) {
        let stream = self.streams.at(place);
        let unread = stream.unread().len();
        (stream.content, stream.read) = (Vec::new(), 0);
        self.passed_on(unread);
    }

    /// Both sides may have said their last.
    fn close_if_over(&mut self, place: usize) {
        if self.streams.look(place).is_over() {
            self.streams.close(place);
        }
    }
}

#[cfg(test)]
mod tests;
