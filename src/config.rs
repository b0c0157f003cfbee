//! The file as written, turned into the domain types, with diagnostics that name the place.
//!
//! Three stages. `yaml` makes a tree of texts, lists and maps in which every node knows its place; the
//! readers (`listen`, `service`, `rollout`, `guard`, `route`) walk it with the keys they know; `load` joins files
//! and references. None of them stops at a mistake, so that one run lists all of them. Files are read
//! through [`Files`], so that this room stays pure.
//!
//! Not here: watching files, permissions of files, opening addresses.

mod access_log;
mod account;
mod addition;
mod admin;
mod balance;
mod capacity;
mod check;
mod code;
mod condition;
mod difference;
mod dns;
mod domain;
mod edit;
mod endpoint;
mod fault;
mod fields;
mod guard;
mod health;
mod limits;
mod listen;
mod load;
mod merged;
mod node;
mod notifications;
mod preview;
mod problem;
mod query;
mod rate;
mod recourse;
mod render;
mod request_id;
mod rollout;
mod route;
mod schema;
mod secret;
mod service;
mod similar;
mod source;
mod step;
mod text;
mod tls;
mod token;
mod trace;
mod version;
mod written;
mod yaml;

pub use access_log::{AccessLogSpec, LogFormat, LogTarget};
pub use account::{Account, NoAccount};
pub use addition::{Addition, Template, addition, define};
pub use admin::{AdminAccess, AdminSpec, Role, SecretSource, TokenSpec};
pub use code::{Code, explain};
pub use difference::{Change, ChangeKind, Situation, Standing, differences};
pub use domain::{
    Authority, Config, IpNetwork, KeepIds, ListenerLimits, ListenerSpec, ListenerTimeouts, Memory, Query,
    RequestIds, ServiceConfig,
};
pub use load::{Doors, Loaded, load};
pub use notifications::{
    GITHUB_EVENTS, GitHubSpec, NotifyHost, NotifySpec, NotifyTls, NotifyTo, NotifyUrl, is_local_address,
};
pub use problem::{Problem, Problems, Severity};
pub use schema::schema;
pub use secret::Secret;
pub use similar::closest;
pub use source::{Files, MemoryFiles, Place, Replaced, name_matches};
/// Durations and shares as people write them, wherever they do.
pub use text::{duration as parse_duration, weight as parse_weight};
pub use tls::{AdminTls, ClientAuth, Identity, ListenerTls, TlsVersion, UnknownName, crypto_provider};
pub use token::{TokenHash, Weak, token_strength};
pub use trace::{ExportTo, TraceSpec};
pub use written::{Line, Since, Written};
pub use yaml::is_invisible;

#[cfg(test)]
mod tests;
