//! The syntax of chunk headers and trailers, strict: two readers that disagree about a chunk's size
//! disagree about where the next request begins.

use crate::message::Field;

use super::body::BodyError;
use super::syntax::{is_token, is_value_byte, trim};

/// A chunk header that is read byte by byte, so that it may be cut anywhere.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ChunkHeader {
    size: u64,
    digits: u8,
    leading_zero: bool,
    /// Bytes behind the size, from the semicolon on.
    extension: u32,
    ending: bool,
}

/// A chunk header that was read whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Chunk {
    /// Bytes of data; 0 is the last chunk.
    pub(super) size: u64,
    /// Whether it may go on as it is: no extension and no leading zero.
    pub(super) canonical: bool,
    /// Bytes of its extensions.
    pub(super) extension: u32,
}

impl ChunkHeader {
    /// Whether no byte of it has been read.
    pub(super) fn is_fresh(&self) -> bool {
        self.digits == 0
    }

    /// Reads on. `Some` when the header is complete, with how many bytes of `input` belonged to it; `None`
    /// when all of `input` does and more must come.
    pub(super) fn read(&mut self, input: &[u8]) -> Result<Option<(usize, Chunk)>, BodyError> {
        for (at, &byte) in input.iter().enumerate() {
            if self.ending {
                if byte != b'\n' {
                    return Err(BodyError::BadChunk);
                }
                let canonical = self.extension == 0 && !self.leading_zero;
                let chunk = Chunk { size: self.size, canonical, extension: self.extension };
                *self = Self::default();
                return Ok(Some((at + 1, chunk)));
            }
            self.push(byte)?;
        }
        Ok(None)
    }

    fn push(&mut self, byte: u8) -> Result<(), BodyError> {
        match byte {
            b'\r' if self.digits > 0 => self.ending = true,
            _ if self.extension > 0 => {
                self.extension += 1;
                if self.extension > EXTENSION_MAX {
                    return Err(BodyError::ExtensionTooLarge);
                }
                if !is_value_byte(byte) {
                    return Err(BodyError::BadChunk);
                }
            }
            b';' if self.digits > 0 => self.extension = 1,
            _ => {
                let digit = char::from(byte).to_digit(16).ok_or(BodyError::BadChunk)?;
                if self.digits == DIGITS_MAX {
                    return Err(BodyError::BadChunk);
                }
                // A zero is leading once another digit follows it.
                self.leading_zero |= self.digits > 0 && self.size == 0;
                self.size = self.size << 4 | u64::from(digit);
                self.digits += 1;
                // Above this sums of lengths might overflow; nobody has such a body.
                if self.size > i64::MAX as u64 {
                    return Err(BodyError::BadChunk);
                }
            }
        }
        Ok(())
    }
}

/// So many hexadecimal digits fill 64 bits. Zeros in front count: they only serve to hide something.
const DIGITS_MAX: u8 = 16;

/// Nobody is known to use extensions; this is room enough for whoever does. More ends the body.
const EXTENSION_MAX: u32 = 4 * 1024;

/// Extensions of all chunks of a body. Without this bound each byte of content could cost 4 KiB.
pub(super) const EXTENSIONS_MAX: u32 = 16 * 1024;

/// The trailer section while it arrives: nothing, as a rule.
#[derive(Clone, Debug, Default)]
pub(super) struct Trailers {
    /// The line that is arriving.
    line: Vec<u8>,
    bytes: usize,
    lines: usize,
    /// Lines to be passed on, each with its end; at last the empty line.
    kept: Vec<u8>,
    keep: bool,
}

impl Trailers {
    pub(super) fn restart(&mut self) {
        self.line.clear();
        self.kept.clear();
        (self.bytes, self.lines, self.keep) = (0, 0, false);
    }

    pub(super) fn keep(&mut self) {
        self.keep = true;
    }

    /// Kept lines and the empty line; nothing if no line was kept.
    pub(super) fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Reads on. `Some` when the section is over, with how many bytes of `input` belonged to it.
    pub(super) fn read(&mut self, input: &[u8]) -> Result<Option<usize>, BodyError> {
        for (at, &byte) in input.iter().enumerate() {
            self.bytes += 1;
            if self.bytes > TRAILER_BYTES_MAX {
                return Err(BodyError::TrailersTooLarge);
            }
            let ends = self.line.last() == Some(&b'\r');
            match byte {
                b'\n' if ends => {
                    self.line.pop();
                    if self.line.is_empty() {
                        if !self.kept.is_empty() {
                            self.kept.extend_from_slice(b"\r\n");
                        }
                        return Ok(Some(at + 1));
                    }
                    self.end_line()?;
                }
                // A bare LF, or a CR that ends no line.
                b'\n' => return Err(BodyError::BadTrailer),
                _ if ends => return Err(BodyError::BadTrailer),
                _ => self.line.push(byte),
            }
        }
        Ok(None)
    }

    fn end_line(&mut self) -> Result<(), BodyError> {
        self.lines += 1;
        if self.lines > TRAILER_LINES_MAX {
            return Err(BodyError::TrailersTooLarge);
        }
        let colon = self.line.iter().position(|&byte| byte == b':').ok_or(BodyError::BadTrailer)?;
        let (name, value) = (&self.line[..colon], trim(&self.line[colon + 1..]));
        if !is_token(name) || !value.iter().all(|&byte| is_value_byte(byte)) {
            return Err(BodyError::BadTrailer);
        }
        if self.keep && may_trail(name) {
            for part in [name, b": ", value, b"\r\n"] {
                self.kept.extend_from_slice(part);
            }
        }
        self.line.clear();
        Ok(())
    }
}

/// Bytes of a trailer section; what a head may have.
const TRAILER_BYTES_MAX: usize = 16 * 1024;

/// Lines of a trailer section; what a head may have.
const TRAILER_LINES_MAX: usize = 100;

/// Whether a field makes sense behind a body. Framing, routing, who asks and how the content is read were
/// decided when the head was (RFC 9110 section 6.5.1); a late word on them is an attack or a mistake.
fn may_trail(name: &[u8]) -> bool {
    let is = |it: &&str| name.eq_ignore_ascii_case(it.as_bytes());
    Field::of(name) == Field::Other && !name.contains(&b'_') && !NEVER_TRAILING.iter().any(is)
}

const NEVER_TRAILING: [&str; 22] = [
    "age",
    "cache-control",
    "content-encoding",
    "content-location",
    "content-range",
    "content-type",
    "expires",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "pragma",
    "range",
    "retry-after",
    "set-cookie2",
    "vary",
    "via",
    "warning",
    "www-authenticate",
];
