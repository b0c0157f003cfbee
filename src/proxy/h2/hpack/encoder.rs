//! Writes blocks.

use super::{integer, table};

/// The writing end of one connection. It has the other side remember nothing: what would be saved on the
/// wire costs more than it is worth in memory on both sides.
#[derive(Debug, Default)]
pub struct Encoder {
    said: bool,
}

/// Longest name that is looked for in the static table.
const KNOWN_MAX: usize = 32;

impl Encoder {
    /// Begins a block. The first one says that nothing is to be remembered.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.said, true) {
            out.push(0x20);
        }
    }

    /// Appends the status of an answer.
    pub fn status(&mut self, digits: &[u8], out: &mut Vec<u8>) {
        let known = match digits {
            b"200" => 8,
            b"204" => 9,
            b"206" => 10,
            b"304" => 11,
            b"400" => 12,
            b"404" => 13,
            b"500" => 14,
            _ => return literal(STATUS, digits, out),
        };
        out.push(0x80 | known);
    }

    /// Appends the four of a request.
    pub fn request(
        &mut self,
        method: &[u8],
        scheme: &[u8],
        authority: &[u8],
        path: &[u8],
        out: &mut Vec<u8>,
    ) {
        match method {
            b"GET" => out.push(0x80 | METHOD as u8),
            b"POST" => out.push(0x80 | (METHOD + 1) as u8),
            _ => literal(METHOD, method, out),
        }
        out.push(0x80 | if scheme == b"https" { SCHEME + 1 } else { SCHEME } as u8);
        literal(AUTHORITY, authority, out);
        match path {
            b"/" => out.push(0x80 | PATH as u8),
            _ => literal(PATH, path, out),
        }
    }

    /// Appends a field; its name is written in lower case.
    pub fn field(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        let mut lower = [0; KNOWN_MAX];
        match lower.get_mut(..name.len()) {
            Some(lower) => {
                lower.copy_from_slice(name);
                lower.make_ascii_lowercase();
                match table::index_of(lower) {
                    Some(index) => return literal(index, value, out),
                    None => {
                        out.push(0);
                        integer::write(lower.len(), 7, 0, out);
                        out.extend_from_slice(lower);
                    }
                }
            }
            None => {
                out.push(0);
                integer::write(name.len(), 7, 0, out);
                out.extend(name.iter().map(u8::to_ascii_lowercase));
            }
        }
        text(value, out);
    }
}

/// A field that nobody remembers, its name from the static table.
fn literal(index: usize, value: &[u8], out: &mut Vec<u8>) {
    integer::write(index, 4, 0, out);
    text(value, out);
}

fn text(text: &[u8], out: &mut Vec<u8>) {
    integer::write(text.len(), 7, 0, out);
    out.extend_from_slice(text);
}

/// Where the names of a message's first line stand in the static table.
const AUTHORITY: usize = 1;
const METHOD: usize = 2;
const PATH: usize = 4;
const SCHEME: usize = 6;
const STATUS: usize = 8;
