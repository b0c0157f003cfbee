//! Exit codes. Scripts depend on them: a code never changes its meaning.

/// Done.
pub const DONE: u8 = 0;
/// Failed.
pub const FAILED: u8 = 1;
/// Wrong usage; clap uses the same.
pub const USAGE: u8 = 2;
/// The configuration is invalid. Nothing was loaded.
pub const CONFIG: u8 = 3;
/// The server cannot be reached, or does not let us.
pub const UNREACHABLE: u8 = 4;
/// Somebody acted first: the release has moved since one looked.
pub const OVERTAKEN: u8 = 5;
/// `diff --exit-code`: there are differences.
pub const DIFFERENCES: u8 = 6;
/// `status --wait`: still going on when `--timeout` was over.
pub const IN_PROGRESS: u8 = 10;
/// Rolled back, or in quarantine.
pub const ROLLED_BACK: u8 = 11;
/// Held or paused.
pub const HELD: u8 = 12;
/// `run`: an address or a socket could not be had.
pub const ADDRESS: u8 = 20;
/// `run`: the state directory or its journal could not be used.
pub const STATE: u8 = 21;
/// `run`: requests were cut at the end, because they did not finish in time.
pub const CUT: u8 = 22;
/// Interrupted: what a shell reports for `Ctrl-C`. Most verbs are simply ended by the signal.
pub const INTERRUPTED: u8 = 130;
