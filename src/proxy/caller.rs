//! Who asks, as far as it decides which version answers: the identity that a sticky service reads or gives
//! out, and the group of clients that a request is evidence of.

use std::sync::Arc;

use crate::h1::Said;
use crate::message::{HeaderEdit, RequestHead};
use crate::model::ClientShard;
use crate::routing::{HashBy, HeaderEdits, Key, StickyBy, unit};

use super::connection::Client;
use super::worker::Worker;

/// A request, its connection and its worker.
pub struct Caller<'a> {
    /// The worker.
    pub worker: &'a Worker,
    /// The connection.
    pub client: &'a Client,
    /// The request.
    pub head: &'a RequestHead,
    /// What it was parsed from.
    pub buf: &'a [u8],
    /// Who asks, by address. Whatever goes by that goes by this one.
    pub asker: Said<'a>,
}

impl<'a> Caller<'a> {
    /// Knows who it is.
    pub fn new(worker: &'a Worker, client: &'a Client, head: &'a RequestHead, buf: &'a [u8]) -> Self {
        Self { worker, client, head, buf, asker: client.asker(head, buf) }
    }

    /// What stands for who asks.
    fn address(&self) -> [u8; 16] {
        unit::address(self.asker.address)
    }

    /// Says who the caller is. One that should have a cookie and has none is given one: `issued` is
    /// then what the answer sets.
    pub fn with_unit<T>(
        &self,
        by: &StickyBy,
        issued: &mut Option<String>,
        then: impl FnOnce(Option<&[u8]>) -> T,
    ) -> T {
        let Self { worker, head, buf, .. } = self;
        match by {
            StickyBy::Address => then(Some(&self.address())),
            StickyBy::Header(name) => then(head.values(buf, name).next().filter(|it| !it.is_empty())),
            StickyBy::Cookie(name) => then(
                head.values(buf, "cookie").find_map(|it| unit::cookie(it, name)).filter(|it| !it.is_empty()),
            ),
            StickyBy::Minted(cookie) => {
                match head.values(buf, "cookie").find_map(|it| cookie.unit(it, worker.common.key)) {
                    Some(unit) => then(Some(unit)),
                    None => {
                        let minted = cookie.mint(worker.bits(), worker.common.key);
                        *issued = Some(cookie.set(&minted, self.is_secure()));
                        then(Some(minted.unit()))
                    }
                }
            }
        }
    }

    /// What the endpoint is chosen by where equal requests go the same way.
    pub fn key(&self, by: &HashBy, path: &str) -> Key {
        let Self { head, buf, .. } = self;
        let named = match by {
            HashBy::Unit | HashBy::Address => None,
            HashBy::Header(name) => head.values(buf, name).next(),
            HashBy::Cookie(name) => head.values(buf, "cookie").find_map(|it| unit::cookie(it, name)),
            HashBy::Path => Some(path.as_bytes()),
        };
        match named.filter(|it| !it.is_empty()) {
            Some(it) => Key::of(it),
            None => Key::of(&self.address()),
        }
    }

    /// The group of clients that the request counts for; without the key the address decides.
    pub fn shard(&self, key: &StickyBy) -> ClientShard {
        let by_address = || ClientShard::of(&self.address());
        match key {
            StickyBy::Address => by_address(),
            key => self.with_unit(key, &mut None, |it| it.map_or_else(by_address, ClientShard::of)),
        }
    }

    /// Whether the caller came by TLS, to here or to a peer that may say so.
    fn is_secure(&self) -> bool {
        let said = || self.head.values(self.buf, "x-forwarded-proto").last();
        let peer = &self.client.peer;
        peer.scheme == "https" || peer.trusted && said().is_some_and(|it| it.eq_ignore_ascii_case(b"https"))
    }
}

/// A route's changes of the answer, and the cookie that was given out.
pub fn with_cookie(edits: &HeaderEdits, issued: Option<String>) -> HeaderEdits {
    match issued {
        None => Arc::clone(edits),
        Some(cookie) => edits.iter().cloned().chain([HeaderEdit::Cookie(cookie)]).collect(),
    }
}
