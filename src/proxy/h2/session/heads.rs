//! Heads and trailers that arrive: blocks of one frame or of several, and what becomes of them.

use crate::message::Refusal;

use super::super::frame::{self, Code, Head, flag};
use super::super::text;
use super::receive::{FRAME_SIZE, PROTOCOL};
use super::streams::Stream;
use super::{Opened, Session, Wrong};

/// Parts of one block. What fits the limits needs few; a block without an end brings many.
const PARTS_MAX: usize = 64;

/// Bytes of heads of one answer, interim ones included.
const HEADS_MAX: usize = 64 * 1024;

/// A block of which more is to come.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) number: u32,
    bytes: Vec<u8>,
    parts: usize,
    kind: Kind,
}

/// What its first frame said.
#[derive(Clone, Copy, Debug)]
struct Kind {
    /// Whether no more comes on the stream.
    ends: bool,
    /// Whether the stream is said to depend on itself.
    on_itself: bool,
}

type Step = Result<(), Wrong>;
type Chance<'a> = &'a mut dyn FnMut() -> u64;

impl Session {
    pub(super) fn take_headers(&mut self, head: Head, payload: &[u8], bits: Chance<'_>) -> Step {
        let mut part = frame::unpadded(head, payload).filter(|_| head.stream % 2 == 1).ok_or(PROTOCOL)?;
        let mut kind = Kind { ends: head.has(flag::END_STREAM), on_itself: false };
        if head.has(flag::PRIORITY) {
            let (on, rest) = part.split_at_checked(5).ok_or(FRAME_SIZE)?;
            kind.on_itself = frame::number(on).is_some_and(|it| it & 0x7fff_ffff == head.stream);
            part = rest;
        }
        if head.has(flag::END_HEADERS) {
            return self.take_block(head.stream, part, kind, bits);
        }
        self.block = Some(Block { number: head.stream, bytes: part.to_vec(), parts: 1, kind });
        Ok(())
    }

    pub(super) fn take_continuation(&mut self, head: Head, payload: &[u8], bits: Chance<'_>) -> Step {
        let Some(mut block) = self.block.take() else { return Err(PROTOCOL) };
        block.parts += 1;
        // Nothing that is compressed is longer than what it stands for, save for a little.
        if block.parts > PARTS_MAX || block.bytes.len() + payload.len() > self.rules.list * 2 + 16_384 {
            return Err(Wrong::Connection(Code::ENHANCE_YOUR_CALM));
        }
        block.bytes.extend_from_slice(payload);
        if head.has(flag::END_HEADERS) {
            return self.take_block(block.number, &block.bytes, block.kind, bits);
        }
        self.block = Some(block);
        Ok(())
    }

    fn take_block(&mut self, number: u32, block: &[u8], kind: Kind, bits: Chance<'_>) -> Step {
        self.fields.begin(self.rules.list);
        // Whoever the block is for, the tables must stay the same.
        let read = self.decoder.read(block, &mut self.fields);
        read.map_err(|_| Wrong::Connection(Code::COMPRESSION_ERROR))?;
        let wrong = |code| Err(Wrong::Stream(number, code));
        let Some(place) = self.streams.find(number) else {
            return if self.rules.asks {
                self.must_not_be_idle(number)
            } else {
                self.open(number, kind, bits)
            };
        };
        let stream = self.streams.at(place);
        if stream.heard {
            return wrong(Code::STREAM_CLOSED);
        }
        if kind.on_itself || self.fields.is_over() {
            return wrong(Code::PROTOCOL_ERROR);
        }
        if stream.begun {
            let mut lines = Vec::with_capacity(TRAILERS_USUAL);
            let sound = text::write_trailers(&self.fields, &mut lines).is_ok()
                && (self.rules.asks || !text::has_blank_ends(&self.fields));
            if !kind.ends || !sound || stream.awaited.is_some_and(|it| it > 0) {
                return wrong(Code::PROTOCOL_ERROR);
            }
            stream.trailers = self.rules.asks.then_some(lines);
        } else {
            let before = stream.heads.len();
            stream.heads.reserve(HEAD_USUAL);
            let tunnel = stream.tunnel.as_deref();
            let facts = text::write_response(&self.fields, kind.ends, tunnel, &mut stream.heads);
            let Ok(facts) = facts else {
                // Nobody gets to see the part that made sense.
                stream.heads.truncate(before);
                return wrong(Code::PROTOCOL_ERROR);
            };
            if stream.heads.len() > HEADS_MAX {
                return wrong(Code::ENHANCE_YOUR_CALM);
            }
            stream.begun = facts.status >= 200;
            if !stream.bodiless && !matches!(facts.status, 204 | 304) {
                stream.awaited = facts.length;
            }
            if kind.ends && stream.awaited.is_some_and(|it| it > 0) {
                return wrong(Code::PROTOCOL_ERROR);
            }
        }
        stream.heard = kind.ends;
        stream.wake_reader();
        self.close_if_over(place);
        Ok(())
    }

    /// A client asks for something.
    fn open(&mut self, number: u32, kind: Kind, bits: Chance<'_>) -> Step {
        let wrong = |code| Err(Wrong::Stream(number, code));
        if number <= self.last {
            return if self.is_forgiven(number) { Ok(()) } else { Err(PROTOCOL) };
        }
        self.last = number;
        if self.is_forgiven(number) {
            return Ok(());
        }
        if self.streams.count() >= self.rules.streams {
            // Nobody's fault: the limit may have been on its way.
            self.say_reset(number, Code::REFUSED_STREAM);
            return Ok(());
        }
        if kind.on_itself {
            return wrong(Code::PROTOCOL_ERROR);
        }
        let mut head = Vec::with_capacity(HEAD_USUAL);
        let written = match self.fields.is_over() {
            true => Ok(Err(Refusal::HeadTooLarge)),
            false => text::write_request(&self.fields, kind.ends, &self.rules, bits, &mut head),
        };
        let Ok(facts) = written else { return wrong(Code::PROTOCOL_ERROR) };
        let awaited = facts.ok().and_then(|it| it.length);
        if kind.ends && awaited.is_some_and(|it| it > 0) {
            return wrong(Code::PROTOCOL_ERROR);
        }
        let place = self.streams.add(Stream {
            number,
            held: true,
            heard: kind.ends,
            begun: true,
            awaited,
            window: i64::from(self.rules.stream_window),
            window_in: i64::from(self.rules.stream_window),
            window_out: self.their_window,
            quota: super::OUT_MAX,
            ..Stream::default()
        });
        self.streams.open(place);
        self.opened.push(Opened { place, text: head, head: facts, ends: kind.ends });
        Ok(())
    }
}

/// Room for the head of most requests, and of most answers.
const HEAD_USUAL: usize = 512;

/// Room for the trailers of most calls.
const TRAILERS_USUAL: usize = 128;
