//! The composition root.

mod disk;

pub use disk::Disk;
