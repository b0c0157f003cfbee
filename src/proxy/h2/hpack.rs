//! Header compression (RFC 7541): blocks of bytes into fields, and fields into blocks.
//!
//! What a block says is bounded while it is read: beyond the limit the table is still kept up to date, as the
//! next block may rest on it, but nothing is stored. Strings are read in either coding and written plain;
//! what an encoder may remember is chosen in [`Encoder`].

mod decoder;
mod encoder;
mod huffman;
mod integer;
mod table;

pub use decoder::Decoder;
pub use encoder::Encoder;

/// What is wrong with a block: the tables of both sides are no longer the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Garbled;

/// What an entry of a list costs beyond its text (RFC 7541 section 4.1).
const ENTRY_COST: usize = 32;

/// The fields of one block, in their order. Used again and again.
#[derive(Debug, Default)]
pub struct Fields {
    text: Vec<u8>,
    ends: Vec<(u32, u32)>,
    size: usize,
    size_max: usize,
}

impl Fields {
    /// Forgets what it holds, to take fields of at most `size_max` bytes as RFC 7541 counts them.
    pub fn begin(&mut self, size_max: usize) {
        self.text.clear();
        self.ends.clear();
        (self.size, self.size_max) = (0, size_max);
    }

    /// Whether there were more than it may hold.
    pub fn is_over(&self) -> bool {
        self.size > self.size_max
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// The field at `index`: name and value.
    pub fn get(&self, index: usize) -> (&[u8], &[u8]) {
        let start = if index == 0 { 0 } else { self.ends[index - 1].1 as usize };
        let (name, value) = self.ends[index];
        (&self.text[start..name as usize], &self.text[name as usize..value as usize])
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        (0..self.ends.len()).map(|it| self.get(it))
    }

    /// Takes another one.
    fn push(&mut self, name: &[u8], value: &[u8]) {
        self.size = self.size.saturating_add(name.len() + value.len() + ENTRY_COST);
        if self.size <= self.size_max {
            self.text.extend_from_slice(name);
            let name = self.text.len() as u32;
            self.text.extend_from_slice(value);
            self.ends.push((name, self.text.len() as u32));
        }
    }
}

#[cfg(test)]
mod tests;
