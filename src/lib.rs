//! tidegate: one binary that is the reverse proxy and the release controller.
//!
//! The rooms, in the order in which a reader should meet them. Pure rooms decide and never touch the
//! world; machinery acts and decides nothing; control joins both. `tests/layering.rs` keeps them apart.

// Pure: no tokio, no hyper, no clock, no files, no sockets.
pub mod analysis;
pub mod config;
pub mod h1;
pub mod import;
pub mod message;
pub mod model;
pub mod release;
pub mod routing;

// Machinery: talks to the world, decides nothing.
pub mod checks;
pub mod notifier;
pub mod proxy;
pub mod runtime;
pub mod store;
pub mod telemetry;

// Control: may use all above.
pub mod admin;
pub mod controller;

// The composition root and the command line.
pub mod app;
pub mod cli;
