//! Reusable byte buffers, and the worker's stock of them: an idle connection holds none.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::stream::Stream;

/// Room for one read: as much as the kernel hands over at once on a fast link, and the bound on what
/// is buffered for each direction of a stream. Heads must fit.
pub const BUFFER_BYTES: usize = 64 * 1024;

/// What is worth being moved to a place of its own size.
const SHRUNK_MAX: usize = 4096;

/// Buffers kept for later. More are freed: a burst does not stay in memory.
const STOCK_MAX: usize = 256;

/// Bytes that were read and not yet consumed.
#[derive(Default)]
pub struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn new() -> Self {
        Self { bytes: vec![0; BUFFER_BYTES].into_boxed_slice(), start: 0, end: 0 }
    }

    /// Has read these bytes already. They must fit.
    pub fn holding(bytes: &[u8]) -> Self {
        let mut it = Self::new();
        it.bytes[..bytes.len()].copy_from_slice(bytes);
        it.end = bytes.len();
        it
    }

    /// Has read these bytes already, and has no room for more.
    pub fn of(bytes: Vec<u8>) -> Self {
        let bytes = bytes.into_boxed_slice();
        Self { start: 0, end: bytes.len(), bytes }
    }

    /// What was read and not consumed.
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether nothing more can be read before something is consumed.
    pub fn is_full(&self) -> bool {
        self.end - self.start == self.bytes.len()
    }

    /// Keeps no more room than what is left takes, if that is little: whoever is slow to take the end of an
    /// answer holds that end and not a whole buffer.
    pub fn shrink(&mut self, stock: &Stock) {
        if self.is_whole() && self.filled().len() <= SHRUNK_MAX {
            let rest = Self::of(self.filled().to_vec());
            stock.put_buffer(std::mem::replace(self, rest));
        }
    }

    /// Has the usual room again.
    pub fn grow(&mut self, stock: &Stock) {
        if !self.is_whole() {
            let mut whole = stock.buffer();
            whole.push(self.filled());
            *self = whole;
        }
    }

    fn is_whole(&self) -> bool {
        self.bytes.len() == BUFFER_BYTES
    }

    /// Appends `part`, or nothing if there is no room for all of it.
    pub fn push(&mut self, part: &[u8]) -> bool {
        let Some(room) = self.bytes.get_mut(self.end..self.end + part.len()) else { return false };
        room.copy_from_slice(part);
        self.end += part.len();
        true
    }

    /// Forgets the first `count` bytes.
    pub fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end, "consumed more than was read");
        if self.start >= self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Reads once. Ready with 0 at the end of the stream. There must be room.
    pub fn poll_fill(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.end == self.bytes.len() && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let mut room = ReadBuf::new(&mut self.bytes[self.end..]);
        ready!(Pin::new(stream).poll_read(cx, &mut room))?;
        let count = room.filled().len();
        self.end += count;
        Poll::Ready(Ok(count))
    }
}

/// A worker's unused buffers.
#[derive(Default)]
pub struct Stock {
    buffers: RefCell<Vec<Buffer>>,
    heads: RefCell<Vec<Vec<u8>>>,
    made: Cell<u32>,
}

impl Stock {
    /// An empty buffer.
    pub fn buffer(&self) -> Buffer {
        self.buffers.borrow_mut().pop().unwrap_or_else(|| {
            self.made.set(self.made.get().wrapping_add(1));
            Buffer::new()
        })
    }

    /// Whether so many buffers were made since this was said last. They are what memory is used for.
    pub fn has_made(&self, count: u32) -> bool {
        let enough = self.made.get() >= count;
        if enough {
            self.made.set(0);
        }
        enough
    }

    /// Lets go of all that is unused.
    pub fn clear(&self) {
        self.buffers.take();
        self.heads.take();
    }

    /// Takes a buffer back.
    pub fn put_buffer(&self, mut buffer: Buffer) {
        let mut kept = self.buffers.borrow_mut();
        if kept.len() < STOCK_MAX && buffer.is_whole() {
            (buffer.start, buffer.end) = (0, 0);
            kept.push(buffer);
        }
    }

    /// An empty vector for a head.
    pub fn head(&self) -> Vec<u8> {
        self.heads.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(2048))
    }

    /// Takes a vector back.
    pub fn put_head(&self, mut head: Vec<u8>) {
        let mut kept = self.heads.borrow_mut();
        if kept.len() < STOCK_MAX && head.capacity() <= BUFFER_BYTES {
            head.clear();
            kept.push(head);
        }
    }
}
