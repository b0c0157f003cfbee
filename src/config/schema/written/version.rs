//! Versions as written: their endpoints, and how these are called.

use schemars::JsonSchema;

use super::super::units::OneOrMany;
use super::health::HealthForm;

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(in super::super) enum VersionForm {
    One(String),
    Many(Vec<String>),
    Version(Box<Version>),
}

/// A version: also written as its endpoints alone.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Version {
    /// URLs without a path: `http://10.0.1.10:3000`, or `https://shop.internal` for TLS; the host is a name or
    /// an address, the port 80 (443) if none is given. `h2c://10.0.1.10:50051` is spoken to in HTTP/2, as gRPC
    /// needs it, and `h2://shop.internal` in HTTP/2 over TLS; a WebSocket goes there as an extended CONNECT, or
    /// is answered 502 where the endpoint takes none (RFC 8441). `unix:/run/shop.sock` is a Unix socket, by its
    /// absolute path. Required.
    endpoints: OneOrMany<String>,
    /// What they are asked, or `off`. Default: nothing, and all of them count as well until requests fail.
    health: Option<HealthForm>,
    /// How its `https` endpoints prove who they are, and how tidegate does. Default: their certificates are
    /// verified for the host of the URL by the authorities that this system believes.
    tls: Option<VersionTls>,
    /// `v1` or `v2`: every connection to an endpoint begins with a header of the PROXY protocol, which says who
    /// the client is and where it has connected to (the same that a listener with `proxy_protocol` was told).
    /// Such a connection serves one client's connection and is closed with it. Checkups say that they are
    /// nobody's. Default: none.
    proxy_protocol: Option<ProxyProtocol>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(in super::super) enum ProxyProtocol {
    V1,
    V2,
}

/// TLS with endpoints. Certificates are always verified. Files are in PEM, are relative to the file that names
/// them, and are watched.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct VersionTls {
    /// The file of authorities that are believed, instead of those of this system.
    ca: Option<String>,
    /// The file of lists of what these authorities have revoked; then each of them needs one that is not out
    /// of date. Default: none.
    crl: Option<String>,
    /// The name (or address) that the certificates must have, and that is asked for. Default: the host of the
    /// URL.
    server_name: Option<String>,
    /// The file of the certificate that is shown to endpoints that want one. Together with `key`. Default:
    /// none.
    cert: Option<String>,
    /// The file of its private key. Default: none.
    key: Option<String>,
}
