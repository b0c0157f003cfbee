//! The canary against stable: a sequential test on two lanes, valid at every look.
//!
//! Counts are gathered into short *blocks*; each block compares the lanes within itself only, so rates
//! and weights may drift from block to block. One process runs over all responses, and one more for each
//! client shard without that shard: a verdict that needs one particular client is no verdict.
//!
//! Not here: thresholds and what follows from them ([`super::judge`]).

use std::time::Duration;

use super::bet::{Bet, Block};
use super::clusters::noise_at;
use super::history::History;
use super::mixture::{Mixture, Purse, SIZES};
use super::policy::Tolerance;
use crate::model::{CLIENT_SHARDS, LaneTally, Observation, Tally};

/// What a comparison tries to show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aim {
    /// That the canary is worse than stable by more than the tolerance.
    Rollback(Tolerance),
    /// That the canary is *not* worse by the tolerance.
    Pass(Tolerance),
}

/// The evidence gathered so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub(super) aim: Aim,
    /// Design effect: how many responses share one fate (1 when each is drawn on its own).
    pub(super) dispersion: f64,
    /// Widens the margin by what two lanes of the same version differ by (0 when each is drawn on its own).
    pub(super) noise: f64,
    /// Over everything, then without each shard.
    pub(super) mixtures: Vec<Mixture>,
    pub(super) purse: Purse,
    pub(super) open: Open,
    pub(super) memory: Memory,
    pub(super) stakes: Option<Stakes>,
    /// Logarithm of each mixture; follows from `mixtures`.
    pub(super) log_w: Vec<f64>,
    /// Whether the last block that ended was a comparison, and not dropped for a silent lane.
    pub(super) matched: bool,
}

/// The block that is still growing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Open {
    pub(super) since: f64,
    pub(super) shards: [Block; CLIENT_SHARDS],
    pub(super) total: Block,
}

/// What the next bets are made from.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Memory {
    /// Stable, from before the release on.
    pub(super) history: History,
    /// Decayed responses of both lanes since the release began: the canary's share.
    pub(super) canary: f64,
    pub(super) stable: f64,
}

/// The bets in force, and the guesses behind them.
#[derive(Clone, Debug, PartialEq)]
pub struct Stakes {
    /// Seconds since the release began.
    pub at: f64,
    /// Stable's rate.
    pub rate: f64,
    /// The canary's share of the traffic.
    pub share: f64,
    /// The tolerated difference.
    pub margin: f64,
    /// One bet for each size of the difference.
    pub bets: Vec<Bet>,
}

impl Comparison {
    /// Nothing seen yet. `history` is stable's, from before the release.
    pub fn new(aim: Aim, history: History) -> Self {
        Self::with_purse(aim, history, Purse::new(1.0))
    }

    /// Evidence was lost after `elapsed`: starts again with the mass that had not been spent by then, so
    /// that no chance of a mistake is spent twice.
    pub(super) fn after_loss(aim: Aim, history: History, elapsed: Duration) -> Self {
        let now = elapsed.as_secs_f64();
        let mut it = Self::with_purse(aim, history, Purse::new(Purse::unspent(now)));
        it.open.since = now;
        it
    }

    /// Divides evidence by `dispersion`, for traffic that comes in clusters of that many responses.
    pub fn dispersed(self, dispersion: f64) -> Self {
        Self { dispersion: dispersion.max(1.0), ..self }
    }

    /// The same while it goes on, and a margin that is wider by `noise`.
    pub(super) fn cluster(&mut self, dispersion: f64, noise: f64) {
        (self.dispersion, self.noise) = (dispersion.max(1.0), noise.max(0.0));
    }

    fn with_purse(aim: Aim, history: History, purse: Purse) -> Self {
        let start = match aim {
            Aim::Rollback(_) => purse.start(),
            Aim::Pass(_) => 1.0,
        };
        let mixtures = vec![Mixture::new(aim.bets(), start); 1 + CLIENT_SHARDS];
        let mut it = Self {
            aim,
            dispersion: 1.0,
            noise: 0.0,
            mixtures,
            purse,
            open: Open::default(),
            memory: Memory { history, ..Memory::default() },
            stakes: None,
            log_w: Vec::new(),
            matched: false,
        };
        it.weigh();
        it
    }

