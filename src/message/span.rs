//! A stretch of the buffer that a head was read into.

use std::ops::Range;

/// Where something stands in a buffer. Four bytes each way are enough: heads are limited to kilobytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One behind the last byte.
    pub end: u32,
}

impl Span {
    /// Stands for "not there" where a length of zero means the same.
    pub const EMPTY: Self = Self { start: 0, end: 0 };

    /// The span of `range`.
    pub fn new(range: Range<usize>) -> Self {
        let narrow = |it: usize| u32::try_from(it).expect("heads are far below 4 GiB");
        Self { start: narrow(range.start), end: narrow(range.end) }
    }

    /// The span of `part`, which must be a slice of `whole` or empty.
    pub fn of_part(whole: &[u8], part: &[u8]) -> Self {
        if part.is_empty() {
            return Self::EMPTY;
        }
        let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
        debug_assert!(start + part.len() <= whole.len(), "the part lies within the whole");
        Self::new(start..start + part.len())
    }

    /// The bytes it stands for.
    pub fn of(self, buf: &[u8]) -> &[u8] {
        &buf[self.range()]
    }

    /// The bytes as text; empty if they are not UTF-8, which checked parts never are.
    pub fn text(self, buf: &[u8]) -> &str {
        std::str::from_utf8(self.of(buf)).unwrap_or_default()
    }

    /// As a range of indices.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// How many bytes.
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}
