//! HTTP/2 frame by frame: a client that sends whatever frames it is told to, sound or not.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::wait::PATIENCE;

/// Types of frames.
pub mod kind {
    #![allow(missing_docs, reason = "RFC 9113 section 6")]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// No more will come on the stream; on SETTINGS and PING, an acknowledgement.
pub const END_STREAM: u8 = 1;
/// The block of headers is whole.
pub const END_HEADERS: u8 = 4;
/// Both, as a request without content has it.
pub const WHOLE: u8 = END_STREAM | END_HEADERS;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    /// Type.
    pub kind: u8,
    /// Flags.
    pub flags: u8,
    /// Stream.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// What came of a request, or of a connection.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Came {
    /// Final status.
    pub status: Option<u16>,
    /// Interim statuses before it.
    pub interim: Vec<u16>,
    /// Content.
    pub body: Vec<u8>,
    /// Whether the answer ended as it should.
    pub whole: bool,
    /// Whether a block of headers followed the content.
    pub trailers: bool,
    /// Code of a reset of this stream.
    pub reset: Option<u32>,
    /// Code of the last GOAWAY.
    pub goaway: Option<u32>,
    /// Last stream of every GOAWAY.
    pub last: Vec<u32>,
    /// Whether the connection was closed.
    pub closed: bool,
}

/// A connection.
#[derive(Debug)]
pub struct Frames {
    stream: TcpStream,
    read: Vec<u8>,
    /// Whether frames that must be acknowledged are.
    pub polite: bool,
}

impl Frames {
    /// Connects, says hello and hears what the other side says.
    #[track_caller]
    pub fn connect(to: SocketAddr) -> Self {
        Self::connect_with(to, &[])
    }

    /// The same with these settings. There is no table of headers in any case: what is received can be
    /// read without one.
    #[track_caller]
    pub fn connect_with(to: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut it = Self::raw(to);
        it.bytes(PREFACE);
        let mut all = vec![(1, 0)];
        all.extend_from_slice(settings);
        it.settings(&all);
        it
    }

