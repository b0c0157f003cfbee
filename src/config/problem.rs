//! Problems: what is wrong, where, and what to do about it.
//!
//! Readers go on after a problem, so that one run lists every mistake. The list is bounded; what is
//! beyond the bound is counted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::code::Code;
use super::source::{At, Place, Source};

/// Problems kept in full. A file that is not a configuration at all (a log, a picture) would otherwise
/// produce one for each of its lines; more are only counted.
const PROBLEMS_MAX: usize = 100;

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// Nothing is loaded.
    Error,
    /// Loaded, but probably not what was meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Names the rule; `explain` has the long text.
    pub code: Code,
    /// Where it is.
    pub place: Place,
    /// One sentence without a full stop.
    pub message: String,
    /// A few words that stand beside the place.
    pub label: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// Another place that has to do with it, and a few words that stand beside it.
    pub related: Option<(Place, String)>,
}

/// Everything that is wrong with a configuration, in the order of the files.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    list: Vec<(usize, Problem)>,
    sources: Vec<Source>,
    /// Texts that are paths.
    paths: Vec<(At, PathBuf)>,
    /// Texts that are shown to nobody.
    hidden: Vec<At>,
    errors: usize,
    warnings: usize,
}

/// A problem on its way into the list.
pub(super) struct Report {
    severity: Severity,
    code: Code,
    at: At,
    message: String,
    label: Option<String>,
    help: Option<String>,
    related: Option<(At, String)>,
}

impl Report {
    pub(super) fn error(code: Code, at: At, message: impl Into<String>) -> Self {
        let (label, help, related) = (None, None, None);
        Self { severity: Severity::Error, code, at, message: message.into(), label, help, related }
    }

    pub(super) fn warning(code: Code, at: At, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, at, message) }
    }

    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Help for a name that does not exist: the known name it looks like.
    pub(super) fn did_you_mean<'a>(
        self,
        written: &str,
        known: impl IntoIterator<Item = &'a str>,
        otherwise: &str,
    ) -> Self {
        match super::similar::closest(written, known) {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None if otherwise.is_empty() => self,
            None => self.help(otherwise),
        }
    }

    pub(super) fn related(mut self, at: At, label: impl Into<String>) -> Self {
        self.related = Some((at, label.into()));
        self
    }
}

impl Problems {
    /// Whether nothing may be loaded.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// How many errors and warnings there are, those beyond the bound included.
    pub fn counts(&self) -> (usize, usize) {
        (self.errors, self.warnings)
    }

    /// The problems in the order of the files; at most a hundred.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter().map(|it| &it.1)
    }

    /// How many were counted but not kept.
    pub fn omitted(&self) -> usize {
        self.errors + self.warnings - self.list.len()
    }

    /// How many files were looked at.
    pub fn files(&self) -> usize {
        self.sources.len()
    }

    /// Whether further problems are only counted, so that suggestions for them need not be looked for.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= PROBLEMS_MAX
    }

    pub(super) fn add_source(&mut self, path: &Path, text: &str) -> usize {
        self.sources.push(Source { path: path.into(), text: text.into() });
        self.sources.len() - 1
    }

    pub(super) fn text_of(&self, file: &Path) -> &str {
        self.sources.iter().find(|it| &*it.path == file).map_or("", |it| &it.text)
    }

    pub(super) fn source_text(&self, file: usize) -> Arc<str> {
        Arc::clone(&self.sources[file].text)
    }

    pub(super) fn path_of(&self, file: usize) -> Arc<Path> {
        Arc::clone(&self.sources[file].path)
    }

    /// Remembers that the text there is a path, and which.
    pub(super) fn note_path(&mut self, at: At, path: &Path) {
        self.paths.push((at, path.to_owned()));
    }

    /// The path that the text there names.
    pub(super) fn path_at(&self, at: At) -> Option<&Path> {
        self.paths.iter().find(|it| it.0 == at).map(|it| it.1.as_path())
    }

    /// Has a text hidden wherever its line is shown: it is a secret that stands where none should.
    pub(super) fn hide(&mut self, at: At) {
        self.hidden.push(at);
    }

    pub(super) fn push(&mut self, report: Report) {
        // Finding lines takes time; in a file of a million mistakes nobody reads the last ones.
        if self.is_full() {
            self.count(report.severity);
            return;
        }
        let problem = Problem {
            severity: report.severity,
            code: report.code,
            place: self.place(report.at),
            message: report.message,
            label: report.label,
            help: report.help,
            related: report.related.map(|(at, label)| (self.place(at), label)),
        };
        // A mistake below an anchor is met once for each alias; it is one mistake.
        if self.list.iter().any(|it| it.1 == problem) {
            return;
        }
        self.count(problem.severity);
        self.list.push((report.at.file, problem));
    }

    fn count(&mut self, severity: Severity) {
        match severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
    }

    /// Takes what is hidden out of the texts that are shown, letter by letter, so that places stay.
    pub(super) fn redact(&mut self) {
        self.hidden.sort_by_key(|it| (it.file, it.start));
        for (file, source) in self.sources.iter_mut().enumerate() {
            let mut hidden = self.hidden.iter().filter(|it| it.file == file).peekable();
            if hidden.peek().is_none() {
                continue;
            }
            let mut shown = String::with_capacity(source.text.len());
            for (at, letter) in source.text.char_indices() {
                while hidden.next_if(|it| it.end <= at).is_some() {}
                match hidden.peek() {
                    Some(it) if it.start <= at && letter != '\n' => {
                        shown.push_str(&"*".repeat(letter.len_utf8()))
                    }
                    _ => shown.push(letter),
                }
            }
            source.text = shown.into();
        }
    }

    /// Puts the problems into the order of the files, as a reader meets them.
    pub(super) fn sort(&mut self) {
        self.list.sort_by_key(|(file, it)| (*file, it.place.span.start, it.place.span.end));
    }

    fn place(&self, at: At) -> Place {
        self.sources[at.file].place(at)
    }
}
