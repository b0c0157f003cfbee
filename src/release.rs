//! The release state machine: `step(plan, state, event, now) -> (state, effects)`.
//!
//! Total, pure, deterministic. It decides; [the controller] acts.

mod plan;

pub use plan::{Plan, Step, StepIndex};
