//! A certificate chain and its key: whether they belong together, and whether they are good today.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::super::code::Code;
use super::super::node::Node;
use super::super::problem::{Problems, Report};
use super::credentials::{Credentials, Pem};
use super::{Identity, crypto_provider};
use crate::model::Timestamp;

/// The chain in the file that `cert` names and the key in the file that `key` names.
pub(super) fn identity(
    cert: &Node,
    key: &Node,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<Identity> {
    // Both are read before either can end the function: one run lists every mistake.
    let chain = chain(cert, credentials, problems);
    let key_der = private_key(key, credentials, problems);
    let (file, chain) = chain?;
    let leaf = parsed(&chain[0])?;
    let (names, expires) = (names(&leaf), seconds(leaf.validity().not_after));
    match CertifiedKey::from_der(chain, key_der?, crypto_provider()) {
        Ok(key) => Some(Identity { key: Arc::new(key), names, expires, file }),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let message = format!("the key does not belong to the certificate in {}", file.display());
            let help = "the first certificate of the file must be the one that the key was made for";
            let report = Report::error(Code::PrivateKey, key.at, message).help(help);
            problems.push(report.related(cert.at, "the certificate"));
            None
        }
        Err(error) => {
            problems.push(Report::error(
                Code::PrivateKey,
                key.at,
                format!("the key cannot be used: {error}"),
            ));
            None
        }
    }
}

/// All certificates of a file; at least one.
pub(super) fn certificates(
    pem: &Pem,
    node: &Node,
    code: Code,
    problems: &mut Problems,
) -> Option<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem.bytes).collect();
    let what = match found {
        Ok(found) if !found.is_empty() => {
            if let Some(bad) = found.iter().position(|it| parsed(it).is_none()) {
                let message = format!("certificate {} of {} is damaged", bad + 1, pem.path.display());
                problems.push(Report::error(code, node.at, message));
                return None;
            }
            return Some(found);
        }
        Ok(_) if has_key(&pem.bytes) => "holds a key and no certificate",
        Ok(_) => "holds no certificate",
        // The reasons quote the file.
        Err(_) => "is damaged: its PEM cannot be read",
    };
    problems.push(Report::error(code, node.at, format!("{} {what}", pem.path.display())));
    None
}

fn chain(
    node: &Node,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<(std::path::PathBuf, Vec<CertificateDer<'static>>)> {
    let pem = credentials.pem(node, Code::Certificate, problems)?;
    let chain = certificates(&pem, node, Code::Certificate, problems)?;
    let sound = in_order(&chain, &pem.path, node, problems);
    let timely = in_time(&chain, &pem.path, node, credentials.now, problems);
    (sound && timely).then_some((pem.path, chain))
}

/// Each certificate was issued by the next one.
fn in_order(chain: &[CertificateDer<'_>], path: &Path, node: &Node, problems: &mut Problems) -> bool {
    let all: Vec<X509Certificate<'_>> = chain.iter().filter_map(|it| parsed(it)).collect();
    let broken = all.windows(2).position(|it| it[0].issuer().as_raw() != it[1].subject().as_raw());
    let Some(at) = broken else { return true };
    let message = format!("the certificates in {} are in the wrong order", path.display());
    let label = format!("certificate {} was not issued by certificate {}", at + 1, at + 2);
    let help = "the server's own certificate comes first, then the one that issued it, and so on";
    problems.push(Report::error(Code::Certificate, node.at, message).label(label).help(help));
    false
}

fn in_time(
    chain: &[CertificateDer<'_>],
    path: &Path,
    node: &Node,
    now: Timestamp,
    problems: &mut Problems,
) -> bool {
    for (index, certificate) in chain.iter().filter_map(|it| parsed(it)).enumerate() {
        let validity = certificate.validity();
        let (from, until) = (seconds(validity.not_before), seconds(validity.not_after));
        let what = if now > until {
            format!("expired at {}", day(until))
        } else if now < from {
            format!("is not valid before {}", day(from))
        } else {
            continue;
        };
        let message = match index {
            0 => format!("the certificate in {} {what}", path.display()),
            _ => format!("certificate {} of {} {what}", index + 1, path.display()),
        };
        problems.push(Report::error(Code::Certificate, node.at, message));
        return false;
    }
    true
}

fn private_key(
    node: &Node,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<PrivateKeyDer<'static>> {
    let pem = credentials.secret_pem(node, Code::PrivateKey, problems)?;
    let what = match PrivateKeyDer::from_pem_slice(&pem.bytes) {
        Ok(key) => return Some(key),
        Err(PemError::NoItemsFound) if contains(&pem.bytes, b"ENCRYPTED PRIVATE KEY") => {
            "is encrypted; nobody is there to type its password"
        }
        Err(PemError::NoItemsFound) => "holds no private key",
        // The reasons quote the file.
        Err(_) => "is damaged: its PEM cannot be read",
    };
    problems.push(Report::error(Code::PrivateKey, node.at, format!("{} {what}", pem.path.display())));
    None
}

/// Names of hosts, in lower case. The common name is not one of them: no client has looked at it for years.
fn names(leaf: &X509Certificate<'_>) -> Vec<Box<str>> {
    let Ok(Some(names)) = leaf.subject_alternative_name() else { return Vec::new() };
    let hosts = names.value.general_names.iter().filter_map(|it| match it {
        GeneralName::DNSName(name) => Some(name.trim_end_matches('.').to_ascii_lowercase().into_boxed_str()),
        _ => None,
    });
    hosts.collect()
}

pub(super) fn parsed<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    X509Certificate::from_der(der.as_ref()).ok().map(|it| it.1)
}

fn has_key(pem: &[u8]) -> bool {
    contains(pem, b"PRIVATE KEY-----")
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

/// A moment before 1970 is as good as 1970.
pub(super) fn seconds(at: ASN1Time) -> Timestamp {
    Timestamp(u64::try_from(at.timestamp()).unwrap_or(0).saturating_mul(1_000_000))
}

pub(super) fn day(at: Timestamp) -> String {
    let seconds = i64::try_from(at.0 / 1_000_000).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "a day far away".into(), |it| it.to_string())
}
