//! Evidence as plain numbers and back: what must survive a restart.
//!
//! The order of the numbers is the format; [`FORMAT`] names it. Everything that follows from other
//! numbers is left out, and what comes back is the same evidence bit for bit.

use std::time::Duration;

use super::bet::{Bet, Block};
use super::breaker::Breaker;
use super::ceiling::{Ceiling, Side};
use super::clusters::Clustering;
use super::comparison::{Aim, Comparison, Memory, Open, Stakes};
use super::history::History;
use super::judge::{Alone, Judge, Latest};
use super::mixture::{Mixture, Purse};
use super::policy::{GuardPolicy, LatencyGuard, Quantile};
use super::proof::Proof;
use super::slowness::{Slowness, TOLERANCE};
use crate::model::{LaneTally, Observation, Tally};

/// The evidence of a release as numbers without meaning of their own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved {
    /// Counts and switches.
    pub counts: Vec<u64>,
    /// Evidence, rates and times.
    pub values: Vec<f64>,
}

/// Saved evidence that this build cannot read. See [`Judge::after_loss`] for what to do then.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("saved evidence has another format or is damaged")]
pub struct RestoreError;

impl Judge {
    /// Everything that must survive a restart.
    pub fn save(&self) -> Saved {
        let mut out = Saved::default();
        out.count(FORMAT);
        out.value(self.rate_before);
        out.some(self.clustering.as_ref(), Saved::clustering);
        out.lane(&self.seen.canary);
        out.lane(&self.seen.stable);
        out.latest(&self.latest);
        out.comparison(&self.relative);
        out.some(self.beside.as_ref(), Saved::ceiling);
        out.some(self.alone.as_ref(), Saved::alone);
        out.breaker(&self.breaker);
        out.count(self.latency.len() as u64);
        self.latency.iter().for_each(|it| out.slowness(it));
        out.some(self.proof.as_ref(), Saved::proof);
        out
    }

    /// The evidence that was saved, judged by `policy` from now on. A ceiling that has changed since
    /// starts anew: it is another question.
    pub fn restore(policy: &GuardPolicy, saved: &Saved) -> Result<Self, RestoreError> {
        let mut from = Reader { counts: &saved.counts, values: &saved.values };
        let restored = from.judge(policy);
        restored.filter(|_| from.counts.is_empty() && from.values.is_empty()).ok_or(RestoreError)
    }
}

impl Saved {
    fn count(&mut self, it: u64) {
        self.counts.push(it);
    }

    fn value(&mut self, it: f64) {
        self.values.push(it);
    }

    fn time(&mut self, it: Duration) {
        self.count(it.as_secs());
        self.count(u64::from(it.subsec_nanos()));
    }

    fn some<T>(&mut self, it: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.count(u64::from(it.is_some()));
        if let Some(it) = it {
            write(self, it);
        }
    }

    fn tally(&mut self, it: Tally) {
        self.counts.extend([it.requests, it.bad]);
    }

    fn lane(&mut self, it: &LaneTally) {
        it.shards.iter().for_each(|shard| self.tally(*shard));
    }

    fn history(&mut self, it: History) {
        self.values.extend([it.responses, it.bad]);
    }

    fn clustering(&mut self, it: &Clustering) {
        self.values.extend([it.dispersion, it.spread]);
        self.count(u64::from(it.known));
    }

    fn latest(&mut self, it: &Latest) {
        self.time(it.at);
        self.count(u64::from(it.comparator));
        self.history(it.canary);
        self.history(it.stable);
    }

    fn mixtures(&mut self, purse: &Purse, mixtures: &[Mixture]) {
        self.values.extend(purse.as_numbers());
        self.values.extend(mixtures.iter().flat_map(|it| &it.log_weights));
    }

    fn comparison(&mut self, it: &Comparison) {
        self.value(it.dispersion);
        self.mixtures(&it.purse, &it.mixtures);
        self.value(it.open.since);
        for block in &it.open.shards {
            self.tally(block.canary);
            self.tally(block.stable);
        }
        self.history(it.memory.history);
        self.values.extend([it.memory.canary, it.memory.stable]);
        self.some(it.stakes.as_ref(), Self::stakes);
        self.count(u64::from(it.matched));
    }

    fn stakes(&mut self, it: &Stakes) {
        self.values.extend([it.at, it.rate, it.share, it.margin]);
        self.values.extend(it.bets.iter().flat_map(|bet| [bet.theta, bet.margin, bet.stake]));
    }

    fn ceiling(&mut self, it: &Ceiling) {
        self.value(it.limit);
        self.mixtures(&it.purse, &it.mixtures);
    }

    fn alone(&mut self, it: &Alone) {
        self.time(it.since);
        self.tally(it.seen);
        self.ceiling(&it.ceiling);
    }

