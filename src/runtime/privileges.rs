//! What the process may do, and what others may do with what it makes.

use rustix::fs::Mode;
use rustix::process::{geteuid, umask};

/// From now on files are made for their owner alone, unless they are given another mode on purpose.
pub fn keep_files_private() {
    umask(Mode::RWXG | Mode::RWXO);
}

/// Whether it may do everything.
pub fn is_root() -> bool {
    geteuid().is_root()
}