    /// The same by a client that takes little at once.
    #[track_caller]
    pub fn connect_narrow_with(to: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::for_address(to), socket2::Type::STREAM, None)
            .expect("socket");
        socket.set_recv_buffer_size(64 * 1024).expect("receive buffer");
        socket.connect(&to.into()).expect("connect");
        let mut it = Self { stream: socket.into(), read: Vec::new(), polite: true };
        it.bytes(PREFACE);
        it.settings(&[&[(1, 0)], settings].concat())
            .stream
            .set_write_timeout(Some(PATIENCE))
            .expect("timeout");
        it
    }

    /// Connects and says nothing.
    #[track_caller]
    pub fn raw(to: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&to, PATIENCE).expect("connect");
        stream.set_nodelay(true).expect("nodelay");
        stream.set_write_timeout(Some(PATIENCE)).expect("timeout");
        Self { stream, read: Vec::new(), polite: true }
    }

    /// The other side of a connection: hears a client's hello and answers it.
    pub fn accepted(stream: TcpStream) -> Self {
        Self::accepted_with(stream, &[])
    }

    /// The same with these settings.
    pub fn accepted_with(stream: TcpStream, settings: &[(u16, u32)]) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("timeout");
        let mut it = Self { stream, read: Vec::new(), polite: true };
        let mut preface = [0; PREFACE.len()];
        if it.stream.read_exact(&mut preface).is_ok() {
            let mut all = vec![(1, 0)];
            all.extend_from_slice(settings);
            it.settings(&all);
        }
        it
    }

    /// Waits for the next request; its stream.
    pub fn request(&mut self) -> Option<u32> {
        loop {
            match self.next_within(PATIENCE) {
                Ok(frame) if frame.kind == kind::HEADERS => return Some(frame.stream),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// Answers 200 with this content.
    pub fn respond(&mut self, stream: u32, body: &str) -> &mut Self {
        self.send(kind::HEADERS, END_HEADERS, stream, &[0x88]);
        self.send(kind::DATA, END_STREAM, stream, body.as_bytes())
    }

    /// Announces the end: streams up to `last` are answered.
    pub fn goaway(&mut self, last: u32, code: u32) -> &mut Self {
        let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        self.send(kind::GOAWAY, 0, 0, &payload)
    }

    /// Sends bytes as they are. A connection that is closed is noticed when reading.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let _ = self.stream.write_all(bytes);
        self
    }

    /// Sends bytes; whether they were taken.
    pub fn offer(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends a frame.
    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> &mut Self {
        let bytes = frame(kind, flags, stream, payload);
        self.bytes(&bytes)
    }

    /// Sends settings.
    pub fn settings(&mut self, settings: &[(u16, u32)]) -> &mut Self {
        let payload: Vec<u8> = settings.iter().flat_map(|it| setting(it.0, it.1)).collect();
        self.send(kind::SETTINGS, 0, 0, &payload)
    }

    /// Sends `GET /` without content.
    pub fn get(&mut self, stream: u32) -> &mut Self {
        self.send(kind::HEADERS, WHOLE, stream, &block(&GET))
    }

    /// Sends a request's head, content to follow.
    pub fn head(&mut self, stream: u32, fields: &[(&str, &str)]) -> &mut Self {
        self.send(kind::HEADERS, END_HEADERS, stream, &block(fields))
    }

    /// Sends `WINDOW_UPDATE`.
    pub fn window(&mut self, stream: u32, by: u32) -> &mut Self {
        self.send(kind::WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
    }

    /// Sends no more.
    pub fn finish(&mut self) -> &mut Self {
        let _ = self.stream.shutdown(Shutdown::Write);
        self
    }

    /// The next frame that is not about settings; `None` when the connection is closed or `limit` passed.
    pub fn next_within(&mut self, limit: Duration) -> Result<Frame, bool> {
        let until = Instant::now() + limit;
        loop {
            if let Some(frame) = self.take() {
                match (frame.kind, frame.flags & END_STREAM) {
                    (kind::SETTINGS, 0) if self.polite => {
                        self.send(kind::SETTINGS, END_STREAM, 0, &[]);
                    }
                    (kind::SETTINGS, _) => {}
                    (kind::PING, 0) if self.polite => {
                        self.send(kind::PING, END_STREAM, 0, &frame.payload);
                        return Ok(frame);
                    }
                    _ => return Ok(frame),
                }
                continue;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(false);
            }
            self.stream.set_read_timeout(Some(left)).expect("timeout");
            let mut bytes = [0; 65_536];
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(true),
                Ok(count) => self.read.extend_from_slice(&bytes[..count]),
                Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) => return Err(false),
                Err(error) if matches!(error.kind(), std::io::ErrorKind::TimedOut) => return Err(false),
                Err(_) => return Err(true),
            }
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let length = u32::from_be_bytes([0, *self.read.first()?, *self.read.get(1)?, *self.read.get(2)?]);
        let length = length as usize;
        if self.read.len() < 9 + length {
            return None;
        }
        let head: Vec<u8> = self.read.drain(..9).collect();
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let payload = self.read.drain(..length).collect();
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Reads until a stream has ended, one way or another, or the connection has.
    #[track_caller]
    pub fn answer(&mut self, stream: u32) -> Came {
        let mut came = Came::default();
        while !came.whole && came.reset.is_none() && !came.closed {
            match self.next_within(PATIENCE) {
                Ok(frame) => came.note(stream, &frame),
                Err(true) => came.closed = true,
                Err(false) => panic!("stream {stream} does not end: {came:?}"),
            }
        }
        came
    }

    /// Reads until the connection is closed.
    #[track_caller]
    pub fn end(&mut self) -> Came {
        self.end_within(PATIENCE).unwrap_or_else(|came| panic!("does not close: {came:?}"))
    }

    /// The same with a limit; what came until then.
    pub fn end_within(&mut self, limit: Duration) -> Result<Came, Came> {
        let until = Instant::now() + limit;
        let mut came = Came::default();
        loop {
            match self.next_within(until.saturating_duration_since(Instant::now())) {
                Ok(frame) => came.note(u32::MAX, &frame),
                Err(true) => return Ok(Came { closed: true, ..came }),
                Err(false) => return Err(came),
            }
        }
    }

    /// Asks for `/` and hears the answer: the connection works.
    #[track_caller]
    pub fn works(&mut self, stream: u32) {
        let came = self.get(stream).answer(stream);
        assert_eq!((came.status, came.whole), (Some(200), true), "{came:?}");
    }

    /// Waits until everything sent so far has been read by the other side.
    #[track_caller]
    pub fn ping(&mut self) {
        self.send(kind::PING, 0, 0, b"are you?");
        loop {
            match self.next_within(PATIENCE) {
                Ok(frame) if frame.kind == kind::PING && frame.flags == END_STREAM => return,
                Ok(_) => {}
                Err(closed) => panic!("no pong, closed: {closed}"),
            }
        }
    }
}

impl Came {
    /// Takes a frame into account that belongs to the connection or to `stream`.
    pub fn note(&mut self, stream: u32, frame: &Frame) {
        match frame.kind {
            kind::GOAWAY => {
                self.last.push(number(&frame.payload[..4]));
                self.goaway = Some(number(&frame.payload[4..8]));
            }
            _ if frame.stream != stream => {}
            kind::HEADERS if self.status.is_some() => self.trailers = true,
            kind::HEADERS => match status(&frame.payload) {
                it @ 100..=199 => self.interim.push(it),
                it => self.status = Some(it),
            },
            kind::DATA => self.body.extend_from_slice(&frame.payload),
            kind::RST_STREAM => self.reset = Some(number(&frame.payload)),
            _ => {}
        }
        let ends = matches!(frame.kind, kind::HEADERS | kind::DATA) && frame.flags & END_STREAM != 0;
        self.whole |= ends && frame.stream == stream;
    }
}

/// The fields of the simplest request.
pub const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":authority", "shop.test"), (":path", "/")];

/// The fields of a request that has content.
pub const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":authority", "shop.test"), (":path", "/")];

