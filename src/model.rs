//! The words every room shares: names, weights, draws, times and plain counts.
//!
//! Values only: nothing here reads a clock, is left to chance, or knows another room.

mod evidence;
mod fingerprint;
mod generation;
mod histogram;
mod mac;
mod name;
mod observation;
mod seeded;
mod timestamp;
mod unit;
mod weight;

pub use evidence::EvidenceLine;
pub use fingerprint::Fingerprint;
pub use generation::Generation;
pub use histogram::{BUCKETS, Histogram, bucket_of_us, bucket_upper_us};
pub use mac::MacKey;
pub use name::{ListenerName, NameError, ServiceName, TargetName, TokenName, VersionName};
pub use observation::{CLIENT_SHARDS, LaneTally, Observation, SLOW_SLOTS, SlowTally, Tally};
pub use seeded::Seeded;
pub use timestamp::Timestamp;
pub use unit::{ClientShard, Salt, draw_of_unit};
pub use weight::{Draw, Weight, WeightError};
