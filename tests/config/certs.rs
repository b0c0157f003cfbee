//! What `config/certs/make` makes.

use std::path::Path;
use std::sync::OnceLock;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa, KeyIdMethod,
    KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use tidegate::config::TokenHash;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// The file of this name in `config/certs`.
pub fn made(name: &Path) -> Vec<u8> {
    static FILES: OnceLock<Vec<(&str, String)>> = OnceLock::new();
    let files = FILES.get_or_init(make);
    let found = files.iter().find(|it| Path::new(it.0) == name);
    found.expect("an example names what `config/certs/make` makes").1.clone().into_bytes()
}

/// An authority that a system may believe, in DER.
pub fn authority() -> Vec<u8> {
    let pem = made(Path::new("clients.pem"));
    CertificateDer::from_pem_slice(&pem).expect("a certificate").to_vec()
}

fn make() -> Vec<(&'static str, String)> {
    let [(shop, shop_key), (ops, ops_key)] = ["shop.example.com", "ops.example.com"].map(|name| {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
    });
    let mut params = CertificateParams::new(Vec::new()).expect("no name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let clients =
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
    let revoked = CertificateRevocationListParams {
        this_update: date_time_ymd(2025, 1, 1),
        next_update: date_time_ymd(2090, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    // Digests of nothing much: no two are the same.
    let token = |name: &str| TokenHash::of(name.as_bytes()).to_string();
    vec![
        ("admin.token", token("admin")),
        ("ann.token", token("ann")),
        ("wall.token", token("wall")),
        ("prometheus.token", token("prometheus")),
        ("ops.pem", ops),
        ("ops.key", ops_key),
        ("shop.pem", shop),
        ("shop.key", shop_key),
        ("revoked.pem", revoked.signed_by(&clients).and_then(|it| it.pem()).expect("a list")),
        ("clients.pem", clients.as_ref().pem()),
    ]
}
