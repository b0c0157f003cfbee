//! The controller: events in, `step()`, effects out, in that order.
//!
//! One task that owns the state of every service. What it is told (a new configuration, a command, a
//! tick, the alarm of a failing canary) becomes an event of the pure [`crate::release`] machine; what the
//! machine answers is carried out here: the table is published, the journal written, the news told.
//! On the way down the table comes first; on the way up the journal does.
//!
//! Others talk to it through its [`Handle`] and read [`Status`] and [`News`], which are plain data.
//!
//! Not here: deciding ([`crate::release`]), judging ([`crate::analysis`]), sockets, wire formats.

mod calendar;
mod core;
mod counts;
mod desk;
mod endpoints;
mod errand;
mod fit;
mod guards;
mod handle;
mod journal;
mod outbox;
mod pace;
mod readiness;
mod replay;
mod report;
mod run;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod tracer;
mod veto;
mod watch;

pub use counts::Counts;
pub use endpoints::{EndpointState, EndpointStatus, Endpoints};
pub use handle::{Answer, ConfigureError, Handle, Refused};
pub use replay::{Again, Difference, Replay};
pub use run::{Controller, Parts};
pub use status::{
    GuardStatus, JournalHealth, LaneStatus, ServiceStatus, Status, StepStatus, WithdrawnStatus,
};
pub use tracer::Tracer;

pub use self::watch::finding;
pub use crate::model::EvidenceLine;
pub use crate::release::{Actor, Command, Drift, News, RefusalCode, Via, What};
pub use crate::store::Freeze;
