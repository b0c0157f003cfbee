//! What a listener is to its clients: certificates, versions, and who may resume a session.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{NoServerSessionStorage, ProducesTickets, ServerConfig, UnbufferedServerConnection};
use rustls::version::{TLS12, TLS13};

use crate::config::{ListenerTls, TlsVersion, crypto_provider};

use super::names::Certificates;

/// What is offered, best first. `connection::serve` chooses by what was agreed on.
const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// Begins handshakes of one listener. Shared by all workers, and replaced as a whole when a certificate is.
pub struct Acceptor {
    config: Arc<ServerConfig>,
    pub(super) certificates: Arc<Certificates>,
    settings: Arc<ListenerTls>,
}

impl Acceptor {
    /// For these settings. Sessions that `before` began can be resumed if they would be allowed now too.
    pub fn new(settings: &Arc<ListenerTls>, before: Option<&Self>) -> Self {
        let versions: &[_] = match settings.min {
            TlsVersion::V12 => &[&TLS13, &TLS12],
            TlsVersion::V13 => &[&TLS13],
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(crypto_provider()))
            .with_protocol_versions(versions)
            .expect("the provider has suites of both versions");
        let builder = match &settings.clients {
            Some(clients) => builder.with_client_cert_verifier(Arc::clone(&clients.verifier)),
            None => builder.with_no_client_auth(),
        };
        let certificates = Arc::new(Certificates::new(settings));
        let mut config = builder.with_cert_resolver(Arc::clone(&certificates) as _);
        let offered = PROTOCOLS.iter().filter(|it| settings.http2 || **it != b"h2");
        config.alpn_protocols = offered.map(|it| it.to_vec()).collect();
        // Sessions live in tickets alone: nothing to lock, nothing that grows, and one policy for all.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // A resumed session is not asked for a certificate again, so a ticket is worth what the policy was
        // that it was made under: another policy has other keys.
        let kept =
            before.filter(|it| it.settings.clients == settings.clients && it.settings.min == settings.min);
        match kept.map(|it| Arc::clone(&it.config.ticketer)).map_or_else(new_ticketer, Some) {
            Some(ticketer) => config.ticketer = ticketer,
            None => tracing::warn!("no random numbers for tickets: every handshake is a full one"),
        }
        Self { config: Arc::new(config), certificates, settings: Arc::clone(settings) }
    }

    /// A connection that has not begun.
    pub(super) fn begin(&self) -> Result<UnbufferedServerConnection, rustls::Error> {
        UnbufferedServerConnection::new(Arc::clone(&self.config))
    }
}

/// Its keys rotate every six hours and are forgotten after twelve.
fn new_ticketer() -> Option<Arc<dyn ProducesTickets>> {
    Ticketer::new().ok()
}
