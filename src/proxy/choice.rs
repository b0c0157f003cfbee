//! Which endpoint of a version a request goes to: by the balance first, then the next in line, passing over
//! those that are not ready.
//!
//! With a key the line is the order of the key's ranks, so that those whose endpoint is left out go on to
//! another one together, and come back to it. Where one has enough to do the first is another one, and the line
//! goes on with the others from its beginning.

use std::rc::Rc;

use crate::routing::{Balance, Bound, Key, Rank};

use super::upstream::Endpoint;
use super::view::VersionView;

/// Where a request stands in the line of a version's endpoints.
#[derive(Debug, Default)]
pub struct Line {
    first: usize,
    passed: usize,
    /// With a balance by hash.
    key: Option<Key>,
    /// The endpoint that was tried last, and the one before it.
    ranks: [Option<Rank>; 2],
    /// The one that was first although others come before it.
    aside: Option<Rank>,
}

/// Which endpoint a request is sent to.
pub enum Choice<'a> {
    /// This one.
    Endpoint(&'a Rc<Endpoint>),
    /// Every one that is ready has been tried.
    Exhausted,
    /// None is ready.
    NoneReady,
}

impl Line {
    /// At its beginning.
    pub fn new(key: Option<Key>) -> Self {
        Self { key, ..Self::default() }
    }

    /// Stands before the same endpoint again.
    pub fn step_back(&mut self) {
        self.passed = self.passed.saturating_sub(1);
        match self.ranks[0] {
            Some(_) => self.ranks = [self.ranks[1], None],
            None => self.aside = None,
        }
    }

    /// Begins anew.
    pub fn restart(&mut self) {
        *self = Self::new(self.key);
    }

    /// Whether a request with a key has not been sent to this one.
    fn is_before(&self, rank: Rank) -> bool {
        self.aside != Some(rank) && self.ranks[0].is_none_or(|it| rank < it)
    }
}

impl VersionView {
    /// The next endpoint in a request's line: the first by the balance, then all others, so that none is
    /// tried twice.
    pub fn endpoint(&self, balance: &Balance, line: &mut Line, bits: impl Fn() -> u64) -> Choice<'_> {
        if let Some(key) = line.key {
            let bound = match balance {
                Balance::Hash(hashing) => hashing.bound,
                Balance::RoundRobin | Balance::LeastRequest => None,
            };
            return self.nearest(key, bound, line);
        }
        if line.passed > 0 {
            return self.next_in(line);
        }
        let count = self.endpoints.len();
        line.first = match balance {
            _ if count < 2 => 0,
            // Without a key one is as good as another.
            Balance::RoundRobin | Balance::Hash(_) => (self.turn.get() + 1) % count,
            Balance::LeastRequest => self.less_busy(bits()),
        };
        self.turn.set(line.first);
        line.passed = 1;
        match self.endpoints.get(line.first) {
            Some(it) if it.health.is_well() => Choice::Endpoint(it),
            Some(it) => self.instead_of(it, line, bits()),
            None => Choice::NoneReady,
        }
    }

    /// Whether a request has an endpoint left that it was not sent to.
    pub fn has_more(&self, line: &Line) -> bool {
        let all = self.uses_all();
        if let Some(key) = line.key {
            return self.ranked(key).any(|(rank, it)| line.is_before(rank) && (all || it.health.is_ready()));
        }
        (line.passed..self.endpoints.len()).any(|it| all || self.in_line(line, it).health.is_ready())
    }

    /// The first in line when the one whose turn it is is not well: by chance, so that its share is spread
    /// over all others.
    fn instead_of<'a>(&'a self, turn: &'a Rc<Endpoint>, line: &mut Line, bits: u64) -> Choice<'a> {
        if turn.health.admits(bits) || self.uses_all() {
            return Choice::Endpoint(turn);
        }
        let ready = || self.endpoints.iter().enumerate().filter(|(_, it)| it.health.is_ready());
        let count = ready().count().max(1);
        match ready().nth((bits >> 32) as usize % count) {
            Some((index, it)) => {
                line.first = index;
                Choice::Endpoint(it)
            }
            None => Choice::NoneReady,
        }
    }

    /// The highest rank that is left. While an endpoint warms up, the same keys go to it first; and one that has
    /// enough to do is left out at first.
    fn nearest(&self, key: Key, bound: Option<Bound>, line: &mut Line) -> Choice<'_> {
        let (all, is_first) = (self.uses_all(), line.ranks[0].is_none() && line.aside.is_none());
        let left = || self.ranked(key).filter(|it| line.is_before(it.0));
        let ready = || left().filter(|(_, it)| all || it.health.is_ready()).max_by_key(|it| it.0);
        let admitting = || left().filter(|(rank, it)| all || it.health.admits(rank.bits()));
        let nearest = || admitting().max_by_key(|it| it.0);
        let next = if is_first { nearest().or_else(ready) } else { ready() };
        let Some((rank, it)) = next else {
            return if is_first { Choice::NoneReady } else { Choice::Exhausted };
        };
        if let (Some(bound), true) = (bound, is_first) {
            let used = || self.endpoints.iter().filter(|it| all || it.health.is_ready());
            let (count, total) = (used().count(), used().map(|it| it.in_flight()).sum());
            let roomy = |it: &Endpoint| bound.has_room(it.in_flight(), total, count);
            let other = admitting().filter(|(_, it)| roomy(it)).max_by_key(|it| it.0);
            if let (false, Some((rank, it))) = (roomy(it), other) {
                line.aside = Some(rank);
                return Choice::Endpoint(it);
            }
        }
        line.ranks = [Some(rank), line.ranks[0]];
        Choice::Endpoint(it)
    }

    fn ranked(&self, key: Key) -> impl Iterator<Item = (Rank, &Rc<Endpoint>)> {
        self.endpoints.iter().enumerate().map(move |(index, it)| (key.rank(it.anchor, index), it))
    }

    fn next_in(&self, line: &mut Line) -> Choice<'_> {
        let all = self.uses_all();
        while line.passed < self.endpoints.len() {
            let it = self.in_line(line, line.passed);
            line.passed += 1;
            if all || it.health.is_ready() {
                return Choice::Endpoint(it);
            }
        }
        Choice::Exhausted
    }

    fn in_line(&self, line: &Line, at: usize) -> &Rc<Endpoint> {
        &self.endpoints[(line.first + at) % self.endpoints.len()]
    }

    /// Whether those that are not ready are used too: with too few that are, or when nobody has said
    /// anything yet: a backend that is adopted is no news to its users.
    fn uses_all(&self) -> bool {
        let ready = self.endpoints.iter().filter(|it| it.health.is_ready()).count();
        ready * 100 < self.panic_percent * self.endpoints.len()
            || (ready == 0 && self.endpoints.iter().all(|it| it.health.is_unknown()))
    }

    fn less_busy(&self, bits: u64) -> usize {
        let count = self.endpoints.len() as u64;
        let one = (bits >> 32) % count;
        // The second is drawn among the others, so that the choice is a real one.
        let other = (one + 1 + (bits & u64::from(u32::MAX)) % (count - 1)) % count;
        let busy = |it: u64| self.endpoints[it as usize].in_flight();
        (if busy(other) < busy(one) { other } else { one }) as usize
    }
}
