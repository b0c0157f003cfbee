//! Authorities whose certificates are believed, and their lists of certificates that are no longer good.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::WebPkiClientVerifier;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;
use xxhash_rust::xxh3::Xxh3Default;

use super::super::code::Code;
use super::super::node::Node;
use super::super::problem::{Problems, Report};
use super::certificate::{certificates, day, seconds};
use super::credentials::Credentials;
use super::{ClientAuth, crypto_provider};

/// Authorities, and a hash of them.
pub(super) struct Authorities {
    pub(super) roots: Arc<RootCertStore>,
    pub(super) hash: Xxh3Default,
}

/// Revocation lists, and a hash of them.
#[derive(Default)]
pub(super) struct Revocations {
    pub(super) lists: Vec<CertificateRevocationListDer<'static>>,
    pub(super) hash: u128,
}

/// Who decides about clients: these authorities, without what they have revoked.
pub(super) fn client_auth(
    ca: &Node,
    crl: Option<&Node>,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<ClientAuth> {
    let authorities = authorities(ca, credentials, problems);
    let revocations = match crl {
        Some(node) => revocations(node, credentials, problems),
        None => Some(Revocations::default()),
    };
    let (Authorities { roots, mut hash }, revocations) = (authorities?, revocations?);
    hash.update(&revocations.hash.to_le_bytes());
    let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(crypto_provider()))
        .with_crls(revocations.lists)
        // A list that was to be replaced says nothing about today.
        .enforce_revocation_expiration();
    match builder.build() {
        Ok(verifier) => Some(ClientAuth { verifier, policy: hash.digest128() }),
        Err(error) => {
            let at = crl.unwrap_or(ca).at;
            problems.push(Report::error(Code::Authority, at, format!("it cannot be used: {error}")));
            None
        }
    }
}

/// The authorities in the file that `node` names.
pub(super) fn authorities(
    node: &Node,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<Authorities> {
    let pem = credentials.pem(node, Code::Authority, problems)?;
    let found = certificates(&pem, node, Code::Authority, problems)?;
    let (mut roots, mut hash) = (RootCertStore::empty(), Xxh3Default::new());
    for (index, certificate) in found.into_iter().enumerate() {
        add(&certificate, &mut hash);
        if let Err(error) = roots.add(certificate) {
            let message =
                format!("certificate {} of {} cannot be used: {error}", index + 1, pem.path.display());
            problems.push(Report::error(Code::Authority, node.at, message));
            return None;
        }
    }
    Some(Authorities { roots: Arc::new(roots), hash })
}

fn add(certificate: &CertificateDer<'_>, hash: &mut Xxh3Default) {
    hash.update(&(certificate.len() as u64).to_le_bytes());
    hash.update(certificate);
}

/// The lists in the file that `node` names.
pub(super) fn revocations(
    node: &Node,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<Revocations> {
    let pem = credentials.pem(node, Code::Authority, problems)?;
    let path = pem.path.display();
    let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&pem.bytes).collect();
    let lists = match found {
        Ok(lists) if !lists.is_empty() => lists,
        Ok(_) => return bad(node, format!("{path} holds no revocation list"), problems),
        Err(_) => return bad(node, format!("{path} is damaged: its PEM cannot be read"), problems),
    };
    let mut hash = Xxh3Default::new();
    for list in &lists {
        let Ok((_, parsed)) = CertificateRevocationList::from_der(list) else {
            return bad(node, format!("a revocation list in {path} is damaged"), problems);
        };
        if let Some(until) = parsed.next_update().map(seconds).filter(|it| *it < credentials.now) {
            let message = format!("a revocation list in {path} was to be replaced at {}", day(until));
            let help = "until it is, whoever has a certificate of that authority is refused";
            problems.push(Report::warning(Code::Authority, node.at, message).help(help));
        }
        hash.update(&(list.len() as u64).to_le_bytes());
        hash.update(list);
    }
    Some(Revocations { hash: hash.digest128(), lists })
}

fn bad<T>(node: &Node, message: String, problems: &mut Problems) -> Option<T> {
    problems.push(Report::error(Code::Authority, node.at, message));
    None
}