    fn slowness(&mut self, it: &Slowness) {
        self.count(it.quantile as u64);
        self.comparison(&it.relative);
        self.some(it.guard.ceiling_us.as_ref(), |out, it| out.count(*it));
        self.some(it.beside.as_ref(), Self::ceiling);
        self.some(it.alone.as_ref(), Self::alone);
        self.tally(it.canary);
        self.tally(it.stable);
        self.counts.extend([it.canary_us, it.stable_us]);
    }

    fn proof(&mut self, it: &Proof) {
        self.time(it.since);
        self.some(it.errors.as_ref(), Self::comparison);
        self.count(it.latency.len() as u64);
        for (quantile, it) in &it.latency {
            self.count(*quantile as u64);
            self.comparison(it);
        }
    }

    fn breaker(&mut self, it: &Breaker) {
        self.count(it.failures);
        self.tally(it.stable);
        self.count(it.shards);
        self.count(u64::from(it.comparator));
    }
}

/// The saved evidence on `new`'s quantile. Another slack only moves the limits that the proxy counts by;
/// another ceiling is another question and starts anew.
fn carried_on(old: &[Slowness], new: &Slowness) -> Option<Slowness> {
    let old = old.iter().find(|it| it.quantile == new.quantile)?.clone();
    let same = old.guard.ceiling_us == new.guard.ceiling_us;
    let (beside, alone) = if same { (old.beside, old.alone) } else { (new.beside.clone(), None) };
    Some(Slowness { guard: new.guard, beside, alone, ..old })
}

/// Takes numbers from the front, in the order in which they were written. `None` means that they do not
/// fit.
struct Reader<'a> {
    counts: &'a [u64],
    values: &'a [f64],
}

