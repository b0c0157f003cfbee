//! What the controller and the configuration say about themselves: plain values, set whole.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Generation, ListenerName, ServiceName, TargetName, Timestamp, VersionName, Weight};

/// What a release shows to whoever watches. Set by the controller whenever it changes.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseFacts {
    /// What the release is doing.
    pub state: ReleaseState,
    /// The version that has proven itself.
    pub stable: VersionName,
    /// The version being tried.
    pub canary: Option<VersionName>,
    /// The step of the plan, counted from 1; 0 when no step is under way.
    pub step: u32,
    /// Every version of the service with its weight, 0 included.
    pub weights: Vec<(VersionName, Weight)>,
    /// The guards that judge now.
    pub guards: Vec<GuardFacts>,
    /// In how many fields what runs differs from what the file says.
    pub drift: u64,
    /// The endpoints of all versions.
    pub endpoints: Vec<EndpointFacts>,
}

/// How an endpoint is.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointFacts {
    /// The version it belongs to.
    pub version: VersionName,
    /// Where it is.
    pub endpoint: String,
    /// Whether it gets requests.
    pub is_up: bool,
    /// Whether its name cannot be looked up, so that its address may be out of date.
    pub is_stale: bool,
    /// How often it was left out because of how it treated requests.
    pub ejections: u64,
}

macro_rules! release_states {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What a release is doing, in the words of every surface.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum ReleaseState {
            $($(#[$doc])* $name,)*
        }

        impl ReleaseState {
            /// Every state, in the order of declaration.
            pub const ALL: [Self; [$($word),*].len()] = [$(Self::$name),*];

            /// The word used as label.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

release_states! {
    /// Nothing is being tried.
    Live = "live",
    /// The new version is tested before it gets traffic.
    Verifying = "verifying",
    /// The new version has a share of the traffic.
    Canary = "canary",
    /// A gate waits for a person.
    Approval = "approval",
    /// A person holds the release.
    Paused = "paused",
    /// No verdict is possible, or none is allowed now.
    Held = "held",
    /// The new version has all traffic; guards are armed.
    Watching = "watching",
    /// The new version was withdrawn.
    RolledBack = "rolled_back",
}

/// What a guard says now.
#[derive(Clone, Debug, PartialEq)]
pub struct GuardFacts {
    /// Its name: `errors`.
    pub guard: &'static str,
    /// Canary minus stable, as a share; `None` without responses.
    pub delta: Option<f64>,
    /// The difference that still counts as fine, as a share; `None` for a budget.
    pub limit: Option<f64>,
    /// Evidence that the canary is worse: 1 decides.
    pub worse: f64,
    /// Evidence that the canary is fine: 1 decides.
    pub fine: f64,
}

/// How releases ended, by how long they took: one count for each of [`RELEASE_SECONDS`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReleaseDurations {
    pub(super) cumulative: [u64; RELEASE_SECONDS.len()],
    pub(super) count: u64,
    pub(super) sum_seconds: f64,
}

impl ReleaseDurations {
    fn record(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        for (count, upper) in self.cumulative.iter_mut().zip(RELEASE_SECONDS) {
            *count += u64::from(seconds <= upper);
        }
        self.count += 1;
        self.sum_seconds += seconds;
    }
}

/// Upper ends of the buckets for a whole release: from an instant flip to a day.
pub(super) const RELEASE_SECONDS: [f64; 12] =
    [1.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 28_800.0, 86_400.0];

/// A certificate that serves.
#[derive(Clone, Debug, PartialEq)]
pub struct CertificateFacts {
    /// Whose it is.
    pub listener: ListenerName,
    /// The first host that it is valid for, or its file.
    pub name: String,
    /// When it expires.
    pub expires: Timestamp,
}

/// Everything that is told rather than counted by workers.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Whether decisions are only in memory.
    pub(super) journal_lost: bool,
    pub(super) releases: BTreeMap<ServiceName, ReleaseFacts>,
    pub(super) decisions: BTreeMap<(ServiceName, &'static str, &'static str), u64>,
    pub(super) durations: BTreeMap<&'static str, ReleaseDurations>,
    pub(super) config: ConfigFacts,
    pub(super) certificates: Vec<CertificateFacts>,
    /// Answers to operators and scrapers, by status.
    pub(super) admin_requests: BTreeMap<u16, u64>,
    /// Notifications by target and by what became of them.
    pub(super) notifications: BTreeMap<(TargetName, &'static str), u64>,
    pub(super) events_dropped: u64,
    pub(super) series_dropped: u64,
}

/// How loading the configuration went.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ConfigFacts {
    pub(super) generation: Generation,
    pub(super) loaded: u64,
    pub(super) refused: u64,
    pub(super) last: Option<(bool, Timestamp)>,
}

impl Facts {
    pub(super) fn release_ended(&mut self, outcome: &'static str, took: Duration) {
        self.durations.entry(outcome).or_default().record(took);
    }

    pub(super) fn config_loaded(&mut self, generation: Generation, at: Timestamp) {
        self.config.generation = generation;
        self.config.loaded += 1;
        self.config.last = Some((true, at));
    }

    pub(super) fn config_confirmed(&mut self, at: Timestamp) {
        self.config.last = Some((true, at));
    }

    pub(super) fn config_refused(&mut self, at: Timestamp) {
        self.config.refused += 1;
        self.config.last = Some((false, at));
    }
}
