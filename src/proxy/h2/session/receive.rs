//! What arrives: frames, one after another.

use std::task::Waker;

use super::super::frame::{self, Code, HEAD_BYTES, Head, PAYLOAD_MAX, WINDOW_MAX, flag, kind, setting};
use super::streams::Cut;
use super::{EARLY_MAX, LEAVE, PREFACE, PULSE, Session, Wrong};

type Step = Result<(), Wrong>;

impl Session {
    /// Takes what was received, as far as it makes whole frames; how much that was. Stops when the answers
    /// have to leave first. `bits` are bits of chance.
    pub fn receive(&mut self, bytes: &[u8], bits: &mut dyn FnMut() -> u64) -> usize {
        let mut at = 0;
        if self.greeted < PREFACE.len() {
            at = bytes.len().min(PREFACE.len() - self.greeted);
            if bytes[..at] != PREFACE[self.greeted..self.greeted + at] {
                self.fail(Code::PROTOCOL_ERROR);
            }
            self.greeted += at;
        }
        while !self.ended && !self.is_full() {
            let Some(head) = Head::read(&bytes[at..]) else { break };
            if head.len > PAYLOAD_MAX {
                self.fail(Code::FRAME_SIZE_ERROR);
                break;
            }
            let Some(payload) = bytes.get(at + HEAD_BYTES..at + HEAD_BYTES + head.len) else { break };
            at += HEAD_BYTES + head.len;
            match self.take(head, payload, bits) {
                Ok(()) => {}
                Err(Wrong::Connection(code)) => self.fail(code),
                Err(Wrong::Stream(number, code)) => self.say_error(number, code),
            }
        }
        at
    }

    fn take(&mut self, head: Head, payload: &[u8], bits: &mut dyn FnMut() -> u64) -> Step {
        let amid = self.block.as_ref().map(|it| it.number);
        let follows = head.kind == kind::CONTINUATION;
        // Between the parts of a block is room for nothing else, and before the settings neither.
        if amid.is_some() != follows || amid.is_some_and(|it| it != head.stream) {
            return Err(PROTOCOL);
        }
        if !self.settled && (head.kind != kind::SETTINGS || head.has(flag::ACK)) {
            return Err(PROTOCOL);
        }
        match head.kind {
            kind::DATA => self.take_data(head, payload),
            kind::HEADERS => self.take_headers(head, payload, bits),
            kind::CONTINUATION => self.take_continuation(head, payload, bits),
            kind::PRIORITY => self.take_priority(head, payload),
            kind::RST_STREAM => self.take_reset(head, payload),
            kind::SETTINGS => self.take_settings(head, payload),
            kind::PUSH_PROMISE => Err(PROTOCOL),
            kind::PING => self.take_ping(head, payload),
            kind::GOAWAY => self.take_goaway(head, payload),
            kind::WINDOW_UPDATE => self.take_window(head, payload),
            // RFC 9113 section 5.5: whatever is invented next.
            _ => Ok(()),
        }
    }

