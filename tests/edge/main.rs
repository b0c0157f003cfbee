//! The edge: who a caller is, how much one caller may have, and what stays up when there are too many.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "real programs in real time, and a test may fail by panicking"
)]

mod churn;
mod introduced;
mod mishaps;
mod proxy_protocol;
mod rates;
mod shortage;
mod slow;
mod sticky;
#[path = "../support/mod.rs"]
mod support;
mod toxics;