/// A request's fields, and more.
pub fn with<'a>(fields: &[(&'a str, &'a str)], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [fields, more].concat()
}

/// A frame's bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A setting's bytes.
pub fn setting(name: u16, value: u32) -> Vec<u8> {
    [name.to_be_bytes().as_slice(), &value.to_be_bytes()].concat()
}

/// Fields as literals that nobody remembers (RFC 7541 section 6.2.2).
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        text(name.as_bytes(), &mut bytes);
        text(value.as_bytes(), &mut bytes);
    }
    bytes
}

/// A text without Huffman coding.
pub fn text(text: &[u8], into: &mut Vec<u8>) {
    integer(text.len(), 7, 0, into);
    into.extend_from_slice(text);
}

/// A number in a prefix of so many bits (RFC 7541 section 5.1).
pub fn integer(number: usize, bits: u8, mark: u8, into: &mut Vec<u8>) {
    let most = (1_usize << bits) - 1;
    let byte = |it: usize| u8::try_from(it).expect("below 256");
    if number < most {
        return into.push(mark | byte(number));
    }
    into.push(mark | byte(most));
    let mut rest = number - most;
    while rest >= 128 {
        into.push(byte(rest % 128 + 128));
        rest /= 128;
    }
    into.push(byte(rest));
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().expect("four bytes"))
}

/// The status at the start of an answer's block: one of the static table, or a literal with its name.
fn status(block: &[u8]) -> u16 {
    const STATIC: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    // Changes of the table's size come first.
    let start = block.iter().position(|it| it & 0xe0 != 0x20).expect("a field");
    let block = &block[start..];
    if let 0x88..=0x8e = block[0] {
        return STATIC[usize::from(block[0] - 0x88)];
    }
    assert!(matches!(block[0], 0x08 | 0x18 | 0x48), "not a status: {block:?}");
    let length = usize::from(block[1] & 0x7f);
    let value = &block[2..2 + length];
    let digits = if block[1] & 0x80 == 0 { value.to_vec() } else { huffman_digits(value) };
    String::from_utf8(digits).expect("digits").parse().expect("a status")
}

/// Three digits in Huffman coding: 0, 1 and 2 have five bits, the others six.
fn huffman_digits(bytes: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |it| byte >> it & 1)).collect();
    let value = |bits: &[u8]| bits.iter().fold(0, |sum, bit| sum * 2 + bit);
    let (mut at, mut digits) = (0, Vec::new());
    while digits.len() < 3 {
        match value(&bits[at..at + 5]) {
            it @ 0..=2 => {
                digits.push(b'0' + it);
                at += 5;
            }
            _ => {
                digits.push(b'0' + value(&bits[at..at + 6]) - 0x19 + 3);
                at += 6;
            }
        }
    }
    digits
}
