//! The access log: what each request was and what came of it, one line for each.
//!
//! A worker fills a [`Record`] of fixed size while it serves a request and hands a copy to its own bounded
//! queue ([`Outlet`]). A thread of its own takes records out of all queues, writes lines and sends them where
//! they go. A sink that blocks fills the queues; what does not fit is counted and forgotten, and no request
//! ever waits.
//!
//! Not here: which requests are written down (the worker's trail), what the file says about it (`config`).

#[cfg(feature = "otlp")]
mod export;
mod line;
mod outlet;
mod record;
mod series;
mod sink;
mod stamp;
mod writer;

#[cfg(feature = "otlp")]
pub use export::{Collector, export_spans};
pub use line::Format;
pub use outlet::Outlet;
pub use record::{Facts as RequestFacts, Lane, Part, Record};
pub use series::LogSeries;
pub use sink::Target;
pub use writer::AccessLog;
