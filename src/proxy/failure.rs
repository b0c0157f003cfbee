//! What can go wrong with an exchange, and what the client is told.

/// Why there is no whole answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// No endpoint could be reached.
    Connect,
    /// No endpoint could be reached in time.
    ConnectTimeout,
    /// An endpoint was reached and did not prove who it is, or speaks no TLS.
    Tls,
    /// No endpoint passes its checkups.
    NoneReady,
    /// This process has too few file descriptors to reach one.
    NoDescriptor,
    /// The version has as much as it may have at once, and too many wait or this one has for too long.
    Limited,
    /// No local port is left to reach an endpoint from.
    NoPort,
    /// The route says that it fails, with this status.
    Injected(u16),
    /// The version ended the connection early.
    Reset,
    /// The same, on a kept connection that may have been closing already.
    Race,
    /// The version says that it has not begun with the request and never will (RFC 9113 section 8.7).
    Unbegun,
    /// The answer is not HTTP/1, or exceeds a limit.
    Protocol,
    /// The version was silent for too long.
    Timeout,
    /// The exchange took longer than it may, and neither side kept it waiting for most of that.
    Late,
    /// Neither side of a tunnel has said anything for too long.
    Idle,
    /// The endpoint does not change the protocol where the client counts on it.
    NoUpgrade,
    /// The client's body breaks the rules of its framing.
    BadBody,
    /// The client's body exceeds the service's limit.
    BodyTooLarge,
    /// The client fell silent in the middle of its body.
    BodyTimeout,
    /// The client sent its body too slowly.
    BodyRate,
    /// The client did not take the answer.
    WriteTimeout,
    /// The client went away.
    ClientGone,
    /// The version has had no traffic for so long that nothing may go on with it.
    Retired,
    /// The process ends, and this had all the time that it gives.
    Ending,
}

impl Failure {
    /// Status, `x-tidegate-error` and text of the answer that the client gets for it.
    pub fn answer(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::Connect => (502, "upstream_connect", "no endpoint could be reached\n"),
            Self::ConnectTimeout => (504, "upstream_connect", "no endpoint could be reached in time\n"),
            Self::Tls => (502, "upstream_connect", "no endpoint could be trusted\n"),
            Self::NoneReady => (503, "no_healthy", "no endpoint is healthy\n"),
            Self::Injected(status) => (status, "fault", "this failure was asked for\n"),
            Self::Limited => (503, "limit", "this service is at its limit: come again later\n"),
            Self::NoDescriptor | Self::NoPort => {
                (503, "overloaded", "too much is going on: come again later\n")
            }
            Self::Reset | Self::Race => (502, "upstream_reset", "the connection ended before the answer\n"),
            Self::Unbegun => (502, "upstream_reset", "the endpoint did not take the request\n"),
            Self::Protocol => (502, "upstream_reset", "the answer was malformed\n"),
            Self::NoUpgrade => (502, "no_upgrade", "the endpoint does not change the protocol\n"),
            Self::Timeout | Self::Late => (504, "upstream_timeout", "there was no answer in time\n"),
            // Nobody is told but the log: what both sides see is an end.
            Self::Idle => (504, "tunnel_idle", "the tunnel was silent for too long\n"),
            Self::BadBody => (400, "client_abort", "the body is malformed or incomplete\n"),
            Self::BodyTooLarge => (413, "limit", "the body is larger than this service takes\n"),
            Self::BodyTimeout | Self::BodyRate => (408, "limit", "the body did not arrive in time\n"),
            Self::Retired => (503, "limit", "this version is not in use any more\n"),
            Self::Ending => (503, "limit", "this server ends\n"),
            Self::WriteTimeout | Self::ClientGone => (499, "client_abort", ""),
        }
    }
}
