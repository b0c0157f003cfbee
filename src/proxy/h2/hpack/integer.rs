//! Numbers with a prefix (RFC 7541 section 5.1).

use super::Garbled;

/// Largest number that means anything here: every length and index is far below.
const MOST: usize = 1 << 24;

/// Reads a number whose first byte has `bits` of it; the number and what follows it.
pub(super) fn read(bytes: &[u8], bits: u32) -> Result<(usize, &[u8]), Garbled> {
    let (&first, mut rest) = bytes.split_first().ok_or(Garbled)?;
    let most = (1_usize << bits) - 1;
    let mut number = usize::from(first) & most;
    if number < most {
        return Ok((number, rest));
    }
    let mut shift = 0;
    loop {
        let (&byte, behind) = rest.split_first().ok_or(Garbled)?;
        rest = behind;
        number += usize::from(byte & 0x7f) << shift;
        shift += 7;
        // Four bytes say more than is allowed; zeros without an end say nothing.
        if number > MOST || shift > 28 {
            return Err(Garbled);
        }
        if byte & 0x80 == 0 {
            return Ok((number, rest));
        }
    }
}

/// Appends a number behind a `mark` in the bits that its prefix leaves free.
#[inline]
pub(super) fn write(number: usize, bits: u32, mark: u8, out: &mut Vec<u8>) {
    let most = (1_usize << bits) - 1;
    if number < most {
        return out.push(mark | number as u8);
    }
    write_long(number, most, mark, out);
}

fn write_long(number: usize, most: usize, mark: u8, out: &mut Vec<u8>) {
    out.push(mark | most as u8);
    let mut rest = number - most;
    while rest >= 128 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}
