//! All regular expressions of one host, searched together.
//!
//! They run as lazy deterministic automata, built while they are used: one step for each byte of the
//! path, however many expressions there are. Those that match only at the beginning of a path have an
//! automaton of their own, which gives up at the first byte that none of them allows; the others must
//! be looked for at every byte.
//!
//! Scratch memory is kept for each thread that searches at the same time. It is bounded; when it is
//! full it is begun again, and a byte then costs at most the size of the automaton, never more.

use std::collections::HashMap;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use regex_automata::hybrid::dfa::{Cache, DFA, OverlappingState};
use regex_automata::util::pool::Pool;
use regex_automata::{Anchored, Input, MatchKind};

use super::path::Candidates;
use super::pattern::{PatternError, automaton, is_anchored};

/// The regular expressions of one host, each with the routes that use it.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    /// In the order of the file.
    groups: Vec<Candidates>,
    /// From text to index of its group. Emptied by [`Patterns::compile`].
    index: HashMap<String, usize>,
    /// Those that match at the beginning of a path, and those that match anywhere.
    sets: [Option<Set>; 2],
}

impl Patterns {
    /// The routes that use this expression.
    pub(super) fn entry(&mut self, text: &str) -> &mut Candidates {
        let next = self.groups.len();
        let at = *self.index.entry(text.to_owned()).or_insert(next);
        if at == next {
            self.groups.push(Candidates::new());
        }
        &mut self.groups[at]
    }

    /// Makes the automata.
    pub(super) fn compile(&mut self) -> Result<(), PatternError> {
        let index = std::mem::take(&mut self.index);
        let mut texts = vec![""; self.groups.len()];
        index.iter().for_each(|(text, at)| texts[*at] = text);
        let (mut start, mut anywhere) = (Vec::new(), Vec::new());
        for (group, text) in texts.into_iter().enumerate() {
            if is_anchored(text)? { start.push((group, text)) } else { anywhere.push((group, text)) }
        }
        self.sets = [
            Set::new(&start, Anchored::Yes, START_SIZE_MAX)?,
            Set::new(&anywhere, Anchored::No, ANYWHERE_SIZE_MAX)?,
        ];
        Ok(())
    }

    /// The first result of `first` among the expressions that match, in the order of the file.
    pub(super) fn find<R>(&self, path: &str, first: impl Fn(&Candidates) -> Option<R>) -> Option<R> {
        let [start, anywhere] = self.sets.each_ref().map(|it| it.as_ref().map(|set| set.search(path)));
        let mut start = start.iter().flat_map(|it| it.groups()).peekable();
        let mut anywhere = anywhere.iter().flat_map(|it| it.groups()).peekable();
        // Both lists rise; taking the smaller head each time keeps the order of the file.
        let in_order = std::iter::from_fn(|| match (start.peek(), anywhere.peek()) {
            (Some(a), Some(b)) if a < b => start.next(),
            (Some(_), None) => start.next(),
            (_, Some(_)) => anywhere.next(),
            (None, None) => None,
        });
        in_order.into_iter().find_map(|group| first(&self.groups[group]))
    }

    /// The routes by expression.
    pub(super) fn groups_mut(&mut self) -> impl Iterator<Item = &mut Candidates> {
        self.groups.iter_mut()
    }
}

/// Several expressions as one automaton.
struct Set {
    dfa: DFA,
    anchored: Anchored,
    /// The group of each expression, rising.
    groups: Vec<usize>,
    pool: Pool<Scratch, MakeScratch>,
}

type MakeScratch = Box<dyn Fn() -> Scratch + Send + Sync + UnwindSafe + RefUnwindSafe>;

struct Scratch {
    cache: Cache,
    /// Which expressions have been found already. All `false` between searches.
    seen: Vec<bool>,
    /// The expressions found by the last search, rising.
    found: Vec<usize>,
}

