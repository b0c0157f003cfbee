//! Regular expressions over paths: one alone, and all those of a host in one automaton.
//!
//! Searches take time linear in the path, whatever the expression. Expressions are bounded in size
//! when they are loaded: the bound limits how many states one byte of a path can touch when the lazy
//! automaton cannot be used.

use std::collections::HashMap;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use regex_automata::meta::{BuildError, Cache, Config, Regex};
use regex_automata::util::pool::Pool;
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind, PatternSet};

use super::path::Candidates;

/// A regular expression that has been compiled. Equal when written the same.
#[derive(Clone)]
pub struct PathPattern {
    text: String,
    regex: Regex,
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
        let config = Config::new().nfa_size_limit(Some(ONE_SIZE_MAX)).hybrid_cache_capacity(CACHE_BYTES_MAX);
        let built = Regex::builder().configure(config).syntax(syntax_of_paths()).build(text);
        let regex = built.map_err(|it| refusal(&it))?;
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

/// The regular expressions of one host, each with the routes that use it.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    /// In the order of the file.
    texts: Vec<String>,
    /// By the same index.
    groups: Vec<Candidates>,
    /// From text to index. Needed only until [`Patterns::compile`].
    index: HashMap<String, usize>,
    set: Option<Set>,
}

impl Patterns {
    /// The routes that use this expression.
    pub(super) fn entry(&mut self, text: &str) -> &mut Candidates {
        let next = self.groups.len();
        let at = *self.index.entry(text.to_owned()).or_insert(next);
        if at == next {
            self.texts.push(text.to_owned());
            self.groups.push(Candidates::new());
        }
        &mut self.groups[at]
    }

    /// Makes the automaton.
    pub(super) fn compile(&mut self) -> Result<(), PatternError> {
        self.index = HashMap::new();
        self.set = match std::mem::take(&mut self.texts) {
            texts if texts.is_empty() => None,
            texts => Some(Set::new(&texts)?),
        };
        Ok(())
    }

    /// The first result of `first` among the expressions that match, in the order of the file.
    pub(super) fn find<R>(&self, path: &str, first: impl Fn(&Candidates) -> Option<R>) -> Option<R> {
        let set = self.set.as_ref()?;
        let mut scratch = set.pool.get();
        let Scratch { cache, matched } = &mut *scratch;
        let input = Input::new(path);
        if let [only] = &self.groups[..] {
            return set.regex.is_match_with(cache, &input).then(|| first(only))?;
        }
        matched.clear();
        set.regex.which_overlapping_matches_with(cache, &input, matched);
        matched.iter().take(matched.len()).find_map(|it| first(&self.groups[it.as_usize()]))
    }

    /// The routes by expression.
    pub(super) fn groups_mut(&mut self) -> impl Iterator<Item = &mut Candidates> {
        self.groups.iter_mut()
    }
}

/// All expressions of a host as one automaton, with scratch memory for each thread that searches.
struct Set {
    regex: Regex,
    pool: Pool<Scratch, MakeScratch>,
}

type MakeScratch = Box<dyn Fn() -> Scratch + Send + Sync + UnwindSafe + RefUnwindSafe>;

struct Scratch {
    cache: Cache,
    matched: PatternSet,
}

impl Set {
    fn new(texts: &[String]) -> Result<Self, PatternError> {
        let config = Config::new()
            // Every expression that matches is wanted, not only the leftmost.
            .match_kind(MatchKind::All)
            .nfa_size_limit(Some(SET_SIZE_MAX))
            .hybrid_cache_capacity(CACHE_BYTES_MAX)
            // These answer where groups are. Only whether there is a match is asked.
            .onepass(false)
            .backtrack(false);
        let built = Regex::builder().configure(config).syntax(syntax_of_paths()).build_many(texts);
        let regex = built.map_err(|it| refusal(&it))?;
        let its = regex.clone();
        let make: MakeScratch = Box::new(move || Scratch {
            cache: its.create_cache(),
            matched: PatternSet::new(its.pattern_len()),
        });
        Ok(Self { regex, pool: Pool::new(make) })
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Set").field("patterns", &self.regex.pattern_len()).finish_non_exhaustive()
    }
}

/// Paths are bytes, nearly always ASCII. Without Unicode tables the automata are small.
fn syntax_of_paths() -> syntax::Config {
    syntax::Config::new().unicode(false).utf8(false)
}

fn refusal(error: &BuildError) -> PatternError {
    match (error.syntax_error(), error.size_limit()) {
        (Some(syntax), _) => PatternError::Syntax(one_line(&syntax.to_string())),
        (None, Some(limit)) => PatternError::TooLarge(limit),
        (None, None) => PatternError::Syntax(one_line(&error.to_string())),
    }
}

/// The parser draws a picture over several lines; the last one says what is wrong.
fn one_line(message: &str) -> String {
    let last = message.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// One expression: some thousand states. A path byte that touches all of them costs microseconds.
const ONE_SIZE_MAX: usize = 256 * 1024;

/// All expressions of one host together: room for ten thousand ordinary ones.
const SET_SIZE_MAX: usize = 32 * 1024 * 1024;

/// Memory of the lazy automaton for each thread and host. When it is full it is begun again.
const CACHE_BYTES_MAX: usize = 1024 * 1024;
