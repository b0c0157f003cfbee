//! Waiting for a place under a version's limits, and being turned away.

use super::cell::Count;

/// Which limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LimitKind {
    /// Of connections.
    Connections,
    /// Of requests under way.
    InFlight,
}

impl LimitKind {
    /// Every limit, in the order of declaration.
    pub const ALL: [Self; 2] = [Self::Connections, Self::InFlight];

    /// The word used as label, and in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::InFlight => "in_flight",
        }
    }
}

/// Why a request did not get a place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TurnedAway {
    /// As many waited as may.
    QueueFull,
    /// It had waited for as long as it may.
    QueueWait,
}

impl TurnedAway {
    /// Every reason, in the order of declaration.
    pub const ALL: [Self; 2] = [Self::QueueFull, Self::QueueWait];

    /// The word used as label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::QueueWait => "queue_wait",
        }
    }
}

/// One worker's counts of one version.
#[derive(Debug, Default)]
pub struct QueueCells {
    entered: Count,
    left: Count,
    waited_us: Count,
    turned_away: [[Count; TurnedAway::ALL.len()]; LimitKind::ALL.len()],
}

impl QueueCells {
    /// A request waits.
    pub fn entered(&self) {
        self.entered.add(1);
    }

    /// It does not any more, after so long.
    pub fn left(&self, waited_us: u64) {
        self.waited_us.add(waited_us);
        self.left.add_last(1);
    }

    /// A request did not get a place.
    pub fn turned_away(&self, limit: LimitKind, why: TurnedAway) {
        self.turned_away[limit as usize][why as usize].add(1);
    }

    pub(super) fn add_to(&self, sum: &mut QueueCounts) {
        // Ends are read before beginnings, so that nobody seems to leave who has not come.
        sum.left += self.left.get_first();
        sum.entered += self.entered.get();
        sum.waited_us += self.waited_us.get();
        for (into, from) in sum.turned_away.iter_mut().flatten().zip(self.turned_away.iter().flatten()) {
            *into += from.get();
        }
    }
}

/// The counts of one version, added up over the workers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct QueueCounts {
    /// Requests that had to wait.
    pub entered: u64,
    left: u64,
    /// How long all of them have waited together, without those who still do.
    pub waited_us: u64,
    /// Requests that did not get a place, by limit and reason.
    pub turned_away: [[u64; TurnedAway::ALL.len()]; LimitKind::ALL.len()],
}

impl QueueCounts {
    /// Requests that wait now.
    pub fn waiting(&self) -> u64 {
        self.entered.saturating_sub(self.left)
    }
}
