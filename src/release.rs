//! The release state machine: `step(plan, state, event, now) -> (state, effects)`.
//!
//! Total, pure, deterministic: every state answers every event, what to do about it is returned as
//! data, time is an argument. "Blue/green" and "canary" are two plans for this one machine.
//!
//! A state names the version that has proven itself (stable), the one that is wanted, the
//! versions that were withdrawn (quarantine) and the phase. Weight rises only by [`Event::Tick`] (a
//! release begins), by checks passed without users, by a fine finding at the end of a soak, or by a
//! person's word; each of these returns its record *before* the new split, so that nothing rises that is
//! not written down. Every way down returns the split first.
//!
//! There are two layers of state: the file is intent, the journal is progress, and neither overwrites the
//! other. A load is a merge of three: the file before, the file now, and what people did ([`merge`]). What is
//! left between file and fact is the [`drift`].
//!
//! The end of a stage is a row of gates: its time, a fine finding, its checks, a person, and the
//! [`Permit`] of the moment. Which checks must be running follows from the state ([`State::errand`]).
//! No gate is ever asked on the way down.
//!
//! Not here: how a verdict is reached ([`crate::analysis`]), disks, tables, clocks (the controller).

mod check;
mod commanded;
mod deployed;
mod drift;
mod effect;
mod event;
mod judged;
mod loaded;
mod machine;
mod merge;
mod news;
mod permit;
mod plan;
mod promoted;
mod state;
#[cfg(test)]
pub(crate) mod tests;
mod ticked;
mod trial;
mod version;
mod window;

pub use check::{Check, CheckKind, Errand, Mark, Outcome};
pub use drift::{Drift, drift};
pub use effect::{Effect, Entry, Refusal, RefusalCode, Shares, What};
pub use event::{Actor, Command, Event, Finding, Loaded, Shortfall, Via};
pub use loaded::objection;
pub use machine::{adopt, step};
pub use merge::{Merged, merge};
pub use news::News;
pub use permit::Permit;
pub use plan::{
    NoTraffic, OnBreach, Plan, Promote, STEP_REQUESTS_DEFAULT, Step, StepIndex, WATCH_DEFAULT, Watching,
};
pub use state::{Phase, Ready, State};
pub use trial::{Clock, Stance, Trial};
pub use version::{Cause, Deployed, Previous, Version, Withdrawn};
pub use window::Window;
