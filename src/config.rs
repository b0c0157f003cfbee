//! The file as written, turned into the domain types, with diagnostics that name the place.
//!
//! Two types for each thing: as written (serde) and as meant. Files are read through [`Files`], so
//! that this room stays pure.

mod domain;

pub use domain::{
    AdminSpec, Config, EscapedSlashes, IpNetwork, ListenerLimits, ListenerSpec, ListenerTimeouts,
    ServiceConfig, Underscores,
};
