//! How a verdict is reached: sequential tests on plain counts, valid however often one looks.
//!
//! Pure: counts in, verdict out; elapsed time is an argument.

mod policy;

pub use policy::{ErrorGuard, GuardPolicy, Tolerance};
