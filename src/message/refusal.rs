//! Why a message is not let through.

/// Why a request is refused. After any of these the connection is closed: where the next request
/// would begin is no longer certain.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant says what it is in its message")]
pub enum Refusal {
    #[error("the request is not HTTP/1")]
    NotHttp,
    #[error("the request line is malformed")]
    BadRequestLine,
    #[error("the version is malformed")]
    BadVersion,
    #[error("the version is not supported")]
    UnsupportedVersion,
    #[error("a line does not end in CR LF")]
    BadLineEnd,
    #[error("a header line is malformed")]
    BadHeader,
    #[error("a header name has an underscore")]
    Underscore,
    #[error("the length of the body is not certain")]
    BadFraming,
    #[error("the transfer coding is not supported")]
    UnsupportedCoding,
    #[error("the request has a body and no length")]
    LengthRequired,
    #[error("the host is missing or malformed")]
    BadHost,
    #[error("the target is malformed")]
    BadTarget,
    #[error("the path is malformed or leads above the root")]
    BadPath,
    #[error("the Connection line names too many headers")]
    BadConnection,
    #[error("the target is too long")]
    UriTooLong,
    #[error("the head is too large")]
    HeadTooLarge,
    #[error("there are too many header lines")]
    TooManyHeaders,
    #[error("the method is too long")]
    MethodTooLong,
    #[error("the method is not allowed")]
    MethodNotAllowed,
    #[error("the expectation is not known")]
    UnknownExpectation,
}

impl Refusal {
    /// The status of the answer.
    pub fn status(self) -> u16 {
        match self {
            Self::MethodNotAllowed => 405,
            Self::LengthRequired => 411,
            Self::UriTooLong => 414,
            Self::UnknownExpectation => 417,
            Self::HeadTooLarge | Self::TooManyHeaders => 431,
            Self::MethodTooLong | Self::UnsupportedCoding => 501,
            Self::UnsupportedVersion => 505,
            Self::NotHttp
            | Self::BadRequestLine
            | Self::BadVersion
            | Self::BadLineEnd
            | Self::BadHeader
            | Self::Underscore
            | Self::BadFraming
            | Self::BadHost
            | Self::BadTarget
            | Self::BadPath
            | Self::BadConnection => 400,
        }
    }

    /// Label for metrics and logs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotHttp => "not_http",
            Self::BadRequestLine => "bad_request_line",
            Self::BadVersion => "bad_version",
            Self::UnsupportedVersion => "unsupported_version",
            Self::BadLineEnd => "bad_line_end",
            Self::BadHeader => "bad_header",
            Self::Underscore => "underscore",
            Self::BadFraming => "bad_framing",
            Self::UnsupportedCoding => "unsupported_coding",
            Self::LengthRequired => "length_required",
            Self::BadHost => "bad_host",
            Self::BadTarget => "bad_target",
            Self::BadPath => "bad_path",
            Self::BadConnection => "bad_connection",
            Self::UriTooLong => "uri_too_long",
            Self::HeadTooLarge => "head_too_large",
            Self::TooManyHeaders => "too_many_headers",
            Self::MethodTooLong => "method_too_long",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UnknownExpectation => "unknown_expectation",
        }
    }
}

/// Why a response is not forwarded. The client gets a 502 and the connection is never used again.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant says what it is in its message")]
pub enum Malformed {
    #[error("the response is not HTTP/1")]
    NotHttp,
    #[error("the status line is malformed")]
    BadStatusLine,
    #[error("a line does not end in CR LF")]
    BadLineEnd,
    #[error("a header line is malformed")]
    BadHeader,
    #[error("the length of the body is not certain")]
    BadFraming,
    #[error("the head is too large")]
    HeadTooLarge,
    #[error("there are too many header lines")]
    TooManyHeaders,
    #[error("a change of protocol that nobody asked for")]
    UnaskedUpgrade,
}

impl Malformed {
    /// Label for metrics and logs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotHttp => "not_http",
            Self::BadStatusLine => "bad_status_line",
            Self::BadLineEnd => "bad_line_end",
            Self::BadHeader => "bad_header",
            Self::BadFraming => "bad_framing",
            Self::HeadTooLarge => "head_too_large",
            Self::TooManyHeaders => "too_many_headers",
            Self::UnaskedUpgrade => "unasked_upgrade",
        }
    }
}
