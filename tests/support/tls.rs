//! Certificates of every kind, and a client that speaks TLS.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::client::Client;
use super::wait::PATIENCE;
use super::wire::Wire;

/// Somebody who issues certificates.
pub struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate, with those that issued it, and its key.
#[derive(Clone)]
pub struct Pair {
    /// The chain in PEM.
    pub cert: String,
    /// The key in PEM.
    pub key: String,
}

/// Number that every certificate of a test has unless it says otherwise.
const SERIAL: u64 = 7;

impl Ca {
    /// An authority of its own.
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(Self::params(name), key).unwrap())
    }

    /// An authority that this one vouches for.
    pub fn vouch_for(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::signed_by(Self::params(name), key, &self.0).unwrap())
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        params
    }

    /// Its own certificate in PEM.
    pub fn pem(&self) -> String {
        self.0.as_ref().pem()
    }

    /// A certificate for these hosts (or addresses), good for servers and clients, for ages.
    pub fn issue(&self, names: &[&str]) -> Pair {
        self.issue_with(names, |_| {})
    }

    /// The same with a difference.
    pub fn issue_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let names: Vec<String> = names.iter().map(|it| (*it).to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).unwrap();
        params.distinguished_name.push(DnType::CommonName, names.first().map_or("nobody", |it| it));
        params.serial_number = Some(SerialNumber::from(SERIAL));
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        Pair { cert: cert.pem(), key: key.serialize_pem() }
    }

    /// A certificate that was good until 2020.
    pub fn issue_expired(&self, names: &[&str]) -> Pair {
        self.issue_with(names, |it| {
            (it.not_before, it.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
        })
    }

    /// A certificate that is not good before 2090.
    pub fn issue_for_later(&self, names: &[&str]) -> Pair {
        self.issue_with(names, |it| it.not_before = date_time_ymd(2090, 1, 1))
    }

    /// The list of revoked certificates, good until `year`: all that this module issues, or none.
    pub fn revocations(&self, all: bool, year: i32) -> String {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(SERIAL),
            revocation_time: date_time_ymd(2021, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2022, 1, 1),
            next_update: date_time_ymd(year, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: if all { vec![revoked] } else { Vec::new() },
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

impl Pair {
    /// Puts `NAME.pem` and `NAME.key` in place of what is there, and says how a listener names them.
    pub fn put(&self, dir: &Path, name: &str) -> String {
        let (cert, key) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
        put(&key, &self.key, 0o600);
        put(&cert, &self.cert, 0o644);
        format!("{{cert: {}, key: {}}}", cert.display(), key.display())
    }

    /// The certificates as a handshake carries them.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.cert.as_bytes()).map(Result::unwrap).collect()
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }
}

/// Puts a file with this mode in place of what is there, at once.
pub fn put(path: &Path, text: impl AsRef<[u8]>, mode: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(mode)).unwrap();
    fs::rename(&new, path).unwrap();
    path.to_owned()
}

/// How a client shakes hands.
#[derive(Clone)]
pub struct Hello {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Hello {
    /// Believes `ca` and asks for `name`.
    pub fn to(name: &str, ca: &Ca) -> Self {
        Self::made(name, ca, None, rustls::DEFAULT_VERSIONS)
    }

    /// The same, with a certificate of its own.
    pub fn from(pair: &Pair, name: &str, ca: &Ca) -> Self {
        Self::made(name, ca, Some(pair), rustls::DEFAULT_VERSIONS)
    }

    /// The same in one version.
    pub fn made(
        name: &str,
        ca: &Ca,
        own: Option<&Pair>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let config = match own {
            Some(pair) => builder.with_client_auth_cert(pair.chain(), pair.key()).unwrap(),
            None => builder.with_no_client_auth(),
        };
        Self { config: Arc::new(config), name: ServerName::try_from(name.to_owned()).unwrap() }
    }

    /// Offers these protocols.
    pub fn offering(mut self, protocols: &[&str]) -> Self {
        Arc::make_mut(&mut self.config).alpn_protocols =
            protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
        self
    }

    /// Names nobody.
    pub fn unnamed(mut self) -> Self {
        Arc::make_mut(&mut self.config).enable_sni = false;
        self
    }

    /// Would send early data if it may.
    pub fn with_early_data(mut self) -> Self {
        Arc::make_mut(&mut self.config).enable_early_data = true;
        self
    }

    /// What it is made of, for clients that others have written.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// Whom it asks for.
    pub fn name(&self) -> ServerName<'static> {
        self.name.clone()
    }

    /// A connection that has not begun.
    pub fn begin(&self) -> ClientConnection {
        ClientConnection::new(self.config.clone(), self.name.clone()).unwrap()
    }

    /// Shakes hands.
    pub fn try_connect(&self, to: SocketAddr) -> std::io::Result<Secure> {
        let mut tcp = TcpStream::connect_timeout(&to, PATIENCE)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        let mut tls = self.begin();
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp)?;
        }
        Ok(Secure { tls, tcp })
    }

    /// Shakes hands and is a client like any other.
    #[track_caller]
    pub fn connect(&self, to: SocketAddr) -> Client {
        match self.try_connect(to) {
            Ok(secure) => secure.client(),
            Err(error) => panic!("no handshake with {to}: {error}"),
        }
    }
}

/// A connection after its handshake.
pub struct Secure {
    /// What was agreed.
    pub tls: ClientConnection,
    /// Its socket.
    pub tcp: TcpStream,
}

impl Secure {
    /// The certificate that the other side has shown.
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.tls.peer_certificates().expect("after a handshake")[0].clone().into_owned()
    }

    /// Whether a session was resumed.
    pub fn resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// A client like any other.
    pub fn client(self) -> Client {
        Client::over(Wire::secure(self.tcp, self.tls.into()))
    }
}

/// How an upstream shakes hands: with this pair, and with clients of `ca` alone if there is one.
pub fn server(pair: &Pair, clients: Option<&Ca>) -> Arc<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let builder = match clients {
        None => builder.unwrap().with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap()).unwrap();
            let roots = Arc::new(roots);
            let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots, provider);
            builder.unwrap().with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    Arc::new(builder.with_single_cert(pair.chain(), pair.key()).unwrap())
}
