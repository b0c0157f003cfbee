//! Reads a response head.

use crate::proxy::message::{Malformed, ResponseHead};

use super::{Asked, ResponseLimits};

/// Reads `buf`, exactly the head that [`super::HeadScanner::scan_response`] found, into `into`.
pub fn parse_response(
    buf: &[u8],
    limits: &ResponseLimits,
    asked: Asked,
    into: &mut ResponseHead,
) -> Result<(), Malformed> {
    let _ = (buf, limits, asked, into);
    Err(Malformed::NotHttp)
}
