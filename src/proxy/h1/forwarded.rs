//! Who asked, as told to the upstream: `X-Forwarded-*` and `Forwarded` (RFC 7239).

/// What the proxy knows of the client's side.
#[derive(Clone, Copy, Debug, Default)]
pub struct ForwardedInfo<'a> {
    /// The peer's address as text, an IPv6 address without brackets.
    pub peer: &'a str,
    /// `http` or `https`.
    pub proto: &'a str,
    /// The address that the client connected to, for `by=`; usually left out.
    pub by: Option<&'a str>,
    /// Whether the peer may tell who it asks for. Then its chain is kept and we are appended;
    /// otherwise whatever it says of that kind is removed.
    pub trusted_peer: bool,
}
