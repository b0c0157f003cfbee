//! The sources of this package, as the rules read them.

use std::fs;
use std::path::Path;

/// One file.
pub struct Source {
    /// From the root of the package, with slashes.
    pub path: String,
    /// Everything in it.
    pub text: String,
}

impl Source {
    /// A text that stands for a file, to see whether a rule can fail.
    pub fn planted(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// `proxy` for `src/proxy.rs` and for everything in `src/proxy/`.
    pub fn room(&self) -> Option<&str> {
        let inner = self.path.strip_prefix("src/")?;
        inner.split('/').next()?.split('.').next()
    }

    /// How many modules below the root of the crate it is.
    pub fn depth(&self) -> usize {
        self.path.split('/').count() - 1
    }

    /// Its lines outside of line comments, with their numbers.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(at, line)| (at + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// Every Rust file below `directory`, in order. Never empty.
pub fn under(directory: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut waiting = vec![root.join(directory)];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).expect("the directory can be read") {
            let path = entry.expect("the entry can be read").path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(&path).expect("the file can be read");
                let path = path.strip_prefix(root).expect("it is below the root");
                found.push(Source { path: path.to_string_lossy().replace('\\', "/"), text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "a rule over no files holds nothing");
    found
}

/// Whether `word` stands in `code` with no letter, digit or underscore going on at either end.
pub fn has_word(code: &str, word: &str) -> bool {
    let goes_on = |it: Option<char>| it.is_some_and(|it| it.is_alphanumeric() || it == '_');
    let starts = word.starts_with(|it: char| it.is_alphanumeric());
    let ends = word.ends_with(|it: char| it.is_alphanumeric());
    code.match_indices(word).any(|(at, _)| {
        let longer_before = starts && goes_on(code[..at].chars().next_back());
        let longer_after = ends && goes_on(code[at + word.len()..].chars().next());
        !longer_before && !longer_after
    })
}
