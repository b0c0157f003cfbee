//! TLS towards a server: whom to believe, and who we are.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::app::Disk;
use crate::config::{Files, crypto_provider};

use super::arguments::Global;
use super::exit;
use super::failure::Failure;

/// How a server is called over TLS. Nothing switches the verification of its certificate off.
#[derive(Clone)]
pub struct Secure(TlsConnector);

impl std::fmt::Debug for Secure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secure(…)")
    }
}

impl Secure {
    /// By the authorities of `--ca` or `$TIDEGATE_CA`, else those of this system; with the certificate of
    /// `$TIDEGATE_CERT` and `$TIDEGATE_KEY`, if there is one.
    pub fn of(global: &Global) -> Result<Self, Failure> {
        let named = |name: &str| env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
        let ca = global.ca.clone().or_else(|| named("TIDEGATE_CA"));
        let builder = ClientConfig::builder_with_provider(Arc::clone(crypto_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|it| Failure::of(exit::FAILED, &it))?
            .with_root_certificates(authorities(ca.as_deref())?);
        let mut config = match (named("TIDEGATE_CERT"), named("TIDEGATE_KEY")) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), Some(key)) => {
                let (chain, key) = (certificates(&cert)?, private_key(&key)?);
                let made = builder.with_client_auth_cert(chain, key);
                made.map_err(|it| unusable(&cert, &it.to_string()))?
            }
            _ => {
                let message = "TIDEGATE_CERT and TIDEGATE_KEY belong together";
                return Err(Failure::new(exit::USAGE, message));
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Shakes hands with the server that has this name.
    pub async fn connect(&self, name: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(name.to_owned());
        let name = name.map_err(|it| io::Error::new(io::ErrorKind::InvalidInput, it))?;
        self.0.connect(name, stream).await
    }
}

fn authorities(named: Option<&Path>) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    let Some(path) = named else {
        // What this system believes and rustls does not understand helps nobody.
        roots.add_parsable_certificates(Disk.authorities().into_iter().map(CertificateDer::from));
        return Ok(roots);
    };
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|it| unusable(path, &it.to_string()))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let bytes = std::fs::read(path).map_err(|it| unusable(path, &it.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(unusable(path, "it holds no certificate in PEM")),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Failure> {
    let bytes = std::fs::read(path).map_err(|it| unusable(path, &it.to_string()))?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| unusable(path, "it holds no private key in PEM"))
}

fn unusable(path: &Path, why: &str) -> Failure {
    Failure::new(exit::USAGE, format!("`{}` cannot be used: {why}", path.display()))
}
