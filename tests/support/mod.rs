//! Drives the real program over real sockets: a gate (the `tidegate` process), raw clients in front
//! of it, recording upstreams behind it.
//!
//! Nothing here sleeps to be right: every wait is for a condition and has a deadline. Every gate has
//! a loopback address of its own, so tests run side by side without meeting each other's ports.
//!
//! Start with [`setup::Setup`], [`upstream::Upstream`] and [`client::Client`].
//!
//! Variables of the environment that change what `cargo test` does:
//!
//! - `TIDEGATE_TEST_PROGRAM=target/release/tidegate`: that program is tested, and not the one that was built with
//!   the tests ([`gate::program`]).
//! - `TIDEGATE_TEST_SIZE=whole`: tests that stand for something big have it as big as it is for a user ([`size`]).
//!   Meant for the program that is shipped, and for one test at a time: `.ci/run step rows-at-size`.
//! - `TIDEGATE_TOOLS=required`, `TIDEGATE_PYTHON`: programs from outside ([`outside`]).
#![allow(dead_code, unused_imports, reason = "every test binary uses another part")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may fail by panicking")]

pub mod admin;
pub mod client;
pub mod command;
pub mod crowd;
pub mod dns;
pub mod frames;
pub mod gate;
pub mod h2client;
pub mod h2server;
pub mod load;
pub mod message;
pub mod outside;
pub mod setup;
pub mod size;
pub mod streams;
pub mod tls;
pub mod unit;
pub mod upstream;
pub mod wait;
pub mod wire;

pub use client::Client;
pub use gate::Gate;
pub use message::{Head, Request, Response};
pub use setup::Setup;
pub use unit::Unit;
pub use upstream::{Peer, Upstream};
pub use wait::until;
pub use wire::{Broken, End};
