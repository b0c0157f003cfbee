//! The end of a process, its restart, and what a service manager is told of both.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "drain/ending.rs"]
mod ending;
#[path = "drain/manager.rs"]
mod manager;
mod support;
