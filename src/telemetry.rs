//! What the data plane counts, and how it is shown.
//!
//! Every worker thread has cells of its own, on cache lines of its own, and is the only one that
//! writes them: recording is a plain load and store, without a lock, an allocation, a look-up of
//! labels or a formatted number. Readers (the controller's tick, a scrape, the status page) add the
//! workers up. Series are kept by identity, so that a reload goes on counting where it was.
//!
//! Not here: what the counts mean ([`crate::analysis`]), who listens to scrapes (`admin`).

mod access;
mod alarm;
mod cell;
mod exposition;
mod facts;
mod listener;
mod queue;
mod recourse;
mod registry;
mod slow;
mod trace;
mod version;

pub use access::{AccessLog, Format, Lane, LogSeries, Outlet, Part, Record, RequestFacts, Target};
#[cfg(feature = "otlp")]
pub use access::{Collector, export_spans};
pub use alarm::Alarm;
pub use exposition::Dialect;
pub use facts::{CertificateFacts, EndpointFacts, GuardFacts, ReleaseFacts, ReleaseState};
pub use listener::{HandshakeFailure, ListenerCells, ListenerCounts, ListenerSeries, RejectReason, Unrouted};
pub use queue::{LimitKind, QueueCells, QueueCounts, TurnedAway};
pub use recourse::{Mirrored, RecourseCells, RecourseCounts, Trouble};
pub use registry::Registry;
pub use slow::Passed;
pub use trace::TraceContext;
pub use version::{Ended, ErrorKind, VersionCells, VersionCounts, VersionSeries};
