//! Who is at the other end of a client's connection, and what is kept for that client alone.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::{Rc, Weak};

use crate::config::IpNetwork;

use super::super::stream::Stream;
use super::super::tls::Authority;
use super::super::upstream::Shelf;

/// The two ends of a client's connection, as the kernel says or a load balancer that is believed.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// The client.
    pub from: SocketAddr,
    /// Where it has connected to.
    pub to: SocketAddr,
}

/// A connection whose client may ask now.
pub struct Begun {
    /// The connection.
    pub stream: Stream,
    /// Who it is between.
    pub ends: Ends,
    /// What its client has asked for, if that bounds what it may ask for now.
    pub authority: Option<Authority>,
    /// Which policy of its listener has let it in.
    pub policy: u32,
}

/// Who is at the other end. One for each connection, so that being the same one is being the same client.
pub struct Peer {
    /// Address.
    pub address: IpAddr,
    /// The same as text, written once for each connection.
    pub text: Box<str>,
    /// How the URLs begin that it asks for: `http` or `https`.
    pub scheme: &'static str,
    /// Whether it may say for whom it asks.
    pub trusted: bool,
    /// What endpoints are told that want to know for whom they are called.
    pub ends: Ends,
    /// Which hosts it may ask for; `None`: all.
    pub authority: Option<Authority>,
    /// Which policy of its listener has let it in.
    pub policy: u32,
    /// Connections that speak for this one and end with it.
    shelves: RefCell<Vec<Weak<Shelf>>>,
}

impl Peer {
    /// Knows both ends.
    pub(super) fn new(begun: Begun, trust: &[IpNetwork]) -> (Self, Stream) {
        let Begun { stream, ends, authority, policy } = begun;
        let plain = |it: SocketAddr| SocketAddr::new(it.ip().to_canonical(), it.port());
        let ends = Ends { from: plain(ends.from), to: plain(ends.to) };
        let address = ends.from.ip();
        let trusted = trust.iter().any(|it| it.contains(address));
        let text = address.to_string().into();
        let scheme = stream.scheme();
        let peer =
            Self { address, text, scheme, trusted, ends, authority, policy, shelves: RefCell::default() };
        (peer, stream)
    }

    /// What lies on this shelf speaks for this client.
    pub fn owns(&self, shelf: &Rc<Shelf>) {
        let mut shelves = self.shelves.borrow_mut();
        // Those of endpoints that are gone.
        shelves.retain(|it| it.strong_count() > 0);
        shelves.push(Rc::downgrade(shelf));
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        for shelf in self.shelves.get_mut().iter().filter_map(Weak::upgrade) {
            shelf.clear();
        }
    }
}
