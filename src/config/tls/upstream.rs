//! `tls` of a version: how its endpoints prove who they are, and how we do.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use xxhash_rust::xxh3::Xxh3Default;

use super::super::code::Code;
use super::super::fields::{self, Fields, Shape};
use super::super::node::Node;
use super::super::problem::{Problems, Report};
use super::super::source::At;
use super::super::yaml::shown;
use super::authority::{Authorities, Revocations, authorities, revocations};
use super::certificate::identity;
use super::credentials::Credentials;
use super::{Identity, crypto_provider};
use crate::routing::{EndpointHost, EndpointSpec, EndpointTls, Protocol};

pub(in super::super) const VERSION_TLS: Shape = Shape {
    name: "VersionTls",
    what: "`tls` of a version",
    keys: &["ca", "crl", "server_name", "cert", "key"],
};

/// Sessions that are kept for resuming, by the names of endpoints.
const SESSIONS_MAX: usize = 256;

/// How the `https` endpoints of a version are called.
pub(in super::super) struct Trust {
    /// For endpoints that speak HTTP/1, and for those that speak HTTP/2.
    clients: [Arc<ClientConfig>; 2],
    rules: u128,
    server_name: Option<ServerName<'static>>,
}

impl Trust {
    /// For the endpoint at `host`. `None` for one that has no name.
    pub(in super::super) fn of(&self, endpoint: &EndpointSpec) -> Option<EndpointTls> {
        let own = || match &endpoint.host {
            EndpointHost::Address(it) => Some(ServerName::from(*it)),
            EndpointHost::Name(it) => ServerName::try_from(it.clone()).ok(),
            EndpointHost::Unix(_) => None,
        };
        let name = self.server_name.clone().or_else(own)?;
        let client = &self.clients[usize::from(endpoint.protocol == Protocol::Http2)];
        Some(EndpointTls::new(name, Arc::clone(client), self.rules))
    }
}

/// As `tls` says.
pub(in super::super) fn trust(
    node: &Node,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<Trust> {
    let fields = Fields::of(node, node.at, &VERSION_TLS, problems)?;
    let authorities = match fields.get("ca") {
        Some(node) => authorities(node, credentials, problems),
        None => of_system(fields.at, credentials, problems),
    };
    let revocations = match fields.get("crl") {
        Some(node) => revocations(node, credentials, problems),
        None => Some(Revocations::default()),
    };
    let own = match (fields.entry("cert"), fields.entry("key")) {
        (Some(cert), Some(key)) => identity(&cert.value, &key.value, credentials, problems).map(Some),
        (None, None) => Some(None),
        (Some(one), None) | (None, Some(one)) => {
            let message = format!("`{}` is one half of a pair: `cert` and `key`", one.key.text);
            problems.push(Report::error(Code::Tls, one.key.at, message));
            None
        }
    };
    let mut name = None;
    fields.set("server_name", &mut name, problems, |node, problems| server_name(node, problems).map(Some));
    made(authorities?, revocations?, own?, name, fields.at, problems)
}

/// Without `tls`: whoever this system believes.
pub(in super::super) fn usual(
    at: At,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<Trust> {
    let authorities = of_system(at, credentials, problems)?;
    made(authorities, Revocations::default(), None, None, at, problems)
}

/// How an address outside is called: by `ca`, or whoever this system believes.
pub(in super::super) fn outgoing(
    ca: Option<&Node>,
    at: At,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<Arc<ClientConfig>> {
    let authorities = match ca {
        Some(node) => authorities(node, credentials, problems),
        None => of_system(at, credentials, problems),
    };
    let trust = made(authorities?, Revocations::default(), None, None, at, problems)?;
    let [client, _] = trust.clients;
    Some(client)
}

fn of_system(at: At, credentials: &mut Credentials<'_>, problems: &mut Problems) -> Option<Authorities> {
    let found = credentials.authorities_of_system();
    let (mut roots, mut hash) = (RootCertStore::empty(), Xxh3Default::new());
    // Some systems carry certificates that nobody can read; the others are as good as ever.
    roots.add_parsable_certificates(found.iter().map(|it| CertificateDer::from(it.clone())));
    found.iter().for_each(|it| hash.update(it));
    if roots.is_empty() {
        let report = Report::error(Code::Authority, at, "this system believes no authority");
        problems
            .push(report.help("install its certificates (ca-certificates), or name them under `ca`: ca.pem"));
        return None;
    }
    Some(Authorities { roots: Arc::new(roots), hash })
}

fn made(
    authorities: Authorities,
    revocations: Revocations,
    own: Option<Identity>,
    server_name: Option<ServerName<'static>>,
    at: At,
    problems: &mut Problems,
) -> Option<Trust> {
    let Authorities { roots, mut hash } = authorities;
    hash.update(&revocations.hash.to_le_bytes());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(crypto_provider()))
        .with_crls(revocations.lists)
        // A list that was to be replaced says nothing about today.
        .enforce_revocation_expiration()
        .build();
    let verifier = match verifier {
        Ok(it) => it,
        Err(error) => {
            problems.push(Report::error(Code::Authority, at, format!("it cannot be used: {error}")));
            return None;
        }
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(crypto_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has suites of both versions")
        .with_webpki_verifier(verifier);
    let client = match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            own.key.cert.iter().for_each(|it| hash.update(it));
            let shown = SingleCertAndKey::from((*own.key).clone());
            builder.with_client_cert_resolver(Arc::new(shown) as Arc<dyn ResolvesClientCert>)
        }
    };
    let speaking = |protocol: &[u8]| {
        let mut client = client.clone();
        client.alpn_protocols = vec![protocol.to_vec()];
        // Sessions are not shared either: one speaks what it was begun for.
        client.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
        Arc::new(client)
    };
    let clients = [speaking(b"http/1.1"), speaking(b"h2")];
    Some(Trust { clients, rules: hash.digest128(), server_name })
}

fn server_name(node: &Node, problems: &mut Problems) -> Option<ServerName<'static>> {
    let written = fields::text(node, problems)?;
    let address = written.parse::<IpAddr>().ok().map(ServerName::from);
    let name = address.or_else(|| ServerName::try_from(written.to_ascii_lowercase()).ok());
    if name.is_none() {
        let message = format!("`{}` is not a name that a certificate can have", shown(written));
        problems.push(Report::error(Code::Host, node.at, message).help("for example shop.internal"));
    }
    name
}
