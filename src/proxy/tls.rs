//! TLS: a stream like any other once its handshake is done.
//!
//! `acceptor` holds what a listener is, and gives a new certificate to the next handshake; `session` is one
//! connection's engine, fed from and emptied into memory; `stream` joins it with a socket and holds no
//! buffer while nothing is under way; `handshake` begins one, when it has its turn among all that a worker
//! has to do (`turns`). What both sides agreed to speak is
//! [`TlsStream::protocol`]: whoever serves a connection chooses by it.
//!
//! Not here: what certificates are good for ([`crate::config`]), early data (never taken).

mod acceptor;
mod handshake;
mod names;
mod room;
mod session;
mod stream;
mod turns;

pub use acceptor::Acceptor;
pub use handshake::{accept, connect};
pub use names::Authority;
pub use stream::{Broken, TlsStream};
pub use turns::Turns;