    fn take_data(&mut self, head: Head, payload: &[u8]) -> Step {
        let content = frame::unpadded(head, payload).filter(|_| head.stream != 0).ok_or(PROTOCOL)?;
        let cost = payload.len() as i64;
        if cost > self.window_in {
            return Err(Wrong::Connection(Code::FLOW_CONTROL_ERROR));
        }
        self.window_in -= cost;
        let Some(place) = self.streams.find(head.stream) else {
            self.give_back(payload.len());
            self.must_not_be_idle(head.stream)?;
            return match self.rules.asks || self.is_forgiven(head.stream) {
                true => Ok(()),
                false => Err(Wrong::Stream(head.stream, Code::STREAM_CLOSED)),
            };
        };
        let ends = head.has(flag::END_STREAM);
        let stream = self.streams.at(place);
        let left = stream.awaited.map(|it| it.checked_sub(content.len() as u64));
        let wrong = if stream.heard {
            Some(Code::STREAM_CLOSED)
        } else if cost > stream.window_in {
            Some(Code::FLOW_CONTROL_ERROR)
        } else if !stream.begun || left == Some(None) || (ends && left.is_some_and(|it| it != Some(0))) {
            Some(Code::PROTOCOL_ERROR)
        } else {
            None
        };
        if let Some(code) = wrong {
            self.give_back(payload.len());
            return Err(Wrong::Stream(head.stream, code));
        }
        let padding = payload.len() - content.len();
        stream.window_in -= cost;
        stream.taken += padding as i64;
        stream.awaited = left.flatten();
        stream.content.extend_from_slice(content);
        stream.heard = ends;
        stream.wake_reader();
        self.arrived(payload.len());
        if padding > 0 {
            self.passed_on(padding);
            self.give_back_to(place);
        }
        self.close_if_over(place);
        Ok(())
    }

    fn take_priority(&mut self, head: Head, payload: &[u8]) -> Step {
        if head.stream == 0 {
            return Err(PROTOCOL);
        }
        let code = match frame::number(payload) {
            Some(on) if payload.len() == 5 && on & 0x7fff_ffff != head.stream => return Ok(()),
            Some(_) if payload.len() == 5 => Code::PROTOCOL_ERROR,
            _ => Code::FRAME_SIZE_ERROR,
        };
        match self.streams.find(head.stream) {
            Some(_) => Err(Wrong::Stream(head.stream, code)),
            None => Err(Wrong::Connection(code)),
        }
    }

    fn take_reset(&mut self, head: Head, payload: &[u8]) -> Step {
        let code = one_number(payload)?;
        self.must_not_be_idle(head.stream)?;
        let Some(place) = self.streams.find(head.stream) else { return Ok(()) };
        let unseen = self.opened.iter().any(|it| it.place == place);
        self.early += usize::from(unseen);
        self.cancelled += u64::from(!unseen && !self.streams.look(place).said);
        self.cut(place, Cut::Theirs(Code(code)));
        if self.early > EARLY_MAX { Err(Wrong::Connection(Code::ENHANCE_YOUR_CALM)) } else { Ok(()) }
    }

    fn take_settings(&mut self, head: Head, payload: &[u8]) -> Step {
        if head.stream != 0 {
            return Err(PROTOCOL);
        }
        let acknowledges = head.has(flag::ACK);
        if !payload.len().is_multiple_of(6) || (acknowledges && !payload.is_empty()) {
            return Err(FRAME_SIZE);
        }
        if acknowledges {
            return Ok(());
        }
        self.settled = true;
        for one in payload.as_chunks::<6>().0 {
            let &[a, b, value @ ..] = one;
            self.take_setting(u16::from_be_bytes([a, b]), u32::from_be_bytes(value))?;
        }
        frame::write(kind::SETTINGS, flag::ACK, 0, &[], &mut self.out);
        self.curious.drain(..).for_each(Waker::wake);
        Ok(())
    }

