//! The streams of one connection: found by their number as frames name them, and by their place as those
//! name them who serve them.

use std::task::Waker;

use super::super::frame::Code;

/// Why a stream ended before its time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cut {
    /// The other side has reset it.
    Theirs(Code),
    /// We have.
    Ours,
    /// The other side says that it did nothing about it, and never will.
    Untouched,
    /// The connection has ended.
    Connection,
}

/// A stream, for as long as it is open or somebody has hold of it.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) number: u32,
    /// Whether somebody has hold of it.
    pub(super) held: bool,
    /// Whether the other side has said its last.
    pub(super) heard: bool,
    /// Whether we have.
    pub(super) said: bool,
    pub(super) cut: Option<Cut>,
    /// What the other side may send before it was taken.
    pub(super) window: i64,
    /// What it may still send.
    pub(super) window_in: i64,
    /// What was taken and not yet given back to that.
    pub(super) taken: i64,
    /// What we may still send.
    pub(super) window_out: i64,
    /// Content that has arrived, and how much of it was taken.
    pub(super) content: Vec<u8>,
    pub(super) read: usize,
    /// Content that is announced and has not arrived.
    pub(super) awaited: Option<u64>,
    /// Heads of answers that have arrived, as text.
    pub(super) heads: Vec<u8>,
    /// Whether the last of them, or the request's, was there.
    pub(super) begun: bool,
    /// Whether the answer announces content that it does not have.
    pub(super) bodiless: bool,
    pub(super) trailers: Option<Vec<u8>>,
    /// The lines of the answer that accepts a tunnel, if that was asked for.
    pub(super) tunnel: Option<Box<[u8]>>,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    /// Whether it stands in the line of those who wait for room on the connection.
    pub(super) queued: bool,
    /// What it may send before it has to stand in that line.
    pub(super) quota: usize,
}

impl Stream {
    /// Whether no more frames of it are expected.
    pub(super) fn is_over(&self) -> bool {
        self.cut.is_some() || (self.heard && self.said)
    }

    /// Content that nobody has taken yet.
    pub(super) fn unread(&self) -> &[u8] {
        &self.content[self.read..]
    }

    pub(super) fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    pub(super) fn wake_writer(&mut self) {
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Streams {
    places: Vec<Stream>,
    free: Vec<usize>,
    /// Numbers of those that are open, and their places. Numbers only grow, so this is in order.
    open: Vec<(u32, usize)>,
}

impl Streams {
    /// A new one, which is held.
    pub(super) fn add(&mut self, stream: Stream) -> usize {
        match self.free.pop() {
            Some(place) => {
                self.places[place] = stream;
                place
            }
            None => {
                self.places.push(stream);
                self.places.len() - 1
            }
        }
    }

    /// It is open from here on, under its number, which is above all others.
    pub(super) fn open(&mut self, place: usize) {
        self.open.push((self.places[place].number, place));
    }

    /// The place of the open stream with this number.
    pub(super) fn find(&self, number: u32) -> Option<usize> {
        let at = self.open.binary_search_by_key(&number, |it| it.0).ok()?;
        Some(self.open[at].1)
    }

    /// No more frames of it are expected.
    pub(super) fn close(&mut self, place: usize) {
        if let Ok(at) = self.open.binary_search_by_key(&self.places[place].number, |it| it.0) {
            self.open.remove(at);
            self.forget(place);
        }
    }

    /// Nobody has hold of it any more.
    pub(super) fn let_go(&mut self, place: usize) {
        self.places[place].held = false;
        self.forget(place);
    }

    /// Its place is free once nothing and nobody knows it.
    fn forget(&mut self, place: usize) {
        let stream = &mut self.places[place];
        let unopened = stream.number == 0;
        if !stream.held && (unopened || stream.is_over()) {
            *stream = Stream::default();
            self.free.push(place);
        }
    }

    /// How many are open.
    pub(super) fn count(&self) -> usize {
        self.open.len()
    }

    /// The places of those that are open.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        self.open.iter().map(|it| it.1)
    }

    /// The stream at a place.
    pub(super) fn at(&mut self, place: usize) -> &mut Stream {
        &mut self.places[place]
    }

    /// The same, to look at.
    pub(super) fn look(&self, place: usize) -> &Stream {
        &self.places[place]
    }
}