impl Set {
    /// `None` for no expressions.
    fn new(
        members: &[(usize, &str)],
        anchored: Anchored,
        size_max: usize,
    ) -> Result<Option<Self>, PatternError> {
        if members.is_empty() {
            return Ok(None);
        }
        let texts: Vec<&str> = members.iter().map(|it| it.1).collect();
        let nfa = automaton(&texts, size_max)?;
        // Every expression that matches is wanted, not only the leftmost.
        let config = DFA::config().match_kind(MatchKind::All).skip_cache_capacity_check(true);
        let least = config.get_minimum_cache_capacity(&nfa).unwrap_or(size_max);
        let config = config.cache_capacity(least + CACHE_BYTES);
        let built = DFA::builder().configure(config).build_from_nfa(nfa);
        // Left to go wrong: more states than 32 bits can number, far beyond the size limit.
        let dfa = built.map_err(|_| PatternError::TooLarge(size_max))?;
        let its = dfa.clone();
        let make: MakeScratch = Box::new(move || Scratch {
            cache: its.create_cache(),
            seen: vec![false; its.pattern_len()],
            found: Vec::new(),
        });
        let groups = members.iter().map(|it| it.0).collect();
        Ok(Some(Self { dfa, anchored, groups, pool: Pool::new(make) }))
    }

    fn search(&self, path: &str) -> Matched<'_, impl std::ops::DerefMut<Target = Scratch>> {
        let mut scratch = self.pool.get();
        let Scratch { cache, seen, found } = &mut *scratch;
        found.clear();
        let input = Input::new(path).anchored(self.anchored);
        let mut state = OverlappingState::start();
        loop {
            self.dfa
                .try_search_overlapping_fwd(cache, &input, &mut state)
                .expect("it has no bytes to stop at and was not told to give up");
            let Some(end) = state.get_match() else { break };
            // An expression is reported at every byte where it could end.
            let pattern = end.pattern().as_usize();
            if !std::mem::replace(&mut seen[pattern], true) {
                found.push(pattern);
            }
        }
        // The work is in proportion to what was found, not to how many expressions there are.
        found.iter().for_each(|it| seen[*it] = false);
        found.sort_unstable();
        Matched { set: self, scratch }
    }
}

/// The outcome of a search. It keeps the scratch memory until it has been read.
struct Matched<'s, G> {
    set: &'s Set,
    scratch: G,
}

impl<G: std::ops::Deref<Target = Scratch>> Matched<'_, G> {
    fn groups(&self) -> impl Iterator<Item = usize> {
        self.scratch.found.iter().map(|it| self.set.groups[*it])
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Set").field("patterns", &self.groups.len()).finish_non_exhaustive()
    }
}

/// Expressions of one host that begin with `^`: room for ten thousand ordinary ones. Few of them are
/// still alive after the first bytes of a path.
const START_SIZE_MAX: usize = 16 * 1024 * 1024;

/// Other expressions of one host: room for a thousand. All of them are alive at every byte, so that a
/// path made to fill the scratch memory again and again costs this much for each byte.
const ANYWHERE_SIZE_MAX: usize = 1024 * 1024;

/// Memory of a lazy automaton beyond the least that it can work with.
const CACHE_BYTES: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Expressions that need more states than the scratch memory holds are still answered, and right.
    #[test]
    fn scratch_memory_is_begun_again_when_full() {
        let mut patterns = Patterns::default();
        patterns.entry("x[xy]{14}z$").push(0);
        patterns.entry("y[xy]{14}z$").push(1);
        patterns.compile().unwrap();
        let chance = |it: u32| it.wrapping_mul(it).wrapping_mul(0x9E37_79B1).count_ones().is_multiple_of(2);
        let mixed: String = (0..60_000).map(|it| if chance(it) { 'x' } else { 'y' }).collect();
        for (end, expected) in [("xyyyyyyyyyyyyyyz", Some(0)), ("yxxxxxxxxxxxxxxz", Some(1)), ("y", None)] {
            let found = patterns.find(&format!("/{mixed}{end}"), |it| it.first().copied());
            assert_eq!(found, expected);
        }
        let [_, anywhere] = &patterns.sets;
        let scratch = anywhere.as_ref().unwrap().pool.get();
        assert!(scratch.cache.clear_count() > 0, "the path was meant to fill the memory");
        assert!(scratch.cache.memory_usage() < 2 * CACHE_BYTES);
    }
}
