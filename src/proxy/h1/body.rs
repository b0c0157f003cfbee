//! Which bytes of a body go on, and what must be written between them.

use std::ops::Range;

use crate::proxy::message::Framing;

/// Why a body ends badly.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BodyError {
    /// The sender closed before the end.
    #[error("the body ends early")]
    Truncated,
    /// A chunk's frame is wrong.
    #[error("a chunk is malformed")]
    BadChunk,
    /// Chunk extensions exceed 4 KiB in a line or 16 KiB in a body.
    #[error("the chunk extensions are too large")]
    ExtensionTooLarge,
    /// A trailer line is wrong.
    #[error("a trailer is malformed")]
    BadTrailer,
    /// Trailers exceed 16 KiB or 100 lines.
    #[error("the trailers are too large")]
    TrailersTooLarge,
}

/// A few bytes that are written between parts of a body: chunk frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct Snippet {
    bytes: [u8; 24],
    len: u8,
}

impl Snippet {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// What one look at the input came to. To be written in this order: `prefix`, `range` of the input,
/// `suffix`, and, when `trailers` is set, [`BodyReader::trailers`].
#[derive(Clone, Debug, Default)]
pub struct Piece {
    /// Bytes of the input that are done with. Zero only if the input was empty or the body was over.
    pub consumed: usize,
    /// Comes first.
    pub prefix: Snippet,
    /// Part of the input that goes on as it is.
    pub range: Range<usize>,
    /// Comes after the range.
    pub suffix: Snippet,
    /// Whether the kept trailers and the end of their section come after the suffix.
    pub trailers: bool,
    /// How many bytes of content the range holds, chunk frames not counted.
    pub content: u64,
    /// Whether the body is over with this piece.
    pub done: bool,
}

/// Follows one body from its first byte to its last.
#[derive(Clone, Debug, Default)]
pub struct BodyReader {
    left: u64,
    trailers: Vec<u8>,
}

impl BodyReader {
    /// A body that arrives framed as `from` and is passed on framed as `to`.
    pub fn new(from: Framing, to: Framing) -> Self {
        let _ = (from, to);
        Self::default()
    }

    /// Starts over with another body and keeps the buffers.
    pub fn restart(&mut self, from: Framing, to: Framing) {
        let _ = (from, to);
    }

    /// Has trailers kept and passed on, as far as they may be. To be called before the first piece.
    pub fn keep_trailers(&mut self) {}

    /// Takes the next piece from the start of `input`. To be called again with the rest of the input
    /// until that is empty or the body is done.
    pub fn next(&mut self, input: &[u8]) -> Result<Piece, BodyError> {
        let _ = (input, self.left);
        Err(BodyError::Truncated)
    }

    /// The sender has closed. What must still be written, if that was a proper end.
    pub fn finish_on_eof(&mut self) -> Result<Piece, BodyError> {
        Err(BodyError::Truncated)
    }

    /// Whether nothing more belongs to the body.
    pub fn is_done(&self) -> bool {
        false
    }

    /// Kept trailer lines and the empty line after them; complete once the body is done.
    pub fn trailers(&self) -> &[u8] {
        &self.trailers
    }

    /// Bytes of content seen so far, chunk frames not counted.
    pub fn content(&self) -> u64 {
        0
    }
}
