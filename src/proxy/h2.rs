//! HTTP/2: frames, flow control and header compression are the `h2` crate's, the meaning is ours.
//!
//! Every stream is an *end*: a [`Stream`](super::stream::Stream) that carries content alone, with the
//! heads beside it. A head is turned into the text that HTTP/1 would have used, and back ([`text`]), so
//! that there is one set of rules for what a proxy lets through, and one driver for every pairing of
//! protocols. What only HTTP/2 can get wrong is settled before a head becomes text.
//!
//! [`server`] is a client's connection: it accepts streams, each served by a task of its own, and keeps
//! account of what the client costs. [`Pool`] holds the connections to an endpoint that speaks HTTP/2, on
//! each of which many requests are under way. [`Wire`] lets the frames of many streams leave in one write.
//!
//! Not here: what is done with a request (`forward`), and when its patience ends (`patience`).

mod account;
mod half;
mod inbound;
mod outbound;
mod pool;
mod pulse;
mod server;
mod text;
mod wire;

pub use inbound::Inbound;
pub use outbound::Outbound;
pub use pool::Pool;
pub use server::{Arrived, PREFACE, serve};

use wire::Wire;
