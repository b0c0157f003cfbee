//! The end of a process, its restart, and what a service manager is told of both.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "drain/activation.rs"]
mod activation;
#[path = "drain/crashes.rs"]
mod crashes;
#[path = "drain/ending.rs"]
mod ending;
#[path = "drain/generations.rs"]
mod generations;
#[path = "drain/handover.rs"]
mod handover;
#[path = "drain/manager.rs"]
mod manager;
#[path = "drain/notified.rs"]
mod notified;
#[path = "drain/privileges.rs"]
mod privileges;
mod support;
