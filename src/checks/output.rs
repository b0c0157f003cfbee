//! What a check says, bounded: its beginning and its end, and how much lies between.

use std::collections::VecDeque;

/// The first and the last bytes of a stream of any length.
#[derive(Debug, Default)]
pub(super) struct Output {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// Bytes between the two that were given up.
    lost: u64,
}

impl Output {
    /// More of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(HEAD_BYTES - self.head.len()));
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(TAIL_BYTES);
        self.lost += excess as u64;
        self.tail.drain(..excess);
    }

    /// As text that is safe on a terminal: nothing in it moves a cursor or begins an escape.
    pub fn text(&self) -> String {
        let (before, after) = self.tail.as_slices();
        let tail = [before, after].concat();
        if self.lost == 0 {
            return printable(&[self.head.as_slice(), &tail].concat());
        }
        format!("{}\n[… {} bytes left out …]\n{}", printable(&self.head), self.lost, printable(&tail))
    }
}

fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let safe =
        text.chars().map(|it| if it.is_control() && it != '\n' && it != '\t' { '\u{fffd}' } else { it });
    safe.collect::<String>().trim_end().to_owned()
}

/// Enough for the first message of a failing script.
const HEAD_BYTES: usize = 2 * 1024;
/// Enough for the last ones, where most scripts say what went wrong. Both go into the journal.
const TAIL_BYTES: usize = 6 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_kept_and_the_middle_is_counted() {
        for (sizes, lost) in
            [(vec![10], 0), (vec![8 * 1024], 0), (vec![100_000], 91_808), (vec![7; 3000], 12_808)]
        {
            let (mut output, mut all) = (Output::default(), Vec::new());
            for size in sizes {
                let piece: Vec<u8> =
                    (0..size).map(|it| b'a' + u8::try_from((it + all.len()) % 26).unwrap()).collect();
                output.push(&piece);
                all.extend(piece);
            }
            let text = output.text();
            assert_eq!(output.lost, lost);
            if lost == 0 {
                assert_eq!(text.as_bytes(), all);
            } else {
                assert!(text.as_bytes().starts_with(&all[..HEAD_BYTES]), "the beginning");
                assert!(text.as_bytes().ends_with(&all[all.len() - TAIL_BYTES..]), "the end");
                assert!(text.contains(&format!("{lost} bytes left out")));
            }
        }
    }

    #[test]
    fn nothing_in_it_is_a_terminal_command() {
        let mut output = Output::default();
        output.push(b"red \x1b[31m bell \x07 line\r\nnext \xff\n\n");
        assert_eq!(output.text(), "red \u{fffd}[31m bell \u{fffd} line\nnext \u{fffd}");
    }
}
