//! Where operators and scrapers are answered: a small HTTP server beside the traffic, never on it.
//!
//! Two doors lead to the same interface. Whoever may open the Unix socket may do everything: its file
//! mode is the permission. Over TCP everybody may do what stands open, and whoever has a token what its role
//! says; names other than our own are refused, so that a web page cannot reach it through somebody's browser.
//!
//! `server` accepts, and `tls` shakes hands where others can reach it; `paths` says what there is and which role
//! it takes, `names` and `access` who is asking, with `guesses` for those who try; `door` joins them. `route`
//! finds the answer, `wire` is what answers look like. What is asked of the rest of the house goes through three
//! traits, [`Control`], [`Reload`] and [`Upgrade`].

mod access;
mod act;
mod ask;
mod audit;
mod connection;
mod control;
mod cursor;
mod dashboard;
mod door;
mod doors;
mod guesses;
mod history;
mod inquire;
mod names;
mod news;
mod once;
mod openapi;
mod paths;
mod patience;
mod places;
mod problems;
mod reply;
mod route;
mod scrape;
#[cfg(test)]
pub(crate) mod script;
mod server;
mod socket;
mod stream;
mod strict;
mod tag;
mod tls;
mod token;
mod verbs;
pub mod wire;

pub use access::Access;
pub use control::{Answering, Control, LastFailure, Notify, Reload, ReloadDone, ReloadFailed, Upgrade};
pub use doors::{Doorman, Entry, GivenDoors, GivenSocket};
pub use inquire::{Definition, Inquire, compare};
pub use server::{BindError, Parts, Server};
pub use socket::SocketError;
pub use token::{Token, TokenError};

#[cfg(test)]
mod tests;
