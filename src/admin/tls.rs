//! TLS of the admin address: who we are, and whose certificates we ask for.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::server::{NoServerSessionStorage, ServerConfig};
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::{AdminTls, crypto_provider};

/// Shakes hands.
#[derive(Clone)]
pub(super) struct Acceptor(TlsAcceptor);

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing that could hold the key.
        f.write_str("Acceptor(…)")
    }
}

/// For these settings.
pub(super) fn acceptor(spec: &AdminTls) -> Acceptor {
    let builder = ServerConfig::builder_with_provider(Arc::clone(crypto_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .expect("the provider has suites of both versions");
    let builder = match &spec.clients {
        Some(clients) => builder.with_client_cert_verifier(Arc::clone(&clients.verifier)),
        None => builder.with_no_client_auth(),
    };
    let key = SingleCertAndKey::from(Arc::clone(&spec.identity.key));
    let mut config = builder.with_cert_resolver(Arc::new(key));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Nothing is resumed: operators and scrapers are few, and a session would outlive the authorities that it
    // was begun under.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Acceptor(TlsAcceptor::from(Arc::new(config)))
}

impl Acceptor {
    /// Has a client shake hands.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let shaken = tokio::time::timeout(HANDSHAKE_TIME_MAX, self.0.accept(stream)).await;
        shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// As for every listener.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