    /// Adds what one tick saw; `elapsed` is the time since the release began. Returns whether a block
    /// ended in a comparison.
    ///
    /// When a block ends may depend on the clock, on the number of responses and on failures of the
    /// canary (an early wake-up), but never on failures of stable: those would bias it.
    pub fn observe(&mut self, elapsed: Duration, seen: &Observation) -> bool {
        self.observe_lanes(elapsed, &seen.canary, &seen.stable)
    }

    /// The same for other counts than failures.
    pub(super) fn observe_lanes(
        &mut self,
        elapsed: Duration,
        canary: &LaneTally,
        stable: &LaneTally,
    ) -> bool {
        let now = elapsed.as_secs_f64().max(self.open.since);
        self.open.add(canary, stable);
        let (total, age) = (self.open.total, now - self.open.since);
        if total.compares() && (total.stable.requests >= STABLE_MIN || age >= WAIT_S) {
            self.close(now);
            self.matched = true;
            return true;
        }
        if age >= DROP_S && !total.compares() {
            // Too old to be a comparison under the same conditions.
            self.matched &= total.canary.requests == 0;
            self.reopen(now);
        }
        false
    }

    /// Logarithm of the evidence of all responses together.
    pub fn log_w(&self) -> f64 {
        self.log_w[0]
    }

    /// Logarithm of the evidence that remains whichever client shard is left out, except `source`: a
    /// shard that is most of the traffic (everything behind one gateway) cannot be left out.
    pub fn log_w_min(&self, source: Option<usize>) -> f64 {
        let kept = |(process, _): &(usize, &f64)| source.is_none_or(|it| *process != it + 1);
        self.log_w.iter().enumerate().filter(kept).map(|(_, it)| *it).fold(f64::INFINITY, f64::min)
    }

    /// The bets in force; `None` before the first comparison.
    pub fn stakes(&self) -> Option<&Stakes> {
        self.stakes.as_ref()
    }

    /// Stable's decayed counts, including those from before the release.
    pub fn history(&self) -> History {
        self.memory.history
    }

    /// The difference that is tolerated now.
    pub fn margin(&self) -> f64 {
        self.stakes.as_ref().map_or_else(|| self.memory.margin(self.aim, self.noise), |it| it.margin)
    }

    /// Whether the canary's recent responses could be compared with stable's.
    pub(super) fn is_matched(&self, now: f64) -> bool {
        let alone = self.open.total.canary.requests > 0 && self.open.total.stable.requests == 0;
        self.matched && !(alone && now - self.open.since >= WAIT_S)
    }

    fn close(&mut self, now: f64) {
        let since = self.open.since;
        if self.stakes.as_ref().is_none_or(|it| since - it.at >= REFRESH_S) {
            self.stakes = Some(self.memory.stakes(self.aim, self.noise, since));
        }
        self.weigh_block(now);
        self.reopen(now);
    }

    /// Lets in the mass that is due, then multiplies each mixture by the factors of the open block.
    fn weigh_block(&mut self, now: f64) {
        let due = match self.aim {
            Aim::Rollback(_) => self.purse.due(now, self.aim.bets()),
            Aim::Pass(_) => None,
        };
        let (bets, dispersion) = (self.stakes.as_ref().map_or(&[][..], |it| &it.bets), self.dispersion);
        let factors = |block: Block| bets.iter().map(move |it| it.log_e(block) / dispersion);
        let whole: Vec<f64> = factors(self.open.total).collect();
        for (process, mixture) in self.mixtures.iter_mut().enumerate() {
            if let Some(mass) = due {
                mixture.inject(mass);
            }
            match process.checked_sub(1).map(|shard| self.open.shards[shard]) {
                // A shard that was silent takes nothing away, and most are silent in a short block.
                Some(part) if !part.is_empty() => mixture.add(factors(self.open.total.without(part))),
                _ => mixture.add(whole.iter().copied()),
            }
        }
        self.weigh();
    }

    pub(super) fn weigh(&mut self) {
        self.log_w.clear();
        self.log_w.extend(self.mixtures.iter().map(Mixture::log_w));
    }