    fn take_setting(&mut self, name: u16, value: u32) -> Step {
        match name {
            setting::ENABLE_PUSH | setting::ENABLE_CONNECT_PROTOCOL if value > 1 => Err(PROTOCOL),
            // We push nothing, and no endpoint may say that it will.
            setting::ENABLE_PUSH if value == 1 && self.rules.asks => Err(PROTOCOL),
            setting::MAX_FRAME_SIZE if !(PAYLOAD_MAX as u32..1 << 24).contains(&value) => Err(PROTOCOL),
            // RFC 8441 section 3: once it was said it holds.
            setting::ENABLE_CONNECT_PROTOCOL => {
                self.their_tunnels |= value == 1;
                Ok(())
            }
            setting::MAX_CONCURRENT_STREAMS => {
                self.their_streams = value as usize;
                Ok(())
            }
            setting::INITIAL_WINDOW_SIZE if i64::from(value) > WINDOW_MAX => {
                Err(Wrong::Connection(Code::FLOW_CONTROL_ERROR))
            }
            setting::INITIAL_WINDOW_SIZE => {
                let more = i64::from(value) - self.their_window;
                self.their_window = i64::from(value);
                for place in self.streams.places().collect::<Vec<_>>() {
                    let stream = self.streams.at(place);
                    stream.window_out += more;
                    if stream.window_out > WINDOW_MAX {
                        return Err(Wrong::Connection(Code::FLOW_CONTROL_ERROR));
                    }
                    if stream.window_out > 0 && !stream.queued {
                        stream.wake_writer();
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn take_ping(&mut self, head: Head, payload: &[u8]) -> Step {
        if head.stream != 0 {
            return Err(PROTOCOL);
        }
        if payload.len() != 8 {
            return Err(FRAME_SIZE);
        }
        match (head.has(flag::ACK), payload) {
            (false, _) => frame::write(kind::PING, flag::ACK, 0, payload, &mut self.out),
            (true, LEAVE) if self.leaving => self.leave_is_taken(),
            (true, PULSE) => self.pong = true,
            (true, _) => {}
        }
        Ok(())
    }

    fn take_goaway(&mut self, head: Head, payload: &[u8]) -> Step {
        if head.stream != 0 {
            return Err(PROTOCOL);
        }
        let last = frame::number(payload).filter(|_| payload.len() >= 8).ok_or(FRAME_SIZE)? & 0x7fff_ffff;
        self.left = true;
        if self.rules.asks {
            for place in self.streams.places().collect::<Vec<_>>() {
                if self.streams.look(place).number > last {
                    self.cut(place, Cut::Untouched);
                }
            }
        }
        Ok(())
    }

    fn take_window(&mut self, head: Head, payload: &[u8]) -> Step {
        let more = i64::from(one_number(payload)? & 0x7fff_ffff);
        if head.stream == 0 {
            self.window_out += more;
            return match more {
                0 => Err(PROTOCOL),
                _ if self.window_out > WINDOW_MAX => Err(Wrong::Connection(Code::FLOW_CONTROL_ERROR)),
                _ => Ok(()),
            };
        }
        self.must_not_be_idle(head.stream)?;
        let Some(place) = self.streams.find(head.stream) else { return Ok(()) };
        let stream = self.streams.at(place);
        stream.window_out += more;
        match more {
            0 => return Err(Wrong::Stream(head.stream, Code::PROTOCOL_ERROR)),
            _ if stream.window_out > WINDOW_MAX => {
                return Err(Wrong::Stream(head.stream, Code::FLOW_CONTROL_ERROR));
            }
            _ if stream.window_out > 0 && !stream.queued => stream.wake_writer(),
            _ => {}
        }
        Ok(())
    }

    /// A stream that is not open must have been.
    pub(super) fn must_not_be_idle(&self, number: u32) -> Step {
        let most = if self.rules.asks { self.next.saturating_sub(1) } else { self.last };
        if number % 2 == 1 && number <= most { Ok(()) } else { Err(PROTOCOL) }
    }

    /// Whether more of a stream may be on its way although it is not open: we have reset it, or it comes
    /// after the last that counts.
    pub(super) fn is_forgiven(&self, number: u32) -> bool {
        self.parted.is_some_and(|it| number > it) || self.resets.contains(&number)
    }
}

/// The payload of a frame that carries one number.
fn one_number(payload: &[u8]) -> Result<u32, Wrong> {
    frame::number(payload).filter(|_| payload.len() == 4).ok_or(FRAME_SIZE)
}

pub(super) const PROTOCOL: Wrong = Wrong::Connection(Code::PROTOCOL_ERROR);
pub(super) const FRAME_SIZE: Wrong = Wrong::Connection(Code::FRAME_SIZE_ERROR);
