//! The Huffman code of RFC 7541 appendix B, read four bits at a time.
//!
//! The code is canonical: from the lengths alone follow the codes, by length and then by symbol. The
//! automaton is made of them when this is compiled. Its states are the inner nodes of the code's tree.

use super::Garbled;

/// Bits of each symbol's code; the last is the end of a string, which must never be written.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6,
    6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7,
    8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7,
    15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24,
    23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23,
    23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26,
    26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20,
    21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27,
    27, 27, 26, 30,
];

/// The symbol that ends a string.
const END: u16 = 256;

/// Inner nodes of the tree: one less than leaves.
const STATES: usize = LENGTHS.len() - 1;

/// Where four bits lead from a state.
#[derive(Clone, Copy)]
struct Move {
    to: u8,
    symbol: u8,
    /// Whether a symbol was completed: no code is shorter than five bits, so at most one.
    emits: bool,
    /// Whether this can lead nowhere good: the end of a string was read.
    fails: bool,
}

static MOVES: [[Move; 16]; STATES] = moves();

/// Whether a string may end in a state: what is left over is the beginning of the code that ends strings, and
/// shorter than a byte.
static MAY_END: [bool; STATES] = may_end();

/// Children of the inner nodes: a node as its number, a leaf as `LEAF` and its symbol.
const TREE: [[u16; 2]; STATES] = tree();

const LEAF: u16 = 0x8000;

const fn codes() -> [u32; LENGTHS.len()] {
    let mut codes = [0; LENGTHS.len()];
    let (mut code, mut length) = (0_u32, 1);
    while length <= 30 {
        code <<= 1;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] == length {
                codes[symbol] = code;
                code += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    codes
}

const fn tree() -> [[u16; 2]; STATES] {
    let codes = codes();
    let mut tree = [[0; 2]; STATES];
    let (mut nodes, mut symbol) = (1, 0);
    while symbol < LENGTHS.len() {
        let (mut node, mut left) = (0, LENGTHS[symbol]);
        while left > 0 {
            left -= 1;
            let bit = (codes[symbol] >> left & 1) as usize;
            if left == 0 {
                tree[node][bit] = LEAF | symbol as u16;
            } else if tree[node][bit] == 0 {
                tree[node][bit] = nodes;
                node = nodes as usize;
                nodes += 1;
            } else {
                node = tree[node][bit] as usize;
            }
        }
        symbol += 1;
    }
    tree
}

const fn moves() -> [[Move; 16]; STATES] {
    let mut moves = [[Move { to: 0, symbol: 0, emits: false, fails: false }; 16]; STATES];
    let mut state = 0;
    while state < STATES {
        let mut bits = 0;
        while bits < 16 {
            let (mut node, mut left) = (state, 4);
            let mut it = Move { to: 0, symbol: 0, emits: false, fails: false };
            while left > 0 {
                left -= 1;
                let next = TREE[node][bits >> left & 1];
                if next & LEAF == 0 {
                    node = next as usize;
                } else {
                    it.fails |= next == LEAF | END;
                    it.symbol = next as u8;
                    it.emits = true;
                    node = 0;
                }
            }
            it.to = node as u8;
            moves[state][bits] = it;
            bits += 1;
        }
        state += 1;
    }
    moves
}

const fn may_end() -> [bool; STATES] {
    let mut may = [false; STATES];
    let (mut node, mut depth) = (0, 0);
    while depth < 8 {
        may[node] = true;
        // All ones: the code of the end.
        node = TREE[node][1] as usize;
        depth += 1;
    }
    may
}

/// Appends what `bytes` stand for.
pub(super) fn read(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Garbled> {
    // Five bits at least for each.
    out.reserve(bytes.len() * 8 / 5 + 1);
    let mut state = 0;
    for &byte in bytes {
        for bits in [byte >> 4, byte & 0xf] {
            let it = &MOVES[state][usize::from(bits)];
            if it.fails {
                return Err(Garbled);
            }
            if it.emits {
                out.push(it.symbol);
            }
            state = usize::from(it.to);
        }
    }
    if MAY_END[state] { Ok(()) } else { Err(Garbled) }
}

#[cfg(test)]
pub(super) fn write(text: &[u8]) -> Vec<u8> {
    let codes = codes();
    let (mut out, mut held, mut count) = (Vec::new(), 0_u64, 0);
    for &byte in text {
        held = held << LENGTHS[usize::from(byte)] | u64::from(codes[usize::from(byte)]);
        count += u32::from(LENGTHS[usize::from(byte)]);
        while count >= 8 {
            count -= 8;
            out.push((held >> count) as u8);
        }
    }
    if count > 0 {
        out.push(((held << (8 - count)) as u8) | (0xff >> count));
    }
    out
}
