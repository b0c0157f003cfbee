//! What `config/certs/make` makes.

use std::path::Path;
use std::sync::OnceLock;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa, KeyIdMethod,
    KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};

/// The file of this name in `config/certs`.
pub fn made(name: &Path) -> Vec<u8> {
    static FILES: OnceLock<[(&str, String); 4]> = OnceLock::new();
    let files = FILES.get_or_init(make);
    let found = files.iter().find(|it| Path::new(it.0) == name);
    found.expect("an example names what `config/certs/make` makes").1.clone().into_bytes()
}

fn make() -> [(&'static str, String); 4] {
    let key = KeyPair::generate().expect("a key");
    let shop = CertificateParams::new(vec!["shop.example.com".to_owned()]).expect("a name");
    let shop = shop.self_signed(&key).expect("a certificate");
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
    [
        ("shop.pem", shop.pem()),
        ("shop.key", key.serialize_pem()),
        ("revoked.pem", revoked.signed_by(&clients).and_then(|it| it.pem()).expect("a list")),
        ("clients.pem", clients.as_ref().pem()),
    ]
}
