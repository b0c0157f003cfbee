//! Where operators and scrapers are answered: a small HTTP server beside the traffic, never on it.
//!
//! Two doors lead to the same interface. Whoever may open the Unix socket may do everything: its file
//! mode is the permission. Over loopback TCP reading is open, because a scraper must get in, and every
//! change needs the token that lies in the state directory; names other than our own are refused, so
//! that a web page cannot reach it through somebody's browser.
//!
//! `server` accepts, `door` decides who may do what, `route` finds the answer, `wire` is what answers
//! look like. What is asked of the rest of the house goes through three traits, [`Control`],
//! [`Reload`] and [`Upgrade`].

mod ask;
mod control;
mod door;
mod doors;
mod history;
mod inquire;
mod patience;
mod reply;
mod route;
mod scrape;
#[cfg(test)]
pub(crate) mod script;
mod server;
mod socket;
mod stream;
mod token;
mod verbs;
pub mod wire;

pub use control::{Answering, Control, LastFailure, Reload, ReloadDone, ReloadFailed, Upgrade};
pub use doors::{Doorman, Entry, GivenDoors, GivenSocket};
pub use inquire::{Inquire, compare};
pub use server::{BindError, Parts, Server};
pub use socket::SocketError;
pub use token::{Token, TokenError};
