//! The release state machine: `step(plan, state, event, now) -> (state, effects)`.
//!
//! Total, pure, deterministic: every state answers every event, what to do about it is returned as
//! data, time is an argument. "Blue/green" and "canary" are two plans for this one machine.
//!
//! A state names the version that has proven itself (stable), the one the file wants (live), the
//! versions that were withdrawn (quarantine) and the phase. Weight rises only by [`Event::Tick`] (a
//! release begins), by a fine finding at the end of a soak, or by a person's `promote`; each of these
//! returns its record *before* the new split, so that nothing rises that is not written down. Every
//! way down returns the split first.
//!
//! Not here: how a verdict is reached ([`crate::analysis`]), disks, tables, clocks (the controller).

mod commanded;
mod effect;
mod event;
mod judged;
mod loaded;
mod machine;
mod plan;
mod state;
#[cfg(test)]
pub(crate) mod tests;

pub use effect::{Effect, Entry, Refusal, RefusalCode, Shares, What};
pub use event::{Actor, Command, Event, Finding, Loaded, Shortfall, Via};
pub use loaded::objection;
pub use machine::{adopt, step};
pub use plan::{Plan, STEP_REQUESTS_DEFAULT, Step, StepIndex, WATCH_DEFAULT};
pub use state::{Cause, Phase, Stance, State, Trial, Version, Withdrawn};
