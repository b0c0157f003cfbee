//! What whoever moves has to know, line by line.

/// Something in a file that has no counterpart, or one that acts differently.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Remark {
    /// Which file, from 0, in the order in which they were read.
    pub file: usize,
    /// Line, from 1.
    pub line: usize,
    /// How it was dealt with.
    pub kind: RemarkKind,
    /// What stands there, shortened.
    pub what: String,
    /// One sentence.
    pub why: String,
}

/// How something was dealt with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RemarkKind {
    /// It is not in the new file.
    Refused,
    /// It is, and acts differently.
    Differs,
    /// It is not, and need not be: this is how it is here anyway.
    Needless,
}

impl RemarkKind {
    /// In one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Differs => "differs",
            Self::Needless => "needless",
        }
    }
}

/// A place in one of the files.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct At {
    pub file: usize,
    pub line: usize,
}

/// Remarks as they come.
#[derive(Debug, Default)]
pub(super) struct Remarks(Vec<Remark>);

impl Remarks {
    pub fn refused(&mut self, at: At, what: &str, why: impl Into<String>) {
        self.push(at, RemarkKind::Refused, what, why.into());
    }

    pub fn differs(&mut self, at: At, what: &str, why: impl Into<String>) {
        self.push(at, RemarkKind::Differs, what, why.into());
    }

    pub fn needless(&mut self, at: At, what: &str, why: impl Into<String>) {
        self.push(at, RemarkKind::Needless, what, why.into());
    }

    /// In the order of the files. The same remark about the same line is made once.
    pub fn sorted(mut self) -> Vec<Remark> {
        self.0.sort_by_key(|it| (it.file, it.line));
        self.0.dedup();
        self.0
    }

    fn push(&mut self, at: At, kind: RemarkKind, what: &str, why: String) {
        let mut what: String =
            what.chars().take(WHAT_CHARS_MAX).map(|it| if it.is_control() { ' ' } else { it }).collect();
        what.truncate(what.trim_end().len());
        self.0.push(Remark { file: at.file, line: at.line, kind, what, why });
    }
}

/// The rest can be read in the file.
const WHAT_CHARS_MAX: usize = 60;
