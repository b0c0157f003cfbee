//! What is kept of a request while it is sent, so that it can be sent once more: its head, and as much of
//! its body as there is room for.
//!
//! Most requests have no body, and those that have one mostly may not be sent twice: for them nothing is
//! copied. A body that outgrows its room is let go of at once.
//!
//! An endpoint that speaks HTTP/2 may say that it has not begun with a request. Then it may be sent again
//! whatever it is, so there the beginning of every body is kept until there is an answer.

use crate::message::Framing;

use super::buffer::Buffer;

/// What is kept of a message.
#[derive(Default)]
pub enum Replay {
    /// There is only a head, which stays where it was written.
    #[default]
    HeadOnly,
    /// There is a body, and nothing is kept of it.
    Never,
    /// Head and body are kept.
    Kept(Box<Kept>),
}

/// A head, and a body as it arrived.
pub struct Kept {
    head: Vec<u8>,
    body: Vec<u8>,
    framing: Framing,
    room: usize,
    /// Of that, for another try.
    again: usize,
    /// Of that, for another try or a copy.
    known: usize,
    source: Source,
}

enum Source {
    /// The sender.
    Sender,
    /// What was kept goes first.
    Kept(Buffer),
    /// The same, while it is being passed on.
    Passing,
}

impl Replay {
    /// Keeps `head` and a body of up to `again` bytes for another try, and up to `copy` bytes of it for a
    /// copy. Of every body it keeps the first `unbegun` bytes, for an endpoint that never saw any of it.
    pub fn of(head: &[u8], framing: Framing, again: usize, copy: usize, unbegun: usize) -> Self {
        let fits = |room: usize| !matches!(framing, Framing::Length(length) if length > room as u64);
        let known = Some(again.max(copy)).filter(|it| fits(*it)).unwrap_or(0);
        let (room, again) = (known.max(unbegun), if fits(again) { again } else { 0 });
        match framing {
            Framing::None | Framing::Length(0) => Self::HeadOnly,
            _ if room == 0 => Self::Never,
            Framing::Length(_) | Framing::Chunked | Framing::UntilClose => Self::Kept(Box::new(Kept {
                head: head.to_vec(),
                body: Vec::new(),
                framing,
                room,
                again,
                known,
                source: Source::Sender,
            })),
        }
    }

    /// Whether all of the message is at hand for another try.
    pub fn is_whole(&self) -> bool {
        match self {
            Self::HeadOnly => true,
            Self::Never => false,
            Self::Kept(it) => it.again > 0 && it.body.len() <= it.again,
        }
    }

    /// Whether all that was passed on is at hand, for an endpoint that never saw any of it.
    pub fn is_at_hand(&self) -> bool {
        !matches!(self, Self::Never)
    }

    /// There will be no other try, and no copy. What is going out once more goes out.
    pub fn let_go(&mut self) {
        if matches!(self, Self::Kept(it) if matches!(it.source, Source::Sender)) {
            *self = Self::Never;
        }
    }

    /// The body as far as it was passed on, if it was kept for that.
    pub fn body(&self) -> Option<&[u8]> {
        match self {
            Self::HeadOnly => Some(b""),
            Self::Never => None,
            Self::Kept(it) => (it.body.len() <= it.known).then_some(&it.body),
        }
    }

    /// These bytes of the body, as they arrived, were passed on.
    pub fn keep(&mut self, bytes: &[u8]) {
        let Self::Kept(it) = self else { return };
        // What comes from here is here already.
        if !matches!(it.source, Source::Sender) {
            return;
        }
        if it.body.len() + bytes.len() > it.room {
            *self = Self::Never;
        } else {
            it.body.extend_from_slice(bytes);
        }
    }

    /// From now on what was kept goes out first. The head, and how the body is framed, if they are not where
    /// they were.
    pub fn rewind(&mut self) -> Option<(&[u8], Framing)> {
        let Self::Kept(it) = self else { return None };
        it.source = if it.body.is_empty() { Source::Sender } else { Source::Kept(Buffer::holding(&it.body)) };
        Some((&it.head, it.framing))
    }

    /// What goes out before anything new does.
    pub fn take_source(&mut self) -> Option<Buffer> {
        let Self::Kept(it) = self else { return None };
        match std::mem::replace(&mut it.source, Source::Passing) {
            Source::Kept(buffer) => Some(buffer),
            source => {
                it.source = source;
                None
            }
        }
    }

    /// It has not all gone out.
    pub fn put_source(&mut self, buffer: Buffer) {
        if let Self::Kept(it) = self {
            it.source = Source::Kept(buffer);
        }
    }

    /// It has all gone out.
    pub fn end_source(&mut self) {
        if let Self::Kept(it) = self {
            it.source = Source::Sender;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_kept_as_far_as_there_is_room() {
        let mut it = Replay::of(b"head", Framing::Chunked, 8, 0, 0);
        it.keep(b"1234");
        it.keep(b"5678");
        assert!(it.is_whole());
        it.keep(b"9");
        assert!(!it.is_whole(), "it would not fit");
        assert!(!Replay::of(b"head", Framing::Length(9), 8, 0, 0).is_whole(), "known from the start");
        assert!(matches!(Replay::of(b"head", Framing::None, 0, 0, 0), Replay::HeadOnly));
    }

    #[test]
    fn what_is_kept_for_a_copy_is_not_sent_again() {
        let mut it = Replay::of(b"head", Framing::Chunked, 4, 8, 0);
        it.keep(b"1234");
        assert!(it.is_whole());
        it.keep(b"5678");
        assert!(!it.is_whole() && it.body() == Some(b"12345678"));
        it.keep(b"9");
        assert_eq!(it.body(), None);
        assert!(!Replay::of(b"head", Framing::Length(4), 0, 8, 0).is_whole());
    }

    #[test]
    fn the_beginning_is_kept_for_who_never_saw_any_of_it() {
        let mut it = Replay::of(b"head", Framing::Length(100), 4, 4, 8);
        it.keep(b"1234");
        assert!(it.is_at_hand() && !it.is_whole() && it.body().is_none(), "too long for anything else");
        it.keep(b"5678");
        assert!(it.is_at_hand());
        it.keep(b"9");
        assert!(!it.is_at_hand());
        let mut it = Replay::of(b"head", Framing::Chunked, 0, 0, 8);
        it.keep(b"1234");
        it.let_go();
        assert!(!it.is_at_hand(), "there is an answer");
        let mut it = Replay::of(b"head", Framing::Chunked, 0, 0, 8);
        it.keep(b"1234");
        it.rewind();
        it.let_go();
        assert!(it.take_source().is_some(), "it is still going out");
    }

    #[test]
    fn what_goes_out_again_is_not_kept_twice() {
        let mut it = Replay::of(b"head", Framing::Length(8), 8, 0, 0);
        it.keep(b"1234");
        for _ in 0..2 {
            assert_eq!(it.rewind(), Some((&b"head"[..], Framing::Length(8))));
            let source = it.take_source().unwrap();
            assert_eq!(source.filled(), b"1234");
            it.keep(source.filled());
            it.put_source(source);
        }
        let source = it.take_source().unwrap();
        assert!(it.take_source().is_none());
        it.keep(source.filled());
        it.end_source();
        it.keep(b"5678");
        assert!(it.is_whole(), "the rest still has room");
    }
}