    fn reopen(&mut self, now: f64) {
        self.memory.learn(now - self.open.since, self.open.total);
        self.open = Open { since: now, ..Open::default() };
    }
}

impl Aim {
    pub(super) fn bets(self) -> usize {
        match self {
            Self::Rollback(_) => SIZES.len(),
            Self::Pass(_) => PASS_FRACTIONS.len(),
        }
    }

    /// The difference that separates the two answers, when stable fails at `rate`.
    pub(super) fn margin(self, rate: f64) -> f64 {
        let (Self::Rollback(it) | Self::Pass(it)) = self;
        it.absolute.max(it.relative * rate)
    }

    /// The canary's rates that are bet on.
    fn alternatives(self, rate: f64, margin: f64) -> Vec<f64> {
        match self {
            Self::Rollback(_) => {
                let edge = (rate + margin).min(EDGE_MAX);
                SIZES.iter().map(|it| edge + it * (1.0 - edge)).collect()
            }
            Self::Pass(_) => PASS_FRACTIONS.iter().map(|it| rate + it * margin).collect(),
        }
    }
}

impl Open {
    fn add(&mut self, canary: &LaneTally, stable: &LaneTally) {
        let lanes = canary.shards.iter().zip(&stable.shards);
        for (block, (canary, stable)) in self.shards.iter_mut().zip(lanes) {
            block.add(*canary, *stable);
            self.total.add(*canary, *stable);
        }
    }
}

impl Block {
    pub(super) fn add(&mut self, canary: Tally, stable: Tally) {
        self.canary = self.canary.plus(canary);
        self.stable = self.stable.plus(stable);
    }
}

impl Memory {
    fn learn(&mut self, age: f64, block: Block) {
        let mut lanes = History { responses: self.canary, bad: self.stable };
        lanes.fade(age, History::HALF_LIFE);
        self.canary = lanes.responses + block.canary.requests as f64;
        self.stable = lanes.bad + block.stable.requests as f64;
        self.history.fade(age, History::HALF_LIFE);
        self.history.add(block.stable);
    }

    fn rate(&self) -> f64 {
        self.history.rate().clamp(RATE_MIN, RATE_MAX)
    }

    /// The canary's share of the traffic.
    fn share(&self) -> f64 {
        (self.canary + 1.0) / (self.canary + self.stable + 10.0)
    }

    /// The margin with the noise on the cautious side of it.
    fn margin(&self, aim: Aim, noise: f64) -> f64 {
        let (rate, noise) = (self.rate(), noise_at(noise, self.share()));
        let margin = aim.margin(rate);
        match aim {
            _ if noise <= 0.0 => margin,
            // A canary that fails whenever it is asked stays worse.
            Aim::Rollback(_) => margin + noise.min((EDGE_MAX - rate - margin).max(0.0)),
            Aim::Pass(_) => (margin - noise).max(PASS_MARGIN_MIN.min(margin)),
        }
    }

    fn stakes(&self, aim: Aim, noise: f64, at: f64) -> Stakes {
        let (rate, share, margin) = (self.rate(), self.share(), self.margin(aim, noise));
        let bets =
            aim.alternatives(rate, margin).into_iter().map(|it| Bet::on(rate, it, margin, share)).collect();
        Stakes { at, rate, share, margin, bets }
    }
}

/// Alternatives of a PASS, as a share of the way from "the same" to "just too bad".
const PASS_FRACTIONS: [f64; 3] = [0.0, 0.25, 0.5];

/// A proof of less than this takes longer than any step.
const PASS_MARGIN_MIN: f64 = 1e-5;

/// A block needs this many stable responses, unless it has waited for [`WAIT_S`].
const STABLE_MIN: u64 = 5;

/// Seconds after which a block with few stable responses is taken as it is.
const WAIT_S: f64 = 5.0;

/// Seconds after which a block with a silent lane is dropped.
const DROP_S: f64 = 30.0;

/// Bets are made anew at most this often (seconds): they cost as much as many blocks.
const REFRESH_S: f64 = 1.0;

/// Guesses of stable's rate stay within what a bet can be made on.
const RATE_MIN: f64 = 1e-5;
const RATE_MAX: f64 = 0.5;

/// Above this even "everything fails" is hardly worse.
const EDGE_MAX: f64 = 0.9;
