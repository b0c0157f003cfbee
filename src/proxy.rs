//! The data plane.

pub mod h1;
pub mod message;
