//! Reads blocks.

use super::table::Table;
use super::{Fields, Garbled, huffman, integer};

/// What the other side may have us remember: what every side allows that says nothing about it.
const TABLE_BYTES: usize = 4096;

/// The reading end of one connection.
#[derive(Debug)]
pub struct Decoder {
    table: Table,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { table: Table::new(TABLE_BYTES), name: Vec::new(), value: Vec::new() }
    }
}

impl Decoder {
    /// Appends the fields of a whole block. Whatever is wrong here ends the connection.
    pub fn read(&mut self, block: &[u8], into: &mut Fields) -> Result<(), Garbled> {
        let mut rest = block;
        let mut resizes = 0;
        while let Some(&first) = rest.first() {
            if first & 0x80 != 0 {
                let (index, behind) = integer::read(rest, 7)?;
                let (name, value) = self.table.get(index)?;
                into.push(name, value);
                (rest, resizes) = (behind, usize::MAX);
                continue;
            }
            if first & 0xe0 == 0x20 {
                let (size, behind) = integer::read(rest, 5)?;
                // RFC 7541 section 4.2: in front of everything else, the smallest and the last one.
                if size > TABLE_BYTES || resizes >= 2 {
                    return Err(Garbled);
                }
                self.table.resize(size);
                (rest, resizes) = (behind, resizes + 1);
                continue;
            }
            let remembers = first & 0x40 != 0;
            let (index, behind) = integer::read(rest, if remembers { 6 } else { 4 })?;
            (rest, resizes) = (behind, usize::MAX);
            self.name.clear();
            if index == 0 {
                rest = read_text(rest, &mut self.name)?;
            } else {
                self.name.extend_from_slice(self.table.get(index)?.0);
            }
            self.value.clear();
            rest = read_text(rest, &mut self.value)?;
            if remembers {
                self.table.add(&self.name, &self.value);
            }
            into.push(&self.name, &self.value);
        }
        // A long text is no reason to hold memory for ever.
        self.name.shrink_to(KEPT);
        self.value.shrink_to(KEPT);
        Ok(())
    }
}

/// Room that is kept for the next text.
const KEPT: usize = 1024;

fn read_text<'a>(bytes: &'a [u8], into: &mut Vec<u8>) -> Result<&'a [u8], Garbled> {
    let coded = bytes.first().is_some_and(|it| it & 0x80 != 0);
    let (len, rest) = integer::read(bytes, 7)?;
    let (text, rest) = rest.split_at_checked(len).ok_or(Garbled)?;
    if coded {
        huffman::read(text, into)?;
    } else {
        into.extend_from_slice(text);
    }
    Ok(rest)
}
