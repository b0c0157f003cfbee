//! `tls` of the admin address.

use super::super::fields::{Fields, Shape};
use super::super::node::Node;
use super::super::problem::Problems;
use super::authority::client_auth;
use super::certificate::identity;
use super::credentials::Credentials;
use super::{ClientAuth, Identity};

pub(in super::super) const ADMIN_TLS: Shape =
    Shape { name: "AdminTls", what: "`tls` of `admin`", keys: &["cert", "client_ca", "key"] };

/// How the admin address speaks TLS.
#[derive(Clone, Debug, PartialEq)]
pub struct AdminTls {
    /// Who it is.
    pub identity: Identity,
    /// Which clients may call; `None` asks for no certificate. A certificate opens the connection, and no
    /// more: what somebody may do is what their token says.
    pub clients: Option<ClientAuth>,
}

pub(in super::super) fn admin(
    node: &Node,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<AdminTls> {
    let fields = Fields::of(node, node.at, &ADMIN_TLS, problems)?;
    let cert = fields.required("cert", "the file of the certificate and of those that issued it", problems);
    let key = fields.required("key", "the file of its private key", problems);
    let clients = match fields.get("client_ca") {
        Some(ca) => client_auth(ca, None, credentials, problems).map(Some),
        None => Some(None),
    };
    let identity = identity(&cert?.value, &key?.value, credentials, problems);
    Some(AdminTls { identity: identity?, clients: clients? })
}
