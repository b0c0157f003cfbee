//! What was seen of two lanes since the last look: plain counts, split by client shard.

/// Groups of clients that are counted apart, so that no verdict hangs on one of them.
pub const CLIENT_SHARDS: usize = 32;

/// Responses whose outcome is known, and how many of them were bad.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Judged responses (first attempts; requests that the client gave up on are left out).
    pub requests: u64,
    /// Those among them that count as failures.
    pub bad: u64,
}

impl Tally {
    /// Both counts added.
    pub fn plus(self, other: Self) -> Self {
        Self { requests: self.requests + other.requests, bad: self.bad + other.bad }
    }

    /// What came since `earlier`. Counters only grow; a smaller one counts as zero.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            bad: self.bad.saturating_sub(earlier.bad),
        }
    }

    /// Failures per response, or `None` without responses.
    pub fn rate(self) -> Option<f64> {
        (self.requests > 0).then(|| self.bad as f64 / self.requests as f64)
    }
}

/// The counts of one version, by client shard.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LaneTally {
    /// One tally for each client shard.
    pub shards: [Tally; CLIENT_SHARDS],
}

impl Default for LaneTally {
    fn default() -> Self {
        Self { shards: [Tally::default(); CLIENT_SHARDS] }
    }
}

impl LaneTally {
    /// All shards together.
    pub fn total(&self) -> Tally {
        self.shards.iter().fold(Tally::default(), |sum, it| sum.plus(*it))
    }

    /// Shard by shard, what came since `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        Self { shards: std::array::from_fn(|i| self.shards[i].since(earlier.shards[i])) }
    }
}

/// What both lanes of a service did between two looks: everything that the guards are fed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Observation {
    /// The version being tried.
    pub canary: LaneTally,
    /// The version that has proven itself.
    pub stable: LaneTally,
    /// How many requests were slow, for each limit that is in force.
    pub slow: Vec<SlowTally>,
}

/// Most limits of age that can be in force at once for one version.
pub const SLOW_SLOTS: usize = 8;

/// Requests whose age passed a limit before the version answered (`bad`), among those for which that is
/// known (`requests`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SlowTally {
    /// Which of the limits, below [`SLOW_SLOTS`].
    pub slot: usize,
    /// The canary's limit in microseconds.
    pub canary_us: u64,
    /// Stable's limit in microseconds.
    pub stable_us: u64,
    /// The version being tried.
    pub canary: LaneTally,
    /// The version that has proven itself.
    pub stable: LaneTally,
}
