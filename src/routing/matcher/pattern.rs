//! One regular expression over paths: its syntax, its bound, and why it may be refused.
//!
//! Searches take time linear in the path, whatever the expression. The bound on the size limits how
//! much work one byte of a path can be.

use std::error::Error as _;
use std::fmt;

use regex_automata::meta;
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::syntax;

/// A regular expression that has been compiled. Equal when written the same.
#[derive(Clone)]
pub struct PathPattern {
    text: String,
    regex: meta::Regex,
}

/// Why a regular expression is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PatternError {
    /// It does not follow the syntax.
    #[error("not a regular expression: {0}")]
    Syntax(String),
    /// Its automaton would be too large.
    #[error("the regular expression is too large when compiled (at most {} KiB)", .0 / 1024)]
    TooLarge(usize),
}

impl PathPattern {
    /// Compiles `text`.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        automaton(&[text], ONE_SIZE_MAX)?;
        let built = meta::Regex::builder().syntax(syntax_of_paths()).build(text);
        let regex = built.map_err(|it| PatternError::Syntax(one_line(&it.to_string())))?;
        Ok(Self { text: text.to_owned(), regex })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where the leftmost match in `path` begins and ends, in bytes.
    pub fn find(&self, path: &str) -> Option<(usize, usize)> {
        self.regex.find(path).map(|it| (it.start(), it.end()))
    }
}

impl fmt::Debug for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PathPattern").field(&self.text).finish()
    }
}

impl PartialEq for PathPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PathPattern {}

/// Whether `text` can match only at the beginning of a path, or why it is refused.
pub(super) fn is_anchored(text: &str) -> Result<bool, PatternError> {
    automaton(&[text], ONE_SIZE_MAX).map(|it| it.is_always_start_anchored())
}

/// The automaton of all `texts`, which knows which of them match but not where.
pub(super) fn automaton(texts: &[&str], size_max: usize) -> Result<NFA, PatternError> {
    let config = thompson::Config::new().nfa_size_limit(Some(size_max)).which_captures(WhichCaptures::None);
    let built = NFA::compiler().configure(config).syntax(syntax_of_paths()).build_many(texts);
    let nfa = built.map_err(|error| match (error.size_limit(), error.source()) {
        (Some(limit), _) => PatternError::TooLarge(limit),
        (None, Some(cause)) => PatternError::Syntax(one_line(&cause.to_string())),
        (None, None) => PatternError::Syntax(one_line(&error.to_string())),
    })?;
    // The one thing that a deterministic automaton cannot do.
    if nfa.look_set_any().contains_word_unicode() {
        return Err(PatternError::Syntax("Unicode word boundaries are not supported".to_owned()));
    }
    Ok(nfa)
}

/// Paths are bytes, nearly always ASCII. Without Unicode tables the automata are small.
fn syntax_of_paths() -> syntax::Config {
    syntax::Config::new().unicode(false).utf8(false)
}

/// The parser draws a picture over several lines; the last one says what is wrong.
fn one_line(message: &str) -> String {
    let last = message.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// One expression: some thousand states. A path byte that touches all of them costs microseconds.
const ONE_SIZE_MAX: usize = 256 * 1024;
