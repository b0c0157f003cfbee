//! A connection to an endpoint, and its place under the version's limit for as long as it is open.

use std::ops::{Deref, DerefMut};

use super::super::quota::Permit;
use super::super::stream::Stream;

/// A connection to an endpoint.
pub struct Link {
    stream: Stream,
    /// `None` for one of many streams of a connection, which has the place.
    permit: Option<Permit>,
}

impl Link {
    /// A connection of its own.
    pub fn new(stream: Stream, permit: Permit) -> Self {
        Self { stream, permit: Some(permit) }
    }

    /// Part of another connection.
    pub fn of_stream(stream: Stream) -> Self {
        Self { stream, permit: None }
    }

    /// What it is made of.
    pub fn into_parts(self) -> (Stream, Option<Permit>) {
        (self.stream, self.permit)
    }
}

impl Deref for Link {
    type Target = Stream;

    fn deref(&self) -> &Stream {
        &self.stream
    }
}

impl DerefMut for Link {
    fn deref_mut(&mut self) -> &mut Stream {
        &mut self.stream
    }
}
