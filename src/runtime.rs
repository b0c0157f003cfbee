//! What the operating system gives the process: time, signals, threads, limits, a service manager.
//!
//! The one place that asks a clock or starts a thread; everybody else is handed a [`Clock`] or a
//! [`Timestamp`](crate::model::Timestamp).

mod accounts;
mod clock;
mod directory;
mod here;
mod inherited;
mod limits;
mod memory;
mod panics;
mod passing;
mod privileges;
mod rights;
mod shutdown;
mod signals;
mod systemd;
mod threads;
mod usage;

pub use accounts::{UserNumbers, group_number, memberships, user_numbers};
pub use clock::{Clock, ManualClock};
pub use directory::{Above, Directory, Trespasser};
pub use here::is_here;
pub use inherited::{Inherited, InheritedError, InheritedSocket};
pub use limits::{open_files_max, raise_open_files};
pub use memory::{memory_max, resident_bytes};
pub use panics::{contained, contained_async, count_panics, lasting, mishap, panics};
pub use passing::{FILES_MAX, Passing};
pub use privileges::{is_root, keep_files_private, own_user, user_name};
pub use rights::{BecomeError, LentPorts, become_account, is_account, make_for};
pub use shutdown::{Phase, Shutdown, ShutdownWatch};
pub use signals::{Signal, Signals};
pub use systemd::ServiceManager;
pub use threads::{spawn_thread, usable_cores, usable_cpus};
pub use usage::Usage;
