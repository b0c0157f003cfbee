//! Connections to endpoints: opened, kept, chosen. Each worker has its own; nothing is shared.

mod connect;
mod endpoint;

pub use connect::{ConnectError, Names, connect};
pub use endpoint::{Checkout, Endpoint};
