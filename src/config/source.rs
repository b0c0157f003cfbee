//! Files as they come in, and places inside them.
//!
//! Everything that can be wrong is reported by a place, so every node of the tree keeps an [`At`]:
//! cheap to copy, and turned into line and column only when somebody is told about it.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::Timestamp;

use super::account::{Account, NoAccount};

/// Where configuration files come from. The real one reads the disk; tests use [`MemoryFiles`].
pub trait Files {
    /// The bytes of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Where secrets, variables, authorities, accounts and the time come from, if not from here.
    fn beneath(&self) -> Option<&dyn Files> {
        None
    }

    /// The bytes of a file that holds a secret: an error if everybody may read it.
    fn read_secret(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.beneath().map_or_else(|| self.read(path), |it| it.read_secret(path))
    }

    /// A variable of the environment, if it is there and is text.
    fn variable(&self, name: &str) -> Option<String> {
        self.beneath()?.variable(name)
    }

    /// Certificates of the authorities that this system believes, in DER.
    fn authorities(&self) -> Vec<Vec<u8>> {
        self.beneath().map(Files::authorities).unwrap_or_default()
    }

    /// An account of this system, with another group than its own if one is named. Both are names or numbers.
    fn account(&self, user: &str, group: Option<&str>) -> Result<Account, NoAccount> {
        self.beneath().map_or(Err(NoAccount::User), |it| it.account(user, group))
    }

    /// Whether an address is one of this machine's.
    fn is_here(&self, address: IpAddr) -> bool {
        self.beneath().is_some_and(|it| it.is_here(address))
    }

    /// When they are read: a certificate is good for a time.
    fn now(&self) -> Timestamp {
        self.beneath().map_or(MEMORY_NOW, Files::now)
    }

    /// The files that match `pattern`, sorted. `*` and `?` in the last component are wildcards (see
    /// [`name_matches`]); a directory that does not exist matches nothing.
    fn list(&self, pattern: &Path) -> io::Result<Vec<PathBuf>>;
}

/// When files in memory are read, so that a certificate in a test stays as good as it was: 1 January 2026.
const MEMORY_NOW: Timestamp = Timestamp(1_767_225_600_000_000);

/// Number of `tidegate` where files are in memory.
const MEMORY_ACCOUNT: u32 = 990;

/// The address of the machine where files are in memory: one that is for books (RFC 5737).
const MEMORY_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// Files that exist only in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles {
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl MemoryFiles {
    /// No files yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file or replaces it.
    pub fn with(mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        let path = path.into();
        self.files.retain(|it| it.0 != path);
        self.files.push((path, content.into()));
        self.files.sort();
        self
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let found = self.files.iter().find(|it| it.0 == path);
        found.map(|it| it.1.clone()).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// There are `root`, `nobody` and `tidegate`, each with its group.
    fn account(&self, user: &str, group: Option<&str>) -> Result<Account, NoAccount> {
        let number = |it: &str| match it {
            "root" => Some(0),
            "nobody" => Some(65_534),
            "tidegate" => Some(MEMORY_ACCOUNT),
            other => other.parse().ok(),
        };
        let named = |it: u32| [0, 65_534, MEMORY_ACCOUNT].contains(&it);
        let id = number(user).ok_or(NoAccount::User)?;
        let group = match group {
            Some(group) => number(group).ok_or(NoAccount::Group)?,
            None if named(id) => id,
            None => return Err(NoAccount::GroupOfNumber),
        };
        Ok(Account { name: user.to_owned(), user: id, group, groups: vec![group] })
    }

    /// Beside those that every machine has there is one.
    fn is_here(&self, address: IpAddr) -> bool {
        address.is_loopback() || address == MEMORY_ADDRESS
    }

    fn list(&self, pattern: &Path) -> io::Result<Vec<PathBuf>> {
        let name = pattern.file_name().and_then(|it| it.to_str()).unwrap_or_default();
        let fits = |path: &Path| {
            path.parent() == pattern.parent()
                && path.file_name().and_then(|it| it.to_str()).is_some_and(|it| name_matches(name, it))
        };
        Ok(self.files.iter().map(|it| it.0.clone()).filter(|it| fits(it)).collect())
    }
}

/// Files with another text in the place of one.
pub struct Replaced<'a> {
    /// The file.
    pub path: &'a Path,
    /// What is read in its place.
    pub text: &'a str,
    /// All others.
    pub files: &'a dyn Files,
}

impl Files for Replaced<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == self.path { Ok(self.text.as_bytes().to_vec()) } else { self.files.read(path) }
    }

    fn list(&self, pattern: &Path) -> io::Result<Vec<PathBuf>> {
        self.files.list(pattern)
    }

    fn beneath(&self) -> Option<&dyn Files> {
        Some(self.files)
    }
}

/// Whether a file name fits a pattern in which `*` stands for any text and `?` for one character. A
/// name with a leading dot is matched only by a pattern with one, so that editors' swap files and the
/// `..data` links of mounted volumes are left alone.
pub fn name_matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // The last star and the text it has swallowed so far: on a mismatch it takes one more character.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((after, taken)) => {
                    star = Some((after, taken + 1));
                    p = after;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|it| *it == '*')
}

/// A stretch of a loaded file, as byte offsets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct At {
    /// Index into the list of sources.
    pub(super) file: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl At {
    /// The file as a whole.
    pub(super) fn file(file: usize) -> Self {
        Self { file, start: 0, end: 0 }
    }
}

/// A file that took part.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) path: Arc<Path>,
    pub(super) text: Arc<str>,
}

/// A place in a file, as people and editors count.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The file.
    pub file: Arc<Path>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Bytes of the file.
    pub span: Range<usize>,
}

impl Source {
    /// Where `at` is. Offsets that do not fall on characters are moved to the one before.
    pub(super) fn place(&self, at: At) -> Place {
        let floor = |mut offset: usize| {
            offset = offset.min(self.text.len());
            while !self.text.is_char_boundary(offset) {
                offset -= 1;
            }
            offset
        };
        let (start, end) = (floor(at.start), floor(at.end.max(at.start)));
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |it| it + 1);
        Place {
            file: Arc::clone(&self.path),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            span: start..end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, name, fits) in [
            ("*.yaml", "shop.yaml", true),
            ("*.yaml", ".shop.yaml", false),
            ("*.yaml", "shop.yaml.bak", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?.yaml", "ä.yaml", true),
            ("*", "x", true),
            ("", "", true),
            ("**", "x", true),
        ] {
            assert_eq!(name_matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn columns_count_characters() {
        let source = Source { path: Path::new("a").into(), text: "é: ü\nbb: x".into() };
        let place = source.place(At { file: 0, start: 4, end: 6 });
        assert_eq!((place.line, place.column), (1, 4));
        let place = source.place(At { file: 0, start: 11, end: 12 });
        assert_eq!((place.line, place.column), (2, 5));
        assert_eq!(source.place(At { file: 0, start: 5, end: 900 }).span, 4..12);
    }
}
