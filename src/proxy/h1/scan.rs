//! Finds the end of a head while it arrives.

use crate::proxy::message::{Malformed, Refusal};

use super::{RequestLimits, ResponseLimits};

/// Remembers how far it has looked, so that a head that arrives byte by byte costs as much as one
/// that arrives whole.
#[derive(Clone, Debug, Default)]
pub struct HeadScanner {
    at: usize,
}

impl HeadScanner {
    /// At the start of a head.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts over for the next head.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Looks at `buf`, which begins with the head and holds everything received so far. `Some(len)` when
    /// the head is complete: its bytes, an empty line before it included. Refuses as early as it is certain.
    pub fn scan(&mut self, buf: &[u8], limits: &RequestLimits) -> Result<Option<usize>, Refusal> {
        let _ = (buf, limits, self.at);
        Err(Refusal::NotHttp)
    }

    /// The same for a response.
    pub fn scan_response(&mut self, buf: &[u8], limits: &ResponseLimits) -> Result<Option<usize>, Malformed> {
        let _ = (buf, limits, self.at);
        Err(Malformed::NotHttp)
    }
}
