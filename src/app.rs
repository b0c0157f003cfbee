//! The composition root: builds every part, joins them, and takes them down in order.

mod account;
mod cookie_key;
mod deployments;
mod disk;
mod explain;
mod fixed;
mod given;
mod handover;
mod health;
mod inquiry;
mod instance;
mod last_good;
mod logging;
mod notifications;
mod places;
mod pulse;
mod reload;
mod run;
mod traces;
mod watch;

pub use disk::Disk;
pub use explain::{Scene, explain, table_of};
pub use given::Misfit;
pub use handover::{Program, Taker};
pub use instance::{Given, Instance, Times, Told};
pub use places::{admin_socket, state_directory};
pub use reload::{Configure, Parts, Reloader};
pub use run::{Options, RunError, Wanted, run};
pub use watch::Watch;
