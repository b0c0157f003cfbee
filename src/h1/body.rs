//! Which bytes of a body go on, and what must be written between them.
//!
//! A body is never copied here. [`BodyReader`] looks at what has arrived and names the stretch of it that
//! goes on as it is, with a few bytes to be written before and after. Where both sides are chunked, whole
//! runs of chunks go on with their frames; only a frame that another reader might understand otherwise
//! (an extension, leading zeros) or that was cut by the end of the input is written anew. So nothing of
//! a chunk header is sent before the whole of it has been checked.

use std::ops::Range;

use crate::message::Framing;

use super::chunk::{ChunkHeader, EXTENSIONS_MAX, Trailers};

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

impl BodyError {
    /// Label for metrics and logs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::BadChunk => "bad_chunk",
            Self::ExtensionTooLarge => "extension_too_large",
            Self::BadTrailer => "bad_trailer",
            Self::TrailersTooLarge => "trailers_too_large",
        }
    }
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

    fn push(&mut self, part: &[u8]) {
        let end = usize::from(self.len) + part.len();
        self.bytes[usize::from(self.len)..end].copy_from_slice(part);
        self.len = end as u8;
    }

    /// The header of a chunk of `size` bytes: at most 16 digits and CR LF.
    fn push_chunk_header(&mut self, size: u64) {
        let digits = (u64::BITS - size.leading_zeros()).div_ceil(4).max(1);
        for digit in (0..digits).rev() {
            let value = (size >> (digit * 4)) & 0xf;
            self.push(&[b"0123456789abcdef"[value as usize]]);
        }
        self.push(b"\r\n");
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
    /// How many bytes of content the input held, chunk frames not counted.
    pub content: u64,
    /// Whether the body is over with this piece.
    pub done: bool,
}

impl Piece {
    /// Lets `range` go on up to `end`, from `start` if it is empty yet.
    fn extend(&mut self, start: usize, end: usize) {
        if self.range.is_empty() {
            self.range.start = start;
        }
        debug_assert!(self.range.is_empty() || start == self.range.start || start == self.range.end);
        self.range.end = end;
    }
}

/// Follows one body from its first byte to its last.
#[derive(Clone, Debug, Default)]
pub struct BodyReader {
    place: Place,
    from: Framing,
    to: Framing,
    header: ChunkHeader,
    extensions: u32,
    trailers: Trailers,
    content: u64,
}

/// What comes next in the input.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Place {
    /// So many bytes, then the end.
    Counted(u64),
    /// Anything, until the sender closes.
    Open,
    /// A chunk header.
    Header,
    /// So many bytes of a chunk.
    Data(u64),
    /// CR LF behind a chunk's data.
    AfterData,
    /// The LF of it.
    AfterDataCr,
    /// The trailer section.
    Trailers,
    /// Nothing that belongs to this body.
    #[default]
    Over,
}

impl BodyReader {
    /// A body that arrives framed as `from` and is passed on framed as `to`. `to` is `None` for a body that
    /// is read and thrown away.
    pub fn new(from: Framing, to: Framing) -> Self {
        let mut reader = Self::default();
        reader.restart(from, to);
        reader
    }

    /// Starts over with another body and keeps the buffers.
    pub fn restart(&mut self, from: Framing, to: Framing) {
        self.place = match from {
            Framing::None | Framing::Length(0) => Place::Over,
            Framing::Length(length) => Place::Counted(length),
            Framing::Chunked => Place::Header,
            Framing::UntilClose => Place::Open,
        };
        (self.from, self.to) = (from, to);
        self.header = ChunkHeader::default();
        self.extensions = 0;
        self.trailers.restart();
        self.content = 0;
    }

    /// Starts over with the same body, which is passed on framed as `to`.
    pub fn again(&mut self, to: Framing) {
        self.restart(self.from, to);
    }

    /// Takes trailers that arrived beside the body: lines, and the empty one. To be called before its end
    /// is.
    pub fn take_trailers(&mut self, lines: &[u8]) -> Result<(), BodyError> {
        self.trailers.read(lines).map(drop)
    }

    /// Has trailers kept and passed on, as far as they may be. To be called before the first piece.
    pub fn keep_trailers(&mut self) {
        self.trailers.keep();
    }

    /// Takes the next piece from the start of `input`. To be called again with the rest of the input
    /// until that is empty or the body is done. After an error there is nothing to go on with.
    pub fn next(&mut self, input: &[u8]) -> Result<Piece, BodyError> {
        let piece = match self.place {
            Place::Over => Piece { done: true, ..Piece::default() },
            Place::Counted(_) | Place::Open => self.next_plain(input),
            _ => self.next_chunks(input)?,
        };
        self.content += piece.content;
        Ok(piece)
    }

    /// The sender has closed. What must still be written, if that was a proper end.
    pub fn finish_on_eof(&mut self) -> Result<Piece, BodyError> {
        let mut piece = Piece { done: true, ..Piece::default() };
        match self.place {
            Place::Over => {}
            Place::Open => {
                self.place = Place::Over;
                if self.to == Framing::Chunked {
                    self.end_chunks(&mut piece);
                }
            }
            _ => return Err(BodyError::Truncated),
        }
        Ok(piece)
    }

    /// Whether nothing more belongs to the body.
    pub fn is_done(&self) -> bool {
        self.place == Place::Over
    }