impl Reader<'_> {
    fn judge(&mut self, policy: &GuardPolicy) -> Option<Judge> {
        let format = self.count()?;
        if !(FORMAT_WITHOUT_LATENCY..=FORMAT).contains(&format) {
            return None;
        }
        let guard = policy.errors.unwrap_or_default();
        let rate_before = self.value()?;
        let clustering = if format < FORMAT { None } else { self.some(Self::clustering)? };
        let seen = Observation { canary: self.lane()?, stable: self.lane()?, slow: Vec::new() };
        let latest = self.latest()?;
        let relative = self.comparison(Aim::Rollback(guard.tolerance))?;
        let beside = self.some(Self::ceiling)?;
        let alone = self.some(Self::alone)?;
        let breaker = self.breaker()?;
        let (old, proof) = match format {
            FORMAT_WITHOUT_LATENCY => (Vec::new(), None),
            _ => (self.slownesses()?, self.some(|from| from.proof(policy))?),
        };
        let fresh = Judge::after_loss(policy, relative.history(), latest.at);
        let kept = |new: Slowness| carried_on(&old, &new).unwrap_or(new);
        let guarded = |it: &Proof| {
            let quantiles = it.latency.iter().map(|it| it.0);
            it.errors.is_some() == policy.errors.is_some() && quantiles.eq(policy.latencies().map(|it| it.0))
        };
        let proof = match (fresh.proof, proof) {
            (Some(_), Some(old)) if guarded(&old) => Some(old),
            (new, _) => new,
        };
        let unchanged = |limit: f64| guard.ceiling.is_none_or(|it| it == limit);
        let judge = Judge {
            rate_before,
            clustering,
            seen,
            latest,
            relative,
            beside: match (fresh.beside, beside) {
                (Some(new), Some(old)) if new.limit == old.limit => Some(old),
                (new, _) => new,
            },
            alone: alone.filter(|it| unchanged(it.ceiling.limit)),
            breaker,
            latency: fresh.latency.into_iter().map(kept).collect(),
            proof,
            policy: fresh.policy,
        };
        Some(judge.clustered(clustering))
    }

    fn clustering(&mut self) -> Option<Clustering> {
        Some(Clustering { dispersion: self.value()?, spread: self.value()?, known: self.switch()? })
    }

    fn quantile(&mut self) -> Option<Quantile> {
        Quantile::ALL.get(usize::try_from(self.count()?).ok()?).copied()
    }

    fn slownesses(&mut self) -> Option<Vec<Slowness>> {
        let count = self.count()?.min(Quantile::ALL.len() as u64 + 1);
        (0..count).map(|_| self.slowness()).collect()
    }

    fn slowness(&mut self) -> Option<Slowness> {
        let quantile = self.quantile()?;
        let relative = self.comparison(Aim::Rollback(TOLERANCE))?;
        let ceiling_us = self.some(Self::count)?;
        let guard = LatencyGuard { ceiling_us, ..LatencyGuard::default() };
        Some(Slowness {
            quantile,
            guard,
            relative,
            beside: self.some(Self::ceiling)?,
            alone: self.some(Self::alone)?,
            canary: self.tally()?,
            stable: self.tally()?,
            canary_us: self.count()?,
            stable_us: self.count()?,
        })
    }

    fn proof(&mut self, policy: &GuardPolicy) -> Option<Proof> {
        let aim = Aim::Pass(policy.pass.unwrap_or_default().within);
        let since = self.time()?;
        let errors = self.some(|from| from.comparison(aim))?;
        let count = self.count()?.min(Quantile::ALL.len() as u64 + 1);
        let latency = (0..count).map(|_| Some((self.quantile()?, self.comparison(aim)?)));
        Some(Proof { since, errors, latency: latency.collect::<Option<_>>()? })
    }

    fn count(&mut self) -> Option<u64> {
        let (first, rest) = self.counts.split_first()?;
        self.counts = rest;
        Some(*first)
    }

    fn value(&mut self) -> Option<f64> {
        let (first, rest) = self.values.split_first()?;
        self.values = rest;
        first.is_finite().then_some(*first)
    }

    fn switch(&mut self) -> Option<bool> {
        match self.count()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn time(&mut self) -> Option<Duration> {
        let (seconds, nanos) = (self.count()?, u32::try_from(self.count()?).ok()?);
        (nanos < 1_000_000_000).then(|| Duration::new(seconds, nanos))
    }

    fn some<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.switch()? { read(self).map(Some) } else { Some(None) }
    }

    fn tally(&mut self) -> Option<Tally> {
        Some(Tally { requests: self.count()?, bad: self.count()? })
    }

    fn lane(&mut self) -> Option<LaneTally> {
        let mut lane = LaneTally::default();
        for shard in &mut lane.shards {
            *shard = self.tally()?;
        }
        Some(lane)
    }

    fn history(&mut self) -> Option<History> {
        Some(History { responses: self.value()?, bad: self.value()? })
    }

    fn latest(&mut self) -> Option<Latest> {
        Some(Latest {
            at: self.time()?,
            comparator: self.switch()?,
            canary: self.history()?,
            stable: self.history()?,
        })
    }

    fn purse(&mut self) -> Option<Purse> {
        Some(Purse::from_numbers([self.value()?, self.value()?]))
    }

    fn mixtures(&mut self, into: &mut [Mixture]) -> Option<()> {
        for weight in into.iter_mut().flat_map(|it| &mut it.log_weights) {
            *weight = self.value()?;
        }
        Some(())
    }

    fn comparison(&mut self, aim: Aim) -> Option<Comparison> {
        let mut it = Comparison::new(aim, History::default()).dispersed(self.value()?);
        it.purse = self.purse()?;
        self.mixtures(&mut it.mixtures)?;
        it.open = self.open()?;
        it.memory = Memory { history: self.history()?, canary: self.value()?, stable: self.value()? };
        it.stakes = self.some(|from| from.stakes(aim))?;
        it.matched = self.switch()?;
        it.weigh();
        Some(it)
    }

    fn open(&mut self) -> Option<Open> {
        let mut open = Open { since: self.value()?, ..Open::default() };
        for block in &mut open.shards {
            *block = Block { canary: self.tally()?, stable: self.tally()? };
            open.total.add(block.canary, block.stable);
        }
        Some(open)
    }

    fn stakes(&mut self, aim: Aim) -> Option<Stakes> {
        let (at, rate, share, margin) = (self.value()?, self.value()?, self.value()?, self.value()?);
        let bets = (0..aim.bets()).map(|_| Some(Bet::of(self.value()?, self.value()?, self.value()?)));
        let bets = bets.collect::<Option<_>>()?;
        Some(Stakes { at, rate, share, margin, bets })
    }

    fn ceiling(&mut self) -> Option<Ceiling> {
        let limit = self.value()?;
        let purse = self.purse()?;
        let mut it = Ceiling::with_purse(limit, Side::Above, purse);
        self.mixtures(&mut it.mixtures)?;
        it.weigh();
        Some(it)
    }

    fn alone(&mut self) -> Option<Alone> {
        Some(Alone { since: self.time()?, seen: self.tally()?, ceiling: self.ceiling()? })
    }

    fn breaker(&mut self) -> Option<Breaker> {
        Some(Breaker {
            failures: self.count()?,
            stable: self.tally()?,
            shards: self.count()?,
            comparator: self.switch()?,
        })
    }
}

/// Names the order of the numbers; to be raised whenever it changes.
const FORMAT: u64 = 3;

/// Errors only. What it lacks begins with the chance of a mistake that is left.
const FORMAT_WITHOUT_LATENCY: u64 = 1;
