//! Which version answers a request: matcher, split, and the immutable table that workers read.
//!
//! A table is built whole and swapped whole. It knows weights and has never heard of a release.
//! Everything here is pure: chance is an argument, and a lookup allocates nothing.

mod care;
mod choice;
mod edits;
mod fault;
mod matcher;
mod minted;
mod mirror;
mod proxy_protocol;
mod publisher;
mod rate;
mod recourse;
mod rendezvous;
mod secured;
mod spec;
mod split;
mod table;
pub mod unit;

pub use care::{Care, Checkup, CheckupKind, Dns, Eject, leads_to};
pub use choice::{Choice, Reason};
pub use edits::{HeaderEdits, PathRewrite, Redirect};
pub use fault::{Fault, Injected};
pub use matcher::{
    Account, Candidate, HeaderCondition, HeaderLookup, HostPattern, Matcher, PathCondition, PathPattern,
    PatternError, QueryCondition, RequestFacts, RouteMatch, RouteProblem, TextCondition,
};
pub use minted::{Minted, MintedCookie};
pub use mirror::Mirror;
pub use proxy_protocol::ProxyProtocol;
pub use publisher::{Publisher, Reader};
pub use rate::{Rate, RateBy, RateCells, RateLimit};
pub use recourse::{Covers, Retry, RetryOn, RetryReason, Shield};
pub use rendezvous::{Anchor, Bound, Key, Rank};
pub use secured::EndpointTls;
pub use spec::{
    Balance, EndpointHost, EndpointSpec, ErrorStatus, HashBy, Hashing, Pin, Preview, Protocol, ServiceLimits,
    ServiceSpec, StickyBy, Timeouts, VersionSpec,
};
pub use split::{Assignment, Split};
pub use table::{Route, Service, ServiceIndex, Table, Target, VersionIndex};
