//! Answers that the proxy makes itself.

/// Tells a client to send its body.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// An answer of our own.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Its status; the reason phrase follows from it.
    pub status: u16,
    /// For `x-tidegate-error`: who or what failed.
    pub error: Option<&'a str>,
    /// Whether the connection is closed afterwards.
    pub close: bool,
    /// Whether the client speaks HTTP/1.0, which must be told that the connection stays.
    pub client_http10: bool,
    /// Whether the request was HEAD, so that only the length of the text is told.
    pub head: bool,
    /// Further lines; names and values must be free of control characters.
    pub extra: &'a [(&'a str, &'a str)],
    /// Short plain text.
    pub text: &'a str,
    /// The date.
    pub date: &'a [u8; 29],
}

/// Appends the answer, body included.
pub fn write_answer(answer: &Answer<'_>, out: &mut Vec<u8>) {
    let _ = (answer, out);
}
