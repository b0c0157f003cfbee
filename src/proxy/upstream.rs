//! Connections to endpoints: opened, kept, chosen. Each worker has its own.
//!
//! What is shared is what is known of an endpoint's health, which workers read without a lock and the
//! `doctor` writes, on its own thread.

mod checkup;
mod connect;
mod doctor;
mod endpoint;
mod health;
mod link;
mod names;
mod open;
mod probe;
mod shelf;
mod site;
mod ward;

pub use connect::ConnectError;
pub use doctor::{Doctor, acquainted};
pub use endpoint::{Checkout, Endpoint};
pub use health::{Board, Health, Word};
pub use link::Link;
pub use names::Names;
pub use probe::{Probed, probe};
pub use shelf::Shelf;
pub use site::{Place, Site};
