//! How records lie in the file, and what damage means.
//!
//! ```text
//! "TIDEGATE JOURNAL 1\n"  then frames:
//! length u32 · number u64 · XXH3-64 of the payload u64 · check of these 20 bytes u32 · payload
//! ```
//!
//! All little-endian. Numbers rise by one. The head has a check of its own, so that a damaged length is
//! not taken for a frame that is longer than the file.
//!
//! A crash during an append leaves the last frame short, or with whole sectors that were never written
//! and read as zeros; JSON holds no zero byte. That, and only that, is torn. Anything else is damage.

use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::OpenError;

/// First bytes of the file; the number is the version of the format. It rises when records hold what the
/// version before would not understand, so that an older tidegate refuses the file with a clear word. There is no
/// third: as texts, 3 is one flipped bit away from 1 and from 2.
pub(super) const MAGIC: &[u8] = b"TIDEGATE JOURNAL 4\n";

/// First bytes of files that can be read as well, and the version of each.
const OLDER: &[(&[u8], u32)] = &[(b"TIDEGATE JOURNAL 2\n", 2), (b"TIDEGATE JOURNAL 1\n", 1)];

const HEAD: usize = 24;
/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// One frame, ready to be appended.
pub(super) fn write(number: u64, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a snapshot is bounded far below 4 GiB");
    let mut frame = Vec::with_capacity(HEAD + payload.len());
    frame.extend(length.to_le_bytes());
    frame.extend(number.to_le_bytes());
    frame.extend(xxh3_64(payload).to_le_bytes());
    frame.extend(check(&frame).to_le_bytes());
    frame.extend(payload);
    frame
}

/// The frames of a file, one after the other.
pub(super) struct Journal<'a> {
    file: &'a [u8],
    at: usize,
    number: u64,
    torn: Option<usize>,
    older: Option<u32>,
}

/// A frame that is whole.
pub(super) struct Frame<'a> {
    pub number: u64,
    pub at: usize,
    pub end: usize,
    pub payload: &'a [u8],
}

/// A frame that no crash can explain.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Damage {
    /// `None`: the file is of another kind.
    place: Option<(u64, usize)>,
    what: String,
}

impl<'a> Journal<'a> {
    /// The frames of a file that begins with `magic`, and cannot be shorter than that.
    pub fn of_kind(file: &'a [u8], magic: &[u8]) -> Result<Self, Damage> {
        if !file.starts_with(magic) {
            return Err(Damage { place: Some((0, 0)), what: "it does not begin as it should".into() });
        }
        Ok(Self { file, at: magic.len(), number: 0, torn: None, older: None })
    }

    pub fn of(file: &'a [u8]) -> Result<Self, Damage> {
        let (family, _) = MAGIC.split_at(MAGIC.len() - 2);
        let older = OLDER.iter().find(|(magic, _)| file.starts_with(magic)).map(|it| it.1);
        match file {
            _ if file.starts_with(MAGIC) || older.is_some() => {
                Ok(Self { file, at: MAGIC.len(), number: 0, torn: None, older })
            }
            _ if file.starts_with(family) && file.len() > MAGIC.len() => {
                Err(Damage { place: None, what: String::new() })
            }
            // A journal comes into being by a rename, so not even its first line can be incomplete.
            _ => Err(Damage { place: Some((0, 0)), what: "it does not begin like a journal".into() }),
        }
    }

    /// The next whole frame; `None` at the end, torn or not.
    pub fn next(&mut self) -> Result<Option<Frame<'a>>, Damage> {
        let (at, rest) = (self.at, &self.file[self.at..]);
        if rest.is_empty() || self.torn.is_some() {
            return Ok(None);
        }
        let Some((head, after)) = rest.split_at_checked(HEAD) else {
            return self.cut();
        };
        let number = u64::from_le_bytes(eight(&head[4..12]));
        if check(&head[..20]) != u32::from_le_bytes(four(&head[20..])) {
            return self.cut_if_unwritten(at..at + HEAD, "its head does not match its check");
        }
        let length = u32::from_le_bytes(four(&head[..4])) as usize;
        let Some(payload) = after.get(..length) else {
            return self.cut();
        };
        let end = at + HEAD + length;
        if xxh3_64(payload) != u64::from_le_bytes(eight(&head[12..20])) {
            if end != self.file.len() {
                return Err(self.damage("its checksum does not match"));
            }
            return self.cut_if_unwritten(at..end, "its checksum does not match");
        }
        if self.number != 0 && number != self.number + 1 {
            return Err(self.damage(&format!("its number is {number}")));
        }
        (self.at, self.number) = (end, number);
        Ok(Some(Frame { number, at, end, payload }))
    }

    /// Bytes that a crash left at the end.
    pub fn torn(&self) -> Option<usize> {
        self.torn
    }

    /// The version of the format, if it is an older one.
    pub fn older(&self) -> Option<u32> {
        self.older
    }

    fn cut(&mut self) -> Result<Option<Frame<'a>>, Damage> {
        self.torn = Some(self.file.len() - self.at);
        Ok(None)
    }

    fn cut_if_unwritten(
        &mut self,
        range: std::ops::Range<usize>,
        what: &str,
    ) -> Result<Option<Frame<'a>>, Damage> {
        let mut from = range.start;
        while from < range.end {
            let to = ((from / SECTOR + 1) * SECTOR).min(range.end);
            if self.file[from..to].iter().all(|it| *it == 0) {
                return self.cut();
            }
            from = to;
        }
        Err(self.damage(what))
    }

    fn damage(&self, what: &str) -> Damage {
        Damage { place: Some((self.number + 1, self.at)), what: what.to_owned() }
    }
}

impl Damage {
    /// A frame that is whole but says nothing that we understand.
    pub fn in_frame(frame: &Frame<'_>, what: impl ToString) -> Self {
        Self { place: Some((frame.number, frame.at)), what: what.to_string() }
    }

    /// Number and beginning of the frame, and what is wrong with it.
    pub fn parts(self) -> (Option<(u64, usize)>, String) {
        (self.place, self.what)
    }

    pub fn at(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        match self.place {
            None => OpenError::Unknown { path },
            Some((record, at)) => OpenError::Damaged { path, record, at, what: self.what },
        }
    }
}

fn check(head: &[u8]) -> u32 {
    // The low half is as good as any.
    xxh3_64(head) as u32
}

fn four(bytes: &[u8]) -> [u8; 4] {
    bytes.try_into().expect("the caller cut four bytes")
}

fn eight(bytes: &[u8]) -> [u8; 8] {
    bytes.try_into().expect("the caller cut eight bytes")
}
