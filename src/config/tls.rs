//! TLS as it is meant: who we are, who may call, and what is asked of a client.
//!
//! Certificates and keys are read, matched and judged when a file is loaded, so that `check` and a reload
//! find out what a handshake would otherwise stumble over.
//!
//! Not here: the engine that uses them ([`crate::proxy`]).

mod admin;
mod authority;
mod certificate;
mod credentials;
mod listener;
mod upstream;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;

use crate::model::Timestamp;

#[cfg(test)]
pub(super) use admin::ADMIN_TLS;
pub use admin::AdminTls;
pub(super) use admin::admin;
pub(super) use credentials::Credentials;
#[cfg(test)]
pub(super) use listener::{CERTIFICATE, LISTENER_TLS};
pub(super) use listener::{listener, redirect};
#[cfg(test)]
pub(super) use upstream::VERSION_TLS;
pub(super) use upstream::{outgoing, trust, usual};

/// How a listener speaks TLS. Equal when nothing about it has changed, contents of files included.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenerTls {
    /// Who it can be; never empty. The first one answers when no name fits.
    pub identities: Vec<Identity>,
    /// What happens to a client that asks for a name that no certificate has.
    pub unknown_name: UnknownName,
    /// The oldest version that is spoken.
    pub min: TlsVersion,
    /// Which clients may call; `None` asks for no certificate.
    pub clients: Option<ClientAuth>,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
}

/// A certificate chain with its key.
#[derive(Clone)]
pub struct Identity {
    /// The chain and the key, which belong together.
    pub key: Arc<CertifiedKey>,
    /// Names of hosts that it is valid for, in lower case: `shop.example.com`, `*.example.com`.
    pub names: Vec<Box<str>>,
    /// When the first certificate of the chain expires.
    pub expires: Timestamp,
    /// The file of the chain.
    pub file: PathBuf,
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        // The key belongs to the chain, so an equal chain has the same one.
        self.file == other.file && self.key.cert == other.key.cert
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing that could hold the key.
        f.debug_struct("Identity")
            .field("file", &self.file)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// What happens to a client that asks for a name that no certificate has, or for none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum UnknownName {
    /// The first certificate answers.
    #[default]
    Default,
    /// The handshake fails.
    Refuse,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TlsVersion {
    /// 1.2 and above.
    #[default]
    V12,
    /// 1.3 alone.
    V13,
}

/// Which clients may call: those with a certificate of these authorities.
#[derive(Clone)]
pub struct ClientAuth {
    /// Decides about a certificate.
    pub verifier: Arc<dyn ClientCertVerifier>,
    /// Hash of the authorities and revocation lists: a session that was begun under another policy is not
    /// resumed under this one.
    pub policy: u128,
}

impl PartialEq for ClientAuth {
    fn eq(&self, other: &Self) -> bool {
        self.policy == other.policy
    }
}

impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientAuth({:032x})", self.policy)
    }
}

/// The cryptography behind every connection.
pub fn crypto_provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider()))
}