    /// Kept trailer lines and the empty line after them; complete once the body is done.
    pub fn trailers(&self) -> &[u8] {
        self.trailers.kept()
    }

    /// Bytes of content seen so far, chunk frames not counted.
    pub fn content(&self) -> u64 {
        self.content
    }

    /// A body that arrives without chunks.
    fn next_plain(&mut self, input: &[u8]) -> Piece {
        let mut piece = Piece::default();
        let len = match self.place {
            Place::Counted(left) => usize::try_from(left).map_or(input.len(), |it| it.min(input.len())),
            _ => input.len(),
        };
        if len == 0 {
            return piece;
        }
        (piece.consumed, piece.content) = (len, len as u64);
        if let Place::Counted(left) = &mut self.place {
            *left -= len as u64;
            if *left == 0 {
                self.place = Place::Over;
                piece.done = true;
            }
        }
        match self.to {
            Framing::None => {}
            Framing::Chunked => {
                piece.prefix.push_chunk_header(len as u64);
                piece.range = 0..len;
                piece.suffix.push(b"\r\n");
                if piece.done {
                    piece.suffix.push(LAST_CHUNK);
                }
            }
            Framing::Length(_) | Framing::UntilClose => piece.range = 0..len,
        }
        piece
    }

    /// A body that arrives in chunks: as far as one stretch of the input reaches.
    fn next_chunks(&mut self, input: &[u8]) -> Result<Piece, BodyError> {
        let mut piece = Piece::default();
        while piece.consumed < input.len() && !piece.done {
            let rest = &input[piece.consumed..];
            match self.place {
                Place::Header => {
                    if !self.read_header(rest, &mut piece)? {
                        break;
                    }
                }
                Place::Data(left) => self.take_data(left, rest.len(), &mut piece),
                Place::AfterData | Place::AfterDataCr => self.take_line_end(rest[0], &mut piece)?,
                Place::Trailers => self.read_trailers(rest, &mut piece)?,
                Place::Counted(_) | Place::Open | Place::Over => break,
            }
        }
        Ok(piece)
    }

    /// False if the piece must end before this header, which then has not been consumed.
    fn read_header(&mut self, rest: &[u8], piece: &mut Piece) -> Result<bool, BodyError> {
        let chunked = self.to == Framing::Chunked;
        let begun = !piece.range.is_empty();
        if begun && !chunked && self.to != Framing::None {
            // Data of the next chunk does not touch that of this one.
            return Ok(false);
        }
        let (start, whole) = (piece.consumed, self.header.is_fresh());
        let Some((len, chunk)) = self.header.read(rest)? else {
            piece.consumed += rest.len();
            return Ok(true);
        };
        let verbatim = whole && chunk.canonical;
        if chunked && chunk.size > 0 && !verbatim && begun {
            // Only a header that began in this input gets here, so that it can be read again.
            self.header = ChunkHeader::default();
            return Ok(false);
        }
        self.extensions += chunk.extension;
        if self.extensions > EXTENSIONS_MAX {
            return Err(BodyError::ExtensionTooLarge);
        }
        piece.consumed += len;
        if chunk.size == 0 {
            self.place = Place::Trailers;
            if chunked && verbatim && rest[len..].starts_with(b"\r\n") {
                piece.extend(start, start + len + 2);
                piece.consumed += 2;
                self.end(piece);
            }
            return Ok(true);
        }
        self.place = Place::Data(chunk.size);
        match (chunked, verbatim) {
            (true, true) => piece.extend(start, piece.consumed),
            (true, false) => piece.prefix.push_chunk_header(chunk.size),
            (false, _) => {}
        }
        Ok(true)
    }

    fn take_data(&mut self, left: u64, available: usize, piece: &mut Piece) {
        let len = usize::try_from(left).map_or(available, |it| it.min(available));
        if self.to != Framing::None {
            piece.extend(piece.consumed, piece.consumed + len);
        }
        piece.consumed += len;
        piece.content += len as u64;
        let left = left - len as u64;
        self.place = if left == 0 { Place::AfterData } else { Place::Data(left) };
    }

    fn take_line_end(&mut self, byte: u8, piece: &mut Piece) -> Result<(), BodyError> {
        self.place = match (self.place, byte) {
            (Place::AfterData, b'\r') => Place::AfterDataCr,
            (Place::AfterDataCr, b'\n') => Place::Header,
            _ => return Err(BodyError::BadChunk),
        };
        if self.to == Framing::Chunked {
            piece.extend(piece.consumed, piece.consumed + 1);
        }
        piece.consumed += 1;
        Ok(())
    }

    fn read_trailers(&mut self, rest: &[u8], piece: &mut Piece) -> Result<(), BodyError> {
        let Some(len) = self.trailers.read(rest)? else {
            piece.consumed += rest.len();
            return Ok(());
        };
        piece.consumed += len;
        if self.to == Framing::Chunked {
            self.end_chunks(piece);
        }
        self.end(piece);
        Ok(())
    }

    fn end_chunks(&self, piece: &mut Piece) {
        piece.trailers = !self.trailers.kept().is_empty();
        piece.suffix.push(if piece.trailers { b"0\r\n" } else { LAST_CHUNK });
    }

    fn end(&mut self, piece: &mut Piece) {
        self.place = Place::Over;
        piece.done = true;
    }
}

/// The last chunk and an empty trailer section.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

#[cfg(test)]
mod tests;
