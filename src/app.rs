//! The composition root: builds every part, joins them, and takes them down in order.

mod cookie_key;
mod disk;
mod health;
mod instance;
mod logging;
mod places;
mod pulse;
mod reload;
mod run;
mod watch;

pub use disk::Disk;
pub use instance::{Given, Instance, Times, Told};
pub use places::{admin_socket, state_directory};
pub use reload::{Configure, Parts, Reloader};
pub use run::{Options, RunError, Wanted, run};
pub use watch::Watch;
