//! The composition root: builds every part, joins them, and takes them down in order.

mod cookie_key;
mod disk;
mod instance;
mod places;
mod reload;
mod run;
mod watch;

pub use disk::Disk;
pub use instance::{Given, Instance};
pub use places::{admin_socket, state_directory};
pub use reload::{Configure, Parts, Reloader};
pub use run::{Options, RunError, run};
pub use watch::Watch;
