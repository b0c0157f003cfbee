//! HTTP/2, both sides: a codec of our own, strict, and its meaning.
//!
//! Every stream is an *end*: a `Stream` that carries content alone, with the
//! heads beside it. A head is turned into the text that HTTP/1 would have used, and back ([`text`]), so
//! that there is one set of rules for what a proxy lets through, and one driver for every pairing of
//! protocols. What only HTTP/2 can get wrong is settled before a head becomes text.
//!
//! [`Session`](session::Session) is a connection without its socket: bytes in, events and bytes out. [`frame`]
//! and [`hpack`] are what it is written in. `link` gives it a socket, for either side.
//!
//! `server` is a client's connection: it accepts streams, each served by a task of its own, and keeps
//! account of what the client costs. [`Pool`] holds the connections to an endpoint that speaks HTTP/2, on
//! each of which many requests are under way.
//!
//! Not here: what is done with a request (`forward`), and when its patience ends (`patience`).

mod account;
pub mod frame;
pub mod hpack;
mod inbound;
mod link;
mod outbound;
mod pool;
mod pulse;
mod server;
pub mod session;
pub mod text;
mod tunnel;

pub use inbound::Inbound;
pub use outbound::Outbound;
pub use pool::Pool;
pub use server::{Arrived, serve};
pub use session::PREFACE;
pub use tunnel::Tunnel;
