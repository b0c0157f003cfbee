//! From a running process to a new one without a gap.
//!
//! The old process starts the program again, whatever lies under its name by now, and talks to it over a
//! pair of sockets that is the new one's standard input:
//!
//! 1. old: every listening socket, of every worker, and the admin doors. Nothing is ever bound again, so
//!    no connection that waits in a queue is lost.
//! 2. new: `prepared`. It has read the configuration and has every address it needs.
//! 3. old: `yours`. Nobody new is let in through its admin doors, its controller has written everything
//!    down and let go of the journal. From here on until 4 nobody decides anything.
//! 4. new: `ready`. It holds the journal, has published its table and accepts.
//! 5. old: `go`. The service manager knows whom to watch. The old one accepts nothing more and finishes.
//!
//! If anything but the next word comes, or nothing in time, the old one ends the new one, takes the
//! journal up again and goes on. If the old one itself is gone after 1, killed or fallen, the new one does not
//! wait for words any more: it has the sockets, and the lock on the journal is free. Words that are not known are
//! passed over, so that versions that differ understand each other as far as they can.

mod giver;
mod taker;

use std::time::Duration;

pub use giver::Program;
pub(super) use giver::Successor;
pub use taker::Taker;

/// First line of the first message.
const HELLO: &str = "tidegate-handover 1";
const MORE: &str = "more";
const END: &str = "end";
const PREPARED: &str = "prepared";
const YOURS: &str = "yours";
const READY: &str = "ready";
const GO: &str = "go";
const FAILED: &str = "failed ";

/// Says to a child that its standard input is the other end.
const VARIABLE: &str = "TIDEGATE_HANDOVER";

/// How long the old process's words may take. If it is gone, that shows at once; and it ends a new process
/// that it does not want any more.
const WORD_WITHIN: Duration = Duration::from_secs(3600);
