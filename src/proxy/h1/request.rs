//! Reads a request head.

use crate::proxy::message::{Refusal, RequestHead};

use super::RequestLimits;

/// Reads `buf`, exactly the head that [`super::HeadScanner::scan`] found, into `into`. What `into` holds
/// after a refusal means nothing.
pub fn parse_request(buf: &[u8], limits: &RequestLimits, into: &mut RequestHead) -> Result<(), Refusal> {
    let _ = (buf, limits, into);
    Err(Refusal::NotHttp)
}
