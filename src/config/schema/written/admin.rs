//! `admin` as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::super::units::OneOrMany;

/// Where operators and scrapers are answered.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Admin {
    /// An address with a port, or `off`. One that others than this machine can reach needs `tls` and `tokens`.
    /// Default: `127.0.0.1:9900`.
    listen: Option<String>,
    /// Unix socket. Whoever may open its file may do everything. Default: `$RUNTIME_DIRECTORY/admin.sock`, else
    /// `admin.sock` in the state directory.
    socket: Option<String>,
    /// Where a token is that may do everything: `file:PATH` or `env:NAME`. Default: the one in `admin-token` in
    /// the state directory, made at the first start, unless there are `tokens`.
    token: Option<String>,
    /// Tokens by the name of who has them, which is what the journal calls them. Default: none.
    tokens: Option<BTreeMap<String, AdminToken>>,
    /// What may be done over TCP without a token: `read` everything, read the `metrics`, or nothing: `off`.
    /// `/livez`, `/readyz` and the page of the dashboard, without what it shows, are always open. Default: it
    /// is `read` if the address is of this machine alone, else `off`.
    anonymous: Option<Anonymous>,
    /// Names of hosts by which browsers and clients may call it, beside its addresses and `localhost`. Requests
    /// for other names are answered 421. Default: none.
    names: Option<OneOrMany<String>>,
    /// How it speaks TLS. Default: not at all.
    tls: Option<AdminTls>,
    /// Lets tokens and all that they open pass in the clear over an address that others can reach. Default:
    /// `false`.
    unsafe_without_tls: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(super) enum Anonymous {
    Read,
    Metrics,
    Off,
}

/// A token and what it is good for.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct AdminToken {
    /// Where it is: `file:PATH` or `env:NAME`. There may be its hash instead, `sha256:` and 64 hexadecimal
    /// digits. Required.
    secret: String,
    /// What it opens: `metrics` are those alone; `read` is seeing everything; `operate` is leading releases too;
    /// `deploy` is beginning them, by the file or with a version of run time; `admin` is everything. Required.
    role: AdminRole,
    /// The day (in UTC) or the moment from which on it opens nothing. Default: never.
    expires: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
pub(super) enum AdminRole {
    Metrics,
    Read,
    Operate,
    Deploy,
    Admin,
}

/// How the admin address speaks TLS, of version 1.2 at least. Files are in PEM and are watched.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct AdminTls {
    /// The file of the certificate, followed by the one that issued it, and so on. Required.
    cert: String,
    /// The file of its private key; others than its owner and group must not be able to read it. Required.
    key: String,
    /// The file of authorities whose certificates clients must have, beside their tokens. Default: clients need
    /// none.
    client_ca: Option<String>,
}
