//! Certificates as files: what is refused and how it is said, and that a new one serves at once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::secured;
use crate::support::command::run;
use crate::support::tls::{Ca, Hello, Pair, put};
use crate::support::wait::within;
use crate::support::{Setup, Upstream, until};

/// What `check` says about a listener with the files `c.pem` and `c.key` of `dir`.
fn check(dir: &Path) -> (i32, String) {
    let file = dir.join("tidegate.yaml");
    let text = "listen: {secure: {port: 8443, tls: {certs: [{cert: c.pem, key: c.key}]}}}\n\
                services: {shop: {live: v1, versions: {v1: http://127.0.0.1:1}}}\n";
    put(&file, text, 0o644);
    let outcome = run(&["check", file.to_str().unwrap()]);
    (outcome.code, outcome.out + &outcome.err)
}

#[test]
fn a_bad_pair_is_refused_by_name_and_not_by_content() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let between = ca.vouch_for("between");
    let (good, leaf) = (ca.issue(&["shop.test"]), between.issue(&["shop.test"]));
    let der = |pem: &str| {
        use rustls::pki_types::pem::PemObject;
        rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
    };
    let chain = |parts: &[&str]| parts.concat().into_bytes();
    let (cert, key) = (good.cert.clone().into_bytes(), good.key.clone().into_bytes());
    let mut torn = cert.clone();
    torn.truncate(cert.len() / 2);
    let other = ca.issue(&["shop.test"]);
    let (expired, later) = (ca.issue_expired(&["shop.test"]), ca.issue_for_later(&["shop.test"]));
    for (cert, key, file, expected) in [
        (cert.clone(), other.key.into_bytes(), "c.pem", "does not belong"),
        (expired.cert.into_bytes(), expired.key.into_bytes(), "c.pem", "expired at 2020-01-01"),
        (later.cert.into_bytes(), later.key.into_bytes(), "c.pem", "is not valid before 2090-01-01"),
        (Vec::new(), key.clone(), "c.pem", "is empty"),
        (der(&good.cert), key.clone(), "c.pem", "is DER"),
        (key.clone(), key.clone(), "c.pem", "holds a key and no certificate"),
        (b"nothing".to_vec(), key.clone(), "c.pem", "holds no certificate"),
        (torn, key.clone(), "c.pem", "damaged"),
        (cert.clone(), cert.clone(), "c.key", "holds no private key"),
        (cert.clone(), Vec::new(), "c.key", "is empty"),
        (chain(&[&between.pem(), &leaf.cert]), leaf.key.clone().into_bytes(), "c.pem", "wrong order"),
        (chain(&[&leaf.cert, &Ca::new("x").pem()]), leaf.key.into_bytes(), "c.pem", "wrong order"),
    ] {
        put(&dir.path().join("c.pem"), &cert, 0o644);
        put(&dir.path().join("c.key"), &key, 0o600);
        let (code, said) = check(dir.path());
        assert_ne!(code, 0, "{expected}");
        assert!(said.contains(expected), "{expected}: {said}");
        assert!(said.contains(file), "{expected}: {said}");
        for secret in good.key.lines().filter(|it| !it.starts_with("--")) {
            assert!(!said.contains(secret), "{said}");
        }
    }
    good.put(dir.path(), "c");
    assert_eq!(check(dir.path()).0, 0);
}

#[test]
fn a_key_that_everybody_can_read_is_refused() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let pair = ca.issue(&["shop.test"]);
    pair.put(dir.path(), "c");
    for (mode, accepted) in [(0o600, true), (0o640, true), (0o644, false), (0o660, false), (0o604, false)] {
        put(&dir.path().join("c.key"), &pair.key, mode);
        let (code, said) = check(dir.path());
        assert_eq!(code == 0, accepted, "{mode:o}: {said}");
        assert_eq!(said.contains("chmod go-w,o-r"), !accepted, "{mode:o}: {said}");
    }
}

#[test]
fn a_bad_pair_leaves_the_old_one_serving() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let (good, bad) = (ca.issue(&["shop.test"]), ca.issue_expired(&["shop.test"]));
    let upstream = Upstream::answering("");
    let gate = secured(&upstream, &dir, &[&good], "");
    let hello = Hello::to("shop.test", &ca);
    let mut before = hello.connect(gate.address());
    bad.put(dir.path(), "c0");
    until("the refusal", || gate.log().contains("expired at 2020-01-01").then_some(()));
    let outcome = gate.command("reload");
    assert!(outcome.code != 0 && outcome.err.contains("expired"), "{outcome:?}");
    assert_eq!(gate.metric("tidegate_config_last_reload_success", &[]), 0.0);
    assert_eq!(hello.try_connect(gate.address()).unwrap().certificate(), good.chain()[0]);
    assert_eq!(before.get("/").status, 200);
    for secret in [&good.key, &bad.key].into_iter().flat_map(|it| it.lines()) {
        assert!(secret.starts_with("--") || !gate.log().contains(secret));
    }
}

#[test]
fn the_expiry_is_a_metric() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let pair = ca.issue_with(&["shop.test"], |it| it.not_after = rcgen::date_time_ymd(2091, 1, 1));
    let upstream = Upstream::answering("");
    let gate = secured(&upstream, &dir, &[&pair], "");
    let labels = [("listener", "http"), ("name", "shop.test")];
    assert_eq!(gate.metric("tidegate_tls_certificate_expiry_timestamp_seconds", &labels), 3_818_448_000.0);
}

/// One hundred certificates, one after the other, while clients call without a pause: none of them notices,
/// and each certificate serves within a second.
#[test]
fn a_hundred_rotations_under_load() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let pairs: Vec<Pair> = (0..100).map(|_| ca.issue(&["shop.test"])).collect();
    let upstream = Upstream::answering("");
    let certs = pairs[0].put(dir.path(), "c");
    let gate = Setup::to(&upstream)
        .workers(2)
        .listener(format!("tls: {{certs: {certs}}}, limits: {{requests: 100000000}}"))
        .start();
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let address = gate.address();
    let clients: Vec<_> = (0..3)
        .map(|number| {
            let (hello, stop, served) = (Hello::to("shop.test", &ca), stop.clone(), served.clone());
            thread::spawn(move || {
                let mut kept = hello.connect(address);
                while !stop.load(Ordering::Relaxed) {
                    // One keeps its connection all the time, the others shake hands for each request.
                    let status = if number == 0 {
                        kept.get("/").status
                    } else {
                        hello.connect(address).get("/").status
                    };
                    assert_eq!(status, 200);
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let fresh = Hello::to("shop.test", &ca);
    for pair in &pairs[1..] {
        pair.put(dir.path(), "c");
        let swapped = within(Duration::from_secs(1), || {
            let shown = fresh.try_connect(address).expect("a handshake").certificate();
            (shown == pair.chain()[0]).then_some(())
        });
        assert!(swapped.is_some(), "not within a second");
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("no request failed");
    }
    assert!(served.load(Ordering::Relaxed) > 100);
}
