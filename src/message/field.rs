//! What a method and a header name mean to a proxy, decided once while a head is parsed.

/// The methods that are treated differently; all others are passed on.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum MethodKind {
    /// `GET`
    Get,
    /// `HEAD`: its response has no body.
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `OPTIONS`: the only one that may have `*` as target.
    Options,
    /// `PATCH`
    Patch,
    /// `CONNECT`: refused.
    Connect,
    /// `TRACE`: refused.
    Trace,
    /// Any other token.
    #[default]
    Other,
}

impl MethodKind {
    /// Methods are compared with case.
    pub fn of(method: &[u8]) -> Self {
        match method {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"PATCH" => Self::Patch,
            b"CONNECT" => Self::Connect,
            b"TRACE" => Self::Trace,
            _ => Self::Other,
        }
    }

    /// Whether sending it twice has the effect of sending it once (RFC 9110 section 9.2.2).
    pub fn is_idempotent(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Put | Self::Delete | Self::Options | Self::Trace)
    }

    /// For metrics, where a label must not come from the sender.
    pub fn label(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Patch => "PATCH",
            Self::Connect => "CONNECT",
            Self::Trace => "TRACE",
            Self::Other => "other",
        }
    }
}

/// The header lines that a proxy must understand; all others are [`Field::Other`] and pass untouched.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[allow(missing_docs, reason = "each variant is the header of that name")]
pub enum Field {
    /// Passed on without a look.
    #[default]
    Other,
    Authorization,
    Connection,
    ContentLength,
    Cookie,
    Date,
    Expect,
    Forwarded,
    Host,
    Http2Settings,
    KeepAlive,
    MaxForwards,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyConnection,
    SetCookie,
    Te,
    /// `X-Tidegate-*`: set by us, never believed when received.
    Tidegate,
    Traceparent,
    Tracestate,
    Trailer,
    TransferEncoding,
    Upgrade,
    XForwardedFor,
    XForwardedHost,
    XForwardedPort,
    XForwardedProto,
    /// Any other `X-Forwarded-*`.
    XForwardedOther,
    XRealIp,
    XRequestId,
}

impl Field {
    /// Looks at the length first: most names are of no interest, and are told apart by that alone.
    pub fn of(name: &[u8]) -> Self {
        let is = |it: &str| name.eq_ignore_ascii_case(it.as_bytes());
        match name.len() {
            2 if is("te") => Self::Te,
            4 if is("host") => Self::Host,
            4 if is("date") => Self::Date,
            6 if is("cookie") => Self::Cookie,
            6 if is("expect") => Self::Expect,
            7 if is("upgrade") => Self::Upgrade,
            7 if is("trailer") => Self::Trailer,
            9 if is("x-real-ip") => Self::XRealIp,
            9 if is("forwarded") => Self::Forwarded,
            10 if is("connection") => Self::Connection,
            10 if is("keep-alive") => Self::KeepAlive,
            10 if is("set-cookie") => Self::SetCookie,
            10 if is("tracestate") => Self::Tracestate,
            11 if is("traceparent") => Self::Traceparent,
            12 if is("x-request-id") => Self::XRequestId,
            12 if is("max-forwards") => Self::MaxForwards,
            13 if is("authorization") => Self::Authorization,
            14 if is("content-length") => Self::ContentLength,
            14 if is("http2-settings") => Self::Http2Settings,
            16 if is("proxy-connection") => Self::ProxyConnection,
            17 if is("transfer-encoding") => Self::TransferEncoding,
            18 if is("proxy-authenticate") => Self::ProxyAuthenticate,
            19 if is("proxy-authorization") => Self::ProxyAuthorization,
            _ if name.len() > 11 && matches!(name[0], b'x' | b'X') => Self::of_extension(name),
            _ => Self::Other,
        }
    }

    fn of_extension(name: &[u8]) -> Self {
        let starts =
            |it: &str| name.get(..it.len()).is_some_and(|start| start.eq_ignore_ascii_case(it.as_bytes()));
        if starts("x-forwarded-") {
            match &name["x-forwarded-".len()..] {
                it if it.eq_ignore_ascii_case(b"for") => Self::XForwardedFor,
                it if it.eq_ignore_ascii_case(b"host") => Self::XForwardedHost,
                it if it.eq_ignore_ascii_case(b"port") => Self::XForwardedPort,
                it if it.eq_ignore_ascii_case(b"proto") => Self::XForwardedProto,
                _ => Self::XForwardedOther,
            }
        } else if starts("x-tidegate-") {
            Self::Tidegate
        } else {
            Self::Other
        }
    }

    /// Whether the whole name is fixed, so that it holds no underscore.
    pub fn is_exact(self) -> bool {
        !matches!(self, Self::Other | Self::Tidegate | Self::XForwardedOther)
    }

    /// Whether the line speaks of one connection only (RFC 9110 section 7.6.1) and ends here.
    pub fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::Http2Settings
                | Self::KeepAlive
                | Self::ProxyAuthenticate
                | Self::ProxyAuthorization
                | Self::ProxyConnection
                | Self::Te
                | Self::Trailer
                | Self::TransferEncoding
                | Self::Upgrade
        )
    }

    /// Whether a `Connection` line may name it to have it dropped. The sender could otherwise remove
    /// what the next hop's security rests on.
    pub fn may_be_nominated(self) -> bool {
        !matches!(
            self,
            Self::Authorization
                | Self::ContentLength
                | Self::Cookie
                | Self::Date
                | Self::Forwarded
                | Self::Host
                | Self::SetCookie
                | Self::Tidegate
                | Self::Traceparent
                | Self::Tracestate
                | Self::XForwardedFor
                | Self::XForwardedHost
                | Self::XForwardedOther
                | Self::XForwardedPort
                | Self::XForwardedProto
                | Self::XRealIp
                | Self::XRequestId
        )
    }
}
