//! Room to work in, one for each thread: records are opened and sealed here, so that a connection that
//! waits holds none of it.

use std::cell::RefCell;

/// Longest content of a record (RFC 8446 section 5.1).
pub const RECORD_BYTES: usize = 16 * 1024;

/// What is read at once: as much as the kernel hands over on a fast link, behind the beginning of a record
/// that has not arrived whole.
pub const INPUT_BYTES: usize = 64 * 1024 + RECORD_BYTES + 1024;

/// What is sealed at once, before it is known whether the other side takes it.
pub const SEAL_BYTES: usize = 4 * RECORD_BYTES;

/// Room of a thread.
pub struct Room {
    /// Records as they come in.
    pub input: Box<[u8]>,
    /// Pieces of content that leave in one record.
    pub content: Box<[u8]>,
    /// Records on their way out.
    pub output: Output,
}

/// Bytes to be sent. They are written behind each other without being cleared first.
#[derive(Default)]
pub struct Output {
    bytes: Vec<u8>,
    end: usize,
}

impl Output {
    /// What is to be sent.
    pub fn filled(&self) -> &[u8] {
        &self.bytes[..self.end]
    }

    /// The same, to be changed.
    pub fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.end]
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        self.end = 0;
    }

    /// Room for `count` bytes more.
    pub fn room(&mut self, count: usize) -> &mut [u8] {
        if self.bytes.len() < self.end + count {
            self.bytes.resize(self.end + count, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// So many bytes of the room were used.
    pub fn used(&mut self, count: usize) {
        self.end += count;
    }

    /// Adds what is there already.
    pub fn put(&mut self, bytes: &[u8]) {
        self.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.used(bytes.len());
    }
}

/// Lends the room of this thread. Nobody asks for it while it is lent.
pub fn with_room<T>(then: impl FnOnce(&mut Room) -> T) -> T {
    thread_local! {
        static ROOM: RefCell<Room> = RefCell::new(Room {
            input: vec![0; INPUT_BYTES].into_boxed_slice(),
            content: vec![0; RECORD_BYTES].into_boxed_slice(),
            output: Output::default(),
        });
    }
    ROOM.with_borrow_mut(then)
}
